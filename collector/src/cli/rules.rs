//! `rules`: what the rules say, and what of the school's own is broken, without a running collector.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DEFAULT_DATA;
use crate::config::{Config, FILE};
use crate::rules::{self, Loaded};

/// What is asked of rules.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Say everything that is wrong with the school's own rules
    Check(Check),
    /// List the rules in force, and where each comes from
    Show(At),
}

/// Where the rules are.
#[derive(Debug, Args)]
pub struct At {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Which rules are checked.
#[derive(Debug, Args)]
pub struct Check {
    /// The folder of rules, instead of the data folder's
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

impl Step {
    /// Answers.
    ///
    /// # Errors
    /// Everything that is broken, a line each.
    pub fn run(&self) -> anyhow::Result<String> {
        match self {
            Self::Check(check) => check.run(),
            Self::Show(at) => Ok(show(&at.load()?)),
        }
    }
}

impl At {
    fn load(&self) -> anyhow::Result<Loaded> {
        let config = Config::load(&self.data.join(FILE), false)?;
        Ok(rules::load(&self.data.join(config.rules.folder))?)
    }
}

impl Check {
    fn run(&self) -> anyhow::Result<String> {
        let loaded = match &self.folder {
            Some(folder) => {
                anyhow::ensure!(folder.is_dir(), "{} is no folder", folder.display());
                rules::load(folder)?
            }
            None => self.at.load()?,
        };
        complain(&loaded)?;
        Ok(format!("{} rules are in force, and nothing is broken.", loaded.rules.len()))
    }
}

/// All that is broken, as one error.
pub(super) fn complain(loaded: &Loaded) -> anyhow::Result<()> {
    let told: Vec<String> = loaded.broken.iter().map(ToString::to_string).collect();
    anyhow::ensure!(told.is_empty(), "{} broken, everything else is in force:\n{}", told.len(), told.join("\n"));
    Ok(())
}

fn show(loaded: &Loaded) -> String {
    let mut said = String::new();
    for rule in loaded.rules.iter() {
        let origin = loaded.origins.get(&rule.id).map(ToString::to_string).unwrap_or_default();
        let (kind, severity, ticket) = (rule.check.word(), rule.severity, rule.ticket);
        let _ = writeln!(said, "{:<32} {kind:<10} {severity:<9} {ticket:<12} {origin}", rule.id);
    }
    for broken in &loaded.broken {
        let _ = writeln!(said, "left out: {broken}");
    }
    said.trim_end().to_owned()
}
