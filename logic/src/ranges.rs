//! A set of sequence numbers, kept as ranges: what has arrived, what is still missing.

use alloc::collections::BTreeMap;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Numbers as inclusive ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeSet {
    /// First number of each range to its last.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    /// Adds one number; says whether it was new.
    pub fn insert(&mut self, number: u64) -> bool {
        let new = !self.contains(number);
        if new {
            self.insert_range(number..=number);
        }
        new
    }

    /// Adds a range, merging it with those that it overlaps or touches. An empty range adds nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        while let Some((low, high)) = self.touching(first, last) {
            self.ranges.remove(&low);
            first = first.min(low);
            last = last.max(high);
        }
        self.ranges.insert(first, last);
    }

    /// The highest range that overlaps or touches `first..=last`.
    fn touching(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let (low, high) = self.ranges.range(..=last.saturating_add(1)).next_back()?;
        (high.saturating_add(1) >= first).then_some((*low, *high))
    }

    /// Takes a range out. What is not in the set stays out.
    pub fn remove_range(&mut self, range: RangeInclusive<u64>) {
        let (first, last) = range.into_inner();
        if first > last {
            return;
        }
        while let Some((low, high)) = self.overlapping(first, last) {
            self.ranges.remove(&low);
            if low < first {
                self.ranges.insert(low, first - 1);
            }
            if high > last {
                self.ranges.insert(last + 1, high);
            }
        }
    }

    /// The highest range that overlaps `first..=last`.
    fn overlapping(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let (low, high) = self.ranges.range(..=last).next_back()?;
        (*high >= first).then_some((*low, *high))
    }

    /// The lowest number of the set that is not below `number`.
    #[must_use]
    pub fn next_from(&self, number: u64) -> Option<u64> {
        if self.contains(number) {
            return Some(number);
        }
        self.ranges.range(number..).next().map(|(low, _)| *low)
    }

    /// What of the set lies within `range`, the highest first.
    pub fn within(&self, range: RangeInclusive<u64>) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let (first, last) = range.into_inner();
        let overlapping = self.ranges.range(..=last).rev().take_while(move |(_, high)| **high >= first);
        overlapping.map(move |(low, high)| (*low).max(first)..=(*high).min(last))
    }

    /// The ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().map(|(first, last)| *first..=*last)
    }

    /// How many ranges there are: what a message or a table row about this set costs.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The highest number in the set.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.ranges.values().next_back().copied()
    }
}

impl FromIterator<RangeInclusive<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u64>>>(ranges: I) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_within_is_cut_at_both_ends() {
        let set: RangeSet = [1..=3, 7..=7, 9..=20].into_iter().collect();
        assert_eq!(set.within(3..=10).collect::<Vec<_>>(), [9..=10, 7..=7, 3..=3]);
        assert_eq!(set.within(4..=6).count(), 0);
        assert_eq!(set.within(0..=u64::MAX).count(), 3);
    }

    proptest! {
        #[test]
        fn equals_a_plain_set(ranges in prop::collection::vec((0u64..60, 0u64..6), 0..30)) {
            let mut set = RangeSet::default();
            let mut plain = BTreeSet::new();
            for (first, more) in ranges {
                set.insert_range(first..=first + more);
                plain.extend(first..=first + more);
            }
            for number in 0..70 {
                prop_assert_eq!(set.contains(number), plain.contains(&number));
            }
            let listed: Vec<_> = set.iter().collect();
            prop_assert!(listed.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
            prop_assert_eq!(set.last(), plain.last().copied());
        }
    }

    proptest! {
        #[test]
        fn takes_out_like_a_plain_set(
            steps in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..9), 0..40)
        ) {
            let mut set = RangeSet::default();
            let mut plain = BTreeSet::new();
            for (add, first, more) in steps {
                if add {
                    set.insert_range(first..=first + more);
                    plain.extend(first..=first + more);
                } else {
                    set.remove_range(first..=first + more);
                    plain.retain(|number| !(first..=first + more).contains(number));
                }
            }
            for number in 0..70 {
                prop_assert_eq!(set.contains(number), plain.contains(&number));
                prop_assert_eq!(set.next_from(number), plain.range(number..).next().copied());
            }
        }
    }

    #[test]
    fn the_ends_of_the_number_line_are_ordinary_numbers() {
        let mut set = RangeSet::default();
        assert!(set.insert(u64::MAX));
        assert!(set.insert(0));
        assert!(!set.insert(u64::MAX));
        assert_eq!(set.range_count(), 2);
    }
}
