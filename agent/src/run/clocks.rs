//! What a clock that is set means for what waits: readings are told by the clock that the collector will hear of.
//!
//! A machine without a battery for its clock starts in 1970. Within one boot it is known by how much a clock was off once
//! it is right, also by an agent that was started later; of a boot that is over nobody will ever know.

use bellwether_logic::time::Timestamp;
use bellwether_proto::batch;

use super::Agent;
use super::generation::Generation;
use crate::clock::{self, Now};
use crate::spool::Birth;

impl Agent {
    /// One generation has one clock.
    pub(super) fn watch_clock(&mut self, now: Now) {
        let Some(step_ms) = self.generation.step_ms(now) else { return };
        tracing::info!(step_ms, "the clock was set: a new generation begins");
        self.close_round();
        let begun = Generation::new(rand::random(), now);
        let old = std::mem::replace(&mut self.generation, begun);
        self.uplink.handle_new_generation(self.generation.number, 0);
        self.spool.handle_birth(Birth::now(self.generation.number, &self.hands.clock));
        if !old.welcomed && clock::COUNTS_SLEEP {
            self.retime(old.number, step_ms);
        }
        if self.link.take().is_some() {
            self.call();
        }
    }

    /// What agents left that ended before the collector heard of their clock. Those of this boot are told by the clock of
    /// now. What is of another boot keeps its times if they can be true.
    pub(super) fn adopt_orphans(&mut self) {
        let orphans = self.spool.unheard();
        self.spool.handle_birth(Birth::now(self.generation.number, &self.hands.clock));
        for orphan in orphans {
            match orphan.shift_ms(&self.hands.clock) {
                Some(shift_ms) => self.retime(orphan.generation, shift_ms),
                None => self.drop_undated(orphan.generation),
            }
        }
    }

    fn drop_undated(&mut self, generation: u64) {
        let gone = self.spool.drop_undated(generation);
        if !gone.is_empty() {
            let batches = gone.len();
            tracing::warn!(batches, "readings from before the clock was set were dropped: the machine was off since");
        }
        for id in gone {
            self.uplink.handle_dropped(id);
        }
    }

    /// The collector never heard of this generation's clock, and never will; but here it is known by how much it was off.
    /// So what waits of it goes on in the new generation, at its true times: a machine without a battery for its clock
    /// does not report from 1970.
    fn retime(&mut self, generation: u64, step_ms: i64) {
        for old in self.spool.waiting(generation) {
            let samples = self.spool.read(old).and_then(|batch| batch::decode_alone(&batch).ok());
            if let Some(mut samples) = samples {
                for sample in &mut samples {
                    sample.time = Timestamp(sample.time.0.saturating_add(step_ms));
                }
                self.spool_batch(&samples);
            }
            self.uplink.handle_dropped(old);
            self.spool.forget_batches(&[old]);
        }
        // So that a power cut now does not bring both back.
        self.spool.sync();
    }
}
