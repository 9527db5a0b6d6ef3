//! Who has a ticket.

use alloc::boxed::Box;
use alloc::string::String;

use super::Engine;
use crate::device::Class;
use crate::responsibilities::Responsibilities;
use crate::time::Timestamp;

impl Engine {
    /// Who looks after what.
    #[must_use]
    pub const fn responsibilities(&self) -> &Responsibilities {
        &self.state.matrix
    }

    /// Who has the machine-made tickets of a building, class and category, as one word.
    #[must_use]
    pub fn owner_key(&self, now: Timestamp, site: &str, class: Option<Class>, category: &str) -> String {
        self.state.matrix.owner_key(now, site, class, category)
    }

    /// Somebody has written who looks after what. One that can't be followed is not taken: the one before stands.
    pub(super) fn take_matrix(&mut self, matrix: Option<Box<Responsibilities>>) {
        let matrix = matrix.map_or_else(Responsibilities::default, |matrix| *matrix);
        if matrix.is_sound() {
            self.state.matrix = matrix;
        } else {
            self.state.counters.matrices_refused += 1;
        }
    }
}
