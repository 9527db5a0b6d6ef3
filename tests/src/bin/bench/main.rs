//! Measures one thing and prints it beside what a peer does on the same machine in the same run: tab-separated lines
//! `figure value unit peer peer_value`. Run by `tests/bench`, in the release profile.

use std::io::Write;
use std::process::ExitCode;

mod agent;
mod engine;
mod ingest;
mod series;
mod snmp;

/// A figure, and what each peer has for it.
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    peer: &'static str,
    peer_value: f64,
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let figures = match name.as_str() {
        "agent" => agent::run(),
        "engine" => engine::run(),
        "ingest" => ingest::run(),
        "series" => series::run(),
        "snmp" => snmp::run(),
        _ => {
            let _ = writeln!(std::io::stderr(), "usage: tests/bench agent|engine|ingest|series|snmp");
            return ExitCode::from(2);
        }
    };
    let mut out = std::io::stdout().lock();
    for Figure { name, value, unit, peer, peer_value } in figures {
        if writeln!(out, "{name}\t{value:.3}\t{unit}\t{peer}\t{peer_value:.3}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
