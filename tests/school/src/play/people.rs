//! Technicians: they read a ticket, come when they can with what it takes, mend what is wrong, and close it. What nobody can
//! mend, such as a power cut, they leave to itself.

use bellwether_logic::engine::Input;
use bellwether_logic::rules::{Severity, TicketKind};
use bellwether_logic::tickets::{Action, RepairNote};

use super::{Event, Play};
use crate::dates::{DAY, HOUR, Sec};

/// Working hours between two looks at a ticket whose cause is not theirs to mend.
const LOOK_AGAIN: Sec = 4 * HOUR;

impl Play {
    pub(super) fn read_ticket(&mut self, ticket: u64, severity: Severity, kind: TicketKind) {
        let hours = match severity {
            Severity::Critical => self.dice.between(0.4, 2.0),
            Severity::Major => self.dice.between(1.0, 7.0),
            _ => self.dice.between(4.0, 20.0),
        };
        // Parts come within days, toner within two.
        let parts = match kind {
            TicketKind::Repair => 0,
            TicketKind::Supply => DAY,
            TicketKind::Replacement => self.dice.whole(1, 6) * DAY,
        };
        let there = self.year.after_work(self.now + parts, (hours * HOUR as f64) as Sec);
        self.plan(there, Event::Visit(ticket));
    }

    pub(super) fn visit(&mut self, ticket: u64) {
        if self.collector_away || !self.watch.is_open(ticket) {
            return;
        }
        let (mut mended, mut left) = (false, false);
        for problem in self.watch.ledger.problems_of(ticket) {
            let it = &self.truth.problems[problem];
            if it.until.is_none() && it.mendable {
                self.mend(problem);
                mended = true;
            } else if it.until.is_none() {
                left = true;
            }
        }
        if left {
            let again = self.year.after_work(self.now, LOOK_AGAIN);
            self.plan(again, Event::Visit(ticket));
            return;
        }
        let (fault, action) = if mended { ("as reported", "mended") } else { ("none found", "looked at it") };
        let note = RepairNote { fault: fault.into(), action: action.into(), minutes: 20, ..RepairNote::default() };
        let actor = "technician".to_owned();
        self.tell(Input::Act { ticket, actor, action: Action::Close(note) });
    }
}
