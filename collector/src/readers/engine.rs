//! The engine reader: the journal through the deciders, and what they decide into `state.sqlite`.
//!
//! Two places are kept. The snapshot's: from there the engine is fed again after a restart, so that it remembers what
//! it remembered. The cursor's, at or behind it: up to there effects were committed, in the same transaction as the
//! cursor itself, and are not performed again. Between the two the engine is fed and its effects are thrown away.
//!
//! New rules come into force with the record of the collector's start. The snapshot after that record is committed with
//! its effects: what was decided by the rules of one run is never decided again by those of a later one.
//!
//! Facts that need no deciding (inventory rows, presence, receipts) go the same way in the same transaction, so that
//! the tables are always those of one place in the journal.

mod chunk;
mod input;
mod mapping;
mod received;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bellwether_journal::{AppendError, CommitError, Entry, Journal, JournalError, Position};
use bellwether_logic::engine::{Effect, Engine, Input, Settings, Snapshot, shows_life};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Hanging, HangingSeen, Record, Wake, record};
use prost::Message;
use tokio::sync::watch;

use super::{EFFECTS, ENGINE, IDLE, READ_BYTES, Reader, Step};
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::refusals::Refusals;
use crate::rules::Loaded;
use crate::state::engine::EngineSnapshot;
use crate::state::{State, StateError};
use crate::{figures, ingest};

use chunk::{Chunk, Deed};
use mapping::MapClock;
use received::Received;

/// How often the engine's memory is written down: what is replayed after a crash is no longer than this.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(300);

/// How much of the journal may be read before it is written down in any case, so that a small journal is not full of
/// records that only a snapshot would release.
const SNAPSHOT_BYTES: u64 = 32 << 20;

/// Devices of which one record says where they hang; far below what a record may take.
const HANGINGS_MAX: usize = 5_000;

/// How long receipts are remembered: no spool keeps a batch that long. What a closet has not found for so long is gone.
const RECEIPTS_KEPT: Duration = Duration::from_secs(60 * 86_400);

/// What the engine reader works with.
pub struct Parts {
    /// What is read.
    pub journal: Arc<Journal>,
    /// Where effects go.
    pub state: Arc<State>,
    /// Told of every device's new identity.
    pub inventory: Arc<Inventory>,
    /// Told of every act that the engine refused.
    pub refusals: Arc<Refusals>,
    /// The time, for wakes alone: what is decided goes by the records' stamps.
    pub clock: Clock,
    /// Whether the collector's start is written down. A wake before it would judge silences that are the collector's own.
    pub started: Arc<AtomicBool>,
    /// The rules that come into force.
    pub rules: Loaded,
    /// How the engine decides.
    pub settings: Settings,
}

/// Feeds the engine.
pub struct EngineReader {
    journal: Arc<Journal>,
    state: Arc<State>,
    inventory: Arc<Inventory>,
    refusals: Arc<Refusals>,
    clock: Clock,
    started: Arc<AtomicBool>,
    engine: Engine,
    /// What the engine was fed ends here.
    position: Position,
    /// What was committed ends here.
    performed: Position,
    /// What was received, by device and generation.
    received: Received,
    /// When the map is drawn.
    map: MapClock,
    /// The same as it was committed.
    map_kept: MapClock,
    /// Whether the map may say otherwise than the engine knows. At the start that is not known.
    drawn: bool,
    /// What could not be committed yet.
    uncommitted: Option<Chunk>,
    /// Tells who waits for it how far effects are committed.
    applied: watch::Sender<u64>,
    snapshot_at: Instant,
    /// Where the last snapshot stands.
    remembered: Position,
    /// The place of a wake that was appended and not read yet.
    woken_at: Option<Position>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal could not be read.
    #[error("cannot read the journal")]
    Journal(#[from] JournalError),
    /// Effects could not be committed.
    #[error("cannot commit what was decided")]
    State(#[from] StateError),
    /// The engine's memory can't be read: a newer version wrote it, or the file is damaged.
    #[error("cannot read the engine's memory in state.sqlite")]
    Snapshot(#[source] serde_json::Error),
    /// The engine's memory can't be written.
    #[error("cannot write the engine's memory")]
    Remember(#[source] serde_json::Error),
    /// A wake could not be appended.
    #[error("cannot append a wake")]
    Wake(#[source] AppendError),
    /// Where devices hang could not be appended.
    #[error("cannot append where devices hang")]
    Tell(#[source] AppendError),
    /// A record of our own could not be committed.
    #[error("cannot commit a record of the engine's own")]
    Commit(#[source] CommitError),
}

impl EngineReader {
    /// Goes on from the last snapshot, or from the journal's start when there is none.
    ///
    /// # Errors
    /// When the snapshot or the tables can't be read.
    pub fn new(parts: Parts, applied: watch::Sender<u64>) -> Result<Self, EngineError> {
        let Parts { journal, state, inventory, refusals, clock, started, rules, settings } = parts;
        let kept = state.engine_snapshot()?;
        let performed = Position(state.cursor(ENGINE)?.unwrap_or(0));
        let (snapshot, position) = match kept {
            Some(kept) => {
                let snapshot: Snapshot = serde_json::from_slice(&kept.snapshot).map_err(EngineError::Snapshot)?;
                (snapshot, Position(kept.position))
            }
            None => (Snapshot::default(), journal.start()),
        };
        let mut sound = rules.rules.clone();
        sound.keep(snapshot.rules(), |id| rules.leaves_out(id));
        let received = Received::load(state.all_receipts()?);
        let (stale, drawn_at) = state.map_clock()?;
        let map = MapClock { stale, drawn_at };
        applied.send_replace(performed.0);
        Ok(Self {
            map,
            map_kept: map,
            drawn: true,
            engine: Engine::restore(sound, settings, snapshot),
            received,
            journal,
            state,
            inventory,
            refusals,
            clock,
            started,
            position,
            performed,
            uncommitted: None,
            applied,
            snapshot_at: Instant::now() + SNAPSHOT_EVERY,
            remembered: position,
            woken_at: None,
        })
    }

    /// Feeds records to the engine and commits what comes of them.
    fn feed(&mut self, entries: &[Entry]) -> Result<(), EngineError> {
        let mut chunk = Chunk::default();
        for entry in entries {
            self.feed_one(entry, &mut chunk);
            self.position = entry.next;
            // What follows is read again: the chunk must end where its snapshot does.
            if chunk.starts {
                break;
            }
        }
        chunk.end = self.position;
        self.uncommitted = Some(chunk);
        self.commit()
    }

    fn feed_one(&mut self, entry: &Entry, chunk: &mut Chunk) {
        let at = Timestamp(entry.stamp_ms);
        let Ok(Record { body: Some(body) }) = Record::decode(entry.payload.as_slice()) else {
            figures::refused("undecodable_record");
            tracing::error!(position = entry.position.0, "a record in the journal can't be read: it is skipped");
            return;
        };
        let performs = entry.position >= self.performed;
        chunk.starts |= matches!(body, record::Body::Started(_));
        for input in input::of(&body) {
            if let Input::Samples { device, samples, .. } = &input
                && performs
                && shows_life(samples)
            {
                chunk.saw(at, device);
            }
            self.engine.handle(at, input);
        }
        while let Some(effect) = self.engine.poll_effect() {
            if performs {
                if let Effect::Refused(refused) = &effect {
                    self.refusals.note(entry.position, refused.because.to_string());
                }
                chunk.decided(effect);
            }
        }
        if performs {
            let draws = self.map.handle(at, &body);
            chunk.note(at, body, &mut self.received);
            if draws {
                chunk.deeds.push(Deed::Map(at));
            }
        }
    }

    /// Commits what is uncommitted, with the place up to which it is everything.
    fn commit(&mut self) -> Result<(), EngineError> {
        let Some(chunk) = &self.uncommitted else { return Ok(()) };
        let end = chunk.end.max(self.performed);
        let kept = if chunk.starts { Some(self.snapshot()?) } else { None };
        let rereached = self.state.commit_engine(|tx| {
            let rereached = chunk.perform(tx, &self.received)?;
            if let Some(kept) = &kept {
                tx.put_snapshot(kept)?;
            }
            if self.map != self.map_kept {
                tx.put_map_clock(self.map.stale, self.map.drawn_at)?;
            }
            tx.put_cursor(ENGINE, end.0)?;
            Ok::<_, StateError>(rereached)
        })?;
        self.map_kept = self.map;
        for (at, changed) in chunk.devices() {
            self.inventory.put(at, changed);
        }
        for device in rereached {
            let reaches = self.state.reaches_of(&device)?;
            self.inventory.put_reaches(&device, reaches);
        }
        self.drawn |= chunk.draws();
        figures::effects(chunk.effects());
        figures::engine(&self.engine.counters());
        figures::reader_position(ENGINE, end.0);
        self.performed = end;
        self.uncommitted = None;
        self.applied.send_replace(end.0);
        Ok(())
    }

    /// The engine as it is at its place.
    fn snapshot(&self) -> Result<EngineSnapshot, EngineError> {
        let snapshot = serde_json::to_vec(self.engine.snapshot()).map_err(EngineError::Remember)?;
        Ok(EngineSnapshot { snapshot, position: self.position.0 })
    }

    /// Writes the engine's memory down, and lets go of the journal before it.
    fn remember(&mut self) -> Result<(), EngineError> {
        let kept = self.snapshot()?;
        let forget_before = self.clock.now() - RECEIPTS_KEPT;
        let forgotten = self.state.commit_engine(|tx| {
            tx.put_snapshot(&kept)?;
            tx.forget_found(forget_before)?;
            tx.forget_receipts(forget_before)
        })?;
        if forgotten > 0 {
            self.received = Received::load(self.state.all_receipts()?);
        }
        self.journal.release(ENGINE, self.position);
        self.journal.release(EFFECTS, self.performed);
        self.remembered = self.position;
        self.snapshot_at = Instant::now() + SNAPSHOT_EVERY;
        Ok(())
    }

    /// Writes down where the map has devices hang otherwise than the engine knows, so that it decides by that and a replay
    /// does the same. A journal that is full is told at the next rest.
    fn tell_hanging(&mut self) -> Result<(), EngineError> {
        let drawn = self.state.parents()?;
        let known = self.engine.parents();
        let moved = drawn.iter().filter(|(device, on)| known.get(*device) != Some(on));
        let lost = known.keys().filter(|device| !drawn.contains_key(*device)).map(|device| (device, None));
        let changes: Vec<Hanging> = moved
            .map(|(device, on)| (device, Some(on)))
            .chain(lost)
            .map(|(device, on)| Hanging { device_id: device.clone(), on_id: on.cloned().unwrap_or_default() })
            .collect();
        for changes in changes.chunks(HANGINGS_MAX) {
            let body = record::Body::Hanging(HangingSeen { changes: changes.to_vec() });
            match ingest::append(&self.journal, self.clock.now(), body) {
                Ok(receipt) => receipt.wait().map_err(EngineError::Commit)?,
                Err(AppendError::Busy | AppendError::Full { .. }) => return Ok(()),
                Err(error) => return Err(EngineError::Tell(error)),
            };
        }
        self.drawn = false;
        Ok(())
    }

    /// Everything is read: appends a wake if its time has come, else waits for a record or for that time.
    fn rest(&mut self) -> Result<(), EngineError> {
        if self.drawn && self.started.load(Ordering::SeqCst) {
            self.tell_hanging()?;
        }
        let now = self.clock.now();
        let wake = self.engine.poll_wake().filter(|_| self.started.load(Ordering::SeqCst));
        if wake.is_some_and(|wake| wake <= now) && self.woken_at != Some(self.position) {
            let body = record::Body::Wake(Wake {});
            let receipt = ingest::append(&self.journal, now, body).map_err(EngineError::Wake)?;
            receipt.wait().map_err(EngineError::Commit)?;
            self.woken_at = Some(self.position);
            return Ok(());
        }
        let until_wake = wake.map_or(IDLE, |wake| wake.since(now).max(Duration::from_millis(1)));
        let _ = self.journal.wait_beyond(self.position, until_wake.min(IDLE));
        Ok(())
    }
}

impl Reader for EngineReader {
    const NAME: &'static str = ENGINE;
    type Error = EngineError;

    fn step(&mut self) -> Result<Step, EngineError> {
        self.commit()?;
        if Instant::now() >= self.snapshot_at || self.position.0 - self.remembered.0 >= SNAPSHOT_BYTES {
            self.remember()?;
        }
        let entries = match self.journal.read(self.position, READ_BYTES) {
            // Lost by a disk that forgot what it had promised; what is left is read.
            Err(JournalError::Released { start, .. }) if start > self.position => {
                tracing::error!(from = self.position.0, to = start.0, "records that the engine has not read are gone");
                figures::refused("released_record");
                self.position = start;
                return Ok(Step::Moved);
            }
            entries => entries?,
        };
        if entries.is_empty() {
            self.rest()?;
            return Ok(Step::Idle);
        }
        self.feed(&entries)?;
        Ok(Step::Moved)
    }

    fn finish(&mut self) -> Result<(), EngineError> {
        self.commit()?;
        self.remember()
    }
}

#[cfg(test)]
mod tests;
