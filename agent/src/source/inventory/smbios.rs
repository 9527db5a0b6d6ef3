//! Memory modules from the firmware's tables (SMBIOS 3.7, structure 17), whatever rubbish stands in them.

/// A memory slot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    /// 0 for an empty slot; none if it is not known.
    pub size_bytes: Option<u64>,
    pub speed_mts: Option<u64>,
    pub make: Option<String>,
    pub part: Option<String>,
}

const MEMORY_DEVICE: u8 = 17;
const END: u8 = 127;

/// Structures of one table; real ones have some hundred.
const MAX_STRUCTURES: usize = 4_096;

/// All memory slots.
pub(super) fn modules(mut table: &[u8]) -> Vec<Module> {
    let mut modules = Vec::new();
    for _ in 0..MAX_STRUCTURES {
        let Some((kind, body, rest)) = structure(table) else { break };
        match kind {
            MEMORY_DEVICE => modules.push(module(body, &table[body.len()..])),
            END => break,
            _ => {}
        }
        table = rest;
    }
    modules
}

/// The first structure: its kind, its fixed part, and what comes behind its strings.
fn structure(table: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let length = usize::from(*table.get(1)?);
    let body = table.get(..length).filter(|body| body.len() >= 4)?;
    let strings = &table[length..];
    let end = strings.windows(2).position(|pair| pair == [0, 0])?;
    Some((body[0], body, &strings[end + 2..]))
}

fn module(body: &[u8], strings: &[u8]) -> Module {
    let word = |at: usize| Some(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let double = |at: usize| Some(u32::from(word(at)?) | u32::from(word(at + 2)?) << 16);
    let text = |at: usize| string(strings, *body.get(at)?);
    let size_bytes = match word(0x0C) {
        None | Some(0xFFFF) => None,
        // 32 GiB and more stand in a field of their own, in mebibytes.
        Some(0x7FFF) => double(0x1C).map(|mib| u64::from(mib & 0x7FFF_FFFF) << 20),
        Some(kib) if kib & 0x8000 != 0 => Some(u64::from(kib & 0x7FFF) << 10),
        Some(mib) => Some(u64::from(mib) << 20),
    };
    let speed_mts = word(0x15).filter(|speed| *speed != 0 && *speed != 0xFFFF).map(u64::from);
    Module { size_bytes, speed_mts, make: text(0x17), part: text(0x1A) }
}

/// String number `number`, from 1.
fn string(strings: &[u8], number: u8) -> Option<String> {
    let place = usize::from(number).checked_sub(1)?;
    let bytes = strings.split(|byte| *byte == 0).take_while(|bytes| !bytes.is_empty()).nth(place)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(size: u16, extended: u32, strings: &[&str]) -> Vec<u8> {
        let mut body = vec![0u8; 0x28];
        body[0] = MEMORY_DEVICE;
        body[1] = 0x28;
        body[0x0C..0x0E].copy_from_slice(&size.to_le_bytes());
        body[0x15..0x17].copy_from_slice(&3200u16.to_le_bytes());
        (body[0x17], body[0x1A]) = (1, 2);
        body[0x1C..0x20].copy_from_slice(&extended.to_le_bytes());
        strings.iter().for_each(|text| body.extend(text.bytes().chain([0])));
        body.extend(if strings.is_empty() { [0u8, 0].as_slice() } else { [0u8].as_slice() });
        body
    }

    #[test]
    fn modules_are_read_with_size_make_and_part() {
        let mut table = vec![1, 4, 0, 0, b'x', 0, 0];
        table.extend(slot(8_192, 0, &["Samsung", "M471A1K43DB1-CWE"]));
        table.extend(slot(0x7FFF, 65_536, &["Micron", "X"]));
        table.extend(slot(0, 0, &[]));
        table.extend(slot(0xFFFF, 0, &["?", "?"]));
        table.extend([END, 4, 0, 0, 0, 0]);
        table.extend(slot(1, 0, &[]));
        let modules = modules(&table);
        let sizes: Vec<_> = modules.iter().map(|module| module.size_bytes.map(|bytes| bytes >> 30)).collect();
        assert_eq!(sizes, [Some(8), Some(64), Some(0), None]);
        assert_eq!(modules[0].part.as_deref(), Some("M471A1K43DB1-CWE"));
        assert_eq!((modules[2].make.as_deref(), modules[0].speed_mts), (None, Some(3_200)));
    }

    proptest! {
        #[test]
        fn no_table_makes_it_fall_over(table in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..60) {
            modules(&table);
            modules(&slot(8_192, 0, &["a", "b"])[..at.min(44)]);
        }
    }
}
