//! Time zones by the names that people and programs give them.

use jiff::tz::TimeZone;

/// Windows' names beside IANA's.
const WINDOWS: &str = include_str!("windows_zones.tsv");

/// The zone of a name: IANA's (`America/Chicago`), Windows' (`Central Standard Time`), or one of those that end in
/// IANA's (`/freeassociation.sourceforge.net/America/Chicago`).
#[must_use]
pub fn zone_named(name: &str) -> Option<TimeZone> {
    let name = name.trim().trim_matches('"');
    if name.is_empty() {
        return None;
    }
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let iana = WINDOWS.lines().filter_map(|line| line.split_once('\t')).find(|(windows, _)| *windows == name);
    if let Some((_, iana)) = iana {
        return TimeZone::get(iana).ok();
    }
    let mut rest = name;
    while let Some((_, tail)) = rest.split_once('/') {
        if let Ok(zone) = TimeZone::get(tail)
            && tail.contains('/')
        {
            return Some(zone);
        }
        rest = tail;
    }
    None
}
