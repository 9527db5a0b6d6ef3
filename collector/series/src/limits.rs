//! Every limit of the store and of a query, with its reason. What a store's owner may want to change is in [`Options`] and
//! [`QueryLimits`]; the rest is fixed here.

use std::time::Duration;

use crate::keeping::KeepRule;

/// Rows that fill a block. Packing gains nothing beyond some hundred rows, and a query that wants one row unpacks them all.
pub(crate) const SEAL_ROWS: usize = 1024;
/// Rows that fill a block which was compacted: what is packed for its average gets smaller the more there is of it, and an old row is
/// seldom wanted alone.
pub(crate) const COMPACT_ROWS: usize = 4 * SEAL_ROWS;
/// Rows that a block on disk may claim: the guard before memory is taken for one.
pub(crate) const MAX_BLOCK_ROWS: usize = 1 << 16;
/// Columns that a block on disk may claim.
pub(crate) const MAX_BLOCK_COLUMNS: usize = 1 << 16;
/// Bytes of packed heads in one row of the checkpoint: far below what SQLite takes in one value.
pub(crate) const CHECKPOINT_PART_BYTES: usize = 4 << 20;
/// Values that a block may claim, holes included: sixteen times the widest row times the rows that fill a block. Few bytes can claim many.
pub const MAX_BLOCK_CELLS: usize = 1 << 24;
/// A checkpoint is due this long after the one before, so that a replay is short.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(300);
/// A checkpoint is due after this many applied values, so that a replay is short on a busy day as well.
pub const CHECKPOINT_VALUES: u64 = 8_000_000;
/// A head that has not been sealed for this long is sealed small, so that a stream that fell silent leaves memory.
pub const SEAL_AGE: Duration = Duration::from_secs(24 * 3600);
/// Names longer than this are refused: they are mistakes, and each is kept in memory.
pub const MAX_NAME_BYTES: usize = 1024;
/// A text value longer than this is refused, as InfluxDB does at 64 KiB.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Tags of one point.
pub const MAX_TAGS: usize = 64;
/// Fields of one point.
pub const MAX_FIELDS: usize = 1024;

/// What a store's owner may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// Databases that exist from the start.
    pub databases: Vec<String>,
    /// Databases that only [`apply`](crate::Store::apply) writes: lines and statements of others are refused.
    pub closed: Vec<String>,
    /// Cells of all heads together. Near it, heads are sealed early; eight bytes each, and with ten rows in each head twice that: 20,000
    /// devices stay below half a GiB.
    pub max_head_values: u64,
    /// Streams of all databases together; each costs about half a KiB of memory. New ones above it are refused and counted.
    pub max_streams: usize,
    /// Streams of one database that others may write. Less than `max_streams`, so that they leave room for its owner's.
    pub max_streams_of_one: usize,
    /// Databases: whoever may write may make some, and each is written anew at every checkpoint.
    pub max_databases: usize,
    /// Retention policies of one database.
    pub max_policies: usize,
    /// How long points are kept in databases whose policies keep them for ever.
    pub keeping: Vec<KeepRule>,
    /// Bytes of columns that stay unpacked for the next query: a day of one field of 3,000 devices. 0 keeps none.
    pub max_unpacked_bytes: u64,
    /// Connections that read blocks; one query uses one at a time.
    pub readers: usize,
    /// What a query may use.
    pub query: QueryLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            databases: vec!["bellwether".to_owned()],
            closed: Vec::new(),
            max_head_values: 8_000_000,
            max_streams: 500_000,
            max_streams_of_one: 200_000,
            max_databases: 200,
            max_policies: 50,
            keeping: Vec::new(),
            max_unpacked_bytes: 64 << 20,
            readers: 4,
            query: QueryLimits::default(),
        }
    }
}

/// What one request may use. Each limit is a clear error to the client, never a shortened answer.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Bytes of query text. A dashboard's longest, with every device in one pattern, stays below.
    pub max_query_bytes: usize,
    /// Statements of one request.
    pub max_statements: usize,
    /// Nested parentheses, calls and sub-queries.
    pub max_depth: usize,
    /// Series of one statement's answer, and streams that it may read.
    pub max_series: usize,
    /// Buckets of one series.
    pub max_buckets: usize,
    /// Rows of one request's answer, where it is kept as a whole, and of a sub-query's.
    pub max_rows: usize,
    /// Rows of one request's answer that flows to its reader. They take time and no memory.
    pub max_flowing_rows: usize,
    /// Values that one statement may hold at once for functions that need all of them (median, percentile, distinct).
    pub max_held_values: usize,
    /// How long one request may run.
    pub deadline: Duration,
    /// Requests that run at once over HTTP; more wait.
    pub max_concurrent: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            max_query_bytes: 256 * 1024,
            max_statements: 100,
            max_depth: 64,
            max_series: 100_000,
            max_buckets: 200_000,
            max_rows: 1_000_000,
            max_flowing_rows: 100_000_000,
            max_held_values: 10_000_000,
            deadline: Duration::from_secs(30),
            max_concurrent: 4,
        }
    }
}
