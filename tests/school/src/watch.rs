//! Who listens to the district: Bellwether's engine, and beside it a plain monitor. Each has a ledger of what it said.

use std::collections::{HashMap, VecDeque};

use bellwether_logic::engine::{Effect, Engine, Input, Settings};
use bellwether_logic::rules::{RuleSet, Severity, TicketKind};
use bellwether_logic::tickets::{About, Ticket, TicketEvent, What};
use bellwether_logic::time::Timestamp;

use crate::plain::Plain;
use crate::problem::Sign;
use crate::score::{Ledger, Report};
use crate::truth::Truth;
use crate::world::World;

/// What heard the year, and what it made of it.
pub struct Watch {
    engine: Engine,
    things: HashMap<String, usize>,
    /// What Bellwether said.
    pub ledger: Ledger,
    /// The plain monitor, and what that said.
    pub plain: Option<(Plain, Ledger)>,
    /// Values in all that was heard.
    pub values: u64,
    /// How many things were heard.
    pub inputs: u64,
    news: VecDeque<(u64, Severity, TicketKind)>,
}

impl Watch {
    /// An engine with these rules, and a plain monitor beside it if that is wanted.
    #[must_use]
    pub fn new(rules: RuleSet, plain: bool, world: &World) -> Self {
        let things = world.things.iter().enumerate().map(|(index, thing)| (thing.device.id.clone(), index)).collect();
        Self {
            engine: Engine::new(rules, Settings::default()),
            things,
            ledger: Ledger::default(),
            plain: plain.then(|| (Plain::new(world), Ledger::default())),
            values: 0,
            inputs: 0,
            news: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn hear(&mut self, now: Timestamp, input: Input, world: &World, truth: &mut Truth) {
        // While the collector was away nobody woke it.
        while let Some(wake) = self.engine.poll_wake().filter(|wake| *wake < now && input != Input::CollectorStarted) {
            self.engine.handle(wake, Input::Wake);
            self.perform(world, truth);
        }
        self.inputs += 1;
        if let Input::Samples { samples, .. } = &input {
            self.values += samples.iter().map(|sample| sample.fields.len() as u64).sum::<u64>();
        }
        if let Some((plain, ledger)) = &mut self.plain {
            for report in plain.hear(now, &input, &self.things, world) {
                ledger.open(world, truth, report);
            }
        }
        self.engine.handle(now, input);
        self.perform(world, truth);
    }

    fn perform(&mut self, world: &World, truth: &Truth) {
        let (mut opened, mut others) = (Vec::new(), Vec::new());
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Ticket(ticket) if ticket.state.is_open() => {
                    let report = self.report(ticket.changed_at, &ticket, world);
                    self.ledger.note_later(report);
                }
                Effect::Ticket(ticket) => self.ledger.end(ticket.number, ticket.changed_at.0 / 1_000),
                Effect::TicketEvent(event) if matches!(event.what, What::Opened { .. } | What::Reopened { .. }) => {
                    let Some(ticket) = self.engine.ticket(event.ticket) else { continue };
                    self.news.push_back((ticket.number, ticket.severity, ticket.kind));
                    opened.push(self.report(event.at, ticket, world));
                }
                Effect::TicketEvent(event) => others.push(event),
                _ => {}
            }
        }
        // What ended in the same moment is known by now.
        opened.into_iter().for_each(|report| self.ledger.open(world, truth, report));
        others.iter().for_each(|event| self.put_off_or_given(event, world));
        self.ledger.note_all(world, truth);
    }

    /// Somebody's day was full, or has room again.
    fn put_off_or_given(&mut self, event: &TicketEvent, world: &World) {
        match event.what.word() {
            "deferred" => self.ledger.put_off(event.ticket),
            "released" => {
                let site = self.engine.ticket(event.ticket).map(|ticket| ticket.site.clone()).unwrap_or_default();
                let building = world.building(&site).unwrap_or(0);
                self.ledger.give(event.ticket, event.at.0 / 1_000, building);
            }
            _ => {}
        }
    }

    fn report(&self, at: Timestamp, ticket: &Ticket, world: &World) -> Report {
        let index = |id: &str| self.things.get(id).copied();
        let mut things: Vec<usize> = ticket.devices_at_fault().filter_map(index).collect();
        things.extend(index(&ticket.device));
        things.sort_unstable();
        things.dedup();
        Report {
            at: at.0 / 1_000,
            number: ticket.number,
            signs: signs(&ticket.category),
            things,
            building: world.building(&ticket.site),
            is_wide: ticket.about != About::Device,
            title: ticket.title.clone(),
        }
    }

    /// Whether a ticket still asks for somebody.
    #[must_use]
    pub fn is_open(&self, ticket: u64) -> bool {
        self.engine.ticket(ticket).is_some_and(|ticket| ticket.state.is_open())
    }

    /// A ticket that is new or came back.
    pub fn take_news(&mut self) -> Option<(u64, Severity, TicketKind)> {
        self.news.pop_front()
    }

    /// What the engine counted, for whoever looks into it.
    #[must_use]
    pub fn counters(&self) -> String {
        format!("{:?}", self.engine.counters())
    }
}

/// What a ticket of a category speaks of.
fn signs(category: &str) -> Vec<Sign> {
    match category {
        "reachability" => vec![Sign::Reach, Sign::Link, Sign::Power],
        "monitoring" => vec![Sign::Mute, Sign::Reach],
        "ups-power" => vec![Sign::Power],
        "ups-battery" => vec![Sign::Power, Sign::Battery],
        "temperature" | "cooling" => vec![Sign::Heat],
        "disk" => vec![Sign::Room],
        "disk-health" | "disk-cable" | "raid" | "storage" => vec![Sign::Disk],
        "battery" => vec![Sign::Battery],
        "hardware" => vec![Sign::Part],
        "poe" | "link" | "uplink" | "interface" => vec![Sign::Link, Sign::Reach],
        "printer" => vec![Sign::Printer],
        "printer-supply" => vec![Sign::Supply],
        "wan" | "service" | "power" => vec![Sign::Reach, Sign::Power],
        // A category that is new here is taken at its word.
        _ => vec![
            Sign::Reach,
            Sign::Power,
            Sign::Heat,
            Sign::Room,
            Sign::Disk,
            Sign::Battery,
            Sign::Printer,
            Sign::Supply,
            Sign::Part,
            Sign::Mute,
            Sign::Link,
        ],
    }
}
