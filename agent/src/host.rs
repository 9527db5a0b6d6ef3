//! The root of the file system that sources read: `/`, or a folder of captured files in tests.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::source::{Problem, ProblemKind};

/// More than any of the files that sources read; what is longer is not one of them.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where sources read.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

impl Host {
    /// A captured machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path without its leading `/` on this host.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a small text file; bytes that are no text are replaced, because firmware and mount tables contain them.
    ///
    /// # Errors
    /// The problem to report, naming the file.
    pub fn read(&self, relative: &str) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        File::open(self.path(relative))
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
            .map_err(|error| unreadable(relative, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The one word or number in a file; none if it can't be read.
    #[must_use]
    pub fn word(&self, relative: &str) -> Option<String> {
        let text = self.read(relative).ok()?;
        let word = text.trim();
        (!word.is_empty()).then(|| word.to_owned())
    }
}

/// Elsewhere than on Linux a missing file says nothing about the machine.
fn unreadable(relative: &str, error: &std::io::Error) -> Problem {
    if cfg!(target_os = "linux") {
        Problem::from_io(&format!("/{relative}"), error)
    } else {
        Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone")
    }
}
