//! Which machine shows a certificate: whether it is the device's own, and whether a newcomer is an old acquaintance.
//!
//! What is noticed is noted for an admin. Nothing is merged that is not surely one machine, and a machine that is surely
//! another is told so and let go.

use bellwether_logic::device::LifeState;
use bellwether_logic::identity::{Hardware, Verdict, compare};
use bellwether_logic::time::Timestamp;
use tonic::Status;

use super::enrol::unavailable;
use crate::figures;
use crate::state::devices::DeviceRow;
use crate::state::machines::{Machine, NoteKind};
use crate::state::tokens::Grant;
use crate::state::{State, StateError};

/// Who a newcomer is.
#[derive(Debug)]
pub(super) enum Newcomer {
    /// Nobody who was here before.
    New,
    /// Perhaps a device that was here before; in words.
    Perhaps(String),
    /// This device.
    Known {
        /// As the inventory has it.
        device: Box<DeviceRow>,
        /// By what it was known.
        reasons: String,
        /// Whether it came by this very token before, and nothing has happened since that a person would have to undo.
        comes_again: bool,
    },
}

/// Looks whether a newcomer with this grant was here before. `is_connected` says whether a device's agent is connected
/// this moment: a machine that was re-imaged can't be, so such a newcomer is a copy or a second agent.
pub(super) fn recognise(
    state: &State,
    hardware: &Hardware,
    grant: &Grant,
    is_connected: impl Fn(&str) -> bool,
) -> Result<Newcomer, StateError> {
    let found = state.candidates(hardware)?;
    let mut best: Option<(bool, i32, Machine, String)> = None;
    for machine in found.machines {
        let verdict = compare(&machine.hardware, hardware, &found.common);
        let (is_same, score) = match &verdict {
            Verdict::Same { score, .. } => (true, *score),
            Verdict::Unsure { score, .. } => (false, *score),
            Verdict::Different { .. } => continue,
        };
        if best.as_ref().is_none_or(|(was_same, old, ..)| (is_same, score) > (*was_same, *old)) {
            best = Some((is_same, score, machine, verdict.reasons()));
        }
    }
    let Some((is_same, _, machine, reasons)) = best else { return Ok(Newcomer::New) };
    let Some(device) = state.device(&machine.device)? else { return Ok(Newcomer::New) };
    let but = if !is_same {
        ""
    } else if device.site != grant.site {
        ", but its token is for another building"
    } else if is_connected(&device.id) {
        ", but that one is connected at the same time"
    } else {
        let is_sound =
            !matches!(device.state, LifeState::Lost | LifeState::Retired) && !state.was_revoked(&device.id)?;
        let comes_again = is_sound && machine.token == Some(grant.token);
        return Ok(Newcomer::Known { device: Box::new(device), reasons, comes_again });
    };
    let label = if device.name == device.id { device.id.clone() } else { format!("{} ({})", device.name, device.id) };
    Ok(Newcomer::Perhaps(format!("may be the same machine as {label}: {reasons}{but}")))
}

/// Whether the machine that shows a device's certificate is the device's own; what it says of itself is kept.
///
/// # Errors
/// The sentence for the log of a machine that is another.
pub(super) fn judge(state: &State, device: &str, hardware: &Hardware, now: Timestamp) -> Result<(), Status> {
    let failed = |error| unavailable("a machine could not be looked up", &error);
    if hardware.says_nothing() {
        return Ok(());
    }
    let known = state.machine(device).map_err(failed)?;
    let known = match known {
        Some(known) if known.hardware == *hardware => return Ok(()),
        Some(known) if known.hardware.says_nothing() => Machine { hardware: hardware.clone(), ..known },
        Some(known) => compare_with(state, known, hardware, now)?,
        None => Machine { device: device.to_owned(), hardware: hardware.clone(), cas: Vec::new(), token: None },
    };
    state.put_machine(&known, now).map_err(failed)
}

fn compare_with(state: &State, known: Machine, hardware: &Hardware, now: Timestamp) -> Result<Machine, Status> {
    let failed = |error| unavailable("a machine could not be looked up", &error);
    let common = state.candidates(hardware).map_err(failed)?.common;
    let verdict = compare(&known.hardware, hardware, &common);
    if verdict.is_another() {
        let who = label(hardware);
        figures::refused("clone");
        let detail = format!("{who} shows this device's certificate: {}", verdict.reasons());
        state.note(&known.device, NoteKind::Clone, &detail, now).map_err(failed)?;
        return Err(Status::permission_denied(format!(
            "this certificate belongs to another machine ({}): run `bellwether-agent generalize` in the image, and enrol \
             this machine",
            verdict.reasons()
        )));
    }
    match verdict {
        Verdict::Same { .. } => Ok(Machine { hardware: hardware.clone(), ..known }),
        // What it was enrolled with stays what others are measured by.
        verdict => {
            let detail = format!("its hardware is not quite what it was: {}", verdict.reasons());
            state.note(&known.device, NoteKind::Changed, &detail, now).map_err(failed)?;
            Ok(known)
        }
    }
}

/// A machine in a few words.
fn label(hardware: &Hardware) -> String {
    let words = [hardware.vendor.as_str(), &hardware.model, &hardware.serial];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    match (words.is_empty(), hardware.macs.first()) {
        (false, _) => words.join(" "),
        (true, Some(mac)) => format!("a machine with network card {mac}"),
        (true, None) => "another machine".to_owned(),
    }
}
