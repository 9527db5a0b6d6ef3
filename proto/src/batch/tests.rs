//! What goes in comes out, whatever it is; what was tampered with is refused.

use bellwether_logic::time::Timestamp;

use super::*;
use proptest::prelude::*;
use prost::Message;

const ID: BatchId = BatchId { generation: 7, sequence: 1 };

fn sample(measurement: &'static str, time: i64, fields: Vec<(&'static str, Value)>) -> Sample {
    Sample {
        measurement: measurement.into(),
        tags: vec![("cpu".into(), "cpu-total".into())],
        target: String::new(),
        time: Timestamp(time),
        fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(|cents| Value::Float(f64::from(cents) / 100.0)),
        prop::num::f64::NORMAL.prop_map(Value::Float),
        any::<i64>().prop_map(Value::Integer),
        (any::<i32>(), 0..32_u32).prop_map(|(value, shift)| Value::Integer(i64::from(value) << shift)),
        any::<bool>().prop_map(Value::Boolean),
        "[a-z]{1,5}".prop_map(Value::Text),
    ]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let fields = prop::collection::btree_map("[a-c]", any_value(), 1..4);
    ("[mn]", prop::collection::btree_map("[xy]", "[a-b]", 0..3), "[t]?", any::<i64>(), fields).prop_map(
        |(measurement, tags, target, time, fields)| Sample {
            measurement: measurement.into(),
            tags: tags.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            target,
            time: Timestamp(time),
            fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        },
    )
}

#[test]
fn rows_of_one_time_say_it_once_and_are_read_with_or_without() {
    let row = |time| sample("mem", time, vec![("available", Value::Integer(1))]);
    let mut batch = encode_alone(ID, Lane::Live, &[row(5), row(5)]);
    assert!(batch.times.is_empty());
    assert_eq!(decode_alone(&batch).unwrap(), [row(5), row(5)]);
    batch.times = vec![0, 0];
    assert_eq!(decode_alone(&batch).unwrap(), [row(5), row(5)]);
    batch.times = vec![0];
    assert!(matches!(decode_alone(&batch), Err(DecodeError::Count("times"))));
    let apart = encode_alone(ID, Lane::Live, &[row(5), row(6)]);
    assert_eq!(apart.times, [0, 1]);
    assert_eq!(decode_alone(&apart).unwrap(), [row(5), row(6)]);
}

proptest! {
    #[test]
    fn a_stream_returns_what_was_put_in(batches in prop::collection::vec(prop::collection::vec(any_sample(), 0..8), 1..8)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for samples in batches {
            let bytes = encoder.encode(ID, Lane::Live, &samples).encode_to_vec();
            let batch = v1::Batch::decode(bytes.as_slice()).expect("prost reads what it wrote");
            prop_assert_eq!(decoder.decode(&batch), Ok(samples));
        }
    }

    #[test]
    fn what_is_written_straight_to_bytes_is_the_same_batch(
        mut samples in prop::collection::vec(any_sample(), 0..8),
        name in "[a-z]{120,200}",
        backfill in any::<bool>(),
    ) {
        // A length of two bytes.
        if let Some(sample) = samples.first_mut() {
            sample.tags.push((name.clone().into(), name.clone()));
            sample.fields.push((name.into(), Value::Float(0.1 + 0.2)));
        }
        let lane = if backfill { Lane::Backfill } else { Lane::Live };
        let alone = Alone::of(ID, lane, &samples);
        let batch = encode_alone(ID, lane, &samples);
        prop_assert_eq!(&alone, &Alone::from(&batch));
        prop_assert_eq!(v1::Batch::decode(alone.bytes.as_slice()), Ok(batch));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(batch) = v1::Batch::decode(bytes.as_slice()) {
            let _ = decode_alone(&batch);
        }
    }

    #[test]
    fn a_tampered_batch_never_panics(
        samples in prop::collection::vec(any_sample(), 1..6),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let mut bytes = encode_alone(ID, Lane::Backfill, &samples).encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(batch) = v1::Batch::decode(bytes.as_slice()) {
            let _ = decode_alone(&batch);
        }
    }
}

#[test]
fn steady_readings_cost_less_than_two_bytes_a_value() {
    let mut encoder = Encoder::new();
    let reading = |tick: i64| -> Vec<Sample> {
        let wobble = f64::from(i32::try_from(tick % 7).unwrap());
        (0..10)
            .map(|_| {
                sample(
                    "cpu",
                    tick * 60_000,
                    vec![("idle", Value::Float(97.5 - wobble / 100.0)), ("up", Value::Integer(tick * 60))],
                )
            })
            .collect()
    };
    encoder.encode(ID, Lane::Live, &reading(0));
    let bytes = encoder.encode(ID, Lane::Live, &reading(1)).encoded_len();
    assert!(bytes < 2 * 20 + 40, "20 values in {bytes} bytes");
}

#[test]
fn a_float_that_needs_more_decimals_is_defined_anew_and_stays_exact() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    for value in [50.0, 50.13, 0.125, 1.0 / 3.0, 2.5, 1e300, -0.001] {
        let samples = vec![sample("m", 0, vec![("f", Value::Float(value))])];
        assert_eq!(decoder.decode(&encoder.encode(ID, Lane::Live, &samples)), Ok(samples));
    }
}

#[test]
fn what_is_not_finite_is_left_out() {
    let mixed = sample("m", 0, vec![("bad", Value::Float(f64::NAN)), ("good", Value::Integer(1))]);
    let empty = sample("m", 0, vec![("bad", Value::Float(f64::INFINITY))]);
    let decoded = decode_alone(&encode_alone(ID, Lane::Live, &[mixed, empty])).unwrap();
    assert_eq!(decoded, vec![sample("m", 0, vec![("good", Value::Integer(1))])]);
}

#[test]
fn sizes_are_counted_in_pages_until_one_is_not() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let pages = |pages: i64| pages * 4_096;
    let mut weigh = |value: i64| {
        let samples = [sample("mem", 0, vec![("free", Value::Integer(value))])];
        let batch = encoder.encode(ID, Lane::Live, &samples);
        assert_eq!(decoder.decode(&batch).unwrap(), samples);
        (batch.define.len(), batch.values[0])
    };
    assert_eq!(weigh(pages(1_000)), (1, 1_000));
    assert_eq!(weigh(pages(990)), (0, -10));
    assert_eq!(weigh(0), (0, -990));
    assert_eq!(weigh(-pages(7)), (0, -7));
    assert_eq!(weigh(512 * 3), (1, 3), "sectors");
    assert_eq!(weigh(1), (1, 1), "ones");
    assert_eq!(weigh(pages(1_000)), (0, pages(1_000) - 1), "a field that was counted in ones stays so");
}

#[test]
fn each_fault_has_its_sentence() {
    let good = encode_alone(ID, Lane::Live, &[sample("m", 0, vec![("f", Value::Boolean(true))])]);
    let broken = |change: fn(&mut v1::Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        decode_alone(&batch).unwrap_err().to_string()
    };
    assert_eq!(broken(|batch| batch.define.clear()), "series 1 was never defined");
    assert_eq!(broken(|batch| batch.rows[0] = 0), "series 0 was never defined");
    assert_eq!(broken(|batch| batch.values[0] = 2), "`f`: a value outside its type");
    assert_eq!(broken(|batch| batch.values.clear()), "values do not match the rows");
    assert_eq!(broken(|batch| batch.times = vec![0, 1]), "times do not match the rows");
    assert_eq!(broken(|batch| batch.values.push(1)), "values do not match the rows");
    assert!(broken(|batch| batch.define[0].fields.clear()).starts_with("series `m`: tags must ascend"));
    let shifted = |batch: &mut v1::Batch| {
        let field = &mut batch.define[0].fields[0];
        (field.r#type, field.decimals) = (FieldType::FieldShifted.into(), 32);
    };
    let mut too_large = good.clone();
    shifted(&mut too_large);
    too_large.values[0] = i64::MAX;
    assert_eq!(decode_alone(&too_large).unwrap_err().to_string(), "`f`: a value outside its type");
    let mut no_shift = good.clone();
    shifted(&mut no_shift);
    no_shift.define[0].fields[0].decimals = 33;
    assert!(matches!(decode_alone(&no_shift), Err(DecodeError::Definition(_))));
    assert_eq!(
        broken(|batch| batch.define[0].measurement = "x".repeat(2_000)),
        "a measurement's name of 2000 bytes: expected 1 to 1024"
    );
    assert_eq!(broken(|batch| batch.rows = vec![1; MAX_ROWS + 1]), "rows: 8193, of which at most 8192 are taken");
}

#[test]
fn a_dictionary_says_when_it_is_full_before_the_other_end_refuses() {
    let of_rows = |tick: i64| (0..8_000).map(|row| named("disk", tick, &format!("{tick}-{row}"), 1)).collect();
    let of_words = |tick: i64| {
        let words = (0..8_000).map(|row| ("word", Value::Text(format!("{tick}-{row}"))));
        vec![sample("words", tick, words.collect())]
    };
    let of_bytes = |tick: i64| {
        let long = "x".repeat(MAX_STRING_BYTES - 20);
        (0..4_000).map(|row| named("long", tick, &format!("{long}{tick}-{row}"), 1)).collect()
    };
    let rows: &dyn Fn(i64) -> Vec<Sample> = &of_rows;
    for (make, what) in [(rows, "series"), (&of_words, "strings"), (&of_bytes, "bytes of a dictionary")] {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let (mut tick, mut samples) = (1, make(0));
        while encoder.fits(&samples) {
            assert!(decoder.decode(&encoder.encode(ID, Lane::Live, &samples)).is_ok());
            samples = make(tick);
            tick += 1;
        }
        assert!(tick > 6, "{what} {tick}");
        let refused = decoder.decode(&encoder.encode(ID, Lane::Live, &samples)).unwrap_err();
        assert!(matches!(refused, DecodeError::TooMany { what: of, .. } if of == what), "{refused:?}");
        assert!(Encoder::new().fits(&samples), "an empty one takes anything");
    }
}

fn named(measurement: &'static str, time: i64, name: &str, fields: usize) -> Sample {
    const FIELDS: [&str; 8] = [
        "average_response_ms",
        "jitter_ms",
        "maximum_response_ms",
        "minimum_response_ms",
        "packets_received",
        "packets_transmitted",
        "percent_packet_loss",
        "standard_deviation_ms",
    ];
    let fields = FIELDS.iter().take(fields).map(|field| (*field, Value::Float(0.25))).collect();
    let tags = vec![("url".into(), name.to_owned())];
    Sample { tags, target: name.to_owned(), ..sample(measurement, time, fields) }
}

#[test]
fn twenty_thousand_targets_go_by_one_stream_whether_they_answer_or_not() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let targets: Vec<String> = (0..20_000).map(|number| format!("building-12-room-{number:05}")).collect();
    let more_decimals = |sample: &mut Sample| {
        sample.fields.iter_mut().for_each(|(_, value)| *value = Value::Float(0.125));
    };
    for (round, fields) in [8, 8, 4, 8].into_iter().enumerate() {
        for targets in targets.chunks(1_000) {
            let mut samples: Vec<Sample> =
                targets.iter().map(|name| named("ping", i64::try_from(round).unwrap(), name, fields)).collect();
            if round == 1 {
                samples.iter_mut().for_each(more_decimals);
            }
            assert!(encoder.fits(&samples), "round {round}");
            assert_eq!(decoder.decode(&encoder.encode(ID, Lane::Live, &samples)).unwrap(), samples);
        }
    }
}
