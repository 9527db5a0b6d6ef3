//! What is done with devices that closets find.

use std::collections::BTreeSet;

use bellwether_logic::device::Class;
use serde::Deserialize;

/// What is done with devices that closets find.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Discovery {
    /// Which are taken in without asking a person.
    pub accept: Accept,
}

/// Which kinds of devices are taken in without asking a person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"none\", \"all\", or a list of kinds such as [\"switch\", \"ups\"]")]
pub enum Accept {
    /// All or none.
    Word(Word),
    /// These.
    Kinds(BTreeSet<Class>),
}

/// All or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Whatever is found.
    All,
    /// A person decides.
    None,
}

impl Default for Accept {
    fn default() -> Self {
        Self::Word(Word::None)
    }
}

impl Accept {
    /// Whether a device of this kind is taken in.
    #[must_use]
    pub fn takes(&self, kind: Class) -> bool {
        match self {
            Self::Word(Word::None) => false,
            Self::Word(Word::All) => true,
            Self::Kinds(kinds) => kinds.contains(&kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn takes(text: &str, kind: Class) -> bool {
        let config = Config::parse(Path::new("x"), &format!("[discovery]\naccept = {text}\n")).unwrap();
        config.discovery.accept.takes(kind)
    }

    #[test]
    fn nothing_is_taken_in_unless_it_is_said() {
        assert!(!Accept::default().takes(Class::Switch));
        assert!(!takes("\"none\"", Class::Switch));
        assert!(takes("\"all\"", Class::Other));
        assert!(takes("[\"switch\", \"ups\"]", Class::Ups) && !takes("[\"switch\", \"ups\"]", Class::Printer));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let said = Config::parse(Path::new("x"), "[discovery]\naccept = \"some\"\n").unwrap_err().to_string();
        assert!(said.contains("expected \"none\", \"all\", or a list of kinds"), "{said}");
    }
}
