//! Everything that was ever wrong, and where nobody could see.

use crate::dates::Sec;
use crate::problem::{Cause, Kind, Problem};
use crate::world::World;

/// How long after they could be seen again problems may be told: agents come back, and what they say is judged anew.
const SEEN_AGAIN: Sec = 20 * 60;

/// The observer's book.
#[derive(Clone, Debug)]
pub struct Truth {
    /// In the order in which they began.
    pub problems: Vec<Problem>,
    /// By device: those whose cause is in it and that last.
    lasting: Vec<Vec<usize>>,
    /// By device: all that ever hit it.
    of_thing: Vec<Vec<usize>>,
    /// By building: when it could not be seen.
    blind: Vec<Vec<(Sec, Sec)>>,
}

impl Truth {
    pub(crate) fn new(world: &World) -> Self {
        let none = vec![Vec::new(); world.things.len()];
        let blind = vec![Vec::new(); world.buildings.len()];
        Self { problems: Vec::new(), lasting: none.clone(), of_thing: none, blind }
    }

    pub(crate) fn add(&mut self, problem: Problem) -> usize {
        let index = self.problems.len();
        if let Cause::Device(thing) = problem.cause {
            self.lasting[thing].push(index);
        }
        for thing in &problem.hits {
            self.of_thing[*thing].push(index);
        }
        self.problems.push(problem);
        index
    }

    /// Whether a device has a problem of a kind.
    pub(crate) fn has(&self, thing: usize, kind: Kind) -> bool {
        self.lasting(thing, kind).is_some()
    }

    /// A device's problem of a kind.
    pub(crate) fn lasting(&self, thing: usize, kind: Kind) -> Option<usize> {
        self.lasting[thing].iter().copied().find(|index| self.problems[*index].kind == kind)
    }

    pub(crate) fn forget(&mut self, thing: usize, problem: usize) {
        self.lasting[thing].retain(|index| *index != problem);
    }

    /// All problems that ever hit a device.
    #[must_use]
    pub fn of_thing(&self, thing: usize) -> &[usize] {
        &self.of_thing[thing]
    }

    /// The building of a problem.
    #[must_use]
    pub fn building(&self, world: &World, problem: usize) -> usize {
        match &self.problems[problem].cause {
            Cause::Device(thing) => world.things[*thing].building,
            Cause::Room(building, _) | Cause::Building(building) => *building,
        }
    }

    pub(crate) fn blind(&mut self, building: usize, now: Sec, begins: bool) {
        let spans = &mut self.blind[building];
        if begins {
            spans.push((now, Sec::MAX));
        } else if let Some(last) = spans.iter_mut().rev().find(|span| span.1 == Sec::MAX) {
            last.1 = now;
        }
    }

    /// Nobody wants to hear of a building in this time.
    pub(crate) fn unwatched(&mut self, building: usize, from: Sec, until: Sec) {
        self.blind[building].push((from, until));
    }

    pub(crate) fn blind_everywhere(&mut self, from: Sec, until: Sec) {
        self.blind.iter_mut().for_each(|spans| spans.push((from, until)));
    }

    /// The latest moment for a ticket, if it should have come by `by` and nobody could see for a part of the time.
    #[must_use]
    pub fn excused(&self, building: usize, from: Sec, by: Sec) -> Sec {
        let mut spans = self.blind[building].clone();
        spans.sort_unstable();
        spans.into_iter().fold(by, |by, (begins, ends)| {
            if begins <= by && from <= ends { by.max(ends.saturating_add(SEEN_AGAIN)) } else { by }
        })
    }

    pub(crate) fn close(&mut self, end: Sec) {
        for span in self.blind.iter_mut().flatten() {
            span.1 = span.1.min(end);
        }
    }
}
