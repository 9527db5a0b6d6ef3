//! What the collector has of batches whose segment is still there, so that a restart offers only the rest.
//!
//! A lost or broken file costs nothing: the collector says in its `Welcome` what it has. So it is written without
//! waiting for the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_logic::ranges::RangeSet;
use bellwether_proto::v1;
use prost::Message;

use super::frame;
use crate::gather::Gather;

pub(super) fn load(dir: &Path) -> BTreeMap<u64, RangeSet> {
    let bytes = fs::read(file(dir)).unwrap_or_default();
    let payload = frame::payloads(&bytes, 0).next().map(|range| &bytes[range]);
    let ack = payload.and_then(|payload| v1::Ack::decode(payload).ok()).unwrap_or_default();
    ack.receipts.iter().map(|receipt| (receipt.generation, receipt.sequences())).gather()
}

pub(super) fn store(dir: &Path, acked: &BTreeMap<u64, RangeSet>) -> io::Result<()> {
    let receipts = acked.iter().map(|(generation, set)| v1::Receipt::new(*generation, set)).collect();
    let payload = v1::Ack { receipts }.encode_to_vec();
    if payload.is_empty() || payload.len() > frame::MAX_PAYLOAD_BYTES {
        return match fs::remove_file(file(dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    frame::put(&file(dir), &payload)
}

fn file(dir: &Path) -> PathBuf {
    dir.join("acked")
}
