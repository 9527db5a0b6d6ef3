use super::*;
use proptest::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn config(max_bytes: u64) -> SpoolConfig {
    SpoolConfig { max_bytes, max_age: 14 * DAY, sync: Duration::from_secs(30) }
}

fn open(dir: &Path) -> Spool {
    Spool::open(dir, config(64 << 20)).unwrap().0
}

/// A batch whose payload has about `bytes` bytes.
fn batch(generation: u64, sequence: u64, bytes: usize) -> v1::Batch {
    v1::Batch {
        generation,
        sequence,
        time_unix_ms: CLOCK_WAS_SET_MS + i64::try_from(sequence).unwrap() * 60_000,
        strings: vec!["x".repeat(bytes)],
        ..v1::Batch::default()
    }
}

fn waiting(spool: &Spool) -> Vec<(u64, Vec<u64>)> {
    let flat = |receipt: Receipt| (receipt.generation, receipt.ranges.iter().flatten().collect());
    spool.held().into_iter().map(flat).collect()
}

fn ack(spool: &mut Spool, generation: u64, range: std::ops::RangeInclusive<u64>) {
    spool.handle_ack(&[Receipt { generation, ranges: [range].into_iter().collect() }]);
}

fn id(generation: u64, sequence: u64) -> BatchId {
    BatchId { generation, sequence }
}

fn files(dir: &Path) -> usize {
    segment::list(dir).unwrap().len()
}

#[test]
fn an_acknowledgement_of_what_is_still_to_come_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    spool.append(&batch(9, 0, 100));
    ack(&mut spool, 9, 0..=u64::MAX);
    ack(&mut spool, 3, 0..=u64::MAX);
    spool.append(&batch(9, 1, 100));
    spool.append(&batch(3, 0, 100));
    assert_eq!(waiting(&spool), [(9, vec![1]), (3, vec![0])]);
    spool.sync();
    drop(spool);
    assert_eq!(waiting(&open(dir.path())), [(9, vec![1]), (3, vec![0])]);
}

#[test]
fn batches_survive_a_restart_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    for sequence in 0..5 {
        assert!(spool.append(&batch(9, sequence, 100)).is_empty());
    }
    spool.append(&batch(3, 0, 100));
    drop(spool);
    let mut spool = open(dir.path());
    assert_eq!(waiting(&spool), [(9, vec![0, 1, 2, 3, 4]), (3, vec![0])]);
    for sequence in [4, 0, 2] {
        assert_eq!(spool.read(id(9, sequence)), Some(batch(9, sequence, 100)));
    }
    assert_eq!(spool.read(id(3, 0)), Some(batch(3, 0, 100)));
}

#[test]
fn acknowledged_batches_are_not_offered_again_and_their_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    for sequence in 0..40 {
        spool.append(&batch(1, sequence, 20_000));
    }
    assert_eq!(files(dir.path()), 4);
    ack(&mut spool, 1, 0..=37);
    assert_eq!(files(dir.path()), 2);
    spool.sync();
    drop(spool);
    assert_eq!(waiting(&open(dir.path())), [(1, vec![38, 39])]);
}

#[test]
fn a_lost_file_of_acknowledgements_costs_only_repetition() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (0..4).for_each(|sequence| drop(spool.append(&batch(1, sequence, 10))));
    ack(&mut spool, 1, 0..=2);
    spool.sync();
    drop(spool);
    fs::write(dir.path().join("acked"), b"nonsense").unwrap();
    assert_eq!(waiting(&open(dir.path())), [(1, vec![0, 1, 2, 3])]);
}

#[test]
fn when_it_is_full_the_oldest_go_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(dir.path(), config(1 << 20)).unwrap();
    let mut gone = Vec::new();
    for sequence in 0..100 {
        gone.extend(spool.append(&batch(1, sequence, 20_000)));
        assert!(spool.status().bytes <= 1 << 20);
    }
    assert!(!gone.is_empty());
    assert_eq!(gone, (0..gone.len() as u64).map(|sequence| id(1, sequence)).collect::<Vec<_>>());
    assert_eq!(spool.status().dropped, gone.len() as u64);
    assert_eq!(spool.status().batches + gone.len() as u64, 100);
}

#[test]
fn what_is_too_old_goes_by_a_clock_that_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    spool.append(&batch(1, 0, 10));
    let begin = Timestamp(CLOCK_WAS_SET_MS);
    assert!(spool.drop_older(begin + 13 * DAY).is_empty());
    assert_eq!(spool.drop_older(begin + 15 * DAY), [id(1, 0)]);
    let unset = v1::Batch { time_unix_ms: 5, ..batch(2, 0, 10) };
    spool.append(&unset);
    assert!(spool.drop_older(begin + 15 * DAY).is_empty());
}

#[test]
fn a_disk_that_takes_nothing_is_replaced_by_bounded_memory_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("spool");
    // A file where the folder should be fails every write, whoever runs the test.
    fs::write(&place, b"").unwrap();
    let mut spool = open(&place);
    for sequence in 0..100 {
        spool.append(&batch(1, sequence, 20_000));
    }
    let status = spool.status();
    assert!(!status.on_disk);
    assert_eq!((status.batches + status.dropped, status.bytes), (100, 0));
    assert!((40..=52).contains(&status.batches), "{status:?}");
    assert!(spool.read(id(1, 99)).is_some());

    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    spool.append(&batch(1, 100, 10));
    assert!(spool.status().on_disk);
    let expected = waiting(&spool);
    drop(spool);
    assert_eq!(waiting(&open(&place)), expected);
}

#[test]
fn a_full_disk_gets_its_room_back_as_soon_as_the_collector_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    spool.append(&batch(1, 0, 100));
    ack(&mut spool, 1, 0..=0);
    assert_eq!(files(dir.path()), 1, "a small file is written on");
    spool.note_trouble(&std::io::Error::other("no space left on device"));
    ack(&mut spool, 1, 0..=0);
    assert_eq!(files(dir.path()), 0);
    spool.append(&batch(1, 1, 100));
    assert!(spool.status().on_disk);
    assert_eq!(waiting(&spool), [(1, vec![1])]);
}

#[test]
fn a_newer_format_is_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000000000001.spool");
    fs::write(&path, b"BWSPOOL\x02whatever").unwrap();
    assert!(matches!(Spool::open(dir.path(), config(1 << 20)), Err(SpoolError::Newer { found: 2, .. })));
    assert_eq!(fs::read(&path).unwrap(), b"BWSPOOL\x02whatever");
}

#[test]
fn a_batch_that_rots_on_disk_waits_no_longer_and_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (0..3).for_each(|sequence| drop(spool.append(&batch(1, sequence, 100))));
    let path = dir.path().join("0000000000000001.spool");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(spool.read(id(1, 1)), None);
    assert_eq!(spool.read(id(1, 2)), Some(batch(1, 2, 100)));
    assert_eq!(waiting(&spool), [(1, vec![0, 2])]);
}

#[test]
fn a_file_of_nonsense_in_the_middle_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    (0..60).for_each(|sequence| drop(spool.append(&batch(1, sequence, 20_000))));
    drop(spool);
    let numbers = segment::list(dir.path()).unwrap();
    assert!(numbers.len() >= 4);
    let middle = dir.path().join(format!("{:016x}.spool", numbers[1]));
    let length = fs::metadata(&middle).unwrap().len();
    fs::write(&middle, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    let mut spool = open(dir.path());
    let left = waiting(&spool).remove(0).1;
    assert_eq!((left[0], *left.last().unwrap()), (0, 59));
    assert!((40..60).contains(&left.len()), "one file of several is gone: {left:?}");
    for sequence in left {
        assert_eq!(spool.read(id(1, sequence)), Some(batch(1, sequence, 20_000)));
    }
    spool.append(&batch(2, 0, 10));
    assert!(spool.status().on_disk);
}

/// What a power cut or a bad disk does to a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Flip(usize, u8),
    Zeros(usize),
    Tail(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0usize..4_000).prop_map(Damage::Cut),
        (8usize..4_000, 1u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (8usize..4_000).prop_map(Damage::Zeros),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Damage::Tail),
    ]
}

fn inflict(bytes: &mut Vec<u8>, damage: &Damage) {
    let length = bytes.len();
    match damage {
        Damage::Cut(at) => bytes.truncate(*at),
        Damage::Flip(at, bits) => {
            if let Some(byte) = bytes.get_mut(*at) {
                *byte ^= bits;
            }
        }
        Damage::Zeros(at) => bytes[(*at).min(length)..].fill(0),
        Damage::Tail(tail) => bytes.extend(tail),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_to_a_file_only_whole_batches_come_out(
        sizes in prop::collection::vec(1usize..400, 1..12),
        damage in damage(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        for (sequence, size) in (0u64..).zip(&sizes) {
            spool.append(&batch(1, sequence, *size));
        }
        drop(spool);
        let path = dir.path().join("0000000000000001.spool");
        let mut bytes = fs::read(&path).unwrap();
        inflict(&mut bytes, &damage);
        fs::write(&path, bytes).unwrap();

        let mut spool = open(dir.path());
        let left: Vec<u64> = waiting(&spool).into_iter().flat_map(|(_, sequences)| sequences).collect();
        prop_assert_eq!(&left, &(0..left.len() as u64).collect::<Vec<_>>(), "a prefix of what was spooled");
        for sequence in left {
            let size = sizes[usize::try_from(sequence).unwrap()];
            prop_assert_eq!(spool.read(id(1, sequence)), Some(batch(1, sequence, size)));
        }
        // It goes on, and nothing new is lost behind the damage.
        spool.append(&batch(2, 0, 50));
        drop(spool);
        prop_assert_eq!(open(dir.path()).read(id(2, 0)), Some(batch(2, 0, 50)));
    }

    #[test]
    fn a_kill_at_any_moment_loses_no_whole_frame(kills in prop::collection::vec((0u64..6, 0usize..60), 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for (generation, (count, torn)) in (1u64..).zip(kills) {
            let mut spool = open(dir.path());
            for sequence in 0..count {
                spool.append(&batch(generation, sequence, 30));
                expected.push((generation, sequence));
            }
            std::mem::forget(spool);
            // The kill came in the middle of one more frame.
            let last = segment::list(dir.path()).unwrap().pop();
            if let Some(number) = last {
                let path = dir.path().join(format!("{number:016x}.spool"));
                let frame = frame::encode(&batch(generation, count, 30).encode_to_vec());
                let mut bytes = fs::read(&path).unwrap();
                bytes.extend(&frame[..torn.min(frame.len() - 1)]);
                fs::write(&path, bytes).unwrap();
            }
        }
        let found: Vec<(u64, u64)> = waiting(&open(dir.path()))
            .into_iter()
            .flat_map(|(generation, sequences)| sequences.into_iter().map(move |sequence| (generation, sequence)))
            .collect();
        prop_assert_eq!(found, expected);
    }
}
