//! What would be sent next, in full: the answer to "what does this thing say about my machine?".

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::schema as declared;

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::host::Host;
use crate::probe::ping::{Look, Pinger};
use crate::probe::targets;
use crate::schema;
use crate::source::{self, Pace, Report, Source};
use crate::state;

/// Counters are told as differences, so they are read twice.
const BETWEEN: Duration = Duration::from_secs(1);

/// Reads everything once as the running agent would, and writes it down. Needs no enrolment.
///
/// # Errors
/// When the configuration in `state_dir` can't be used.
pub async fn show(state_dir: Option<&Path>) -> Result<String, ConfigError> {
    let config = match state_dir {
        Some(dir) => Config::load(&dir.join(state::CONFIG_FILE))?,
        None => Config::default(),
    };
    let host = Host::default();
    let made = source::ALL.iter().map(|entry| (entry.pace, (entry.make)(&host, &config)));
    let mut sources: Vec<(Pace, Box<dyn Source>)> = made.collect();
    for (_, source) in sources.iter_mut().filter(|(pace, _)| *pace == Pace::Round) {
        source.read(clock::now().wall);
    }
    tokio::time::sleep(BETWEEN).await;
    let time = clock::now().wall;
    let reports: Vec<Report> = sources.iter_mut().map(|(_, source)| source::read(source.as_mut(), time)).collect();
    let look = Pinger::default().look(targets(&host, &config), time).await;
    Ok(page(&reports, &look, time))
}

fn page(reports: &[Report], look: &Look, time: bellwether_logic::time::Timestamp) -> String {
    let mut samples: Vec<Sample> = reports.iter().flat_map(|report| report.reading.samples.clone()).collect();
    samples.extend(reports.iter().map(|report| report.sample(time)));
    samples.extend(look.samples.iter().cloned());
    let declared: Vec<_> = schema::all().collect();
    samples.retain(|sample| declared::check(&declared, sample).is_ok());
    let mut text = String::from("What this machine would send next.\n");
    for measurement in schema::all() {
        let rows: Vec<&Sample> = samples.iter().filter(|sample| sample.measurement == measurement.name).collect();
        if !rows.is_empty() {
            let privacy = measurement.privacy.as_str();
            let _ = writeln!(text, "\n{} [{privacy}]: {}", measurement.name, measurement.description);
            rows.iter().for_each(|row| text.push_str(&line(row)));
        }
    }
    text.push_str("\nWhat was looked at:\n");
    for report in reports {
        let status = report.reading.status().as_str();
        let _ = writeln!(text, "  {:8} {status}, {:.3} ms", report.source, report.took_ms);
        for problem in &report.reading.problems {
            let _ = writeln!(text, "           {}", problem.text);
        }
    }
    let _ = writeln!(text, "  {:8} {} targets", "ping", look.samples.len());
    for problem in &look.problems {
        let _ = writeln!(text, "           {problem}");
    }
    text
}

/// `  tag=value: field=value field=value`
fn line(sample: &Sample) -> String {
    let tags: Vec<String> = sample.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let fields: Vec<String> = sample.fields.iter().map(|(name, value)| format!("{name}={}", word(value))).collect();
    let head = if tags.is_empty() { String::new() } else { format!("{}: ", tags.join(" ")) };
    format!("  {head}{}\n", fields.join(" "))
}

fn word(value: &Value) -> String {
    match value {
        Value::Float(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Text(value) => format!("\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Problem, ProblemKind, Reading, sample};
    use bellwether_logic::time::Timestamp;

    #[test]
    fn the_page_tells_values_privacy_status_and_problems_and_hides_what_is_not_declared() {
        let time = Timestamp(0);
        let samples = vec![
            sample("system", Vec::new(), time, vec![("load1", Value::Float(0.5)), ("uptime", Value::Integer(7))]),
            sample("system", Vec::new(), time, vec![("n_users", Value::Integer(1))]),
        ];
        let problems = vec![Problem::new(ProblemKind::Failed, "/proc/stat: not understood")];
        let reports = [
            Report { source: "disk", reading: Reading::default(), took_ms: 0.5 },
            Report { source: "system", reading: Reading { samples, problems }, took_ms: 0.25 },
        ];
        let page = page(&reports, &Look::default(), time);
        for expected in [
            "\nsystem [activity]: How loaded the machine is, and since when it is on.\n  load1=0.5 uptime=7\n",
            "  source=disk: problems=0 samples=0 status=\"nothing_here\" took_ms=0.5\n",
            "  disk     nothing_here, 0.500 ms\n",
            "           /proc/stat: not understood\n",
        ] {
            assert!(page.contains(expected), "{expected} in\n{page}");
        }
        assert!(!page.contains("n_users"));
    }
}
