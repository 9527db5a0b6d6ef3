//! Rounds of readings: asked for at each tick, gathered, spooled as batches.

use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::{Alone, BatchId, Lane};
use bellwether_proto::schema as declared;

use super::looker::Look;
use super::reader::Readings;
use super::timers::Timer;
use super::{Agent, Round, whole_chain};
use crate::privacy::off_site;
use crate::privacy::place::Place;

/// A round of readings is closed after this at the latest, with what there is.
const ROUND_MAX: Duration = Duration::from_secs(8);

/// Rows of one batch: far below the wire's limits, and an ordinary machine has a tenth of it.
pub(super) const ROWS_PER_BATCH: usize = 1_024;

impl Agent {
    pub(super) fn begin_round(&mut self) {
        let now = self.hands.clock.now();
        self.watch_clock(now);
        self.watch_place();
        self.say_surroundings();
        self.close_round();
        let first = !std::mem::replace(&mut self.ticked, true);
        // The first reading comes out of turn; it bears its own second, not a minute that it does not belong to.
        let time = if first { Timestamp(now.wall.0 - now.wall.0.rem_euclid(1_000)) } else { self.ticks.time(now.wall) };
        self.timers.set(Timer::Tick, self.ticks.wait(now.wall));
        if !self.wants_reading(now.wall) {
            return;
        }
        self.timers.set(Timer::Round, ROUND_MAX.min(self.config.interval / 5 * 4));
        let waits_for_sources = self.reader.ask(time, self.place);
        let waits_for_probes = self.looker.as_ref().is_some_and(|looker| {
            self.hands.host.vitals().note_round();
            looker.ask(time)
        });
        if !waits_for_sources && self.complaints.is_new("sources") {
            tracing::warn!("a source of the last round still has not answered");
        }
        self.round = Some(Round { time, samples: Vec::new(), waits_for_sources, waits_for_probes });
    }

    pub(super) fn handle_readings(&mut self, readings: Readings) {
        if readings.of_round && !std::mem::replace(&mut self.primed, true) {
            return;
        }
        let mut samples = Vec::new();
        for mut report in readings.reports {
            samples.extend(self.told.row(&mut report, readings.time));
            samples.append(&mut report.reading.samples);
            for problem in report.reading.problems {
                tracing::debug!(source = report.source, problem = problem.text, "a source met a problem");
            }
        }
        if readings.of_round {
            samples.push(self.spool.sample(readings.time));
            self.add(samples, |round| round.waits_for_sources = false);
        } else {
            // With the round if one is under way: no round waits for it, but each batch costs the line its frame.
            self.add(samples, |_| ());
        }
    }

    pub(super) fn handle_look(&mut self, look: Look) {
        self.hands.host.vitals().note_problems(look.problems.len());
        for problem in &look.problems {
            let text = whole_chain(problem);
            if self.complaints.is_new(&text) {
                tracing::warn!(problem = text, "targets are not pinged");
            }
        }
        // What a late answer ends is a round that is closed already.
        self.add(look.samples, |round| round.waits_for_probes &= look.round_done != Some(round.time));
    }

    /// Adds samples to the round; what comes after its round was closed is a batch of its own.
    pub(super) fn add(&mut self, samples: Vec<Sample>, done: impl FnOnce(&mut Round)) {
        let Some(round) = &mut self.round else { return self.spool_samples(samples) };
        round.samples.extend(samples);
        done(round);
        if !round.waits_for_sources && !round.waits_for_probes {
            self.close_round();
        } else if round.samples.len() >= ROWS_PER_BATCH {
            // A closet's worth of targets does not wait in memory.
            let samples = std::mem::take(&mut round.samples);
            self.spool_samples(samples);
        }
    }

    pub(super) fn close_round(&mut self) {
        self.timers.clear(Timer::Round);
        if let Some(round) = self.round.take() {
            self.spool_samples(round.samples);
        }
    }

    pub(super) fn spool_samples(&mut self, mut samples: Vec<Sample>) {
        if self.place == Place::Elsewhere {
            samples = off_site(samples);
        }
        samples.retain(|sample| self.is_declared(sample));
        for samples in samples.chunks(ROWS_PER_BATCH) {
            self.spool_batch(samples);
        }
    }

    /// The last gate: what is not declared does not leave, whatever a source made.
    pub(super) fn is_declared(&self, sample: &Sample) -> bool {
        let verdict = declared::check(&self.declared, sample);
        if let Err(error) = &verdict {
            tracing::error!(%error, "a sample that is not declared was not sent");
        }
        verdict.is_ok()
    }

    pub(super) fn spool_batch(&mut self, samples: &[Sample]) {
        let id = self.generation.next();
        let gone = self.spool.append(Alone::of(id, Lane::Live, samples));
        self.uplink.handle_spooled(id);
        self.forget(&gone);
        self.may_send = true;
    }

    pub(super) fn forget(&mut self, gone: &[BatchId]) {
        for id in gone {
            self.uplink.handle_dropped(*id);
        }
        if !gone.is_empty() {
            tracing::warn!(batches = gone.len(), "readings were dropped: the spool is full or they are too old");
        }
    }
}
