//! The rules in force: the shipped packs, and over them the packs of the school's own folder.
//!
//! A broken rule stops the collector at its start, with file, line and what was expected: a rule that is quietly left
//! out is an outage that nobody hears of.

use std::path::{Path, PathBuf};

use bellwether_logic::rules::{Pack, Rule, RuleError, RuleSet};

use crate::config::{ConfigError, parse_error};
use crate::folder::toml_files;

/// The packs that come with the collector, by file name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("closets.toml", include_str!("../rules/closets.toml")),
    ("disk_health.toml", include_str!("../rules/disk_health.toml")),
    ("disks.toml", include_str!("../rules/disks.toml")),
    ("laptops.toml", include_str!("../rules/laptops.toml")),
    ("raid.toml", include_str!("../rules/raid.toml")),
    ("reachability.toml", include_str!("../rules/reachability.toml")),
];

/// Files in the folder of own rules. Whoever has more has a folder of something else.
const FILES_MAX: usize = 1_000;

/// Why rules are not used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The folder could not be listed.
    #[error("cannot read the rules folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds too much.
    #[error("the rules folder {} holds more than {FILES_MAX} files: is it the right one?", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not understood.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A rule contradicts itself.
    #[error("{}", path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// What about it.
        source: RuleError,
    },
    /// Two files of the folder have a rule of the same id.
    #[error("the rules of {}", path.display())]
    Together {
        /// The folder.
        path: PathBuf,
        /// What about them.
        source: RuleError,
    },
}

/// Loads the shipped rules and those of `folder`, which need not exist.
///
/// # Errors
/// When a rule can't be read or contradicts itself.
pub fn load(folder: &Path) -> Result<RuleSet, RulesError> {
    let mut shipped = Vec::new();
    for (name, text) in SHIPPED {
        shipped.extend(parse(Path::new(name), text)?);
    }
    let mut own = Vec::new();
    for path in files(folder)? {
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        own.extend(parse(&path, &text)?);
    }
    RuleSet::merge(shipped, own).map_err(|source| RulesError::Together { path: folder.into(), source })
}

fn parse(path: &Path, text: &str) -> Result<Vec<Rule>, RulesError> {
    let pack: Pack = toml::from_str(text).map_err(|error| parse_error(path, text, &error))?;
    pack.validate().map_err(|source| RulesError::Rule { path: path.into(), source })?;
    Ok(pack.rule)
}

/// The TOML files of the folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let files = toml_files(folder, FILES_MAX).map_err(|source| RulesError::Folder { path: folder.into(), source })?;
    files.ok_or_else(|| RulesError::TooMany { path: folder.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_pack_is_listed_and_makes_sense() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let names: Vec<_> = files(&folder).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        assert!(!load(Path::new("/nonexistent")).unwrap().is_empty());
    }

    #[test]
    fn a_rule_in_the_folder_replaces_the_shipped_one() {
        let folder = tempfile::tempdir().unwrap();
        let shipped = load(folder.path()).unwrap();
        let id = &shipped.iter().next().unwrap().id;
        let named = format!("id = \"{id}\"\n");
        let (_, text) = SHIPPED.iter().find(|(_, text)| text.contains(&named)).unwrap();
        let own =
            text.replace("enabled = true\n", "").replacen(&named, &format!("id = \"{id}\"\nenabled = false\n"), 1);
        assert_ne!(own, *text);
        std::fs::write(folder.path().join("ours.toml"), own).unwrap();
        let merged = load(folder.path()).unwrap();
        assert_eq!(merged.len(), shipped.len() - 1);
        assert!(merged.get(id).is_none());
    }

    #[test]
    fn a_broken_rule_is_named_with_file_line_and_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ours.toml"), "format = 1\n[[rule]]\nidd = \"x\"\n").unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("ours.toml, line 3: `idd = \"x\"`"), "{error}");
        assert!(error.contains("expected"), "{error}");
    }
}
