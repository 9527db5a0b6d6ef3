//! A log file that never grows beyond a bound: a service has no terminal, and a machine runs for years.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file and, beside it with `.old` at its end, the one before it.
pub struct BoundedLog {
    path: PathBuf,
    max_bytes: u64,
    file: File,
    bytes: u64,
}

impl BoundedLog {
    /// Goes on with the file at `path`.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), max_bytes, file, bytes })
    }

    fn turn_over(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        fs::rename(&self.path, old)?;
        *self = Self::open(&self.path, self.max_bytes)?;
        Ok(())
    }
}

impl Write for BoundedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.max_bytes {
            // If the old one can't be replaced the new one goes on: a log must not stop the agent. It is then cut
            // short by the next start that can.
            let _ = self.turn_over();
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_newest_lines_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.log");
        let mut log = BoundedLog::open(&path, 20).unwrap();
        for line in ["first line\n", "second line\n", "third line\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "third line\n");
        assert_eq!(fs::read_to_string(dir.path().join("agent.log.old")).unwrap(), "second line\n");
    }

    #[test]
    fn a_restart_goes_on_where_the_last_run_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.log");
        BoundedLog::open(&path, 20).unwrap().write_all(b"before\n").unwrap();
        BoundedLog::open(&path, 20).unwrap().write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\n");
    }
}
