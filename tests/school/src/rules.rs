//! The shipped packs, as the collector reads them.

use std::path::Path;

use bellwether_logic::rules::{Pack, Rule, RuleSet};

/// Where they are.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../collector/rules");

/// All rules in a folder of packs.
///
/// # Panics
/// When a pack can't be read or makes no sense: the collector's own tests say more about it.
#[must_use]
pub fn shipped(folder: &Path) -> RuleSet {
    let listed = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let rules = paths.iter().flat_map(|path| parse(path)).collect();
    RuleSet::merge(rules, Vec::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(path: &Path) -> Vec<Rule> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let pack: Pack = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    pack.rule
}
