//! The same journal gives the same tables, however often and from wherever it is read.

use std::path::Path;
use std::sync::Arc;

use bellwether_journal::{Journal, Options, Position};
use bellwether_logic::engine::Settings;
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{Comment, Record, TicketActed, record, ticket_acted};
use prost::Message;
use tokio::sync::watch;

use super::site::{Site, disk};
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::readers::engine::{EngineReader, Parts};
use crate::readers::{Reader, Step};
use crate::rules;
use crate::state::State;
use crate::state::tickets::TicketFilter;

/// Shipped rules that do not wait.
fn hasty_rules(site: &Site) {
    std::fs::create_dir_all(site.rules()).unwrap();
    let (_, text) = rules::SHIPPED.iter().find(|(name, _)| *name == "disks.toml").unwrap();
    let text = text.replace("for = \"2m\"", "for = \"1s\"").replace("clear_for = \"10m\"", "clear_for = \"1s\"");
    std::fs::write(site.rules().join("hasty.toml"), text).unwrap();
}

/// Devices that are no news.
fn known() -> Settings {
    Settings { first_sight: bellwether_logic::span::Span::default(), ..Settings::default() }
}

/// Everything that a person could see, as text.
fn tables(state: &State) -> String {
    let tickets = state.tickets(&TicketFilter::default(), 100, 0).unwrap();
    let events: Vec<_> = tickets.iter().map(|ticket| state.ticket_events(ticket.number).unwrap()).collect();
    let devices = state.all_devices().unwrap();
    let receipts = state.all_receipts().unwrap();
    format!("{tickets:#?}\n{events:#?}\n{devices:#?}\n{receipts:#?}")
}

fn reader(journal: &Arc<Journal>, state: &Arc<State>, rules_folder: &Path) -> EngineReader {
    let parts = Parts {
        journal: Arc::clone(journal),
        state: Arc::clone(state),
        inventory: Arc::new(Inventory::default()),
        refusals: Arc::default(),
        clock: Clock::manual(Timestamp(0)),
        started: Arc::default(),
        rules: rules::load(rules_folder).unwrap(),
        settings: known(),
    };
    EngineReader::new(parts, watch::channel(0).0).unwrap()
}

fn read_all(reader: &mut EngineReader) {
    while reader.step().unwrap() == Step::Moved {}
}

/// A morning at school: a disk fills up, somebody writes something, the disk is emptied.
async fn morning() -> (tempfile::TempDir, String) {
    let site = Site::start_with("[engine]\nfirst_sight = \"0s\"\n").await;
    hasty_rules(&site);
    let site = site.restart().await;
    let machine = site.machine().await;
    let mut stream = site.stream(&machine, 1).await.unwrap();
    let begin = site.now().0 - 600_000;
    for (sequence, used) in (0..).zip([50.0, 99.0, 99.0, 99.5, 99.0]) {
        stream.batch(sequence, &[disk(Timestamp(begin + 60_000 * i64::try_from(sequence).unwrap()), used)]).await;
        stream.acknowledged().await.unwrap();
    }
    let comment = ticket_acted::Action::Comment(Comment { text: "On my way.".into() });
    let acted = TicketActed { ticket: 1, actor: "rivera".into(), action: Some(comment) };
    let record = Record { body: Some(record::Body::Ticket(acted)) };
    site.running().app.clicks.submit(record).await.unwrap();
    let unknown = TicketActed {
        ticket: 99,
        actor: "rivera".into(),
        action: Some(ticket_acted::Action::Take(Default::default())),
    };
    let record = Record { body: Some(record::Body::Ticket(unknown)) };
    let refused = site.running().app.clicks.submit(record).await.unwrap_err();
    assert!(refused.to_string().contains("no ticket of this number"), "{refused}");
    for (sequence, used) in (5..).zip([20.0, 20.0, 20.0]) {
        stream.batch(sequence, &[disk(Timestamp(begin + 60_000 * i64::try_from(sequence).unwrap()), used)]).await;
        stream.acknowledged().await.unwrap();
    }
    drop(stream);
    let state = Arc::clone(&site.running().app.state);
    let folder = site.stop().await;
    let live = tables(&state);
    assert!(live.contains("On my way."), "{live}");
    assert!(live.contains("state: Resolved"), "{live}");
    (folder, live)
}

fn open(folder: &Path) -> Arc<Journal> {
    let (journal, _) = Journal::open(folder.join("journal"), Options::default()).unwrap();
    Arc::new(journal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaying_the_journal_from_its_start_gives_the_same_tickets() {
    let (folder, live) = morning().await;
    let journal = open(folder.path());
    assert_eq!(journal.start(), Position(0));
    let state = Arc::new(State::open(&folder.path().join("again.sqlite")).unwrap());
    read_all(&mut reader(&journal, &state, &folder.path().join("rules")));
    assert_eq!(tables(&state), live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_between_journal_and_tables_changes_nothing() {
    let (folder, live) = morning().await;
    let journal = open(folder.path());
    let end = journal.end();
    let rules = folder.path().join("rules");
    let mut position = Position(0);
    let mut count = 0;
    while position < end {
        position = journal.read(position, 1).unwrap()[0].next;
        count += 1;
        let path = folder.path().join(format!("crash-{count}.sqlite"));
        let state = Arc::new(State::open(&path).unwrap());
        // Effects up to here were committed, and no snapshot was: the engine starts anew and is fed everything.
        reader(&journal, &state, &rules).read_until(position);
        read_all(&mut reader(&journal, &state, &rules));
        assert_eq!(tables(&state), live, "crash after {position:?}");
        // And with a snapshot from here.
        let path = folder.path().join(format!("snapshot-{count}.sqlite"));
        let state = Arc::new(State::open(&path).unwrap());
        let mut first = reader(&journal, &state, &rules);
        first.read_until(position);
        first.finish().unwrap();
        read_all(&mut reader(&journal, &state, &rules));
        assert_eq!(tables(&state), live, "snapshot after {position:?}");
    }
    assert!(count > 10, "{count} records");
}

/// Where the reader is once it has read the last start of the collector.
fn after_last_start(journal: &Journal) -> Position {
    let entries = journal.read(journal.start(), usize::MAX).unwrap();
    let is_start = |entry: &&bellwether_journal::Entry| {
        matches!(Record::decode(entry.payload.as_slice()).unwrap().body, Some(record::Body::Started(_)))
    };
    entries.iter().rfind(is_start).unwrap().next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_change_after_a_crash_do_not_decide_anew_what_was_decided() {
    let (folder, live) = morning().await;
    let journal = open(folder.path());
    let rules = folder.path().join("rules");
    let others = folder.path().join("other rules");
    let mut position = after_last_start(&journal);
    let mut count = 0;
    while position < journal.end() {
        count += 1;
        let path = folder.path().join(format!("rules-{count}.sqlite"));
        let state = Arc::new(State::open(&path).unwrap());
        reader(&journal, &state, &rules).read_until(position);
        // The admin had changed the rules before the next start, which is not in the journal yet.
        read_all(&mut reader(&journal, &state, &others));
        assert_eq!(tables(&state), live, "crash after {position:?}");
        position = journal.read(position, 1).unwrap()[0].next;
    }
    assert!(count > 10, "{count} records");
}
