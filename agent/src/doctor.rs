//! What is wrong with this agent on this machine, and what to do: for whoever stands before it.
//!
//! Each check is one line: fine, worth knowing, or wrong with its remedy. The checks look exactly where the running
//! agent looks (the same connection, the same sockets, the same programs), change nothing, and wait a bounded time.
//! They may run beside the agent, and before a machine is enrolled.
//!
//! What is printed names files of this machine and the collector's address: nothing of a person, and no secret.

use std::fmt;
use std::path::{Path, PathBuf};

use bellwether_logic::time::Timestamp;

use crate::clock;
use crate::config::Config;
use crate::host::Host;
use crate::run::whole_chain;
use crate::state;

mod folder;
mod network;
mod presented;
mod rights;
mod times;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// The agent works, but less well or less completely.
    Notice,
    /// The agent does not do its work.
    Bad,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it came out.
    pub verdict: Verdict,
    /// What was looked at.
    pub about: &'static str,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
}

/// What is asked of the doctor.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The state folder of an agent.
    pub state_dir: Option<PathBuf>,
    /// `HOST:PORT`, instead of what the state folder names.
    pub collector: Option<String>,
}

impl Finding {
    pub(crate) fn good(about: &'static str, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, about, seen: seen.into(), remedy: String::new() }
    }

    pub(crate) fn notice(about: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Notice, about, seen: seen.into(), remedy: remedy.into() }
    }

    pub(crate) fn bad(about: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, about, seen: seen.into(), remedy: remedy.into() }
    }
}

/// One line, whatever the other end put into a certificate.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Notice => "notice",
            Verdict::Bad => "PROBLEM",
        };
        let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        write!(f, "{verdict:8} {:14} {}", self.about, plain(&self.seen))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " -> {}", plain(&self.remedy)) }
    }
}

/// Looks at everything; the findings are in the order in which to mend them.
pub async fn examine(question: &Question) -> Vec<Finding> {
    let now = clock::now().wall;
    let host = Host::default();
    let mut findings = Vec::new();
    let known = match &question.state_dir {
        Some(dir) => folder::check(dir, question.collector.is_some(), now, &mut findings),
        None => folder::Known::default(),
    };
    let config = configuration(question.state_dir.as_deref(), &mut findings);
    findings.push(times::plausible(now));
    findings.push(network::proxies(&|name| std::env::var_os(name).is_some()));
    let endpoints = match &question.collector {
        Some(collector) => vec![collector.clone()],
        None => known.endpoints.clone(),
    };
    if endpoints.is_empty() && question.state_dir.is_none() {
        let remedy = "give --state FOLDER for an enrolled agent, --collector HOST:PORT before that";
        findings.push(Finding::notice("collector", "none was named, so the way to it was not tried", remedy));
    }
    for endpoint in &endpoints {
        network::check(endpoint, known.proof.as_ref(), &mut findings).await;
    }
    rights::check(&host, &mut findings);
    rights::ping(&host, config.as_ref().is_none_or(|config| config.ping_gateway), &mut findings).await;
    findings.push(rights::smartctl(&host));
    findings
}

/// The configuration as the running agent would take it; the shipped one without a folder.
fn configuration(dir: Option<&Path>, findings: &mut Vec<Finding>) -> Option<Config> {
    let path = dir?.join(state::CONFIG_FILE);
    match Config::load(&path) {
        Ok(config) => {
            let file = if path.exists() { path.display().to_string() } else { "the shipped defaults".to_owned() };
            let seen = format!("{file}: a reading every {} s", config.interval.as_secs());
            findings.push(Finding::good("configuration", seen));
            Some(config)
        }
        Err(error) => {
            let remedy = "mend the file; `bellwether-agent check-config` prints one that is good";
            findings.push(Finding::bad("configuration", whole_chain(&error), remedy));
            None
        }
    }
}

/// A span of time, in the unit that a person would take.
fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} minutes", ms / 60_000),
        7_200_000..172_800_000 => format!("{} hours", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// How far one instant lies from another, without its direction.
fn apart(one: Timestamp, other: Timestamp) -> String {
    span(one.0.abs_diff(other.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_even_if_a_certificate_has_control_characters() {
        let finding = Finding::bad("tls", "opened by \"Evil\u{1b}[2J\nok  everything\"", "call\nsomebody");
        let line = finding.to_string();
        assert_eq!(line, "PROBLEM  tls            opened by \"Evil [2J ok  everything\" -> call somebody");
    }

    #[test]
    fn spans_are_told_in_a_unit_that_a_person_takes() {
        let spans = [5, 61_000, 3_600_000, 90_000_000, 864_000_000].map(span);
        assert_eq!(spans, ["5 ms", "61 s", "60 minutes", "25 hours", "10 days"]);
    }
}
