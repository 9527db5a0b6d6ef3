//! `inventory`: lists that schools keep of what they own, into the data folder, also while the collector runs.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DEFAULT_DATA;
use crate::clock::Clock;
use crate::folder;
use crate::life::import::{self, ERRORS_MAX, Import};
use crate::life::plan::all_devices;
use crate::state::State;

/// Lines of one kind that are shown.
const SHOWN: usize = 20;

/// What is done with lists.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Take purchase dates, prices, funds, warranties and the like from a CSV file
    Import(ImportList),
}

/// `inventory import`.
#[derive(Debug, Args)]
pub struct ImportList {
    /// The list; its first line names the columns
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

impl Step {
    /// Does it.
    ///
    /// # Errors
    /// When the list is not understood, or the database fails.
    pub fn run(&self) -> anyhow::Result<String> {
        let Self::Import(list) = self;
        list.run()
    }
}

impl ImportList {
    fn run(&self) -> anyhow::Result<String> {
        folder::check_format(&self.data)?;
        let size = std::fs::metadata(&self.file).map(|meta| meta.len());
        anyhow::ensure!(
            size.is_ok_and(|size| size <= import::BYTES_MAX as u64),
            "cannot read {}, or it is larger than a list",
            self.file.display()
        );
        let bytes = std::fs::read(&self.file)?;
        let state = State::open(&self.data.join("state.sqlite"))?;
        let import = import::read(&bytes, &all_devices(&state)?, &state.life_facts()?)?;
        let mut said = tell(&import);
        anyhow::ensure!(import.is_sound(), "nothing was imported:\n{said}");
        if self.dry_run {
            said.push_str("\nThis was a dry run: nothing was changed.");
        } else if !import.entries.is_empty() {
            let source = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            state.post_life_facts(Clock::system().now(), &import.records("command line", &source))?;
            said.push_str("\nA running collector takes it over within seconds; otherwise it does when it is started.");
        }
        Ok(said)
    }
}

/// What a list says, for people.
fn tell(import: &Import) -> String {
    let mut text = String::new();
    if !import.dropped.is_empty() {
        let _ = writeln!(text, "Columns about people, of which nothing was read: {}.", import.dropped.join(", "));
    }
    if !import.ignored.is_empty() {
        let _ = writeln!(text, "Columns that mean nothing here: {}.", import.ignored.join(", "));
    }
    for error in &import.errors {
        let _ = writeln!(text, "{error}");
    }
    if import.errors.len() >= ERRORS_MAX {
        let _ = writeln!(text, "and perhaps more: it was not read further.");
    }
    if !import.is_sound() {
        return text.trim_end().to_owned();
    }
    for change in import.changes.iter().take(SHOWN) {
        let fact = |(name, old, new): &(&str, String, String)| match (old.as_str(), new.as_str()) {
            ("", new) => format!("{name}: {new}"),
            (old, "") => format!("{name}: {old} is taken away"),
            (old, new) => format!("{name}: {old} -> {new}"),
        };
        let facts: Vec<String> = change.facts.iter().map(fact).collect();
        let _ = writeln!(text, "{}: {}", change.who, facts.join("; "));
    }
    if import.changes.len() > SHOWN {
        let _ = writeln!(text, "and {} more", import.changes.len() - SHOWN);
    }
    for (row, said) in import.unmatched.iter().take(SHOWN) {
        let _ = writeln!(text, "row {row}: no device is called {said}");
    }
    if import.unmatched.len() > SHOWN {
        let _ = writeln!(text, "and {} more rows of unknown devices", import.unmatched.len() - SHOWN);
    }
    let count = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let _ = write!(
        text,
        "{}, {}, {} not known here.",
        count(import.changes.len(), "device or model changes", "devices or models change"),
        count(import.unchanged, "is as it was", "are as they were"),
        count(import.unmatched.len(), "row is of a device that is", "rows are of devices that are"),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::time::Timestamp;
    use bellwether_proto::record::v1::DeviceChanged;

    fn list(data: &std::path::Path, text: &str, dry_run: bool) -> anyhow::Result<String> {
        let file = data.join("list.csv");
        std::fs::write(&file, text).unwrap();
        ImportList { file, dry_run, data: data.to_owned() }.run()
    }

    #[test]
    fn a_dry_run_says_what_would_change_and_a_true_one_leaves_it_for_the_collector() {
        let data = tempfile::tempdir().unwrap();
        drop(folder::Folder::open(data.path()).unwrap());
        let state = State::open(&data.path().join("state.sqlite")).unwrap();
        let device = DeviceChanged {
            device_id: "d1".into(),
            name: "LHS-0001".into(),
            class: "laptop".into(),
            state: "in_use".into(),
            ..DeviceChanged::default()
        };
        state.commit_engine(|tx| tx.put_device(Timestamp(1), &device)).unwrap();
        let text = "Asset tag,Assigned to,Price\nLHS-0001,Dana,350\nLHS-0002,Lee,350\n";
        let said = list(data.path(), text, true).unwrap();
        assert!(said.contains("LHS-0001: Price: $350\nrow 3: no device is called LHS-0002\n"), "{said}");
        assert!(said.contains("nothing was read: Assigned to.") && !said.contains("Dana"), "{said}");
        assert!(said.ends_with("This was a dry run: nothing was changed."), "{said}");
        assert!(state.posted_life_facts().unwrap().is_empty());
        list(data.path(), text, false).unwrap();
        assert_eq!(state.posted_life_facts().unwrap().len(), 1);
        let refused = list(data.path(), "Asset tag,Price\nLHS-0001,cheap\n", false).unwrap_err().to_string();
        assert!(refused.contains("row 2, column \"Price\": `cheap`"), "{refused}");
        assert_eq!(state.posted_life_facts().unwrap().len(), 1);
    }
}
