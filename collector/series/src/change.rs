//! What others change, as the owner's journal keeps it: written lines, and statements that alter or delete.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::line::{Batch, LineError, Precision};
use crate::query::change;
use crate::store::{Applied, Place, Row, Store, StoreError, Written};

/// A change by somebody else. The owner makes it durable as [`encode`](Self::encode)d bytes, then
/// [`applies`](Store::apply_change) it; the same bytes applied again change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Lines that were read once and found good.
    Lines(Lines),
    /// A statement such as `DELETE` or `CREATE RETENTION POLICY`.
    Statement(Statement),
}

/// Written lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Where they go.
    pub database: String,
    /// The retention policy; empty for the default one.
    pub policy: String,
    /// The unit of their times.
    pub precision: Precision,
    /// The time of lines without one, in nanoseconds.
    pub now_ns: i64,
    /// The lines.
    pub text: Bytes,
}

/// A statement that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The database for what names none.
    pub database: String,
    /// InfluxQL, with bound parameters put in.
    pub text: String,
    /// What `now()` is.
    pub now_ns: i64,
}

/// Bytes that are no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a change of a series store, or one of a newer program")]
pub struct NotAChange;

/// Reasons that are kept of one write: a body may hold millions of bad lines.
pub(crate) const MAX_REASONS: usize = 20;

const LINES: u8 = 1;
const STATEMENT: u8 = 2;
const PRECISIONS: [Precision; 6] = [
    Precision::Nanoseconds,
    Precision::Microseconds,
    Precision::Milliseconds,
    Precision::Seconds,
    Precision::Minutes,
    Precision::Hours,
];

impl Change {
    /// The bytes for a journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Lines(lines) => {
                let precision = PRECISIONS.iter().position(|known| *known == lines.precision).unwrap_or(0);
                let mut out = Vec::with_capacity(lines.text.len() + 64);
                out.extend([LINES, precision as u8]);
                out.extend(lines.now_ns.to_le_bytes());
                put_text(&mut out, lines.database.as_bytes());
                put_text(&mut out, lines.policy.as_bytes());
                out.extend(&lines.text);
                out
            }
            Self::Statement(statement) => {
                let mut out = vec![STATEMENT, 0];
                out.extend(statement.now_ns.to_le_bytes());
                put_text(&mut out, statement.database.as_bytes());
                out.extend(statement.text.as_bytes());
                out
            }
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When these are other bytes.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, NotAChange> {
        let mut rest = bytes.into();
        let [kind, detail, time @ ..] = *rest.first_chunk::<10>().ok_or(NotAChange)?;
        let now_ns = i64::from_le_bytes(time);
        rest.advance(10);
        let database = take_text(&mut rest)?;
        Ok(match kind {
            LINES => {
                let precision = *PRECISIONS.get(usize::from(detail)).ok_or(NotAChange)?;
                let policy = take_text(&mut rest)?;
                Self::Lines(Lines { database, policy, precision, now_ns, text: rest })
            }
            STATEMENT => {
                let text = String::from_utf8(rest.to_vec()).map_err(|_| NotAChange)?;
                Self::Statement(Statement { database, text, now_ns })
            }
            _ => return Err(NotAChange),
        })
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text);
}

fn take_text(rest: &mut Bytes) -> Result<String, NotAChange> {
    let length = u32::from_le_bytes(*rest.first_chunk::<4>().ok_or(NotAChange)?) as usize;
    rest.advance(4);
    if length > rest.len() {
        return Err(NotAChange);
    }
    String::from_utf8(rest.split_to(length).to_vec()).map_err(|_| NotAChange)
}

/// Makes changes durable: the owner of the journal.
pub trait Writer: Send + Sync + 'static {
    /// Returns when the change is durable and visible to queries. May block.
    ///
    /// # Errors
    /// When it is not taken; it may be tried again.
    fn commit(&self, change: Change) -> Result<(), NotTaken>;
}

/// Why a change is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// There is too much to do just now, or no room on the disk: to be tried again.
    #[error("{0}")]
    Later(String),
    /// Never.
    #[error("{0}")]
    Never(String),
}

impl Lines {
    /// Where they go.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        let policy = Some(self.policy.as_str()).filter(|policy| !policy.is_empty());
        Place { database: &self.database, policy }
    }
}

impl Store {
    /// Applies a change. `position` is where the journal goes on after it, as in [`apply`](Store::apply).
    ///
    /// # Errors
    /// When the disk does not take it: nothing was applied, and the same call may be made again.
    pub fn apply_change(&self, position: u64, change: &Change) -> Result<Applied, StoreError> {
        match change {
            Change::Lines(lines) => match self.waiting.find(lines) {
                Some(written) => self.apply_written(position, &written),
                None => {
                    let batch = Batch::read(&lines.text, lines.precision, lines.now_ns);
                    self.apply_batch(position, lines.place(), &batch)
                }
            },
            Change::Statement(statement) => {
                change::apply(self, position, statement)?;
                Ok(Applied::default())
            }
        }
    }

    /// Whether others may change this database.
    #[must_use]
    pub fn is_open(&self, database: &str) -> bool {
        self.options.closed.iter().all(|closed| closed != database)
    }

    pub(crate) fn require_open(&self, database: &str) -> Result<(), String> {
        if self.is_open(database) {
            return Ok(());
        }
        Err(format!("the database {database} is written by its owner alone"))
    }

    /// How old a point of this place may be, in nanoseconds; `None` if there is no such place, 0 for any age.
    #[must_use]
    pub fn keeps(&self, place: Place<'_>) -> Option<i64> {
        self.memory().catalog.policy(place).map(|policy| policy.duration)
    }

    /// Says which of these lines may be written: those that can be read, are young enough, and fit what is stored.
    #[must_use]
    pub fn sift(&self, lines: Lines) -> Sifted {
        let keeps = self.keeps(lines.place()).unwrap_or(0);
        let oldest = if keeps == 0 { i64::MIN } else { lines.now_ns.saturating_sub(keeps) };
        let written = Written::read(self, lines.clone());
        // Rows of known streams with known fields, nearly all, are judged no further.
        let rest = Batch::of(&lines.text, written.unknown(), lines.precision, lines.now_ns, MAX_REASONS);
        let refused = self.refused(&lines, &rest, oldest);
        let is_old = |row: &Row| row.known.is_some_and(|known| known.time < oldest);
        let sifted = if refused.is_empty() && rest.unreadable == 0 && !written.rows.iter().any(is_old) {
            let (points, written) = (written.rows.len(), Arc::new(written));
            self.waiting.add(&written);
            Sifted { points, lines: (points > 0).then_some(lines), written: Some(written), ..Sifted::default() }
        } else {
            without(refused, &lines, &written, &rest, is_old)
        };
        let refused = sifted.unreadable_lines + sifted.conflicts.len();
        self.count_refused(refused as u64, sifted.old as u64);
        sifted
    }

    /// The rows that are not taken.
    fn refused(&self, lines: &Lines, batch: &Batch<'_>, oldest: i64) -> HashMap<usize, Refusal> {
        let mut refused = HashMap::new();
        let (mut points, mut places) = (Vec::new(), Vec::new());
        for row in &batch.rows {
            match batch.point(row) {
                Err(reason) => drop(refused.insert(row.place.start, Refusal::Unreadable(reason))),
                Ok(_) if row.time < oldest => drop(refused.insert(row.place.start, Refusal::Old)),
                Ok(point) => {
                    points.push(point);
                    places.push(row.place.start);
                }
            }
        }
        if let Err(conflicts) = self.check(lines.place(), &points) {
            for conflict in conflicts {
                let why = || Refusal::Conflict(conflict.to_string());
                refused.entry(places[conflict.point]).or_insert_with(why);
            }
        }
        refused
    }
}

/// The lines without those that are refused, by where they begin, or cannot be read.
fn without(
    mut refused: HashMap<usize, Refusal>,
    lines: &Lines,
    written: &Written,
    rest: &Batch<'_>,
    is_old: impl Fn(&Row) -> bool,
) -> Sifted {
    let mut sifted = Sifted { unreadable_lines: rest.unreadable, ..Sifted::default() };
    let mut reasons = rest.reasons.clone();
    let mut kept = Vec::new();
    let mut readable = rest.rows.iter().map(|row| row.place.start).peekable();
    for row in &written.rows {
        let from = row.place.start;
        if row.known.is_none() && readable.next_if_eq(&from).is_none() {
            continue;
        }
        let refusal = if is_old(row) { Some(Refusal::Old) } else { refused.remove(&from) };
        match refusal {
            None => {
                sifted.points += 1;
                kept.extend_from_slice(&lines.text[row.place.clone()]);
                kept.push(b'\n');
            }
            Some(Refusal::Old) => sifted.old += 1,
            Some(Refusal::Conflict(why)) => sifted.conflicts.push(why),
            Some(Refusal::Unreadable(reason)) => {
                sifted.unreadable_lines += 1;
                reasons.push((from, LineError::of(&lines.text[row.place.clone()], reason)));
            }
        }
    }
    reasons.sort_by_key(|(place, _)| *place);
    sifted.unreadable = reasons.iter().take(MAX_REASONS).map(|(_, reason)| reason.to_string()).collect();
    sifted.lines = (sifted.points > 0).then_some(Lines { text: kept.into(), ..lines.clone() });
    sifted
}

/// Why a row is not taken.
enum Refusal {
    Old,
    Conflict(String),
    Unreadable(&'static str),
}

/// What became of written lines at the door.
#[derive(Clone, Debug, Default)]
pub struct Sifted {
    /// What is to be made durable; none if no line was good.
    pub lines: Option<Lines>,
    /// How many points these are.
    pub points: usize,
    /// Lines that could not be read, with the reason; the first twenty.
    pub unreadable: Vec<String>,
    /// How many there were.
    pub unreadable_lines: usize,
    /// Lines older than the policy keeps.
    pub old: usize,
    /// Lines that do not fit what is stored, each with the reason.
    pub conflicts: Vec<String>,
    /// What was read, for as long as this is held: the lines need not be read again if they are applied meanwhile.
    #[expect(dead_code, reason = "it is held, so that whoever applies the lines finds it")]
    written: Option<Arc<Written>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_comes_back_from_its_bytes() {
        let lines = Lines {
            database: "db0".into(),
            policy: "rp".into(),
            precision: Precision::Minutes,
            now_ns: -5,
            text: b"m v=1".to_vec().into(),
        };
        let statement = Statement { database: "db0".into(), text: "DROP DATABASE µ".into(), now_ns: 7 };
        for change in [Change::Lines(lines), Change::Statement(statement)] {
            assert_eq!(Change::decode(change.encode()), Ok(change));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Change::decode(bytes);
        }
    }
}
