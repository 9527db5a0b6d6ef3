//! What goes in comes out; what comes from elsewhere is refused, not believed.

use std::sync::Arc;

use proptest::prelude::*;

use super::bits::Reader;
use super::{CodecError, Effort, block, floats, integers};
use crate::chunk::{Chunk, Column, Values};
use crate::point::FieldKind;

fn integers_back(values: &[i64]) -> Vec<i64> {
    let mut bytes = Vec::new();
    integers::encode(&mut bytes, values);
    let mut input = Reader::new(&bytes);
    let back = integers::decode(&mut input, values.len()).unwrap();
    assert!(input.is_empty());
    back
}

fn floats_back(values: &[f64]) -> (Vec<u64>, usize) {
    let mut bytes = Vec::new();
    floats::encode(&mut bytes, values, Effort::Quick).unwrap();
    let back = floats::decode(&mut Reader::new(&bytes), values.len()).unwrap();
    (back.iter().map(|value| value.to_bits()).collect(), bytes.len())
}

/// Numbers as health data has them, and the worst ones.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -100i64..100, Just(i64::MIN), Just(i64::MAX), (0i64..1000).prop_map(|n| n * 4096)]
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
        (0i64..10_000).prop_map(|n| n as f64 / 100.0),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        Just(f64::MAX),
    ]
}

proptest! {
    #[test]
    fn integers_come_back(values in prop::collection::vec(number(), 0..300)) {
        prop_assert_eq!(integers_back(&values), values);
    }

    #[test]
    fn a_counter_comes_back(start in any::<i64>(), steps in prop::collection::vec(0i64..5000, 0..300)) {
        let mut at = start;
        let values: Vec<i64> = steps.into_iter().map(|step| { at = at.wrapping_add(step); at }).collect();
        prop_assert_eq!(integers_back(&values), values);
    }

    #[test]
    fn floats_come_back_to_the_last_bit(values in prop::collection::vec(finite(), 0..200)) {
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(floats_back(&values).0, bits);
    }

    #[test]
    fn a_block_with_holes_comes_back(rows in prop::collection::vec((any::<bool>(), number(), any::<bool>(), "[a-c]{0,2}"), 1..150)) {
        let chunk = chunk(&rows);
        let bytes = block::encode(&chunk).unwrap();
        prop_assert_eq!(cells(&block::decode(&bytes, |_| true).unwrap()), cells(&chunk));
        let only = block::decode(&bytes, |field| field == 2).unwrap();
        prop_assert!(only.columns.iter().all(|column| column.field == 2));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = block::decode(&bytes, |_| true);
        // Past the checksum as well.
        let mut sealed = vec![block::FORMAT];
        sealed.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        sealed.extend_from_slice(&bytes);
        let _ = block::decode(&sealed, |_| true);
    }

    #[test]
    fn one_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = block::encode(&chunk(&vec![(true, 7, true, "x".to_owned()); 50])).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(block::decode(&bytes, |_| true).is_err());
    }
}

// Packing small is slow without optimisation.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_large_block_comes_back_smaller_or_as_large(rows in prop::collection::vec((any::<bool>(), number(), any::<bool>(), "[a-c]{0,2}"), 300..700)) {
        let chunk = chunk(&rows);
        let (quick, small) = (block::encode(&chunk).unwrap(), block::encode_with(&chunk, Effort::Small).unwrap());
        prop_assert!(small.len() <= quick.len());
        prop_assert_eq!(cells(&block::decode(&small, |_| true).unwrap()), cells(&chunk));
    }

    #[test]
    fn a_small_block_with_other_bytes_is_refused_without_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let rows: Vec<_> = (0..500).map(|row| (true, row * row % 977, row % 3 == 0, "x".to_owned())).collect();
        let mut bytes = block::encode_with(&chunk(&rows), Effort::Small).unwrap();
        let at = 5 + at.index(bytes.len() - 5);
        bytes[at] = byte;
        block::seal(&mut bytes);
        let _ = block::decode(&bytes, |_| true);
    }
}

fn chunk(rows: &[(bool, i64, bool, String)]) -> Chunk {
    let mut chunk =
        Chunk { times: (0..rows.len() as i64).map(|at| at * 60_000_000_000).collect(), columns: Vec::new() };
    let mut columns = [FieldKind::Float, FieldKind::Integer, FieldKind::Unsigned, FieldKind::Boolean, FieldKind::Text]
        .map(|kind| Column::new(u32::from(kind.code()), kind));
    for (row, (present, number, flag, text)) in rows.iter().enumerate() {
        use crate::point::FieldValue as V;
        if *present {
            columns[0].put(row, &V::Float(*number as f64 / 8.0));
            columns[2].put(row, &V::Unsigned(*number as u64));
        }
        if *flag {
            columns[1].put(row, &V::Integer(*number));
            columns[4].put(row, &V::Text(Arc::from(text.as_str())));
        }
        columns[3].put(row, &V::Boolean(*flag));
    }
    chunk.columns = columns.into_iter().filter(|column| column.values.len() > 0).collect();
    chunk
}

fn cells(chunk: &Chunk) -> Vec<String> {
    let mut cells = Vec::new();
    for (row, time) in chunk.times.iter().enumerate() {
        for column in &chunk.columns {
            cells.push(format!("{time} {} {:?}", column.field, column.get(row)));
        }
    }
    cells
}

#[test]
fn nan_and_infinities_are_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let chunk = Chunk {
            times: vec![1, 2],
            columns: vec![Column { field: 0, values: Values::Float(vec![1.0, bad]), present: None }],
        };
        assert_eq!(block::encode(&chunk), Err(CodecError::NotFinite));
    }
}

#[test]
fn a_newer_block_format_is_named() {
    assert_eq!(block::decode(&[9, 0, 0, 0, 0], |_| true), Err(CodecError::Format(9)));
}

#[test]
fn a_plateau_costs_next_to_nothing_and_a_percentage_less_than_two_bytes() {
    assert!(floats_back(&[12.5; 1000]).1 < 20);
    let walk: Vec<f64> = (0..1000).map(|at| (5000.0 + f64::from(at * 37 % 101)) / 100.0).collect();
    assert!(floats_back(&walk).1 < 1500);
    assert!(integers_back(&[0; 1000]).len() == 1000);
}
