//! When each target is due. Targets whose interval is a multiple of the agent's are looked at with its rounds, so that
//! what belongs together is sent together; the others at times of their own in between.
//!
//! Times are those of the machine's running, so a clock that is set moves nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

/// Which targets are due when: 24 bytes for each.
#[derive(Debug)]
pub struct Schedule {
    tick: Duration,
    with_rounds: BinaryHeap<Reverse<(Instant, u32)>>,
    between: BinaryHeap<Reverse<(Instant, u32)>>,
}

impl Schedule {
    /// For an agent that reads so often. All targets are due at `now`; `intervals` gives each target's, by number.
    #[must_use]
    pub fn new(tick: Duration, intervals: impl Iterator<Item = Duration>, now: Instant) -> Self {
        let mut schedule = Self { tick, with_rounds: BinaryHeap::new(), between: BinaryHeap::new() };
        for (id, interval) in (0..).zip(intervals) {
            schedule.heap(interval).push(Reverse((now, id)));
        }
        schedule
    }

    fn heap(&mut self, interval: Duration) -> &mut BinaryHeap<Reverse<(Instant, u32)>> {
        let tick = self.tick.as_millis().max(1);
        if interval.as_millis().is_multiple_of(tick) { &mut self.with_rounds } else { &mut self.between }
    }

    /// The next target that is due in the round that begins now: ticks come a little early or late.
    pub fn poll_round(&mut self, now: Instant) -> Option<u32> {
        let Reverse((due, _)) = self.with_rounds.peek()?;
        (*due <= now + self.tick / 2).then(|| self.with_rounds.pop()).flatten().map(|Reverse((_, id))| id)
    }

    /// The next target that is due by itself, and since when.
    pub fn poll_between(&mut self, now: Instant) -> Option<(Instant, u32)> {
        let Reverse((due, _)) = self.between.peek()?;
        (*due <= now).then(|| self.between.pop()).flatten().map(|Reverse(entry)| entry)
    }

    /// When the next target is due by itself.
    #[must_use]
    pub fn poll_wake(&self) -> Option<Instant> {
        self.between.peek().map(|Reverse((due, _))| *due)
    }

    /// A target that was due at `due` is due again after `interval`; looks that were missed are not made up for.
    pub fn again(&mut self, id: u32, interval: Duration, due: Instant, now: Instant) {
        let next = due + interval;
        let next = if next > now { next } else { now + interval };
        self.heap(interval).push(Reverse((next, id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(60);

    fn round(schedule: &mut Schedule, intervals: &[Duration], now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        while let Some(id) = schedule.poll_round(now) {
            due.push(id);
        }
        due.iter().for_each(|id| schedule.again(*id, intervals[*id as usize], now, now));
        due.sort_unstable();
        due
    }

    #[test]
    fn multiples_of_the_agents_interval_come_with_its_rounds() {
        let intervals = [TICK, TICK * 5, Duration::from_secs(45)];
        let start = Instant::now();
        let mut schedule = Schedule::new(TICK, intervals.into_iter(), start);
        let jitter = Duration::from_millis(700);
        let rounds: Vec<Vec<u32>> = (0..11)
            .map(|minute| start + TICK * minute + if minute % 2 == 0 { jitter } else { Duration::ZERO })
            .map(|now| round(&mut schedule, &intervals, now))
            .collect();
        let both: Vec<usize> = (0..11).filter(|minute| rounds[*minute] == [0, 1]).collect();
        assert_eq!(both, [0, 5, 10]);
        assert!(rounds.iter().all(|round| round.contains(&0) && !round.contains(&2)));
    }

    #[test]
    fn other_intervals_keep_their_own_time_and_make_up_for_nothing() {
        let interval = Duration::from_secs(45);
        let start = Instant::now();
        let mut schedule = Schedule::new(TICK, [interval].into_iter(), start);
        assert_eq!(schedule.poll_between(start), Some((start, 0)));
        schedule.again(0, interval, start, start);
        assert_eq!(schedule.poll_wake(), Some(start + interval));
        assert_eq!(schedule.poll_between(start + Duration::from_secs(44)), None);
        let woke = start + Duration::from_secs(3_600);
        let (due, id) = schedule.poll_between(woke).unwrap();
        schedule.again(id, interval, due, woke);
        assert_eq!(schedule.poll_wake(), Some(woke + interval), "after a night of sleep there is one look, not eighty");
    }
}
