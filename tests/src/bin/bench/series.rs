//! The embedded store of series beside Debian's `influxd` and `victoria-metrics`: the same bodies by the same client, one
//! server after the other, each with an empty folder.
//!
//! - A: 500 devices with 62 fields, a reading a minute for a day. B: 20 devices with five fields, a minute apart, for a year.
//! - `disk_bytes_per_value`: everything packed, without the journal, by the blocks that the files take.
//! - `ingest_values_per_s`: four connections, bodies of 5,000 lines, until the last is acknowledged.
//! - `own_path_values_per_s`: the collector's way in, points by `Store::apply` with its checkpoints, in this process.
//! - `query_p95_ms_...`: forty times, one at a time, each for another device or time; the answers are compared.
//! - `rss_mib`: the most that the server has had in all of this. `restart_s`: after SIGKILL, with fifteen minutes of 20,000
//!   values a second that are in no block, until the newest acknowledged point is shown; see [`restart`].
//!
//! Ours is `examples/serve.rs` of the series crate, with its journal. The figures without a letter are of A and B together.
//! `BELLWETHER_BENCH_DIVISOR=20` takes a twentieth of the times, and says `short_` before each figure;
//! `BELLWETHER_BENCH_PARTS=own,ours,influxd,victoria-metrics,restart` takes only some of the parts.

use std::time::{Duration, Instant};

use bellwether_series::{Options, Store};

use crate::Figure;
use crate::agent::note;

mod bodies;
mod made;
mod queries;
mod servers;

use bodies::Bodies;
use queries::{Answered, Asked};
use servers::{Kind, Server, float};

/// Of data A.
const DEVICES_A: u64 = 500;
const MINUTES_A: u64 = 24 * 60;
/// Of data B.
const DEVICES_B: u64 = 20;
const MINUTES_B: u64 = 365 * 24 * 60;

/// 20,000 values a second are the devices of data A with a reading a minute, so many of them.
const DEVICES_RESTART: u64 = 20_000 * 60 / made::VALUES_A;
/// Minutes until the last checkpoint, and after it: one every five minutes.
const MINUTES_SAVED: u64 = 10;
const MINUTES_UNSAVED: u64 = 5;
const RESTART_LIMIT: Duration = Duration::from_secs(120);

/// Of issue 5.
const OWN_GOAL: f64 = 1e6;
const RSS_GOAL: f64 = 512.0;
const RESTART_GOAL: f64 = 5.0;

/// What one server did with one set of data.
struct Measured {
    values: u64,
    values_per_s: f64,
    bytes: u64,
    answered: Vec<Answered>,
    rss_mib: f64,
}

/// What one server did with both.
struct Both {
    a: Measured,
    b: Measured,
}

impl Both {
    fn values_per_s(&self) -> f64 {
        let time = |of: &Measured| float(of.values) / of.values_per_s;
        float(self.a.values + self.b.values) / (time(&self.a) + time(&self.b))
    }

    fn bytes_per_value(&self) -> f64 {
        float(self.a.bytes + self.b.bytes) / float(self.a.values + self.b.values)
    }
}

pub(crate) fn run() -> Vec<Figure> {
    let divisor = std::env::var("BELLWETHER_BENCH_DIVISOR").ok().map_or(1, |text| text.parse().expect("a number"));
    let parts = std::env::var("BELLWETHER_BENCH_PARTS").unwrap_or_default();
    let wanted = |part: &str| parts.is_empty() || parts.split(',').any(|one| one == part);
    let (minutes_a, minutes_b) = (MINUTES_A / divisor, MINUTES_B / divisor);
    let mut figures = Vec::new();
    if wanted("own") {
        figures.push(goal("own_path_values_per_s", own_path(minutes_a), "values/s", OWN_GOAL));
    }
    let mut rss_mib: f64 = 0.0;
    if wanted("restart") {
        let (restart_s, rss) = restart(DEVICES_RESTART / divisor);
        rss_mib = rss_mib.max(rss);
        figures.push(goal("restart_s", restart_s, "s", RESTART_GOAL));
    }
    let kinds = [("ours", Kind::Ours), ("influxd", Kind::Influx), ("victoria-metrics", Kind::Victoria)];
    let kinds: Vec<_> = kinds.into_iter().filter(|(part, _)| wanted(part)).collect();
    let seconds = |minutes: u64| i64::try_from(minutes * 60).expect("a year");
    let asked_a = queries::of_devices(seconds(minutes_a));
    let asked_b = queries::of_meters(seconds(minutes_b));
    let of_a = each(&kinds, || bodies::of_devices(DEVICES_A, 0..minutes_a), &asked_a);
    let of_b = each(&kinds, || bodies::of_meters(DEVICES_B, minutes_b), &asked_b);
    let mut all: Vec<(Kind, Both)> =
        of_a.into_iter().zip(of_b).map(|((kind, a), (_, b))| (kind, Both { a, b })).collect();
    if let Some(ours) = all.iter().position(|(kind, _)| *kind == Kind::Ours) {
        let ours = all.remove(ours).1;
        for (kind, peer) in &all {
            compare(&mut figures, *kind, &ours, peer);
        }
        for (asked, own, peer) in
            [(&asked_a, &ours.a, of(&all, |both| &both.a)), (&asked_b, &ours.b, of(&all, |both| &both.b))]
        {
            beside(&mut figures, asked, own, peer);
        }
        rss_mib = rss_mib.max(ours.a.rss_mib).max(ours.b.rss_mib);
    }
    figures.push(goal("rss_mib", rss_mib, "MiB", RSS_GOAL));
    if divisor > 1 {
        figures.iter_mut().for_each(|figure| figure.name.insert_str(0, "short_"));
    }
    figures
}

fn of(all: &[(Kind, Both)], part: impl Fn(&Both) -> &Measured) -> Option<&Measured> {
    all.iter().find(|(kind, _)| *kind == Kind::Influx).map(|(_, both)| part(both))
}

fn goal(name: &str, value: f64, unit: &'static str, peer_value: f64) -> Figure {
    Figure { name: name.to_owned(), value, unit, peer: "goal", peer_value }
}

fn compare(figures: &mut Vec<Figure>, kind: Kind, ours: &Both, theirs: &Both) {
    let peer = if kind == Kind::Influx { "influxd" } else { "victoria-metrics" };
    let mut figure = |name: &str, unit, value, peer_value| {
        figures.push(Figure { name: name.to_owned(), value, unit, peer, peer_value });
    };
    let bytes = |of: &Measured| float(of.bytes) / float(of.values);
    figure("disk_bytes_per_value", "bytes", ours.bytes_per_value(), theirs.bytes_per_value());
    figure("disk_bytes_per_value_a", "bytes", bytes(&ours.a), bytes(&theirs.a));
    figure("disk_bytes_per_value_b", "bytes", bytes(&ours.b), bytes(&theirs.b));
    figure("ingest_values_per_s", "values/s", ours.values_per_s(), theirs.values_per_s());
    figure("ingest_values_per_s_a", "values/s", ours.a.values_per_s, theirs.a.values_per_s);
    figure("ingest_values_per_s_b", "values/s", ours.b.values_per_s, theirs.b.values_per_s);
}

fn beside(figures: &mut Vec<Figure>, asked: &[Asked], ours: &Measured, influxd: Option<&Measured>) {
    for (at, asked) in asked.iter().enumerate() {
        let own = &ours.answered[at];
        let peer = influxd.map(|influxd| &influxd.answered[at]);
        if let Some(peer) = peer {
            queries::assert_same(own, peer, asked);
        }
        figures.push(Figure {
            name: format!("query_p95_ms_{}", asked.name),
            value: own.p95_ms,
            unit: "ms",
            peer: "influxd",
            peer_value: peer.map_or(f64::NAN, |peer| peer.p95_ms),
        });
    }
}

/// One set of data to each server, one after the other.
fn each(kinds: &[(&str, Kind)], bodies: impl FnOnce() -> Bodies, asked: &[Asked]) -> Vec<(Kind, Measured)> {
    if kinds.is_empty() {
        return Vec::new();
    }
    let bodies = bodies();
    kinds.iter().map(|(_, kind)| (*kind, measure(*kind, &bodies, asked))).collect()
}

fn measure(kind: Kind, bodies: &Bodies, asked: &[Asked]) -> Measured {
    let room = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(kind, room.path());
    let values_per_s = server.take(bodies);
    let bytes = server.settle();
    let answered = if kind == Kind::Victoria { Vec::new() } else { queries::ask(&server, asked) };
    let rss_mib = server.rss_mib();
    note(&format!("{kind:?}: {:.3} bytes a value, {rss_mib:.0} MiB", float(bytes) / float(bodies.values)));
    for answered in &answered {
        note(&format!("{kind:?}: {} {:.1} ms", answered.name, answered.p95_ms));
    }
    server.stop();
    Measured { values: bodies.values, values_per_s, bytes, answered, rss_mib }
}

/// Data A by the collector's own way: the points of one reading of one device at a time.
fn own_path(minutes: u64) -> f64 {
    let room = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(room.path(), Options::default()).expect("an empty folder takes a store");
    let mut devices: Vec<made::Device> = (0..DEVICES_A).map(made::Device::new).collect();
    let (begun, mut took, mut position, mut values) = (Instant::now(), Duration::ZERO, 0, 0);
    for _ in 0..minutes {
        let rows: Vec<Vec<made::Row>> = devices.iter_mut().map(made::Device::read).collect();
        let points: Vec<Vec<_>> = rows.iter().map(|rows| rows.iter().map(made::Row::point).collect()).collect();
        let now_ns = i64::try_from(begun.elapsed().as_nanos()).expect("an hour");
        let started = Instant::now();
        for points in &points {
            position += 1;
            values += store.apply(position, "bench", points).expect("room on the disk").values;
        }
        store.maintain(now_ns).expect("room on the disk");
        took += started.elapsed();
    }
    let started = Instant::now();
    store.checkpoint().expect("room on the disk");
    took += started.elapsed();
    assert_eq!(values, DEVICES_A * minutes * made::VALUES_A, "nothing is refused");
    float(values) / took.as_secs_f64()
}

/// 20,000 values a second for fifteen minutes, as the devices of data A with a reading a minute: ten minutes until the last
/// checkpoint, five minutes that only the journal has, and SIGKILL. Seconds from the start of the program until it shows the
/// newest acknowledged point; and the most memory.
fn restart(devices: u64) -> (f64, f64) {
    let room = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(Kind::Ours, room.path());
    server.take(&bodies::of_devices(devices, 0..MINUTES_SAVED));
    server.stop();
    let mut rss_mib = server.rss_mib();
    let end = MINUTES_SAVED + MINUTES_UNSAVED;
    let unsaved = bodies::of_devices(devices, MINUTES_SAVED..end);
    let mut server = Server::start(Kind::Ours, room.path());
    server.take(&unsaved);
    server.kill();
    rss_mib = rss_mib.max(server.rss_mib());
    let newest_s = made::BEGIN_A_S + (i64::try_from(end).expect("minutes") - 1) * made::MINUTE_S;
    let begun = Instant::now();
    let mut server = Server::start(Kind::Ours, room.path());
    let device = made::name(devices - 1);
    let text = format!("SELECT last(\"uptime\") FROM \"system\" WHERE \"device\" = '{device}' AND time >= {newest_s}s");
    let shown = format!("[{newest_s}000,");
    while !server.query(&text).is_ok_and(|answer| answer.contains(&shown)) {
        assert!(begun.elapsed() < RESTART_LIMIT, "the newest point is not there: {:?}", server.query(&text));
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = begun.elapsed().as_secs_f64();
    rss_mib = rss_mib.max(server.rss_mib());
    note(&format!("restart: {devices} devices, {took:.2} s, {rss_mib:.0} MiB"));
    server.stop();
    (took, rss_mib)
}
