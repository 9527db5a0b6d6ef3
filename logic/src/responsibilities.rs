//! Who looks after what: the responsibility matrix of buildings, classes of devices and categories of faults.
//!
//! It is a list of rows as a person wrote them. Of the rows that speak of a cell the most specific one counts: the one that
//! names more of building, class and category; of equally many, the one that says *what* rather than *where*. A row names
//! whoever has it first and who comes next; behind all of them stands the coordinator.
//!
//! What it keeps:
//! - work that a machine has made is never handed to anybody of the ed-tech lane, however the matrix came to name them;
//! - a champion has only what a row says in so many words, a vendor only while the contract lasts;
//! - there is always an owner: a cell that no row speaks of is the coordinator's, or the team's that is assumed, and is
//!   shown as one that nobody was named for.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::device::{Class, words};
use crate::span::{Passing, Stretch};
use crate::time::Timestamp;

/// People, teams and vendors of one matrix: far more than any district has in its technology department.
pub const PARTIES_MAX: usize = 2_000;

/// Rows of one matrix: each building of a large district with some of its own.
pub const ROWS_MAX: usize = 2_000;

/// Who may come behind the first in one row.
pub const NEXT_MAX: usize = 8;

/// The team that has everything before anybody has written who has what.
pub const TEAM: &str = "IT";

/// How long a vendor has whose contract says nothing: three school days of eight hours. House.
pub const VENDOR_TIME: Stretch = Stretch { span: Duration::from_secs(24 * 60 * 60), passing: Passing::School };

words! {
    /// What an owner is.
    PartyKind, "kind of owner" {
        /// Somebody, by login name.
        Person = "person",
        /// Some people together.
        Team = "team",
        /// A company outside.
        Vendor = "vendor",
    }
}

words! {
    /// For which work somebody is there.
    Lane, "lane" {
        /// Keeps machines and networks running.
        Repair = "repair",
        /// Helps colleagues in their building beside their own work.
        Champion = "champion",
        /// Helps teachers to teach with technology: never handed work by a machine.
        EdTech = "ed_tech",
    }
}

/// Somebody who can be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The login name of a person, the name of a team or vendor: what rows say, and no two share.
    pub key: String,
    /// What it is.
    pub kind: PartyKind,
    /// What pages call them.
    pub name: String,
    /// Of a person: for which work.
    pub lane: Lane,
    /// Of a team: the logins of its people.
    #[serde(default)]
    pub members: Vec<String>,
    /// Of a vendor: how they are reached.
    #[serde(default)]
    pub email: String,
    /// Of a vendor: how they are reached.
    #[serde(default)]
    pub phone: String,
    /// Of a vendor: what the contract covers, in words.
    #[serde(default)]
    pub covers: String,
    /// Of a vendor: when the contract ends.
    #[serde(default)]
    pub contract_ends: Option<Timestamp>,
    /// Of a vendor: how long they have, by their contract.
    #[serde(default = "vendor_time")]
    pub time: Stretch,
}

const fn vendor_time() -> Stretch {
    VENDOR_TIME
}

impl Party {
    /// A party of which no more is known.
    #[must_use]
    pub fn new(key: &str, kind: PartyKind) -> Self {
        Self {
            key: key.to_string(),
            kind,
            name: key.to_string(),
            lane: Lane::Repair,
            members: Vec::new(),
            email: String::new(),
            phone: String::new(),
            covers: String::new(),
            contract_ends: None,
            time: VENDOR_TIME,
        }
    }

    /// Why it can't have what a machine asks for; nothing if it can.
    fn why_not(&self, now: Timestamp, row: &Row) -> Option<&'static str> {
        match (self.kind, self.lane) {
            (PartyKind::Person, Lane::EdTech) => Some("is there for teaching"),
            (PartyKind::Person, Lane::Champion) if row.categories.is_empty() => Some("is a champion"),
            (PartyKind::Vendor, _) if self.contract_ends.is_some_and(|ends| ends <= now) => Some("has no contract now"),
            _ => None,
        }
    }
}

/// What somebody wrote of who has what. An empty list of buildings, classes or categories stands for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Buildings.
    pub buildings: Vec<String>,
    /// Classes of devices.
    pub classes: Vec<Class>,
    /// Categories of faults.
    pub categories: Vec<String>,
    /// Who has it.
    pub who: String,
    /// Who comes next, in order.
    pub then: Vec<String>,
    /// Its line in the file, from 1.
    pub line: u32,
}

/// One cell of the matrix. A ticket about a room or a building need not be of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'cell> {
    /// The building.
    pub site: &'cell str,
    /// The class of device.
    pub class: Option<Class>,
    /// The category of fault.
    pub category: &'cell str,
}

impl Row {
    fn covers(&self, cell: Cell<'_>) -> bool {
        let among = |list: &[String], word: &str| list.is_empty() || list.iter().any(|named| named == word);
        among(&self.buildings, cell.site)
            && (self.classes.is_empty() || cell.class.is_some_and(|class| self.classes.contains(&class)))
            && among(&self.categories, cell.category)
    }

    /// How specific it is: of building, class and category, how many it names and which.
    fn rank(&self) -> (u8, bool, bool, bool) {
        let named = (!self.categories.is_empty(), !self.classes.is_empty(), !self.buildings.is_empty());
        (u8::from(named.0) + u8::from(named.1) + u8::from(named.2), named.0, named.1, named.2)
    }

    /// Whether neither of two rows is the more specific one, and there is something of which both speak.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        fn meet<T: PartialEq>(one: &[T], other: &[T]) -> bool {
            one.is_empty() || one.iter().any(|named| other.contains(named))
        }
        self.rank() == other.rank()
            && meet(&self.buildings, &other.buildings)
            && meet(&self.classes, &other.classes)
            && meet(&self.categories, &other.categories)
    }

    /// What it speaks of, in words: `storage of server at Lincoln`.
    #[must_use]
    pub fn words(&self) -> String {
        let class = |class: &Class| class.as_str().replace('_', " ");
        let classes: Vec<String> = self.classes.iter().map(class).collect();
        let mut text = match self.categories.is_empty() {
            true if classes.is_empty() => String::from("everything"),
            true => classes.join(", "),
            false if classes.is_empty() => self.categories.join(", "),
            false => format!("{} of {}", self.categories.join(", "), classes.join(", ")),
        };
        if !self.buildings.is_empty() {
            text = format!("{text} at {}", self.buildings.join(", "));
        }
        text
    }
}

/// Who has a cell, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// As [`Party::key`].
    pub key: String,
    /// What it is.
    pub kind: PartyKind,
    /// By which row, in words.
    pub via: String,
    /// False: no row speaks of the cell.
    pub named: bool,
    /// Who comes next when nobody takes it in time; empty: there is nobody else.
    pub next: String,
    /// Who leads.
    pub lead: String,
}

/// The whole matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Responsibilities {
    /// Nobody has written one: everything is the team's that is assumed.
    pub assumed: bool,
    /// The file from which it comes, for words.
    pub source: String,
    /// Everybody who is named.
    pub parties: Vec<Party>,
    /// Who has what.
    pub rows: Vec<Row>,
    /// Who has what nobody was named for, and comes next.
    pub coordinator: String,
    /// Who is told when something is not solved in time.
    pub lead: String,
}

impl Default for Responsibilities {
    fn default() -> Self {
        Self {
            assumed: true,
            source: String::new(),
            parties: alloc::vec![Party::new(TEAM, PartyKind::Team)],
            rows: alloc::vec![Row { who: TEAM.into(), ..Row::default() }],
            coordinator: TEAM.into(),
            lead: TEAM.into(),
        }
    }
}

impl Responsibilities {
    /// Whether it can be followed: every name is somebody's, and it is within its limits. Whoever parses a file says more of
    /// what is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let known = |key: &String| self.party(key).is_some();
        let sound = |row: &Row| known(&row.who) && row.then.len() <= NEXT_MAX && row.then.iter().all(known);
        self.parties.len() <= PARTIES_MAX
            && self.rows.len() <= ROWS_MAX
            && known(&self.coordinator)
            && known(&self.lead)
            && self.rows.iter().all(sound)
    }

    /// Who bears a name.
    #[must_use]
    pub fn party(&self, key: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.key == key)
    }

    /// The row that counts for a cell.
    #[must_use]
    pub fn row(&self, cell: Cell<'_>) -> Option<&Row> {
        let covering = self.rows.iter().filter(|row| row.covers(cell));
        // Of equals the first: a file in which two contradict each other is refused.
        covering.reduce(|best, row| if row.rank() > best.rank() { row } else { best })
    }

    /// Who has a cell's machine-made tickets.
    #[must_use]
    pub fn owner(&self, now: Timestamp, cell: Cell<'_>) -> Owner {
        let row = self.row(cell);
        let mut skipped: Vec<String> = Vec::new();
        let able: Vec<&Party> = row
            .into_iter()
            .flat_map(|row| core::iter::once(&row.who).chain(&row.then).map(move |key| (row, key)))
            .filter_map(|(row, key)| {
                let party = self.party(key)?;
                match party.why_not(now, row) {
                    None => Some(party),
                    Some(why) => {
                        skipped.push(format!("{} {why}", party.name));
                        None
                    }
                }
            })
            .chain(self.last_resort())
            .collect();
        let first = able.first().copied();
        let next = able.iter().find(|party| Some(party.key.as_str()) != first.map(|first| first.key.as_str()));
        let mut via = match row {
            _ if self.assumed => String::from("nobody has written who looks after what"),
            Some(row) if row.line > 0 => format!("{} (line {} of {})", row.words(), row.line, self.source),
            Some(row) => row.words(),
            None => String::from("nobody is named for this"),
        };
        for why in skipped {
            via = format!("{via}; {why}");
        }
        Owner {
            key: first.map_or_else(|| TEAM.into(), |party| party.key.clone()),
            kind: first.map_or(PartyKind::Team, |party| party.kind),
            via,
            named: row.is_some(),
            next: next.map(|party| party.key.clone()).unwrap_or_default(),
            lead: self.lead_key(),
        }
    }

    /// Who has a cell's machine-made tickets, as one word: what a day's budget is counted by.
    #[must_use]
    pub fn owner_key(&self, now: Timestamp, site: &str, class: Option<Class>, category: &str) -> String {
        self.owner(now, Cell { site, class, category }).key
    }

    /// The vendor of a cell, if one comes anywhere in its row.
    #[must_use]
    pub fn vendor(&self, cell: Cell<'_>) -> Option<&Party> {
        let row = self.row(cell)?;
        let named = core::iter::once(&row.who).chain(&row.then).filter_map(|key| self.party(key));
        named.into_iter().find(|party| party.kind == PartyKind::Vendor)
    }

    /// The coordinator, unless a machine may not hand them anything.
    fn last_resort(&self) -> Option<&Party> {
        self.party(&self.coordinator).filter(|party| party.kind != PartyKind::Person || party.lane == Lane::Repair)
    }

    fn lead_key(&self) -> String {
        if self.party(&self.lead).is_some() { self.lead.clone() } else { self.coordinator.clone() }
    }
}

#[cfg(test)]
mod tests;
