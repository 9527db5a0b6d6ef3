//! Repair or replacement, inside the engine: what becomes known of devices, what was repaired, and what follows for tickets.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Effect, Engine, Snapshot};
use crate::batch::Lane;
use crate::device::Device;
use crate::life::{Advice, Case, Fix, Known, Life, bears_on_life, civil, decide, is_hardware, repair_of};
use crate::sample::Sample;
use crate::tickets::{About, Ticket};
use crate::time::Timestamp;

impl Engine {
    /// What is known and assumed of devices' lives.
    #[must_use]
    pub const fn life(&self) -> &Life {
        &self.state.life
    }

    /// A new day: what depends on dates is decided anew.
    pub(super) fn turn_day(&mut self, now: Timestamp) {
        if self.state.life.turn_to(civil::day_of(now)) {
            self.state.tickets.decide_anew();
        }
    }

    /// Facts became known, or other things are assumed.
    pub(super) fn learn(&mut self, known: Known) {
        self.state.counters.facts_refused += self.state.life.learn(known);
        self.state.tickets.decide_anew();
    }

    /// A device says something that bears on its life.
    pub(super) fn notice(&mut self, device: &str, lane: Lane, samples: &[Sample]) {
        if lane == Lane::Backfill || !samples.iter().any(bears_on_life) || !self.state.devices.contains_key(device) {
            return;
        }
        if let Some(seen) = self.state.life.notice(device, samples) {
            let told = Effect::DeviceTold { device: device.to_string(), seen: Box::new(seen.clone()) };
            self.state.effects.push_back(told);
        }
    }

    /// A person closed a ticket: what they wrote is remembered.
    pub(super) fn remember(&mut self, now: Timestamp, number: u64) {
        let Snapshot { tickets, devices, life, .. } = &mut self.state;
        let Some(ticket) = tickets.get(number) else { return };
        let Some(note) = ticket.repair.as_ref() else { return };
        let model = model_of(ticket, devices.get(&ticket.device).map(|watched| &watched.device));
        let fix = Fix {
            at: now,
            ticket: number,
            fault: note.fault.clone(),
            action: note.action.clone(),
            part: note.part.clone(),
            minutes: note.minutes,
            cost_cents: note.cost_cents,
        };
        let mut rules: Vec<&str> = ticket.lines.iter().map(|line| line.fault.rule.as_str()).collect();
        rules.sort_unstable();
        rules.dedup();
        let repair = repair_of(life.table(), ticket, note, now);
        for rule in rules {
            life.memory_mut().remember_fix(rule, model, fix.clone());
        }
        if let Some(repair) = repair {
            life.memory_mut().remember_repair(&ticket.device, repair);
            tickets.decide_anew();
        }
    }

    /// Decides each ticket of which something happened in this turn.
    pub(super) fn decide_tickets(&mut self, now: Timestamp) {
        let Snapshot { tickets, devices, life, .. } = &mut self.state;
        for number in tickets.take_undecided() {
            let Some(ticket) = tickets.get(number).filter(|ticket| ticket.state.is_open()) else { continue };
            let device = devices.get(&ticket.device).map(|watched| &watched.device);
            let (advice, part, fixes) = look_up(life, ticket, device);
            tickets.advise(now, number, advice, &part, fixes);
        }
    }
}

fn look_up(life: &Life, ticket: &Ticket, device: Option<&Device>) -> (Option<Advice>, String, Vec<Fix>) {
    let leading = ticket.leading();
    let model = model_of(ticket, device);
    let fixes = leading.map(|line| life.memory().fixes(&line.fault.rule, model)).unwrap_or_default();
    let Some(device) = device.filter(|_| ticket.about == About::Device && is_hardware(life.table(), ticket)) else {
        return (None, String::new(), fixes);
    };
    let table = life.table();
    let repair = table.repairs.get(&ticket.category);
    let os = life.os_end(&device.id);
    let case = Case {
        today: life.today(),
        facts: &life.facts(&device.id, model),
        class: table.classes.get(&device.class),
        shipped: ticket.lines_kind(),
        repair,
        assumed_cents: repair.map(|repair| table.repair_cents(repair)),
        last_cents: median_cost(life, &fixes),
        repairs: life.memory().repairs(&device.id, life.today()),
        os: os.as_ref().map(|(name, end)| (name.as_str(), *end)),
        readings: leading.map(|line| line.worst.readings.as_slice()).unwrap_or_default(),
    };
    let part = repair.map(|repair| repair.part.clone()).unwrap_or_default();
    (Some(decide(&case)), part, fixes)
}

/// What the middle one of the last fixes cost, of those whose cost was written down.
fn median_cost(life: &Life, fixes: &[Fix]) -> Option<u32> {
    let cost = |fix: &Fix| fix.cost_cents.map(|cents| cents.saturating_add(life.table().labor_cents(fix.minutes)));
    let mut costs: Vec<u32> = fixes.iter().filter_map(cost).collect();
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied()
}

/// The model that a ticket is about; empty: that is not known, or it is about more than one.
fn model_of<'ticket>(ticket: &'ticket Ticket, device: Option<&'ticket Device>) -> &'ticket str {
    match &ticket.about {
        About::Model { model, .. } => model,
        About::Device => device.map_or("", |device| &device.model),
        About::Room | About::Building => "",
    }
}
