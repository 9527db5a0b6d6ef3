//! Flapping: a fault that is good and bad again and again is one problem, not many.
//!
//! Nagios' weighted algorithm (`base/flapping.c`, `FLAPPING.html`): of the last 21 results, each of the 20 places between two
//! counts if they differ, the oldest with 0.75, the newest with 1.25; from 20 % on it flaps, at 5 % it does so no more. A
//! result here is the hard state of a fault, open or over, looked at once a step; raw samples are not weighed.
//!
//! A step is half the time in which the fault can at most open and be over once, and 5 minutes at least (Nagios' own interval):
//! so what counts is how often it changes beside how often it could.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Results that are weighed. Nagios' `MAX_STATE_HISTORY_ENTRIES`.
pub const RESULTS: u32 = 21;

/// It flaps from so many percent on. Nagios' `high_service_flap_threshold`.
pub const START_PERCENT: f64 = 20.0;

/// It flaps no more at so many percent. Nagios' `low_service_flap_threshold`.
pub const END_PERCENT: f64 = 5.0;

/// The shortest step. Nagios' usual interval of checks.
pub const STEP_MIN: Duration = Duration::from_secs(5 * 60);

/// Weights of the oldest and the newest change.
const OLDEST: f64 = 0.75;
const NEWEST: f64 = 1.25;

/// How a fault has come and gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flap {
    step: Duration,
    /// When it changed, within the last results.
    changes: Vec<Timestamp>,
    /// Since when it has flapped: the first change of those that made it flap.
    began: Option<Timestamp>,
    /// How often it has opened since then.
    times: u32,
    /// Whether it was open at the last change.
    open: bool,
}

impl Flap {
    /// Of a fault that needs so long to open and to be over.
    pub(crate) fn new(cycle: Duration) -> Self {
        Self { step: (cycle / 2).max(STEP_MIN), changes: Vec::new(), began: None, times: 0, open: false }
    }

    pub(crate) const fn is_flapping(&self) -> bool {
        self.began.is_some()
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Since when it flaps.
    pub(crate) const fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// How often it has opened since then.
    pub(crate) const fn times(&self) -> u32 {
        self.times
    }

    /// When to look at it again while it flaps.
    pub(crate) fn look_again(&self, now: Timestamp) -> Timestamp {
        now + self.step
    }

    /// The fault opened, or was over. Says whether it begins to flap by that.
    pub(crate) fn change(&mut self, now: Timestamp, opens: bool) -> bool {
        self.forget(now);
        self.open = opens;
        if self.changes.is_empty() && self.began.is_none() {
            self.times = 0;
        }
        let same_place = self.changes.last().is_some_and(|last| self.place(now, *last) == Some(RESULTS - 1));
        if !same_place {
            self.changes.push(now);
        }
        self.times = self.times.saturating_add(u32::from(opens));
        let begins = self.began.is_none() && self.percent(now) >= START_PERCENT;
        if begins {
            self.began = self.changes.first().copied();
        }
        begins
    }

    /// Whether it flaps no more.
    pub(crate) fn calms_down(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        let calm = self.began.is_some() && self.percent(now) <= END_PERCENT;
        if calm {
            self.began = None;
            self.times = 0;
        }
        calm
    }

    /// Whether nothing of it need be remembered.
    pub(crate) fn is_forgotten(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        if self.changes.is_empty() && self.began.is_none() {
            self.times = 0;
        }
        self.changes.is_empty() && self.began.is_none()
    }

    /// By how many percent the last results differ from each other.
    fn percent(&self, now: Timestamp) -> f64 {
        let weights = self.changes.iter().filter_map(|at| self.place(now, *at)).map(weight);
        weights.sum::<f64>() * 100.0 / f64::from(RESULTS - 1)
    }

    /// Between which two results a change lies: 1, the oldest, to 20.
    fn place(&self, now: Timestamp, at: Timestamp) -> Option<u32> {
        let steps = now.since(at).as_millis() / self.step.as_millis().max(1);
        u32::try_from(steps).ok().and_then(|steps| (RESULTS - 1).checked_sub(steps)).filter(|place| *place > 0)
    }

    fn forget(&mut self, now: Timestamp) {
        let mut changes = core::mem::take(&mut self.changes);
        changes.retain(|at| self.place(now, *at).is_some());
        self.changes = changes;
    }
}

fn weight(place: u32) -> f64 {
    f64::from(place - 1) * (NEWEST - OLDEST) / f64::from(RESULTS - 2) + OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP: i64 = 300_000;

    fn flap() -> Flap {
        Flap::new(Duration::from_secs(60))
    }

    #[test]
    fn twice_to_and_fro_within_the_hour_flaps_and_once_does_not() {
        let mut flap = flap();
        let begins: Vec<bool> =
            [0, 2, 4, 6, 8].iter().map(|at| flap.change(Timestamp(at * STEP), at % 4 == 0)).collect();
        assert_eq!(begins, [false, false, false, true, false], "the weights of four of twenty");
        assert_eq!((flap.began(), flap.times()), (Some(Timestamp(0)), 3));
    }

    #[test]
    fn a_change_a_day_never_flaps() {
        let mut flap = flap();
        assert!((0..300).all(|day| !flap.change(Timestamp(day * 86_400_000), day % 2 == 0)));
    }

    #[test]
    fn it_is_calm_when_what_is_left_of_it_weighs_little() {
        let mut flap = flap();
        for at in 0..8 {
            flap.change(Timestamp(at * STEP), at % 2 == 0);
        }
        let calm = (8..60).find(|at| flap.calms_down(Timestamp(at * STEP))).unwrap();
        assert_eq!(calm, 26, "the last change alone is left: 0.84 of twenty");
        assert!((calm..60).any(|at| flap.is_forgotten(Timestamp(at * STEP))));
    }

    #[test]
    fn what_takes_long_to_open_is_looked_at_seldom() {
        let mut flap = Flap::new(Duration::from_secs(86_400));
        let begins: Vec<bool> = (0..6).map(|half| flap.change(Timestamp(half * 43_200_000), half % 2 == 0)).collect();
        assert_eq!(begins.iter().filter(|begins| **begins).count(), 1);
    }

    proptest! {
        /// The reference looks at the state at each of the last 21 steps, as Nagios does.
        #[test]
        fn agrees_with_looking_at_each_result(pauses in prop::collection::vec(1i64..9, 1..40)) {
            let mut flap = flap();
            let (mut step, mut changes) = (0, Vec::new());
            for pause in pauses {
                step += pause;
                changes.push(step);
                flap.change(Timestamp(step * STEP), true);
                let state = |at: i64| changes.iter().filter(|change| **change <= at).count() % 2;
                let results: Vec<usize> = (0..21).map(|place| state(step - 20 + place)).collect();
                let differ = (1u32..21).filter(|x| results[*x as usize] != results[*x as usize - 1]);
                let percent: f64 = differ.map(|x| (f64::from(x) - 1.0) * 0.5 / 19.0 + 0.75).sum::<f64>() * 5.0;
                prop_assert!((percent - flap.percent(Timestamp(step * STEP))).abs() < 1e-9);
            }
        }
    }
}
