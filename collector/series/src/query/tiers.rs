//! Which part of a range is read from points and which from roll-ups. Pure: it reads nothing.
//!
//! As long as there are points, the answer is what the points alone would give: a roll-up is taken only where no bound of
//! the question, neither of its range nor of its buckets, cuts through one of its own buckets; the edges come from shorter
//! steps and in the end from points. Where points are gone an edge is widened to the whole bucket of the shortest step there is.

use super::range::TimeRange;
use super::window::Window;
use crate::keeping::{Step, ceil, floor};
use crate::store::{Kept, Rolled, Segment, Source};

/// Changes of a zone's clocks that are looked at; two a year.
const MAX_CHANGES: usize = 1000;

/// What a range is read from, in order of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) segments: Vec<Segment>,
    /// Part of the answer is of times that were not asked for, because only whole buckets are left.
    pub(crate) widened: bool,
}

/// Splits a range of a stream of which so much is kept. `timed`: the answer depends on when in a bucket something was.
pub(crate) fn split(range: TimeRange, kept: &Kept, window: Option<&Window>, timed: bool) -> Split {
    let mut split = Split::default();
    if range.from > range.to {
        return split;
    }
    let end = range.to.saturating_add(1);
    let mut bounds = vec![range.from, end, kept.raw_from, kept.rolled_to];
    bounds.extend(kept.tiers.iter().map(|tier| tier.from));
    bounds.retain(|bound| (range.from..=end).contains(bound));
    bounds.sort_unstable();
    bounds.dedup();
    for pair in bounds.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let tiers = kept.tiers.iter().filter(|tier| tier.from <= from && to <= kept.rolled_to);
        let there = from >= kept.raw_from;
        let vague = |tier: &&Rolled| timed && !tier.timed;
        let fit = tiers.clone().filter(|tier| !(there && vague(tier)));
        let steps: Vec<Step> = fit.map(|tier| tier.step).rev().collect();
        split.widened |= !there && tiers.clone().any(|tier| vague(&tier));
        let rest = match steps.last() {
            _ if there => Rest::Points,
            Some(step) => Rest::Widen(*step),
            None => Rest::Nothing,
        };
        Zone { window, rest }.cover(from, to, &steps, &mut split);
    }
    split
}

/// What is left to answer what no roll-up fits.
#[derive(Clone, Copy)]
enum Rest {
    Points,
    Widen(Step),
    Nothing,
}

/// A range in which everything is kept in the same ways.
struct Zone<'a> {
    window: Option<&'a Window>,
    rest: Rest,
}

impl Zone<'_> {
    /// From `from` to before `to`, by these steps, the longest first.
    fn cover(&self, from: i64, to: i64, steps: &[Step], split: &mut Split) {
        if from >= to {
            return;
        }
        for (at, step) in steps.iter().enumerate() {
            let (low, high) = (ceil(from, step.ns()), floor(to, step.ns()));
            if low < high && aligned(self.window, *step, low, high) {
                self.cover(from, low, &steps[at + 1..], split);
                split.segments.push(Segment { from: low, to: high - 1, source: Source::Rolled(*step) });
                self.cover(high, to, &steps[at + 1..], split);
                return;
            }
        }
        match self.rest {
            Rest::Points => split.segments.push(Segment { from, to: to - 1, source: Source::Points }),
            Rest::Widen(step) => {
                // The beginning of time is no edge that anybody asked for.
                split.widened |= from > TimeRange::ALL.from;
                let (from, to) = (floor(from, step.ns()), ceil(to, step.ns()) - 1);
                split.segments.push(Segment { from, to, source: Source::Rolled(step) });
            }
            Rest::Nothing => {}
        }
    }
}

/// Whether no bound of the question's buckets cuts through a bucket of a roll-up.
fn aligned(window: Option<&Window>, step: Step, from: i64, to: i64) -> bool {
    let Some(window) = window else { return true };
    let step = step.ns();
    if window.every % step != 0 || window.offset % step != 0 {
        return false;
    }
    let Some(zone) = &window.zone else { return true };
    let whole = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1_000_000_000 % step == 0;
    let at = |time: i64| jiff::Timestamp::from_nanosecond(i128::from(time)).ok();
    // A bucket of the question may begin well before the range.
    let before = from.saturating_sub(window.every).saturating_sub(window.every);
    let (Some(begin), Some(end)) = (at(before), at(to)) else { return false };
    let mut changes = zone.following(begin).take_while(|change| change.timestamp() <= end);
    whole(zone.to_offset(begin))
        && changes.by_ref().take(MAX_CHANGES).all(|change| whole(change.offset()))
        && changes.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::DAY;

    const HOUR: i64 = DAY / 24;
    const MINUTE: i64 = HOUR / 60;

    fn rolled(step: Step, from: i64, timed: bool) -> Rolled {
        Rolled { step, from, timed }
    }

    /// Points for 30 days, roll-ups of five minutes for 100 days and of an hour for ever; today is day 400.
    fn kept() -> Kept {
        let tiers = vec![rolled(Step::FiveMinutes, 300 * DAY, true), rolled(Step::Hour, i64::MIN, true)];
        Kept { raw_from: 370 * DAY, rolled_to: 399 * DAY, tiers }
    }

    fn window(every: i64, zone: Option<&str>) -> Window {
        Window { every, offset: 0, zone: zone.map(|name| jiff::tz::TimeZone::get(name).unwrap()) }
    }

    fn shown(from: i64, to: i64, window: Option<&Window>) -> (Vec<(i64, i64, &'static str)>, bool) {
        let split = split(TimeRange { from, to: to - 1 }, &kept(), window, true);
        let one = |part: &Segment| {
            let source = match part.source {
                Source::Points => "points",
                Source::Rolled(step) => step.name(),
            };
            (part.from / MINUTE, (part.to + 1) / MINUTE, source)
        };
        (split.segments.iter().map(one).collect(), split.widened)
    }

    const D: i64 = DAY / MINUTE;

    #[test]
    fn the_middle_comes_from_the_longest_step_and_the_edges_from_shorter_ones() {
        let (from, to) = (380 * DAY + 7 * MINUTE, 381 * DAY + 64 * MINUTE);
        let expected = vec![
            (380 * D + 7, 380 * D + 10, "points"),
            (380 * D + 10, 380 * D + 60, "5m"),
            (380 * D + 60, 381 * D + 60, "1h"),
            (381 * D + 60, 381 * D + 64, "points"),
        ];
        assert_eq!(shown(from, to, None), (expected, false));
    }

    #[test]
    fn buckets_that_do_not_fit_are_read_from_points() {
        let (from, to) = (380 * DAY, 381 * DAY);
        assert_eq!(shown(from, to, Some(&window(7 * MINUTE, None))), (vec![(380 * D, 381 * D, "points")], false));
        assert_eq!(shown(from, to, Some(&window(15 * MINUTE, None))), (vec![(380 * D, 381 * D, "5m")], false));
        assert_eq!(shown(from, to, Some(&window(2 * HOUR, None))), (vec![(380 * D, 381 * D, "1h")], false));
        // Kathmandu is five hours and three quarters ahead.
        let ahead = window(DAY, Some("Asia/Kathmandu"));
        assert_eq!(shown(from, to, Some(&ahead)).0, vec![(380 * D, 381 * D, "5m")]);
        assert_eq!(shown(from, to, Some(&window(DAY, Some("America/Chicago")))).0, vec![(380 * D, 381 * D, "1h")]);
    }

    #[test]
    fn what_is_not_rolled_up_yet_comes_from_points() {
        let expected = vec![(398 * D, 399 * D, "1h"), (399 * D, 400 * D, "points")];
        assert_eq!(shown(398 * DAY, 400 * DAY, None), (expected, false));
    }

    #[test]
    fn where_points_are_gone_edges_are_widened_and_that_is_said() {
        let (parts, widened) = shown(350 * DAY + 7 * MINUTE, 351 * DAY, None);
        assert_eq!((parts[0], widened), ((350 * D + 5, 350 * D + 10, "5m"), true));
        let (parts, widened) = shown(200 * DAY + 7 * MINUTE, 201 * DAY + MINUTE, None);
        let expected =
            vec![(200 * D, 200 * D + 60, "1h"), (200 * D + 60, 201 * D, "1h"), (201 * D, 201 * D + 60, "1h")];
        assert_eq!((parts, widened), (expected, true));
        assert!(!shown(350 * DAY, 351 * DAY, Some(&window(HOUR, None))).1);
        assert!(shown(350 * DAY, 351 * DAY, Some(&window(MINUTE, None))).1);
    }

    #[test]
    fn roll_ups_without_times_answer_what_needs_none_and_the_rest_only_where_points_are_gone() {
        let tiers = vec![rolled(Step::Day, i64::MIN, false)];
        let kept = Kept { raw_from: 370 * DAY, rolled_to: 399 * DAY, tiers };
        let ask = |from: i64, timed: bool| {
            let split = split(TimeRange { from: from * DAY, to: (from + 1) * DAY - 1 }, &kept, None, timed);
            (split.segments[0].source, split.widened)
        };
        assert_eq!(ask(380, false), (Source::Rolled(Step::Day), false));
        assert_eq!(ask(380, true), (Source::Points, false));
        assert_eq!(ask(300, false), (Source::Rolled(Step::Day), false));
        assert_eq!(ask(300, true), (Source::Rolled(Step::Day), true));
    }

    #[test]
    fn everything_is_covered_once_from_the_first_time_to_the_last() {
        let Split { segments: ends, widened } = split(TimeRange::ALL, &kept(), None, true);
        assert!(!widened && ends[0].from <= TimeRange::ALL.from);
        assert_eq!(ends.last().map(|part| part.to), Some(TimeRange::ALL.to));
        assert!(ends.windows(2).all(|pair| pair[0].to + 1 == pair[1].from), "{ends:?}");
        assert_eq!(split(TimeRange { from: 5, to: 4 }, &kept(), None, true), Split::default());
    }
}
