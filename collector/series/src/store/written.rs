//! Written lines, read once. The door reads them and looks up what the store knows of them; what it found waits until the same
//! lines come back from the journal, and is applied without another look at the text. Whoever reads the journal after a crash
//! finds nothing waiting, and reads the text.
//!
//! What was found may be wrong by then, because a statement came between: ids of what was dropped are never used again, so
//! applying sees that, and reads the row's text.

use std::ops::Range;
use std::sync::{Arc, Mutex, Weak};

use super::{Applied, Catalog, Memory, Place, Store, lock};
use crate::change::Lines;
use crate::limits::{MAX_FIELDS, MAX_TEXT_BYTES};
use crate::line::{Batch, Cursor, Precision, key_end, places};
use crate::point::{FieldKind, FieldValue};

/// Lines that are read while the memory is locked: some ten microseconds, which is how long those wait who apply others.
const LINES_AT_ONCE: usize = 64;

/// Lines, and what was known when they were read.
#[derive(Debug)]
pub(crate) struct Written {
    lines: Lines,
    /// Where the lines went then: a statement may make another policy the default one.
    policy: Option<u32>,
    pub(crate) rows: Vec<Row>,
    cells: Vec<Cell>,
    texts: Vec<Arc<str>>,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Row {
    /// Bytes of the text.
    pub(crate) place: Range<usize>,
    /// What it says, if its stream and its fields were known, with these kinds.
    pub(crate) known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) time: i64,
    stream: u32,
    cells: (u32, u32),
}

/// The value of a field, as bits: those of a number, or the place of a text.
#[derive(Clone, Copy, Debug)]
struct Cell {
    bits: u64,
    field: u32,
}

/// What was read and has not come back yet. As many as there are writers at once: whoever waits for the journal holds the other end.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Vec<Weak<Written>>>);

impl Waiting {
    pub(crate) fn add(&self, written: &Arc<Written>) {
        let mut waiting = lock(&self.0);
        waiting.retain(|one| one.strong_count() > 0);
        waiting.push(Arc::downgrade(written));
    }

    /// The same lines, if somebody waits for them.
    pub(crate) fn find(&self, lines: &Lines) -> Option<Arc<Written>> {
        let waiting: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        waiting.into_iter().find(|one| one.lines == *lines)
    }
}

impl Written {
    /// Reads lines as far as the store knows what they speak of.
    pub(crate) fn read(store: &Store, lines: Lines) -> Self {
        let text = lines.text.clone();
        let (rows, cells, texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut written = Self { lines, policy: None, rows, cells, texts };
        let mut places = places(&text);
        // Each line that is text is found by itself when the whole is not.
        let Ok(text) = std::str::from_utf8(&text) else {
            written.rows = places.map(|place| Row { place, known: None }).collect();
            return written;
        };
        written.policy = store.memory().catalog.policy(written.lines.place()).map(|policy| policy.id);
        loop {
            let (memory, before) = (store.memory(), written.rows.len());
            for place in places.by_ref().take(LINES_AT_ONCE) {
                let known = written.look_up(&memory.catalog, &text[place.clone()]);
                written.rows.push(Row { place, known });
            }
            if written.rows.len() - before < LINES_AT_ONCE {
                return written;
            }
        }
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Where the lines stand that have to be read as text.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = Range<usize>> {
        self.rows.iter().filter(|row| row.known.is_none()).map(|row| row.place.clone())
    }

    fn look_up(&mut self, catalog: &Catalog, line: &str) -> Option<Known> {
        let (cells, texts) = (self.cells.len(), self.texts.len());
        let known = self.policy.and_then(|policy| self.read_row(catalog, policy, line));
        if known.is_none() {
            self.cells.truncate(cells);
            self.texts.truncate(texts);
        }
        known
    }

    fn read_row(&mut self, catalog: &Catalog, policy: u32, line: &str) -> Option<Known> {
        let end = key_end(line);
        let stream = catalog.written_stream(policy, &line[..end])?;
        let mut cursor = Cursor::new(line, end);
        cursor.spaces();
        let from = self.cells.len();
        let head = &catalog.streams[stream as usize].head;
        loop {
            // Writers send fields in the same order every time.
            let hint = head.field_at(self.cells.len() - from);
            let field = match hint.filter(|field| catalog.fields[*field as usize].takes(&mut cursor)) {
                Some(field) => field,
                None => catalog.field_of_stream(stream, cursor.plain_name()?)?,
            };
            let (kind, bits) = self.bits(cursor.value().ok()?)?;
            if catalog.fields[field as usize].kind != kind {
                return None;
            }
            self.cells.push(Cell { bits, field });
            if !cursor.comma() {
                break;
            }
        }
        let to = self.cells.len();
        let Lines { precision, now_ns, .. } = self.lines;
        let time = cursor.time(Precision::nanoseconds(precision), now_ns).ok()?;
        (to - from <= MAX_FIELDS).then_some(Known { time, stream, cells: (from as u32, to as u32) })
    }

    /// None for what is not stored.
    fn bits(&mut self, value: FieldValue) -> Option<(FieldKind, u64)> {
        let bits = match &value {
            FieldValue::Float(float) => float.is_finite().then(|| float.to_bits())?,
            FieldValue::Integer(integer) => *integer as u64,
            FieldValue::Unsigned(unsigned) => *unsigned,
            FieldValue::Boolean(boolean) => u64::from(*boolean),
            FieldValue::Text(text) => {
                if text.len() > MAX_TEXT_BYTES {
                    return None;
                }
                self.texts.push(text.clone());
                self.texts.len() as u64 - 1
            }
        };
        Some((value.kind(), bits))
    }

    fn value(&self, kind: FieldKind, bits: u64) -> FieldValue {
        match kind {
            FieldKind::Float => FieldValue::Float(f64::from_bits(bits)),
            FieldKind::Integer => FieldValue::Integer(bits as i64),
            FieldKind::Unsigned => FieldValue::Unsigned(bits),
            FieldKind::Boolean => FieldValue::Boolean(bits != 0),
            FieldKind::Text => FieldValue::Text(self.texts[bits as usize].clone()),
        }
    }
}

impl Memory {
    pub(crate) fn apply_written(
        &mut self,
        place: Place<'_>,
        written: &Written,
        max_streams: usize,
        position: u64,
    ) -> Applied {
        let mut applied = Applied::default();
        let policy = self.policy_for_lines(place);
        let same = written.policy.filter(|known| policy == Some(*known)).is_some();
        for row in &written.rows {
            match row.known.filter(|known| same && !self.catalog.streams[known.stream as usize].gone) {
                Some(known) => self.put_cells(written, known, &mut applied),
                None => {
                    let Lines { text, precision, now_ns, .. } = &written.lines;
                    let batch = Batch::of(text, [row.place.clone()].into_iter(), *precision, *now_ns, 0);
                    self.apply_rows(place, policy, &batch, max_streams, &mut applied);
                }
            }
        }
        self.applied_to(position, &applied);
        applied
    }

    fn put_cells(&mut self, written: &Written, known: Known, applied: &mut Applied) {
        if !self.catalog.admit(known.stream, known.time) {
            applied.old_points += 1;
            return;
        }
        let Catalog { streams, fields, .. } = &mut self.catalog;
        let head = &mut streams[known.stream as usize].head;
        let row = head.row_for(known.time);
        let (from, to) = known.cells;
        for (hint, cell) in written.cells[from as usize..to as usize].iter().enumerate() {
            if !head.push(hint, row, cell.field, cell.bits) {
                let kind = fields[cell.field as usize].kind;
                head.put(hint, row, cell.field, &written.value(kind, cell.bits));
            }
        }
        applied.values += u64::from(to - from);
        self.head_values += head.settle() as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::change::{Change, Statement};
    use crate::{Options, QueryOptions};

    const NOW_NS: i64 = 1_700_000_000_000_000_000;

    /// A store whose lines are found waiting, or never.
    struct House {
        store: Store,
        waits: bool,
        position: u64,
        _folder: tempfile::TempDir,
    }

    impl House {
        fn new(waits: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), Options::default()).unwrap();
            store.create_database("db");
            Self { store, waits, position: 0, _folder: folder }
        }

        fn state(&mut self, text: &str) {
            let statement = Statement { database: "db".into(), text: text.into(), now_ns: NOW_NS };
            self.apply(&Change::Statement(statement));
        }

        fn apply(&mut self, change: &Change) -> Applied {
            self.position += 1;
            self.store.apply_change(self.position, change).unwrap()
        }

        /// Lines that pass the door, a statement that overtakes them, and what became of them.
        fn write(&mut self, text: &str, statement: Option<&str>) -> (usize, Option<Applied>) {
            let (database, policy, text) = ("db".to_owned(), String::new(), text.to_owned().into());
            let lines = Lines { database, policy, precision: Precision::Seconds, now_ns: NOW_NS, text };
            let mut sifted = self.store.sift(lines);
            if let Some(statement) = statement {
                self.state(statement);
            }
            let lines = sifted.lines.take();
            let points = sifted.points;
            if !self.waits {
                drop(sifted);
                self.store.waiting = Waiting::default();
            }
            (points, lines.map(|lines| self.apply(&Change::Lines(lines))))
        }

        fn answers(&self) -> String {
            let text = "SELECT * FROM db..m, db..n, db.autogen.m GROUP BY *; SHOW SERIES; SHOW FIELD KEYS";
            self.store.query("db", text, &QueryOptions::at(NOW_NS)).to_json(false)
        }
    }

    #[test]
    fn lines_of_what_is_known_are_not_read_again() {
        let mut house = House::new(true);
        let text = "m,host=a\\ b v=1,w=2i,s=\"x, y\",t=true 1\nm,host=a\\ b w=3i 2";
        house.write(text, None);
        let (database, policy, text) = ("db".to_owned(), String::new(), text.to_owned().into());
        let lines = Lines { database, policy, precision: Precision::Seconds, now_ns: NOW_NS, text };
        let sifted = house.store.sift(lines.clone());
        let found = house.store.waiting.find(&lines).unwrap();
        assert_eq!(found.unknown().count(), 0);
        assert!(house.store.waiting.find(&Lines { now_ns: 1, ..lines.clone() }).is_none());
        drop((sifted, found));
        assert!(house.store.waiting.find(&lines).is_none(), "nobody waits for them any more");
    }

    #[test]
    fn a_name_that_looks_like_more_than_one_is_read_with_care() {
        let (mut house, mut other) = (House::new(true), House::new(false));
        for house in [&mut house, &mut other] {
            house.write("m,a=b\\,c\\=d v=1,x\\=y=2 1", None);
            house.write("m,a=b,c=d v=3,x=4 1\nm,a=b\\,c\\=d x\\=y=5,x=6 2", None);
        }
        assert_eq!(house.answers(), other.answers());
        assert_eq!(house.store.stats().unwrap().streams, 2);
    }

    fn line() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "m",
            "n",
            "m,host=a",
            "m,host=b",
            "m,host=a\\ b",
            "n,x\\,y=1,z=2",
            "n,z=2,x\\,y=1",
        ]);
        let known = vec![
            "v=1",
            "v=2.5",
            "v=-1e3",
            "w=3i",
            "w=-4i",
            "x\\ y=\"t\"",
            "x\\ y=\"a, b=\\\"c\\\"\"",
            "v1=true",
            "v1=f",
            "vw=7u",
        ];
        // A body with one of these is not taken whole.
        let wrong = vec!["v=1i", "w=\"t\"", "v1=7u", "v=bad"];
        let field = prop_oneof![40 => prop::sample::select(known), 1 => prop::sample::select(wrong)];
        (key, prop::collection::vec(field, 1..4), 0..6i64)
            .prop_map(|(key, fields, time)| format!("{key} {} {time}", fields.join(",")))
    }

    fn statement() -> impl Strategy<Value = Option<&'static str>> {
        let known = vec![
            "DROP SERIES FROM m WHERE host = 'a'",
            "DROP MEASUREMENT m",
            "DROP MEASUREMENT n",
            "DELETE FROM m WHERE time < 3s",
            "DROP DATABASE db",
            "CREATE RETENTION POLICY other ON db DURATION INF REPLICATION 1 DEFAULT",
            "ALTER RETENTION POLICY autogen ON db DEFAULT",
        ];
        prop::option::weighted(0.3, prop::sample::select(known))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn what_waited_becomes_what_its_text_says(
            story in prop::collection::vec((prop::collection::vec(line(), 1..8), statement(), any::<bool>()), 1..8)
        ) {
            let (mut house, mut other) = (House::new(true), House::new(false));
            for (lines, statement, checkpoint) in story {
                let text = lines.join("\n");
                prop_assert_eq!(house.write(&text, statement), other.write(&text, statement));
                if checkpoint {
                    house.store.seal_all().unwrap();
                    other.store.checkpoint().unwrap();
                }
                prop_assert_eq!(house.answers(), other.answers());
                let (ours, theirs) = (house.store.stats().unwrap(), other.store.stats().unwrap());
                prop_assert_eq!((ours.streams, ours.measurements), (theirs.streams, theirs.measurements));
            }
        }
    }
}
