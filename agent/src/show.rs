//! What would be sent next, in full: the answer to "what does this thing say about my machine?".

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{self as declared, Field, Measurement};

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::host::Host;
use crate::probe::of_the_system;
use crate::probe::patrol::{Once, once};
use crate::reading::Status;
use crate::remote::Remote;
use crate::schema;
use crate::source::{self, Pace, REPEAT, Report, Source};

mod cost;

/// Counters are told as differences, so what is read with every round is read three times, this far apart.
const BETWEEN: Duration = Duration::from_secs(1);

/// Reads everything as the running agent would, and writes down what it would send next. Needs no enrolment.
///
/// # Errors
/// When the configuration in `state_dir` can't be used.
pub async fn show(state_dir: Option<&Path>) -> Result<String, ConfigError> {
    let config = match state_dir {
        Some(dir) => Remote::load(dir).config()?,
        None => Config::default(),
    };
    let host = state_dir.map_or_else(Host::default, |dir| Host::default().remembering(dir));
    let made = source::ALL.iter().map(|entry| (entry.pace, entry.source(&host, &config)));
    let mut sources: Vec<(Pace, Box<dyn Source>)> = made.collect();
    let mut earlier = Vec::new();
    for _ in 0..2 {
        let of_round = sources.iter_mut().filter(|(pace, _)| *pace == Pace::Round);
        earlier = of_round.map(|(_, source)| source::read(source.as_mut(), clock::now().wall)).collect();
        tokio::time::sleep(BETWEEN).await;
    }
    let time = clock::now().wall;
    let reports = sources.iter_mut().map(|(_, source)| source::read(source.as_mut(), time)).collect();
    let mut probes = of_the_system(&host, &config);
    probes.extend(config.probes);
    let look = once(probes, time).await;
    let paces = sources.iter().map(|(pace, _)| *pace).collect();
    Ok(Shown { earlier, reports, paces, look, time, interval: config.interval }.page())
}

/// What was read, to be written down.
struct Shown {
    earlier: Vec<Report>,
    reports: Vec<Report>,
    /// Of each report.
    paces: Vec<Pace>,
    look: Once,
    time: Timestamp,
    interval: Duration,
}

impl Shown {
    fn page(&self) -> String {
        let samples = self.samples();
        let mut text = String::from(
            "What this machine would send next: all of it. The collector adds the device's own id, name, building, room \
             and class.\nBehind each value: its unit, and in brackets its privacy class.\n",
        );
        let mut measurements: Vec<_> = schema::all().collect();
        measurements.sort_by_key(|measurement| measurement.name);
        for measurement in measurements {
            let rows: Vec<&Sample> = samples.iter().filter(|sample| sample.measurement == measurement.name).collect();
            if !rows.is_empty() {
                let _ = writeln!(text, "\n{}: {}", measurement.name, measurement.description);
                rows.iter().for_each(|row| text.push_str(&block(measurement, row)));
            }
        }
        text.push_str(&self.table());
        text.push_str(&self.weight());
        text
    }

    /// What would be sent, by the gate that the running agent has.
    fn samples(&self) -> Vec<Sample> {
        let declared: Vec<_> = schema::all().collect();
        let mut samples = Vec::new();
        for report in &self.reports {
            samples.push(report.sample(self.time));
            samples.extend(report.reading.samples.iter().cloned());
        }
        samples.extend(self.look.samples.iter().cloned());
        samples.retain(|sample| declared::check(&declared, sample).is_ok());
        samples
    }

    /// One line for each source, with what it could not read below it.
    fn table(&self) -> String {
        let mut text = format!(
            "\nWhat was looked at:\n  {:<14} {:<20} {:>9} {:>7} {:>6}  how often\n",
            "", "", "took", "values", "bytes"
        );
        let nothing = cost::of(&[], &[], 1).bytes;
        for (report, pace) in self.reports.iter().zip(&self.paces) {
            let cost = cost::of(&self.earlier_of(report), &report.reading.samples, self.stretch());
            let (took, bytes) = (format!("{:.3} ms", report.took_ms), cost.bytes - nothing);
            let (status, often) = (in_words(report.reading.status()), self.how_often(*pace));
            let head = format!("{:<14} {status:<20} {took:>9}", report.source);
            let _ = writeln!(text, "  {head} {:>7} {bytes:>6}  {often}", cost.values);
            for problem in &report.reading.problems {
                let _ = writeln!(text, "                   {}", problem.text);
            }
        }
        let values: usize = self.look.samples.iter().map(|sample| sample.fields.len()).sum();
        let _ = writeln!(text, "  {:<14} {:<20} {:>9} {values:>7}", "probes", "", "");
        for problem in &self.look.problems {
            let _ = writeln!(text, "                   {problem}");
        }
        text
    }

    /// What a round weighs: how the sources are doing is told only when it changes, and slow ones are read now and then.
    fn weight(&self) -> String {
        let samples = |reports: &mut dyn Iterator<Item = &Report>| -> Vec<Sample> {
            reports.flat_map(|report| report.reading.samples.iter().cloned()).collect()
        };
        let reports = self.reports.iter().zip(&self.paces);
        let mut of_round = reports.filter(|(_, pace)| **pace == Pace::Round).map(|(report, _)| report);
        let mut round = samples(&mut of_round);
        round.extend(self.look.samples.iter().cloned());
        let cost = cost::of(&samples(&mut self.earlier.iter()), &round, self.stretch());
        format!(
            "\nEvery {} s {} values, about {} bytes on a stream that is open: {:.2} bytes a value. The running agent adds \
             `agent_spool` (what waits),\nand tells `agent_source` when it changes and every 15 minutes.\n\
             `bellwether-agent show --schema` prints all that could ever be sent.\n",
            self.interval.as_secs(),
            cost.values,
            cost.bytes,
            cost.each()
        )
    }

    fn earlier_of(&self, report: &Report) -> Vec<Sample> {
        let earlier = self.earlier.iter().find(|earlier| earlier.source == report.source);
        earlier.map(|earlier| earlier.reading.samples.clone()).unwrap_or_default()
    }

    /// How many times as long as between two readings of this page an interval is.
    fn stretch(&self) -> i64 {
        i64::try_from(self.interval.as_secs() / BETWEEN.as_secs().max(1)).unwrap_or(i64::MAX).max(1)
    }

    fn how_often(&self, pace: Pace) -> String {
        match pace {
            Pace::Round => every(self.interval),
            Pace::Slow(apart) | Pace::Late { apart, .. } => every(apart.max(self.interval)),
            Pace::OnChange { look } => format!("on change (looks {}), else {}", every(look), every(REPEAT)),
        }
    }
}

fn every(apart: Duration) -> String {
    match apart.as_secs() {
        seconds @ ..120 => format!("every {seconds} s"),
        seconds @ ..7_200 => format!("every {} min", seconds / 60),
        seconds => format!("every {} h", seconds / 3_600),
    }
}

const fn in_words(status: Status) -> &'static str {
    use crate::reading::ProblemKind;
    match status {
        Status::Ok => "ok",
        Status::Nothing(ProblemKind::NothingHere) => "nothing here",
        Status::Nothing(ProblemKind::Unsupported) => "unsupported",
        Status::Nothing(ProblemKind::NoPermission) => "no permission",
        Status::Nothing(ProblemKind::Failed) => "failed",
    }
}

/// A row: its tags on a line, and each field on its own.
fn block(measurement: &Measurement, sample: &Sample) -> String {
    let mut tags: Vec<String> = sample.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if !sample.target.is_empty() {
        tags.push(format!("target={}", sample.target));
    }
    let mut text = if tags.is_empty() { String::new() } else { format!("  {}\n", tags.join(" ")) };
    for (name, value) in &sample.fields {
        let field = measurement.fields.iter().find(|field| field.name == name);
        let unit = field.map_or("", |field: &Field| field.unit);
        let value = format!("{} {unit}", word(value));
        let _ = writeln!(text, "    {name:<22} {:<24} [{}]", value.trim_end(), measurement.privacy.as_str());
    }
    text
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

    #[test]
    fn the_page_tells_values_privacy_status_and_problems_and_hides_what_is_not_declared() {
        let time = Timestamp(0);
        let samples = vec![
            sample("system", Vec::new(), time, vec![("load1", Value::Float(0.5)), ("uptime", Value::Integer(7))]),
            sample("system", Vec::new(), time, vec![("n_users", Value::Integer(1))]),
        ];
        let problems = vec![Problem::new(ProblemKind::Failed, "/proc/stat: not understood")];
        let reports = vec![
            Report { source: "disk", reading: Reading::default(), took_ms: 0.5 },
            Report { source: "system", reading: Reading { samples, problems }, took_ms: 0.25 },
        ];
        let paces = vec![Pace::Slow(Duration::from_secs(3_600)), Pace::Round];
        let interval = Duration::from_secs(60);
        let page = Shown { earlier: Vec::new(), reports, paces, look: Once::default(), time, interval }.page();
        for expected in [
            "\nsystem: How loaded the machine is, and since when it is on.\n    load1                  0.5                      [activity]\n    uptime                 7 s                      [activity]\n",
            "  source=disk\n    problems               0                        [own]\n",
            "  disk           nothing here          0.500 ms       0      0  every 60 min\n",
            "  system         ok                    0.250 ms       3 ",
            "                   /proc/stat: not understood\n",
            "bytes a value",
        ] {
            assert!(page.contains(expected), "{expected} in\n{page}");
        }
        assert!(!page.contains("n_users"));
    }
}
