//! What Bellwether makes of a device, for the person who stands before it: plain words, no names of objects.

use std::collections::BTreeMap;
use std::fmt::Write;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::ask::{Binding, Client, Held, Trouble};
use super::budget::Budget;
use super::facts::Facts;
use super::profile::{Choice, Pace, Read, Row, Shelf};
use super::walk::{End, drive};
use super::{Answers, Oid, recording};

/// What the device says that it is, and what its vendor calls the model; the next names after these are theirs.
const SYS_DESCR: [u32; 8] = [1, 3, 6, 1, 2, 1, 1, 1];
const SYS_OBJECT_ID: [u32; 8] = [1, 3, 6, 1, 2, 1, 1, 2];

/// More lines of one kind are summed up.
const LINES_MAX: usize = 12;

/// What was made of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What it is.
    pub facts: Facts,
    /// The profiles that apply to it.
    pub profiles: Vec<String>,
    /// How it is, of both paces.
    pub samples: Vec<Sample>,
    /// Who hangs on it.
    pub rows: Vec<Row>,
    /// Rows that were left out.
    pub dropped: usize,
    /// Values that were asked for and came.
    pub values: usize,
    /// Lines of a recording that were not understood.
    pub bad_lines: usize,
}

/// Looks at a recording as at a device: first what tells the profiles, then what they want, and nothing else.
#[must_use]
pub fn at_recording(shelf: &Shelf, text: &[u8]) -> Look {
    let first = shelf.first();
    let choice = shelf.choose(&recording::first_below(text, &[first.get, first.next].concat()));
    let mut wanted = [choice.wanted(Pace::Fast), choice.wanted(Pace::Slow)].concat();
    wanted.sort();
    wanted.dedup();
    let recorded = recording::read(text, &wanted);
    let mut look = at_answers(&choice, &recorded.answers);
    look.bad_lines = recorded.bad_lines;
    look
}

/// Looks at a device: first what tells the profiles, then the columns that they want, one after the other. Also says
/// how many columns were cut short.
///
/// # Errors
/// When the device does not answer at all.
pub async fn at_device(shelf: &Shelf, client: &(impl Client + Sync), bulk: bool) -> Result<(Look, usize), Trouble> {
    let first = shelf.first();
    let mut answers = Answers::default();
    let mut silent = None;
    for name in first.next.iter().chain(&[SYS_DESCR, SYS_OBJECT_ID].map(Oid::from)) {
        match client.get_next(std::slice::from_ref(name)).await {
            Ok(bindings) => keep(&mut answers, bindings),
            Err(Trouble::NoSuchName) => {}
            Err(trouble) if answers.is_empty() && silent.is_some() => return Err(trouble),
            Err(trouble) => silent = Some(trouble),
        }
    }
    let choice = shelf.choose(&answers);
    let mut wanted = [choice.wanted(Pace::Fast), choice.wanted(Pace::Slow)].concat();
    wanted.sort();
    wanted.dedup();
    let (mut answers, mut cut, mut budget) = (Answers::default(), 0, Budget::default());
    for column in &wanted {
        let walked = drive::walk(client, column, bulk, &mut budget).await;
        cut += usize::from(walked.end != End::Complete);
        for (name, value) in walked.answers.iter() {
            cut += usize::from(answers.insert(name.clone(), value.clone()).is_err());
        }
    }
    Ok((at_answers(&choice, &answers), cut))
}

fn keep(answers: &mut Answers, bindings: Vec<Binding>) {
    for binding in bindings {
        if let Held::Value(value) = binding.held {
            // A few dozen values have room.
            let _ = answers.insert(binding.name, value);
        }
    }
}

/// Looks at what a device answered.
#[must_use]
pub fn at_answers(choice: &Choice, answers: &Answers) -> Look {
    let read = |pace| choice.read(answers, pace, "", Timestamp(0));
    let (fast, slow): (Read, Read) = (read(Pace::Fast), read(Pace::Slow));
    Look {
        facts: choice.facts(answers),
        profiles: choice.names().map(str::to_owned).collect(),
        samples: merge(fast.samples, slow.samples),
        rows: [fast.rows, slow.rows].concat(),
        dropped: fast.dropped + slow.dropped,
        values: answers.len(),
        bad_lines: 0,
    }
}

/// Rows that both paces say something of are one for whoever reads them.
fn merge(fast: Vec<Sample>, slow: Vec<Sample>) -> Vec<Sample> {
    let mut rows: BTreeMap<_, Sample> = BTreeMap::new();
    for sample in fast.into_iter().chain(slow) {
        let key = (sample.measurement.clone(), sample.tags.clone());
        match rows.get_mut(&key) {
            Some(row) => row.fields.extend(sample.fields),
            None => drop(rows.insert(key, sample)),
        }
    }
    rows.into_values().collect()
}

impl Look {
    /// The page for a person.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        self.label(&mut page);
        self.interfaces(&mut page);
        for measurement in super::measurements::MEASUREMENTS {
            if measurement.name != "interface" {
                self.lines(measurement.name, &mut page);
            }
        }
        self.others(&mut page);
        page
    }

    fn label(&self, page: &mut String) {
        let facts = &self.facts;
        let kind = facts.kind.map(|kind| kind.as_str().replace('_', " "));
        let ports = facts.ports.map(|ports| ports.to_string());
        for (title, text) in [
            ("kind", &kind),
            ("vendor", &facts.vendor),
            ("model", &facts.model),
            ("serial", &facts.serial),
            ("firmware", &facts.firmware),
            ("name", &facts.name),
            ("location", &facts.location),
            ("MAC", &facts.mac),
            ("ports", &ports),
        ] {
            let _ = writeln!(page, "{title:<10} {}", text.as_deref().unwrap_or("not known"));
        }
        let _ = writeln!(page, "{:<10} {}", "profiles", self.profiles.join(", "));
    }

    fn of<'a>(&'a self, measurement: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.measurement == measurement)
    }

    fn interfaces(&self, page: &mut String) {
        let is = |sample: &Sample, field: &str, value: i64| number(sample, field) == Some(value);
        let (mut all, mut up, mut errors) = (0, 0, Vec::new());
        for sample in self.of("interface") {
            all += 1;
            up += usize::from(is(sample, "ifOperStatus", 1));
            if ["ifInErrors", "ifOutErrors"].iter().any(|field| number(sample, field).is_some_and(|count| count > 0)) {
                errors.push(tag(sample).to_owned());
            }
        }
        if all == 0 {
            return;
        }
        let _ = writeln!(page, "\ninterfaces: {all}, {up} up");
        if !errors.is_empty() {
            let more = errors.len().saturating_sub(LINES_MAX);
            errors.truncate(LINES_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(page, "  counted errors: {}{more}", errors.join(", "));
        }
    }

    fn lines(&self, measurement: &str, page: &mut String) {
        let rows: Vec<&Sample> = self.of(measurement).collect();
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(page, "\n{}:", measurement.replace('_', " "));
        for sample in rows.iter().take(LINES_MAX) {
            let fields: Vec<String> =
                sample.fields.iter().map(|(name, value)| format!("{name} {}", written(value))).collect();
            let tags: Vec<&str> = sample.tags.iter().map(|(_, value)| value.as_str()).collect();
            let name = if tags.is_empty() { String::new() } else { format!("{}: ", tags.join(" ")) };
            let _ = writeln!(page, "  {name}{}", fields.join(", "));
        }
        if rows.len() > LINES_MAX {
            let _ = writeln!(page, "  and {} more", rows.len() - LINES_MAX);
        }
    }

    fn others(&self, page: &mut String) {
        for kind in super::measurements::ROWS {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.kind == kind.name).collect();
            if rows.is_empty() {
                continue;
            }
            let _ = writeln!(page, "\n{}: {} rows", kind.name.replace('_', " "), rows.len());
            // Addresses of people's devices are counted and not shown.
            for row in rows.iter().filter(|row| row.kind == "neighbor").take(LINES_MAX) {
                let columns: Vec<String> = row.columns.iter().map(|(name, text)| format!("{name} {text}")).collect();
                let _ = writeln!(page, "  {}", columns.join(", "));
            }
        }
        if self.dropped > 0 {
            let _ = writeln!(page, "\nleft out: {} rows without a name or beyond what is kept", self.dropped);
        }
        if self.bad_lines > 0 {
            let _ = writeln!(page, "\nnot understood: {} lines of the recording", self.bad_lines);
        }
    }
}

fn tag(sample: &Sample) -> &str {
    sample.tags.first().map_or("", |(_, value)| value)
}

fn number(sample: &Sample, name: &str) -> Option<i64> {
    sample.fields.iter().find_map(|(field, value)| match value {
        Value::Integer(number) if field == name => Some(*number),
        _ => None,
    })
}

fn written(value: &Value) -> String {
    match value {
        Value::Float(number) => number.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(true) => "yes".to_owned(),
        Value::Boolean(false) => "no".to_owned(),
        Value::Text(text) => text.clone(),
    }
}
