//! What others write by InfluxDB's protocol: into the journal, and an answer once queries see it.

use std::sync::Arc;
use std::time::Duration;

use bellwether_journal::{AppendError, Journal};
use bellwether_proto::record::v1::{Record, SeriesChanged, record};
use bellwether_series::{Change, NotTaken, Writer};
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::Clock;

/// How long a writer waits until queries see what it wrote. It is durable by then; the writer may write it again without harm.
const VISIBLE_WAIT: Duration = Duration::from_secs(30);

/// The journal for writers from outside.
pub struct ForeignWrites {
    journal: Arc<Journal>,
    clock: Clock,
    /// How far queries see.
    visible: watch::Receiver<u64>,
    runtime: Handle,
}

impl ForeignWrites {
    /// Writes to this journal. To be made inside the runtime that runs the collector.
    #[must_use]
    pub fn new(journal: Arc<Journal>, clock: Clock, visible: watch::Receiver<u64>) -> Self {
        Self { journal, clock, visible, runtime: Handle::current() }
    }
}

impl Writer for ForeignWrites {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        let record = Record { body: Some(record::Body::Series(SeriesChanged { change: change.encode() })) };
        let appended = self.journal.append(self.clock.now().0, record.encode_to_vec());
        let receipt = appended.map_err(|error| match error {
            AppendError::Busy | AppendError::Full { .. } => NotTaken::Later(error.to_string()),
            AppendError::TooLarge { .. } | AppendError::Closed => NotTaken::Never(error.to_string()),
        })?;
        let committed = receipt.wait().map_err(|error| NotTaken::Later(error.to_string()))?;
        let mut visible = self.visible.clone();
        let seen = visible.wait_for(|position| *position >= committed.next.0);
        match self.runtime.block_on(async { tokio::time::timeout(VISIBLE_WAIT, seen).await }) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(NotTaken::Later("the collector is stopping".to_owned())),
            Err(_) => {
                Err(NotTaken::Later("the store is behind: what was written is safe, and not visible yet".to_owned()))
            }
        }
    }
}

impl std::fmt::Debug for ForeignWrites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ForeignWrites")
    }
}
