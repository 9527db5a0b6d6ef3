//! What is said to the collector, and what it answers.

use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_logic::uplink::{Pace, Receipt};
use bellwether_proto::batch::{self, Encoder};
use bellwether_proto::v1::agent_message::Body as ToCollector;
use bellwether_proto::v1::collector_message::Body as FromCollector;
use bellwether_proto::v1::{self, Hello, Welcome};

use super::timers::Timer;
use super::{Agent, whole_chain};
use crate::privacy::place::Ends;
use crate::uplink::{self, LinkError};

/// A wall clock this near to the collector's is right enough to judge the age of what waits.
const CLOCK_RIGHT_MS: u64 = 300_000;

/// Elsewhere the agent calls once a day, and when the machine comes to another network.
const UNTIL_TOMORROW: Duration = Duration::from_secs(86_400);

impl Agent {
    pub(super) fn call(&mut self) {
        // With another configuration a stream is begun anew.
        self.hang_up();
        // A hello tells one clock for a generation: it must be the clock of now.
        self.watch_clock(self.hands.clock.now());
        let attempt = self.backoff.failures() as usize;
        let endpoints = &self.identity.endpoints;
        let Some(endpoint) = endpoints.get(attempt % endpoints.len().max(1)) else { return };
        self.called.clone_from(endpoint);
        let opening = self.uplink.begin_stream();
        let hello = Hello {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: opening.generation,
            boot_id: self.hands.clock.boot_id().to_owned(),
            // Set when it is sent.
            now_unix_ms: 0,
            interval_s: u32::try_from(self.config.interval.as_secs()).unwrap_or(u32::MAX),
            config_revision: self.remote.revision(),
            live_from: opening.live_from,
            held: opening.held.iter().map(|held| v1::Receipt::new(held.generation, &held.ranges)).collect(),
            hostname: self.hostname(),
            hardware: Some(self.renewer.hardware().clone()),
            trusted_cas: self.renewer.trusted_cas(),
        };
        self.encoder = Encoder::new();
        self.surroundings = None;
        self.hands.host.vitals().note_end();
        self.link = Some((self.hands.dial)(endpoint.clone(), self.renewer.proof(), hello));
    }

    pub(super) fn handle_welcome(&mut self, welcome: &Welcome, ends: Option<Ends>) {
        tracing::info!(version = welcome.collector_version, "connected to the collector");
        self.complaints.clear();
        self.backoff.succeeded();
        self.generation.welcomed = true;
        self.spool.handle_heard(self.generation.number);
        if let Some(ends) = ends {
            self.handle_ends(ends);
        }
        self.renewer.handle_welcome(Timestamp(welcome.now_unix_ms), self.hands.clock.now().boot);
        self.plan_renewal();
        let received = receipts(&welcome.received);
        self.spool.handle_ack(&received);
        let pace = Pace { window: welcome.backfill_window, per_s: welcome.backfill_per_s };
        self.uplink.handle_welcome(self.lane_time(), &received, pace);
        let wall = self.hands.clock.now().wall;
        self.hands.host.vitals().note_clock(wall.0.saturating_sub(welcome.now_unix_ms));
        if wall.0.abs_diff(welcome.now_unix_ms) < CLOCK_RIGHT_MS {
            let gone = self.spool.drop_older(Timestamp(welcome.now_unix_ms));
            self.forget(&gone);
        }
        self.confirm_configuration();
        self.say_states_again();
        self.say_surroundings();
        self.may_send = true;
    }

    pub(super) fn handle_message(&mut self, message: &FromCollector) {
        match message {
            FromCollector::Ack(ack) => {
                let receipts = receipts(&ack.receipts);
                self.spool.handle_ack(&receipts);
                self.uplink.handle_ack(&receipts);
                self.hands.host.vitals().note_acknowledged(&receipts, self.hands.clock.now().boot);
            }
            FromCollector::SlowDown(wish) => {
                self.uplink.handle_pace(Pace { window: wish.backfill_window, per_s: wish.backfill_per_s });
            }
            FromCollector::Configuration(configuration) => self.handle_configuration(configuration),
            FromCollector::Contacts(contacts) => self.handle_contacts(contacts),
            FromCollector::Assignments(assignments) => self.handle_assignments(assignments),
            FromCollector::Welcome(_) => tracing::debug!("a second welcome"),
        }
        self.may_send = true;
    }

    pub(super) fn handle_end(&mut self, error: &LinkError) {
        let wait = if self.is_done_for_today() { UNTIL_TOMORROW } else { self.backoff.next_wait(rand::random()) };
        self.hang_up();
        self.timers.set(Timer::Call, wait);
        if matches!(error, LinkError::Expired(_)) {
            self.renewer.handle_expired();
            self.plan_renewal();
        }
        let text = whole_chain(error);
        if self.complaints.is_new(&text) {
            tracing::warn!(error = text, "not connected; trying again, readings wait in the spool");
        }
    }

    /// Sends what the lanes name next; there is room for it.
    pub(super) fn send_next(&mut self) {
        if self.send_state() {
            return;
        }
        let Some((id, lane)) = self.uplink.poll_send(self.lane_time()) else {
            self.may_send = false;
            if let Some(at) = self.uplink.poll_wake() {
                self.timers.set(Timer::Pace, at.since(self.lane_time()));
            }
            return;
        };
        let samples = self.spool.read(id).and_then(|batch| batch::decode_alone(&batch).ok());
        let Some(samples) = samples else {
            tracing::warn!(sequence = id.sequence, "a batch in the spool can't be read any more");
            self.uplink.handle_dropped(id);
            return;
        };
        if !self.encoder.fits(&samples) {
            // A new stream has a new dictionary; what was not acknowledged goes by it.
            return self.call();
        }
        let batch = self.encoder.encode(id, lane, &samples);
        self.hands.host.vitals().note_sent(id, self.hands.clock.now().boot);
        let outgoing = self.link.as_ref().and_then(|link| link.outgoing.as_ref());
        if outgoing.is_none_or(|outgoing| outgoing.try_send(uplink::message(ToCollector::Batch(batch))).is_err()) {
            // There was room, so the stream has just ended; its end is the next event.
            self.may_send = false;
        }
    }

    /// The machine's hostname, if the admin's pattern lets it leave.
    fn hostname(&self) -> String {
        let hostname = self.hands.host.word("proc/sys/kernel/hostname").unwrap_or_default();
        let may_leave = self.config.hostname.as_ref().is_some_and(|pattern| pattern.matches(&hostname));
        if may_leave { hostname } else { String::new() }
    }

    /// The time of the lanes: the boot clock, because a pace has nothing to do with the time of day.
    pub(super) fn lane_time(&self) -> Timestamp {
        Timestamp(i64::try_from(self.hands.clock.now().boot.as_millis()).unwrap_or(i64::MAX))
    }
}

fn receipts(receipts: &[v1::Receipt]) -> Vec<Receipt> {
    receipts.iter().map(|receipt| Receipt { generation: receipt.generation, ranges: receipt.sequences() }).collect()
}
