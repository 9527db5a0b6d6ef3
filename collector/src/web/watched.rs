//! How a device that closets watch is doing: who asks it and where, what trouble there is and what to do about it, and
//! whatever it has said of itself, in plain words.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_agent::snmp::measurements::MEASUREMENTS;
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement};

use super::hardware::Table;
use super::readings::{Series, only};
use super::when::span;
use crate::state::devices::DeviceRow;
use crate::state::proposals::Reach;
use crate::state::{State, StateError};

/// How far back a reading still says how a device is: a printer is off over night and on the weekend.
const LOOKED_BACK: &str = "4d";

/// Ports are read every minute: what is older is of another time.
const PORTS_LOOKED_BACK: &str = "2h";

/// Rows of one table. A stack of switches has more ports; the chassis of a core has hundreds.
const ROWS_MAX: usize = 120;

/// Bits a second, units of a thousand.
const UNITS: [&str; 5] = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];

/// What is said of how it is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// Who asks it: id and name.
    pub(super) holder: (String, String),
    /// Who else reaches it.
    pub(super) witnesses: Vec<(String, String)>,
    pub(super) facts: Vec<(&'static str, String)>,
    /// What is wrong with the asking itself, each with what to do.
    pub(super) troubles: Vec<(String, &'static str)>,
    /// What there is one of.
    pub(super) readings: Vec<(String, String)>,
    pub(super) tables: Vec<Table>,
    /// Its ports; what hangs on them is told beside it.
    pub(super) ports: Option<Table>,
}

/// Who asks it, and who else reaches it, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Askers {
    holder: (String, String),
    witnesses: Vec<(String, String)>,
}

impl Askers {
    /// Looks them up.
    pub(super) fn of(state: &State, device: &DeviceRow) -> Result<Self, StateError> {
        let Some(watch) = &device.watch else { return Ok(Self::default()) };
        let named = |agent: &String| -> Result<(String, String), StateError> {
            let name = state.device(agent)?.map_or_else(|| agent.clone(), |agent| agent.name);
            Ok((agent.clone(), name))
        };
        let reaches: Vec<Reach> = state.reaches_of(&device.id)?;
        let others = reaches.iter().filter(|reach| reach.agent != watch.agent).map(|reach| named(&reach.agent));
        Ok(Self { holder: named(&watch.agent)?, witnesses: others.collect::<Result<_, _>>()? })
    }
}

/// Asks for the section of one device; none if it is not watched. Blocks.
pub(super) fn ask(series: &dyn Series, device: &DeviceRow, askers: Askers, now: Timestamp) -> Option<Watched> {
    let watch = device.watch.as_ref()?;
    let asked = Asked { series, only: only(&device.id), now };
    let state = asked.one("snmp", PORTS_LOOKED_BACK);
    let mut readings = Vec::new();
    let mut tables: Vec<Table> = Vec::new();
    let told_elsewhere = ["snmp", "snmp_closet", "interface", "poe"];
    for measurement in MEASUREMENTS.iter().filter(|measurement| !told_elsewhere.contains(&measurement.name)) {
        if measurement.tags.is_empty() {
            let said = asked.one(measurement.name, LOOKED_BACK);
            readings.extend(measurement.fields.iter().filter_map(|field| {
                let value = write(field, said.get(field.name)?)?;
                Some((label(field), value))
            }));
        } else {
            tables.extend(asked.table(measurement));
        }
    }
    let sockets = if watch.ports == 0 { String::new() } else { watch.ports.to_string() };
    let facts = [
        ("Address", watch.address.clone()),
        ("Firmware", watch.firmware.clone()),
        ("Says it is in", watch.location.clone()),
        ("Ports", sockets),
        ("Base address", device.mac.clone()),
        ("Credential", watch.credential.clone()),
        ("Asked", if watch.credential.is_empty() { only_pinged(&watch.address) } else { String::new() }),
        ("Running for", state.get("uptime_s").or(state.get("sysUptime")).and_then(|s| seconds(s)).unwrap_or_default()),
        (
            "Answers within",
            state
                .get("response_ms")
                .and_then(|ms| number(ms))
                .map(|ms| format!("{} ms", short(ms)))
                .unwrap_or_default(),
        ),
    ];
    Some(Watched {
        holder: askers.holder,
        witnesses: askers.witnesses,
        facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        troubles: troubles(&state),
        readings,
        tables,
        ports: asked.ports(),
    })
}

type Said = BTreeMap<String, String>;

struct Asked<'a> {
    series: &'a dyn Series,
    only: String,
    now: Timestamp,
}

impl Asked<'_> {
    /// The newest value of each field, by the values of `tags`.
    fn newest(&self, measurement: &Measurement, back: &str) -> Vec<(Said, Said)> {
        let fields: Vec<String> =
            measurement.fields.iter().map(|field| format!("last(\"{0}\") AS \"{0}\"", field.name)).collect();
        let tags: Vec<String> = measurement.tags.iter().map(|tag| format!("\"{tag}\"")).collect();
        let by = if tags.is_empty() { String::new() } else { format!(" GROUP BY {}", tags.join(", ")) };
        let query = format!(
            "SELECT {} FROM \"{}\" WHERE time > now() - {back}{}{by}",
            fields.join(", "),
            measurement.name,
            self.only
        );
        let told = self.series.tell(&query, self.now).into_iter();
        told.filter_map(|told| Some((told.tags, told.rows.into_iter().last()?.1))).collect()
    }

    fn one(&self, name: &str, back: &str) -> Said {
        let declared = MEASUREMENTS.iter().find(|measurement| measurement.name == name);
        let newest = declared.map(|declared| self.newest(declared, back)).unwrap_or_default();
        newest.into_iter().next().map(|(_, said)| said).unwrap_or_default()
    }

    fn ports(&self) -> Option<Table> {
        let declared = |name: &str| MEASUREMENTS.iter().find(|measurement| measurement.name == name);
        let mut interfaces = self.newest(declared("interface")?, PORTS_LOOKED_BACK);
        let power: BTreeMap<String, Said> = self
            .newest(declared("poe")?, LOOKED_BACK)
            .into_iter()
            .filter_map(|(mut tags, said)| Some((tags.remove("ifName")?, said)))
            .collect();
        interfaces.sort_by_key(|(tags, _)| natural(tags.get("ifName").map_or("", String::as_str)));
        let is_up = |said: &Said| said.get("ifOperStatus").is_some_and(|state| state == "1");
        let up = interfaces.iter().filter(|(_, said)| is_up(said)).count();
        let count = interfaces.len();
        let rows: Vec<Vec<String>> = interfaces
            .iter()
            .take(ROWS_MAX)
            .map(|(tags, said)| {
                let name = tags.get("ifName").cloned().unwrap_or_default();
                let powered = power.get(&name).map(power_of).unwrap_or_default();
                port(name, said, powered)
            })
            .collect();
        let cut = if count > ROWS_MAX { format!("; the first {ROWS_MAX} are listed") } else { String::new() };
        let heads = vec!["Port", "State", "Speed", "In", "Out", "Errors", "Power"];
        (count > 0).then(|| without_empty(Table { title: format!("Ports: {up} of {count} up{cut}"), heads, rows }))
    }

    fn table(&self, measurement: &Measurement) -> Option<Table> {
        let mut parts = self.newest(measurement, LOOKED_BACK);
        parts.sort_by_key(|(tags, _)| {
            measurement.tags.iter().map(|tag| natural(tags.get(*tag).map_or("", String::as_str))).collect::<Vec<_>>()
        });
        let heads = measurement.tags.iter().map(|tag| tag_label(tag));
        let heads = heads.chain(measurement.fields.iter().map(heading)).collect();
        let rows: Vec<Vec<String>> = parts
            .iter()
            .take(ROWS_MAX)
            .map(|(tags, said)| {
                let tags = measurement.tags.iter().map(|tag| tags.get(*tag).cloned().unwrap_or_default());
                let value =
                    |field: &Field| said.get(field.name).and_then(|text| write(field, text)).unwrap_or_default();
                tags.chain(measurement.fields.iter().map(value)).collect()
            })
            .collect();
        let title = measurement.description.trim_end_matches('.').to_owned();
        (!rows.is_empty()).then(|| without_empty(Table { title, heads, rows }))
    }
}

/// How a device is watched that lets nobody in.
fn only_pinged(address: &str) -> String {
    let how = if address.is_empty() {
        "not at all: its address is not known, only the port on which it was seen"
    } else {
        "by a ping alone: switches told of it, and it takes no SNMP credential of yours"
    };
    how.to_owned()
}

/// Drops the columns that nobody fills.
fn without_empty(table: Table) -> Table {
    let filled: BTreeSet<usize> = (0..table.heads.len())
        .filter(|at| table.rows.iter().any(|row| row.get(*at).is_some_and(|cell| !cell.is_empty())))
        .collect();
    let keep = |row: Vec<String>| {
        row.into_iter().enumerate().filter(|(at, _)| filled.contains(at)).map(|(_, cell)| cell).collect()
    };
    Table {
        title: table.title,
        heads: table
            .heads
            .into_iter()
            .enumerate()
            .filter(|(at, _)| filled.contains(at))
            .map(|(_, head)| head)
            .collect(),
        rows: table.rows.into_iter().map(keep).collect(),
    }
}

fn port(name: String, said: &Said, powered: String) -> Vec<String> {
    let text = |field: &str| said.get(field).map(String::as_str);
    let state = match (text("ifAdminStatus"), text("ifOperStatus")) {
        (Some("2"), _) => "switched off",
        (_, Some("1")) => "up",
        (_, Some("2" | "7")) => "down",
        (_, Some("3")) => "testing",
        (_, Some("5")) => "waiting",
        (_, Some("6")) => "not there",
        _ => "",
    };
    let is_up = state == "up";
    let speed =
        text("ifHighSpeed").and_then(number).map(|mbits| mbits * 1e6).or_else(|| text("ifSpeed").and_then(number));
    let speed = speed.filter(|speed| is_up && *speed > 0.0).map(bits).unwrap_or_default();
    let half = if is_up && text("full_duplex") == Some("false") { ", half duplex" } else { "" };
    let rate = |field: &str| text(field).and_then(number).filter(|_| is_up).map(bits).unwrap_or_default();
    let errors = [
        ("in_errors_percent", "in"),
        ("out_errors_percent", "out"),
        ("in_discards_percent", "dropped in"),
        ("out_discards_percent", "dropped out"),
    ];
    let errors: Vec<String> = errors
        .into_iter()
        .filter_map(|(field, way)| {
            let share = text(field).and_then(number).filter(|share| *share > 0.0)?;
            Some(format!("{}% {way}", if share < 0.01 { "under 0.01".to_owned() } else { short(share) }))
        })
        .collect();
    vec![
        name,
        state.to_owned(),
        format!("{speed}{half}"),
        rate("in_bits_per_s"),
        rate("out_bits_per_s"),
        errors.join(", "),
        powered,
    ]
}

fn power_of(said: &Said) -> String {
    let watts = said.get("power_w").and_then(|watts| number(watts)).filter(|watts| *watts > 0.0);
    match (said.get("status").map(String::as_str), watts) {
        (Some("fault" | "other_fault"), _) => "fault".to_owned(),
        (_, Some(watts)) => format!("{} W", short(watts)),
        (Some("delivering"), None) => "on".to_owned(),
        _ => String::new(),
    }
}

/// What is wrong with the asking, each with what to do.
fn troubles(said: &Said) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    let pings = said.get("pings").is_some_and(|pings| pings == "true");
    if said.get("answered").is_some_and(|answered| answered == "false") {
        all.push(match (said.get("trouble").map(String::as_str), pings) {
            (Some("no_answer"), true) => (
                "It answers a ping, but no SNMP question.".to_owned(),
                "Check on the device that SNMP is on, and that its access list lets the closet in.",
            ),
            (Some("no_answer"), false) if said.get("unpinged").is_some_and(|unpinged| unpinged == "true") => (
                "It answers no SNMP question, and the closet may not ping it.".to_owned(),
                "Check its power, its network cable and its SNMP settings, and let the closet's agent ping.",
            ),
            (Some("no_answer") | None, _) => {
                ("It does not answer.".to_owned(), "Check its power and its network cable.")
            }
            (Some(word), _) => trouble(word),
        });
    } else if let Some(word @ ("no_credential" | "other_device")) = said.get("trouble").map(String::as_str) {
        all.push(trouble(word));
    }
    let ms = |field: &str| said.get(field).and_then(|ms| number(ms)).map(|ms| format!("{} ms", short(ms)));
    if said.get("slowed").is_some_and(|slowed| slowed == "true") {
        let why = match (ms("best_ms"), ms("response_ms")) {
            (Some(best), Some(now)) => format!("It is asked for less: its answers take {now} now, and {best} at best."),
            _ => "It is asked for less, because its answers became slow.".to_owned(),
        };
        all.push((why, "Nothing to do if it stays well. If it lasts, look how busy its processor is, and for a loop in the network."));
    }
    if let Some(cut) = said.get("cut").and_then(|cut| number(cut)).filter(|cut| *cut > 0.0) {
        all.push((
            format!("{} of its tables could not be read to the end.", short(cut)),
            "Its firmware answers wrongly or too slowly; look for a newer one.",
        ));
    }
    all
}

fn trouble(word: &str) -> (String, &'static str) {
    let (what, help) = match word {
        "unknown_user" => (
            "It does not know the SNMP user.",
            "Enter the user on the device, or correct the name in the closets' configuration.",
        ),
        "wrong_digest" => (
            "The authentication password is wrong, or its method.",
            "Compare password and method (SHA, MD5) on the device with the closets' configuration.",
        ),
        "cant_decrypt" => (
            "The privacy password is wrong, or its method.",
            "Compare password and method (AES, DES) on the device with the closets' configuration.",
        ),
        "unsupported_level" => (
            "The device does not take this security level.",
            "Set the user on the device to authentication and privacy.",
        ),
        "not_in_time_window" => (
            "Its clock of SNMP does not agree with ours.",
            "Restart its SNMP service; two devices with one engine ID do this, too.",
        ),
        "unknown_engine" => (
            "It changed its SNMP engine ID.",
            "It mends itself within minutes. If it comes back, two devices share one engine ID.",
        ),
        "unsigned" => ("It answers without a signature.", "Set the user on the device to authentication and privacy."),
        "no_access" => (
            "It answers, but shows nothing.",
            "Its view hides everything from this user: allow the view `iso` or `internet` for reading.",
        ),
        "device_failed" => {
            ("It answers with errors of its own.", "Restart its management, or look for a newer firmware.")
        }
        "garbled" => ("Its answers can't be read.", "Look for a newer firmware."),
        "not_sent" => ("The closet could not send to it.", "Check network and routes of the closet."),
        "no_credential" => (
            "The closet has no credential of the name that this device answered to.",
            "Put the credential back into the closets' configuration, under the same name.",
        ),
        "other_device" => (
            "Another device is at its address now.",
            "Nothing to do if it was replaced: the new one is under Discovered. Otherwise the next search finds it.",
        ),
        _ => ("It does not answer.", "Run bellwether-agent snmp doctor on the closet; it says what is wrong."),
    };
    (what.to_owned(), help)
}

/// A value as a person reads it; none if it says nothing.
fn write(field: &Field, text: &str) -> Option<String> {
    let known = |value: f64| match field.unit {
        "percent" => format!("{value:.0}%"),
        "bytes" => bytes(value),
        "celsius" => format!("{} °C ({:.0} °F)", short(value), value * 1.8 + 32.0),
        "watt" => format!("{} W", short(value)),
        "volt" => format!("{} V", short(value)),
        "ampere" => format!("{} A", short(value)),
        "hertz" => format!("{} Hz", short(value)),
        "h" => format!("{value:.0} hours"),
        "bit/s" => bits(value),
        "" => short(value),
        unit => format!("{} {unit}", short(value)),
    };
    match field.kind {
        FieldKind::Boolean => Some(if text == "true" { "yes" } else { "no" }.to_owned()),
        FieldKind::Text => (!text.is_empty()).then(|| text.replace('_', " ")),
        FieldKind::Float | FieldKind::Integer if field.unit == "s" => seconds(text),
        FieldKind::Float | FieldKind::Integer => number(text).map(known),
    }
}

/// What a reading is called: its description, which is a sentence.
fn label(field: &Field) -> String {
    let first = field.description.split([':', ';']).next().unwrap_or_default();
    // The words of a closed list are no name.
    if first.starts_with("One of") {
        capital(&field.name.replace('_', " "))
    } else {
        first.trim_end_matches('.').to_owned()
    }
}

/// The head of a column: short.
fn heading(field: &Field) -> &'static str {
    match field.name {
        "level_percent" => "Level",
        "used_percent" => "Used",
        "temp" => "Temperature",
        "temp_limit" => "Limit",
        "humidity_percent" => "Humidity",
        "utilization_percent" => "In use",
        "utilization_other_percent" => "By others",
        "transmit_power_dbm" => "Sends",
        "noise_dbm" => "Noise",
        "cpu_percent" => "Processor",
        "memory_used_percent" => "Memory",
        "life_left_percent" => "Life left",
        "bad_sectors" => "Bad sectors",
        "budget_w" => "Can give",
        "used_w" => "Gives",
        "threshold_percent" => "Warns at",
        "uptime_s" => "Running for",
        "class" => "Class",
        "state" => "State",
        "status" => "Status",
        "type" => "Type",
        "capacity" => "Holds",
        "level" => "Has",
        "amperes" => "Current",
        "rpm" => "Turns",
        "volts" => "Voltage",
        "watts" => "Power",
        "dbm" => "Light",
        "free" => "Free",
        "total" => "Size",
        "used" => "In use",
        "band" => "Band",
        "channel" => "Channel",
        "clients" => "Devices",
        "code" => "Code",
        "group" => "Part",
        "severity" => "How bad",
        "training" => "Who can mend it",
        name => name,
    }
}

fn tag_label(tag: &'static str) -> &'static str {
    match tag {
        "alert" => "Complaint",
        "ap" => "Access point",
        "cpu" => "Processor",
        "disk" => "Disk",
        "group" => "Group",
        "ifName" => "Port",
        "pool" => "Memory",
        "radio" => "Radio",
        "sensor" => "Sensor",
        "storage" => "Store",
        "supply" => "Supply",
        "tray" => "Tray",
        "volume" => "Volume",
        tag => tag,
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn seconds(text: &str) -> Option<String> {
    let value = number(text)?.clamp(0.0, 1e12);
    std::time::Duration::try_from_secs_f64(value).ok().map(|value| span(value.as_secs()))
}

fn short(value: f64) -> String {
    let digits = if value.abs() >= 100.0 || value.fract() == 0.0 {
        0
    } else if value.abs() >= 1.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

fn bits(value: f64) -> String {
    scaled(value, 1e3, &UNITS)
}

fn bytes(value: f64) -> String {
    scaled(value, 1e3, &["B", "kB", "MB", "GB", "TB"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut at = 0;
    while value >= step && at + 1 < units.len() {
        value /= step;
        at += 1;
    }
    format!("{} {}", short(value), units.get(at).copied().unwrap_or_default())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Sorts `Gi1/0/10` after `Gi1/0/9`.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let words = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (word, numbered) = rest.split_at(words);
        let digits = numbered.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(numbered.len());
        let (digits, after) = numbered.split_at(digits);
        parts.push((0, word.to_owned()));
        parts.push((digits.parse().unwrap_or(u64::MAX), String::new()));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, &str)]) -> Said {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn ports_stand_in_the_order_in_which_they_are_on_the_switch() {
        let mut names = vec!["Gi1/0/10", "Gi1/0/9", "Te1/1/1", "Gi2/0/1", "10", "9"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["9", "10", "Gi1/0/9", "Gi1/0/10", "Gi2/0/1", "Te1/1/1"]);
    }

    #[test]
    fn a_port_is_told_in_plain_words() {
        let up = said(&[
            ("ifAdminStatus", "1"),
            ("ifOperStatus", "1"),
            ("ifHighSpeed", "1000"),
            ("full_duplex", "false"),
            ("in_bits_per_s", "1250000"),
            ("out_bits_per_s", "900"),
            ("in_errors_percent", "0.5"),
        ]);
        assert_eq!(
            port("Gi1".into(), &up, "4.2 W".into()),
            ["Gi1", "up", "1 Gbit/s, half duplex", "1.2 Mbit/s", "900 bit/s", "0.50% in", "4.2 W"]
        );
        let off = said(&[("ifAdminStatus", "2"), ("ifOperStatus", "2"), ("in_bits_per_s", "5")]);
        assert_eq!(port("Gi2".into(), &off, String::new())[1..4], ["switched off", "", ""]);
    }

    #[test]
    fn each_trouble_says_what_to_do() {
        assert!(troubles(&said(&[("answered", "true"), ("slowed", "false"), ("cut", "0")])).is_empty());
        let unseen = troubles(&said(&[("answered", "false"), ("trouble", "no_answer"), ("unpinged", "true")]));
        assert!(unseen[0].0.contains("may not ping"), "{unseen:?}");
        let silent = troubles(&said(&[("answered", "false"), ("trouble", "no_answer"), ("pings", "true")]));
        assert_eq!(silent[0].0, "It answers a ping, but no SNMP question.");
        let slowed =
            troubles(&said(&[("answered", "true"), ("slowed", "true"), ("best_ms", "2.5"), ("response_ms", "340")]));
        assert_eq!(slowed[0].0, "It is asked for less: its answers take 340 ms now, and 2.5 ms at best.");
        let wrong = troubles(&said(&[("answered", "false"), ("trouble", "wrong_digest")]));
        assert!(wrong[0].0.contains("authentication password") && wrong[0].1.contains("SHA"));
    }

    #[test]
    fn every_field_has_a_head_or_a_name_that_a_person_can_read() {
        for measurement in
            MEASUREMENTS.iter().filter(|it| !it.tags.is_empty() && !["interface", "poe"].contains(&it.name))
        {
            for field in measurement.fields {
                assert!(heading(field).starts_with(char::is_uppercase), "{} of {}", field.name, measurement.name);
            }
            for tag in measurement.tags {
                assert!(tag_label(tag).starts_with(char::is_uppercase), "{tag} of {}", measurement.name);
            }
        }
    }
}
