use std::collections::BTreeMap;
use std::io;

use bellwether_series::{FieldValue, Point};
use proptest::prelude::*;

use super::*;

/// A server of our own rules, which keeps what it takes.
#[derive(Default)]
struct Server {
    /// Values by time; the last write stands.
    stored: BTreeMap<i64, i64>,
    /// Values that it refuses.
    bad: BTreeSet<i64>,
    /// How it says so.
    voice: Voice,
    /// Lines above this are too much at once.
    lines_max: usize,
    /// Answers before any other.
    first: VecDeque<Option<Answer>>,
    writes: usize,
    told: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Voice {
    /// Nothing is stored of a request with a bad line, and it says nothing of use.
    #[default]
    Mute,
    /// As 1.x: the good lines are stored, the bad ones repeated.
    Quotes,
    /// As 2.x: nothing is stored, and the first bad line is numbered.
    Numbers,
    /// As 1.x on a conflict of types: the good points are stored, the others counted.
    Counts,
    /// It points at a good line.
    Lies,
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, retry_after: None, body: body.to_owned() }
}

fn read(line: &str) -> (i64, i64) {
    let (value, time) = line.trim_end().strip_prefix("m v=").unwrap().split_once("i ").unwrap();
    (time.parse().unwrap(), value.parse().unwrap())
}

impl Remote for Server {
    type Away = io::Error;

    fn write(&mut self, batch: &Batch) -> Result<Answer, io::Error> {
        self.writes += 1;
        match self.first.pop_front() {
            Some(Some(answer)) => return Ok(answer),
            Some(None) => return Err(io::ErrorKind::TimedOut.into()),
            None => {}
        }
        if self.lines_max > 0 && batch.len() > self.lines_max {
            return Ok(answer(413, ""));
        }
        let bad: Vec<_> = batch.lines().enumerate().filter(|(_, line)| self.bad.contains(&read(line).1)).collect();
        if bad.is_empty() || matches!(self.voice, Voice::Quotes | Voice::Counts) {
            let good = batch.lines().map(read).filter(|(_, value)| !self.bad.contains(value));
            self.stored.extend(good);
        }
        let Some((first, _)) = bad.first() else { return Ok(answer(204, "")) };
        let quoted: Vec<_> =
            bad.iter().map(|(_, line)| format!("unable to parse '{}': bad", line.trim_end())).collect();
        Ok(match self.voice {
            Voice::Mute => answer(400, "no"),
            Voice::Quotes => answer(400, &serde_json::json!({"error": quoted.join("\n")}).to_string()),
            Voice::Numbers => answer(400, &serde_json::json!({"message": "bad", "line": first + 1}).to_string()),
            Voice::Counts => answer(400, &format!("{{\"error\":\"partial write: no dropped={}\"}}", bad.len())),
            Voice::Lies => answer(400, &serde_json::json!({"message": "bad", "line": 1}).to_string()),
        })
    }

    fn tell(&mut self, statement: &Statement) -> Result<Answer, io::Error> {
        self.told.push(format!("{} with {} stored", statement.text, self.stored.len()));
        Ok(answer(
            200,
            if statement.text == "BAD" { "{\"results\":[{\"error\":\"no\"}]}" } else { "{\"results\":[{}]}" },
        ))
    }

    fn create(&mut self, place: &Place) -> Result<Answer, io::Error> {
        self.told.push(format!("create {}", place.database));
        Ok(answer(200, ""))
    }
}

fn lines(database: &str, points: impl IntoIterator<Item = (i64, i64)>) -> Job {
    let mut batch = Batch::new(Place { database: database.into(), policy: String::new() });
    for (time, value) in points {
        batch.push(&Point {
            measurement: "m".into(),
            tags: vec![],
            time,
            fields: vec![("v".into(), FieldValue::Integer(value))],
        });
    }
    Job::Lines(batch)
}

struct Story {
    folder: tempfile::TempDir,
    outbox: Outbox,
    server: Server,
}

impl Story {
    fn new(server: Server, jobs: Vec<Job>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::new(Rejects::new(folder.path()));
        outbox.add(jobs);
        Self { folder, outbox, server }
    }

    fn send(&mut self) -> Result<(), NotSent> {
        self.outbox.send(&mut self.server, Timestamp(0))
    }

    /// Sends until all is done; so many requests were made.
    fn finish(&mut self) -> usize {
        for _ in 0..10_000 {
            if self.outbox.is_empty() {
                return self.server.writes;
            }
            self.send().unwrap();
        }
        panic!("it never ends");
    }

    fn rejected(&self) -> Vec<i64> {
        let text = std::fs::read_to_string(self.folder.path().join(super::super::rejects::FILE)).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).map(|line| read(line).1).collect()
    }
}

#[test]
fn a_bad_line_costs_itself_alone_however_the_server_says_it() {
    for (voice, requests) in
        [(Voice::Quotes, 3), (Voice::Numbers, 7), (Voice::Counts, 200), (Voice::Mute, 200), (Voice::Lies, 200)]
    {
        let bad = BTreeSet::from([0, 71, 72]);
        let server = Server { voice, bad, ..Server::default() };
        let mut story = Story::new(server, vec![lines("db", (0..100).map(|n| (n, n))), lines("db", [(200, 200)])]);
        // The first line is bad: the second must show that it is not the settings.
        let requests_made = story.finish();
        assert!(requests_made <= requests + 1, "{voice:?}: {requests_made}");
        assert_eq!(story.rejected(), [0, 71, 72], "{voice:?}");
        assert_eq!(story.server.stored.len(), 98, "{voice:?}");
    }
}

#[test]
fn a_type_that_conflicts_in_every_point_costs_few_requests() {
    let server = Server { voice: Voice::Counts, bad: (0..5_000).collect(), ..Server::default() };
    let mut story = Story::new(server, vec![lines("db", (0..5_000).map(|n| (n, n)))]);
    assert_eq!(story.finish(), 1, "the server has said that it dropped all");
    assert_eq!(story.rejected().len(), 5_000);
}

#[test]
fn a_wrong_setting_rejects_no_line() {
    let mut story =
        Story::new(Server { bad: (0..9).collect(), ..Server::default() }, vec![lines("db", (0..9).map(|n| (n, n)))]);
    let error = story.send().unwrap_err();
    assert!(error.to_string().contains("it refuses every line (400 no)"), "{error}");
    assert_eq!((error.wait(), story.rejected().len()), (REFUSED_WAIT, 0));
    story.server.bad.clear();
    story.finish();
    assert_eq!(story.server.stored.len(), 9);
}

#[test]
fn a_body_that_is_too_large_is_halved_until_it_fits() {
    let mut story =
        Story::new(Server { lines_max: 30, ..Server::default() }, vec![lines("db", (0..100).map(|n| (n % 50, n)))]);
    story.finish();
    assert!(story.server.stored.iter().all(|(time, value)| *value == time + 50), "the last write of each point stands");
    let mut story =
        Story::new(Server { first: [Some(answer(413, ""))].into(), ..Server::default() }, vec![lines("db", [(1, 1)])]);
    story.finish();
    assert_eq!(story.rejected(), [1]);
}

#[test]
fn what_is_not_answered_stays_and_is_sent_again() {
    let first = [None, Some(answer(503, "")), Some(answer(401, "")), Some(answer(200, "<html>")), None].into();
    let mut story = Story::new(Server { first, ..Server::default() }, vec![lines("db", [(1, 1)])]);
    for _ in 0..5 {
        assert!(story.send().is_err());
        assert!(!story.outbox.is_empty());
    }
    story.send().unwrap();
    assert!(story.outbox.is_empty());
    assert_eq!(story.server.stored.len(), 1);
}

#[test]
fn a_server_that_goes_away_in_the_middle_of_a_search_rejects_nothing_twice() {
    let server = Server { voice: Voice::Numbers, bad: BTreeSet::from([3, 40]), ..Server::default() };
    let mut story = Story::new(server, vec![lines("db", (0..50).map(|n| (n, n)))]);
    while !story.outbox.is_empty() {
        story.server.first.push_back(None);
        assert!(story.send().is_err());
        story.send().unwrap();
    }
    assert_eq!((story.rejected(), story.server.stored.len()), (vec![3, 40], 48));
}

#[test]
fn statements_keep_their_place_between_points() {
    let tell = |text: &str| Job::Statement(Statement { database: "db".into(), text: text.into(), now_ns: 0 });
    let jobs = vec![lines("db", [(1, 1)]), tell("DELETE"), tell("BAD"), lines("db", [(2, 2)])];
    let mut story = Story::new(Server::default(), jobs);
    story.finish();
    assert_eq!(story.server.told, ["DELETE with 1 stored", "BAD with 1 stored"]);
    assert_eq!(story.server.stored.len(), 2, "a statement that is refused holds nothing up");
}

#[test]
fn a_missing_database_is_made_and_what_has_no_place_for_good_is_rejected() {
    let gone = || Some(answer(404, "{\"error\":\"database not found: \\\"db\\\"\"}"));
    let mut story = Story::new(Server { first: [gone()].into(), ..Server::default() }, vec![lines("db", [(1, 1)])]);
    story.finish();
    assert_eq!((story.server.told.len(), story.server.stored.len()), (1, 1));
    let mut story =
        Story::new(Server { first: [gone(), gone()].into(), ..Server::default() }, vec![lines("db", [(1, 1)])]);
    story.finish();
    assert_eq!(story.rejected(), [1], "others' points do not hold up ours");
    let first = [gone(), gone()].into();
    let mut story = Story::new(Server { first, ..Server::default() }, vec![lines(points::DATABASE, [(1, 1)])]);
    story.send().unwrap();
    assert!(story.send().unwrap_err().to_string().contains("it has no place for our points"));
    assert_eq!(story.rejected().len(), 0);
}

#[test]
fn a_statement_that_waited_means_the_time_when_it_was_asked_for() {
    let text = "DELETE FROM \"now()\" WHERE a = 'it''s \\'now()' AND time < NOW() - 1d".to_owned();
    let pinned = pinned(&Statement { database: String::new(), text, now_ns: 1_000_000_000 });
    assert_eq!(pinned.text, "DELETE FROM \"now()\" WHERE a = 'it''s \\'now()' AND time < '1970-01-01T00:00:01Z' - 1d");
}

proptest! {
    #[test]
    fn whatever_a_server_says_each_line_is_stored_or_rejected_and_the_last_write_stands(
        points in prop::collection::vec((0i64..30, 0i64..1_000), 1..200),
        bad in prop::collection::btree_set(0i64..1_000, 0..40),
        voice in prop::sample::select(vec![Voice::Mute, Voice::Quotes, Voice::Numbers, Voice::Counts, Voice::Lies]),
        lines_max in prop::sample::select(vec![0usize, 7, 64]),
        faults in prop::collection::vec(any::<bool>(), 0..30),
    ) {
        let first = faults.into_iter().map(|busy| if busy { Some(answer(503, "")) } else { None }).collect();
        let jobs = vec![lines("db", [(99, 5_000)]), lines("db", points.clone())];
        let mut story = Story::new(Server { voice, bad: bad.clone(), lines_max, first, ..Server::default() }, jobs);
        for _ in 0..20_000 {
            if story.outbox.is_empty() { break; }
            let _ = story.send();
        }
        prop_assert!(story.outbox.is_empty());
        let mut expected: BTreeMap<i64, i64> = [(99, 5_000)].into();
        expected.extend(points.iter().copied().filter(|(_, value)| !bad.contains(value)));
        prop_assert_eq!(&story.server.stored, &expected);
        let mut refused: Vec<i64> = points.iter().map(|(_, value)| *value).filter(|value| bad.contains(value)).collect();
        let mut rejected = story.rejected();
        refused.sort_unstable();
        rejected.sort_unstable();
        prop_assert_eq!(rejected, refused);
    }
}
