//! Our side: a store whose content is partly in heads and partly in blocks.

use bellwether_series::{Change, Epoch, Lines, Options, Precision, QueryOptions, Store};
use serde_json::Value;

pub struct Ours {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Ours {
    pub fn new(database: &str, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options { databases: vec![database.to_owned()], ..Options::default() });
        let store = store.unwrap();
        let all: Vec<&str> = lines.lines().collect();
        for (at, part) in all.chunks(all.len() / 3 + 1).enumerate() {
            let text = part.join("\n").into_bytes();
            let (database, policy) = (database.to_owned(), String::new());
            let lines = Lines { database, policy, precision: Precision::Seconds, now_ns: 0, text: text.into() };
            store.apply_change(at as u64 + 1, &Change::Lines(lines)).unwrap();
            if at == 0 {
                store.seal_all().unwrap();
            }
        }
        Self { store, _folder: folder }
    }

    pub fn ask(&self, database: &str, question: &str) -> Value {
        let options = QueryOptions { epoch: Epoch::Seconds, ..QueryOptions::at(1_800_000_000_000_000_000) };
        serde_json::from_str(&self.store.query(database, question, &options).to_json(false)).unwrap()
    }
}
