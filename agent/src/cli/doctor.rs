//! `doctor`: what is wrong here and what to do, a line for each check.

use std::path::PathBuf;

use bellwether_agent::doctor::{self, Question, Verdict};

use super::{Failure, runtime, say};

/// Says what it finds; fails if something keeps the agent from its work.
pub(super) fn doctor(state_dir: Option<PathBuf>, collector: Option<String>) -> Result<(), Failure> {
    let findings = runtime()?.block_on(doctor::examine(&Question { state_dir, collector }));
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    say(&lines)?;
    match findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count() {
        0 => Ok(()),
        problems => Err(Failure::Unwell(problems)),
    }
}
