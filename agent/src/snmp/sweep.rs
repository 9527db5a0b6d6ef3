//! Decides how many columns of one device are asked for in few questions. It has no socket and no clock, and holds out
//! against whatever a device says; what a device does not do right is left to `walk`, one column after the other.
//!
//! Order of calls: [`Sweep::poll_request`] says what to ask; then exactly one of [`Sweep::handle_answer`] and
//! [`Sweep::handle_trouble`]; at any time [`Sweep::handle_end`]; when there is nothing more to ask, [`Sweep::finish`].
//!
//! What a device has hardly changes from one minute to the next. So the rows of each column are remembered: columns of
//! about the same length share a question for all their rows and one more, which tells that a row was added. Columns that
//! it has not are not asked for again until the memory is made anew, and neither is what comes after a lone value.

use super::answers::Answers;
use super::ask::{Binding, Held, Request, Trouble};
use super::walk::{End, Walk};
use super::{Oid, Value};

pub mod drive;
#[cfg(test)]
mod tests;

/// Names in one question at most: the client has no more in a packet, either.
const NAMES_MAX: u8 = 24;
/// Values of one answer at most. A counter takes 25 bytes with its name, so that they fit one packet; a device shortens
/// what does not.
const BINDINGS_MAX: u8 = 60;
/// Values that nobody wants are taken into the bargain if that saves a question.
const BESIDE_MAX: usize = 12;
/// A slow device is asked for no less.
const BINDINGS_MIN: u8 = 4;
/// Rows of a column of which only the first is known.
const ROWS_FIRST: u32 = 4;
/// Rows of one column in one question, as in a walk.
const REPETITIONS_MAX: u32 = super::walk::REPETITIONS_MAX;
/// Questions of one sweep at most.
const REQUESTS_MAX: u32 = super::walk::REQUESTS_MAX;
/// Silences in a row, each after all retries, after which a device counts as gone.
const SILENCES_MAX: u32 = 2;
/// GETBULKs that fell silent while smaller questions were answered: then the device has none.
const BULK_SILENCES_MAX: u8 = 3;

/// What is remembered of a device from one sweep of the same columns to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    columns: Box<[Known]>,
    names: u8,
    bindings: u8,
    bulk_silences: u8,
}

/// What is known of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing.
    Unknown,
    /// The device has nothing of it.
    Missing,
    /// It is a value itself.
    Itself,
    /// It has one value, of index 0.
    Scalar,
    /// It has so many rows.
    Rows(u16),
}

/// A sweep under way.
#[derive(Debug)]
pub struct Sweep<'a> {
    columns: &'a [Oid],
    memory: &'a mut Memory,
    bulk: bool,
    parts: Vec<Part>,
    /// What the question under way is for.
    asked: Asked,
    /// The column that is walked by itself.
    alone: Option<(usize, Walk)>,
    answers: Answers,
    silences: u32,
    requests: u32,
    odd: u64,
    cut: usize,
    answered: bool,
    stumbled: bool,
    slowed: bool,
    end: Option<End>,
}

/// A column of a sweep.
#[derive(Debug)]
struct Part {
    /// The last name that was given.
    last: Oid,
    rows: u32,
    /// Rows to ask for next.
    need: u32,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Rows,
    Itself,
    Alone,
    Done,
}

#[derive(Debug, Default)]
struct Asked {
    parts: Vec<usize>,
    repetitions: u32,
    itself: bool,
}

/// What came of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// What the device said.
    pub answers: Answers,
    /// How it ended.
    pub end: End,
    /// Columns that were not read to their end.
    pub cut: usize,
    /// Names without a usable value.
    pub odd: u64,
    /// Questions that were asked.
    pub requests: u32,
    /// Whether the device answered anything, be it that it can't.
    pub answered: bool,
}

impl Memory {
    /// Of a device of which nothing is known, for so many columns.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self {
            columns: vec![Known::Unknown; columns].into(),
            names: NAMES_MAX,
            bindings: BINDINGS_MAX,
            bulk_silences: 0,
        }
    }
}

impl<'a> Sweep<'a> {
    /// All columns; with GETBULK unless the version has none. `memory` is of a sweep of the same columns, or new.
    #[must_use]
    pub fn new(columns: &'a [Oid], memory: &'a mut Memory, bulk: bool) -> Self {
        if memory.columns.len() != columns.len() {
            *memory = Memory::new(columns.len());
        }
        let part = |(root, known): (&Oid, &Known)| Part {
            last: root.clone(),
            rows: 0,
            need: if let Known::Rows(rows) = known { u32::from(*rows) + 1 } else { 1 },
            how: match known {
                Known::Unknown | Known::Scalar | Known::Rows(_) => How::Rows,
                Known::Itself => How::Itself,
                Known::Missing => How::Done,
            },
        };
        Self {
            parts: columns.iter().zip(&memory.columns).map(part).collect(),
            columns,
            memory,
            bulk,
            asked: Asked::default(),
            alone: None,
            answers: Answers::default(),
            silences: 0,
            requests: 0,
            odd: 0,
            cut: 0,
            answered: false,
            stumbled: false,
            slowed: false,
            end: None,
        }
    }

    /// What to ask next; nothing when it is over.
    pub fn poll_request(&mut self) -> Option<Request> {
        while self.end.is_none() {
            if let Some((at, walk)) = self.alone.take() {
                if let Some(request) = walk.poll_request() {
                    self.alone = Some((at, walk));
                    return Some(request);
                }
                self.take_walk(at, walk);
            } else if let Some(request) = self.group() {
                return Some(request);
            } else if let Some(at) = self.parts.iter().position(|part| part.how == How::Alone) {
                self.alone = Some((at, Walk::new(self.columns[at].clone(), self.has_bulk())));
            } else {
                self.end = Some(End::Complete);
            }
        }
        None
    }

    /// The device answered; `slow` if it should be asked for less at once.
    pub fn handle_answer(&mut self, bindings: Vec<Binding>, slow: bool) {
        self.count();
        self.answered = true;
        if let Some((_, walk)) = &mut self.alone {
            return walk.handle_answer(bindings, slow);
        }
        // Once in a sweep: one slow moment is felt by several answers.
        if slow && !std::mem::replace(&mut self.slowed, true) {
            self.memory.bindings = (self.memory.bindings / 2).max(BINDINGS_MIN);
        }
        self.silences = 0;
        let asked = std::mem::take(&mut self.asked);
        if asked.itself {
            self.take_themselves(&asked, bindings);
        } else if bindings.is_empty() {
            self.leave_alone(&asked);
        } else {
            self.take_rows(&asked, bindings);
        }
    }

    /// The device did not answer, or said that it can't.
    pub fn handle_trouble(&mut self, trouble: Trouble) {
        self.count();
        self.answered |= !matches!(trouble, Trouble::NoAnswer | Trouble::NotSent(_));
        if let Some((_, walk)) = &mut self.alone {
            return walk.handle_trouble(trouble);
        }
        let asked = std::mem::take(&mut self.asked);
        match trouble {
            Trouble::NoAnswer => self.handle_silence(&asked),
            trouble if trouble.is_for_good() => self.end = Some(End::Trouble(trouble)),
            // Version 1 does not say for which of several.
            Trouble::NoSuchName => self.leave_alone(&asked),
            _ => self.shrink(&asked),
        }
    }

    /// The device's turn is over before it said everything.
    pub fn handle_end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> Swept {
        let end = self.end.unwrap_or(End::TooSlow);
        if let Some((at, walk)) = self.alone {
            // What it said until it was cut is kept.
            for (name, value) in walk.finish().answers.iter() {
                let _ = self.answers.insert(name.clone(), value.clone());
            }
            self.parts[at].how = How::Alone;
        }
        let open = self.parts.iter().filter(|part| part.how != How::Done).count();
        let memory = &mut *self.memory;
        if !self.stumbled {
            memory.names = (memory.names + memory.names / 4 + 1).min(NAMES_MAX);
        }
        if !self.stumbled && !self.slowed {
            memory.bindings = memory.bindings.saturating_mul(2).min(BINDINGS_MAX);
        }
        Swept {
            answers: self.answers,
            end,
            cut: self.cut + open,
            odd: self.odd,
            requests: self.requests,
            answered: self.answered,
        }
    }

    const fn has_bulk(&self) -> bool {
        self.bulk && self.memory.bulk_silences < BULK_SILENCES_MAX
    }

    fn count(&mut self) {
        self.requests += 1;
        if self.requests >= REQUESTS_MAX {
            self.handle_end(End::TooLong);
        }
    }

    /// The next question for several columns: those that need the most rows, with others that need about as many.
    fn group(&mut self) -> Option<Request> {
        let open = |how| move |(_, part): &(usize, &Part)| part.how == how;
        let parts = || self.parts.iter().enumerate();
        let names = usize::from(self.memory.names);
        if let Some(most) = parts().filter(open(How::Rows)).map(|(_, part)| part.need).max() {
            let bindings = u32::from(self.memory.bindings);
            // After a silence the smallest question of all: what is lost with a large answer is not lost with it.
            let careful = self.silences > 0;
            let most = if careful || !self.has_bulk() { 1 } else { most.min(bindings).clamp(1, REPETITIONS_MAX) };
            let fit = if careful { 1 } else { names.min((bindings / most).max(1) as usize) };
            let alike = parts().filter(open(How::Rows)).filter(|(_, part)| part.need * 2 >= most);
            let mut chosen: Vec<usize> = alike.map(|(at, _)| at).take(fit).collect();
            self.add_lone(&mut chosen, most, fit);
            let need = chosen.iter().map(|at| self.parts[*at].need).max().unwrap_or(1);
            let repetitions = need.min(most);
            let after: Vec<Oid> = chosen.iter().map(|at| self.parts[*at].last.clone()).collect();
            self.asked = Asked { parts: chosen, repetitions, itself: false };
            return Some(match repetitions {
                1 => Request::GetNext(after),
                repetitions => Request::GetBulk { after, repetitions },
            });
        }
        let chosen: Vec<usize> = parts().filter(open(How::Itself)).map(|(at, _)| at).take(names).collect();
        let roots: Vec<Oid> = chosen.iter().map(|at| self.columns[*at].clone()).collect();
        self.asked = Asked { parts: chosen, repetitions: 1, itself: true };
        (!roots.is_empty()).then_some(Request::Get(roots))
    }

    /// The last question for rows asks for the few lone values, too: what it brings beside them costs the device less than
    /// another question.
    fn add_lone(&self, chosen: &mut Vec<usize>, most: u32, fit: usize) {
        let open = self.parts.iter().enumerate().filter(|(_, part)| part.how == How::Rows);
        let rest: Vec<usize> = open.map(|(at, _)| at).filter(|at| !chosen.contains(at)).collect();
        let are_lone = rest.iter().all(|at| self.memory.columns[*at] == Known::Scalar);
        if most > 1 && are_lone && chosen.len() + rest.len() <= fit && rest.len() * (most as usize - 1) <= BESIDE_MAX {
            chosen.extend(rest);
        }
    }

    fn take_rows(&mut self, asked: &Asked, bindings: Vec<Binding>) {
        if asked.repetitions > 1 {
            self.memory.bulk_silences = 0;
        }
        let number = bindings.len();
        let wanted = asked.parts.len() * asked.repetitions as usize;
        let mut over = vec![false; asked.parts.len()];
        for (binding, place) in bindings.into_iter().take(wanted).zip((0..asked.parts.len()).cycle()) {
            if !over[place] {
                over[place] = !self.take(asked.parts[place], binding);
            }
            if self.end.is_some() {
                return;
            }
        }
        for at in &asked.parts {
            let part = &mut self.parts[*at];
            let left = part.need.saturating_sub(asked.repetitions);
            // Full, and there is more: twice as many again.
            part.need = if left > 0 {
                left
            } else if part.rows > 1 {
                part.rows
            } else {
                ROWS_FIRST
            };
            if part.rows == 1 && part.last.arcs().last() == Some(&0) {
                part.need = 1;
            }
        }
        if number < wanted {
            // So much fits into one answer of this device.
            let fits = u8::try_from(number).unwrap_or(u8::MAX);
            self.memory.bindings = self.memory.bindings.min(fits.max(1));
            self.memory.names = self.memory.names.min(fits.max(1));
            self.stumbled = true;
        }
    }

    /// Takes one name with its value; false if what follows of this column is of no use.
    fn take(&mut self, at: usize, Binding { name, held }: Binding) -> bool {
        let (root, part) = (&self.columns[at], &mut self.parts[at]);
        if held == Held::EndOfView {
            self.complete(at);
        } else if name <= part.last {
            self.leave(at);
        } else if !name.starts_with(root) {
            self.complete(at);
        } else {
            part.last.clone_from(&name);
            part.rows += 1;
            let lone = self.memory.columns[at] == Known::Scalar && is_scalar(root, &name);
            match held {
                Held::Value(value) => self.keep(name, value),
                _ => self.odd += 1,
            }
            if lone {
                self.parts[at].how = How::Done;
            }
            return !lone;
        }
        false
    }

    fn keep(&mut self, name: Oid, value: Value) {
        if self.answers.insert(name, value).is_err() {
            self.end = Some(End::TooMuch);
        }
    }

    /// There is nothing more of a column; if there was nothing at all, it may be a value itself.
    fn complete(&mut self, at: usize) {
        let part = &mut self.parts[at];
        if part.rows == 0 {
            part.how = How::Itself;
            return;
        }
        part.how = How::Done;
        let rows = u16::try_from(part.rows).unwrap_or(u16::MAX);
        let scalar = rows == 1 && is_scalar(&self.columns[at], &part.last);
        self.memory.columns[at] = if scalar { Known::Scalar } else { Known::Rows(rows) };
    }

    fn take_themselves(&mut self, asked: &Asked, bindings: Vec<Binding>) {
        for at in &asked.parts {
            self.parts[*at].how = How::Done;
            self.memory.columns[*at] = Known::Missing;
        }
        for Binding { name, held } in bindings {
            let at = asked.parts.iter().find(|at| self.columns[**at] == name);
            if let (Some(at), Held::Value(value)) = (at, held) {
                self.memory.columns[*at] = Known::Itself;
                self.keep(name, value);
            }
        }
    }

    /// A column goes to a walk of its own, which begins anew.
    fn leave(&mut self, at: usize) {
        self.answers.remove_below(&self.columns[at]);
        self.parts[at].how = How::Alone;
        self.memory.columns[at] = Known::Unknown;
        self.stumbled = true;
    }

    fn leave_alone(&mut self, asked: &Asked) {
        asked.parts.iter().for_each(|at| self.leave(*at));
    }

    /// Less at once, until it is one column that can't be read so.
    fn shrink(&mut self, asked: &Asked) {
        self.stumbled = true;
        let names = asked.parts.len();
        if names == 1 && asked.repetitions == 1 {
            // It was this one: the others may be asked together again.
            (self.memory.names, self.memory.bindings) = (NAMES_MAX, BINDINGS_MAX);
            return self.leave_alone(asked);
        }
        let bindings = names * asked.repetitions as usize / 2;
        self.memory.bindings = u8::try_from(bindings).unwrap_or(BINDINGS_MAX).clamp(1, BINDINGS_MAX);
        if asked.repetitions == 1 || asked.itself {
            self.memory.names = u8::try_from(names / 2).unwrap_or(NAMES_MAX).clamp(1, NAMES_MAX);
        }
    }

    fn handle_silence(&mut self, asked: &Asked) {
        self.silences += 1;
        if self.silences >= SILENCES_MAX {
            self.end = Some(End::Trouble(Trouble::NoAnswer));
            return;
        }
        if asked.repetitions > 1 {
            self.memory.bulk_silences = self.memory.bulk_silences.saturating_add(1);
        }
        self.shrink(asked);
    }

    fn take_walk(&mut self, at: usize, walk: Walk) {
        let walked = walk.finish();
        self.odd += walked.odd;
        for (name, value) in walked.answers.iter() {
            self.keep(name.clone(), value.clone());
        }
        self.parts[at].how = How::Done;
        match walked.end {
            End::Complete => {}
            End::Trouble(trouble) if trouble == Trouble::NoAnswer || trouble.is_for_good() => {
                self.cut += 1;
                self.handle_end(End::Trouble(trouble));
            }
            _ => {
                self.cut += 1;
                // What can't be read now can't be read in a minute.
                if walked.answers.is_empty() {
                    self.memory.columns[at] = Known::Missing;
                }
            }
        }
    }
}

fn is_scalar(root: &Oid, name: &Oid) -> bool {
    name.arcs().len() == root.arcs().len() + 1 && name.arcs().last() == Some(&0)
}
