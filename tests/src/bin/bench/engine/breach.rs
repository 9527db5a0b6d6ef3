//! From a reading to a ticket, through a real collector with a district of agents on it.

use std::path::Path;
use std::time::{Duration, Instant};

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_tests::collector::Collector;
use bellwether_tests::firehose::{Line, Sender, now_ms};
use rusqlite::{Connection, OpenFlags};
use tokio::time::sleep;

/// Breaches that are timed.
const BREACHES: usize = 400;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(150);

/// Between two readings of an agent.
const INTERVAL: Duration = Duration::from_secs(60);

/// Between two looks at the database.
const LOOK: Duration = Duration::from_millis(2);

/// A ticket that is not there after so long never comes.
const LIMIT: Duration = Duration::from_secs(30);

/// Opens with the first reading, so that all the time is ours. Critical: such a ticket is never held back.
const RULE: &str = r#"
format = 1

[[rule]]
id = "bench.breach"
title = "{device} is too hot"
advice = "None: this is a benchmark."
severity = "critical"
ticket = "REPAIR"
category = "bench"
classes = ["laptop"]
runbook = "None."
source = "A benchmark."

[rule.check.threshold]
measurement = "temp"
by = ["sensor"]
open = [{ field = "temp", above = 90 }]
clear = [{ field = "temp", below = 80 }]
evidence = ["{temp} degrees"]
"#;

/// The time within which 99 of 100 breaches are committed as tickets, in ms.
pub(super) fn p99_ms(agents: u32) -> f64 {
    let mut collector = Collector::prepare("[own_agent]\nenabled = false\n");
    let rules = collector.data().join("rules");
    std::fs::create_dir_all(&rules).expect("a folder takes a folder");
    std::fs::write(rules.join("bench.toml"), RULE).expect("a folder takes a file");
    collector.go();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut took = tokio::task::LocalSet::new().block_on(&runtime, measure(&collector, agents));
    let status = collector.program().stop();
    assert!(status.success(), "the collector did not stop cleanly: {}", collector.program().text());
    took.sort_unstable();
    took[took.len() * 99 / 100].as_secs_f64() * 1e3
}

async fn measure(collector: &Collector, agents: u32) -> Vec<Duration> {
    let token = collector.enrol_token("Lincoln High", agents);
    let endpoint = collector.grpc.to_string();
    let breaching = u32::try_from(BREACHES).expect("a few");
    let mut chosen = Vec::new();
    for number in 0..agents {
        let folder = collector.room().join(format!("sender-{number}"));
        let mut sender =
            Sender::enrol(&folder, &endpoint, &token, &format!("PC-{number}")).await.expect("an enrolment");
        let line = sender.connect().await.expect("a stream");
        if number % (agents / breaching) == 0 && chosen.len() < BREACHES {
            chosen.push((sender, line));
        } else {
            tokio::task::spawn_local(hum(sender, line, number));
        }
    }
    let state = open(&collector.data().join("state.sqlite"));
    let mut took = Vec::new();
    for (sender, line) in &mut chosen {
        sleep(PAUSE).await;
        took.push(time_one(&state, sender, line).await);
    }
    took
}

/// An agent that says every minute that all is well.
async fn hum(mut sender: Sender, mut line: Line, number: u32) {
    sleep(INTERVAL * (number % 60) / 60).await;
    loop {
        sender.pour(&mut line, 1, |_| vec![temp(45.0)]).await.expect("acknowledgements");
        sleep(INTERVAL).await;
    }
}

async fn time_one(state: &Connection, sender: &mut Sender, line: &mut Line) -> Duration {
    let started = Instant::now();
    let device = sender.device_id.clone();
    let sent = sender.pour(line, 1, |_| vec![temp(95.0)]);
    let committed = async {
        while !has_ticket(state, &device) {
            assert!(started.elapsed() < LIMIT, "no ticket for {device} within {LIMIT:?}");
            sleep(LOOK).await;
        }
        started.elapsed()
    };
    let (sent, took) = tokio::join!(sent, committed);
    sent.expect("an acknowledgement");
    took
}

fn temp(degrees: f64) -> Sample {
    Sample {
        measurement: "temp".into(),
        tags: vec![("sensor".into(), "cpu".to_owned())],
        target: String::new(),
        time: Timestamp(now_ms()),
        fields: vec![("temp".into(), Value::Float(degrees))],
    }
}

fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).expect("a running collector's database can be read")
}

fn has_ticket(state: &Connection, device: &str) -> bool {
    let mut query = state.prepare_cached("SELECT 1 FROM tickets WHERE device = ?1").expect("tickets have a device");
    query.exists([device]).expect("a running collector's database can be read")
}
