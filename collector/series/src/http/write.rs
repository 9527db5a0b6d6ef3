//! `/write` of InfluxDB 1.x and `/api/v2/write` of 1.8 and 2.x.

use std::io::Read;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;

use super::{Credentials, Face, error, form, later, now_ns, refused};
use crate::change::{Change, Lines, MAX_REASONS, NotTaken, Sifted};
use crate::line::Precision;

/// InfluxDB's own limit of a body.
pub(super) const MAX_BODY_BYTES: usize = 25_000_000;

/// What a packed body may become: no more than one that is not packed, because each line takes ten times its length while
/// it is judged.
const MAX_UNPACKED_BYTES: u64 = MAX_BODY_BYTES as u64;

/// What goes into the journal at once: a quarter of its largest record.
const CHANGE_BYTES: usize = 1 << 20;

pub(super) async fn version_1(State(face): State<Face>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let parameters = form::decode(uri.query().unwrap_or(""));
    let parameter = |name: &str| parameters.get(name).cloned().unwrap_or_default();
    let (database, policy) = (parameter("db"), parameter("rp"));
    if database.is_empty() {
        return error(StatusCode::BAD_REQUEST, "database is required");
    }
    let precision = parameter("precision");
    let Some(precision) = Precision::from_parameter(&precision) else {
        let text = format!("invalid precision \"{precision}\" (use n, u, ms, s, m or h)");
        return error(StatusCode::BAD_REQUEST, &text);
    };
    let target = Target { database, policy, precision };
    handle(face, target, Credentials::read(&headers, &parameters), headers, body).await
}

/// A bucket is a database, or `database/policy`.
pub(super) async fn version_2(State(face): State<Face>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let parameters = form::decode(uri.query().unwrap_or(""));
    let parameter = |name: &str| parameters.get(name).cloned().unwrap_or_default();
    let bucket = parameter("bucket");
    let (database, policy) = bucket.split_once('/').unwrap_or((&bucket, ""));
    if database.is_empty() {
        return error(StatusCode::NOT_FOUND, &format!("bucket \"{bucket}\" not found"));
    }
    let precision = parameter("precision");
    let Some(precision) = Precision::from_parameter(&precision) else {
        let text = format!("invalid precision \"{precision}\" (use ns, us, ms or s)");
        return error(StatusCode::BAD_REQUEST, &text);
    };
    let target = Target { database: database.to_owned(), policy: policy.to_owned(), precision };
    handle(face, target, Credentials::read(&headers, &parameters), headers, body).await
}

struct Target {
    database: String,
    policy: String,
    precision: Precision,
}

async fn handle(face: Face, target: Target, credentials: Credentials, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(permit) = face.write_permits.clone().try_acquire_owned() else {
        return later("request throttled, queue full");
    };
    let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes() == b"gzip");
    let written = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        write(&face, target, &credentials, packed, body)
    });
    written.await.unwrap_or_else(|_| error(StatusCode::INTERNAL_SERVER_ERROR, "the write failed"))
}

fn write(face: &Face, target: Target, credentials: &Credentials, packed: bool, body: Bytes) -> Response {
    if let Err(denied) = face.authorizer.may_write(credentials, &target.database) {
        let database = &target.database;
        return refused(denied, &format!("not authorized to write to \"{database}\""));
    }
    if let Err(why) = face.store.require_open(&target.database) {
        return error(StatusCode::FORBIDDEN, &why);
    }
    let text = match unpacked(packed, body) {
        Ok(text) => text,
        Err((status, why)) => return error(status, &why),
    };
    let Target { database, policy, precision } = target;
    let lines = Lines { database, policy, precision, now_ns: now_ns(), text };
    if face.store.keeps(lines.place()).is_none() {
        return no_place(face, &lines);
    }
    let mut outcome = Outcome::default();
    for text in pieces(&lines.text) {
        let mut sifted = face.store.sift(Lines { text, ..lines.clone() });
        if let Some(lines) = sifted.lines.take() {
            match face.writer.commit(Change::Lines(lines)) {
                Ok(()) => {}
                Err(NotTaken::Later(text)) => return later(&text),
                Err(NotTaken::Never(text)) => return error(StatusCode::INTERNAL_SERVER_ERROR, &text),
            }
        }
        outcome.add(sifted);
    }
    outcome.response()
}

fn unpacked(packed: bool, body: Bytes) -> Result<Bytes, (StatusCode, String)> {
    if !packed {
        return Ok(body);
    }
    let mut text = Vec::new();
    let mut bounded = MultiGzDecoder::new(&*body).take(MAX_UNPACKED_BYTES + 1);
    match bounded.read_to_end(&mut text) {
        Ok(_) if text.len() as u64 > MAX_UNPACKED_BYTES => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large".to_owned()))
        }
        Ok(_) => Ok(text.into()),
        Err(why) => Err((StatusCode::BAD_REQUEST, format!("the body is not gzip: {why}"))),
    }
}

fn no_place(face: &Face, lines: &Lines) -> Response {
    if face.store.keeps(lines.database.as_str().into()).is_none() {
        return error(StatusCode::NOT_FOUND, &format!("database not found: \"{}\"", lines.database));
    }
    error(StatusCode::INTERNAL_SERVER_ERROR, &format!("retention policy not found: {}", lines.policy))
}

/// Cut between lines, as the reader of lines finds them: a newline inside a quoted text is no end of one.
fn pieces(text: &Bytes) -> Vec<Bytes> {
    if text.len() <= CHANGE_BYTES {
        return vec![text.clone()];
    }
    let (mut pieces, mut from, mut last) = (Vec::new(), 0, 0);
    for place in crate::line::places(text) {
        if place.end - from > CHANGE_BYTES && last > from {
            pieces.push(text.slice(from..last));
            from = last;
        }
        last = place.end;
    }
    pieces.push(text.slice(from..last));
    pieces
}

/// What became of all pieces.
#[derive(Default)]
struct Outcome {
    points: usize,
    dropped: usize,
    old: usize,
    unreadable: Vec<String>,
    unreadable_lines: usize,
    conflict: Option<String>,
}

impl Outcome {
    fn add(&mut self, sifted: Sifted) {
        self.points += sifted.points;
        self.dropped += sifted.old + sifted.conflicts.len();
        self.old += sifted.old;
        self.unreadable_lines += sifted.unreadable_lines;
        let room = MAX_REASONS.saturating_sub(self.unreadable.len());
        self.unreadable.extend(sifted.unreadable.into_iter().take(room));
        self.conflict = self.conflict.take().or(sifted.conflicts.into_iter().next());
    }

    /// InfluxDB stores what is good and says what was not.
    fn response(self) -> Response {
        let dropped = self.dropped;
        if !self.unreadable.is_empty() {
            let mut reasons = self.unreadable.join("\n");
            let more = self.unreadable_lines - self.unreadable.len();
            if more > 0 {
                reasons.push_str(&format!("\n... and {more} more"));
            }
            let text = match self.points {
                0 => reasons,
                _ => format!("partial write: {reasons} dropped={dropped}"),
            };
            return error(StatusCode::BAD_REQUEST, &text);
        }
        if let Some(conflict) = self.conflict {
            return error(StatusCode::BAD_REQUEST, &format!("partial write: {conflict} dropped={dropped}"));
        }
        if self.old > 0 {
            let text = format!("partial write: points beyond retention policy dropped={}", self.old);
            return error(StatusCode::BAD_REQUEST, &text);
        }
        StatusCode::NO_CONTENT.into_response()
    }
}
