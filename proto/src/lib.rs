//! The wire between agent and collector, and the records of the collector's journal.

/// Generated from `uplink.proto`.
#[expect(
    missing_docs,
    reason = "generated; the .proto file carries the documentation"
)]
pub mod v1 {
    tonic::include_proto!("bellwether.v1");
}

/// The journal's records.
pub mod record {
    /// Generated from `record.proto`.
    #[expect(
        missing_docs,
        reason = "generated; the .proto file carries the documentation"
    )]
    pub mod v1 {
        tonic::include_proto!("bellwether.record.v1");
    }
}
