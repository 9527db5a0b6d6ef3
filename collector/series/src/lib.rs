//! An embedded time-series store that answers InfluxQL.

mod chunk;
mod codec;
#[cfg(feature = "http")]
pub mod http;
mod influxql;
mod limits;
mod point;
mod query;
mod store;

pub use codec::CodecError;
pub use limits::{
    CHECKPOINT_EVERY, CHECKPOINT_VALUES, MAX_FIELDS, MAX_NAME_BYTES, MAX_TAGS, MAX_TEXT_BYTES, Options, QueryLimits,
    SEAL_AGE,
};
pub use point::{FieldKind, FieldValue, Point};
pub use query::{Epoch, Message, QueryOptions, Response, ResultSeries, StatementResult, Value};
pub use store::{Applied, Conflict, ConflictKind, Stats, Store, StoreError};
