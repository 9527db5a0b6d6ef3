//! How tickets are handled: what is known around each is gathered here, at the end of every turn for those that changed, and
//! whenever class begins, tests come near or a clock is up.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

use super::{Engine, Snapshot};
use crate::calendar::School;
use crate::device::Class;
use crate::responsibilities::{Cell, Responsibilities, VENDOR_TIME};
use crate::rules::{Rule, Severity};
use crate::tickets::{About, Around, Facts, Line, Reach, TESTING_AHEAD, Ticket};
use crate::time::Timestamp;
use crate::timer::Purpose;

impl Engine {
    /// Who looks after what.
    #[must_use]
    pub const fn responsibilities(&self) -> &Responsibilities {
        &self.state.matrix
    }

    /// Who has the machine-made tickets of a building, class and category, as one word.
    #[must_use]
    pub fn owner_key(&self, now: Timestamp, site: &str, class: Option<Class>, category: &str) -> String {
        self.state.matrix.owner_key(now, site, class, category)
    }

    /// Somebody has written who looks after what. One that can't be followed is not taken: the one before stands.
    pub(super) fn take_matrix(&mut self, matrix: Option<Box<Responsibilities>>) {
        let matrix = matrix.map_or_else(Responsibilities::default, |matrix| *matrix);
        if !matrix.is_sound() {
            self.state.counters.matrices_refused += 1;
        } else if self.state.matrix != matrix {
            self.state.matrix = matrix;
            // What is put off may be somebody else's.
            self.freed = true;
            self.look_at_all("");
        }
    }

    /// What tickets of a building depend on may be otherwise now; of an empty name: of every building.
    pub(super) fn look_at_all(&mut self, site: &str) {
        let open = self.state.tickets.iter().filter(|ticket| ticket.state.is_open());
        self.to_attend.extend(open.filter(|ticket| site.is_empty() || ticket.site == site).map(|it| it.number));
    }

    /// Brings the handling of every ticket that needs it in line with what is known.
    pub(super) fn attend(&mut self, now: Timestamp) {
        let mut numbers: BTreeSet<u64> = core::mem::take(&mut self.to_attend);
        numbers.extend(self.state.tickets.changed());
        for number in numbers {
            let Some(facts) = self.state.tickets.get(number).map(|ticket| self.facts(now, ticket)) else { continue };
            let Snapshot { tickets, book, matrix, timers, .. } = &mut self.state;
            let Some(ticket) = tickets.get(number) else { continue };
            let (site, category) = (ticket.site.clone(), ticket.category.clone());
            let school = book.school(&site);
            let cell = Cell { site: &site, class: facts.class, category: &category };
            let vendor = matrix.vendor(cell).map(|vendor| (vendor.name.clone(), vendor.time));
            let around = Around {
                owner: matrix.owner(now, cell),
                vendor: vendor.unwrap_or((String::new(), VENDOR_TIME)),
                turns: turns(now, school, &facts),
                facts,
                school,
            };
            let next = tickets.attend(now, number, &around);
            timers.set(Purpose::Ticket { number }, next);
        }
    }

    fn facts(&self, now: Timestamp, ticket: &Ticket) -> Facts {
        let rule = |line: &Line| self.state.rules.get(&line.fault.rule);
        let at_fault: BTreeSet<&str> = ticket.devices_at_fault().collect();
        let left = || ticket.lines.iter().filter(|line| !line.is_over());
        let outage = left().filter_map(rule).any(Rule::is_outage);
        let away = ticket.affected.iter().filter(|affected| affected.back_at.is_none()).count();
        let away = away.saturating_add(usize::try_from(ticket.affected_more).unwrap_or(usize::MAX));
        let below = if outage { 0 } else { at_fault.iter().map(|device| self.below(device).len()).sum() };
        let school = self.state.book.school(&ticket.site);
        let in_class = school.is_some_and(|school| school.covers(now) && school.in_session(now));
        let matters = outage && ticket.severity >= Severity::Major;
        Facts {
            reach: match ticket.about {
                About::Device | About::Model { .. } => Reach::Devices,
                About::Room => Reach::Room,
                About::Building => Reach::Building,
            },
            class: self.class_of(ticket),
            severity: ticket.severity,
            safety: left().any(|line| line.safety),
            outage,
            devices: at_fault.len(),
            away,
            below,
            met_class: self.state.tickets.met_class(ticket.number) || (in_class && matters),
            testing: school.and_then(|school| school.testing_near(now, TESTING_AHEAD)).map(ToString::to_string),
        }
    }

    /// The class that all of a ticket's devices are of.
    fn class_of(&self, ticket: &Ticket) -> Option<Class> {
        let class = |id: &str| self.state.devices.get(id).map(|watched| watched.device.class);
        let mut classes = ticket.devices().filter_map(class);
        let first = classes.next()?;
        classes.all(|class| class == first).then_some(first)
    }
}

/// When class begins or tests come near, as far as that presses.
fn turns(now: Timestamp, school: Option<School<'_>>, facts: &Facts) -> Option<Timestamp> {
    let school = school.filter(|_| facts.severity >= Severity::Major)?;
    let opening = school.opening(now);
    let class = (facts.outage && !facts.met_class && opening > now && school.covers(opening)).then_some(opening);
    class.into_iter().chain(school.testing_turn(now, TESTING_AHEAD)).min()
}
