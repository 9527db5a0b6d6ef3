//! The machine's place, as the loop needs it.

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;

use super::Agent;
use crate::privacy::place::{Ends, Place};
use crate::privacy::{day, off_site};

impl Agent {
    /// Where the machine is just now.
    pub(super) fn place(&self) -> Place {
        if self.config.school.is_empty() {
            return Place::School;
        }
        let here = self.whereabouts.here(&self.hands.host);
        self.whereabouts.place(here.as_ref(), &self.config.school)
    }

    pub(super) fn note_ends(&mut self, ends: Ends) {
        let here = if self.config.school.is_empty() { None } else { self.whereabouts.here(&self.hands.host) };
        self.whereabouts.handle_connected(ends, here, &self.config.school);
    }

    /// What of a reading taken elsewhere may wait for the collector.
    pub(super) fn of_elsewhere(&mut self, samples: Vec<Sample>) -> Vec<Sample> {
        off_site(samples)
    }

    /// Whether a reading is due though the machine is elsewhere: one a day.
    pub(super) fn is_new_day(&mut self, wall: Timestamp) -> bool {
        self.whereabouts.begin_day(day(wall))
    }
}
