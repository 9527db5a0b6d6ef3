//! The bytes of every released version stay readable: a collector takes agents two minor versions older, and a journal
//! outlives an update. One folder a version under `golden/`; a folder of a released version is never changed.
//!
//! `BLESS=1` writes the folder of the version under work.

use std::fs;
use std::path::PathBuf;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::{BatchId, Encoder, Lane, decode_alone, encode_alone};
use bellwether_proto::{record, v1};
use data_encoding::HEXLOWER;
use prost::Message;

const VERSION: &str = "0.1";

fn samples() -> Vec<Sample> {
    let sample = |measurement: &'static str, target: &str, tag: Option<(&'static str, &str)>, fields| Sample {
        measurement: measurement.into(),
        tags: tag.into_iter().map(|(key, value)| (key.into(), value.to_owned())).collect(),
        target: target.to_owned(),
        time: Timestamp(1_790_000_000_000),
        fields,
    };
    vec![
        sample("cpu", "", Some(("cpu", "cpu-total")), vec![("usage_idle".into(), Value::Float(97.25))]),
        sample("mem", "", None, vec![("available".into(), Value::Integer(6_000_000_000))]),
        sample("ping", "gateway", Some(("url", "gateway")), vec![("average_response_ms".into(), Value::Float(0.417))]),
        sample(
            "agent_source",
            "",
            Some(("source", "disk")),
            vec![("status".into(), Value::Text("ok".to_owned())), ("new".into(), Value::Boolean(true))],
        ),
        sample("odd", "", None, vec![("third".into(), Value::Float(1.0 / 3.0))]),
    ]
}

fn hello() -> v1::Hello {
    v1::Hello {
        agent_version: "0.1.0".to_owned(),
        generation: 0x1122_3344_5566_7788,
        boot_id: "b".to_owned(),
        now_unix_ms: 1_790_000_000_000,
        interval_s: 60,
        config_revision: 0,
        live_from: 5,
        held: vec![v1::Receipt { generation: 9, ranges: vec![v1::Range { first: 1, last: 4 }] }],
        ..v1::Hello::default()
    }
}

fn received() -> record::v1::Record {
    let identity = record::v1::Identity {
        device_id: "d123456789".to_owned(),
        host: "LIB-204-07".to_owned(),
        site: "Lincoln High".to_owned(),
        room: "204".to_owned(),
        class: "desktop".to_owned(),
    };
    let batch = encode_alone(BatchId { generation: 9, sequence: 4 }, Lane::Backfill, &samples());
    let body = record::v1::BatchReceived {
        identity: Some(identity),
        batch: Some(batch),
        clock_offset_ms: -2_500,
        targets: Vec::new(),
    };
    record::v1::Record { body: Some(record::v1::record::Body::Batch(body)) }
}

fn check(name: &str, bytes: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(VERSION).join(format!("{name}.hex"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, HEXLOWER.encode(bytes) + "\n").expect("the golden folder can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(golden.trim(), HEXLOWER.encode(bytes), "{name}: this version no longer writes what it wrote");
}

#[test]
fn this_version_writes_its_golden_bytes() {
    check("hello", &hello().encode_to_vec());
    check("batch", &encode_alone(BatchId { generation: 7, sequence: 1 }, Lane::Live, &samples()).encode_to_vec());
    let mut stream = Encoder::new();
    stream.encode(BatchId { generation: 7, sequence: 1 }, Lane::Live, &samples());
    check(
        "batch_second",
        &stream.encode(BatchId { generation: 7, sequence: 2 }, Lane::Live, &samples()).encode_to_vec(),
    );
    check("record", &received().encode_to_vec());
}

#[test]
fn every_version_stays_readable() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let versions: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!versions.is_empty());
    for version in versions {
        let read = |name: &str| {
            let text = fs::read_to_string(version.join(format!("{name}.hex"))).unwrap();
            HEXLOWER.decode(text.trim().as_bytes()).unwrap()
        };
        assert_eq!(v1::Hello::decode(read("hello").as_slice()).unwrap(), hello());
        assert_eq!(decode_alone(&v1::Batch::decode(read("batch").as_slice()).unwrap()).unwrap(), samples());
        assert_eq!(record::v1::Record::decode(read("record").as_slice()).unwrap(), received());
    }
}
