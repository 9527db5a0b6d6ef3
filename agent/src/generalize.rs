//! `generalize`: a state folder as an image may hold it, without anything that makes it one machine's.
//!
//! Ten machines made from one image that was not generalized have one certificate between them; the collector refuses
//! nine of them. The admin's `agent.toml` stays, since it is meant for all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::state::{SPOOL_DIR, StateDir, StateError};

/// The identity goes first: a folder without it is not enrolled, whatever is cut off later.
const FILES: &[&str] =
    &["agent.json", "credentials.pem", "key.pem", "chain.pem", "trusted.pem", "enrol.toml", "places.json"];

/// The collector's settings for this machine, and what a power cut left half written.
fn is_of_this_machine(name: &str) -> bool {
    FILES.contains(&name) || name.starts_with("remote") || Path::new(name).extension().is_some_and(|end| end == "new")
}

/// Removes what makes a folder one machine's; says what was removed. A folder that has none of it is as it should be.
///
/// # Errors
/// When the folder is not there, an agent runs on it, or something can't be removed.
pub fn generalize(folder: &Path) -> Result<Vec<String>, StateError> {
    if !folder.is_dir() {
        let source = std::io::Error::from(ErrorKind::NotFound);
        return Err(StateError::Io { step: "open", path: folder.to_owned(), source });
    }
    let state = StateDir::take(folder, true)?;
    let failed = |source| StateError::Io { step: "list", path: folder.to_owned(), source };
    let mut names: Vec<String> = fs::read_dir(folder)
        .map_err(failed)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_of_this_machine(name) && folder.join(name).is_file())
        .collect();
    names.sort_by_key(|name| (FILES.iter().position(|file| file == name).unwrap_or(FILES.len()), name.clone()));
    for name in &names {
        state.remove(name)?;
    }
    let spool = folder.join(SPOOL_DIR);
    match fs::remove_dir_all(&spool) {
        Ok(()) => names.push(format!("{SPOOL_DIR}/")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(StateError::Io { step: "remove", path: spool, source }),
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_keeps_the_admins_settings_and_nothing_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["agent.json", "credentials.pem", "trusted.pem", "remote.toml", "agent.toml", "key.new", "notes.txt"]
        {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join(SPOOL_DIR)).unwrap();
        fs::write(dir.path().join(SPOOL_DIR).join("1"), "x").unwrap();
        let removed = generalize(dir.path()).unwrap();
        assert_eq!(removed, ["agent.json", "credentials.pem", "trusted.pem", "key.new", "remote.toml", "spool/"]);
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["agent.toml", "lock", "notes.txt"]);
        assert!(generalize(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_an_agent_runs_on_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.json"), "x").unwrap();
        let _running = StateDir::take(dir.path(), true).unwrap();
        assert!(matches!(generalize(dir.path()), Err(StateError::InUse { .. })));
        assert!(dir.path().join("agent.json").exists());
        assert!(generalize(&dir.path().join("none")).is_err());
    }
}
