//! `store`: looks at the series store's file, mends and packs it, and moves its content as lines.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwether_series::{Findings, Imported, Options, Store, Wanted};
use clap::{Args, Subcommand};

use super::DEFAULT_DATA;
use crate::backup;
use crate::clock::Clock;
use crate::folder::{self, Folder};

/// The store's folder in the data folder.
pub(super) const FOLDER: &str = "series";
/// Damaged blocks that are printed; more are counted.
const PRINTED_MAX: usize = 20;
/// What stands for standard input and output.
const STANDARD: &str = "-";

/// `store`.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Look at every byte of the store; a running collector is not disturbed
    Check(Where),
    /// Make a new file of everything that can be read, and keep the damaged one; the collector must be stopped
    Repair(Where),
    /// Pack the store as tight as it gets, and give the space back; the collector must be stopped
    Compact(Where),
    /// Write readings as line protocol, as InfluxDB's tools import it; of a running collector up to its last checkpoint
    Export(Export),
    /// Take readings in as line protocol, as InfluxDB's tools export it; the collector must be stopped
    Import(Import),
}

/// Which collector.
#[derive(Debug, Args)]
pub struct Where {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// What goes out.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    place: Where,
    /// Only this database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// From this time on, such as 2026-09-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Until this time
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// The file; - is standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// What comes in.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    place: Where,
    /// The database of lines of which the file does not say where they go; made when it is not there
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The file; - is standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

impl Step {
    /// Does it, and says what came of it.
    ///
    /// # Errors
    /// When the folder or a file can't be used, or the store is damaged.
    pub fn run(&self) -> anyhow::Result<String> {
        match self {
            Self::Check(place) => check(&place.data),
            Self::Repair(place) => repair(&place.data),
            Self::Compact(place) => compact(&place.data),
            Self::Export(export) => export.run(),
            Self::Import(import) => import.run(),
        }
    }
}

fn check(data: &Path) -> anyhow::Result<String> {
    folder::check_existing(data)?;
    let findings = bellwether_series::inspect(&data.join(FOLDER))?;
    if findings.is_sound() {
        return Ok(format!("The store is sound: {} blocks with {} rows.", findings.blocks, findings.rows));
    }
    let found = told(&findings);
    anyhow::bail!("the store is damaged.\n{found}Stop the collector and run: bellwether-collector store repair")
}

fn repair(data: &Path) -> anyhow::Result<String> {
    folder::check_existing(data)?;
    let _alone = Folder::open(data)?;
    let (findings, damaged) = bellwether_series::repair(&data.join(FOLDER))?;
    let Some(damaged) = damaged else {
        return Ok("The store is sound: nothing was changed.".to_owned());
    };
    let (rows, found, damaged) = (findings.rows, told(&findings), damaged.display());
    Ok(format!("{found}The store has {rows} rows now. The damaged file is {damaged}; a backup may have what it lost."))
}

/// What is damaged, a line each.
fn told(findings: &Findings) -> String {
    let mut text = String::new();
    for sentence in &findings.file {
        let _ = writeln!(text, "  {}", sentence.lines().last().unwrap_or_default());
    }
    for lost in findings.damaged.iter().take(PRINTED_MAX) {
        let when = |ns: i64| {
            jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| ns.to_string(), |at| format!("{at:.0}"))
        };
        let times = lost.times.map_or_else(String::new, |(from, to)| format!(", {} to {}", when(from), when(to)));
        let _ =
            writeln!(text, "  {} {}: {} rows of {}{times}: {}", lost.table, lost.id, lost.rows, lost.series, lost.why);
    }
    let more = findings.damaged_blocks.saturating_sub(PRINTED_MAX as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

/// Nobody else writes, and every database may be written.
fn open(data: &Path) -> anyhow::Result<Store> {
    Ok(Store::open(&data.join(FOLDER), Options::default())?)
}

fn compact(data: &Path) -> anyhow::Result<String> {
    folder::check_existing(data)?;
    let _alone = Folder::open(data)?;
    let store = open(data)?;
    let before = store.stats()?;
    store.compact()?;
    store.vacuum()?;
    let after = store.stats()?;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Ok(format!(
        "{} blocks instead of {}, {} MiB instead of {}.",
        after.blocks,
        before.blocks,
        mib(after.disk_bytes),
        mib(before.disk_bytes)
    ))
}

impl Export {
    fn run(&self) -> anyhow::Result<String> {
        folder::check_existing(&self.place.data)?;
        // From a copy: a running collector goes on with its own.
        let copy = tempfile::Builder::new().prefix("export-").tempdir_in(&self.place.data)?;
        backup::copy_series(&self.place.data, copy.path())?;
        let store = open(copy.path())?;
        let ns = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        let wanted = Wanted {
            database: self.database.as_deref(),
            from: self.from.map_or(i64::MIN, ns),
            to: self.until.map_or(i64::MAX, ns),
        };
        if self.to == Path::new(STANDARD) {
            store.export(&wanted, &mut BufWriter::new(io::stdout().lock()))?;
            return Ok(String::new());
        }
        let file = File::create_new(&self.to).with_context(|| format!("cannot make {}", self.to.display()))?;
        let points = store.export(&wanted, &mut BufWriter::new(&file))?;
        file.sync_all()?;
        Ok(format!("Wrote {points} points to {}. Roll-ups of older times are not among them.", self.to.display()))
    }
}

impl Import {
    fn run(&self) -> anyhow::Result<String> {
        folder::check_existing(&self.place.data)?;
        let _alone = Folder::open(&self.place.data)?;
        let store = open(&self.place.data)?;
        let now_ns = Clock::system().now().0.saturating_mul(1_000_000);
        let place = self.database.as_deref();
        let done = if self.from == Path::new(STANDARD) {
            store.import(&mut io::stdin().lock(), place, now_ns)?
        } else {
            let file = File::open(&self.from).with_context(|| format!("cannot read {}", self.from.display()))?;
            store.import(&mut BufReader::new(file), place, now_ns)?
        };
        store.checkpoint()?;
        Ok(imported(&done))
    }
}

fn imported(done: &Imported) -> String {
    let mut text = format!("Took in {} points.", done.points);
    if done.refused > 0 {
        let _ = write!(text, " Refused {} lines, because they can't be read, do not fit or are too old:", done.refused);
        for reason in &done.reasons {
            let _ = write!(text, "\n  {reason}");
        }
    }
    text
}
