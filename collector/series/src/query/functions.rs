//! The functions of SELECT: their names, what they take, what they give. One list; a new function is a line here and an arm where it is computed.

use super::forecast::Forecast;
use super::technical::{self, Technical};
use crate::point::FieldKind;

/// A function that turns the points of a bucket into a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Bottom(usize),
    Count,
    CountDistinct,
    Distinct,
    First,
    Last,
    Max,
    Mean,
    Median,
    Min,
    Mode,
    Percentile(f64),
    Sample(usize),
    Spread,
    Stddev,
    Sum,
    Top(usize),
    /// The points themselves, for a transformation of raw points.
    Points,
}

/// A function that turns a run of values into another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transform {
    CumulativeSum,
    Derivative {
        unit: i64,
        non_negative: bool,
    },
    Difference {
        non_negative: bool,
    },
    Elapsed(i64),
    /// The area under the points, in values times this many nanoseconds.
    Integral(i64),
    /// What comes next.
    Forecast(Forecast),
    MovingAverage(usize),
    Technical(Technical),
}

impl Function {
    /// One of the points is the answer, so it has a time and neighbours.
    pub(crate) fn is_selector(self) -> bool {
        let one = matches!(self, Self::First | Self::Last | Self::Max | Self::Min | Self::Percentile(_));
        one || self.gives_points()
    }

    /// Several of the points are the answer.
    pub(crate) fn gives_points(self) -> bool {
        matches!(self, Self::Top(_) | Self::Bottom(_) | Self::Sample(_))
    }

    /// The kind of the answer; `None` if the function does not take this kind.
    pub(crate) fn answer_kind(self, kind: FieldKind) -> Option<FieldKind> {
        match self {
            Self::Count | Self::CountDistinct => Some(FieldKind::Integer),
            Self::Distinct | Self::First | Self::Last | Self::Mode | Self::Points | Self::Sample(_) => Some(kind),
            Self::Max | Self::Min => (kind != FieldKind::Text).then_some(kind),
            Self::Sum | Self::Spread | Self::Percentile(_) | Self::Top(_) | Self::Bottom(_) => {
                kind.is_number().then_some(kind)
            }
            Self::Mean | Self::Median | Self::Stddev => kind.is_number().then_some(FieldKind::Float),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bottom(_) => "bottom",
            Self::Sample(_) => "sample",
            Self::Top(_) => "top",
            Self::Count | Self::CountDistinct => "count",
            Self::Distinct => "distinct",
            Self::First => "first",
            Self::Last => "last",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Min => "min",
            Self::Mode => "mode",
            Self::Percentile(_) => "percentile",
            Self::Spread => "spread",
            Self::Stddev => "stddev",
            Self::Sum => "sum",
            Self::Points => "points",
        }
    }

    /// The functions without parameters.
    pub(crate) fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "count" => Self::Count,
            "distinct" => Self::Distinct,
            "first" => Self::First,
            "last" => Self::Last,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "median" => Self::Median,
            "min" => Self::Min,
            "mode" => Self::Mode,
            "spread" => Self::Spread,
            "stddev" => Self::Stddev,
            "sum" => Self::Sum,
            _ => return None,
        })
    }
}

/// Names of the transformations.
pub(crate) fn is_transform(name: &str) -> bool {
    let plain = matches!(
        name,
        "cumulative_sum"
            | "derivative"
            | "difference"
            | "elapsed"
            | "holt_winters"
            | "holt_winters_with_fit"
            | "integral"
            | "moving_average"
            | "non_negative_derivative"
            | "non_negative_difference"
    );
    plain || technical::Kind::named(name).is_some()
}

impl Transform {
    /// Buckets before the range that are read so that the first one can be answered. InfluxDB reads one, also for a moving average.
    pub(crate) fn look_back(self) -> i64 {
        match self {
            Self::CumulativeSum | Self::Integral(_) | Self::Forecast(_) => 0,
            _ => 1,
        }
    }

    /// Its points are not those that were put in.
    pub(crate) fn goes_beyond(self) -> bool {
        matches!(self, Self::Forecast(_))
    }

    /// False for values that it can make nothing of.
    pub(crate) fn takes(self, kind: FieldKind) -> bool {
        kind.is_number() || matches!(self, Self::Elapsed(_))
    }

    /// As InfluxDB calls it in its messages.
    pub(crate) fn words(self) -> String {
        let name = match self {
            Self::CumulativeSum => "cumulative sum",
            Self::Derivative { .. } => "derivative",
            Self::Difference { .. } => "difference",
            Self::Elapsed(_) => "elapsed",
            Self::Forecast(_) => "holt winters",
            Self::Integral(_) => "integral",
            Self::MovingAverage(_) => "moving average",
            Self::Technical(technical) => return technical.name().replace('_', " "),
        };
        name.to_owned()
    }

    /// The kind of what it makes of this kind.
    pub(crate) fn answer_kind(self, kind: FieldKind) -> FieldKind {
        match self {
            Self::CumulativeSum | Self::Difference { .. } => kind,
            Self::Derivative { .. }
            | Self::Forecast(_)
            | Self::Integral(_)
            | Self::MovingAverage(_)
            | Self::Technical(_) => FieldKind::Float,
            Self::Elapsed(_) => FieldKind::Integer,
        }
    }
}
