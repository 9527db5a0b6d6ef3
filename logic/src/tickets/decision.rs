//! What stands on a ticket of repair or replacement: what is advised, what a person says instead, and what helped before.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::act::written;
use super::{Actor, Refusal, Ticket, Tickets, What};
use crate::life::{Advice, Confidence, Course, Decision, Fix, Overruled};
use crate::rules::TicketKind;
use crate::time::Timestamp;

impl Tickets {
    /// The tickets of which something happened since this was last asked.
    pub(crate) fn take_undecided(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.undecided).into_iter().collect()
    }

    /// Something has become known: every open ticket is decided anew.
    pub(crate) fn decide_anew(&mut self) {
        let open = self.tickets.values().filter(|ticket| ticket.state.is_open()).map(|ticket| ticket.number);
        self.undecided.extend(open);
    }

    /// Puts on a ticket what is advised, none if it is not about hardware, and what helped before. What a person has
    /// decided stays; other advice than before is told in the history.
    pub(crate) fn advise(&mut self, now: Timestamp, number: u64, advice: Option<Advice>, part: &str, fixes: Vec<Fix>) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        let before = ticket.decision.take();
        let decision = merged(now, before.as_deref(), advice, part);
        let flips = before.as_ref().zip(decision.as_ref()).filter(|(before, after)| before.course != after.course);
        let what = flips.map(|(before, after)| What::AdviceChanged {
            from: before.course.text(&before.part),
            to: after.course.text(&after.part),
            because: after.reasons.first().cloned().unwrap_or_default(),
        });
        let news = before.as_deref() != decision.as_ref() || ticket.fixes != fixes;
        ticket.decision = decision.map(Into::into);
        ticket.fixes = fixes;
        ticket.summarise();
        if news {
            self.changed.insert(number);
        }
        if let Some(what) = what {
            self.record(now, number, Actor::Bellwether, what);
            self.undecided.remove(&number);
        }
    }
}

fn merged(now: Timestamp, before: Option<&Decision>, advice: Option<Advice>, part: &str) -> Option<Decision> {
    let overruled = before.and_then(|before| before.overruled.clone());
    let Some(advice) = advice else {
        let advised = overruled.map(|overruled| Overruled { advised: None, ..overruled });
        return before.filter(|_| advised.is_some()).map(|before| Decision { overruled: advised, ..before.clone() });
    };
    let course = before.filter(|_| overruled.is_some()).map_or(advice.course, |before| before.course);
    let since = before.filter(|before| before.course == course).map_or(now, |before| before.since);
    Some(Decision {
        course,
        part: part.to_string(),
        reasons: advice.reasons,
        missing: advice.missing,
        confidence: advice.confidence,
        cost_cents: advice.cost_cents,
        value_cents: advice.value_cents,
        since,
        overruled: overruled.map(|overruled| Overruled { advised: Some(advice.course), ..overruled }),
    })
}

impl Ticket {
    /// A person says what to do, whatever is advised; none: what is advised counts again.
    pub(super) fn decide(
        &mut self,
        now: Timestamp,
        actor: &str,
        course: Option<Course>,
        because: &str,
    ) -> Result<What, Refusal> {
        if !self.state.is_open() {
            return Err(Refusal::Ended(self.state));
        }
        if self.lines_kind() == TicketKind::Supply {
            return Err(Refusal::NothingToDecide);
        }
        let because = written(because)?;
        let before = self.decision.as_deref();
        let part = before.map(|before| before.part.clone()).unwrap_or_default();
        let advised = before.and_then(Decision::advised);
        let overruled = Overruled { by: actor.to_string(), at: now, because: because.clone(), advised };
        let Some(course) = course else {
            let before = before.filter(|before| before.overruled.is_some()).ok_or(Refusal::NothingToDecide)?;
            let taken_back =
                before.advised().map(|course| Decision { course, since: now, overruled: None, ..before.clone() });
            self.decision = taken_back.map(Into::into);
            self.summarise();
            return Ok(What::DecisionWithdrawn { because });
        };
        let decision = match before {
            Some(before) => Decision { course, since: now, overruled: Some(overruled), ..before.clone() },
            None => bare(now, course, overruled),
        };
        self.decision = Some(decision.into());
        self.summarise();
        Ok(What::Decided { course: course.text(&part), because })
    }
}

fn bare(now: Timestamp, course: Course, overruled: Overruled) -> Decision {
    Decision {
        course,
        part: String::new(),
        reasons: Vec::new(),
        missing: Vec::new(),
        confidence: Confidence::Low,
        cost_cents: None,
        value_cents: None,
        since: now,
        overruled: Some(overruled),
    }
}
