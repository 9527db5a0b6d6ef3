//! What a device is made of and runs, as its agent said last: the section of its page, out of the series store.

use std::collections::BTreeMap;

use bellwether_agent::source::{inventory, os};
use bellwether_logic::time::Timestamp;
use jiff::tz::TimeZone;

use super::readings::{Series, only};
use super::when::When;

/// How far back it is looked for. Agents say it once a day at least; a machine that was away for a year is still shown
/// as it was.
const LOOKED_BACK: &str = "400d";

/// Words that were said of one part: field to value.
type Said = BTreeMap<String, String>;

/// The section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hardware {
    /// When the agent last said so; none if it never did.
    pub(super) at: Option<When>,
    /// What there is one of.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What there are several of.
    pub(super) tables: Vec<Table>,
}

/// Parts of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// `Memory: 16 GB in 2 modules`.
    pub(super) title: String,
    pub(super) heads: Vec<&'static str>,
    /// One value for each head; empty if it was not told.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// A row's values, each with its head.
    pub(super) fn cells<'a>(&'a self, row: &'a [String]) -> impl Iterator<Item = (&'a &'static str, &'a String)> {
        self.heads.iter().zip(row)
    }
}

/// One part, by what tells it from others of its kind.
struct Part {
    tag: String,
    time: i64,
    said: Said,
}

/// Asks for the section. Blocks.
pub(super) fn ask(series: &dyn Series, device: &str, now: Timestamp, zone: &TimeZone) -> Hardware {
    let mut parts: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
    for measurement in inventory::MEASUREMENTS.iter().chain(os::MEASUREMENTS) {
        let fields: Vec<String> = measurement.fields.iter().map(|field| format!("\"{}\"", field.name)).collect();
        let tag = measurement.tags.first();
        let query = format!(
            "SELECT {} FROM \"{}\" WHERE time > now() - {LOOKED_BACK}{}{} ORDER BY time DESC LIMIT 1",
            fields.join(", "),
            measurement.name,
            only(device),
            tag.map(|tag| format!(" GROUP BY \"{tag}\"")).unwrap_or_default(),
        );
        let newest = series.tell(&query, now).into_iter().filter_map(|told| {
            let (time, said) = told.rows.into_iter().next()?;
            let tag = tag.and_then(|tag| told.tags.get(*tag).cloned()).unwrap_or_default();
            Some(Part { tag, time, said })
        });
        let mut newest: Vec<Part> = newest.collect();
        newest.sort_by(|one, other| one.tag.cmp(&other.tag));
        parts.insert(measurement.name, newest);
    }
    // The parts of one reading bear one time: what the newest reading does not have was taken out.
    let of_inventory = || parts.iter().filter(|(name, _)| name.starts_with("inventory_")).flat_map(|(_, parts)| parts);
    let newest = of_inventory().map(|part| part.time).max();
    let shown = newest.or_else(|| parts.values().flatten().map(|part| part.time).max());
    for (name, parts) in &mut parts {
        parts.retain(|part| !name.starts_with("inventory_") || Some(part.time) == newest);
    }
    section(&parts, shown.map(|time| When::new(Timestamp(time), now, zone)))
}

fn section(parts: &BTreeMap<&str, Vec<Part>>, at: Option<When>) -> Hardware {
    let none = Said::new();
    let one = |name: &str| parts.get(name).and_then(|parts| parts.first()).map_or(&none, |part| &part.said);
    let many = |name: &str| parts.get(name).map(Vec::as_slice).unwrap_or_default();
    let (device, cpu, system, firmware) = (one("inventory_device"), one("inventory_cpu"), one("os"), one("firmware"));
    let all = [
        ("Make", word(device, "make")),
        ("Model", word(device, "model")),
        ("Serial number", word(device, "serial")),
        ("Asset tag", word(device, "asset_tag")),
        ("Board", word(device, "board")),
        ("Firmware", dated(firmware)),
        ("Processor", processor(cpu)),
        ("System", [word(system, "name"), word(system, "version")].join(" ").trim().to_owned()),
        ("Build", word(system, "build")),
        ("Kernel", word(system, "kernel")),
    ];
    let tables = [memory(many("inventory_memory")), disks(many("inventory_disk")), cards(many("inventory_nic"))];
    Hardware {
        at,
        facts: all.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        tables: tables.into_iter().flatten().collect(),
    }
}

fn word(said: &Said, field: &str) -> String {
    said.get(field).cloned().unwrap_or_default()
}

fn number(said: &Said, field: &str) -> Option<u64> {
    said.get(field)?.parse().ok()
}

fn dated(firmware: &Said) -> String {
    let (version, date) = (word(firmware, "version"), word(firmware, "date"));
    if version.is_empty() || date.is_empty() { version + &date } else { format!("{version} of {date}") }
}

fn processor(cpu: &Said) -> String {
    let counted = |field, thing: &str| number(cpu, field).map(|count| plural(count, thing));
    let counts: Vec<String> = [counted("cores", "core"), counted("threads", "thread")].into_iter().flatten().collect();
    let all = [word(cpu, "model"), counts.join(", ")];
    all.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn memory(modules: &[Part]) -> Option<Table> {
    let mut slots: Vec<(u64, &Part)> =
        modules.iter().map(|module| (module.tag.parse().unwrap_or(u64::MAX), module)).collect();
    slots.sort_by_key(|(slot, _)| *slot);
    let sizes = || modules.iter().filter_map(|module| number(&module.said, "size_bytes")).filter(|size| *size > 0);
    let total = sizes().fold(0, u64::saturating_add);
    let rows = slots.iter().map(|(_, module)| {
        let said = &module.said;
        let size = match number(said, "size_bytes") {
            Some(0) => "empty".to_owned(),
            size => size.map(memory_size).unwrap_or_default(),
        };
        let speed = number(said, "speed_mts").map(|speed| format!("{speed} MT/s")).unwrap_or_default();
        vec![module.tag.clone(), size, word(said, "make"), word(said, "part"), speed]
    });
    let count = u64::try_from(sizes().count()).unwrap_or(u64::MAX);
    let title = match total {
        0 => "Memory".to_owned(),
        total => format!("Memory: {} in {}", memory_size(total), plural(count, "module")),
    };
    table(title, &["Slot", "Size", "Make", "Part number", "Speed"], rows.collect())
}

fn disks(disks: &[Part]) -> Option<Table> {
    let rows = disks.iter().map(|disk| {
        let said = &disk.said;
        let kind = match said.get("rotational").map(String::as_str) {
            Some("true") => "hard disk",
            Some("false") => "solid state",
            _ => "",
        };
        let size = number(said, "size_bytes").map(disk_size).unwrap_or_default();
        vec![disk.tag.clone(), size, kind.to_owned(), word(said, "model"), word(said, "serial")]
    });
    table("Disks".to_owned(), &["Disk", "Size", "Kind", "Model", "Serial number"], rows.collect())
}

fn cards(cards: &[Part]) -> Option<Table> {
    let rows = cards.iter().map(|card| {
        let kind = match card.said.get("wireless").map(String::as_str) {
            Some("true") => "wireless",
            Some("false") => "wired",
            _ => "",
        };
        vec![card.tag.clone(), kind.to_owned(), word(&card.said, "driver")]
    });
    table("Network cards".to_owned(), &["Address", "Kind", "Driver"], rows.collect())
}

/// Without the columns of which nothing was told; none if nothing was.
fn table(title: String, heads: &[&'static str], mut rows: Vec<Vec<String>>) -> Option<Table> {
    let told: Vec<bool> = (0..heads.len()).map(|column| rows.iter().any(|row| !row[column].is_empty())).collect();
    for row in &mut rows {
        let mut column = told.iter();
        row.retain(|_| column.next() == Some(&true));
    }
    let heads = heads.iter().zip(&told).filter(|(_, told)| **told).map(|(head, _)| *head).collect();
    (!rows.is_empty()).then_some(Table { title, heads, rows })
}

fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// As memory is sold: 8 GB are 2^33 bytes.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn memory_size(bytes: u64) -> String {
    let megabytes = bytes >> 20;
    if megabytes < 1_024 { format!("{megabytes} MB") } else { short(bytes as f64 / 2_f64.powi(30), "GB") }
}

/// As disks are sold: 512 GB are 512 * 10^9 bytes, and a few.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn disk_size(bytes: u64) -> String {
    match bytes {
        ..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        1_000_000_000..1_000_000_000_000 => format!("{} GB", bytes / 1_000_000_000),
        _ => short(bytes as f64 / 1e12, "TB"),
    }
}

/// With one digit behind the point, unless it is zero.
fn short(value: f64, unit: &str) -> String {
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use bellwether_series::{FieldValue, Options, Point, Store};

    use super::*;
    use crate::points::DATABASE;

    const NOW: Timestamp = Timestamp(1_795_212_000_000);
    const HOUR_MS: i64 = 3_600_000;

    type Row = (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

    /// What an agent said so many hours before now.
    fn said(store: &Store, sequence: u64, hours: i64, room: &'static str, rows: &[Row]) {
        let value = |field: &str, text: &str| match field {
            "size_bytes" | "speed_mts" | "cores" | "threads" => FieldValue::Integer(text.parse().unwrap()),
            "rotational" | "wireless" => FieldValue::Boolean(text == "true"),
            _ => FieldValue::Text(text.into()),
        };
        let points = rows.iter().map(|(measurement, tags, fields)| {
            let mut tags: Vec<_> = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            tags.extend([("device_id".into(), "d1".into()), ("room".into(), room.into())]);
            tags.sort();
            Point {
                measurement: (*measurement).into(),
                tags,
                time: (NOW.0 - hours * HOUR_MS) * 1_000_000,
                fields: fields.iter().map(|(name, text)| ((*name).into(), value(name, text))).collect(),
            }
        });
        store.apply(sequence, DATABASE, &points.collect::<Vec<_>>()).unwrap();
    }

    fn module(slot: &'static str) -> Row {
        match slot {
            "1" => ("inventory_memory", &[("slot", "1")], &[("size_bytes", "8589934592"), ("make", "Samsung")]),
            "2" => ("inventory_memory", &[("slot", "2")], &[("size_bytes", "17179869184"), ("speed_mts", "3200")]),
            _ => ("inventory_memory", &[("slot", "10")], &[("size_bytes", "0")]),
        }
    }

    const DEVICE: Row = ("inventory_device", &[], &[("make", "LENOVO"), ("serial", "PF1ABCDE")]);

    #[test]
    fn the_newest_word_on_each_part_is_shown_and_what_was_taken_out_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        said(&store, 1, 50, "12", &[DEVICE, module("1"), module("2"), module("10")]);
        said(&store, 2, 30, "12", &[("os", &[], &[("name", "Debian GNU/Linux"), ("version", "13")])]);
        let disk: Row =
            ("inventory_disk", &[("device", "nvme0n1")], &[("size_bytes", "512110190592"), ("rotational", "false")]);
        let card: Row = ("inventory_nic", &[("mac", "8c:04:ba:01:02:03")], &[("wireless", "true")]);
        // Since then it was given another room, and a module was taken out.
        said(&store, 3, 2, "14", &[DEVICE, module("1"), module("10"), disk, card]);
        let shown = ask(&store, "d1", NOW, &TimeZone::UTC);
        assert_eq!(shown.at.unwrap().ago, "2 hours ago");
        assert_eq!(
            shown.facts,
            [
                ("Make", "LENOVO".to_owned()),
                ("Serial number", "PF1ABCDE".to_owned()),
                ("System", "Debian GNU/Linux 13".to_owned()),
            ]
        );
        let titles: Vec<&str> = shown.tables.iter().map(|table| table.title.as_str()).collect();
        assert_eq!(titles, ["Memory: 8 GB in 1 module", "Disks", "Network cards"]);
        assert_eq!(shown.tables[0].heads, ["Slot", "Size", "Make"]);
        assert_eq!(shown.tables[0].rows, [["1", "8 GB", "Samsung"], ["10", "empty", ""]]);
        assert_eq!(shown.tables[1].rows, [["nvme0n1", "512 GB", "solid state"]]);
        assert_eq!(shown.tables[2].rows, [["8c:04:ba:01:02:03", "wireless"]]);
        assert_eq!(ask(&store, "d2", NOW, &TimeZone::UTC), Hardware::default());
    }

    #[test]
    fn sizes_are_told_as_things_are_sold() {
        assert_eq!([8 << 30, 512 << 20, 25_276_514_304].map(memory_size), ["8 GB", "512 MB", "23.5 GB"]);
        assert_eq!([512_110_190_592, 1_000_204_886_016, 7_800_000].map(disk_size), ["512 GB", "1 TB", "7 MB"]);
        let cpu = |fields: &[(&str, &str)]| {
            processor(&fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(cpu(&[("model", "AMD EPYC"), ("cores", "1"), ("threads", "2")]), "AMD EPYC: 1 core, 2 threads");
        assert_eq!(cpu(&[("threads", "4")]), "4 threads");
    }
}
