//! Which device is asked when. It has no clock: times are milliseconds of one that never goes back.
//!
//! Each device has its place within the interval, by a hash of its id: the same after each start, and spread evenly over
//! thousands of them. One whose poll is still under way when the next is due is skipped, and counted.

use std::collections::BTreeSet;
use std::time::Duration;

/// Polls under way at once. With 50 ms for each, 250,000 a minute; what waits for a silent device waits for seconds.
pub const POLLS_MAX: usize = 400;
/// Slow polls under way at once: each may hold all tables of a switch in memory.
pub const SLOW_MAX: usize = 8;
/// The first slow polls are this far apart, so that the inventory of one closet is there within minutes.
const FIRST_SLOW_APART_MS: u64 = 2_000;

/// When each device is asked.
#[derive(Debug)]
pub struct Schedule {
    interval_ms: u64,
    slow_ms: u64,
    slots: Vec<Option<Slot>>,
    due: BTreeSet<(u64, u32)>,
    under_way: usize,
    slow_under_way: usize,
    skipped: u64,
}

#[derive(Debug)]
struct Slot {
    /// Its place within the interval.
    phase_ms: u64,
    due_ms: u64,
    slow_due_ms: u64,
    under_way: bool,
    slow_under_way: bool,
}

/// A poll that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub slot: u32,
    /// Whether inventory and tables are due as well; a poll of its own that ends apart.
    pub slow: bool,
}

impl Schedule {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(interval: Duration, slow_interval: Duration) -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            interval_ms: ms(interval),
            slow_ms: ms(slow_interval),
            slots: Vec::new(),
            due: BTreeSet::new(),
            under_way: 0,
            slow_under_way: 0,
            skipped: 0,
        }
    }

    /// A device is to be asked from now on; `slot` is a small number that no other has.
    pub fn add(&mut self, slot: u32, id: &str, now_ms: u64) {
        self.remove(slot);
        let hash = hash(id);
        let phase_ms = hash % self.interval_ms;
        let due_ms = self.after(phase_ms, now_ms);
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let others = u64::try_from(self.due.len()).unwrap_or(u64::MAX);
        let within = (others + 1).saturating_mul(FIRST_SLOW_APART_MS).min(self.slow_ms);
        let slow_due_ms = due_ms + (hash >> 32) % within;
        self.slots[index] = Some(Slot { phase_ms, due_ms, slow_due_ms, under_way: false, slow_under_way: false });
        self.due.insert((due_ms, slot));
    }

    /// A device is not to be asked any more. What is under way does not count any more, whenever it ends.
    pub fn remove(&mut self, slot: u32) {
        if let Some(gone) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.due.remove(&(gone.due_ms, slot));
            self.under_way -= usize::from(gone.under_way);
            self.slow_under_way -= usize::from(gone.slow_under_way);
        }
    }

    /// Something was heard of a device: it is asked at once, with its next turn where it was.
    pub fn hurry(&mut self, slot: u32, now_ms: u64) {
        let Some(known) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if known.due_ms > now_ms && !known.under_way {
            self.due.remove(&(known.due_ms, slot));
            known.due_ms = now_ms;
            self.due.insert((now_ms, slot));
        }
    }

    /// A poll ended.
    pub fn handle_done(&mut self, slot: u32) {
        if let Some(known) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            self.under_way -= usize::from(std::mem::take(&mut known.under_way));
        }
    }

    /// A slow poll ended.
    pub fn handle_slow_done(&mut self, slot: u32) {
        if let Some(known) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            self.slow_under_way -= usize::from(std::mem::take(&mut known.slow_under_way));
        }
    }

    /// A slow poll did not begin, because its device is silent: it is due again with the device's next poll.
    pub fn put_off_slow(&mut self, slot: u32) {
        self.handle_slow_done(slot);
        if let Some(known) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            known.slow_due_ms = 0;
        }
    }

    /// The next that is due; it counts as under way.
    pub fn poll_due(&mut self, now_ms: u64) -> Option<Due> {
        while let Some((due_ms, slot)) = self.due.first().copied().filter(|(due_ms, _)| *due_ms <= now_ms) {
            if self.under_way >= POLLS_MAX {
                return None;
            }
            self.due.remove(&(due_ms, slot));
            let Some(known) = self.slots.get(slot as usize).and_then(Option::as_ref) else { continue };
            let next = self.after(known.phase_ms, now_ms);
            let Some(known) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else { continue };
            known.due_ms = next;
            self.due.insert((next, slot));
            if known.under_way {
                self.skipped += 1;
                continue;
            }
            known.under_way = true;
            self.under_way += 1;
            let slow = known.slow_due_ms <= now_ms && !known.slow_under_way && self.slow_under_way < SLOW_MAX;
            if slow {
                known.slow_under_way = true;
                self.slow_under_way += 1;
                known.slow_due_ms = now_ms + self.slow_ms;
            }
            return Some(Due { slot, slow });
        }
        None
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_wake(&self) -> Option<u64> {
        if self.under_way >= POLLS_MAX { None } else { self.due.first().map(|(due_ms, _)| *due_ms) }
    }

    /// Polls that were left out since this was last asked.
    pub const fn take_skipped(&mut self) -> u64 {
        std::mem::replace(&mut self.skipped, 0)
    }

    /// The first time after `now_ms` that has this place in the interval.
    const fn after(&self, phase_ms: u64, now_ms: u64) -> u64 {
        let begun = now_ms - now_ms % self.interval_ms + phase_ms;
        if begun > now_ms { begun } else { begun + self.interval_ms }
    }
}

/// FNV-1a, which stays the same for ever.
fn hash(id: &str) -> u64 {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of similar ids are similar, too.
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn schedule(devices: u32) -> Schedule {
        let mut schedule = Schedule::new(Duration::from_secs(60), Duration::from_secs(1_800));
        (0..devices).for_each(|slot| schedule.add(slot, &format!("d{slot:09}"), 1_000_000));
        schedule
    }

    /// What is due until then, with the time of each.
    fn until(schedule: &mut Schedule, end_ms: u64) -> Vec<(u64, Due)> {
        let mut all = Vec::new();
        while let Some(now) = schedule.poll_wake().filter(|now| *now < end_ms) {
            while let Some(due) = schedule.poll_due(now) {
                all.push((now, due));
                schedule.handle_done(due.slot);
                schedule.handle_slow_done(due.slot);
            }
        }
        all
    }

    #[test]
    fn five_thousand_devices_are_spread_evenly_and_each_is_asked_once_a_minute() {
        let mut schedule = schedule(5_000);
        let first = until(&mut schedule, 1_000_000 + MINUTE + 1);
        assert_eq!(first.len(), 5_000);
        let mut seconds = [0; 61];
        for (at, _) in &first {
            seconds[((at - 1_000_000) / 1_000) as usize] += 1;
        }
        assert!(seconds[1..60].iter().all(|number| (40..130).contains(number)), "{seconds:?}");
        let second = until(&mut schedule, 1_000_000 + 2 * MINUTE + 1);
        let places =
            |list: &[(u64, Due)]| list.iter().map(|(at, due)| (at % MINUTE, due.slot)).collect::<BTreeSet<_>>();
        assert_eq!(places(&first), places(&second), "each has its place");
    }

    #[test]
    fn slow_polls_come_once_in_their_own_interval_and_soon_in_a_small_closet() {
        let mut small = schedule(4);
        let slow = |all: &[(u64, Due)]| all.iter().filter(|(_, due)| due.slow).count();
        assert_eq!(slow(&until(&mut small, 1_000_000 + 3 * MINUTE)), 4);
        assert_eq!(slow(&until(&mut small, 1_000_000 + 29 * MINUTE)), 0);
        let mut large = schedule(3_000);
        let first = slow(&until(&mut large, 1_000_000 + 10 * MINUTE));
        assert!((500..1_300).contains(&first), "spread over half an hour: {first}");
        let all = first + slow(&until(&mut large, 1_000_000 + 31 * MINUTE));
        assert!((2_900..3_200).contains(&all), "{all}");
    }

    #[test]
    fn a_device_whose_poll_is_still_under_way_is_skipped_and_counted() {
        let mut schedule = schedule(1);
        let at = schedule.poll_wake().unwrap();
        assert!(schedule.poll_due(at).is_some());
        assert_eq!(schedule.poll_due(at + MINUTE), None);
        assert_eq!((schedule.take_skipped(), schedule.take_skipped()), (1, 0));
        schedule.handle_done(0);
        assert!(schedule.poll_due(at + 2 * MINUTE).is_some());
    }

    #[test]
    fn no_more_polls_than_are_allowed_are_under_way() {
        let mut schedule = schedule(1_000);
        let late = 1_000_000 + 2 * MINUTE;
        let begun: Vec<Due> = std::iter::from_fn(|| schedule.poll_due(late)).collect();
        assert_eq!(begun.len(), POLLS_MAX);
        assert!(begun.iter().filter(|due| due.slow).count() <= SLOW_MAX);
        assert_eq!(schedule.poll_wake(), None, "nothing happens before one has ended");
        schedule.handle_done(begun[0].slot);
        assert!(schedule.poll_due(late).is_some());
        begun.iter().for_each(|due| schedule.remove(due.slot));
        assert!(schedule.under_way <= 1 && schedule.slow_under_way == 0);
    }

    #[test]
    fn a_slow_poll_that_was_put_off_comes_with_the_next_poll_and_not_half_an_hour_later() {
        let mut schedule = schedule(1);
        let first = until(&mut schedule, 1_000_000 + 2 * MINUTE);
        assert!(first.iter().any(|(_, due)| due.slow), "{first:?}");
        let mut put_off = 0;
        while put_off < 3 {
            let now = schedule.poll_wake().unwrap();
            let Some(due) = schedule.poll_due(now) else { continue };
            schedule.handle_done(due.slot);
            if due.slow {
                schedule.put_off_slow(due.slot);
                put_off += 1;
            }
            assert!(due.slow || put_off == 0, "once it is due, it is due with each poll");
        }
        let after = until(&mut schedule, 1_000_000 + 60 * MINUTE);
        assert!(after[0].1.slow && !after[1].1.slow, "{after:?}");
    }

    #[test]
    fn what_was_heard_of_is_asked_at_once() {
        let mut schedule = schedule(1);
        let at = schedule.poll_wake().unwrap();
        schedule.hurry(0, at - 500);
        schedule.hurry(7, at);
        assert_eq!(schedule.poll_due(at - 500).map(|due| due.slot), Some(0));
        assert_eq!(schedule.poll_wake(), Some(at));
    }
}
