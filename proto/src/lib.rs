//! The wire between agent and collector, and the records of the collector's journal.
//!
//! `uplink.proto` and `record.proto` are the formats; this crate turns them into what the rest of Bellwether
//! speaks. It opens no connection and reads no clock.

pub mod batch;
pub mod configuration;
pub mod convert;
pub mod schema;
pub mod token;
pub mod trust;

/// Generated from `uplink.proto`.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated; the .proto file carries the documentation"
)]
pub mod v1 {
    tonic::include_proto!("bellwether.v1");
}

/// The journal's records.
pub mod record {
    /// Generated from `record.proto`.
    #[expect(missing_docs, reason = "generated; the .proto file carries the documentation")]
    pub mod v1 {
        tonic::include_proto!("bellwether.record.v1");
    }
}

/// The name that every collector's certificate bears, whatever its address.
pub const COLLECTOR_NAME: &str = "collector.bellwether";

/// The largest message that either end takes, in bytes. A batch of ordinary readings is below 2 KiB.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
