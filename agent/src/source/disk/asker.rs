//! Asks file systems for their space, and survives those that do not answer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A healthy file system answers in microseconds.
const WAIT: Duration = Duration::from_secs(2);

/// Threads that may hang at the same time; each costs some memory until its disk answers or is unplugged.
const MAX_HUNG: usize = 4;

/// What a file system says of itself, in bytes and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Space {
    pub total: u64,
    /// For programs.
    pub free: u64,
    /// With what only the superuser may take.
    pub unused: u64,
    pub inodes_total: u64,
    pub inodes_free: u64,
}

/// What asking gave.
pub(super) enum Answer {
    Space(Space),
    Error(io::Error),
    /// Nothing within the wait, now or earlier.
    Silence,
}

type Ask = fn(&Path) -> io::Result<Space>;

/// Asks on threads, because no system call has a time limit.
pub(super) struct Asker {
    ask: Ask,
    wait: Duration,
    /// Paths that did not answer, with the threads that still wait for them.
    hung: Vec<(PathBuf, JoinHandle<()>)>,
}

impl Asker {
    pub(super) fn new(ask: Ask) -> Self {
        Self { ask, wait: WAIT, hung: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn with_wait(ask: Ask, wait: Duration) -> Self {
        Self { ask, wait, hung: Vec::new() }
    }

    /// One answer for each path, in order. Takes at most `WAIT` for each path that newly hangs.
    pub(super) fn ask(&mut self, paths: Vec<PathBuf>) -> Vec<Answer> {
        self.hung.retain(|(_, thread)| !thread.is_finished());
        let mut answers: Vec<Option<Answer>> = paths.iter().map(|_| None).collect();
        let mut open: Vec<(usize, PathBuf)> =
            paths.into_iter().enumerate().filter(|(_, path)| !self.hung.iter().any(|(hung, _)| hung == path)).collect();
        while !open.is_empty() && self.hung.len() < MAX_HUNG {
            open = self.ask_until_one_hangs(open, &mut answers);
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Answer::Silence)).collect()
    }

    /// Asks on one thread; returns the paths after the first that hangs.
    fn ask_until_one_hangs(
        &mut self,
        mut open: Vec<(usize, PathBuf)>,
        answers: &mut [Option<Answer>],
    ) -> Vec<(usize, PathBuf)> {
        let (sender, receiver) = mpsc::channel();
        let ask = self.ask;
        let paths: Vec<PathBuf> = open.iter().map(|(_, path)| path.clone()).collect();
        let spawned = thread::Builder::new().name("statvfs".to_owned()).stack_size(64 << 10).spawn(move || {
            for path in paths {
                // Nobody listens any more once one has hung: the rest is asked by another thread.
                if sender.send(ask(&path)).is_err() {
                    return;
                }
            }
        });
        let thread = match spawned {
            Ok(thread) => thread,
            Err(error) => {
                for (place, _) in open {
                    answers[place] = Some(Answer::Error(io::Error::new(error.kind(), error.to_string())));
                }
                return Vec::new();
            }
        };
        for at in 0..open.len() {
            let Ok(result) = receiver.recv_timeout(self.wait) else {
                let rest = open.split_off(at + 1);
                let (_, path) = open.swap_remove(at);
                self.hung.push((path, thread));
                return rest;
            };
            answers[open[at].0] = Some(result.map_or_else(Answer::Error, Answer::Space));
        }
        Vec::new()
    }
}

#[cfg(unix)]
pub(super) fn statvfs(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space {
        total: bytes(stat.f_blocks),
        free: bytes(stat.f_bavail),
        unused: bytes(stat.f_bfree),
        inodes_total: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}

#[cfg(not(unix))]
pub(super) fn statvfs(_path: &Path) -> io::Result<Space> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
