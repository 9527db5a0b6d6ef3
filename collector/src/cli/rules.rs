//! `rules`: what the rules say, and what of the school's own is broken, without a running collector.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwether_logic::device::{Device, make};
use bellwether_logic::rules::RuleSet;
use bellwether_logic::span::Span;
use bellwether_series::{Options, Store};
use clap::{Args, Subcommand};

use super::DEFAULT_DATA;
use crate::backtest::{self, Question, School};
use crate::clock::Clock;
use crate::config::{Config, FILE};
use crate::rules::{self, Loaded};
use crate::state::State;
use crate::{backup, folder};

/// What is asked of rules.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Say everything that is wrong with the school's own rules
    Check(Check),
    /// List the rules in force, and where each comes from
    Show(Show),
    /// Say what rules would have done with the readings that are stored; a running collector is not disturbed
    Test(Test),
}

/// Where the rules are.
#[derive(Debug, Args)]
pub struct At {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Which rules are listed.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    at: At,
    /// Only what holds for the device of this id, overrides included
    #[arg(long, value_name = "ID")]
    device: Option<String>,
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

/// What is tried.
#[derive(Debug, Args)]
pub struct Test {
    /// A file of rules, the name of a shipped pack such as disks, or all: whatever is in force
    #[arg(value_name = "PACK")]
    pack: String,
    /// From how long ago on
    #[arg(long, value_name = "SPAN", default_value = "90d")]
    since: Span,
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
            Self::Show(show) => show.run(),
            Self::Test(test) => test.run(),
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

impl Test {
    fn run(&self) -> anyhow::Result<String> {
        let data = &self.at.data;
        folder::check_existing(data)?;
        let config = Config::load(&data.join(FILE), false)?;
        let rules = self.rules()?;
        // From a copy: a running collector goes on with its own.
        let copy = tempfile::Builder::new().prefix("rules-test-").tempdir_in(data)?;
        backup::copy_series(data, copy.path())?;
        let store = Store::open(&copy.path().join(super::store::FOLDER), Options::default())?;
        let state = State::open(&data.join("state.sqlite"))?;
        let until = Clock::system().now();
        let (since, single_from) = (until - self.since.0, until - config.store.keep.points.0);
        let question = Question { rules, settings: config.engine, since, until, single_from };
        let days = until.since(since).as_secs().div_ceil(86_400);
        let school = School::read(&state, since)?;
        let report = backtest::run(&store, school, question, |at| {
            progress(at.since(since).as_secs() / 86_400, days);
        })?;
        let fresh = if folder::is_in_use(data) {
            "\nA collector is running: readings since its last checkpoint, some minutes, are not among these."
        } else {
            ""
        };
        Ok(format!("{}{fresh}", backtest::tell(&report, since < single_from)))
    }

    fn rules(&self) -> anyhow::Result<RuleSet> {
        if self.pack == "all" {
            return Ok(self.at.load()?.rules);
        }
        let path = Path::new(&self.pack);
        if path.is_file() {
            let loaded = rules::from_file(path)?;
            complain(&loaded)?;
            return Ok(loaded.rules);
        }
        let names: Vec<&str> = rules::SHIPPED.iter().map(|(name, _)| name.trim_end_matches(".toml")).collect();
        rules::shipped_pack(&self.pack)?.with_context(|| {
            format!("{} is no file and no shipped pack: expected {}, or all", self.pack, names.join(", "))
        })
    }
}

/// One line that is written over and over, for whoever waits at a terminal.
fn progress(day: u64, days: u64) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        // What can't be shown need not be.
        let _ = write!(err, "\r  day {day} of {days} ");
    }
}

/// All that is broken, as one error.
pub(super) fn complain(loaded: &Loaded) -> anyhow::Result<()> {
    let told: Vec<String> = loaded.broken.iter().map(ToString::to_string).collect();
    anyhow::ensure!(told.is_empty(), "{} broken, everything else is in force:\n{}", told.len(), told.join("\n"));
    Ok(())
}

impl Show {
    fn run(&self) -> anyhow::Result<String> {
        let loaded = self.at.load()?;
        let Some(id) = &self.device else { return Ok(show(&loaded, None)) };
        folder::check_existing(&self.at.data)?;
        let row = State::open(&self.at.data.join("state.sqlite"))?.device(id)?;
        let row = row.with_context(|| format!("there is no device of the id {id}"))?;
        let model = make(&row.vendor, &row.model);
        let (id, name, class, site, room) = (row.id, row.name, row.class, row.site, row.room);
        Ok(show(&loaded, Some(&Device { id, name, class, site, room, state: row.state, model })))
    }
}

fn show(loaded: &Loaded, device: Option<&Device>) -> String {
    let mut said = String::new();
    for rule in loaded.rules.iter() {
        let varied = device.and_then(|device| rule.variant_of(device));
        let Some(held) = device.map_or(Some(rule), |device| rule.of(device)) else { continue };
        let mut origin = loaded.origins.get(&rule.id).map(ToString::to_string).unwrap_or_default();
        if let Some(variant) = varied {
            let _ = write!(origin, "; for this device: {}", variant.from);
        } else if device.is_none() && !rule.variants.is_empty() {
            let _ = write!(origin, "; {} overrides", rule.variants.len());
        }
        let rule = held;
        let (kind, severity, ticket) = (rule.check.word(), rule.severity, rule.ticket);
        let _ = writeln!(said, "{:<32} {kind:<10} {severity:<9} {ticket:<12} {origin}", rule.id);
    }
    for broken in &loaded.broken {
        let _ = writeln!(said, "left out: {broken}");
    }
    said.trim_end().to_owned()
}
