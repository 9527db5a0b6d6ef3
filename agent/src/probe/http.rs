//! A web server's answer, as Telegraf's `http_response`: its status, how long it took, whether a text is in it, and how
//! long its certificate is good.
//!
//! System proxies are ignored, nothing is sent along (no cookie, no credentials of the machine), redirects are followed
//! only if the configuration says how many, and of a body no more than [`BODY_BYTES_MAX`] are read. A certificate that
//! is not trusted does not end the look: it is told.

use std::time::Instant;

use bellwether_logic::sample::Value;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;

use self::fetch::{Answer, NoAnswer, Request};
use super::link::NoLink;
use super::settings::{Bad, Fixed, quoted, within};
use super::{Looked, Looking, seconds, tls};
use crate::reading::{count, integer};

pub mod fetch;
pub mod place;

pub use fetch::BODY_BYTES_MAX;
pub use place::Place;

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "http_response",
    tags: &["method", "server"],
    fields: &[
        Field {
            name: "certificate_days",
            kind: FieldKind::Integer,
            unit: "d",
            description: "How long the certificate is still good; negative once it has ended.",
        },
        Field {
            name: "certificate_error",
            kind: FieldKind::Text,
            unit: "",
            description: "One of expired, not_yet_valid, wrong_name, self_signed, untrusted, bad.",
        },
        Field {
            name: "content_length",
            kind: FieldKind::Integer,
            unit: "bytes",
            description: "How much of the body was read; at most 64 KiB.",
        },
        Field {
            name: "first_byte_time",
            kind: FieldKind::Float,
            unit: "s",
            description: "Until the answer's head was there, connecting included.",
        },
        Field { name: "http_response_code", kind: FieldKind::Integer, unit: "", description: "The status." },
        Field {
            name: "response_status_code_match",
            kind: FieldKind::Integer,
            unit: "",
            description: "1 if the status is the expected one, 0 if not.",
        },
        Field {
            name: "response_string_match",
            kind: FieldKind::Integer,
            unit: "",
            description: "1 if the expected text is in the body, 0 if not.",
        },
        Field { name: "response_time", kind: FieldKind::Float, unit: "s", description: "Until the body was there." },
        Field {
            name: "result_code",
            kind: FieldKind::Integer,
            unit: "",
            description: "0: good; 1: text missing; 2: body broke off; 3: not connected; 4: no answer in time; \
                          5: nobody of that name; 6: another status.",
        },
    ],
    privacy: Privacy::Health,
    description: "Whether a web server answers as it should. Its address is never sent.",
}];

/// More than any chain of redirects that somebody meant.
const REDIRECTS_MAX: u8 = 5;
/// Longer texts are no sign but a page.
const TEXT_BYTES_MAX: usize = 256;

/// What is asked for, and what should come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    place: Place,
    head: bool,
    status: Option<u16>,
    body: Option<String>,
    redirects: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: String,
    #[serde(default = "get")]
    method: String,
    status: Option<u16>,
    body: Option<String>,
    #[serde(default)]
    redirects: u8,
}

fn get() -> String {
    "GET".to_owned()
}

impl Http {
    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        let head = match file.method.as_str() {
            "GET" => false,
            "HEAD" => true,
            _ => return Err(Bad::new("method", quoted(&file.method), "\"GET\" or \"HEAD\"")),
        };
        if let Some(text) = &file.body
            && (text.is_empty() || text.len() > TEXT_BYTES_MAX || head)
        {
            return Err(Bad::new("body", quoted(text), "1 to 256 bytes that a GET finds in the page"));
        }
        let status = file.status.map(|status| within("status", status, 100..=599, "100 to 599")).transpose()?;
        Ok(Self {
            place: Place::parse("url", &file.url)?,
            head,
            status,
            body: file.body,
            redirects: within("redirects", file.redirects, 0..=REDIRECTS_MAX, "0 to 5 redirects")?,
        })
    }

    /// Asks, and follows as far as it may.
    pub async fn look(&self, looking: &Looking) -> Looked {
        let started = Instant::now();
        let mut place = self.place.clone();
        let mut left = self.redirects;
        loop {
            let request = Request { head: self.head, ..Request::get(&place) };
            let limit = looking.timeout.saturating_sub(started.elapsed());
            let answer = fetch::fetch(&request, limit, &looking.tools.roots).await;
            if left > 0
                && let Ok(answer) = &answer
                && let Some(next) = answer.location.as_deref().and_then(|to| place.follow(to))
            {
                left -= 1;
                place = next;
                continue;
            }
            return self.looked(looking, answer, started);
        }
    }

    fn looked(&self, looking: &Looking, answer: Result<Answer, NoAnswer>, started: Instant) -> Looked {
        let (fields, unreached) = match answer {
            Ok(answer) => (self.fields(looking, &answer, started), None),
            Err(NoAnswer::Link(error)) => (vec![("result_code", integer(code_of(&error)))], error.unreached()),
            Err(NoAnswer::Silence) => (vec![("result_code", integer(4))], None),
            Err(NoAnswer::Broken) => (vec![("result_code", integer(3))], None),
        };
        let tags =
            vec![("method", if self.head { "HEAD" } else { "GET" }.to_owned()), ("server", looking.name.to_string())];
        Looked::row(looking.row("http_response", tags, fields), unreached)
    }

    fn fields(&self, looking: &Looking, answer: &Answer, started: Instant) -> Vec<(&'static str, Value)> {
        let found = self.body.as_ref().map(|text| contains(&answer.body, text.as_bytes()));
        let as_expected = self.status.map(|status| status == answer.status);
        let code = match (as_expected, found) {
            (Some(false), _) => 6,
            _ if answer.broke_off => 2,
            (_, Some(false)) => 1,
            _ => 0,
        };
        let mut fields = Vec::new();
        if let Some(shown) = &answer.shown {
            fields.extend(tls::days_left(shown, looking.at).map(|days| ("certificate_days", Value::Integer(days))));
            let error = shown.fault.map(|fault| Value::Text(fault.as_str().to_owned()));
            fields.extend(error.map(|error| ("certificate_error", error)));
        }
        let since = |at: Instant| seconds(at.saturating_duration_since(started));
        fields.push(("content_length", count(answer.body.len())));
        fields.push(("first_byte_time", since(answer.head_at)));
        fields.push(("http_response_code", integer(u64::from(answer.status))));
        fields.extend(as_expected.map(|good| ("response_status_code_match", integer(u64::from(good)))));
        fields.extend(found.map(|good| ("response_string_match", integer(u64::from(good)))));
        fields.push(("response_time", since(answer.body_at)));
        fields.push(("result_code", integer(code)));
        fields
    }
}

const fn code_of(error: &NoLink) -> u64 {
    match error {
        NoLink::NoName => 5,
        NoLink::Silence(_) => 4,
        NoLink::Refused | NoLink::NoWay(_) => 3,
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len().max(1)).any(|window| window == text)
}

#[cfg(test)]
mod tests;
