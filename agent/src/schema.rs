//! Everything that an agent can say, as data: what is not in here is never sent, and the collector refuses it.

use bellwether_proto::schema::Measurement;

use crate::{probe, source, spool};

/// Every measurement of every probe and source, and the agent's own: each list entry brings what it declares.
pub fn all() -> impl Iterator<Item = &'static Measurement> {
    let own = [probe::MEASUREMENTS, source::MEASUREMENTS, spool::MEASUREMENTS];
    own.into_iter().chain(source::ALL.iter().map(|entry| entry.measurements)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            for name in names.filter(|name| *name != "usage_user") {
                assert!(!forbidden.iter().any(|word| name.contains(word)), "{name} of {}", measurement.name);
            }
        }
    }
}
