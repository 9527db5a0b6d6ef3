//! RAID controllers, by their makers' programs: storcli and perccli (Broadcom, Dell), ssacli (HPE).

use serde::Deserialize;

use super::{Array, Found, LIMIT, State, names};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind};

/// Programs that answer alike; `nolog` keeps them from writing a log where they stand.
const MEGARAID: &[&str] = &["storcli64", "storcli", "perccli64", "perccli"];
const MEGARAID_QUESTION: &[&str] = &["/call/vall", "show", "J", "nolog"];

const HPE: &str = "ssacli";
const HPE_QUESTION: &[&str] = &["ctrl", "all", "show", "config"];

/// The class of a RAID controller on the PCI bus.
const PCI_CLASS_RAID: &str = "0x0104";

/// Asks the first program that is there. Only a machine with such a controller is asked at all.
pub(super) fn ask(host: &Host) -> Found {
    let class = |name: &String| host.word(&format!("sys/bus/pci/devices/{name}/class")).unwrap_or_default();
    if !names(host, "sys/bus/pci/devices").iter().any(|name| class(name).starts_with(PCI_CLASS_RAID)) {
        return Found::default();
    }
    for program in MEGARAID {
        match host.run(program, MEGARAID_QUESTION, LIMIT) {
            Ok(said) => return answered(program, megaraid(&said.text)),
            Err(problem) if problem.kind == ProblemKind::NothingHere => {}
            Err(problem) => return Found { arrays: Vec::new(), problems: vec![problem] },
        }
    }
    match host.run(HPE, HPE_QUESTION, LIMIT) {
        Ok(said) => answered(HPE, hpe(&said.text)),
        Err(problem) if problem.kind == ProblemKind::NothingHere => {
            let text =
                "a RAID controller is there, and none of storcli, perccli and ssacli to ask it: install its maker's";
            Found { arrays: Vec::new(), problems: vec![Problem::new(ProblemKind::NothingHere, text)] }
        }
        Err(problem) => Found { arrays: Vec::new(), problems: vec![problem] },
    }
}

fn answered(program: &str, arrays: Option<Vec<Array>>) -> Found {
    match arrays {
        Some(arrays) if arrays.is_empty() => {
            let text = format!("{program} shows no array: none is set up, or the agent may not ask (it needs root)");
            Found::problem(ProblemKind::NothingHere, text)
        }
        Some(arrays) => Found { arrays, problems: Vec::new() },
        None => Found::problem(ProblemKind::Failed, format!("{program}: its answer is not understood")),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Controllers")]
    controllers: Vec<Controller>,
}

#[derive(Deserialize)]
struct Controller {
    #[serde(rename = "Command Status")]
    status: CommandStatus,
    #[serde(rename = "Response Data")]
    data: Option<Data>,
}

#[derive(Default, Deserialize)]
struct CommandStatus {
    #[serde(rename = "Controller", default)]
    number: serde_json::Value,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "Virtual Drives", default)]
    drives: Vec<Drive>,
}

#[derive(Deserialize)]
struct Drive {
    /// Group and number: `0/1`.
    #[serde(rename = "DG/VD")]
    id: String,
    #[serde(rename = "TYPE")]
    level: String,
    #[serde(rename = "State")]
    state: String,
}

/// What storcli and perccli print with `J`.
pub(super) fn megaraid(text: &str) -> Option<Vec<Array>> {
    let answer: Answer = serde_json::from_str(text).ok()?;
    let mut arrays = Vec::new();
    for controller in answer.controllers {
        let number = controller.status.number.as_u64().unwrap_or(0);
        for drive in controller.data.into_iter().flat_map(|data| data.drives) {
            let state = match drive.state.as_str() {
                "Optl" => State::Ok,
                "Dgrd" | "Pdgd" => State::Degraded,
                "Rec" | "Rbld" => State::Rebuilding,
                "OfLn" | "Msng" | "Fail" => State::Failed,
                _ => State::Unknown,
            };
            let id = drive.id.rsplit('/').next().unwrap_or_default();
            arrays.push(Array::of_state(format!("c{number}/v{id}"), &drive.level.to_lowercase(), state));
        }
    }
    Some(arrays)
}

/// What ssacli prints: controllers with a slot, below them `logicaldrive 1 (279.4 GB, RAID 1, OK)` and their
/// `physicaldrive 1I:1:1 (port 1I:box 1:bay 1, SAS HDD, 300 GB, OK)`.
pub(super) fn hpe(text: &str) -> Option<Vec<Array>> {
    let mut slot = "0";
    let mut arrays: Vec<Array> = Vec::new();
    let mut group = 0;
    for line in text.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once(" in Slot ") {
            slot = rest.split_ascii_whitespace().next().unwrap_or("0");
        } else if line.starts_with("Array ") {
            group = arrays.len();
        } else if let Some(rest) = line.strip_prefix("logicaldrive ") {
            arrays.push(logical(slot, rest)?);
        } else if line.starts_with("physicaldrive ") {
            arrays[group..].iter_mut().for_each(|array| count(array, line));
        } else if line.starts_with("Unassigned") || line.starts_with("unassigned") {
            group = arrays.len();
        }
    }
    Some(arrays)
}

fn logical(slot: &str, rest: &str) -> Option<Array> {
    let (number, details) = rest.split_once(' ')?;
    let mut parts = details.trim_matches(['(', ')']).split(", ");
    let level = parts.by_ref().find(|part| part.starts_with("RAID"))?;
    let state = match parts.next()? {
        "OK" => State::Ok,
        "Interim Recovery Mode" | "Ready for Rebuild" => State::Degraded,
        "Recovering" | "Rebuilding" => State::Rebuilding,
        "Failed" => State::Failed,
        _ => State::Unknown,
    };
    let level = level.to_lowercase().replace(' ', "");
    Some(Array::of_state(format!("slot{slot}/{number}"), &level, state))
}

/// Counts a physical drive to its array.
fn count(array: &mut Array, line: &str) {
    let add = |count: &mut Option<u64>| *count = Some(count.unwrap_or(0) + 1);
    let state = line.trim_end_matches(')').rsplit(", ").next().unwrap_or_default();
    if state == "spare" || line.contains(", spare") {
        return add(&mut array.spare);
    }
    add(&mut array.devices);
    match state {
        "OK" => add(&mut array.active),
        "Failed" => add(&mut array.failed),
        _ => {}
    }
}
