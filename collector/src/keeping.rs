//! How long the collector's own series are kept: by how personal a measurement is, and whose device it is of.
//!
//! | what | single points | 5 minutes | hours | days |
//! | --- | --- | --- | --- | --- |
//! | health, and Bellwether's own | 30 days | a year | five years | |
//! | activity of what is nobody's own: servers, switches, printers | 30 days | a year | five years | |
//! | activity of personal devices | 30 days at most | | | five years, without the time of day |
//! | inventory | five years, and the newest word for ever | | | |
//!
//! The lengths of the first line are the admin's to choose; those of the third only downwards. Whose device it is the tag `class`
//! says: desktops, laptops, telephones, and whatever nobody has classed yet, count as personal. Days are those of UTC.

use std::time::Duration;

use bellwether_agent::schema;
use bellwether_logic::device::Class;
use bellwether_proto::schema::Privacy;
use bellwether_series::{Keep, KeepRule, Step, Tier};

use crate::config::Keeping;
use crate::points;

/// What hints at when somebody worked is kept point by point no longer than this, whatever an admin chooses.
const ACTIVITY_POINTS_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Whether a device of this class is somebody's own, in effect if not by law.
const fn is_personal(class: Class) -> bool {
    match class {
        Class::Desktop | Class::Laptop | Class::Phone | Class::Other => true,
        Class::Server
        | Class::Closet
        | Class::Switch
        | Class::Router
        | Class::Firewall
        | Class::WirelessController
        | Class::AccessPoint
        | Class::Ups
        | Class::Pdu
        | Class::Printer
        | Class::Projector
        | Class::Camera
        | Class::Nas
        | Class::Bmc
        | Class::Sensor => false,
    }
}

/// The rules of the store, the narrowest first.
#[must_use]
pub fn rules(chosen: &Keeping) -> Vec<KeepRule> {
    let rule = |measurement: Option<&str>, tag, keep: &Keep| KeepRule {
        database: points::DATABASE.to_owned(),
        measurement: measurement.map(str::to_owned),
        tag,
        keep: keep.clone(),
    };
    let (health, activity, inventory) = (health(chosen), activity(chosen), inventory(chosen));
    let shared = Class::ALL.iter().filter(|class| !is_personal(**class)).map(|class| class.as_str().to_owned());
    let shared: Vec<String> = shared.collect();
    let mut rules = Vec::new();
    for measurement in schema::all() {
        let name = Some(measurement.name);
        match measurement.privacy {
            Privacy::Activity => {
                rules.push(rule(name, Some(("class".to_owned(), shared.clone())), &health));
                rules.push(rule(name, None, &activity));
            }
            Privacy::Inventory => rules.push(rule(name, None, &inventory)),
            Privacy::Health | Privacy::Own => {}
        }
    }
    rules.push(rule(None, None, &health));
    rules
}

fn health(chosen: &Keeping) -> Keep {
    let tiers = vec![
        Tier { step: Step::FiveMinutes, keep: chosen.five_minutes.0, timed: true },
        Tier { step: Step::Hour, keep: chosen.hours.0, timed: true },
    ];
    Keep { raw: chosen.points.0, tiers, newest: false }
}

fn activity(chosen: &Keeping) -> Keep {
    let tiers = vec![Tier { step: Step::Day, keep: chosen.hours.0, timed: false }];
    Keep { raw: chosen.points.0.min(ACTIVITY_POINTS_MAX), tiers, newest: false }
}

/// Said when it changes and once a day: a few rows, of which the newest are what a device's page shows.
fn inventory(chosen: &Keeping) -> Keep {
    Keep { raw: chosen.hours.0, tiers: Vec::new(), newest: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn keep(measurement: &str, class: Option<&str>, chosen: &Keeping) -> Keep {
        let fits = |rule: &KeepRule| {
            let named = rule.measurement.as_deref().is_none_or(|name| name == measurement);
            named
                && rule
                    .tag
                    .as_ref()
                    .is_none_or(|(_, values)| class.is_some_and(|class| values.iter().any(|it| it == class)))
        };
        rules(chosen).into_iter().find(fits).unwrap().keep
    }

    #[test]
    fn what_hints_at_when_somebody_worked_is_a_daily_value_after_a_month() {
        let generous = Keeping { points: bellwether_logic::span::Span::from_days(90), ..Keeping::default() };
        for class in [None, Some("laptop"), Some("desktop"), Some("phone"), Some("other"), Some("something new")] {
            for measurement in ["cpu", "mem", "net", "diskio", "processes", "wireless", "system"] {
                let kept = keep(measurement, class, &generous);
                assert_eq!(kept.raw, 30 * DAY, "{measurement} of {class:?}");
                let tiers: Vec<_> = kept.tiers.iter().map(|tier| (tier.step, tier.timed)).collect();
                assert_eq!(tiers, [(Step::Day, false)], "{measurement} of {class:?}");
            }
        }
        let server = keep("cpu", Some("server"), &generous);
        assert_eq!((server.raw, server.tiers.len()), (90 * DAY, 2));
    }

    #[test]
    fn what_a_page_shows_is_kept_as_long_as_it_looks_back() {
        let kept = keep("inventory_device", Some("laptop"), &Keeping::default());
        assert!(kept.newest && kept.raw >= 400 * DAY);
        // Charts and lists look back a few days; see `collector/src/web`.
        for measurement in schema::all() {
            assert!(keep(measurement.name, None, &Keeping::default()).raw >= 30 * DAY, "{}", measurement.name);
        }
        let battery = keep("battery", Some("laptop"), &Keeping::default());
        let kept: Vec<_> = battery.tiers.iter().map(|tier| (tier.step, tier.keep, tier.timed)).collect();
        assert_eq!(kept, [(Step::FiveMinutes, 365 * DAY, true), (Step::Hour, 1825 * DAY, true)]);
    }
}
