//! `responsibilities`: what the file says, and who has what of all that is there, without a running collector.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_logic::responsibilities::Responsibilities;
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;

use super::DEFAULT_DATA;
use crate::clock::Clock;
use crate::config::{Config, FILE};
use crate::folder;
use crate::responsibilities::{Grid, load};
use crate::rules;
use crate::state::State;

/// What is asked of responsibilities.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Say whether the file is understood, and what of it is of nothing that is there
    Check(At),
    /// Show who has what of all that is there, and what nobody has
    Show(At),
}

/// Where the file is.
#[derive(Debug, Args)]
pub struct At {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

impl Step {
    /// Answers.
    ///
    /// # Errors
    /// The first thing that is not understood.
    pub fn run(&self) -> anyhow::Result<String> {
        match self {
            Self::Check(at) => at.read().map(|(matrix, grid)| check(&matrix, &grid)),
            Self::Show(at) => at.read().map(|(matrix, grid)| show(&matrix, &grid)),
        }
    }
}

impl At {
    fn read(&self) -> anyhow::Result<(Responsibilities, Grid)> {
        let config = Config::load(&self.data.join(FILE), false)?;
        let zone = config.pages.time_zone().unwrap_or(TimeZone::UTC);
        let matrix = load(&self.data, &zone)?;
        let state = self.data.join("state.sqlite");
        // Before its first start a collector knows of no device.
        let places = match state.exists() {
            true => {
                folder::check_format(&self.data)?;
                State::open(&state)?.places()?
            }
            false => Default::default(),
        };
        let rules = rules::load(&self.data.join(&config.rules.folder))?.rules;
        let grid = Grid::new(&matrix, &places, &rules, Clock::system().now());
        Ok((matrix, grid))
    }
}

fn check(matrix: &Responsibilities, grid: &Grid) -> String {
    let mut lines = vec![match matrix.assumed {
        true => format!("There is no {}: everything goes to {}.", crate::responsibilities::FILE, matrix.coordinator),
        false => format!(
            "{} rows are understood; {} people, teams and vendors are named.",
            matrix.rows.len(),
            matrix.parties.len()
        ),
    }];
    if !grid.unknown.is_empty() {
        lines.push("Of nothing that is there:".into());
        lines.extend(grid.unknown.iter().map(|unknown| format!("  {unknown}")));
    }
    lines.push(match (grid.cells.len(), grid.unowned().count()) {
        (0, _) => "There is no device yet.".into(),
        (cells, 0) => format!("Somebody is named for each of {cells} kinds of trouble."),
        (cells, unowned) => format!("Nobody is named for {unowned} of {cells} kinds of trouble."),
    });
    lines.join("\n")
}

fn show(matrix: &Responsibilities, grid: &Grid) -> String {
    let mut table: BTreeMap<(&str, &str, String), Vec<&str>> = BTreeMap::new();
    for cell in &grid.cells {
        let who = if cell.owner.named { cell.owner.key.clone() } else { format!("nobody (so {})", cell.owner.key) };
        table.entry((&cell.site, cell.class.as_str(), who)).or_default().push(&cell.category);
    }
    let line = |((site, class, who), categories): (&(&str, &str, String), &Vec<&str>)| {
        format!("{site}  {class:<20} {who:<24} {}", categories.join(", "))
    };
    let mut lines: Vec<String> = table.iter().map(line).collect();
    lines.push(format!("Next when nobody takes it: {}. When it is not solved: {}.", matrix.coordinator, matrix.lead));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responsibilities::FILE as MATRIX;
    use bellwether_logic::time::Timestamp;
    use bellwether_proto::record::v1::DeviceChanged;

    #[test]
    fn it_is_told_who_has_what_and_what_nobody_has() {
        let data = tempfile::tempdir().unwrap();
        let at = || At { data: data.path().into() };
        let said = Step::Check(at()).run().unwrap();
        assert_eq!(said, "There is no responsibilities.toml: everything goes to IT.\nThere is no device yet.");
        let state = State::open(&data.path().join("state.sqlite")).unwrap();
        for (id, site) in [("d1", "Lincoln"), ("d2", "Oak")] {
            let device = DeviceChanged {
                device_id: id.into(),
                class: "switch".into(),
                state: "in_use".into(),
                site: site.into(),
                ..DeviceChanged::default()
            };
            state.commit_engine(|tx| tx.put_device(Timestamp(1), &device)).unwrap();
        }
        let text = "[[person]]\nlogin = \"kim\"\n[[owner]]\nbuildings = [\"Lincoln\", \"Lincon\"]\nwho = \"kim\"\n";
        std::fs::write(data.path().join(MATRIX), text).unwrap();
        let said = Step::Check(at()).run().unwrap();
        assert!(said.starts_with("1 rows are understood; 2 people"), "{said}");
        assert!(said.contains("\n  line 3: no device stands in a building `Lincon`\nNobody is named for "), "{said}");
        let said = Step::Show(at()).run().unwrap();
        assert!(said.starts_with("Lincoln  switch               kim "), "{said}");
        assert!(said.contains("\nOak  switch               nobody (so IT) "), "{said}");
        std::fs::write(data.path().join(MATRIX), "[[owner]]\nwho = \"kmi\"\n").unwrap();
        assert!(Step::Show(at()).run().unwrap_err().to_string().contains("nobody here is called `kmi`"));
    }
}
