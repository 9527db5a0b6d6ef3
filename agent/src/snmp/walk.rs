//! Decides how all that a device has below a name is asked for: which question next, what to make of the answer, when
//! it is over. It has no socket and no clock, and holds out against whatever a device says.
//!
//! Order of calls: [`Walk::poll_request`] says what to ask; then exactly one of [`Walk::handle_answer`] and
//! [`Walk::handle_trouble`]; at any time [`Walk::handle_end`]; when there is nothing more to ask, [`Walk::finish`].
//!
//! Devices are asked for as many rows at once as they bear: more after each full answer, half when an answer would be
//! too big or makes no sense, and one after the other when a device has no GETBULK or does it wrong. A device that goes
//! in circles, goes on for ever or falls silent is cut; what it said before is kept, and the reason is said.

use std::fmt;

use super::answers::{Answers, Full};
use super::ask::{Binding, Held, Request, Trouble};
use super::{Oid, Value};

pub mod drive;
#[cfg(test)]
mod tests;

/// Rows in the first question.
const REPETITIONS_FIRST: u32 = 25;
/// Rows in one question at most: their answer is about 2 KB, two packets. More makes slow processors stumble.
pub const REPETITIONS_MAX: u32 = 50;
/// Questions of one walk at most: each value may need its own where there is no GETBULK.
pub const REQUESTS_MAX: u32 = 250_000;
/// Silences in a row, each after all retries, after which a device counts as gone.
const SILENCES_MAX: u32 = 2;
/// The same of a device that has answered in this walk: where a fifth of the packets is lost in each direction, two
/// questions in a row are lost once in 500 times.
const SILENCES_KNOWN_MAX: u32 = 3;
/// GETBULKs that fell silent while what was asked one after the other was answered: then the device has none.
const BULK_SILENCES_MAX: u32 = 3;

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    root: Oid,
    /// The last name that was given: the next question is for what comes after it.
    last: Oid,
    how: How,
    /// The most rows that may be asked for at once; it falls when that was too much.
    ceiling: u32,
    /// Whether GETBULK may be tried again after a silence.
    bulk: bool,
    bulk_silences: u32,
    silences: u32,
    requests: u32,
    requests_max: u32,
    odd: u64,
    answers: Answers,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Bulk(u32),
    Next,
    /// The name itself, when there was nothing below it.
    Itself,
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The device said everything.
    Complete,
    /// The device gave a name that does not come after the one before: it goes in circles.
    Circle {
        /// After this name.
        after: Box<Oid>,
        /// It gave this.
        gave: Box<Oid>,
    },
    /// The device gave answers without anything in them.
    Empty,
    /// The device has more than is kept of one.
    TooMuch,
    /// Too many questions were needed.
    TooLong,
    /// The device took too long in all.
    TooSlow,
    /// The device fell silent, or said that it can't.
    Trouble(Trouble),
}

/// What came of a walk.
#[derive(Debug)]
pub struct Walked {
    /// What the device said.
    pub answers: Answers,
    /// How it ended.
    pub end: End,
    /// Names without a usable value.
    pub odd: u64,
    /// Questions that were asked.
    pub requests: u32,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("the device said everything"),
            Self::Circle { after, gave } => {
                write!(f, "the device goes in circles: after {after} it gave {gave}; the rest of it can't be read")
            }
            Self::Empty => f.write_str("the device gave empty answers"),
            Self::TooMuch => write!(f, "{Full}; the rest was left"),
            Self::TooLong => f.write_str("the device needs too many questions; the rest was left"),
            Self::TooSlow => f.write_str("the device is too slow; the rest was left so as not to burden it"),
            Self::Trouble(trouble) => write!(f, "{trouble}"),
        }
    }
}

impl Walk {
    /// Everything below `root`; with GETBULK unless the version has none.
    #[must_use]
    pub fn new(root: Oid, bulk: bool) -> Self {
        Self {
            last: root.clone(),
            root,
            how: if bulk { How::Bulk(REPETITIONS_FIRST) } else { How::Next },
            ceiling: REPETITIONS_MAX,
            bulk,
            bulk_silences: 0,
            silences: 0,
            requests: 0,
            requests_max: REQUESTS_MAX,
            odd: 0,
            answers: Answers::default(),
            end: None,
        }
    }

    /// What to ask next; nothing when it is over.
    #[must_use]
    pub fn poll_request(&self) -> Option<Request> {
        if self.end.is_some() {
            return None;
        }
        Some(match self.how {
            How::Bulk(repetitions) => Request::GetBulk { after: vec![self.last.clone()], repetitions },
            How::Next => Request::GetNext(vec![self.last.clone()]),
            How::Itself => Request::Get(vec![self.root.clone()]),
        })
    }

    /// The device answered; `slow` if it should be asked for less at once.
    pub fn handle_answer(&mut self, bindings: Vec<Binding>, slow: bool) {
        self.count();
        if self.end.is_some() {
            return;
        }
        self.silences = 0;
        let rows = u32::try_from(bindings.len()).unwrap_or(u32::MAX);
        if rows == 0 {
            return self.stumble(End::Empty);
        }
        if self.how == How::Itself {
            return self.take_itself(bindings);
        }
        for binding in bindings {
            if !self.take(binding) {
                return;
            }
        }
        self.adapt(rows, slow);
    }

    /// The device did not answer, or said that it can't.
    pub fn handle_trouble(&mut self, trouble: Trouble) {
        self.count();
        if self.end.is_some() {
            return;
        }
        match (trouble, self.how) {
            (Trouble::NoSuchName, How::Next) => self.complete(),
            (Trouble::NoAnswer, _) => self.handle_silence(),
            (_, How::Itself) => self.end = Some(End::Complete),
            (Trouble::TooBig | Trouble::DeviceFailed | Trouble::Garbled, How::Bulk(repetitions)) if repetitions > 1 => {
                self.ceiling = repetitions / 2;
                self.how = How::Bulk(self.ceiling);
            }
            (trouble, _) if trouble.is_for_good() => self.end = Some(End::Trouble(trouble)),
            (trouble, _) => self.stumble(End::Trouble(trouble)),
        }
    }

    /// The device's turn is over before it said everything.
    pub fn handle_end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// What came of it.
    #[must_use]
    pub fn finish(self) -> Walked {
        let end = self.end.unwrap_or(End::TooSlow);
        Walked { answers: self.answers, end, odd: self.odd, requests: self.requests }
    }

    fn count(&mut self) {
        self.requests += 1;
        if self.requests >= self.requests_max {
            self.handle_end(End::TooLong);
        }
    }

    /// Takes one name with its value; false if what follows it in the answer is of no use.
    fn take(&mut self, Binding { name, held }: Binding) -> bool {
        if held == Held::EndOfView {
            self.complete();
        } else if name <= self.last {
            let after = Box::new(self.last.clone());
            self.stumble(End::Circle { after, gave: Box::new(name) });
        } else if !name.starts_with(&self.root) {
            self.complete();
        } else {
            self.last = name.clone();
            match held {
                Held::Value(value) => self.keep(name, value),
                _ => self.odd += 1,
            }
            return self.end.is_none();
        }
        false
    }

    fn keep(&mut self, name: Oid, value: Value) {
        if self.answers.insert(name, value).is_err() {
            self.end = Some(End::TooMuch);
        }
    }

    /// There is nothing more below the root; if there was nothing at all, the root may be a value itself.
    fn complete(&mut self) {
        if self.last == self.root && self.how != How::Itself {
            self.how = How::Itself;
        } else {
            self.end = Some(End::Complete);
        }
    }

    fn take_itself(&mut self, bindings: Vec<Binding>) {
        let root = self.root.clone();
        if let Some(Held::Value(value)) = bindings.into_iter().find(|binding| binding.name == root).map(|it| it.held) {
            self.keep(root, value);
        }
        self.end.get_or_insert(End::Complete);
    }

    /// What went wrong with GETBULK may go right one after the other; what went wrong even then is the end.
    fn stumble(&mut self, end: End) {
        if matches!(self.how, How::Bulk(_)) {
            self.bulk = false;
            self.how = How::Next;
        } else {
            self.end = Some(end);
        }
    }

    /// A large answer may be lost where a small one is not: firewalls drop the pieces of one that does not fit a packet.
    fn handle_silence(&mut self) {
        self.silences += 1;
        let most = if self.answers.is_empty() { SILENCES_MAX } else { SILENCES_KNOWN_MAX };
        if self.silences >= most {
            self.end = Some(End::Trouble(Trouble::NoAnswer));
        } else if let How::Bulk(repetitions) = self.how {
            self.bulk_silences += 1;
            self.bulk = self.bulk_silences < BULK_SILENCES_MAX;
            self.ceiling = (repetitions / 4).max(1);
            self.how = How::Next;
        }
    }

    /// How much is asked for next, after an answer of `rows`.
    fn adapt(&mut self, rows: u32, slow: bool) {
        self.how = match self.how {
            How::Bulk(repetitions) if slow => How::Bulk((repetitions / 2).max(1)),
            // The device shortened its answer to what fits: so much is asked for, and a little more the next time.
            How::Bulk(repetitions) if rows < repetitions => How::Bulk(rows),
            How::Bulk(repetitions) => How::Bulk((repetitions + repetitions / 2 + 1).min(self.ceiling)),
            How::Next if self.bulk => How::Bulk(self.ceiling),
            how => how,
        };
    }
}

impl Trouble {
    /// Whether asking in another way is no use: it is about who asks.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        matches!(
            self,
            Self::UnknownUser
                | Self::WrongDigest
                | Self::CantDecrypt
                | Self::UnsupportedLevel
                | Self::NotInTimeWindow
                | Self::UnknownEngine
                | Self::Unsigned
                | Self::NotSent(_)
                | Self::NoAccess
        )
    }
}
