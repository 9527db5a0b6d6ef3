//! What readings suggest for a rule: for how long to wait, and where to call it over.
//!
//! Two things are looked at, each as a histogram, so that years take no more room than days:
//! - how long `open` held at a stretch, whatever the rule's own time. If one in four stretches or more ended within an hour by
//!   itself, and would have counted, the rule should wait for as long as nine in ten of those took;
//! - by how much one reading differs from the next. The end should lie further from the beginning than 19 in 20 of these steps
//!   are large, or noise alone ends and begins a fault.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::compare::Test;
use super::threshold::Verdict;
use super::{Check, RuleSet, Threshold};
use crate::sample::Sample;
use crate::span::Span;
use crate::time::Timestamp;

/// Subjects that are followed at once. A district's largest has fewer of one rule; more are left out.
const SUBJECTS_MAX: usize = 200_000;

/// Stretches or steps below which nothing is suggested: few prove nothing. House.
const ENOUGH: u64 = 20;

/// A stretch that ended within this was no work for anybody. House.
const SHORT: Duration = Duration::from_secs(60 * 60);

/// Buckets of a histogram: four for each doubling, over 40 doublings.
const BUCKETS: usize = 160;

/// What is suggested for one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// The rule.
    pub rule: String,
    /// For how long `open` should hold, if otherwise than now.
    pub wait: Option<Span>,
    /// Where `clear` of the first comparison should lie, if further away than now.
    pub clear: Option<(String, f64)>,
    /// Stretches in which `open` held.
    pub stretches: u64,
    /// Those that ended by themselves within an hour.
    pub short: u64,
    /// How large 19 in 20 steps from one reading to the next are at most.
    pub noise: Option<f64>,
}

/// What is seen of rules that look at one reading.
#[derive(Clone, Debug, Default)]
pub struct Study {
    rules: BTreeMap<String, Followed>,
    by_measurement: BTreeMap<String, Vec<String>>,
    subjects: usize,
}

#[derive(Clone, Debug)]
struct Followed {
    threshold: Threshold,
    subjects: BTreeMap<(String, Vec<(String, String)>), Last>,
    stretches: u64,
    short: Histogram,
    steps: Histogram,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Timestamp,
    value: f64,
    open_since: Option<Timestamp>,
}

/// Counts of sizes, each within a fifth of the true one.
#[derive(Clone, Debug)]
struct Histogram {
    counts: Vec<u64>,
    /// Those of no size at all.
    zeros: u64,
}

impl Study {
    /// Of the rules that compare readings with limits.
    #[must_use]
    pub fn of(rules: &RuleSet) -> Self {
        let mut study = Self::default();
        for rule in rules.iter() {
            let Check::Threshold(threshold) = &rule.check else { continue };
            study.by_measurement.entry(threshold.measurement.clone()).or_default().push(rule.id.clone());
            study.rules.insert(rule.id.clone(), Followed::new(threshold));
        }
        study
    }

    /// Takes a device's readings in.
    pub fn note(&mut self, device: &str, samples: &[Sample]) {
        for sample in samples {
            for id in self.by_measurement.get(&*sample.measurement).into_iter().flatten() {
                if let Some(followed) = self.rules.get_mut(id) {
                    followed.note(device, sample, &mut self.subjects);
                }
            }
        }
    }

    /// What is suggested, of rules for which something is.
    #[must_use]
    pub fn suggest(&self, rules: &RuleSet) -> Vec<Suggestion> {
        let known = self.rules.iter().filter(|(id, _)| rules.get(id).is_some());
        let all = known.map(|(id, followed)| followed.suggest(id));
        all.filter(|suggestion| suggestion.wait.is_some() || suggestion.clear.is_some()).collect()
    }
}

impl Followed {
    fn new(threshold: &Threshold) -> Self {
        Self {
            threshold: threshold.clone(),
            subjects: BTreeMap::new(),
            stretches: 0,
            short: Histogram::new(),
            steps: Histogram::new(),
        }
    }

    fn note(&mut self, device: &str, sample: &Sample, subjects: &mut usize) {
        let threshold = &self.threshold;
        if !threshold.looks_at(sample) {
            return;
        }
        let value = threshold.value(sample).unwrap_or(0.0);
        let verdict = threshold.verdict(sample);
        let key = (device.into(), threshold.subject(sample));
        let Some(last) = self.subjects.get_mut(&key) else {
            if *subjects < SUBJECTS_MAX {
                *subjects += 1;
                let open_since = (verdict == Verdict::Open).then_some(sample.time);
                self.subjects.insert(key, Last { at: sample.time, value, open_since });
            }
            return;
        };
        if sample.time <= last.at || verdict == Verdict::Unknown {
            return;
        }
        self.steps.note((value - last.value).abs());
        match (last.open_since, verdict) {
            (None, Verdict::Open) => last.open_since = Some(sample.time),
            (Some(since), Verdict::Between | Verdict::Clear) => {
                self.stretches += 1;
                let long = sample.time.since(since);
                if long <= SHORT {
                    self.short.note(long.as_secs_f64());
                }
                last.open_since = None;
            }
            _ => {}
        }
        (last.at, last.value) = (sample.time, value);
    }

    fn suggest(&self, id: &str) -> Suggestion {
        let short = self.short.count();
        let noise = (self.steps.count() >= ENOUGH).then(|| self.steps.below(0.95)).flatten();
        Suggestion {
            rule: id.into(),
            wait: self.wait(short),
            clear: noise.and_then(|noise| self.further(noise)),
            stretches: self.stretches,
            short,
            noise,
        }
    }

    fn wait(&self, short: u64) -> Option<Span> {
        let many = self.stretches >= ENOUGH && short.saturating_mul(4) >= self.stretches;
        let long = self.short.below(0.9).filter(|_| many)?;
        let wait = nice(Duration::try_from_secs_f64(long).ok()?);
        (wait > self.threshold.r#for.span).then_some(Span(wait))
    }

    /// A limit at which noise alone no longer ends a fault.
    fn further(&self, noise: f64) -> Option<(String, f64)> {
        let open = self.threshold.open.first()?;
        let clear = self.threshold.clear.iter().find(|clear| clear.field == open.field)?;
        let limit = match (&open.test, &clear.test) {
            (Test::Above(open), Test::Below(clear)) if open - clear < noise => open - noise,
            (Test::Below(open), Test::Above(clear)) if clear - open < noise => open + noise,
            _ => return None,
        };
        Some((clear.field.clone(), limit))
    }
}

/// The next of the lengths in which people think.
fn nice(long: Duration) -> Duration {
    const MINUTES: [u64; 12] = [1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120];
    let whole = MINUTES.iter().map(|minutes| Duration::from_secs(minutes * 60));
    whole.into_iter().find(|whole| *whole >= long).unwrap_or(long)
}

impl Histogram {
    fn new() -> Self {
        Self { counts: alloc::vec![0; BUCKETS], zeros: 0 }
    }

    fn note(&mut self, size: f64) {
        match bucket(size) {
            None => self.zeros = self.zeros.saturating_add(1),
            Some(at) => self.counts[at] = self.counts[at].saturating_add(1),
        }
    }

    fn count(&self) -> u64 {
        self.counts.iter().fold(self.zeros, |sum, count| sum.saturating_add(*count))
    }

    /// The size that such a part of all does not exceed, rounded up to its bucket.
    #[expect(clippy::cast_precision_loss, reason = "counts of readings")]
    fn below(&self, part: f64) -> Option<f64> {
        let wanted = self.count() as f64 * part;
        let mut seen = self.zeros as f64;
        if self.count() == 0 {
            return None;
        }
        if seen >= wanted {
            return Some(0.0);
        }
        for (at, count) in self.counts.iter().enumerate() {
            seen += *count as f64;
            if seen >= wanted {
                return Some(top(at));
            }
        }
        None
    }
}

/// The smallest size that is told from none: a thousandth.
const LEAST: f64 = 0.001;

/// The bucket of a size; none for none. Four for each doubling, found without a logarithm, which `core` has not.
fn bucket(size: f64) -> Option<usize> {
    if size.is_nan() || size < LEAST {
        return None;
    }
    Some((0..BUCKETS).find(|at| size < top(*at)).unwrap_or(BUCKETS - 1))
}

/// Where a bucket ends.
fn top(at: usize) -> f64 {
    /// The fourth root of two, to its powers.
    const PARTS: [f64; 4] = [1.189_207_115, core::f64::consts::SQRT_2, 1.681_792_831, 2.0];
    let doublings = i32::try_from(at / 4).unwrap_or(i32::MAX);
    let mut size = LEAST * PARTS[at % 4];
    for _ in 0..doublings {
        size *= 2.0;
    }
    size
}

#[cfg(test)]
mod tests;
