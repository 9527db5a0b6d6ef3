//! Making a backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_journal::Pin;
use bellwether_logic::time::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::manifest::{self, Manifest};
use super::{BackupError, Copied, DATABASES, JOURNAL, beside, failed, refuse_occupied, settle};
use crate::folder;

/// Copies the data folder `data` to the folder `to`, which must not be there or be empty. The collector may be running.
///
/// # Errors
/// When there is no data folder, something at `to` already, or a file can't be read or written; then `to` is as it was.
pub fn take(data: &Path, to: &Path, now: Timestamp) -> Result<Copied, BackupError> {
    folder::check_existing(data)?;
    refuse_occupied(to)?;
    refuse_inside(data, to)?;
    let partial = beside(to)?;
    let mut manifest = Manifest::new(now.0);
    let journal = data.join(JOURNAL);
    let pin = journal.is_dir().then(|| Pin::take(&journal)).transpose().map_err(failed("pin", &journal))?;
    for name in DATABASES {
        copy_database(data, partial.path(), name, &mut manifest)?;
    }
    // All are open before the first is copied: one of which only a part is copied must be the last.
    let open = segments(data)?;
    drop(pin);
    copy_segments(open, partial.path(), &mut manifest)?;
    for path in others(data)? {
        copy_other(data, &path, partial.path(), &mut manifest)?;
    }
    manifest.write(partial.path())?;
    settle(partial, to)?;
    Ok(Copied { files: manifest.files.len(), bytes: manifest.bytes() })
}

fn refuse_inside(data: &Path, to: &Path) -> Result<(), BackupError> {
    let data = data.canonicalize().map_err(failed("look into", data))?;
    let whole = std::path::absolute(to).map_err(failed("find", to))?;
    // The folder itself may not be there yet, and links may lead to it.
    let known = whole.ancestors().find_map(|above| above.canonicalize().ok());
    match known {
        Some(known) if known.starts_with(&data) => Err(BackupError::Inside { path: to.to_owned() }),
        _ => Ok(()),
    }
}

/// The journal's segments, open: by name.
fn segments(data: &Path) -> Result<BTreeMap<PathBuf, File>, BackupError> {
    let folder = data.join(JOURNAL);
    let mut found = BTreeMap::new();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(source) => return Err(failed("look into", &folder)(source)),
    };
    for entry in entries {
        let path = entry.map_err(failed("look into", &folder))?.path();
        if path.extension().is_none_or(|extension| extension != "journal") {
            continue;
        }
        match File::open(&path) {
            Ok(file) => drop(found.insert(path, file)),
            // Released between the look and the opening: nobody needs it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("read", &path)(source)),
        }
    }
    Ok(found)
}

fn copy_segments(open: BTreeMap<PathBuf, File>, to: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    for (path, mut file) in open {
        let name = format!("{JOURNAL}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        let sum = manifest::copy(&mut file, &path, &to.join(&name))?;
        manifest.files.insert(name, sum);
    }
    Ok(())
}

/// Copies the series store alone to a folder, as it was at the last checkpoint.
///
/// # Errors
/// When it can't be read, or the copy not be written.
pub fn copy_series(data: &Path, to: &Path) -> Result<(), BackupError> {
    copy_database(data, to, DATABASES[1], &mut Manifest::new(0))
}

/// As it is at one instant, whoever writes to it meanwhile.
fn copy_database(data: &Path, to: &Path, name: &str, manifest: &mut Manifest) -> Result<(), BackupError> {
    let (from, copy) = (data.join(name), to.join(name));
    if !from.exists() {
        return Ok(());
    }
    if let Some(parent) = copy.parent() {
        folder::create(parent).map_err(failed("make", parent))?;
    }
    let wrong = |source| BackupError::Database { path: from.clone(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&from, flags).map_err(wrong)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrong)?;
    let target = copy.to_string_lossy();
    connection.execute("VACUUM INTO ?1", [target.as_ref()]).map_err(wrong)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.read(true).write(true).open(&copy).map_err(failed("open", &copy))?;
    file.sync_all().map_err(failed("write", &copy))?;
    let sum = manifest::sum(&mut file, &copy)?;
    manifest.files.insert(name.to_owned(), sum);
    Ok(())
}

/// Everything else, by its name below the folder: keys, configuration, rules, the collector's own agent.
fn others(data: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let (mut found, mut open) = (Vec::new(), vec![data.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(failed("look into", &folder))? {
            let entry = entry.map_err(failed("look into", &folder))?;
            let kind = entry.file_type().map_err(failed("look at", &folder))?;
            let path = entry.path();
            // A link to a file is copied as what it leads to; a link to a folder might lead in circles.
            let is_file = kind.is_file() || kind.is_symlink() && path.is_file();
            if kind.is_dir() && path != data.join(JOURNAL) {
                open.push(path);
            } else if is_file && !is_left_out(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Locks, what SQLite has beside its files, copies of older formats, and files that are being written.
fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "lock" || name.contains(".sqlite") || name.ends_with(".new")
}

fn copy_other(data: &Path, path: &Path, to: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // The collector's own agent has sent it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("read", path)(source)),
    };
    let below = path.strip_prefix(data).expect("it was found there");
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    let sum = manifest::copy(&mut file, path, &to.join(below))?;
    manifest.files.insert(parts.join("/"), sum);
    Ok(())
}
