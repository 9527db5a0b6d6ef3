//! What a run of records comes to: everything that one transaction commits.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_journal::Position;
use bellwether_logic::device::{Class, LifeState};
use bellwether_logic::engine::Effect;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{
    AgentConfigured, AgentConnected, AgentLeft, BatchReceived, CalendarSet, DayChanged, DeviceChanged, DeviceFound,
    LifeFactsSet, LifeTableSet, LinkSet, NeighborhoodSeen, ProposalJudged, ResponsibilitiesSet, record,
};

use super::received::Received;
use crate::figures;
use crate::state::StateError;
use crate::state::engine::{EngineTx, ReceiptRow};

/// What a run of records comes to, in the order of the records.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Where the run ends.
    pub(super) end: Position,
    /// Whether it ends with a start of the collector.
    pub(super) starts: bool,
    /// What is to be done.
    pub(super) deeds: Vec<Deed>,
    /// Which of them is the last word on a ticket.
    tickets: BTreeMap<u64, usize>,
    /// Generations that something was received of, and when.
    received: BTreeMap<(String, u64), Timestamp>,
    /// Generations that made room for others.
    forgotten: BTreeSet<(String, u64)>,
    /// Devices that something was heard of, and when last.
    seen: BTreeMap<String, Timestamp>,
}

/// One thing to be done.
#[derive(Debug)]
pub(super) enum Deed {
    Calendar(Timestamp, Box<CalendarSet>),
    Configured(AgentConfigured),
    Connected(Timestamp, AgentConnected),
    Day(Timestamp, DayChanged),
    Device(Timestamp, Box<DeviceChanged>),
    Effect(Effect),
    Found(Timestamp, Box<DeviceFound>),
    Judged(ProposalJudged),
    LifeFacts(Timestamp, Box<LifeFactsSet>),
    LifeTable(Timestamp, Box<LifeTableSet>),
    Left(Timestamp, AgentLeft),
    Link(Timestamp, LinkSet),
    Map(Timestamp),
    Neighborhood(Timestamp, Box<NeighborhoodSeen>),
    Nobody(Timestamp),
    Responsibilities(Timestamp, Box<ResponsibilitiesSet>),
}

impl Chunk {
    /// Notes the facts of a record that need no deciding.
    pub(super) fn note(&mut self, at: Timestamp, body: record::Body, received: &mut Received) {
        match body {
            record::Body::Batch(batch) => self.note_batch(at, batch, received),
            record::Body::Connected(connected) => {
                let offset_ms = connected.clock_offset_ms;
                let row = self.touch(at, &connected.device_id, connected.generation, offset_ms, received);
                row.clock_offset_ms = offset_ms;
                self.deeds.push(Deed::Connected(at, connected));
            }
            record::Body::Configured(result) => self.deeds.push(Deed::Configured(result)),
            record::Body::Left(left) => self.deeds.push(Deed::Left(at, left)),
            record::Body::Device(changed) if is_known(&changed) => {
                self.deeds.push(Deed::Device(at, Box::new(changed)));
            }
            record::Body::Found(found) => self.deeds.push(Deed::Found(at, Box::new(found))),
            record::Body::Judged(judged) => self.deeds.push(Deed::Judged(judged)),
            record::Body::Neighborhood(seen) => self.deeds.push(Deed::Neighborhood(at, Box::new(seen))),
            record::Body::Link(link) => self.deeds.push(Deed::Link(at, link)),
            record::Body::LifeFacts(set) => self.deeds.push(Deed::LifeFacts(at, Box::new(set))),
            record::Body::LifeTable(set) => self.deeds.push(Deed::LifeTable(at, Box::new(set))),
            record::Body::Calendar(set) => self.deeds.push(Deed::Calendar(at, Box::new(set))),
            record::Body::Responsibilities(set) => self.deeds.push(Deed::Responsibilities(at, Box::new(set))),
            record::Body::Day(day) => self.deeds.push(Deed::Day(at, day)),
            record::Body::Started(_) => self.deeds.push(Deed::Nobody(at)),
            record::Body::Device(_)
            | record::Body::Ticket(_)
            | record::Body::Stopped(_)
            | record::Body::Hanging(_)
            | record::Body::Raised(_)
            | record::Body::Planned(_)
            | record::Body::PlanEnded(_)
            | record::Body::Wake(_)
            | record::Body::Series(_)
            | record::Body::Revoked(_) => {}
        }
    }

    fn note_batch(&mut self, at: Timestamp, batch: BatchReceived, received: &mut Received) {
        let offset_ms = batch.clock_offset_ms;
        let (Some(identity), Some(batch)) = (batch.identity, batch.batch) else { return };
        self.touch(at, &identity.device_id, batch.generation, offset_ms, received).ranges.insert(batch.sequence);
    }

    /// Notes what the engine wants done. Of a ticket only its last state counts: an outage of thousands of devices tells it
    /// thousands of times.
    pub(super) fn decided(&mut self, effect: Effect) {
        if let Effect::Ticket(ticket) = &effect {
            if let Some(place) = self.tickets.get(&ticket.number) {
                self.deeds[*place] = Deed::Effect(effect);
                return;
            }
            self.tickets.insert(ticket.number, self.deeds.len());
        }
        self.deeds.push(Deed::Effect(effect));
    }

    /// Something was heard of a device.
    pub(super) fn saw(&mut self, at: Timestamp, device: &str) {
        self.seen.insert(device.to_owned(), at);
    }

    /// A generation's row, noted as changed.
    fn touch<'a>(
        &mut self,
        at: Timestamp,
        device: &str,
        generation: u64,
        offset_ms: i64,
        received: &'a mut Received,
    ) -> &'a mut ReceiptRow {
        let (row, forgotten) = received.touch(device, generation, offset_ms);
        if let Some(forgotten) = forgotten {
            self.received.remove(&(device.to_owned(), forgotten));
            self.forgotten.insert((device.to_owned(), forgotten));
        }
        let key = (device.to_owned(), generation);
        self.forgotten.remove(&key);
        self.received.insert(key, at);
        row
    }

    /// Does it all, inside the transaction. Says of which devices it is another now who reaches them.
    pub(super) fn perform(&self, tx: &EngineTx<'_>, received: &Received) -> Result<BTreeSet<String>, StateError> {
        let mut rereached = BTreeSet::new();
        for deed in &self.deeds {
            match deed {
                Deed::Calendar(at, set) => tx.put_calendar(*at, set)?,
                Deed::Day(at, day) => tx.put_day(*at, day)?,
                Deed::Configured(result) => tx.put_configured(result)?,
                Deed::Connected(at, connected) => tx.put_connected(*at, connected)?,
                Deed::Device(at, changed) => {
                    tx.put_device(*at, changed)?;
                    rereached.extend(changed.watch.as_ref().map(|_| changed.device_id.clone()));
                }
                Deed::Found(at, found) => {
                    rereached.extend(tx.put_found(*at, found)?);
                    rereached.extend(Some(found.device_id.clone()).filter(|device| !device.is_empty()));
                }
                Deed::Judged(judged) => tx.put_judged(judged)?,
                Deed::LifeFacts(at, set) => tx.put_life_facts(*at, set)?,
                Deed::LifeTable(at, set) => tx.put_life_table(*at, set)?,
                Deed::Left(at, left) => tx.put_left(*at, left)?,
                Deed::Link(at, link) => tx.put_link(*at, link)?,
                Deed::Map(at) => tx.draw_map(*at)?,
                Deed::Neighborhood(at, seen) => tx.put_neighborhood(*at, seen)?,
                Deed::Nobody(at) => tx.put_nobody_connected(*at)?,
                Deed::Responsibilities(at, set) => tx.put_responsibilities(*at, set)?,
                Deed::Effect(effect) => tx.put_effect(effect)?,
            }
        }
        for (device, at) in &self.seen {
            tx.put_seen(*at, device)?;
        }
        for ((device, generation), at) in &self.received {
            if let Some(receipt) = received.get(device, *generation) {
                tx.put_receipt(*at, receipt)?;
            }
        }
        for (device, generation) in &self.forgotten {
            tx.forget_receipt(device, *generation)?;
        }
        Ok(rereached)
    }

    /// The devices that changed, and when.
    pub(super) fn devices(&self) -> impl Iterator<Item = (Timestamp, &DeviceChanged)> {
        self.deeds.iter().filter_map(|deed| match deed {
            Deed::Device(at, changed) => Some((*at, changed.as_ref())),
            _ => None,
        })
    }

    /// Whether the map is drawn.
    pub(super) fn draws(&self) -> bool {
        self.deeds.iter().any(|deed| matches!(deed, Deed::Map(_)))
    }

    /// How many of the engine's effects there are.
    pub(super) fn effects(&self) -> usize {
        self.deeds.iter().filter(|deed| matches!(deed, Deed::Effect(_))).count()
    }
}

/// A device whose words are not on their lists would make the inventory unreadable.
fn is_known(changed: &DeviceChanged) -> bool {
    let known = changed.class.parse::<Class>().is_ok() && changed.state.parse::<LifeState>().is_ok();
    if !known {
        figures::refused("unknown_word");
    }
    known
}
