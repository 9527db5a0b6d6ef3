//! Questions and the answers of a real InfluxDB 1.6.7 (`tests/recorded/`): ours are the same, but where a reason stands. The test
//! `influx` asks the real one again.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "influx_parts/recorded.rs"]
mod recorded;

use std::path::Path;
use std::sync::Arc;

use bellwether_series::{Change, Epoch, Lines, NotTaken, Options, Precision, QueryOptions, Store, Writer};
use serde_json::Value;

/// Beyond every time in the data.
const NOW_NS: i64 = 1_800_000_000_000_000_000;

/// Applies at once, without a journal.
struct Scribe(Arc<Store>);

impl Writer for Scribe {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        self.0.apply_change(self.0.applied() + 1, &change).map_err(|error| NotTaken::Later(error.to_string()))?;
        Ok(())
    }
}

/// A store with what is written, partly in heads and partly in blocks.
fn store(folder: &Path, lines: &str) -> Store {
    let options = Options { databases: vec![recorded::DATABASE.to_owned()], ..Options::default() };
    let store = Store::open(folder, options).unwrap();
    let all: Vec<&str> = lines.lines().collect();
    for (at, part) in all.chunks(all.len() / 3 + 1).enumerate() {
        let (database, policy) = (recorded::DATABASE.to_owned(), String::new());
        let (precision, text) = (Precision::Nanoseconds, part.join("\n").into_bytes());
        let lines = Lines { database, policy, precision, now_ns: 0, text: text.into() };
        store.apply_change(at as u64 + 1, &Change::Lines(lines)).unwrap();
        if at == 0 {
            store.seal_all().unwrap();
        }
    }
    store
}

#[test]
fn what_was_recorded_is_answered() {
    let (mut wrong, mut asked, mut excused) = (Vec::new(), 0, 0);
    for folder in recorded::folders() {
        let place = tempfile::tempdir().unwrap();
        let store = Arc::new(store(place.path(), &recorded::lines(&folder)));
        let scribe = Scribe(Arc::clone(&store));
        let (questions, answers) = (recorded::questions(&folder), recorded::answers(&folder));
        assert_eq!(questions.len(), answers.len(), "{}", folder.display());
        for ((question, differs), expected) in questions.iter().zip(&answers) {
            let epoch = Epoch::from_parameter(recorded::epoch(question));
            let options = QueryOptions { epoch, ..QueryOptions::at(NOW_NS) };
            let answer = store.query_and_change(recorded::DATABASE, question, &options, &scribe);
            let got: Value = serde_json::from_str(&answer.to_json(false)).unwrap();
            asked += 1;
            excused += usize::from(differs.is_some());
            if recorded::equal(expected, &got) == differs.is_some() {
                let why = differs.as_deref().unwrap_or("no reason");
                wrong.push(format!("{question}\n  {why}\n  influxd {expected}\n  ours    {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 800, "{asked} are too few");
    assert!(excused < asked / 20, "{excused} of {asked} reasons are too many");
}
