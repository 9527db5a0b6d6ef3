//! Everything that an agent can say, as data: what is not in here is never sent, and the collector refuses it.

use bellwether_proto::schema::Measurement;

use crate::{probe, source, spool};

/// The declarations of each part, in the order of their lists.
const PARTS: &[&[Measurement]] = &[
    probe::MEASUREMENTS,
    source::MEASUREMENTS,
    source::cpu::MEASUREMENTS,
    source::disk::MEASUREMENTS,
    source::mem::MEASUREMENTS,
    source::net::MEASUREMENTS,
    source::system::MEASUREMENTS,
    spool::MEASUREMENTS,
];

const FLAT: [Measurement; count(PARTS)] = flatten(PARTS);

/// Every measurement of every source and probe.
pub const ALL: &[Measurement] = &FLAT;

const fn count(parts: &[&[Measurement]]) -> usize {
    let (mut part, mut total) = (0, 0);
    while part < parts.len() {
        total += parts[part].len();
        part += 1;
    }
    total
}

const fn flatten<const N: usize>(parts: &[&[Measurement]]) -> [Measurement; N] {
    let mut all = [parts[0][0]; N];
    let (mut part, mut next) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[next] = parts[part][index];
            next += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_is_declared_once_and_in_order() {
        let mut names: Vec<_> = ALL.iter().map(|measurement| measurement.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for measurement in ALL {
            assert!(measurement.tags.is_sorted(), "tags of {}", measurement.name);
            assert!(measurement.fields.is_sorted_by_key(|field| field.name), "fields of {}", measurement.name);
            assert!(measurement.fields.iter().all(|field| field.description.ends_with('.')), "{}", measurement.name);
        }
    }

    #[test]
    fn nothing_about_a_person_can_be_declared() {
        let forbidden = ["user", "login", "logon", "hostname", "label", "ssid", "title", "url_path", "person"];
        for measurement in ALL {
            let names = measurement.tags.iter().copied().chain(measurement.fields.iter().map(|field| field.name));
            for name in names.filter(|name| *name != "usage_user") {
                assert!(!forbidden.iter().any(|word| name.contains(word)), "{name} of {}", measurement.name);
            }
        }
    }
}
