//! The journal against a list of records, under random stories of appends, restarts, torn and broken tails.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bellwether_journal::{Journal, Options, Position};
use proptest::prelude::*;
use tempfile::TempDir;

#[derive(Clone, Debug)]
enum Step {
    /// Records of these sizes, queued together and waited for.
    Append(Vec<usize>),
    /// A clean restart.
    Reopen,
    /// A crash that cut this many bytes off the last segment.
    Tear(usize),
    /// A crash that left this behind the last record.
    Garbage(Vec<u8>),
    /// A bit of the last segment flipped, so many bytes before its end.
    Flip(usize),
    /// The reader is done with this part of what there is.
    Release(f64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0usize..120, 1..8).prop_map(Step::Append),
        2 => Just(Step::Reopen),
        1 => (1usize..200).prop_map(Step::Tear),
        1 => prop::collection::vec(any::<u8>(), 1..60).prop_map(Step::Garbage),
        1 => (1usize..150).prop_map(Step::Flip),
        2 => (0.0..=1.0).prop_map(Step::Release),
    ]
}

/// Everything that was acknowledged and must still be there, in order.
#[derive(Default)]
struct Model {
    records: Vec<(Position, Position, Vec<u8>)>,
    released: Position,
    appended: u32,
}

struct Sut {
    folder: TempDir,
    journal: Option<Journal>,
}

impl Sut {
    fn open(&mut self) -> Position {
        let options = Options {
            segment_bytes: 300,
            max_bytes: 1 << 20,
            readers: BTreeMap::from([("reader".to_owned(), Position(0))]),
            ..Options::default()
        };
        let (journal, recovery) = Journal::open(self.folder.path(), options).unwrap();
        self.journal = Some(journal);
        recovery.end
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    /// Closes, changes the last segment's bytes, opens again. Answers where the log goes on.
    fn meddle(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> Position {
        self.journal = None;
        let path = self.last_segment();
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        self.open()
    }

    fn last_segment(&self) -> PathBuf {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let paths = files.map(|it| it.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|it| it == "journal")).max().unwrap()
    }
}

impl Model {
    fn append(&mut self, sut: &Sut, sizes: &[usize]) {
        let appended: Vec<_> = sizes
            .iter()
            .map(|size| {
                self.appended += 1;
                let mut payload = self.appended.to_le_bytes().to_vec();
                payload.resize(4 + size, b'x');
                let receipt = sut.journal().append(i64::from(self.appended), payload.clone());
                (receipt.unwrap(), payload)
            })
            .collect();
        for (receipt, payload) in appended {
            let committed = receipt.wait().unwrap();
            self.records.push((committed.position, committed.next, payload));
        }
    }

    /// A broken tail may cost records of the last segment from `end` on, and no others.
    fn cut(&mut self, end: Position) {
        self.records.retain(|(_, next, _)| *next <= end);
    }

    fn check(&self, sut: &Sut) -> Result<(), TestCaseError> {
        let expected: Vec<_> =
            self.records.iter().filter(|(position, _, _)| *position >= sut.journal().start()).collect();
        let mut from = sut.journal().start();
        prop_assert!(from <= self.released.max(sut.journal().start()));
        for (position, next, payload) in &expected {
            let entry = sut.journal().read(from, 1).unwrap().remove(0);
            prop_assert_eq!(&entry.payload, payload);
            prop_assert_eq!((entry.position, entry.next), (*position, *next));
            from = entry.next;
        }
        prop_assert!(sut.journal().read(from, 1).unwrap().is_empty());
        let kept = expected.first().map_or(sut.journal().end(), |it| it.0);
        prop_assert!(kept <= self.released.max(Position(0)) || kept == sut.journal().start());
        Ok(())
    }
}

fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut sut = Sut { folder: TempDir::new().unwrap(), journal: None };
    sut.open();
    for step in steps {
        match step {
            Step::Append(sizes) => model.append(&sut, sizes),
            Step::Reopen => {
                sut.journal = None;
                let end = sut.open();
                prop_assert_eq!(end, model.records.last().map_or(end, |it| it.1));
            }
            Step::Tear(bytes) => {
                let end = sut.meddle(|file| file.truncate(file.len().saturating_sub(*bytes).max(40)));
                model.cut(end);
            }
            Step::Garbage(bytes) => {
                let before = sut.journal().end();
                let end = sut.meddle(|file| file.extend_from_slice(bytes));
                prop_assert_eq!(end, before, "garbage is no record, and costs none");
            }
            Step::Flip(back) => {
                let end = sut.meddle(|file| {
                    let at = file.len().saturating_sub(*back).max(40);
                    if let Some(byte) = file.get_mut(at) {
                        *byte ^= 0x10;
                    }
                });
                model.cut(end);
            }
            Step::Release(part) => {
                let at = (model.records.len() as f64 * part) as usize;
                let position = model.records.get(at).map_or(sut.journal().end(), |it| it.0);
                model.released = model.released.max(position);
                sut.journal().release("reader", position);
                prop_assert!(sut.journal().start() <= model.released);
            }
        }
        model.check(&sut)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn equals_a_plain_list(steps in prop::collection::vec(step(), 1..25)) {
        play(&steps)?;
    }

    #[test]
    fn any_bytes_can_be_opened_and_read(
        files in prop::collection::vec((0u64..500, prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..4),
    ) {
        let folder = TempDir::new().unwrap();
        for (first, bytes, headed) in files {
            let path = folder.path().join(format!("{first:020}.journal"));
            if headed {
                let (journal, _) = Journal::open(folder.path().join("donor"), Options::default()).unwrap();
                drop(journal);
                let mut whole = fs::read(folder.path().join("donor/00000000000000000000.journal")).unwrap();
                whole.extend_from_slice(&bytes);
                fs::write(path, whole).unwrap();
            } else {
                fs::write(path, bytes).unwrap();
            }
        }
        if let Ok((journal, _)) = Journal::open(folder.path(), Options::default()) {
            let receipt = journal.append(0, b"new".to_vec()).unwrap();
            let committed = receipt.wait().unwrap();
            let entries = journal.read(committed.position, 1000).unwrap();
            prop_assert_eq!(&entries[0].payload[..], b"new");
            let _ = journal.read(journal.start(), 1000);
        }
    }
}
