//! How long a verdict must stand before it counts: hysteresis and for-durations, on event time.
//!
//! A hold exists for one fault from the first sample that shows it until the fault is proven over. What it keeps:
//! - only samples move it, and only forwards: no data is *unknown*, which neither opens nor clears, so a laptop that
//!   sleeps through the night has proven nothing by that, and a sample from before the newest one changes nothing;
//! - the time that counts is the time between samples that agree, each pause counted at most as long as `gap`;
//! - one sample that disagrees starts the count over.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::Verdict;
use crate::time::Timestamp;

/// The times of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For how long `open` must be seen to hold.
    pub open_for: Duration,
    /// For how long `clear` must be seen to hold.
    pub clear_for: Duration,
    /// The longest pause between two samples that counts as seen.
    pub gap: Duration,
    /// How many samples in a row must agree besides, whichever way.
    pub readings: u32,
}

/// One fault's hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    phase: Phase,
    /// When the fault was first seen.
    since: Timestamp,
    /// The newest sample that moved it.
    newest: Timestamp,
    /// How long the phase's condition has been seen to hold.
    proven: Duration,
    /// How many samples in a row agreed on it.
    #[serde(default)]
    agreed: u32,
    /// For how long the device has reported without saying anything of it.
    #[serde(default)]
    unseen: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// Seen, not yet for long enough.
    Pending,
    /// It counts.
    Open,
    /// It counts, and is seen to be over, not yet for long enough.
    Clearing,
}

/// What a sample did to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that anybody else need know.
    Waits,
    /// The fault counts from now on.
    Opens,
    /// The fault is still there.
    Stands,
    /// The fault is proven over: drop the hold.
    Clears,
    /// It never counted and is gone: drop the hold.
    Vanishes,
}

impl Hold {
    /// The first sample that shows the fault, and whether it counts at once.
    #[must_use]
    pub fn begin(at: Timestamp, times: Times) -> (Self, Step) {
        let opens = times.open_for.is_zero() && times.readings <= 1;
        let phase = if opens { Phase::Open } else { Phase::Pending };
        let hold = Self { phase, since: at, newest: at, proven: Duration::ZERO, agreed: 1, unseen: Duration::ZERO };
        (hold, if opens { Step::Opens } else { Step::Waits })
    }

    /// When the fault was first seen.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether the fault has not counted yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.phase == Phase::Pending
    }

    /// The device reported for so long, whether of this or of other things. Returns for how long in all it has said
    /// nothing of this.
    pub fn pass(&mut self, reported: Duration) -> Duration {
        self.unseen = self.unseen.saturating_add(reported);
        self.unseen
    }

    /// The newest sample that showed the fault, if it is not seen to be over.
    #[must_use]
    pub fn bad_until(&self) -> Option<Timestamp> {
        (self.phase != Phase::Clearing).then_some(self.newest)
    }

    /// What it was proven by does not count any more: it waits as if it had just begun.
    pub fn suspend(&mut self) {
        self.phase = Phase::Pending;
        self.proven = Duration::ZERO;
    }

    /// What it was proven by counts after all.
    pub fn resume(&mut self) {
        self.phase = Phase::Open;
    }

    /// A further sample's verdict, where all time counts.
    pub fn judge(&mut self, at: Timestamp, verdict: Verdict, times: Times) -> Step {
        self.judge_by(at, verdict, times, |begin, end| end.since(begin))
    }

    /// A further sample's verdict, where a fault lasts only as long as `counts` says of the time between two samples.
    pub fn judge_by(
        &mut self,
        at: Timestamp,
        verdict: Verdict,
        times: Times,
        counts: impl Fn(Timestamp, Timestamp) -> Duration,
    ) -> Step {
        self.unseen = Duration::ZERO;
        if verdict == Verdict::Unknown || at <= self.newest {
            return Step::Waits;
        }
        let before = core::mem::replace(&mut self.newest, at);
        let seen = at.since(before).min(times.gap);
        match (self.phase, verdict) {
            (Phase::Pending, Verdict::Open) => self.open_if_proven(counts(before, at).min(times.gap), times),
            (Phase::Pending, _) => Step::Vanishes,
            (Phase::Open, Verdict::Clear) => self.begin_clearing(times),
            (Phase::Clearing, Verdict::Clear) => self.clear_if_proven(seen, times),
            (Phase::Open | Phase::Clearing, _) => {
                self.phase = Phase::Open;
                Step::Stands
            }
        }
    }

    fn open_if_proven(&mut self, seen: Duration, times: Times) -> Step {
        if !self.is_proven(seen, times.open_for, times.readings) {
            return Step::Waits;
        }
        self.phase = Phase::Open;
        Step::Opens
    }

    fn begin_clearing(&mut self, times: Times) -> Step {
        self.phase = Phase::Clearing;
        self.proven = Duration::ZERO;
        self.agreed = 0;
        self.clear_if_proven(Duration::ZERO, times)
    }

    fn clear_if_proven(&mut self, seen: Duration, times: Times) -> Step {
        if self.is_proven(seen, times.clear_for, times.readings) { Step::Clears } else { Step::Waits }
    }

    /// One more sample agrees.
    fn is_proven(&mut self, seen: Duration, wanted: Duration, readings: u32) -> bool {
        self.proven = self.proven.saturating_add(seen);
        self.agreed = self.agreed.saturating_add(1);
        self.proven >= wanted && self.agreed >= readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;
    const TIMES: Times = Times {
        open_for: Duration::from_secs(300),
        clear_for: Duration::from_secs(120),
        gap: Duration::from_secs(180),
        readings: 0,
    };

    fn begun() -> Hold {
        Hold::begin(Timestamp(0), TIMES).0
    }

    fn judge(hold: &mut Hold, minute: i64, verdict: Verdict) -> Step {
        hold.judge(Timestamp(minute * MINUTE), verdict, TIMES)
    }

    #[test]
    fn a_fault_counts_after_its_time_and_is_over_after_the_other() {
        let mut hold = begun();
        for minute in 1..5 {
            assert_eq!(judge(&mut hold, minute, Verdict::Open), Step::Waits);
        }
        assert_eq!(judge(&mut hold, 5, Verdict::Open), Step::Opens);
        assert_eq!(judge(&mut hold, 6, Verdict::Open), Step::Stands);
        assert_eq!(judge(&mut hold, 7, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 8, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 9, Verdict::Clear), Step::Clears);
    }

    #[test]
    fn one_good_sample_starts_the_count_over() {
        let mut hold = begun();
        assert_eq!(judge(&mut hold, 4, Verdict::Open), Step::Waits);
        assert_eq!(judge(&mut hold, 5, Verdict::Between), Step::Vanishes);
    }

    #[test]
    fn one_bad_sample_starts_the_proof_over() {
        let mut hold = Hold::begin(Timestamp(0), Times { open_for: Duration::ZERO, ..TIMES }).0;
        assert_eq!(judge(&mut hold, 1, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 2, Verdict::Between), Step::Stands);
        assert_eq!(judge(&mut hold, 3, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 4, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 5, Verdict::Clear), Step::Clears);
    }

    #[test]
    fn a_night_without_data_proves_nothing() {
        let mut hold = begun();
        assert_eq!(judge(&mut hold, 600, Verdict::Open), Step::Waits);
        assert_eq!(judge(&mut hold, 601, Verdict::Open), Step::Waits);
        assert_eq!(judge(&mut hold, 602, Verdict::Open), Step::Opens);
    }

    #[test]
    fn a_device_that_is_seldom_read_needs_so_many_readings_besides_the_time() {
        let times = Times { gap: Duration::from_secs(86_400), readings: 3, ..TIMES };
        let judge = |hold: &mut Hold, minute: i64, verdict| hold.judge(Timestamp(minute * MINUTE), verdict, times);
        let (mut hold, _) = Hold::begin(Timestamp(0), times);
        assert_eq!(judge(&mut hold, 600, Verdict::Open), Step::Waits);
        assert_eq!(judge(&mut hold, 601, Verdict::Open), Step::Opens);
        assert_eq!(judge(&mut hold, 700, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 800, Verdict::Clear), Step::Waits);
        assert_eq!(judge(&mut hold, 801, Verdict::Clear), Step::Clears);
        let at_once = Times { open_for: Duration::ZERO, ..times };
        assert_eq!(Hold::begin(Timestamp(0), at_once).1, Step::Waits);
    }

    #[test]
    fn unknown_and_old_samples_move_nothing() {
        let mut hold = begun();
        assert_eq!(judge(&mut hold, 3, Verdict::Open), Step::Waits);
        let before = hold.clone();
        hold.pass(Duration::from_secs(60));
        assert_eq!(judge(&mut hold, 4, Verdict::Unknown), Step::Waits);
        assert_eq!(judge(&mut hold, 2, Verdict::Clear), Step::Waits);
        assert_eq!(hold, before);
    }

    fn verdicts() -> impl Strategy<Value = Vec<(i64, Verdict)>> {
        let verdict = prop_oneof![Just(Verdict::Open), Just(Verdict::Between), Just(Verdict::Clear)];
        prop::collection::vec((1i64..4, verdict), 1..60)
    }

    proptest! {
        /// The reference: with regular data the fault opens when the last five minutes were all bad, and clears when
        /// the last two were all good.
        #[test]
        fn agrees_with_looking_back(steps in verdicts()) {
            let mut hold: Option<Hold> = None;
            let mut open = false;
            let mut history: Vec<(i64, Verdict)> = Vec::new();
            let mut minute = 0;
            for (pause, verdict) in steps {
                minute += pause;
                history.push((minute, verdict));
                let run = |wanted: Verdict| {
                    let start = history.iter().rev().take_while(|(_, found)| *found == wanted).last();
                    start.map_or(-1, |(first, _)| minute - first)
                };
                let step = match &mut hold {
                    None if verdict == Verdict::Open => {
                        let (new, step) = Hold::begin(Timestamp(minute * MINUTE), TIMES);
                        hold = Some(new);
                        step
                    }
                    None => Step::Waits,
                    Some(hold) => hold.judge(Timestamp(minute * MINUTE), verdict, TIMES),
                };
                if matches!(step, Step::Clears | Step::Vanishes) {
                    hold = None;
                }
                if open && run(Verdict::Clear) >= 2 {
                    prop_assert_eq!(step, Step::Clears);
                    open = false;
                } else if !open && run(Verdict::Open) >= 5 {
                    prop_assert_eq!(step, Step::Opens);
                    open = true;
                } else {
                    prop_assert!(!matches!(step, Step::Opens | Step::Clears));
                }
            }
        }
    }
}
