//! Moving averages and oscillators of the technical analysis of prices, as InfluxDB has them since 1.6: the order of the operations
//! is its own, so that the last digit is the same.

use super::{Answer, QueryError};
use crate::influxql::ast::Expr;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Average,
    DoubleAverage,
    TripleAverage,
    TripleDerivative,
    RelativeStrength,
    Efficiency,
    AdaptiveAverage,
    Momentum,
}

/// What the first points do to an average that has not seen a whole period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warmup {
    Exponential,
    Simple,
    /// Sums in place of averages; of the momentum oscillator.
    None,
}

/// A function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Technical {
    kind: Kind,
    period: usize,
    /// Points without an answer at the beginning.
    hold: usize,
    warmup: Warmup,
}

/// A longer period than this holds more points than a series has.
const MAX_PERIOD: i64 = 1_000_000;

/// All of them.
const KINDS: [(&str, Kind); 8] = [
    ("chande_momentum_oscillator", Kind::Momentum),
    ("double_exponential_moving_average", Kind::DoubleAverage),
    ("exponential_moving_average", Kind::Average),
    ("kaufmans_adaptive_moving_average", Kind::AdaptiveAverage),
    ("kaufmans_efficiency_ratio", Kind::Efficiency),
    ("relative_strength_index", Kind::RelativeStrength),
    ("triple_exponential_derivative", Kind::TripleDerivative),
    ("triple_exponential_moving_average", Kind::TripleAverage),
];

impl Kind {
    pub(crate) fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Kaufman's have no warm-up.
    pub(crate) fn most_arguments(self) -> usize {
        if matches!(self, Self::Efficiency | Self::AdaptiveAverage) { 3 } else { 4 }
    }
}

impl Technical {
    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name)
    }

    /// From the arguments behind the field: the period, and perhaps how many points to hold back and how to warm up.
    pub(crate) fn new(kind: Kind, name: &str, arguments: &[Expr]) -> Answer<Self> {
        let said = |what: &str| -> QueryError { format!("{name} {what}").into() };
        let period = match arguments.first() {
            Some(Expr::Integer(period)) if *period > MAX_PERIOD => {
                return Err(said(&format!("period must be less than or equal to {MAX_PERIOD}")));
            }
            Some(Expr::Integer(period)) if *period >= 1 => *period as usize,
            Some(Expr::Integer(_)) => return Err(said("period must be greater than or equal to 1")),
            _ => return Err(said("period must be an integer")),
        };
        let hold = match arguments.get(1) {
            None | Some(Expr::Integer(-1)) => None,
            Some(Expr::Integer(hold)) => {
                let too_small = |_| said("hold period must be greater than or equal to 0");
                Some(usize::try_from(*hold).map_err(too_small)?)
            }
            Some(_) => return Err(said("hold period must be an integer")),
        };
        let momentum = kind == Kind::Momentum;
        let warmup = match arguments.get(2) {
            None if momentum => Warmup::None,
            None => Warmup::Exponential,
            Some(Expr::Text(text)) => match text.as_str() {
                "exponential" => Warmup::Exponential,
                "simple" => Warmup::Simple,
                "none" if momentum => Warmup::None,
                _ => {
                    let none = if momentum { "'none' " } else { "" };
                    return Err(said(&format!("warmup type must be one of: {none}'exponential' 'simple'")));
                }
            },
            Some(_) => return Err(said("warmup type must be a string")),
        };
        if warmup == Warmup::None && period < 2 {
            // InfluxDB panics.
            return Err(said("period must be greater than or equal to 2"));
        }
        let hold = hold.unwrap_or_else(|| usual_hold(kind, period, warmup));
        Ok(Self { kind, period, hold, warmup })
    }

    /// The answers to points in their order, from the one behind the held ones on.
    pub(crate) fn over(self, points: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, f64)> {
        let mut step = self.stepper();
        points.map(|(time, value)| (time, step(value))).skip(self.hold).collect()
    }

    fn stepper(self) -> Box<dyn FnMut(f64) -> f64> {
        let average = Average::new(self.period, self.warmup);
        match self.kind {
            Kind::Average => {
                let mut first = average;
                Box::new(move |value| first.add(value))
            }
            Kind::DoubleAverage => {
                let (mut first, mut second) = (average, average);
                Box::new(move |value| {
                    let once = first.add(value);
                    let twice = if first.gives() { second.add(once) } else { once };
                    2.0 * once - twice
                })
            }
            Kind::TripleAverage => {
                let (mut first, mut second, mut third) = (average, average, average);
                Box::new(move |value| {
                    let once = first.add(value);
                    let twice = if first.gives() { second.add(once) } else { once };
                    let thrice = if second.gives() { third.add(twice) } else { twice };
                    3.0 * once - 3.0 * twice + thrice
                })
            }
            Kind::TripleDerivative => triple_derivative(average),
            Kind::RelativeStrength => {
                let mut changes = Changes::new(self.period, self.warmup);
                Box::new(move |value| {
                    let (up, down) = changes.add(value);
                    100.0 - (100.0 / (1.0 + up / down))
                })
            }
            Kind::Momentum if self.warmup == Warmup::None => {
                let mut momentum = Momentum::new(self.period - 1);
                Box::new(move |value| momentum.add(value))
            }
            Kind::Momentum => {
                let mut changes = Changes::new(self.period, self.warmup);
                Box::new(move |value| {
                    let (up, down) = changes.add(value);
                    100.0 * ((up - down) / (up + down))
                })
            }
            Kind::Efficiency => {
                let mut ratio = Efficiency::new(self.period);
                Box::new(move |value| ratio.add(value))
            }
            Kind::AdaptiveAverage => adaptive_average(Efficiency::new(self.period)),
        }
    }
}

/// Points until the answers mean something.
fn usual_hold(kind: Kind, period: usize, warmup: Warmup) -> usize {
    let simple = warmup == Warmup::Simple;
    match kind {
        Kind::Average => period - 1,
        Kind::DoubleAverage => (period - 1) * if simple { 2 } else { 1 },
        Kind::TripleAverage => (period - 1) * if simple { 3 } else { 1 },
        Kind::TripleDerivative => (period - 1) * if simple { 3 } else { 1 } + 1,
        Kind::Momentum if warmup == Warmup::None => period - 1,
        Kind::RelativeStrength | Kind::Momentum | Kind::Efficiency | Kind::AdaptiveAverage => period,
    }
}

/// An exponential moving average.
#[derive(Clone, Copy)]
struct Average {
    period: usize,
    weight: f64,
    simple: bool,
    last: f64,
    count: usize,
}

impl Average {
    fn new(period: usize, warmup: Warmup) -> Self {
        let weight = 2.0 / (period + 1) as f64;
        Self { period, weight, simple: warmup == Warmup::Simple, last: 0.0, count: 0 }
    }

    /// True if what it gives may go on into another average.
    fn gives(&self) -> bool {
        !self.simple || self.count == self.period
    }

    fn add(&mut self, value: f64) -> f64 {
        let before = self.last;
        self.last = if self.count == 0 {
            value
        } else if self.count == self.period {
            (value - before) * self.weight + before
        } else if self.simple {
            (before * self.count as f64 + value) / (self.count + 1) as f64
        } else {
            // A smaller weight at the beginning would give the first value too much.
            (value - before) * (2.0 / (self.count + 2) as f64) + before
        };
        self.count = (self.count + 1).min(self.period);
        self.last
    }
}

fn triple_derivative(average: Average) -> Box<dyn FnMut(f64) -> f64> {
    let (mut first, mut second, mut third) = (average, average, average);
    let mut last = 0.0;
    Box::new(move |value| {
        let mut current = first.add(value);
        if first.gives() {
            current = second.add(current);
            if second.gives() {
                current = third.add(current);
            }
        }
        let rate = ((current / last) - 1.0) * 100.0;
        last = current;
        rate
    })
}

/// Averages of what goes up and of what goes down.
struct Changes {
    up: Average,
    down: Average,
    last: f64,
}

impl Changes {
    fn new(period: usize, warmup: Warmup) -> Self {
        let average = Average { weight: 1.0 / period as f64, ..Average::new(period + 1, warmup) };
        Self { up: average, down: average, last: 0.0 }
    }

    /// The first value counts from zero, as in InfluxDB.
    fn add(&mut self, value: f64) -> (f64, f64) {
        let change = value - self.last;
        self.last = value;
        (self.up.add(change.max(0.0)), self.down.add((-change).max(0.0)))
    }
}

/// Sums of what went up and down over some changes.
struct Momentum {
    /// A ring of values and their changes; the newest is at `at`.
    ring: Vec<(f64, f64)>,
    at: usize,
    begun: bool,
    up: f64,
    down: f64,
}

impl Momentum {
    fn new(changes: usize) -> Self {
        Self { ring: vec![(0.0, 0.0); changes], at: 0, begun: false, up: 0.0, down: 0.0 }
    }

    fn add(&mut self, value: f64) -> f64 {
        let oldest = (self.at + 1) % self.ring.len();
        let change = if self.begun { value - self.ring[self.at].0 } else { 0.0 };
        if change > 0.0 {
            self.up += change;
        } else if change < 0.0 {
            self.down -= change;
        }
        let there_is = self.up != 0.0 || self.down != 0.0;
        let momentum = if there_is { 100.0 * ((self.up - self.down) / (self.up + self.down)) } else { 0.0 };
        let (_, leaving) = self.ring[oldest];
        if leaving > 0.0 {
            self.up -= leaving;
        } else if leaving < 0.0 {
            self.down += leaving;
        }
        self.ring[oldest] = (value, change);
        (self.at, self.begun) = (oldest, true);
        momentum
    }
}

/// How straight the way of the last values was: 1 is a line.
struct Efficiency {
    ring: Vec<(f64, f64)>,
    at: usize,
    noise: f64,
    count: usize,
}

impl Efficiency {
    fn new(period: usize) -> Self {
        Self { ring: vec![(0.0, 0.0); period], at: 0, noise: 0.0, count: 0 }
    }

    fn add(&mut self, value: f64) -> f64 {
        let oldest = (self.at + 1) % self.ring.len();
        let signal = (value - self.ring[oldest].0).abs();
        let step = (value - self.ring[self.at].0).abs();
        self.noise -= self.ring[oldest].1;
        self.noise += step;
        self.at = oldest;
        self.ring[oldest] = (value, step);
        self.count = (self.count + 1).min(self.ring.len() + 1);
        if signal == 0.0 || self.noise == 0.0 { 0.0 } else { signal / self.noise }
    }

    fn is_warm(&self) -> bool {
        self.count == self.ring.len() + 1
    }
}

/// The straighter the way, the faster it follows: between averages of 2 and of 30 points.
fn adaptive_average(mut ratio: Efficiency) -> Box<dyn FnMut(f64) -> f64> {
    let (fast, slow) = (2.0 / (2.0 + 1.0), 2.0 / (30.0 + 1.0));
    let mut last = 0.0;
    Box::new(move |value| {
        if !ratio.is_warm() {
            last = ratio.ring[ratio.at].0;
        }
        let weight = ratio.add(value) * (fast - slow) + slow;
        last += weight * weight * (value - last);
        last
    })
}
