//! What matters most about a watched device, in one line of the fleet: of a switch its ports, of a printer the supply that
//! ends first, of a UPS its battery. What computers say of processor and disks means nothing there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bellwether_logic::time::Timestamp;

use super::Desk;
use super::page::PageError;
use super::readings::Series;
use super::when::span;

/// What is read every minute is of another time after this.
const LIVE: &str = "10m";
/// What is read every half an hour.
const SLOW: &str = "2h";
/// Supplies, from a printer that is off over the weekend.
const OLD: &str = "4d";

/// Devices are polled once a minute.
const KEPT: Duration = Duration::from_secs(30);

/// A supply below this ends within weeks.
const LOW_PERCENT: f64 = 10.0;

/// The line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gist {
    pub(super) text: String,
    /// It asks for somebody.
    pub(super) bad: bool,
}

/// The lines of all devices that have one, and when they were asked for.
pub(super) type Kept = Option<(Timestamp, Arc<BTreeMap<String, Gist>>)>;

impl Desk {
    /// The line of every watched device.
    pub(super) async fn gists(&self) -> Result<Arc<BTreeMap<String, Gist>>, PageError> {
        let now = self.app.clock.now();
        let kept = self.gists.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, gists)) = kept.filter(|(at, _)| now >= *at && now.since(*at) < KEPT) {
            return Ok(gists);
        }
        let series = Arc::clone(&self.series);
        let gists = Arc::new(tokio::task::spawn_blocking(move || ask(&*series, now)).await?);
        *self.gists.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&gists)));
        Ok(gists)
    }
}

type Said = BTreeMap<String, String>;

/// The lines of all devices. Blocks.
pub(super) fn ask(series: &dyn Series, now: Timestamp) -> BTreeMap<String, Gist> {
    let asked = Asked { series, now };
    // What is said first counts: a UPS has a port, too.
    let all =
        [asked.ups(), asked.supplies(), asked.volumes(), asked.radios(), asked.ports(), asked.pings(), asked.heat()];
    let mut gists = BTreeMap::new();
    for (device, gist) in all.into_iter().flatten() {
        gists.entry(device).or_insert(gist);
    }
    gists
}

struct Asked<'a> {
    series: &'a dyn Series,
    now: Timestamp,
}

impl Asked<'_> {
    /// The newest values of each part of each device, by device.
    fn parts(
        &self,
        measurement: &str,
        fields: &[&str],
        tag: &str,
        back: &str,
    ) -> BTreeMap<String, Vec<(String, Said)>> {
        let fields: Vec<String> = fields.iter().map(|field| format!("last(\"{field}\") AS \"{field}\"")).collect();
        let by = if tag.is_empty() { String::new() } else { format!(", \"{tag}\"") };
        let query = format!(
            "SELECT {} FROM \"{measurement}\" WHERE \"device_id\" != '' AND time > now() - {back} GROUP BY \"device_id\"{by}",
            fields.join(", ")
        );
        let mut devices: BTreeMap<String, Vec<(String, Said)>> = BTreeMap::new();
        for mut told in self.series.tell(&query, self.now) {
            let (Some(device), Some((_, said))) = (told.tags.remove("device_id"), told.rows.pop()) else { continue };
            devices.entry(device).or_default().push((told.tags.remove(tag).unwrap_or_default(), said));
        }
        devices
    }

    fn ups(&self) -> Vec<(String, Gist)> {
        let fields = ["battery_charge_percent", "time_left_s", "output_source", "battery_replace"];
        let line = |said: &Said| {
            let on_battery = said.get("output_source").is_some_and(|source| source == "battery");
            let worn = said.get("battery_replace").is_some_and(|replace| replace == "true");
            let charge = number(said, "battery_charge_percent").map(|charge| format!("{charge:.0}%"));
            let left = number(said, "time_left_s").and_then(|s| Duration::try_from_secs_f64(s).ok());
            let left = left.map(|left| span(left.as_secs()));
            let battery = [charge, left].into_iter().flatten().collect::<Vec<_>>().join(", ");
            let what = if on_battery { "On battery" } else { "Battery" };
            let end = if worn { ", to be replaced" } else { "" };
            (!battery.is_empty() || on_battery || worn)
                .then(|| Gist { text: format!("{what} {battery}{end}"), bad: on_battery || worn })
        };
        let all = self.parts("ups", &fields, "", LIVE).into_iter();
        all.filter_map(|(device, parts)| Some((device, parts.first().and_then(|(_, said)| line(said))?))).collect()
    }

    fn supplies(&self) -> Vec<(String, Gist)> {
        let all = self.parts("printer_supply", &["level_percent"], "supply", OLD).into_iter();
        let lowest = all.filter_map(|(device, parts)| {
            let levels = parts.into_iter().filter_map(|(supply, said)| Some((number(&said, "level_percent")?, supply)));
            let (level, supply) = levels.min_by(|one, other| one.0.total_cmp(&other.0))?;
            Some((device, Gist { text: format!("{level:.0}% {supply}"), bad: level < LOW_PERCENT }))
        });
        lowest.collect()
    }

    fn volumes(&self) -> Vec<(String, Gist)> {
        let all = self.parts("nas_volume", &["status", "free", "total"], "volume", SLOW).into_iter();
        let fullest = all.filter_map(|(device, parts)| {
            let ill = |(_, said): &&(String, Said)| said.get("status").is_some_and(|status| status != "normal");
            if let Some((volume, said)) = parts.iter().find(ill) {
                let status = said.get("status").cloned().unwrap_or_default().replace('_', " ");
                return Some((device, Gist { text: format!("{volume} {status}"), bad: true }));
            }
            let used = |said: &Said| Some(100.0 - number(said, "free")? / number(said, "total")? * 100.0);
            let used = parts.iter().filter_map(|(volume, said)| Some((used(said)?, volume)));
            let (used, volume) = used.max_by(|one, other| one.0.total_cmp(&other.0))?;
            Some((device, Gist { text: format!("{volume} {used:.0}% full"), bad: used >= 90.0 }))
        });
        fullest.collect()
    }

    fn radios(&self) -> Vec<(String, Gist)> {
        let all = self.parts("ap_radio", &["clients"], "radio", SLOW).into_iter();
        let line = |parts: &[(String, Said)]| {
            let clients: Vec<f64> = parts.iter().filter_map(|(_, said)| number(said, "clients")).collect();
            let sum: f64 = clients.iter().sum();
            (!clients.is_empty()).then(|| Gist { text: format!("{sum:.0} connected"), bad: false })
        };
        all.filter_map(|(device, parts)| Some((device, line(&parts)?))).collect()
    }

    fn ports(&self) -> Vec<(String, Gist)> {
        let power = self.parts("poe_supply", &["used_percent"], "group", LIVE);
        let all = self.parts("interface", &["ifOperStatus"], "ifName", LIVE).into_iter();
        let line = |(device, parts): (String, Vec<(String, Said)>)| {
            // One port is a computer's, a printer's, a camera's.
            let count = Some(parts.len()).filter(|count| *count > 2)?;
            let up =
                parts.iter().filter(|(_, said)| said.get("ifOperStatus").is_some_and(|state| state == "1")).count();
            let used = power.get(&device).into_iter().flatten().filter_map(|(_, said)| number(said, "used_percent"));
            let used = used.max_by(f64::total_cmp);
            let power = used.map(|used| format!(", PoE {used:.0}%")).unwrap_or_default();
            let bad = used.is_some_and(|used| used >= 90.0);
            Some((device, Gist { text: format!("{up} of {count} ports up{power}"), bad }))
        };
        all.filter_map(line).collect()
    }

    fn pings(&self) -> Vec<(String, Gist)> {
        let all = self.parts("ping_only", &["pings", "response_ms"], "", LIVE).into_iter();
        let line = |said: &Said| match (said.get("pings").map(String::as_str), number(said, "response_ms")) {
            (Some("true"), Some(ms)) => Gist { text: format!("answers a ping in {ms:.1} ms"), bad: false },
            (Some("true"), None) => Gist { text: "answers a ping".into(), bad: false },
            _ => Gist { text: "answers no ping".into(), bad: false },
        };
        all.filter_map(|(device, parts)| Some((device, line(&parts.first()?.1)))).collect()
    }

    fn heat(&self) -> Vec<(String, Gist)> {
        let all = self.parts("sensor", &["temp"], "sensor", LIVE).into_iter();
        let hottest = all.filter_map(|(device, parts)| {
            let temps = parts.iter().filter_map(|(_, said)| number(said, "temp"));
            let text = format!("{:.0} °C", temps.max_by(f64::total_cmp)?);
            Some((device, Gist { text, bad: false }))
        });
        hottest.collect()
    }
}

fn number(said: &Said, field: &str) -> Option<f64> {
    said.get(field)?.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::readings::{Rows, Told};

    /// Answers with what is held of a measurement.
    struct Held(Vec<(&'static str, Told)>);

    impl Series for Held {
        fn ask(&self, _: &str, _: Timestamp) -> Vec<Rows> {
            Vec::new()
        }

        fn tell(&self, query: &str, _: Timestamp) -> Vec<Told> {
            let of = |(name, told): &(&str, Told)| query.contains(&format!("FROM \"{name}\"")).then(|| told.clone());
            self.0.iter().filter_map(of).collect()
        }
    }

    fn row(measurement: &'static str, tags: &[(&str, &str)], said: &[(&str, &str)]) -> (&'static str, Told) {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        (measurement, Told { tags: map(tags), rows: vec![(0, map(said))] })
    }

    #[test]
    fn each_kind_says_what_matters_of_it() {
        let port = |name, state| row("interface", &[("device_id", "sw"), ("ifName", name)], &[("ifOperStatus", state)]);
        let supply =
            |name, level| row("printer_supply", &[("device_id", "prn"), ("supply", name)], &[("level_percent", level)]);
        let held = Held(vec![
            port("1", "1"),
            port("2", "2"),
            port("3", "1"),
            row("poe_supply", &[("device_id", "sw"), ("group", "1")], &[("used_percent", "46.2")]),
            supply("Black", "8"),
            supply("Cyan", "70"),
            row("interface", &[("device_id", "ups"), ("ifName", "1")], &[("ifOperStatus", "1")]),
            row("ups", &[("device_id", "ups")], &[("battery_charge_percent", "97"), ("time_left_s", "2520")]),
            row("ups", &[("device_id", "ups2")], &[("output_source", "battery"), ("battery_charge_percent", "61")]),
            row("ping_only", &[("device_id", "ap")], &[("pings", "true"), ("response_ms", "2.14")]),
            row("sensor", &[("device_id", "sw"), ("sensor", "a")], &[("temp", "51")]),
        ]);
        let gists = ask(&held, Timestamp(0));
        let told = |device: &str| (gists[device].text.as_str(), gists[device].bad);
        assert_eq!(told("sw"), ("2 of 3 ports up, PoE 46%", false));
        assert_eq!(told("prn"), ("8% Black", true));
        assert_eq!(told("ups"), ("Battery 97%, 42 min", false));
        assert_eq!(told("ups2"), ("On battery 61%", true));
        assert_eq!(told("ap"), ("answers a ping in 2.1 ms", false));
    }
}
