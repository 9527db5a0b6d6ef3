//! Traps and informs as Net-SNMP's own programs send them, in all versions, to an open port of ours.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_agent::snmp::traps::Nudge;
use bellwether_agent::snmp::traps::ears::{Assigned, Ears, Mouths};
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::version3::user;
use super::*;

/// Of the one device whose word counts, and of one that nobody assigned.
const SWITCH: &str = "127.1.8.2";
const STRANGER: &str = "127.1.8.3";

/// An open port, and what was heard on it.
struct Closet {
    runtime: Runtime,
    task: JoinHandle<()>,
    address: SocketAddr,
    samples: mpsc::Receiver<Vec<Sample>>,
    nudges: mpsc::Receiver<Nudge>,
    folder: tempfile::TempDir,
    /// Of each kind, how often; and the counters.
    heard: BTreeMap<String, i64>,
    rows: Vec<Sample>,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

impl Closet {
    fn new(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 1, 8, 1], port));
        let assigned = Assigned::default();
        assigned.set([(SWITCH.parse::<IpAddr>().unwrap(), "d-switch".to_owned())]);
        let (sample_sender, samples) = mpsc::channel(100);
        let (nudge_sender, nudges) = mpsc::channel(100);
        let ears = Ears {
            address,
            credentials: vec![user("closet", Some("sha256"), Some("aes128")), user("old", Some("md5"), Some("des"))],
            engine: folder.path().join("snmp-engine"),
            assigned,
            interval: Duration::from_millis(200),
        };
        let mouths = Mouths { samples: sample_sender, nudges: nudge_sender };
        let open = runtime.block_on(ears.open()).unwrap();
        let task = runtime.spawn(open.run(mouths, now));
        let (heard, rows) = (BTreeMap::new(), Vec::new());
        Self { runtime, task, address, samples, nudges, folder, heard, rows }
    }

    /// Sends as `program` does; whether it says that it went well.
    fn send(&self, program: &str, from: &str, arguments: &[&str], what: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.env("MIBS", "").env("SNMP_PERSISTENT_DIR", self.folder.path()).env("SNMPCONFPATH", self.folder.path());
        command.arg(format!("--clientaddr={from}")).args(["-t", "1", "-r", "1"]);
        command.args(arguments).arg(self.address.to_string()).args(what);
        let ended = run_command(program, &mut command);
        ended.status.success()
    }

    /// Takes rows in until there are so many of a kind.
    fn wait_for(&mut self, kind: &str, times: i64) {
        while self.heard.get(kind).copied().unwrap_or(0) < times {
            let samples = self
                .runtime
                .block_on(async { tokio::time::timeout(Duration::from_secs(20), self.samples.recv()).await });
            let samples = samples.unwrap_or_else(|_| panic!("{times} of {kind}: {:?}", self.heard));
            for sample in samples.unwrap() {
                self.note(sample);
            }
        }
    }

    fn note(&mut self, sample: Sample) {
        for (name, value) in &sample.fields {
            let Value::Integer(value) = value else { continue };
            match sample.tags.first() {
                Some((_, word)) if name == "count" => *self.heard.entry(word.clone()).or_default() += value,
                None => drop(self.heard.insert(name.to_string(), *value)),
                Some(_) => {}
            }
        }
        if !sample.tags.is_empty() {
            assert_eq!(sample.target, "d-switch");
            self.rows.push(sample);
        }
    }
}

const LINK_DOWN: [&str; 8] =
    ["", "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.7", "i", "7", "1.3.6.1.2.1.31.1.1.1.1.7", "s", "Gi0/7"];
const COLD_START: [&str; 2] = ["", "1.3.6.1.6.3.1.1.5.1"];
const SIGNED: [&str; 13] = [
    "-v3",
    "-l",
    "authPriv",
    "-u",
    "closet",
    "-a",
    "SHA-256",
    "-A",
    "auctoritas maxima",
    "-x",
    "AES",
    "-X",
    "privatus privatissimus",
];

#[test]
fn traps_of_all_versions_are_believed_from_whom_they_may_come() {
    let mut closet = Closet::new(16_201);
    let v2 = ["-v2c", "-c", "whatever"];
    assert!(closet.send("snmptrap", SWITCH, &v2, &LINK_DOWN));
    closet.wait_for("link_down", 1);
    let row = closet.rows.pop().unwrap();
    let field = |name: &str| row.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    assert_eq!(field("port"), Some(Value::Text("Gi0/7".to_owned())));
    assert_eq!(field("ifIndex"), Some(Value::Integer(7)));
    // Version 1: linkUp, and a UPS's own.
    let v1 = ["-v1", "-c", "whatever"];
    assert!(closet.send("snmptrap", SWITCH, &v1, &["1.3.6.1.4.1.9", SWITCH, "3", "0", "1"]));
    assert!(closet.send("snmptrap", SWITCH, &v1, &["1.3.6.1.4.1.318", SWITCH, "6", "5", "1"]));
    closet.wait_for("link_up", 1);
    closet.wait_for("on_battery", 1);
    // Version 3, as whoever asks.
    let engine: Vec<&str> = ["-e", "0x8000000905070707"].into_iter().chain(SIGNED).collect();
    assert!(closet.send("snmptrap", SWITCH, &engine, &COLD_START));
    closet.wait_for("cold_start", 1);
    // An unknown one.
    assert!(closet.send("snmptrap", SWITCH, &v2, &["", "1.3.6.1.4.1.9.9.43.2.0.1"]));
    closet.wait_for("other", 1);
    assert_eq!(closet.nudges.try_recv(), Ok(Nudge::Poll("d-switch".to_owned())));
    closet.wait_for("believed", 5);
    assert_eq!((closet.heard["refused_source"], closet.heard["refused_sender"]), (0, 0));
    closet.task.abort();
}

#[test]
fn what_nobody_vouches_for_is_counted_and_says_nothing() {
    let mut closet = Closet::new(16_202);
    assert!(closet.send("snmptrap", STRANGER, &["-v2c", "-c", "public"], &LINK_DOWN));
    closet.wait_for("refused_source", 1);
    // Known to nobody, signed with another password, and not signed though the user should.
    let mut wrong = SIGNED;
    wrong[8] = "another password";
    let mut nobody = SIGNED;
    nobody[4] = "nobody";
    let open = ["-v3", "-l", "noAuthNoPriv", "-u", "closet"];
    for (times, arguments) in [(1, &wrong[..]), (2, &nobody), (3, &open)] {
        let engine: Vec<&str> = ["-e", "0x8000000905070708"].into_iter().chain(arguments.iter().copied()).collect();
        assert!(closet.send("snmptrap", SWITCH, &engine, &COLD_START));
        closet.wait_for("refused_sender", times);
    }
    assert_eq!(closet.heard["believed"], 0, "{:?}", closet.heard);
    assert!(closet.rows.is_empty() && closet.nudges.try_recv().is_err());
    closet.task.abort();
}

#[test]
fn informs_are_acknowledged_to_whom_is_believed_and_to_nobody_else() {
    let mut closet = Closet::new(16_203);
    assert!(closet.send("snmpinform", SWITCH, &["-v2c", "-c", "whatever"], &LINK_DOWN));
    assert!(closet.send("snmpinform", SWITCH, &SIGNED, &COLD_START));
    let old = [
        "-v3",
        "-l",
        "authPriv",
        "-u",
        "old",
        "-a",
        "MD5",
        "-A",
        "auctoritas maxima",
        "-x",
        "DES",
        "-X",
        "privatus privatissimus",
    ];
    assert!(closet.send("snmpinform", SWITCH, &old, &COLD_START));
    closet.wait_for("link_down", 1);
    closet.wait_for("cold_start", 2);
    assert!(!closet.send("snmpinform", STRANGER, &["-v2c", "-c", "whatever"], &LINK_DOWN));
    let mut wrong = SIGNED;
    wrong[8] = "another password";
    assert!(!closet.send("snmpinform", SWITCH, &wrong, &COLD_START));
    closet.task.abort();
}

#[test]
fn a_storm_is_few_rows_and_one_poll() {
    let mut closet = Closet::new(16_204);
    let begun = Instant::now();
    for _ in 0..60 {
        assert!(closet.send("snmptrap", SWITCH, &["-v2c", "-c", "whatever"], &LINK_DOWN));
    }
    closet.wait_for("link_down", 60);
    assert!(closet.rows.len() < 60, "{} rows", closet.rows.len());
    let nudges = std::iter::from_fn(|| closet.nudges.try_recv().ok()).count() as u64;
    let most = 1 + begun.elapsed().as_secs() / 10;
    assert!((1..=most).contains(&nudges), "{nudges} polls out of turn within {:?}", begun.elapsed());
    closet.task.abort();
}
