//! Everything that an agent can say, as data: what is not in here is never sent, and the collector refuses it.

use std::fmt::Write;

use bellwether_proto::schema::{FieldKind, Measurement};

use crate::{probe, snmp, source, spool};

/// Every measurement of every probe and source, and the agent's own: each list entry brings what it declares.
pub fn all() -> impl Iterator<Item = &'static Measurement> {
    let own = [snmp::measurements::MEASUREMENTS, snmp::traps::MEASUREMENTS, source::MEASUREMENTS, spool::MEASUREMENTS];
    probe::measurements().chain(own.into_iter().chain(source::ALL.iter().map(|entry| entry.measurements)).flatten())
}

/// Everything that could ever be sent, as a text for people: the public list of what is collected.
#[must_use]
pub fn page() -> String {
    let mut text = String::from(
        "Everything that a Bellwether agent can send. What is not in this list can't leave a machine, and a collector\n\
         refuses it.\n\n\
         Privacy classes: health, of a thing; activity, hints at when a machine was used; inventory, what the machine\n\
         is; own, of Bellwether itself.\n",
    );
    let mut measurements: Vec<_> = all().collect();
    measurements.sort_by_key(|measurement| measurement.name);
    for measurement in measurements {
        let class = measurement.privacy.as_str();
        let _ = write!(text, "\n{} [{class}]: {}\n", measurement.name, measurement.description);
        if !measurement.tags.is_empty() {
            let _ = writeln!(text, "  rows are told apart by: {}", measurement.tags.join(", "));
        }
        for field in measurement.fields {
            let kind = match field.kind {
                FieldKind::Float => "number",
                FieldKind::Integer => "whole number",
                FieldKind::Boolean => "yes or no",
                FieldKind::Text => "word",
            };
            let unit = if field.unit.is_empty() { String::new() } else { format!(", {}", field.unit) };
            let _ = writeln!(text, "  {:<24} [{class}] {} ({kind}{unit})", field.name, field.description);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_list_is_what_is_declared() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(file, page()).unwrap();
        }
        let listed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(listed == page(), "agent/schema.txt is not what is declared: read the diff after BLESS=1");
    }

    #[test]
    fn every_measurement_is_declared_once_and_in_order() {
        let mut names: Vec<_> = all().map(|measurement| measurement.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for measurement in all() {
            assert!(measurement.tags.is_sorted(), "tags of {}", measurement.name);
            assert!(measurement.fields.is_sorted_by_key(|field| field.name), "fields of {}", measurement.name);
            assert!(measurement.fields.iter().all(|field| field.description.ends_with('.')), "{}", measurement.name);
        }
    }

    #[test]
    fn nothing_about_a_person_can_be_declared() {
        let forbidden = ["user", "login", "logon", "hostname", "label", "ssid", "title", "url_path", "person"];
        for measurement in all() {
            let names = measurement.tags.iter().copied().chain(measurement.fields.iter().map(|field| field.name));
            // Of processor time; and a name that leaves only if an admin has listed it (see the source `wireless`).
            let lawful =
                |name: &&str| *name == "usage_user" || (measurement.name, *name) == ("wireless_network", "ssid");
            for name in names.filter(|name| !lawful(name)) {
                assert!(!forbidden.iter().any(|word| name.contains(word)), "{name} of {}", measurement.name);
            }
        }
    }
}
