//! What readings weigh on the wire, by the encoder that sends them.
//!
//! A stream carries differences, so what counts is the second batch. Two readings of `show` lie a second apart and an
//! agent's a whole interval: counters are taken to go on as they did, which makes their differences as large as in life.

use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::batch::{BatchId, Encoder, Lane};
use prost::Message;

/// Values, and the bytes that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub values: usize,
    pub bytes: usize,
}

impl Cost {
    /// Bytes for each value.
    #[expect(clippy::cast_precision_loss, reason = "a machine has some hundred values")]
    pub(super) fn each(self) -> f64 {
        if self.values == 0 { 0.0 } else { self.bytes as f64 / self.values as f64 }
    }
}

/// What `now` costs on a stream that has carried `earlier`, which lies `1 / stretch` of an interval before it.
pub(super) fn of(earlier: &[Sample], now: &[Sample], stretch: i64) -> Cost {
    let mut encoder = Encoder::new();
    let id = |sequence| BatchId { generation: u64::MAX, sequence };
    encoder.encode(id(0), Lane::Live, &an_interval_before(earlier, now, stretch));
    let batch = encoder.encode(id(1), Lane::Live, now);
    Cost { values: now.iter().map(|sample| sample.fields.len()).sum(), bytes: batch.encoded_len() }
}

/// The readings of an interval ago: those that were taken, with the way of the integers since then stretched. What was
/// read for the first time is taken to have been the same.
fn an_interval_before(earlier: &[Sample], now: &[Sample], stretch: i64) -> Vec<Sample> {
    let mut before = now.to_vec();
    for sample in &mut before {
        let same = |known: &&Sample| {
            known.measurement == sample.measurement && known.target == sample.target && known.tags == sample.tags
        };
        let Some(known) = earlier.iter().find(same) else { continue };
        for (name, value) in &mut sample.fields {
            let was = known.fields.iter().find(|(known, _)| known == name).map(|(_, was)| was);
            *value = match (&*value, was) {
                (Value::Integer(is), Some(Value::Integer(was))) => {
                    Value::Integer(is.saturating_sub(is.saturating_sub(*was).saturating_mul(stretch)))
                }
                (_, Some(was)) => was.clone(),
                (value, None) => value.clone(),
            };
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::sample;
    use bellwether_logic::time::Timestamp;

    fn counter(value: i64) -> Vec<Sample> {
        vec![sample("net", Vec::new(), Timestamp(0), vec![("bytes_recv", Value::Integer(value))])]
    }

    #[test]
    fn a_counter_weighs_what_it_weighs_after_a_whole_interval() {
        let still = of(&counter(1_000), &counter(1_000), 60).bytes;
        assert_eq!(of(&counter(990), &counter(1_000), 1).bytes, still, "ten more fit the same byte");
        assert_eq!(of(&counter(990), &counter(1_000), 60).bytes, still + 1, "six hundred do not");
        assert_eq!(of(&[], &counter(1_000), 60).bytes, still, "read for the first time");
    }

    #[test]
    fn the_largest_numbers_do_not_run_over() {
        for (earlier, now) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MIN)] {
            assert_eq!(of(&counter(earlier), &counter(now), i64::MAX).values, 1);
        }
    }
}
