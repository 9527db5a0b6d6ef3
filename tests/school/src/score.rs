//! How good tickets are, beside the truth.
//!
//! - Each opening counts: a new ticket, or one that comes back. It is *true* if it is the first that tells of a problem that
//!   deserves one; *open to argument* if one would go and another would not; and *false* otherwise: a second ticket of the
//!   same problem, one about a device that only suffers from another's fault, one of what is over before anybody could act, or
//!   one of nothing at all. A ticket that comes back of the problem that it told of already is counted apart.
//! - A problem that deserves a ticket and has none by the time at which that would have helped is *missed*.

use std::collections::{BTreeMap, BTreeSet};

use crate::dates::{MINUTE, Sec, date_at, written};
use crate::problem::{Cause, Deserves, Problem, Sign};
use crate::truth::Truth;
use crate::world::{BUILDINGS_EACH, World};
use crate::year::Year;

/// So long after its end a problem may still be told of: it must be seen, and what was under way arrives.
const AFTER: Sec = 20 * MINUTE;

/// What was wrong on the first day is no news for so long; afterwards it may have become worse.
const FIRST_SIGHT: Sec = 45 * 24 * 3_600;

/// One message of a monitor.
#[derive(Clone, Debug)]
pub struct Report {
    /// When.
    pub at: Sec,
    /// Its ticket.
    pub number: u64,
    /// What it speaks of.
    pub signs: Vec<Sign>,
    /// The devices that it names as ill.
    pub things: Vec<usize>,
    /// Its building, if it is about one place.
    pub building: Option<usize>,
    /// Whether it is about a place or model rather than a device.
    pub is_wide: bool,
    /// Its first line.
    pub title: String,
}

/// What an opening was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The first word of what deserves it.
    True,
    /// One would go, another not.
    Arguable,
    /// The same ticket once more for the same problem, or one that takes its place.
    Again,
    /// Another ticket has told of it.
    Second,
    /// It is out of reach because something else is.
    Child,
    /// There was something, and it was nobody's business.
    Harmless,
    /// It was there on the first day.
    Old,
    /// There was nothing.
    Nothing,
}

/// One opening with what it was.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What was said.
    pub report: Report,
    /// What it was.
    pub verdict: Verdict,
    /// Which problem it told of.
    pub problem: Option<usize>,
}

/// What one monitor said of the year.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    openings: Vec<Opening>,
    /// By problem: the ticket that first told of it, and when.
    told: BTreeMap<usize, (u64, Sec)>,
    by_ticket: BTreeMap<u64, BTreeSet<usize>>,
    /// Tickets as they are by now, of which it is not yet known what they tell of.
    changed: Vec<Report>,
    /// What somebody was given: which ticket, when, of which building.
    given: Vec<(u64, Sec, usize)>,
    /// Tickets that ended by themselves, and when.
    ended: BTreeMap<u64, Sec>,
}

/// What comes out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Openings.
    pub tickets: usize,
    /// True ones.
    pub true_tickets: usize,
    /// Of all.
    pub false_ratio: f64,
    /// Of problems that deserve one.
    pub missed_ratio: f64,
    /// Tickets of what hangs on something dead.
    pub child_tickets: usize,
    /// From the problem's beginning to its ticket.
    pub median_s: Sec,
    /// What comes to a technician on a school day that only one in twenty is worse than.
    pub day_p95: usize,
}

/// Below this share of false ones.
const FALSE_MAX: f64 = 0.05;
/// Below this share of missed ones.
const MISSED_MAX: f64 = 0.02;
/// At most so many for a technician on nineteen of twenty school days.
const DAY_MAX: usize = 8;

impl Figures {
    /// Each with its name and unit.
    #[must_use]
    pub fn lines(&self) -> [(&'static str, String, &'static str); 7] {
        [
            ("tickets", self.tickets.to_string(), "count"),
            ("true_tickets", self.true_tickets.to_string(), "count"),
            ("false_ratio", format!("{:.4}", self.false_ratio), "ratio"),
            ("missed_ratio", format!("{:.4}", self.missed_ratio), "ratio"),
            ("child_tickets_dead_parent", self.child_tickets.to_string(), "count"),
            ("median_s_to_ticket", self.median_s.to_string(), "s"),
            ("tickets_per_technician_day_p95", self.day_p95.to_string(), "count"),
        ]
    }

    /// The bars that are not met.
    #[must_use]
    pub fn misses(&self) -> Vec<String> {
        let bars = [
            (self.false_ratio < FALSE_MAX, format!("false_ratio below {FALSE_MAX}")),
            (self.missed_ratio < MISSED_MAX, format!("missed_ratio below {MISSED_MAX}")),
            (self.child_tickets == 0, "no child_tickets_dead_parent".to_owned()),
            (self.day_p95 <= DAY_MAX, format!("tickets_per_technician_day_p95 at most {DAY_MAX}")),
        ];
        bars.into_iter().filter(|(met, _)| !met).map(|(_, bar)| bar).collect()
    }
}

impl Ledger {
    /// Takes down what a monitor says anew.
    pub fn open(&mut self, world: &World, truth: &Truth, report: Report) {
        let (verdict, problem) = self.judge(world, truth, &report);
        self.give(report.number, report.at, report.building.unwrap_or(0));
        if let Some(problem) = problem {
            self.by_ticket.entry(report.number).or_default().insert(problem);
        }
        self.note(world, truth, &report);
        self.openings.push(Opening { report, verdict, problem });
    }

    /// A ticket is somebody's work from now on.
    pub fn give(&mut self, ticket: u64, at: Sec, building: usize) {
        self.given.push((ticket, at, building));
    }

    /// A ticket was put off before anybody saw it.
    pub fn put_off(&mut self, ticket: u64) {
        if let Some(last) = self.given.iter().rposition(|(number, _, _)| *number == ticket) {
            self.given.remove(last);
        }
    }

    /// A ticket ended without a person.
    pub fn end(&mut self, ticket: u64, at: Sec) {
        self.ended.insert(ticket, at);
    }

    /// A ticket changed: what it tells of is looked at after what was opened.
    pub fn note_later(&mut self, report: Report) {
        self.changed.push(report);
    }

    /// Looks at what changed.
    pub fn note_all(&mut self, world: &World, truth: &Truth) {
        for report in core::mem::take(&mut self.changed) {
            self.note(world, truth, &report);
        }
    }

    /// Takes down which problems a ticket tells of by now.
    fn note(&mut self, world: &World, truth: &Truth, report: &Report) {
        for index in candidates(truth, report) {
            if is_cause(world, &truth.problems[index], report) && !truth.problems[index].old {
                self.told.entry(index).or_insert((report.number, report.at));
                self.by_ticket.entry(report.number).or_default().insert(index);
            }
        }
    }

    fn judge(&self, world: &World, truth: &Truth, report: &Report) -> (Verdict, Option<usize>) {
        candidates(truth, report)
            .into_iter()
            .map(|index| (self.verdict(world, &truth.problems[index], index, report), Some(index)))
            .min()
            .unwrap_or((Verdict::Nothing, None))
    }

    fn verdict(&self, world: &World, problem: &Problem, index: usize, report: &Report) -> Verdict {
        if !is_cause(world, problem, report) {
            return if problem.must().is_some() { Verdict::Child } else { Verdict::Harmless };
        }
        if problem.old {
            return if report.at < problem.from + FIRST_SIGHT { Verdict::Old } else { Verdict::Arguable };
        }
        match (problem.deserves, self.told.get(&index)) {
            (Deserves::Nothing, _) => Verdict::Harmless,
            // One about a room takes in what was opened for its first device: there is one to work on.
            (_, Some((number, _))) if *number == report.number || self.ended.get(number) == Some(&report.at) => {
                Verdict::Again
            }
            (_, Some(_)) => Verdict::Second,
            (Deserves::Either, None) => Verdict::Arguable,
            (Deserves::Ticket { .. }, None) => Verdict::True,
        }
    }

    /// The problems that a ticket tells of.
    #[must_use]
    pub fn problems_of(&self, ticket: u64) -> Vec<usize> {
        self.by_ticket.get(&ticket).map(|problems| problems.iter().copied().collect()).unwrap_or_default()
    }

    /// The openings that are counted.
    fn counted(&self) -> impl Iterator<Item = &Opening> {
        self.openings.iter().filter(|opening| opening.verdict != Verdict::Again)
    }

    /// What it comes to by `end`.
    #[must_use]
    pub fn figures(&self, world: &World, truth: &Truth, year: &Year, end: Sec) -> Figures {
        let tickets = self.counted().count();
        let count = |wanted: &[Verdict]| self.counted().filter(|it| wanted.contains(&it.verdict)).count();
        let ok = count(&[Verdict::True, Verdict::Arguable]);
        let due = self.due(world, truth, end);
        let missed = due.iter().filter(|(_, missed)| *missed).count();
        let ratio = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let mut waits: Vec<Sec> = self
            .told
            .iter()
            .filter(|(index, _)| truth.problems[**index].must().is_some())
            .map(|(index, (_, at))| (at - truth.problems[*index].from).max(0))
            .collect();
        waits.sort_unstable();
        Figures {
            tickets,
            true_tickets: count(&[Verdict::True]),
            false_ratio: ratio(tickets - ok, tickets),
            missed_ratio: ratio(missed, due.len()),
            child_tickets: count(&[Verdict::Child]),
            median_s: waits.get(waits.len() / 2).copied().unwrap_or(0),
            day_p95: self.day_p95(world, year, end),
        }
    }

    /// Problems for which a ticket is due by `end`, each with whether it has none.
    fn due(&self, world: &World, truth: &Truth, end: Sec) -> Vec<(usize, bool)> {
        let mut due = Vec::new();
        for (index, problem) in truth.problems.iter().enumerate() {
            let Some(by) = problem.must().filter(|_| !problem.old) else { continue };
            let by = truth.excused(truth.building(world, index), problem.from, by);
            let told = self.told.get(&index).map(|(_, at)| *at);
            // What was mended before, for another reason, needs no ticket any more.
            let over = problem.until.is_some_and(|until| until < by) && told.is_none();
            if by < end && !over {
                due.push((index, told.is_none_or(|at| at > by)));
            }
        }
        due
    }

    /// What comes in on other days waits for the next day with school.
    fn day_p95(&self, world: &World, year: &Year, end: Sec) -> usize {
        let technicians = world.technicians();
        let mut days: BTreeMap<(i32, usize), usize> = BTreeMap::new();
        let (first, last) = (crate::year::first_day(), date_at(end - 1));
        for day in (first..=last).filter(|day| year.day(*day).is_some()) {
            (0..technicians).for_each(|technician| {
                days.insert((day, technician), 0);
            });
        }
        for (_, at, building) in &self.given {
            let technician = building / BUILDINGS_EACH;
            let mut day = date_at(*at);
            while day <= last && !year.is_workday(day) {
                day += 1;
            }
            if let Some(count) = days.get_mut(&(day, technician)) {
                *count += 1;
            }
        }
        let mut counts: Vec<usize> = days.into_values().collect();
        counts.sort_unstable();
        counts.get(counts.len() * 95 / 100).copied().unwrap_or(0)
    }

    /// Every opening with what is known of it, what was missed, and how much of what there was.
    #[must_use]
    pub fn explain(&self, world: &World, truth: &Truth, end: Sec) -> String {
        let mut text = String::new();
        let mut sums: BTreeMap<String, usize> = BTreeMap::new();
        for Opening { report, verdict, problem } in &self.openings {
            let of = problem.map_or_else(String::new, |problem| told(world, truth, problem));
            let kind = problem.map_or_else(|| "-".into(), |problem| truth.problems[problem].kind.word());
            *sums.entry(format!("{verdict:?}\t{kind}")).or_default() += 1;
            let at = written(report.at);
            text += &format!("{verdict:?}\t{at}\t#{}\t{}\t{of}\n", report.number, report.title);
        }
        for (index, missed) in self.due(world, truth, end) {
            *sums.entry(format!("due\t{}", truth.problems[index].kind.word())).or_default() += 1;
            if missed {
                let late = self.told.get(&index).map_or("never".into(), |(_, at)| written(*at));
                text += &format!("missed\t{}\t(told {late})\n", told(world, truth, index));
                *sums.entry(format!("missed\t{}", truth.problems[index].kind.word())).or_default() += 1;
            }
        }
        for (what, count) in sums {
            text += &format!("sum\t{count}\t{what}\n");
        }
        text
    }
}

fn told(world: &World, truth: &Truth, index: usize) -> String {
    let problem = &truth.problems[index];
    let place = match &problem.cause {
        Cause::Device(thing) => world.things[*thing].device.name.clone(),
        Cause::Room(building, room) => format!("{}, {room}", world.buildings[*building].name),
        Cause::Building(building) => world.buildings[*building].name.clone(),
    };
    let until = problem.until.map_or("...".into(), written);
    let by = problem.must().map_or(String::new(), |by| format!(", due {}", written(by)));
    format!("{} of {place} from {} to {until}{by}", problem.kind.word(), written(problem.from))
}

/// Problems that a report may be about: there at the time, with such signs, and with a device in common.
fn candidates(truth: &Truth, report: &Report) -> BTreeSet<usize> {
    let all = report.things.iter().flat_map(|thing| truth.of_thing(*thing).iter().copied());
    let fits = |index: &usize| {
        let problem = &truth.problems[*index];
        problem.was_there(report.at, AFTER) && problem.kind.signs().iter().any(|sign| report.signs.contains(sign))
    };
    all.filter(fits).collect()
}

/// Whether a report names what is at fault, and not only what suffers from it.
fn is_cause(world: &World, problem: &Problem, report: &Report) -> bool {
    match &problem.cause {
        Cause::Device(thing) => {
            let building = &world.buildings[world.things[*thing].building];
            // What takes its closet along can be known by the closet alone.
            let of_all = *thing == building.router || *thing == building.core;
            report.things.contains(thing)
                || of_all && (report.things.contains(&building.closet) || report.is_wide)
                || report.is_wide && problem.hits.len() > 3
        }
        Cause::Room(..) | Cause::Building(_) => true,
    }
}
