//! The file as people write it.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_agent::config::shown;
use bellwether_logic::device::Class;
use bellwether_logic::responsibilities::{
    Lane, NEXT_MAX, PARTIES_MAX, Party, PartyKind, ROWS_MAX, Responsibilities, Row, TEAM, VENDOR_TIME,
};
use bellwether_logic::span::Stretch;
use bellwether_logic::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::FILE;
use crate::config::{ConfigError, parse_error};

/// Letters of a name: longer is a slip of the pen.
const NAME_CHARS_MAX: usize = 120;

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Form {
    coordinator: Option<Spanned<String>>,
    lead: Option<Spanned<String>>,
    person: Vec<Person>,
    team: Vec<Team>,
    vendor: Vec<Vendor>,
    owner: Vec<Spanned<Owner>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    login: Spanned<String>,
    name: Option<String>,
    #[serde(default = "repair")]
    lane: Lane,
}

const fn repair() -> Lane {
    Lane::Repair
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Team {
    name: Spanned<String>,
    #[serde(default)]
    members: Vec<Spanned<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendor {
    name: Spanned<String>,
    #[serde(default)]
    email: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    covers: String,
    contract_ends: Option<Date>,
    time: Option<Stretch>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    #[serde(default)]
    buildings: Vec<String>,
    #[serde(default)]
    classes: Vec<Class>,
    #[serde(default)]
    categories: Vec<String>,
    who: Spanned<String>,
    #[serde(default)]
    then: Vec<Spanned<String>>,
}

/// The file, for messages.
struct Source<'file> {
    path: &'file Path,
    text: &'file str,
}

impl Source<'_> {
    fn line(&self, place: usize) -> usize {
        self.text.as_bytes()[..place.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    fn wrong(&self, place: usize, message: String) -> ConfigError {
        let line = self.line(place);
        ConfigError::Parse { path: self.path.into(), line: line + 1, text: shown(self.text, line), message }
    }
}

impl Form {
    /// Reads a file's text; `path` is for messages.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and what was expected.
    pub fn parse(path: &Path, text: &str, zone: &TimeZone) -> Result<Responsibilities, ConfigError> {
        let form: Self = toml::from_str(text).map_err(|error| parse_error(path, text, &error))?;
        form.matrix(&Source { path, text }, zone)
    }

    fn matrix(self, source: &Source<'_>, zone: &TimeZone) -> Result<Responsibilities, ConfigError> {
        let parties = self.parties(source, zone)?;
        let book = Book { parties: &parties, source };
        for member in self.team.iter().flat_map(|team| &team.members) {
            let who = book.known(member)?;
            if who.kind != PartyKind::Person || who.lane == Lane::EdTech {
                let message = format!(
                    "`{}` is no member for this: expected people who repair or are champions",
                    member.get_ref()
                );
                return Err(source.wrong(member.span().start, message));
            }
        }
        let last = |named: &Option<Spanned<String>>| named.as_ref().map(|named| book.last(named)).transpose();
        let coordinator = last(&self.coordinator)?.unwrap_or_else(|| TEAM.into());
        let lead = last(&self.lead)?.unwrap_or_else(|| coordinator.clone());
        let rows = self.rows(&book)?;
        Ok(Responsibilities { assumed: false, source: FILE.into(), rows, coordinator, lead, parties })
    }

    /// Everybody who is named, and the team that is always there.
    fn parties(&self, source: &Source<'_>, zone: &TimeZone) -> Result<Vec<Party>, ConfigError> {
        let people = self.person.iter().map(|person| {
            let login = person.login.get_ref();
            let name = person.name.clone().unwrap_or_else(|| login.clone());
            (&person.login, Party { name, lane: person.lane, ..Party::new(login, PartyKind::Person) })
        });
        let teams = self.team.iter().map(|team| {
            let members = team.members.iter().map(|member| member.get_ref().clone()).collect();
            (&team.name, Party { members, ..Party::new(team.name.get_ref(), PartyKind::Team) })
        });
        let vendors = self.vendor.iter().map(|vendor| {
            let party = Party {
                email: vendor.email.clone(),
                phone: vendor.phone.clone(),
                covers: vendor.covers.clone(),
                contract_ends: vendor.contract_ends.and_then(|date| day_after(date, zone)),
                time: vendor.time.unwrap_or(VENDOR_TIME),
                ..Party::new(vendor.name.get_ref(), PartyKind::Vendor)
            };
            (&vendor.name, party)
        });
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut parties = Vec::new();
        for (named, party) in people.chain(teams).chain(vendors) {
            let place = named.span().start;
            if party.key.trim().is_empty() || party.key.chars().count() > NAME_CHARS_MAX {
                return Err(source.wrong(place, format!("expected a name of up to {NAME_CHARS_MAX} letters")));
            }
            if let Some(first) = seen.insert(party.key.to_lowercase(), place) {
                let message = format!(
                    "`{}` is the name of line {} already: expected another for a person, team or vendor",
                    party.key,
                    source.line(first) + 1
                );
                return Err(source.wrong(place, message));
            }
            if parties.len() >= PARTIES_MAX {
                return Err(source.wrong(place, format!("expected at most {PARTIES_MAX} people, teams and vendors")));
            }
            parties.push(party);
        }
        if !seen.contains_key(&TEAM.to_lowercase()) {
            parties.push(Party::new(TEAM, PartyKind::Team));
        }
        Ok(parties)
    }

    fn rows(&self, book: &Book<'_>) -> Result<Vec<Row>, ConfigError> {
        let source = book.source;
        let mut rows: Vec<Row> = Vec::new();
        for owner in &self.owner {
            let (place, owner) = (owner.span().start, owner.get_ref());
            let row = Row {
                buildings: owner.buildings.clone(),
                classes: owner.classes.clone(),
                categories: owner.categories.clone(),
                who: book.able(owner, &owner.who)?,
                then: owner.then.iter().map(|next| book.able(owner, next)).collect::<Result<_, _>>()?,
                line: u32::try_from(source.line(place) + 1).unwrap_or(u32::MAX),
            };
            if row.then.len() > NEXT_MAX || rows.len() >= ROWS_MAX {
                let message = format!("expected at most {ROWS_MAX} rows, each with at most {NEXT_MAX} who come next");
                return Err(source.wrong(place, message));
            }
            if let Some(other) = rows.iter().find(|other| other.contradicts(&row)) {
                let message = format!(
                    "line {} speaks of some of the same ({}) and is no less exact: expected one row for it, or a more exact one",
                    other.line,
                    other.words()
                );
                return Err(source.wrong(place, message));
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Everybody who may be named, while the file is read.
struct Book<'file> {
    parties: &'file [Party],
    source: &'file Source<'file>,
}

impl Book<'_> {
    fn known(&self, named: &Spanned<String>) -> Result<&Party, ConfigError> {
        let known = self.parties.iter().find(|party| party.key == *named.get_ref());
        known.ok_or_else(|| {
            let names: Vec<&str> = self.parties.iter().take(20).map(|party| party.key.as_str()).collect();
            let message = format!(
                "nobody here is called `{}`: expected a person's login or the name of a team or vendor of this file, such as {}",
                named.get_ref(),
                names.join(", ")
            );
            self.source.wrong(named.span().start, message)
        })
    }

    /// Who a row names, if a machine may hand them its work.
    fn able(&self, owner: &Owner, named: &Spanned<String>) -> Result<String, ConfigError> {
        let party = self.known(named)?;
        match party.lane {
            Lane::EdTech => Err(self.for_teaching(named)),
            Lane::Champion if owner.categories.is_empty() => {
                let message = format!(
                    "`{}` is a champion, who has only what is said in so many words: expected `categories = [...]` in this row",
                    party.key
                );
                Err(self.source.wrong(named.span().start, message))
            }
            _ => Ok(party.key.clone()),
        }
    }

    /// The coordinator or the lead.
    fn last(&self, named: &Spanned<String>) -> Result<String, ConfigError> {
        let party = self.known(named)?;
        match (party.kind, party.lane) {
            (PartyKind::Person, Lane::EdTech) => Err(self.for_teaching(named)),
            (PartyKind::Vendor, _) | (_, Lane::Champion) => {
                let message =
                    format!("`{}` can't be the last to turn to: expected a person or team of yours", party.key);
                Err(self.source.wrong(named.span().start, message))
            }
            _ => Ok(party.key.clone()),
        }
    }

    fn for_teaching(&self, named: &Spanned<String>) -> ConfigError {
        let message = format!(
            "`{}` is of the lane `ed_tech` and is never handed work by a machine: expected somebody who repairs, a team or a vendor",
            named.get_ref()
        );
        self.source.wrong(named.span().start, message)
    }
}

/// The end of a contract's last day.
fn day_after(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let end = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(Timestamp(end.timestamp().as_millisecond()))
}
