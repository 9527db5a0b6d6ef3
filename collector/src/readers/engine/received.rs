//! What was received of each generation of each device: the rows of the table, at hand, and bounded as ingest's
//! ledgers are.

use std::collections::{BTreeMap, VecDeque};

use bellwether_logic::ranges::RangeSet;
use bellwether_logic::receipts::GENERATIONS_MAX;

use crate::state::engine::ReceiptRow;

/// Each device's generations, the one that was used longest ago first.
#[derive(Debug, Default)]
pub(super) struct Received(BTreeMap<String, VecDeque<ReceiptRow>>);

impl Received {
    /// As the table has it, the row that changed longest ago first.
    pub(super) fn load(rows: Vec<ReceiptRow>) -> Self {
        let mut received = Self::default();
        for row in rows {
            received.0.entry(row.device.clone()).or_default().push_back(row);
        }
        received
    }

    /// The row of a generation, made when there is none; and the generation that made room for it.
    pub(super) fn touch(&mut self, device: &str, generation: u64, offset_ms: i64) -> (&mut ReceiptRow, Option<u64>) {
        let rows = self.0.entry(device.to_owned()).or_default();
        let known = rows.iter().position(|row| row.generation == generation).and_then(|at| rows.remove(at));
        let forgotten = match known {
            None if rows.len() >= GENERATIONS_MAX => rows.pop_front().map(|row| row.generation),
            _ => None,
        };
        let row = known.unwrap_or_else(|| ReceiptRow {
            device: device.to_owned(),
            generation,
            ranges: RangeSet::default(),
            clock_offset_ms: offset_ms,
        });
        rows.push_back(row);
        (rows.back_mut().expect("a row was just put there"), forgotten)
    }

    /// The row of a generation.
    pub(super) fn get(&self, device: &str, generation: u64) -> Option<&ReceiptRow> {
        self.0.get(device)?.iter().find(|row| row.generation == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_restarts_for_ever_takes_no_more_room() {
        let mut received = Received::default();
        for generation in 0..GENERATIONS_MAX as u64 {
            assert_eq!(received.touch("d1", generation, 0).1, None);
        }
        received.touch("d1", 0, 0).0.ranges.insert(7);
        assert_eq!(received.touch("d1", 1_000, 0).1, Some(1));
        assert_eq!(received.touch("d2", 1_000, 0).1, None);
        assert!(received.get("d1", 0).unwrap().ranges.contains(7));
        assert!(received.get("d1", 1).is_none());
    }
}
