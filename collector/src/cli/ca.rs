//! `ca`: the certificate authority, and its replacement in three steps with time between them.
//!
//! They work on the files beside a running collector, which looks at them every two seconds.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bellwether_logic::device::LifeState;
use bellwether_logic::time::Timestamp;
use clap::{Args, Subcommand};

use super::DEFAULT_DATA;
use crate::ca::{Authority, CaError, RotationError, Standing};
use crate::clock::Clock;
use crate::folder::{self, FolderError};
use crate::serve::CA_FOLDER;
use crate::state::devices::DeviceRow;
use crate::state::{State, StateError};

/// Devices that are named; more are counted.
const NAMED_MAX: usize = 20;

/// `ca`.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Say which authorities there are, and which devices know them
    Show(Where),
    /// Make the next authority and announce it to every agent; the present one goes on issuing
    Rotate(Where),
    /// Let the next authority issue; the present one stays believed
    Switch(Forcible),
    /// Stop believing the previous authority
    Finish(Forcible),
}

/// Which collector.
#[derive(Debug, Args)]
pub struct Where {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Which collector, and how.
#[derive(Debug, Args)]
pub struct Forcible {
    #[command(flatten)]
    place: Where,
    /// Also when devices would be cut off; they must be enrolled again
    #[arg(long)]
    force: bool,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The authorities.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The order of steps.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// Devices would be cut off.
    #[error("{what}\n{left}\nWait for them, mark them lost or retired, or say --force and enrol them again later.")]
    Devices {
        /// How many.
        what: String,
        /// Which.
        left: String,
    },
}

impl Step {
    /// Takes the step and says what comes next.
    ///
    /// # Errors
    /// When folder or authorities can't be used, the step is out of turn, or devices would be cut off.
    pub fn run(&self) -> Result<String, StepError> {
        match self {
            Self::Show(place) | Self::Rotate(place) => self.change(&place.data, false),
            Self::Switch(step) | Self::Finish(step) => self.change(&step.place.data, step.force),
        }
    }

    fn change(&self, data: &Path, force: bool) -> Result<String, StepError> {
        folder::check_existing(data)?;
        let (folder, now) = (data.join(CA_FOLDER), Clock::system().now());
        let standing = Standing::open(&folder, now)?;
        let state = State::open(&data.join("state.sqlite"))?;
        let step = |text: &str, standing: &Standing| Ok(format!("{}\n{text}", table(standing, &state)?));
        match self {
            Self::Show(_) => step(next_step(&standing), &standing),
            Self::Rotate(_) => {
                let standing = standing.rotate(&folder, now)?;
                step(
                    "The next authority is made. A running collector announces it within seconds: no restart is needed.\n\
                     Agents learn of it when they connect. When all know it: bellwether-collector ca switch",
                    &standing,
                )
            }
            Self::Switch(_) => {
                refuse_strays(&standing, &state, standing.next.as_ref(), force, Lack::Knowledge)?;
                let standing = standing.switch(&folder, now)?;
                step(
                    "The new authority issues from now on; agents renew their certificates within hours, and those that\n\
                     are away when they come back. New tokens are the new authority's; tokens that were given out work until\n\
                     the end of the rotation. When all have renewed: bellwether-collector ca finish",
                    &standing,
                )
            }
            Self::Finish(_) => {
                if standing.previous.is_some() {
                    refuse_strays(&standing, &state, Some(&standing.current), force, Lack::Certificate)?;
                }
                let standing = standing.finish(&folder, now)?;
                step("The previous authority is believed no more. Tokens that were made under it are void.", &standing)
            }
        }
    }
}

fn next_step(standing: &Standing) -> &'static str {
    match (&standing.next, &standing.previous) {
        (Some(_), _) => "When all devices know the next authority: bellwether-collector ca switch",
        (None, Some(_)) => "When all devices have a certificate of the new authority: bellwether-collector ca finish",
        (None, None) => "To replace it: bellwether-collector ca rotate",
    }
}

/// What a device lacks that would be cut off.
#[derive(Clone, Copy)]
enum Lack {
    Knowledge,
    Certificate,
}

/// How the devices in the inventory stand to one authority.
struct Devices {
    know: usize,
    have: usize,
    strays: Vec<DeviceRow>,
}

fn devices(state: &State, ca: &Authority, lack: Lack) -> Result<Devices, StateError> {
    let fingerprint = ca.fingerprint();
    let machines = state.machines()?;
    let issuers = state.newest_issuers()?;
    let mut found = Devices { know: 0, have: 0, strays: Vec::new() };
    for device in state.all_devices()? {
        // What never had an agent has no certificate, and what is gone for good needs none.
        let Some(issuer) = issuers.get(&device.id) else { continue };
        if matches!(device.state, LifeState::Lost | LifeState::Retired) {
            continue;
        }
        let machine = machines.binary_search_by(|machine| machine.device.cmp(&device.id)).ok().map(|at| &machines[at]);
        let knows = machine.is_some_and(|machine| machine.cas.contains(&fingerprint));
        let has = *issuer == fingerprint;
        found.know += usize::from(knows || has);
        found.have += usize::from(has);
        let lacks = match lack {
            Lack::Knowledge => !knows && !has,
            Lack::Certificate => !has,
        };
        if lacks {
            found.strays.push(device);
        }
    }
    Ok(found)
}

fn refuse_strays(
    standing: &Standing,
    state: &State,
    ca: Option<&Authority>,
    force: bool,
    lack: Lack,
) -> Result<(), StepError> {
    let Some(ca) = ca.filter(|_| !force && standing.all().count() > 1) else { return Ok(()) };
    let found = devices(state, ca, lack)?;
    if found.strays.is_empty() {
        return Ok(());
    }
    let what = match lack {
        Lack::Knowledge => "do not know the next authority yet",
        Lack::Certificate => "have no certificate of the new authority yet",
    };
    Err(StepError::Devices { what: format!("{} devices {what}:", found.strays.len()), left: named(&found.strays) })
}

fn named(devices: &[DeviceRow]) -> String {
    let mut text = String::new();
    for device in devices.iter().take(NAMED_MAX) {
        let seen = device.last_seen_at.map_or_else(|| "never heard".into(), |at| format!("last heard {}", day(at)));
        let _ = writeln!(text, "  {}  {}  {} {}  {seen}", device.id, device.name, device.site, device.room);
    }
    if devices.len() > NAMED_MAX {
        let _ = writeln!(text, "  and {} more", devices.len() - NAMED_MAX);
    }
    text.trim_end().to_owned()
}

/// Each authority, what it is, and how many devices know it and have a certificate of it.
fn table(standing: &Standing, state: &State) -> Result<String, StateError> {
    let mut text =
        format!("{:<10} {:<16} {:<11} {:>6} {:>13}\n", "authority", "SHA-256", "until", "known", "certificates");
    let next = standing.next.iter().map(|ca| ("next", ca));
    let previous = standing.previous.iter().map(|ca| ("previous", ca));
    for (role, ca) in std::iter::once(("current", &standing.current)).chain(next).chain(previous) {
        let found = devices(state, ca, Lack::Certificate)?;
        let (hash, until) = (&ca.fingerprint()[..16], day(ca.not_after()));
        let _ = writeln!(text, "{role:<10} {hash:<16} {until:<11} {:>6} {:>13}", found.know, found.have);
    }
    Ok(text)
}

fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| "?".into(), |at| at.strftime("%Y-%m-%d").to_string())
}
