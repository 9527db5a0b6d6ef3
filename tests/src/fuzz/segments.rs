//! Journal segments that a disk has spoilt: opening and reading give records that were appended, in their order, or
//! nothing; the log takes new ones afterwards.

use std::fs;
use std::path::Path;

use bellwether_journal::{Entry, Journal, JournalError, Options};
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutate;

/// What is read at once; small, so that reading goes on in the middle.
const READ_BYTES: usize = 700;

pub fn run(rng: &mut StdRng) {
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let appended = appended(rng, folder.path());
        let files: Vec<_> = segments(folder.path());
        for _ in 0..rng.random_range(1..4) {
            let path = &files[rng.random_range(0..files.len())];
            let mut bytes = fs::read(path).expect("a segment");
            mutate::bytes(rng, &mut bytes);
            fs::write(path, bytes).expect("a segment");
        }
        let journal = match Journal::open(folder.path(), options()) {
            Ok((journal, _)) => journal,
            // What says that it is newer is left alone.
            Err(JournalError::Newer { .. }) => continue,
            Err(other) => panic!("{other}"),
        };
        let mut at = 0;
        for entry in read(&journal) {
            let found = appended[at..].iter().position(|payload| *payload == entry.payload);
            at += found.expect("a record that was appended, in its order") + 1;
        }
        let receipt = journal.append(9, b"after".to_vec()).expect("queued");
        receipt.wait().expect("committed");
        assert_eq!(read(&journal).last().expect("the last record").payload, b"after");
    }
}

fn options() -> Options {
    Options { segment_bytes: 1500, ..Options::default() }
}

fn appended(rng: &mut StdRng, folder: &Path) -> Vec<Vec<u8>> {
    let (journal, _) = Journal::open(folder, options()).expect("an empty folder");
    let mut appended = Vec::new();
    for number in 0..rng.random_range(1..30_u32) {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(rng.random_range(4..400), 7);
        appended.push(payload.clone());
        journal.append(i64::from(number), payload).expect("queued").wait().expect("committed");
    }
    appended
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "journal")).collect();
    files.sort();
    files
}

fn read(journal: &Journal) -> Vec<Entry> {
    let (mut position, mut all) = (journal.start(), Vec::new());
    loop {
        let entries = journal.read(position, READ_BYTES).expect("readable");
        let Some(last) = entries.last() else { return all };
        assert!(last.next > position, "reading goes on");
        position = last.next;
        all.extend(entries);
        assert!(all.len() <= 100, "more records than there were");
    }
}
