//! The pure part of ingest: which samples of a batch are kept, and at what time.

use std::time::Duration;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{self, Measurement};

/// How far a sample may lie ahead of the collector's clock, after correction. More would sit at the top of every page
/// until its time came.
const AHEAD_MAX: Duration = Duration::from_secs(600);

/// Nothing was read before Bellwether was written: such a time is that of a clock that was never set, and of a generation
/// that never said hello, or it would have been corrected. 2020-01-01.
const FIRST: Timestamp = Timestamp(1_577_836_800_000);

/// What was not kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// Samples that no measurement declares.
    pub(super) undeclared: usize,
    /// Samples of the future.
    pub(super) ahead: usize,
    /// Samples whose time nobody knows.
    pub(super) undated: usize,
    /// One of the reasons, for the log.
    pub(super) example: Option<String>,
}

impl Refused {
    /// The figures that are not zero.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&'static str, usize)> {
        [("undeclared", self.undeclared), ("ahead", self.ahead), ("undated", self.undated)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
    }
}

/// Corrects the times of samples and keeps those that are declared and lie between Bellwether's beginning and now.
pub(super) fn prepare(
    declared: &[&Measurement],
    offset_ms: i64,
    now: Timestamp,
    samples: &[Sample],
) -> (Vec<Sample>, Refused) {
    let mut refused = Refused::default();
    let mut kept = Vec::with_capacity(samples.len());
    for sample in samples {
        let time = Timestamp(sample.time.0.saturating_add(offset_ms));
        if let Err(undeclared) = schema::check(declared, sample) {
            refused.undeclared += 1;
            refused.example.get_or_insert_with(|| undeclared.to_string());
        } else if time > now + AHEAD_MAX {
            refused.ahead += 1;
            refused.example.get_or_insert_with(|| format!("a reading of `{}` of the future", sample.measurement));
        } else if time < FIRST {
            refused.undated += 1;
            refused.example.get_or_insert_with(|| format!("a reading of `{}` without a date", sample.measurement));
        } else {
            kept.push(Sample { time, ..sample.clone() });
        }
    }
    (kept, refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::sample::Value;
    use bellwether_proto::schema::{Field, FieldKind, Privacy};

    const LAMP: Measurement = Measurement {
        name: "lamp",
        tags: &[],
        fields: &[Field { name: "hours", kind: FieldKind::Integer, unit: "h", description: "Hours burnt." }],
        privacy: Privacy::Health,
        description: "A lamp.",
    };

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn sample(measurement: &'static str, time: Timestamp) -> Sample {
        Sample {
            measurement: measurement.into(),
            tags: Vec::new(),
            target: String::new(),
            time,
            fields: vec![("hours".into(), Value::Integer(1))],
        }
    }

    #[test]
    fn an_undeclared_sample_is_refused_and_the_rest_is_kept() {
        let samples = [sample("lamp", NOW), sample("diary", NOW)];
        let (kept, refused) = prepare(&[&LAMP], 0, NOW, &samples);
        assert_eq!(kept, samples[..1]);
        assert_eq!(refused.undeclared, 1);
        assert!(refused.example.unwrap().contains("diary"));
    }

    #[test]
    fn a_clock_a_year_behind_is_corrected() {
        let year = 365 * 86_400_000;
        let samples = [sample("lamp", Timestamp(NOW.0 - year))];
        let (kept, _) = prepare(&[&LAMP], year, NOW, &samples);
        assert_eq!(kept[0].time, NOW);
    }

    #[test]
    fn a_reading_of_the_future_is_refused() {
        let samples = [sample("lamp", NOW + AHEAD_MAX), sample("lamp", NOW + AHEAD_MAX + Duration::from_millis(1))];
        let (kept, refused) = prepare(&[&LAMP], 0, NOW, &samples);
        assert_eq!((kept.len(), refused.ahead), (1, 1));
        assert_eq!(refused.counted().collect::<Vec<_>>(), [("ahead", 1)]);
    }

    #[test]
    fn a_reading_of_a_clock_that_was_never_set_is_refused_unless_it_is_known_by_how_much_it_was_off() {
        let samples = [sample("lamp", Timestamp(90_000)), sample("lamp", FIRST)];
        let (kept, refused) = prepare(&[&LAMP], 0, NOW, &samples);
        assert_eq!((kept.len(), refused.counted().collect::<Vec<_>>()), (1, vec![("undated", 1)]));
        let (kept, refused) = prepare(&[&LAMP], NOW.0 - 100_000, NOW, &samples[..1]);
        assert_eq!((kept[0].time, refused), (Timestamp(NOW.0 - 10_000), Refused::default()));
    }
}
