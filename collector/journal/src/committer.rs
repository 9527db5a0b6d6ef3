//! The one thread that writes: takes what has gathered, writes it, syncs once, tells everyone.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use crate::frame::{self, HEADER_BYTES, frame_bytes};
use crate::medium::{Medium, MediumMaker};
use crate::receipt::Promise;
use crate::state::{Pending, Segment, Shared};
use crate::{CommitError, Committed, JournalError, Position, segment, segment_path};

/// The end of the log, as the committer holds it.
pub(crate) struct Writer {
    /// The first position of the segment that is being written.
    pub(crate) first: u64,
    /// The durable end.
    pub(crate) end: u64,
    pub(crate) last_stamp_ms: i64,
    pub(crate) medium: Box<dyn Medium>,
    /// After a failed write: the file may be longer than what is good.
    pub(crate) needs_cut: bool,
    pub(crate) make: MediumMaker,
}

pub(crate) fn start(shared: Arc<Shared>, writer: Writer, segment_bytes: u64) -> Result<JoinHandle<()>, JournalError> {
    std::thread::Builder::new()
        .name("journal-commit".to_owned())
        .spawn(move || run(&shared, writer, segment_bytes))
        .map_err(|source| JournalError::Thread { source })
}

fn run(shared: &Shared, mut writer: Writer, segment_bytes: u64) {
    while let Some((group, new_segment)) = next_group(shared, &writer, segment_bytes) {
        let begun = if new_segment { writer.begin_segment(shared) } else { Ok(()) };
        let written = begun.and_then(|()| writer.write(&group));
        match written {
            Ok(committed) => publish(shared, &mut writer, group, committed),
            Err(error) => fail(shared, &mut writer, group, error),
        }
    }
}

/// Waits for work. None once the log is closed and the queue is empty.
fn next_group(shared: &Shared, writer: &Writer, segment_bytes: u64) -> Option<(Vec<Pending>, bool)> {
    let mut state = shared.lock();
    while state.queue.is_empty() {
        if state.closed {
            return None;
        }
        state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let used = writer.end - writer.first;
    let new_segment = used >= segment_bytes || (state.wants_new_segment && used > 0);
    state.wants_new_segment = false;
    // A group ends with its segment, so that a segment is larger than asked for by one record at most.
    let room = segment_bytes.saturating_sub(if new_segment { 0 } else { used });
    let mut bytes = 0;
    let mut group = Vec::new();
    while bytes < room
        && let Some(pending) = state.queue.pop_front()
    {
        bytes += frame_bytes(pending.payload.len());
        group.push(pending);
    }
    state.writing_records = group.len();
    Some((group, new_segment))
}

impl Writer {
    /// Ends the segment and begins the next one. If that fails, the old one goes on being the last.
    fn begin_segment(&mut self, shared: &Shared) -> io::Result<()> {
        self.repair()?;
        let file = segment::create(&shared.folder, self.end, self.last_stamp_ms)?;
        self.medium = (self.make)(file);
        self.first = self.end;
        shared
            .lock()
            .segments
            .insert(self.first, Segment { end: self.end, bytes: HEADER_BYTES as u64, readable: true });
        Ok(())
    }

    /// Writes and syncs; says where each record lies. Nothing of the writer changes but the file.
    fn write(&mut self, group: &[Pending]) -> io::Result<Vec<Committed>> {
        self.repair()?;
        let total: u64 = group.iter().map(|pending| frame_bytes(pending.payload.len())).sum();
        let mut bytes = Vec::with_capacity(usize::try_from(total).expect("the queue is in memory"));
        let mut committed = Vec::with_capacity(group.len());
        let mut position = self.end;
        let mut stamp_ms = self.last_stamp_ms;
        for pending in group {
            stamp_ms = stamp_ms.max(pending.stamp_ms);
            frame::encode(&mut bytes, stamp_ms, &pending.payload);
            let next = position + frame_bytes(pending.payload.len());
            committed.push(Committed { position: Position(position), next: Position(next), stamp_ms });
            position = next;
        }
        self.needs_cut = true;
        self.medium.write(&bytes)?;
        self.medium.sync()?;
        self.needs_cut = false;
        Ok(committed)
    }

    /// Cuts off what a failed write may have left.
    fn repair(&mut self) -> io::Result<()> {
        if self.needs_cut {
            self.medium.cut(HEADER_BYTES as u64 + (self.end - self.first))?;
            self.needs_cut = false;
        }
        Ok(())
    }
}

fn publish(shared: &Shared, writer: &mut Writer, group: Vec<Pending>, committed: Vec<Committed>) {
    if let Some(last) = committed.last() {
        writer.end = last.next.0;
        writer.last_stamp_ms = last.stamp_ms;
    }
    let mut state = shared.lock();
    let segment = Segment { end: writer.end, bytes: HEADER_BYTES as u64 + (writer.end - writer.first), readable: true };
    state.segments.insert(writer.first, segment);
    let promises = done(&mut state, group);
    drop(state);
    shared.progress.notify_all();
    for (promise, committed) in promises.into_iter().zip(committed) {
        promise.resolve(Ok(committed));
    }
}

fn fail(shared: &Shared, writer: &mut Writer, group: Vec<Pending>, error: io::Error) {
    let path = segment_path(&shared.folder, writer.first);
    report(&path, &error, group.len());
    if let Err(error) = writer.repair() {
        tracing::error!(path = %path.display(), %error, "could not cut the journal back; the next group will try again");
    }
    let mut state = shared.lock();
    state.failed_groups += 1;
    let promises = done(&mut state, group);
    drop(state);
    shared.progress.notify_all();
    let source = Arc::new(error);
    for promise in promises {
        promise.resolve(Err(CommitError::Disk { path: path.clone(), source: source.clone() }));
    }
}

fn report(path: &Path, error: &io::Error, records: usize) {
    tracing::error!(path = %path.display(), %error, records, "could not commit to the journal");
}

/// The group is no longer on its way.
fn done(state: &mut crate::state::State, group: Vec<Pending>) -> Vec<Promise> {
    state.writing_records = 0;
    group
        .into_iter()
        .map(|pending| {
            state.queued_bytes -= frame_bytes(pending.payload.len());
            pending.promise
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Mutex;

    use super::*;
    use crate::{Journal, Options};

    /// What goes wrong next.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        /// Half of the bytes arrive.
        Write,
        /// All bytes arrive, and the disk does not say so.
        Sync,
        /// The good length cannot be restored.
        Cut,
    }

    /// Each goes wrong once, in this order.
    type Faults = Arc<Mutex<Vec<Fault>>>;

    struct Faulty {
        file: File,
        faults: Faults,
    }

    impl Faulty {
        fn due(&self, fault: Fault) -> io::Result<()> {
            let mut faults = self.faults.lock().unwrap();
            if faults.first() == Some(&fault) {
                faults.remove(0);
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        }
    }

    impl Medium for Faulty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            if let Err(error) = self.due(Fault::Write) {
                Medium::write(&mut self.file, &bytes[..bytes.len() / 2])?;
                return Err(error);
            }
            Medium::write(&mut self.file, bytes)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.due(Fault::Sync)?;
            self.file.sync()
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.due(Fault::Cut)?;
            self.file.cut(length)
        }
    }

    fn open(folder: &Path) -> (Journal, Faults) {
        let faults = Faults::default();
        let shared = faults.clone();
        let make: MediumMaker = Arc::new(move |file| Box::new(Faulty { file, faults: shared.clone() }));
        let (journal, _) = Journal::open_on(folder, Options::default(), make).unwrap();
        (journal, faults)
    }

    fn append(journal: &Journal, text: &str) -> Result<Committed, CommitError> {
        journal.append(0, text.as_bytes().to_vec()).unwrap().wait()
    }

    fn texts(journal: &Journal) -> Vec<String> {
        let entries = journal.read(Position(0), 1 << 20).unwrap();
        let text = |entry: crate::Entry| String::from_utf8(entry.payload).unwrap();
        entries.into_iter().map(text).collect()
    }

    #[test]
    fn a_group_that_the_disk_refuses_fails_and_the_next_one_may_succeed() {
        for script in [&[Fault::Write][..], &[Fault::Sync], &[Fault::Write, Fault::Cut], &[Fault::Sync, Fault::Cut]] {
            let folder = tempfile::tempdir().unwrap();
            let (journal, faults) = open(folder.path());
            append(&journal, "one").unwrap();
            let end = journal.end();
            faults.lock().unwrap().extend(script);
            let refused = append(&journal, "two").unwrap_err();
            assert!(matches!(refused, CommitError::Disk { .. }), "{refused}");
            assert_eq!(journal.end(), end, "what failed is not visible");
            assert_eq!(journal.statistics().failed_groups, 1);
            let committed = append(&journal, "three").unwrap();
            assert_eq!(committed.position, end);
            assert_eq!(texts(&journal), ["one", "three"]);
            drop(journal);
            assert_eq!(texts(&open(folder.path()).0), ["one", "three"]);
        }
    }

    #[test]
    fn a_disk_that_refuses_for_long_acknowledges_nothing_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, faults) = open(folder.path());
        append(&journal, "one").unwrap();
        faults.lock().unwrap().push(Fault::Sync);
        // One cut after the failure and one before each of the groups that follow, of which the last succeeds.
        faults.lock().unwrap().extend([Fault::Cut; 20]);
        let attempts = (0..).find(|_| append(&journal, "two").is_ok());
        assert!((10..=20).contains(&attempts.unwrap()));
        assert_eq!(texts(&journal), ["one", "two"]);
    }
}
