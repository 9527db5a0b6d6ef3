//! What the profiles make of a hundred recorded devices: `tests/coverage/snmp_recordings.txt` has a line for each.
//!
//! `BLESS=1` writes it anew; a reader of the change sees what became better and what worse. Whatever the table says, a
//! device that has interfaces, supplies, a battery or sensors must yield them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bellwether_agent::snmp::look::{self, Look};
use bellwether_agent::snmp::profile::Shelf;
use bellwether_logic::sample::Value;

/// Recordings that are looked at at once. Each has a program beside it that unpacks.
const AT_ONCE: usize = 2;

/// What the table says of itself.
const HEADER: &str = "\
# What is made of each recording of the package snmpsim-data: kind, maker, model, whether serial number, firmware and MAC are
# known (S, F, M), ports, and rows of each measurement and table. Here every line of a recording counts that a profile asks
# for. `tests/tests/snmp` walks each over UDP: the first 2,500 lines in version 2c, and the first 1,000 in version 3, signed
# and encrypted, with each digest and cipher in turn.
";

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Those that `tests/run` fetches, each with its name in the package.
fn recordings() -> BTreeMap<String, PathBuf> {
    let folder = project().join("target/snmp-recordings/snmpsim_data/data");
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(next).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
            match name.split_once(".snmprec") {
                _ if path.is_dir() => folders.push(path),
                Some((name, _)) => drop(found.insert(name.to_owned(), path)),
                None => {}
            }
        }
    }
    found
}

/// The beginnings of all names that profiles name, each with a point at its end, none below another. Some recordings
/// have millions of lines, and only these are looked at.
fn wanted() -> Vec<String> {
    let mut names = BTreeSet::new();
    for file in fs::read_dir(project().join("agent/profiles")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        // Not those that values are compared with: below them is all that a vendor has.
        let compared = |part: &str| part.split_once(']').map_or(String::new(), |(_, rest)| rest.to_owned());
        let parts = text.replace("object_ids", "is_oid");
        let mut parts = parts.split("is_oid");
        let asked = parts.next().unwrap().to_owned() + &parts.map(compared).collect::<String>();
        let lines = asked.lines().filter(|line| !line.starts_with('"'));
        let quoted = lines.flat_map(|line| line.split('"').filter(|part| part.starts_with("1.")));
        names.extend(quoted.map(|name| format!("{}.", name.trim_end_matches(".0"))));
    }
    let mut wanted: Vec<String> = Vec::new();
    for name in names {
        if wanted.last().is_none_or(|last| !name.starts_with(last)) {
            wanted.push(name);
        }
    }
    wanted
}

/// The lines of a recording that are below one of `wanted`.
fn lines(path: &Path, wanted: &[String]) -> Vec<u8> {
    let (file, mut unpacking): (Box<dyn Read>, _) = if path.extension().is_some_and(|end| end == "bz2") {
        let mut child = Command::new("bzcat").arg(path).stdout(Stdio::piped()).spawn().unwrap();
        (Box::new(child.stdout.take().unwrap()), Some(child))
    } else {
        (Box::new(fs::File::open(path).unwrap()), None)
    };
    let (mut from, mut line, mut kept) = (BufReader::with_capacity(1 << 20, file), Vec::new(), Vec::new());
    // Between a line that is not wanted and the next name that is, none is; long tables are passed over quickly.
    let (mut low, mut high) = (Vec::new(), "");
    while from.read_until(b'\n', &mut line).unwrap() > 0 {
        let passed_over = line >= low && line.as_slice() < high.as_bytes();
        if !passed_over && let Some(bar) = line.iter().position(|byte| *byte == b'|') {
            // A point stands behind the name, as behind those that are wanted.
            line[bar] = b'.';
            let after = wanted.partition_point(|name| name.as_bytes() <= &line[..=bar]);
            if after > 0 && line.starts_with(wanted[after - 1].as_bytes()) {
                line[bar] = b'|';
                kept.extend_from_slice(&line);
            } else {
                high = wanted.get(after).map_or("2", String::as_str);
                low.clone_from(&line);
            }
        }
        line.clear();
    }
    if let Some(child) = &mut unpacking {
        assert!(child.wait().unwrap().success(), "{}", path.display());
    }
    kept
}

fn looked(path: &Path, wanted: &[String], shelf: &Shelf) -> (Vec<u8>, Look) {
    let text = lines(path, wanted);
    let look = look::at_recording(shelf, &text);
    (text, look)
}

fn count(look: &Look, measurement: &str) -> usize {
    look.samples.iter().filter(|sample| sample.measurement == measurement).count()
}

fn with(look: &Look, measurement: &str, field: &str) -> usize {
    let of = look.samples.iter().filter(|sample| sample.measurement == measurement);
    of.filter(|sample| sample.fields.iter().any(|(name, _)| name == field)).count()
}

/// One line of the table: what a person reads first, then how much there is of what.
fn row(name: &str, look: &Look) -> String {
    let facts = &look.facts;
    let said = |text: &Option<String>| text.as_deref().unwrap_or("-").replace('|', "/");
    let mut row = format!(
        "{name} | {} | {} | {} | {}{}{} | ports {}",
        facts.kind.map_or("-", |kind| kind.as_str()),
        said(&facts.vendor),
        said(&facts.model),
        if facts.serial.is_some() { "S" } else { "-" },
        if facts.firmware.is_some() { "F" } else { "-" },
        if facts.mac.is_some() { "M" } else { "-" },
        facts.ports.map_or_else(|| "-".to_owned(), |ports| ports.to_string()),
    );
    let battery = look.samples.iter().filter(|sample| sample.measurement == "ups").find_map(|sample| {
        sample.fields.iter().find_map(|(name, value)| match value {
            Value::Float(number) if name == "battery_charge_percent" => Some(*number),
            _ => None,
        })
    });
    if let Some(percent) = battery {
        write!(row, ", battery {percent} %").unwrap();
    }
    for measurement in bellwether_agent::snmp::measurements::MEASUREMENTS {
        let rows = count(look, measurement.name);
        if rows > 0 && measurement.name != "snmp" {
            write!(row, ", {} {rows}", measurement.name).unwrap();
        }
    }
    for kind in bellwether_agent::snmp::measurements::ROWS {
        let rows = look.rows.iter().filter(|row| row.kind == kind.name).count();
        if rows > 0 {
            write!(row, ", {} {rows}", kind.name).unwrap();
        }
    }
    row
}

/// The values of a column, by index, as they stand in the text.
fn column<'a>(text: &'a [u8], column: &str) -> BTreeMap<&'a [u8], &'a [u8]> {
    let start = format!("{column}.");
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(start.as_bytes()));
    let parts = lines.map(|line| line.splitn(3, |byte| *byte == b'|').collect::<Vec<_>>());
    parts.filter(|parts| parts.len() == 3).map(|parts| (parts[0], parts[2].trim_ascii())).collect()
}

/// What the recording has and the look lacks.
fn missing(text: &[u8], look: &Look) -> Vec<&'static str> {
    let mut missing = Vec::new();
    // All but loopbacks, tunnels, VLANs and what is made of software.
    let software: [&[u8]; 6] = [b"1", b"24", b"53", b"131", b"135", b"136"];
    let types = column(text, "1.3.6.1.2.1.2.2.1.3");
    if types.values().any(|kind| !software.contains(kind)) && count(look, "interface") == 0 {
        missing.push("interfaces");
    }
    if !column(text, "1.3.6.1.2.1.43.11.1.1.9").is_empty() && count(look, "printer_supply") == 0 {
        missing.push("supplies");
    }
    let battery = ["1.3.6.1.2.1.33.1.2.4", "1.3.6.1.4.1.318.1.1.1.2.2.1"];
    let battery = battery.iter().flat_map(|name| column(text, name).into_values());
    if battery.filter(|charge| *charge != b"-1").count() > 0 && with(look, "ups", "battery_charge_percent") == 0 {
        missing.push("battery");
    }
    let good = column(text, "1.3.6.1.2.1.99.1.1.1.5");
    let sensors = column(text, "1.3.6.1.2.1.99.1.1.1.1");
    let known: [&[u8]; 7] = [b"3", b"4", b"5", b"6", b"8", b"9", b"10"];
    let works = |index: &&[u8]| good.get(*index).is_some_and(|state| *state == b"1");
    if sensors.iter().any(|(index, kind)| known.contains(kind) && works(index)) && count(look, "sensor") == 0 {
        missing.push("sensors");
    }
    missing
}

#[test]
fn recorded_devices_are_told_as_the_table_says_and_yield_what_they_have() {
    let found: Vec<(String, PathBuf)> = recordings().into_iter().collect();
    assert!(found.len() >= 100, "{} recordings: tests/run fetches them", found.len());
    let (wanted, shelf) = (wanted(), Shelf::built_in().unwrap());
    let (next, rows, lacking) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, path)) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (text, look) = looked(path, &wanted, &shelf);
                    let missing = missing(&text, &look);
                    if !missing.is_empty() {
                        lacking.lock().unwrap().push(format!("{name}: {}", missing.join(", ")));
                    }
                    rows.lock().unwrap().insert(name.clone(), row(name, &look));
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap().into_values().map(|row| row + "\n");
    let table: String = HEADER.to_owned() + &rows.collect::<String>();
    let file = project().join("tests/coverage/snmp_recordings.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &table).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let changed: Vec<&str> = table.lines().filter(|line| !kept.lines().any(|old| old == *line)).collect();
    assert!(table == kept, "the table has changed (BLESS=1 writes it anew):\n{}", changed.join("\n"));
    let lacking = lacking.into_inner().unwrap();
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
    assert!(table.lines().filter(|line| line.contains("| - | - | - |")).count() < 5, "most are known");
}
