//! Profiles: what the answers of a kind of device mean, as data.
//!
//! A profile is a file of `agent/profiles`: which devices it is for, what they are (facts), and which columns of theirs
//! are which field of which measurement (readings). Several apply to one device: what every device has, the standards
//! that it answers, its vendor's own. Where two say the same, the one of the higher rank is believed, so that a vendor's
//! finer number stands in the standard's place. A file in a folder stands in the place of the one of its name.
//!
//! Everything is checked when it is loaded: a name of a measurement, tag or field that is not declared, a word where a
//! number belongs. What is read afterwards can't fail, it can only be missing. Nothing here asks a device anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Answers, Oid};
use crate::gather::Gather;

mod cell;
mod check;
mod format;
mod list;
mod read;

pub use check::Profile;
pub use format::Pace;
pub use read::{Read, Row};

/// More files than a folder of profiles ever holds.
const FILES_MAX: usize = 256;

/// A profile is a page or two.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Why profiles can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The folder or a file in it can't be read.
    #[error("{path}", path = path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too many files.
    #[error("{path}: more than {FILES_MAX} files", path = path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// Too long a file.
    #[error("{path}: more than {} KiB", FILE_BYTES_MAX >> 10, path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is not in the form of a profile.
    #[error("{file}: {problem}")]
    Form {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        problem: String,
    },
    /// It says something that can't be.
    #[error("{file}: {key} is `{value}`, expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// Where in it.
        key: String,
        /// What is there.
        value: String,
        /// What would have been understood.
        expected: String,
    },
}

/// All profiles.
#[derive(Clone, Debug)]
pub struct Shelf {
    profiles: Vec<Arc<Profile>>,
}

/// What is asked of a device of which nothing is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// Values.
    pub get: Vec<Oid>,
    /// Of these, whether anything is at or below them: the next value after each says it.
    pub next: Vec<Oid>,
}

/// The profiles that apply to one device, the highest rank first.
#[derive(Clone, Debug)]
pub struct Choice {
    profiles: Vec<Arc<Profile>>,
}

impl Shelf {
    /// The profiles that are built in.
    ///
    /// # Errors
    /// When one of them is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, ProfileError> {
        let parsed = list::ALL.iter().map(|(name, text)| Profile::parse(name, text).map(Arc::new));
        Ok(Self { profiles: parsed.collect::<Result<_, _>>()? })
    }

    /// The profiles that are built in, with those of a folder in place of the ones of the same name and beside them. A
    /// folder that is not there is empty.
    ///
    /// # Errors
    /// The first thing that is wrong with it: nothing of a wrong folder is used.
    pub fn with_folder(folder: &Path) -> Result<Self, ProfileError> {
        let mut shelf = Self::built_in()?;
        for path in toml_files(folder)? {
            let profile = Arc::new(read_file(&path)?);
            shelf.profiles.retain(|old| old.name() != profile.name());
            shelf.profiles.push(profile);
        }
        shelf.profiles.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(shelf)
    }

    /// What is asked of a device of which nothing is known yet.
    #[must_use]
    pub fn first(&self) -> First {
        let next: BTreeSet<Oid> = self.profiles.iter().flat_map(|profile| profile.signs().cloned()).collect();
        First { get: vec![check::sys_descr(), check::sys_object_id()], next: next.into_iter().collect() }
    }

    /// The profiles that apply to the device that answered this.
    #[must_use]
    pub fn choose(&self, answers: &Answers) -> Choice {
        let mut profiles: Vec<_> = self.profiles.iter().filter(|profile| profile.applies(answers)).cloned().collect();
        profiles.sort_by(|one, other| other.rank().cmp(&one.rank()).then_with(|| one.name().cmp(other.name())));
        Choice { profiles }
    }

    /// All of them, by name.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().map(Arc::as_ref)
    }
}

impl Choice {
    /// Their names, the highest rank first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name())
    }

    /// The columns to ask for, in order, none below another. With the slow ones are those that say what the device is.
    #[must_use]
    pub fn wanted(&self, pace: Pace) -> Vec<Oid> {
        none_below_another(self.profiles.iter().flat_map(|profile| profile.columns(pace)).gather())
    }

    /// Of these, the columns that say what the device is.
    #[must_use]
    pub fn wanted_facts(&self) -> Vec<Oid> {
        none_below_another(self.profiles.iter().flat_map(|profile| profile.fact_columns()).gather())
    }
}

fn none_below_another(all: BTreeSet<&Oid>) -> Vec<Oid> {
    let mut wanted: Vec<Oid> = Vec::with_capacity(all.len());
    for oid in all {
        if wanted.last().is_none_or(|last| !oid.starts_with(last)) {
            wanted.push(oid.clone());
        }
    }
    wanted
}

fn read_file(path: &Path) -> Result<Profile, ProfileError> {
    let failed = |source| ProfileError::Folder { path: path.into(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(ProfileError::TooLong { path: path.into() });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Profile::parse(&name, &text)
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, ProfileError> {
    let failed = |source| ProfileError::Folder { path: folder.into(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries.take(FILES_MAX + 1) {
        files.push(entry.map_err(failed)?.path());
    }
    if files.len() > FILES_MAX {
        return Err(ProfileError::TooMany { path: folder.into() });
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
