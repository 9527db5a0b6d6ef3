//! What names a batch, for the agent's spool, the wire and the collector's receipts.

use serde::{Deserialize, Serialize};

/// A batch's name: unique for one agent for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchId {
    /// Random, new at every start of the agent. Its value says nothing of its age.
    pub generation: u64,
    /// Counts up within the generation.
    pub sequence: u64,
}

/// The lane by which a batch travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// As it happens: rules look at it.
    Live,
    /// What was spooled before this stream began: history, which opens nothing.
    Backfill,
}
