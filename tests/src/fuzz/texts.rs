//! Recordings and profiles that are not as they should be: read, refused, never more. What a recording says is read with all
//! profiles, as the answers of a device are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bellwether_agent::snmp::profile::Shelf;
use bellwether_agent::snmp::{look, recording};
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutate;

static SHELF: LazyLock<Shelf> = LazyLock::new(|| Shelf::built_in().expect("the profiles that are built in"));
static RECORDINGS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| read_all("agent/fixtures/snmp", "snmprec"));
static PROFILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| read_all("agent/profiles", "toml"));

pub fn recordings(rng: &mut StdRng) {
    for _ in 0..20 {
        let mut text = pick(rng, &RECORDINGS).clone();
        lines(rng, &mut text);
        for _ in 0..rng.random_range(0..30) {
            mutate::bytes(rng, &mut text);
        }
        let read = recording::read(&text, &[]);
        assert!(read.answers.len() + read.bad_lines <= text.split(|byte| *byte == b'\n').count());
        let page = look::at_recording(&SHELF, &text).page();
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "nothing that moves a terminal");
    }
}

pub fn profiles(rng: &mut StdRng) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = pick(rng, &PROFILES).clone();
    for _ in 0..rng.random_range(1..6) {
        mutate::bytes(rng, &mut text);
    }
    fs::write(folder.path().join("mine.toml"), text).expect("a file");
    if let Ok(shelf) = Shelf::with_folder(folder.path()) {
        let _ = look::at_recording(&shelf, pick(rng, &RECORDINGS)).page();
    }
}

pub(super) fn pick<'a>(rng: &mut StdRng, all: &'a [Vec<u8>]) -> &'a Vec<u8> {
    &all[rng.random_range(0..all.len())]
}

/// Values of some names become others' values: what is a number becomes text.
fn lines(rng: &mut StdRng, text: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let after_name = |line: &[u8]| line.iter().position(|byte| *byte == b'|').unwrap_or(line.len());
    for _ in 0..rng.random_range(0..20) {
        let (one, other) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
        let value = lines[other][after_name(&lines[other])..].to_vec();
        let name = after_name(&lines[one]);
        lines[one].truncate(name);
        lines[one].extend(value);
    }
    *text = lines.join(&b'\n');
}

/// All files of an ending below a folder of the repository, in order.
pub(super) fn read_all(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the repository").join(folder);
    let mut found = Vec::new();
    collect(&root, ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "{}", root.display());
    found.iter().map(|path| fs::read(path).expect("a file")).collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
}
