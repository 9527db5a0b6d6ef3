//! The InfluxDB reader: the same records that the series reader applies, sent on.
//!
//! Its place is in `state.sqlite` and moves only after the server has said of everything before it that it is stored. After a
//! crash the points since are sent again, which changes nothing: the last write of a point wins.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_journal::{Entry, Journal, JournalError, Position};
use bellwether_logic::time::Timestamp;
use bellwether_series::{Statement, Store};

use super::series::content;
use super::{IDLE, INFLUX, INFLUX_STAMP, READ_BYTES, Reader, Step};
use tokio::runtime::{Builder, Runtime};

use crate::clock::Clock;
use crate::figures;
use crate::influx::answer::Answer;
use crate::influx::batch::{Batch, Place};
use crate::influx::client::{Away, Client, Dialect};
use crate::influx::gather::Gathered;
use crate::influx::history::{History, Untold};
use crate::influx::outbox::{NotSent, Outbox, Remote, pinned};
use crate::influx::rejects::Rejects;
use crate::points;
use crate::state::{State, StateError};

/// How long points wait for others to share a request with.
const LINGER: Duration = Duration::from_secs(1);

/// How far back the embedded store is asked for what was lost: so long it keeps raw values.
const RAW: Duration = Duration::from_secs(30 * 86_400);

/// How often the place is written down while there is nothing to send.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// Sends records on to an InfluxDB.
pub struct InfluxReader {
    journal: Arc<Journal>,
    state: Arc<State>,
    clock: Clock,
    link: Link,
    outbox: Outbox,
    gathered: Gathered,
    /// Read of the journal and not looked at yet.
    unread: VecDeque<Entry>,
    /// Where `unread` goes on.
    position: Position,
    /// Where everything in the outbox ends, and when the last of it was received.
    sending_to: Option<(Position, i64)>,
    since: Option<Instant>,
    committed: Position,
    committed_at: Instant,
    /// Where what the journal lost can be had again.
    embedded: Option<Arc<Store>>,
    /// What it has lost, as far as it is not sent again.
    history: Option<History>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum InfluxError {
    /// The journal could not be read.
    #[error("cannot read the journal")]
    Journal(#[from] JournalError),
    /// The place could not be written down.
    #[error("cannot write down what InfluxDB has")]
    State(#[from] StateError),
    /// The embedded store could not be read.
    #[error(transparent)]
    History(#[from] Untold),
    /// There is no way to it.
    #[error("cannot begin to talk to InfluxDB")]
    Runtime(#[source] std::io::Error),
    /// Not sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
}

impl InfluxReader {
    /// Goes on where the server's content ends. Rejected lines are kept in `folder`.
    ///
    /// # Errors
    /// When the place can't be read.
    pub fn new(
        journal: Arc<Journal>,
        state: Arc<State>,
        clock: Clock,
        client: Client,
        folder: &Path,
    ) -> Result<Self, StateError> {
        let position = state.cursor(INFLUX)?.map_or(journal.start(), Position);
        Ok(Self {
            journal,
            state,
            clock,
            link: Link { client, runtime: None },
            outbox: Outbox::new(Rejects::new(folder)),
            gathered: Gathered::default(),
            unread: VecDeque::new(),
            position,
            sending_to: None,
            since: None,
            committed: position,
            committed_at: Instant::now(),
            embedded: None,
            history: None,
        })
    }

    /// Has a store that applies the same records, so that nothing is lost when the journal runs full.
    #[must_use]
    pub fn with_embedded(self, store: Arc<Store>) -> Self {
        Self { embedded: Some(store), ..self }
    }

    /// Looks at records until there is enough for a request; says whether there were any.
    fn gather(&mut self) -> Result<bool, InfluxError> {
        if self.unread.is_empty() {
            self.unread = self.read()?.into();
        }
        let had_some = !self.unread.is_empty();
        while !self.gathered.is_full() {
            let Some(entry) = self.unread.pop_front() else { break };
            self.gathered.add(content(&entry), entry.next, entry.stamp_ms);
            self.position = entry.next;
        }
        if !self.gathered.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        Ok(had_some)
    }

    fn read(&mut self) -> Result<Vec<Entry>, InfluxError> {
        match self.journal.read(self.position, READ_BYTES) {
            Err(JournalError::Released { from, start }) => {
                self.lost(start.0 - from.0)?;
                self.position = start;
                Ok(Vec::new())
            }
            read => Ok(read?),
        }
    }

    /// The journal ran full and gave up a part that the server has not had.
    fn lost(&mut self, bytes: u64) -> Result<(), StateError> {
        figures::influx("lost_bytes", bytes);
        if self.embedded.is_none() {
            tracing::error!(bytes, "InfluxDB was away until the journal was full: it will never get a part");
            return Ok(());
        }
        let now = self.clock.now();
        let since = Timestamp(self.state.cursor(INFLUX_STAMP)?.unwrap_or_default().cast_signed());
        tracing::warn!(bytes, "InfluxDB was away until the journal was full: it gets a part from the embedded store");
        self.history = Some(History::arrived(since.max(now - RAW), now));
        Ok(())
    }

    /// Sends the next slice of what was lost; says whether there was any. The place stays where it is until all is sent.
    fn recall(&mut self) -> Result<bool, InfluxError> {
        let (Some(history), Some(store)) = (&mut self.history, &self.embedded) else { return Ok(false) };
        let mut told = Gathered::default();
        history.tell(store, &mut told)?;
        if history.is_over() {
            self.history = None;
        }
        if told.is_empty() {
            return Ok(false);
        }
        figures::influx("recalled_slices", 1);
        self.outbox.add(told.take());
        self.send()?;
        Ok(true)
    }

    /// What was gathered is sent from now on.
    fn close(&mut self) {
        self.outbox.add(self.gathered.take());
        self.sending_to = self.gathered.end();
        self.since = None;
    }

    fn send(&mut self) -> Result<(), InfluxError> {
        let now = self.clock.now();
        self.outbox.send(&mut self.link.talk()?, now)?;
        if self.outbox.is_empty() {
            self.commit()?;
        }
        Ok(())
    }

    /// Everything up to here is at the server.
    fn commit(&mut self) -> Result<(), StateError> {
        let Some((position, stamp_ms)) = self.sending_to.take() else { return Ok(()) };
        self.state.commit_engine(|tx| {
            tx.put_cursor(INFLUX, position.0)?;
            tx.put_cursor(INFLUX_STAMP, stamp_ms.cast_unsigned())
        })?;
        (self.committed, self.committed_at) = (position, Instant::now());
        self.journal.release(INFLUX, position);
        figures::reader_position(INFLUX, position.0);
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.gathered.is_full() || self.since.is_some_and(|since| since.elapsed() >= LINGER)
    }
}

impl Reader for InfluxReader {
    const NAME: &'static str = INFLUX;
    // It may be a day behind, and what it has not sent waits in the journal.
    const READS_TO_THE_END: bool = false;
    type Error = InfluxError;

    fn step(&mut self) -> Result<Step, InfluxError> {
        if !self.outbox.is_empty() {
            self.send()?;
            return Ok(Step::Moved);
        }
        if self.history.is_some() {
            // Before anything newer is read: the place must not move over what is not there yet.
            if !self.gathered.is_empty() {
                self.close();
                self.send()?;
                return Ok(Step::Moved);
            }
            if self.recall()? {
                return Ok(Step::Moved);
            }
        }
        let had_some = self.gather()?;
        if self.is_due() {
            self.close();
            self.send()?;
            return Ok(Step::Moved);
        }
        if had_some || self.history.is_some() {
            return Ok(Step::Moved);
        }
        if self.gathered.is_empty() && self.position > self.committed && self.committed_at.elapsed() >= COMMIT_EVERY {
            self.sending_to = self.gathered.end();
            self.commit()?;
        }
        let left = self.since.map_or(IDLE, |since| LINGER.saturating_sub(since.elapsed()));
        let _ = self.journal.wait_beyond(self.position, left.min(IDLE));
        Ok(Step::Idle)
    }

    fn finish(&mut self) -> Result<(), InfluxError> {
        if self.outbox.is_empty() {
            self.close();
        }
        while !self.outbox.is_empty() {
            self.send()?;
        }
        Ok(self.commit()?)
    }

    fn least_wait(error: &InfluxError) -> Duration {
        match error {
            InfluxError::NotSent(error) => error.wait(),
            _ => Duration::ZERO,
        }
    }
}

/// The way to the server.
struct Link {
    client: Client,
    /// Made on the reader's own thread: it must not end with the collector's while a request is under way.
    runtime: Option<Runtime>,
}

impl Link {
    fn talk(&mut self) -> Result<Talk<'_>, InfluxError> {
        if self.runtime.is_none() {
            let made = Builder::new_current_thread().enable_all().build().map_err(InfluxError::Runtime)?;
            self.runtime = Some(made);
        }
        let runtime = self.runtime.as_ref().expect("it was made");
        Ok(Talk { runtime, client: &self.client })
    }
}

/// A [`Link`] that can be used.
struct Talk<'a> {
    runtime: &'a Runtime,
    client: &'a Client,
}

impl Talk<'_> {
    fn with<T>(&self, ask: impl AsyncFnOnce(&Client, Dialect) -> Result<T, Away>) -> Result<T, Away> {
        self.runtime.block_on(async { ask(self.client, self.client.dialect().await?).await })
    }
}

impl Remote for Talk<'_> {
    type Away = Away;

    fn write(&mut self, batch: &Batch) -> Result<Answer, Away> {
        self.with(async |client, dialect| client.write(dialect, batch).await)
    }

    fn tell(&mut self, statement: &Statement) -> Result<Answer, Away> {
        let statement = pinned(statement);
        self.with(async |client, dialect| client.tell(dialect, &statement).await)
    }

    fn create(&mut self, place: &Place) -> Result<Answer, Away> {
        let own = place.database == points::DATABASE;
        let name = if own { self.client.bucket_database() } else { &place.database };
        let text = format!("CREATE DATABASE \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        self.tell(&Statement { database: String::new(), text, now_ns: 0 })
    }
}
