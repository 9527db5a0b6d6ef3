//! What an InfluxDB's answer to a write means. Pure: the same answer means the same every time.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_series::{FieldKind, Precision, lines};

use super::batch::Batch;

/// The longest `Retry-After` that is believed: ten minutes, as Telegraf does. A wrong one must not silence us for a day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// How long to wait when the secret or the permission is wrong: until a person has changed something.
pub const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// What a server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The body, cut.
    pub body: String,
}

/// What an answer to a write means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every line is stored.
    Taken,
    /// The body was too large.
    TooLarge,
    /// Some lines, or all, are refused for good.
    Bad(Words),
    /// There is no such database, policy or bucket.
    Missing(Words),
    /// Not now.
    Later {
        /// Why.
        why: String,
        /// How long to wait at least.
        wait: Duration,
    },
}

/// A server's reason for refusing lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// As it said it.
    pub text: String,
    /// Lines that it numbered, from 0.
    pub numbered: Vec<usize>,
    /// Whether the words are known to be about lines, not about the request or the server's settings.
    pub sure: bool,
}

/// What servers of all generations say about lines alone.
const ABOUT_LINES: [&str; 7] = [
    "unable to parse",
    "partial write",
    "field type conflict",
    "beyond retention",
    "max-series-per-database",
    "max-values-per-tag",
    "parsing failed",
];

/// What an answer to a write means.
#[must_use]
pub fn judge(answer: &Answer) -> Verdict {
    let words = Words::read(&answer.body);
    let later = |why: String, least: Duration| Verdict::Later {
        why,
        wait: answer.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX).max(least),
    };
    let Answer { status, .. } = answer;
    match answer.status {
        204 => Verdict::Taken,
        413 => Verdict::TooLarge,
        400 | 422 => Verdict::Bad(words),
        404 => Verdict::Missing(words),
        401 => later(format!("it refuses our token (401 {}): correct store.influxdb.token", words.text), REFUSED_WAIT),
        403 => later(format!("our token may not write there (403 {}): give it the right to", words.text), REFUSED_WAIT),
        500 if words.text.contains("retention policy not found") => Verdict::Missing(words),
        408 | 429 | 500..=599 => {
            later(format!("it can't take points just now ({status} {})", words.text), Duration::ZERO)
        }
        200..=399 => {
            later(format!("it answers {status} where an InfluxDB says 204: look at store.influxdb.url"), REFUSED_WAIT)
        }
        _ => later(format!("it answers {status} {}", words.text), REFUSED_WAIT),
    }
}

/// How much of a reason is kept.
const WORDS_BYTES: usize = 1024;

impl Words {
    fn read(body: &str) -> Self {
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let said = json["error"]
            .as_str()
            .or_else(|| json["message"].as_str())
            .map_or_else(|| body.trim().to_owned(), str::to_owned);
        let details = json["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers = details.iter().map(|one| &one["line_number"]).chain([&json["line"]]);
        let numbered: Vec<usize> =
            numbers.filter_map(|number| usize::try_from(number.as_u64()?).ok()?.checked_sub(1)).collect();
        let reasons = details.iter().filter_map(|one| one["error_message"].as_str());
        let text = std::iter::once(said.as_str()).chain(reasons).collect::<Vec<_>>().join("; ");
        let lower = text.to_lowercase();
        let sure = !numbered.is_empty() || ABOUT_LINES.iter().any(|known| lower.contains(known));
        Self { text, numbered, sure }
    }

    /// The reason on one line, for a log or a file.
    #[must_use]
    pub fn shown(&self) -> String {
        let end = self.text.floor_char_boundary(WORDS_BYTES.min(self.text.len()));
        self.text[..end].replace(['\n', '\r'], " ")
    }

    /// The lines that these words point at. A guess: only what is refused when sent alone is bad.
    #[must_use]
    pub fn suspects(&self, batch: &Batch) -> BTreeSet<usize> {
        let mut suspects: BTreeSet<usize> = self.numbered.iter().copied().filter(|at| *at < batch.len()).collect();
        let quoted: BTreeSet<&str> = self.quoted().collect();
        if !quoted.is_empty() {
            let is_quoted = |line: &str| quoted.contains(line.trim_end_matches('\n'));
            suspects.extend(batch.lines().enumerate().filter(|(_, line)| is_quoted(line)).map(|(at, _)| at));
        }
        if let Some(conflict) = Conflict::read(&self.text) {
            suspects.extend(batch.lines().enumerate().filter(|(_, line)| conflict.is_in(line)).map(|(at, _)| at));
        }
        suspects
    }

    /// Whether the server says that it has taken none of these lines.
    #[must_use]
    pub fn covers(&self, batch: &Batch) -> bool {
        if self.dropped() == Some(batch.len()) {
            return true;
        }
        let quoted: BTreeSet<&str> = self.quoted().collect();
        !quoted.is_empty() && batch.lines().all(|line| quoted.contains(line.trim_end_matches('\n')))
    }

    /// How many points the server says that it dropped.
    fn dropped(&self) -> Option<usize> {
        let (_, number) = self.text.rsplit_once("dropped=")?;
        number.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    }

    /// The lines that InfluxDB repeats: `unable to parse 'LINE': reason`.
    fn quoted(&self) -> impl Iterator<Item = &str> {
        self.text.split("unable to parse '").skip(1).filter_map(|rest| rest.split("': ").next())
    }
}

/// A field that is of another type at the server.
struct Conflict<'a> {
    measurement: &'a str,
    field: &'a str,
    given: &'a str,
}

impl<'a> Conflict<'a> {
    /// `input field "f" on measurement "m" is type float, already exists as type integer`.
    fn read(text: &'a str) -> Option<Self> {
        let (_, rest) = text.split_once("input field \"")?;
        let (field, rest) = rest.split_once("\" on measurement \"")?;
        let (measurement, rest) = rest.split_once("\" is type ")?;
        let (given, _) = rest.split_once(',')?;
        Some(Self { measurement, field, given })
    }

    fn is_in(&self, line: &str) -> bool {
        let named = |kind: FieldKind| kind.to_string() == self.given;
        lines(line.as_bytes(), Precision::Nanoseconds, 0).flatten().any(|line| {
            line.point.measurement == self.measurement
                && line.point.fields.iter().any(|(name, value)| name == self.field && named(value.kind()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Place;
    use super::*;
    use bellwether_series::{FieldValue, Point};

    fn said(status: u16, body: &str) -> Verdict {
        judge(&Answer { status, retry_after: Some(Duration::from_secs(7)), body: body.to_owned() })
    }

    fn batch(values: &[FieldValue]) -> Batch {
        let mut batch = Batch::new(Place { database: "db".into(), policy: String::new() });
        for (time, value) in (0..).zip(values) {
            batch.push(&Point {
                measurement: "m".into(),
                tags: vec![],
                time,
                fields: vec![("f".into(), value.clone())],
            });
        }
        batch
    }

    #[test]
    fn only_204_means_that_the_points_are_stored() {
        assert_eq!(said(204, ""), Verdict::Taken);
        for status in [200, 202, 206, 301, 302, 404, 418, 500, 503] {
            assert_ne!(said(status, ""), Verdict::Taken, "{status}");
        }
        assert!(matches!(said(200, "<html>"), Verdict::Later { .. }));
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_is_within_reason() {
        let wait = |status, seconds| match judge(&Answer {
            status,
            retry_after: Some(Duration::from_secs(seconds)),
            ..Answer::default()
        }) {
            Verdict::Later { wait, .. } => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait(503, 7), wait(429, 7), wait(503, 86_400)), (7, 7, 600));
        assert_eq!(wait(401, 0), 60);
    }

    #[test]
    fn a_wrong_token_is_said_plainly() {
        let Verdict::Later { why, .. } = said(401, "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}")
        else {
            panic!("to be tried again");
        };
        assert_eq!(why, "it refuses our token (401 unauthorized access): correct store.influxdb.token");
    }

    #[test]
    fn the_bad_lines_are_found_in_the_words_of_every_generation() {
        let floats = batch(&[FieldValue::Float(1.0), FieldValue::Integer(2), FieldValue::Float(3.0)]);
        let suspects = |body: &str| match said(400, body) {
            Verdict::Bad(words) => words.suspects(&floats).into_iter().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            suspects(
                "{\"error\":\"partial write: unable to parse 'm f=2i 1': bad\\nunable to parse 'm f=3.0 2': bad dropped=0\"}"
            ),
            [1, 2]
        );
        let conflict = "partial write: field type conflict: input field \\\"f\\\" on measurement \\\"m\\\" is type integer, already exists as type float dropped=1";
        assert_eq!(suspects(&format!("{{\"error\":\"{conflict}\"}}")), [1]);
        assert_eq!(suspects("{\"code\":\"invalid\",\"message\":\"bad\",\"line\":3}"), [2]);
        let third = "{\"error\":\"partial write of line protocol occurred\",\"data\":[{\"line_number\":1,\"error_message\":\"no\"}]}";
        assert_eq!(suspects(third), [0]);
        assert!(suspects("{\"error\":\"something else\"}").is_empty());
    }

    #[test]
    fn a_batch_is_refused_as_a_whole_when_the_server_says_so() {
        let two = batch(&[FieldValue::Float(1.0), FieldValue::Float(2.0)]);
        let words = |text: &str| Words { text: text.to_owned(), ..Words::default() };
        assert!(words("partial write: points beyond retention policy dropped=2").covers(&two));
        assert!(!words("partial write: points beyond retention policy dropped=1").covers(&two));
        assert!(words("unable to parse 'm f=1.0 0': x\nunable to parse 'm f=2.0 1': x").covers(&two));
    }
}
