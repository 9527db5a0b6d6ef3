//! Blocks of a series file: any bytes are unpacked or refused, with bounded memory, and what is unpacked packs to the same
//! bytes again and again.

use std::sync::Arc;

use bellwether_series::{FieldValue, MAX_BLOCK_CELLS, Point, pack_block, seal_block, unpack_block};
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutate;

pub fn run(rng: &mut StdRng) {
    for _ in 0..100 {
        let rows = rows(rng);
        let small = rng.random_range(0..2) == 0;
        let good = pack_block(&rows, small).expect("finite values");
        let whole = unpack_block(&good).expect("what was written by ourselves");
        assert_eq!(whole.rows, rows.len());
        assert_eq!(whole.again, Some(pack_block(&rows, false).expect("finite values")));
        for _ in 0..10 {
            let mut bad = good.clone();
            for _ in 0..rng.random_range(1..6) {
                mutate::bytes(rng, &mut bad);
            }
            // Most must get beyond the checksum.
            if rng.random_range(0..10) > 0 {
                seal_block(&mut bad);
            }
            let Ok(unpacked) = unpack_block(&bad) else { continue };
            assert!(unpacked.cells <= MAX_BLOCK_CELLS, "{} cells of {} bytes", unpacked.cells, bad.len());
            let Some(again) = unpacked.again else { continue };
            let twice = unpack_block(&again).expect("what was written by ourselves");
            assert_eq!((twice.rows, twice.again.as_ref()), (unpacked.rows, Some(&again)));
        }
    }
}

/// Columns of all kinds, dense and with holes.
fn rows(rng: &mut StdRng) -> Vec<Point<'static>> {
    let count = if rng.random_range(0..20) == 0 { rng.random_range(0..2000) } else { rng.random_range(0..70) };
    let step = [1, 1_000_000_000, 60_000_000_000][rng.random_range(0..3)];
    let kinds: Vec<u32> = (0..rng.random_range(0..6)).map(|_| rng.random_range(0..7)).collect();
    let mut time = rng.random_range(-10..10) * step;
    let row = |_| {
        time += step * rng.random_range(1..3);
        let mut fields = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            if rng.random_range(0..5) > 0 {
                fields.push((format!("f{at}").into(), value(rng, *kind)));
            }
        }
        Point { measurement: "m".into(), tags: Vec::new(), time, fields }
    };
    (0..count).map(row).collect()
}

fn value(rng: &mut StdRng, kind: u32) -> FieldValue {
    match kind {
        0 => FieldValue::Float(f64::from(rng.random_range(0..1000)) / 10.0),
        1 => FieldValue::Float(rng.random()),
        2 => FieldValue::Integer(rng.random_range(0..100)),
        3 => FieldValue::Integer(rng.random()),
        4 => FieldValue::Unsigned(rng.random()),
        5 => FieldValue::Boolean(rng.random()),
        _ => FieldValue::Text(Arc::from(["", "up", "down", "ä"][rng.random_range(0..4)])),
    }
}
