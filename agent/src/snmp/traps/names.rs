//! What the names of traps mean.

use std::collections::BTreeMap;

use crate::gather::Gather;
use crate::snmp::Oid;

/// The list that is built in.
const SHIPPED: &str = include_str!("names.toml");

/// The word of a trap that the list does not have.
pub const OTHER: &str = "other";

/// Words by names, from which the 0 before the last number was taken.
#[derive(Debug)]
pub struct Names(BTreeMap<Oid, String>);

impl Default for Names {
    fn default() -> Self {
        let tables: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(SHIPPED).expect("the list that is built in was tried");
        let named = |(prefix, words): (String, BTreeMap<String, String>)| {
            words.into_iter().filter_map(move |(last, word)| {
                let name: Oid = format!("{prefix}.{last}").parse().ok()?;
                Some((short(&name), word))
            })
        };
        Self(tables.into_iter().flat_map(named).gather())
    }
}

impl Names {
    /// The word for a trap of this name.
    #[must_use]
    pub fn word(&self, name: &Oid) -> &str {
        self.0.get(&short(name)).map_or(OTHER, String::as_str)
    }
}

/// A name without the 0 before its last number.
fn short(name: &Oid) -> Oid {
    match name.arcs() {
        [front @ .., 0, last] => Oid::new(&[front, &[*last]].concat()).unwrap_or_else(|_| name.clone()),
        _ => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_have_words_in_the_form_of_both_versions() {
        let names = Names::default();
        for (name, word) in [
            ("1.3.6.1.6.3.1.1.5.3", "link_down"),
            ("1.3.6.1.2.1.33.2.1", "on_battery"),
            ("1.3.6.1.2.1.33.2.0.1", "on_battery"),
            ("1.3.6.1.4.1.318.0.5", "on_battery"),
            ("1.3.6.1.4.1.318.5", "on_battery"),
            ("1.3.6.1.2.1.43.18.2.0.1", "printer_alert"),
            ("1.3.6.1.4.1.9.9.43.2.0.1", OTHER),
            ("1.3", OTHER),
        ] {
            assert_eq!(names.word(&name.parse().unwrap()), word, "{name}");
        }
    }

    #[test]
    fn each_line_of_the_list_is_a_name_with_a_word() {
        let lines = SHIPPED.lines().filter(|line| line.contains(" = ")).count();
        let names = Names::default();
        assert_eq!(names.0.len(), lines);
        let plain = |word: &String| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(names.0.values().all(plain) && names.0.values().all(|word| word != OTHER));
    }
}
