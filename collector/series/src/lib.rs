//! An embedded time-series store: points in, InfluxQL out, in one SQLite file. It knows nothing of schools, and of the journal
//! only a number.
//!
//! # Promises
//!
//! - What [`Store::apply`] has returned for is visible to every query that begins later.
//! - A point is (database, measurement, tags, time, field). Written twice it is there once, and the last write wins: in a head,
//!   in a block, and across both.
//! - After a crash at any instant, [`Store::open`] and applying again what the journal holds from [`Store::position`] on gives the
//!   same content as if nothing had happened. Applying more than that, again and in the same order, changes nothing in the end.
//! - A corrupt block or head is skipped, counted, named in the log; everything else stays readable.
//! - A file of a newer format is refused before SQLite has touched it.
//! - A field has one type for ever. NaN and infinities are never stored and never answered.
//! - Every answer is whole or an error: no limit shortens one silently, and one that breaks off on its way ends in an error.
//! - A read of a stream sees one state of the file. Rows as they are stored are read some thousands at a time, so that an answer takes
//!   bounded memory: what is written meanwhile may be in the later ones. A slow client holds one read transaction, and that no longer
//!   than its query's deadline.
//!
//! # Limits
//!
//! [`Options`] and [`QueryLimits`] hold what an owner may choose, the constants beside them what is fixed; each says why. What
//! is refused is counted in [`Stats`].
//!
//! # Layout
//!
//! In memory: the catalogue (databases, measurements, fields with their types, streams; every name once) and for each stream a
//! *head*, which has the newest rows in order of arrival: one column of times, and one column for each field, which may have
//! holes. On disk, `series.sqlite`:
//!
//! | table | what |
//! | --- | --- |
//! | `meta` | `position`: where the content ends in the journal; `kept_time`: the clock of retention |
//! | `database`, `policy`, `measurement`, `field`, `stream` | the catalogue; tags as line protocol writes them |
//! | `head` | all heads of the last checkpoint, packed, in parts |
//! | `block` | sealed rows: stream, oldest and newest time, number of rows, packed columns |
//! | `kept` | for each stream and step, from when on it is there: step 0 for points, else nanoseconds of roll-ups |
//! | `rolled` | roll-ups, packed as rows are: what the points of each bucket come to |
//!
//! A *block* has about a thousand rows of one stream. It begins with a format byte and a checksum; a directory of columns lets a
//! reader skip the fields that it does not want. Columns become integers (floats by a power of ten when that is exact to the last bit),
//! then differences of order 0 to 2, divided by what they share, packed in groups of 32 with the width that the group needs. Rounded
//! gauges, counters and plateaus take less than a byte a value; floats of full precision fall back to what changed in their bits.
//! A compacted block has up to four thousand rows, and a column of it is packed by `pco` where that is smaller.
//!
//! # How each operation keeps the promises
//!
//! - **apply** holds the writer's lock, so no checkpoint comes between; it touches memory only. A row of a known stream costs one
//!   hash of its key and, for each field, one comparison with the name at the same place in the row before: no text is copied and
//!   nothing allocated but the growth of columns. At the limit of the heads it first seals the largest; if the disk does not
//!   take that, nothing is applied and the caller may try again: the journal waits.
//! - **checkpoint** is one transaction: the new part of the catalogue, blocks for full heads, all that remains in heads, the position. There is
//!   no other way from a head to a block, so the file is always exactly the content up to its position. Only after the
//!   commit, which is synced, do the rows leave memory; a query that copied them before sees them twice and merges them.
//!   Rows older than what is sealed get blocks of their own, so that one late point makes no block that spans days.
//!   Points wait while it is made, so all processors (four at most) pack heads and blocks.
//! - **maintain** makes a checkpoint every five minutes or eight million values, when heads run full, and seals heads older than a day.
//! - **scan**, below every query, copies the wanted part of the head under the read lock, then reads blocks in a read transaction. It
//!   groups blocks that overlap in time, merges each group in the order of writing with the head as the newest, and hands the
//!   groups over one by one: its memory is that of one group, and a reader that has enough stops it. The scans of a request share a transaction until
//!   rows move from heads to blocks.
//! - **written lines** are read once, by the request that brings them: the text of measurement and tags leads to the stream by
//!   its hash, the head of the stream says which fields to expect, and what is found (streams, fields, times, numbers) waits
//!   until the same lines come back from the journal. It is then put behind the columns of the heads without a look at the text.
//!   Lines of what nobody knows yet, or that a statement has overtaken, are read as text in that moment, and so is a journal
//!   after a crash: one property of the tests is that both ways come to the same.
//! - **compact** rewrites groups that overlap or are small, each in a transaction, and moves no position.
//! - **remove** (what `DROP` and `DELETE` do) takes rows out of heads and blocks and forgets what is empty, in one transaction with
//!   its position: a crash leaves it undone, to be applied again, or done.
//! - **query** goes from text through tokens and tree to a plan; see the rooms of the language and of the query.
//! - **changes** of others, lines and statements, are judged at the door, made durable by the owner as a [`Change`], and applied
//!   in their order like everything else.
//!
//! - **keep** is the hourly round of retention: days that have ended are rolled up, and what a policy's duration or a
//!   [`KeepRule`] has outlived goes, whole blocks first. It goes over the streams in slices, each one transaction that moves no
//!   position; queries hide what is too old whether it has gone or not. A late point or a deletion takes the roll-ups of its day
//!   back until they are made anew, and a point older than what is kept is refused and counted. The round's clock does not
//!   believe leaps: a machine that wakes in another decade loses a day of the oldest points in an hour, not all of them.
//! - **roll-ups** never change an answer as long as the points are there: the plan takes them only where no bound of the
//!   question cuts through their buckets, and only for functions that they answer. Past the points edges are widened, other
//!   functions answer from what points are left, and a message says so.

mod change;
mod chunk;
mod codec;
mod exchange;
#[cfg(feature = "http")]
pub mod http;
mod influxql;
mod intent;
mod keeping;
mod limits;
mod line;
mod mend;
mod point;
mod query;
mod store;

pub use change::{Change, Lines, NotAChange, NotTaken, Sifted, Statement, Writer};
pub use codec::CodecError;
pub use codec::outside::{Unpacked, pack_block, seal_block, unpack_block};
pub use exchange::{ExchangeError, Imported, Wanted};
pub use intent::Intent;
pub use keeping::{Keep, KeepRule, Step, Tier};
pub use limits::{
    CHECKPOINT_EVERY, CHECKPOINT_VALUES, MAX_BLOCK_CELLS, MAX_FIELDS, MAX_NAME_BYTES, MAX_TAGS, MAX_TEXT_BYTES,
    Options, QueryLimits, SEAL_AGE,
};
pub use line::{Line, LineError, Precision, lines, write as write_line};
pub use mend::{Damaged, Findings, inspect, repair};
pub use point::{FieldKind, FieldValue, Point};
pub use query::{Epoch, Message, Parameters, QueryOptions, Response, ResultSeries, StatementResult, Value};
pub use store::{Applied, Conflict, ConflictKind, Place, Stats, Store, StoreError};
