//! The reader and the comparison before a server that answers InfluxQL: another store of our own behind its own face.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_journal::{Journal, Position};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Record, SeriesChanged, record};
use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{Change, Lines, NotTaken, Options, Precision, QueryOptions, Store, Writer, lines};
use prost::Message;

use super::client::Client;
use super::compare::{Comparison, Difference};
use crate::clock::Clock;
use crate::config::Influxdb;
use crate::health::Health;
use crate::points;
use crate::readers::influx::InfluxReader;
use crate::readers::{INFLUX, Reader, SERIES, Step};
use crate::state::testing::fresh;

const HOUR_NS: i64 = 3_600_000_000_000;

struct Anyone;

impl Authorizer for Anyone {
    fn may_read(&self, _: &Credentials, _: &str) -> Result<(), Denied> {
        Ok(())
    }

    fn may_write(&self, _: &Credentials, _: &str) -> Result<(), Denied> {
        Ok(())
    }
}

/// Applies at once what it is given.
struct Direct(Arc<Store>, AtomicU64);

impl Writer for Direct {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        let position = self.1.fetch_add(1, Ordering::SeqCst);
        self.0.apply_change(position, &change).map(drop).map_err(|error| NotTaken::Later(error.to_string()))
    }
}

fn open(folder: &Path) -> Arc<Store> {
    Arc::new(Store::open(folder, Options::default()).unwrap())
}

/// A server at `address`, with a store of its own.
async fn serve(address: SocketAddr, store: &Arc<Store>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(Arc::clone(store), Arc::new(Anyone), Arc::new(Direct(Arc::clone(store), AtomicU64::new(1))));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn client(address: SocketAddr) -> Client {
    let settings = Influxdb { url: format!("http://{address}"), ..Influxdb::default() };
    Client::new(&settings, Path::new(".")).unwrap()
}

fn put(store: &Store, position: u64, text: &str) {
    let all: Vec<_> = lines(text.as_bytes(), Precision::Nanoseconds, 0).map(|line| line.unwrap().point).collect();
    store.apply(position, points::DATABASE, &all).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_that_is_not_the_same_in_both_stores_is_found() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (open(here.path()), open(there.path()));
    let address = serve(([127, 0, 0, 1], 0).into(), &theirs).await;
    let (_folder, state) = fresh();
    let comparison = Comparison {
        store: Arc::clone(&ours),
        client: client(address),
        state: Arc::new(state),
        clock: Clock::manual(Timestamp(500 * 3_600_000)),
        health: Arc::new(Health::default()),
    };
    let hour = 480 * HOUR_NS;
    let text: String = (0..60)
        .map(|minute| format!("disk,host=a used={minute}.5,free={minute}i {}\n", hour + minute * 60_000_000_000))
        .collect();
    put(&ours, 1, &text);
    put(&theirs, 1, &text);
    let look = async || comparison.hour(hour / 1_000_000).await.unwrap();
    assert_eq!(look().await, Difference::default());
    put(&ours, 2, &format!("disk,host=a used=1.0 {}", hour + 7));
    let missing = look().await;
    assert_eq!(missing.first, "disk count_used: 61 here, 60 there");
    // Another value is seen where the hour is looked at closely: here in every minute.
    put(&theirs, 2, &text.replace(".5,", ".25,"));
    assert!(look().await.cells > missing.cells);
}

fn written(number: i64) -> Vec<u8> {
    let lines = Lines {
        database: points::DATABASE.to_owned(),
        policy: String::new(),
        precision: Precision::Nanoseconds,
        now_ns: 0,
        text: format!("m v={number}i {}\n", 480 * HOUR_NS + number).into_bytes().into(),
    };
    let change = Change::Lines(lines).encode();
    Record { body: Some(record::Body::Series(SeriesChanged { change })) }.encode_to_vec()
}

fn count(store: &Store) -> String {
    store.query(points::DATABASE, "SELECT count(v), sum(v) FROM m", &QueryOptions::at(0)).to_json(false)
}

/// Points that the journal holds in about five segments.
const POINTS: i64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_journal_gave_up_comes_out_of_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let (ours, theirs) = (open(&here), open(&there));
    let readers = [SERIES, INFLUX].map(|reader| (reader.to_owned(), Position(0)));
    let options = bellwether_journal::Options {
        segment_bytes: 4_096,
        max_bytes: 16_384,
        readers: BTreeMap::from(readers),
        yielding: BTreeSet::from([INFLUX.to_owned()]),
    };
    let (journal, _) = Journal::open(folder.path().join("journal"), options).unwrap();
    let journal = Arc::new(journal);
    let (_state_folder, state) = fresh();
    let now = Timestamp(480 * 3_600_000 + 1_000);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reader =
        InfluxReader::new(Arc::clone(&journal), Arc::new(state), Clock::manual(now), client(nobody), folder.path());
    let mut reader = reader.unwrap().with_embedded(Arc::clone(&ours));
    let mut failures = 0;
    for number in 0..POINTS {
        let committed = journal.append(now.0, written(number)).unwrap().wait().unwrap();
        let entries = journal.read(committed.position, 1).unwrap();
        let record = Record::decode(entries[0].payload.as_slice()).unwrap();
        let Some(record::Body::Series(changed)) = record.body else { panic!("a change") };
        ours.apply_change(committed.next.0, &Change::decode(changed.change).unwrap()).unwrap();
        journal.release(SERIES, committed.next);
    }
    assert!(journal.start() > Position(0), "the journal gave up its oldest part");
    loop {
        let (back, answer) = tokio::task::spawn_blocking(move || {
            let answer = reader.step();
            (reader, answer)
        })
        .await
        .unwrap();
        reader = back;
        match answer {
            Ok(Step::Idle) => break,
            Ok(Step::Moved) => {}
            Err(_) => {
                failures += 1;
                assert_eq!(failures, 1, "nobody answered at first, and then somebody did");
                serve(nobody, &theirs).await;
            }
        }
    }
    // What lingers is sent at the end.
    let finished = tokio::task::spawn_blocking(move || reader.finish());
    finished.await.unwrap().unwrap();
    assert_eq!(failures, 1);
    assert!(count(&ours).contains(&format!(",{POINTS},")), "{}", count(&ours));
    assert_eq!(count(&theirs), count(&ours));
}
