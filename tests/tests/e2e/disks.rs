//! Disks that are full, read-only or without power, under the agent's spool. They are real file systems on loop devices.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_agent::config::SpoolConfig;
use bellwether_agent::spool::Spool;
use bellwether_logic::batch::BatchId;
use bellwether_proto::v1::Batch;
use bellwether_tests::program;

const GENERATION: u64 = 7;

fn batch(sequence: u64) -> Batch {
    let (generation, time_unix_ms) = (GENERATION, 1_790_000_000_000);
    Batch { generation, sequence, time_unix_ms, strings: vec!["x".repeat(1_000)], ..Batch::default() }
}

fn open(disk: &Small) -> Spool {
    Spool::open(&disk.mounted.join("spool"), SpoolConfig::default()).unwrap().0
}

fn append(spool: &mut Spool, sequences: std::ops::Range<u64>) {
    for sequence in sequences {
        assert!(spool.append(&batch(sequence)).is_empty(), "{sequence}");
    }
}

/// Fails unless what waits is everything up to some batch, readable, and at least so much.
fn assert_all_there(spool: &mut Spool, at_least: u64) {
    let held = spool.held();
    assert_eq!(held.len(), 1);
    let ranges: Vec<_> = held[0].ranges.iter().collect();
    assert_eq!((ranges.len(), *ranges[0].start()), (1, 0), "{ranges:?}");
    let last = *ranges[0].end();
    assert!(last + 1 >= at_least, "{last} of {at_least}");
    for sequence in 0..=last {
        let id = BatchId { generation: GENERATION, sequence };
        assert_eq!(spool.read(id), Some(batch(sequence)));
    }
}

#[test]
fn a_power_cut_takes_no_reading_that_was_synced() {
    let room = tempfile::tempdir().unwrap();
    let disk = Small::mount(room.path());
    let mut spool = open(&disk);
    append(&mut spool, 0..600);
    spool.sync();
    append(&mut spool, 600..650);
    let found = disk.after_a_power_cut(room.path());
    let mut after = open(&found);
    assert_all_there(&mut after, 600);
    // It goes on where it was.
    let next = after.status().batches;
    append(&mut after, next..next + 5);
    after.sync();
    assert_all_there(&mut after, next + 5);
}

#[test]
fn a_disk_that_fills_up_loses_nothing_until_memory_is_full_and_is_used_again_when_it_has_room() {
    let room = tempfile::tempdir().unwrap();
    let disk = Small::mount(room.path());
    let mut spool = open(&disk);
    append(&mut spool, 0..10);
    disk.fill();
    append(&mut spool, 10..600);
    assert!(!spool.status().on_disk, "{:?}", spool.status());
    disk.free();
    append(&mut spool, 600..610);
    assert!(spool.status().on_disk, "{:?}", spool.status());
    spool.sync();
    drop(spool);
    assert_all_there(&mut open(&disk), 610);
}

#[test]
fn a_disk_that_turned_read_only_is_read_and_memory_takes_what_comes() {
    let room = tempfile::tempdir().unwrap();
    let disk = Small::mount(room.path());
    let mut spool = open(&disk);
    append(&mut spool, 0..10);
    spool.sync();
    drop(spool);
    disk.remount("ro");
    let mut spool = open(&disk);
    append(&mut spool, 10..20);
    assert!(!spool.status().on_disk);
    assert_all_there(&mut spool, 20);
    disk.remount("rw");
    append(&mut spool, 20..30);
    assert!(spool.status().on_disk);
    spool.sync();
    drop(spool);
    assert_all_there(&mut open(&disk), 30);
}

/// A file system of its own on a loop device.
pub(super) struct Small {
    image: PathBuf,
    pub(super) mounted: PathBuf,
    /// Every agent on this machine sees a disk that fills up, so one test at a time has one.
    _alone: Option<fs::File>,
}

impl Small {
    /// # Panics
    /// If this machine does not let us mount: it needs root and loop devices.
    pub(super) fn mount(room: &Path) -> Self {
        let alone = fs::File::create(std::env::temp_dir().join("bellwether-small-disk.lock")).unwrap();
        alone.lock().unwrap();
        let image = room.join("small.img");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run("/sbin/mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()]);
        Self::of(image, room.join("small"), Some(alone))
    }

    fn of(image: PathBuf, mounted: PathBuf, alone: Option<fs::File>) -> Self {
        fs::create_dir(&mounted).unwrap();
        run("mount", &["-o", "loop", image.to_str().unwrap(), mounted.to_str().unwrap()]);
        Self { image, mounted, _alone: alone }
    }

    /// The disk as a machine finds it whose power was cut just now: what has not been synced is not on it.
    fn after_a_power_cut(&self, room: &Path) -> Self {
        let image = room.join("cut.img");
        fs::copy(&self.image, &image).unwrap();
        Self::of(image, room.join("cut"), None)
    }

    fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), self.mounted.to_str().unwrap()]);
    }

    /// To the last byte.
    pub(super) fn fill(&self) {
        let mut file = fs::File::create(self.mounted.join("filler")).unwrap();
        let chunk = vec![7; 1 << 20];
        let full = (0..64).find_map(|_| file.write_all(&chunk).err()).expect("it is smaller than 64 MiB");
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    pub(super) fn free(&self) {
        fs::remove_file(self.mounted.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}

fn run(name: &str, arguments: &[&str]) {
    let ended = program::run_command(name, Command::new(name).args(arguments));
    assert!(ended.status.success(), "{name} {arguments:?}: {} (root and loop devices are needed)", ended.text);
}
