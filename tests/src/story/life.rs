//! The life of devices in a story: what is known of them, and what is assumed as it is shipped.

use std::path::Path;

use bellwether_collector::life::{import, load};
use bellwether_logic::engine::Input;
use bellwether_logic::life::{Facts, Known, Subject};
use serde::Deserialize;

/// What becomes known of a device or of a model, as a list would say it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Learned {
    device: Option<String>,
    model: Option<String>,
    purchased: Option<String>,
    price: Option<String>,
    warranty: Option<String>,
    planned_years: Option<String>,
    updates_end: Option<String>,
}

impl Learned {
    pub(super) fn input(&self) -> Input {
        let subject = match (&self.device, &self.model) {
            (Some(device), None) => Subject::Device(device.clone()),
            (None, Some(model)) => Subject::Model(model.clone()),
            _ => panic!("a device or a model becomes known: {self:?}"),
        };
        let mut facts = Facts::default();
        let said = [
            ("purchased", &self.purchased),
            ("price", &self.price),
            ("warranty", &self.warranty),
            ("plannedyears", &self.planned_years),
            ("updatesend", &self.updates_end),
        ];
        for (name, text) in said {
            if let Some(text) = text {
                import::put(&mut facts, name, text).unwrap_or_else(|expected| panic!("{name} = {text}: {expected}"));
            }
        }
        Input::Life(Known::Facts(vec![(subject, facts)]))
    }
}

/// What is assumed, as it is shipped.
pub(super) fn shipped() -> Input {
    let table = load(Path::new("/nonexistent")).unwrap_or_else(|error| panic!("{error}"));
    Input::Life(Known::Table(table))
}
