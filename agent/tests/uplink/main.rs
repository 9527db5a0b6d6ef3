//! The agent against a collector of the test's making, over the real wire on the loopback.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

mod closet;
mod collector;
mod contacts;
mod damage;
mod doctor;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_agent::host::Host;
use bellwether_agent::{EnrolError, Enrolment, GoodbyeReason, RunError, Settings, schema, state, system_events};
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::Lane;
use bellwether_proto::token::EnrolToken;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use collector::{Authority, Manner, TestCollector, Years};

const GOOD: Manner =
    Manner { acks: true, refuse: None, now_unix_ms: None, expired: false, contacts: Vec::new(), assignments: None };
const NOW: Years = Years(2020, 2090);

fn enrolment(dir: &Path, collector: &TestCollector, token: &EnrolToken) -> Enrolment {
    Enrolment {
        state_dir: dir.to_owned(),
        collector: collector.address.to_string(),
        token: token.to_string(),
        name: Some("LAB-1".to_owned()),
        class: None,
        again: false,
        hardware: Host::at("/nowhere"),
    }
}

/// An enrolled folder, and the collector that it belongs to.
async fn enrolled(years: Years, manner: Manner) -> (tempfile::TempDir, Arc<Authority>, TestCollector) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::new(years));
    let collector = TestCollector::start(Arc::clone(&authority), manner).await;
    let enrolment = enrolment(dir.path(), &collector, &authority.token());
    let enrolled = bellwether_agent::enrol(&enrolment).await.unwrap();
    assert_eq!(enrolled.device_id, "d123456789");
    (dir, authority, collector)
}

/// A running agent.
struct Running {
    stop: oneshot::Sender<GoodbyeReason>,
    task: JoinHandle<Result<(), RunError>>,
}

fn run(dir: &Path) -> Running {
    let (stop, stopped) = oneshot::channel();
    let settings =
        Settings { state_dir: dir.to_owned(), interval: Some(Duration::from_secs(1)), hardware: Host::at("/nowhere") };
    let shutdown = async { stopped.await.unwrap_or(GoodbyeReason::GoodbyeStop) };
    Running { stop, task: tokio::spawn(bellwether_agent::run(settings, system_events::until(shutdown))) }
}

impl Running {
    async fn stop(self, reason: GoodbyeReason) {
        self.stop.send(reason).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// As a power cut: nothing is flushed and nobody is told.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

fn waiting(dir: &Path) -> u64 {
    let config = bellwether_agent::config::Config::default().spool;
    bellwether_agent::spool::Spool::open(&dir.join(state::SPOOL_DIR), config).unwrap().1.batches
}

#[tokio::test]
async fn an_enrolled_agent_streams_what_is_declared_and_says_goodbye() {
    let (dir, _authority, collector) = enrolled(NOW, GOOD).await;
    let agent = run(dir.path());
    let told = collector.wait_until("three batches came", |told| told.batches.len() >= 3).await;
    agent.stop(GoodbyeReason::GoodbyeUpdate).await;
    assert_eq!(collector.told.borrow().goodbyes, [GoodbyeReason::GoodbyeUpdate]);

    let declared: Vec<_> = schema::all().collect();
    let samples: Vec<_> = told.batches.iter().flat_map(|(_, _, samples)| samples).collect();
    for sample in &samples {
        bellwether_proto::schema::check(&declared, sample).unwrap();
    }
    for name in ["cpu", "mem", "system", "agent_source", "agent_spool"] {
        assert!(samples.iter().any(|sample| sample.measurement == name), "{name}");
    }
    let times: Vec<i64> = samples.iter().map(|sample| sample.time.0 % 1_000).collect();
    assert!(times.iter().all(|ms| *ms == 0), "points lie on full intervals: {times:?}");
    assert_eq!(told.by(Lane::Backfill), 0);
    assert!(told.times().values().all(|times| *times == 1));
    assert_eq!(told.hellos[0].interval_s, 1);
    assert_eq!(waiting(dir.path()), 0, "what is acknowledged waits no longer");
}

#[tokio::test]
async fn a_token_that_is_not_known_leaves_the_folder_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::new(NOW));
    let collector = TestCollector::start(Arc::clone(&authority), GOOD).await;
    let token = EnrolToken { secret: [1; 16], ..authority.token() };
    let error = bellwether_agent::enrol(&enrolment(dir.path(), &collector, &token)).await.unwrap_err();
    assert_eq!(error.to_string(), "the collector refused: this token is not known");
    assert!(matches!(state::read_identity(dir.path()), Err(state::StateError::NotEnrolled { .. })));
}

#[tokio::test]
async fn a_collector_with_another_ca_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let collector = TestCollector::start(Arc::new(Authority::new(NOW)), GOOD).await;
    let other = Authority::new(NOW);
    let error = bellwether_agent::enrol(&enrolment(dir.path(), &collector, &other.token())).await.unwrap_err();
    let text = bellwether_agent::run::whole_chain(&error);
    assert!(text.contains("is not the collector that this machine knows"), "{text}");
    assert!(!text.contains('\n'));
}

#[tokio::test]
async fn a_folder_is_enrolled_once_unless_somebody_insists() {
    let (dir, authority, collector) = enrolled(NOW, GOOD).await;
    let mut enrolment = enrolment(dir.path(), &collector, &authority.token());
    let error = bellwether_agent::enrol(&enrolment).await.unwrap_err();
    assert!(matches!(&error, EnrolError::State(state::StateError::AlreadyEnrolled { .. })), "{error:?}");
    enrolment.again = true;
    bellwether_agent::enrol(&enrolment).await.unwrap();
    assert_eq!(state::read_identity(dir.path()).unwrap().name, "LAB-1");
}

#[tokio::test]
async fn a_second_agent_on_the_folder_is_refused() {
    let (dir, _authority, collector) = enrolled(NOW, GOOD).await;
    let agent = run(dir.path());
    collector.wait_until("the first is connected", |told| !told.hellos.is_empty()).await;
    let second = run(dir.path());
    let error = second.task.await.unwrap().unwrap_err();
    assert!(matches!(error, RunError::State(state::StateError::InUse { .. })), "{error:?}");
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

#[tokio::test]
async fn what_a_cut_stream_left_unacknowledged_comes_again_as_history() {
    let (dir, _authority, collector) = enrolled(NOW, Manner { acks: false, ..GOOD }).await;
    let agent = run(dir.path());
    collector.wait_until("two batches came", |told| told.batches.len() >= 2).await;
    collector.behave(|manner| manner.acks = true);
    // The test's collector says at the next welcome that it has them, as a real one that lost only the answer.
    collector.cut();
    let told = collector
        .wait_until("it came back and went on", |told| told.hellos.len() >= 2 && told.batches.len() >= 4)
        .await;
    assert!(told.times().values().all(|times| *times == 1), "the welcome spared the repetition");
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    assert_eq!(waiting(dir.path()), 0);
}

#[tokio::test]
async fn an_agent_outlives_the_absence_of_its_collector_and_its_own_death() {
    let (dir, authority, collector) = enrolled(NOW, GOOD).await;
    let address = collector.address;
    drop(collector);
    // Two lives without a collector, the first ends by a kill.
    for kill in [true, false] {
        let agent = run(dir.path());
        // What the one before left is written again first, by the clock of this one.
        let before = 2 * spooled(dir.path());
        wait_for_spool(dir.path(), before).await;
        if kill {
            agent.kill().await;
        } else {
            agent.stop(GoodbyeReason::GoodbyeStop).await;
        }
    }
    let left = waiting(dir.path());
    assert!(left >= 2);
    let collector = TestCollector::start_at(authority, GOOD, address).await;
    let agent = run(dir.path());
    let told = collector.wait_until("the history came", |told| told.by(Lane::Backfill) as u64 >= left).await;
    let generations: std::collections::BTreeSet<u64> = told.times().keys().map(|id| id.generation).collect();
    assert_eq!(generations.len(), 1, "of a clock that was never told nothing is sent");
    assert!(told.times().values().all(|times| *times == 1));
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    assert_eq!(waiting(dir.path()), 0);
}

fn spooled(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join(state::SPOOL_DIR)).into_iter().flatten();
    let files = files.filter_map(Result::ok).filter(|file| file.path().extension().is_some_and(|kind| kind == "spool"));
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// Waits until the spool has grown by a batch.
async fn wait_for_spool(dir: &Path, before: u64) {
    let grown = async {
        while spooled(dir) <= before + 100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), grown).await.expect("the agent spools");
}

#[tokio::test]
async fn a_machine_whose_clock_is_decades_off_still_streams_if_the_collector_is_within_its_own_time() {
    let in_2050 = Timestamp(2_540_000_000_000).0;
    let (dir, _authority, collector) = enrolled(Years(2049, 2052), Manner { now_unix_ms: Some(in_2050), ..GOOD }).await;
    let agent = run(dir.path());
    collector.wait_until("batches came", |told| !told.batches.is_empty()).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

#[tokio::test]
async fn an_expired_collector_gets_nothing() {
    let (dir, _authority, collector) = enrolled(Years(2001, 2003), GOOD).await;
    let agent = run(dir.path());
    collector.wait_until("two attempts were made", |told| told.hellos.len() >= 2).await;
    // Two attempts may be over before the first reading was due.
    wait_for_spool(dir.path(), 0).await;
    assert!(collector.told.borrow().batches.is_empty());
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    assert!(waiting(dir.path()) > 0, "readings wait");
}

#[tokio::test]
async fn a_refused_agent_keeps_its_readings_and_tries_again() {
    let (dir, _authority, collector) = enrolled(NOW, GOOD).await;
    collector.behave(|manner| manner.refuse = Some("this device's certificate was revoked: enrol it again"));
    let agent = run(dir.path());
    collector.wait_until("it was refused twice", |told| told.refusals >= 2).await;
    collector.behave(|manner| manner.refuse = None);
    let told = collector.wait_until("it is back", |told| told.by(Lane::Backfill) > 0).await;
    assert!(told.times().values().all(|times| *times == 1));
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

/// A line that lets the first connection through at once, and each later one only after a while: it answers with the
/// time at which it let the last one through.
async fn slow_line(to: std::net::SocketAddr) -> (std::net::SocketAddr, Arc<std::sync::atomic::AtomicI64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let opened_at = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let opened = Arc::clone(&opened_at);
    tokio::spawn(async move {
        for count in 0.. {
            let (mut near, _) = listener.accept().await.unwrap();
            if count > 0 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                opened.store(bellwether_agent::clock::now().wall.0, std::sync::atomic::Ordering::SeqCst);
            }
            let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    (address, opened_at)
}

#[tokio::test]
async fn a_slow_line_does_not_look_like_a_slow_clock() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::new(NOW));
    let collector = TestCollector::start(Arc::clone(&authority), GOOD).await;
    let (line, opened_at) = slow_line(collector.address).await;
    let by_line = Enrolment { collector: line.to_string(), ..enrolment(dir.path(), &collector, &authority.token()) };
    bellwether_agent::enrol(&by_line).await.unwrap();
    let agent = run(dir.path());
    let told = collector.wait_until("it said hello", |told| !told.hellos.is_empty()).await;
    let opened_at = opened_at.load(std::sync::atomic::Ordering::SeqCst);
    assert!(told.hellos[0].now_unix_ms >= opened_at, "{} before {opened_at}", told.hellos[0].now_unix_ms);
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

#[tokio::test]
async fn an_agent_whose_certificate_has_ended_renews_it_with_another_key_and_streams() {
    let manner = Manner { expired: true, ..GOOD };
    let (dir, _authority, collector) = enrolled(NOW, manner).await;
    let before = std::fs::read_to_string(dir.path().join("credentials.pem")).unwrap();
    let agent = run(dir.path());
    let told = collector.wait_until("batches came", |told| !told.batches.is_empty()).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
    assert_eq!((told.renewals.len(), told.refusals), (1, 1));
    let after = std::fs::read_to_string(dir.path().join("credentials.pem")).unwrap();
    let key = |text: &str| text.lines().nth(1).unwrap().to_owned();
    assert_ne!(key(&before), key(&after));
    let message = bellwether_proto::trust::renewal_message(&told.renewals[0].csr);
    assert!(message.starts_with(b"bellwether.v1.Renew\0") && !told.renewals[0].signature.is_empty());
    assert!(before.contains("BEGIN CERTIFICATE"));
}
