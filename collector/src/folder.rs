//! The data folder: one collector at a time, one format, private files written whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bellwether_agent::private;
use serde::{Deserialize, Serialize};

/// The format of the folder as a whole. A change that an older collector would misread raises it.
pub const FORMAT: u32 = 1;

/// A data folder that this process alone uses; the lock goes with it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder can't be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It could not be made.
    #[error("cannot make the data folder {}", path.display())]
    Create {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It can't be written to.
    #[error("cannot write to the data folder {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another collector uses it.
    #[error("another collector is running on the data folder {}: stop it, or choose another with --data", path.display())]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// A newer collector wrote it.
    #[error("the data folder {} has format {found}, written by a newer version; this version reads formats up to {FORMAT} and has changed nothing", path.display())]
    Newer {
        /// Where.
        path: PathBuf,
        /// What its `format.json` says.
        found: u32,
    },
    /// Its format can't be told.
    #[error("cannot tell the format of the data folder: {} is damaged", path.display())]
    Format {
        /// Where.
        path: PathBuf,
        /// What was wrong with it.
        source: serde_json::Error,
    },
    /// There is none yet, and the command at hand makes none.
    #[error("{} is no data folder: start the collector there first, or name another with --data", path.display())]
    Absent {
        /// Where.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
}

impl Folder {
    /// Takes the folder for this process; makes it when there is none.
    ///
    /// # Errors
    /// When it is another's, a newer version's, or can't be written.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        create(path).map_err(|source| FolderError::Create { path: path.into(), source })?;
        check_format(path)?;
        let lock = lock(path)?;
        let format = path.join("format.json");
        if !format.exists() {
            let text = serde_json::json!(Format { format: FORMAT }).to_string();
            write_whole(&format, text.as_bytes(), Reach::Everyone)
                .map_err(|source| FolderError::Write { path: path.into(), source })?;
        }
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// Where something in the folder is.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// For commands beside a running collector: says whether there is a folder that this version understands.
///
/// # Errors
/// When there is none, or a newer version wrote it.
pub fn check_existing(path: &Path) -> Result<(), FolderError> {
    if !path.join("format.json").exists() {
        return Err(FolderError::Absent { path: path.into() });
    }
    check_format(path)
}

/// Whether a collector runs on the folder just now.
#[must_use]
pub fn is_in_use(path: &Path) -> bool {
    File::open(path.join("lock")).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Refuses a folder that a newer version wrote; says nothing about one that is not there.
///
/// # Errors
/// When it is newer, or can't be read.
pub fn check_format(path: &Path) -> Result<(), FolderError> {
    let file = path.join("format.json");
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(FolderError::Write { path: path.into(), source }),
    };
    let found: Format = serde_json::from_slice(&text).map_err(|source| FolderError::Format { path: file, source })?;
    if found.format > FORMAT {
        return Err(FolderError::Newer { path: path.into(), found: found.format });
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let write = |source| FolderError::Write { path: path.into(), source };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path.join("lock"))
        .map_err(write)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::Locked { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(write(source)),
    }
}

/// Makes a folder that only its owner can look into.
///
/// # Errors
/// What the system said.
pub fn create(path: &Path) -> io::Result<()> {
    private::create_dir(path)
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its owner: keys, tokens, links.
    Owner,
    /// Whoever can look into the folder.
    Everyone,
}

/// Writes a file so that a crash leaves the old one or the new one, and nobody else ever sees a private one.
///
/// # Errors
/// What the system said.
pub fn write_whole(path: &Path, bytes: &[u8], reach: Reach) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A name of its own: a command and the running collector may write the same file at once.
    let mut beside = tempfile::Builder::new();
    beside.prefix(path.file_name().unwrap_or_default()).suffix(".new");
    allow(&mut beside, reach);
    let mut file = beside.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    private::sync_dir(folder)
}

/// Files are made for their owner alone unless it is said otherwise; on Windows the folder's rights say it.
#[cfg(unix)]
fn allow(file: &mut tempfile::Builder<'_, '_>, reach: Reach) {
    use std::os::unix::fs::PermissionsExt;
    if reach == Reach::Everyone {
        file.permissions(fs::Permissions::from_mode(0o644));
    }
}

#[cfg(windows)]
fn allow(_: &mut tempfile::Builder<'_, '_>, _: Reach) {}

/// The TOML files of a folder, by name; none if it holds more than `max` files of any kind. A folder that is not there is
/// empty.
///
/// # Errors
/// When the folder can't be read.
pub(crate) fn toml_files(folder: &Path, max: usize) -> io::Result<Option<Vec<PathBuf>>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Vec::new())),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries.take(max + 1) {
        files.push(entry?.path());
    }
    if files.len() > max {
        return Ok(None);
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(Some(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_who_write_a_file_at_once_both_succeed_and_leave_one_of_both() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ca.pem");
        let write = |byte: u8| (0..200).for_each(|_| write_whole(&path, &[byte; 100], Reach::Owner).unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| write(b'a'));
            write(b'b');
        });
        let left = fs::read(&path).unwrap();
        assert!(left == [b'a'; 100] || left == [b'b'; 100], "{left:?}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_second_collector_on_the_same_folder_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        let first = Folder::open(&path).unwrap();
        assert!(is_in_use(&path));
        assert!(matches!(Folder::open(&path), Err(FolderError::Locked { .. })));
        drop(first);
        assert!(!is_in_use(&path));
        Folder::open(&path).unwrap();
    }

    #[test]
    fn a_newer_folder_is_refused_untouched() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("format.json"), r#"{"format":999,"more":true}"#).unwrap();
        let error = Folder::open(home.path()).unwrap_err();
        assert!(error.to_string().contains("format 999"), "{error}");
        let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["format.json"]);
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_reported() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        std::fs::write(&path, "in the way").unwrap();
        assert!(matches!(Folder::open(&path), Err(FolderError::Create { .. })));
        assert!(matches!(check_existing(home.path()), Err(FolderError::Absent { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        for text in ["one", "two"] {
            write_whole(&file, text.as_bytes(), Reach::Owner).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
