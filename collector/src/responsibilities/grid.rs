//! The matrix over what a district really has: each building's classes of devices, and the categories of faults that rules
//! look for on them.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_logic::device::Class;
use bellwether_logic::responsibilities::{Cell, Owner, Responsibilities};
use bellwether_logic::rules::RuleSet;
use bellwether_logic::time::Timestamp;

/// A building with the classes of devices that stand there.
pub type Place = (String, Class);

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridCell {
    /// The building.
    pub site: String,
    /// The class.
    pub class: Class,
    /// The category.
    pub category: String,
    /// Who has it.
    pub owner: Owner,
}

/// All cells that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// By building, class and category.
    pub cells: Vec<GridCell>,
    /// Names in the file of which there is nothing: a slip of the pen, or a building without devices yet.
    pub unknown: Vec<String>,
}

impl Grid {
    /// Who has what of all that is there.
    #[must_use]
    pub fn new(matrix: &Responsibilities, places: &BTreeSet<Place>, rules: &RuleSet, now: Timestamp) -> Self {
        let mut categories: BTreeMap<Class, BTreeSet<&str>> = BTreeMap::new();
        for rule in rules.iter() {
            for class in &rule.classes {
                categories.entry(*class).or_default().insert(&rule.category);
            }
        }
        let mut cells = Vec::new();
        for (site, class) in places {
            for category in categories.get(class).into_iter().flatten() {
                let owner = matrix.owner(now, Cell { site, class: Some(*class), category });
                cells.push(GridCell { site: site.clone(), class: *class, category: (*category).into(), owner });
            }
        }
        let sites: BTreeSet<&str> = places.iter().map(|(site, _)| site.as_str()).collect();
        let all: BTreeSet<&str> = rules.iter().map(|rule| rule.category.as_str()).collect();
        let mut unknown = Vec::new();
        for row in &matrix.rows {
            let no_site = row.buildings.iter().filter(|site| !sites.contains(site.as_str()));
            unknown.extend(no_site.map(|site| format!("line {}: no device stands in a building `{site}`", row.line)));
            let no_rule = row.categories.iter().filter(|category| !all.contains(category.as_str()));
            unknown
                .extend(no_rule.map(|category| format!("line {}: no rule is of the category `{category}`", row.line)));
        }
        Self { cells, unknown }
    }

    /// The cells for which nobody is named.
    pub fn unowned(&self) -> impl Iterator<Item = &GridCell> {
        self.cells.iter().filter(|cell| !cell.owner.named)
    }
}
