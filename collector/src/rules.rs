//! The rules in force: the shipped packs, and over them the packs of the school's own folder.
//!
//! A broken rule is left out, and with it nothing else: the shipped rule of the same id stays in force, and of an own rule what
//! it was when the collector ran last, so that a slip of the pen ends no tickets. It is said wherever an admin looks: in the log,
//! on the page of the rules, by `/healthz` and `/metrics`, and by `rules check`.

mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bellwether_logic::rules::{Rule, RuleError, RuleSet};

use crate::figures;
use crate::folder::toml_files;
use crate::health::{Health, chain};

pub use file::Broken;

/// The part's name in the collector's health.
pub const RULES: &str = "rules";

/// The packs that come with the collector, by file name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("access_points.toml", include_str!("../rules/access_points.toml")),
    ("closets.toml", include_str!("../rules/closets.toml")),
    ("collector.toml", include_str!("../rules/collector.toml")),
    ("desktops.toml", include_str!("../rules/desktops.toml")),
    ("disk_health.toml", include_str!("../rules/disk_health.toml")),
    ("disks.toml", include_str!("../rules/disks.toml")),
    ("laptops.toml", include_str!("../rules/laptops.toml")),
    ("printers.toml", include_str!("../rules/printers.toml")),
    ("raid.toml", include_str!("../rules/raid.toml")),
    ("reachability.toml", include_str!("../rules/reachability.toml")),
    ("services.toml", include_str!("../rules/services.toml")),
    ("storage.toml", include_str!("../rules/storage.toml")),
    ("switches.toml", include_str!("../rules/switches.toml")),
    ("ups.toml", include_str!("../rules/ups.toml")),
    ("wan.toml", include_str!("../rules/wan.toml")),
];

/// Files in the folder of own rules. Whoever has more has a folder of something else.
const FILES_MAX: usize = 1_000;

/// Broken rules that are told one by one on one line for people.
const TOLD_MAX: usize = 5;

/// Why no rules are used at all.
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
    /// Rules contradict themselves or each other.
    #[error("the rules contradict themselves")]
    Shipped(#[source] RuleError),
}

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The shipped pack of this name.
    Shipped(&'static str),
    /// A file of the folder, by its name, and the line.
    Folder(String, usize),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shipped(pack) => write!(f, "shipped, {pack}"),
            Self::Folder(file, line) => write!(f, "{file}, line {line}"),
        }
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The rules that are sound.
    pub rules: RuleSet,
    /// Where each of them comes from, by id.
    pub origins: BTreeMap<String, Origin>,
    /// What of the folder is left out.
    pub broken: Vec<Broken>,
}

impl Loaded {
    /// Whether a rule may be meant to be in force though it is not among those that are sound.
    #[must_use]
    pub fn leaves_out(&self, id: &str) -> bool {
        self.broken.iter().any(|broken| broken.rule == id || broken.rule.is_empty())
    }

    /// Tells the log, the figures and the health of what is left out.
    pub fn tell(&self, health: &Health) {
        for broken in &self.broken {
            tracing::error!(why = %broken, rule = broken.rule, "a broken rule is left out; everything else is in force");
        }
        figures::broken_rules(self.broken.len());
        match self.broken.is_empty() {
            true => health.well(RULES),
            false => health.trouble(RULES, self.sentence()),
        }
    }

    /// What is left out, for people; empty if nothing is.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut told: Vec<String> = self.broken.iter().take(TOLD_MAX).map(ToString::to_string).collect();
        if self.broken.len() > TOLD_MAX {
            told.push(format!("and {} more", self.broken.len() - TOLD_MAX));
        }
        told.join("; ")
    }
}

/// Loads the shipped rules and those of `folder`, which need not exist.
///
/// # Errors
/// When the folder can't be listed. What is wrong within it is in [`Loaded::broken`].
pub fn load(folder: &Path) -> Result<Loaded, RulesError> {
    let (shipped, mut origins) = shipped()?;
    let (mut own, mut places, mut broken) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut overrides = Vec::new();
    for path in files(folder)? {
        let content = read(&path);
        broken.extend(content.broken);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        overrides.extend(content.overrides.into_iter().map(|placed| (path.clone(), name.clone(), placed)));
        for file::Placed { what: rule, line } in content.rules {
            let place = Origin::Folder(name.clone(), line);
            if let Some(first) = places.get(&rule.id) {
                let why = format!("rule `{}` twice: expected each id once; the first is in {first}", rule.id);
                broken.push(Broken { file: path.clone(), line, rule: rule.id, why });
                continue;
            }
            places.insert(rule.id.clone(), place);
            own.push(rule);
        }
    }
    origins.extend(places);
    let changes = overrides
        .iter()
        .map(|(_, name, placed)| (placed.what.clone(), Origin::Folder(name.clone(), placed.line).to_string()));
    let (rules, refused) = RuleSet::vary(shipped, own, changes.collect()).map_err(RulesError::Shipped)?;
    broken.extend(refused.into_iter().map(|(at, error)| {
        let (file, _, placed) = &overrides[at];
        let why = format!("the override of {}", chain(&error));
        Broken { file: file.clone(), line: placed.line, rule: error.rule, why }
    }));
    origins.retain(|id, _| rules.get(id).is_some());
    Ok(Loaded { rules, origins, broken })
}

/// The rules of a shipped pack, named with or without its ending; none if there is no such pack.
///
/// # Errors
/// When the shipped rules contradict themselves, which a test rules out.
pub fn shipped_pack(name: &str) -> Result<Option<RuleSet>, RulesError> {
    let Some((file, text)) = SHIPPED.iter().find(|(file, _)| *file == name || file.trim_end_matches(".toml") == name)
    else {
        return Ok(None);
    };
    let content = file::parse(Path::new(file), text);
    let rules = content.rules.into_iter().map(|placed| placed.what).collect();
    RuleSet::merge(rules, Vec::new()).map(Some).map_err(RulesError::Shipped)
}

/// The rules of a file alone, and what of it is broken.
///
/// # Errors
/// When an id is there twice.
pub fn from_file(path: &Path) -> Result<Loaded, RulesError> {
    let content = read(path);
    let rules = content.rules.into_iter().map(|placed| placed.what).collect();
    let rules = RuleSet::merge(rules, Vec::new()).map_err(RulesError::Shipped)?;
    Ok(Loaded { rules, origins: BTreeMap::new(), broken: content.broken })
}

/// The shipped rules, and from which pack each is.
fn shipped() -> Result<(Vec<Rule>, BTreeMap<String, Origin>), RulesError> {
    let (mut rules, mut origins) = (Vec::new(), BTreeMap::new());
    for (name, text) in SHIPPED {
        let content = file::parse(Path::new(name), text);
        if let Some(broken) = content.broken.into_iter().next() {
            let expected = "a sound rule".to_owned();
            return Err(RulesError::Shipped(RuleError { rule: broken.rule, key: "id", value: broken.why, expected }));
        }
        for placed in content.rules {
            origins.insert(placed.what.id.clone(), Origin::Shipped(name));
            rules.push(placed.what);
        }
    }
    Ok((rules, origins))
}

/// What a file of the folder says; one that can't be read is broken as a whole.
fn read(path: &Path) -> file::Content {
    match std::fs::read_to_string(path) {
        Ok(text) => file::parse(path, &text),
        Err(error) => {
            let why = format!("cannot be read: {error}");
            let broken = Broken { file: path.into(), line: 0, rule: String::new(), why };
            file::Content { broken: vec![broken], ..file::Content::default() }
        }
    }
}

/// The TOML files of the folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let files = toml_files(folder, FILES_MAX).map_err(|source| RulesError::Folder { path: folder.into(), source })?;
    files.ok_or_else(|| RulesError::TooMany { path: folder.into() })
}

#[cfg(test)]
mod tests;
