//! The machine's place, as the loop needs it.

use std::time::Duration;

use bellwether_logic::time::Timestamp;

use super::Agent;
use super::looker::Looker;
use super::timers::Timer;
use crate::privacy::day;
use crate::privacy::place::{Ends, Place};

impl Agent {
    /// Where the machine is just now.
    pub(super) fn look_around(&self) -> Place {
        if self.config.school.is_empty() {
            return Place::School;
        }
        let here = self.whereabouts.here(&self.hands.host);
        self.whereabouts.place(here.as_ref(), &self.config.school)
    }

    /// The collector answers: that says where the machine is.
    pub(super) fn handle_ends(&mut self, ends: Ends) {
        if self.config.school.is_empty() {
            return;
        }
        let here = self.whereabouts.here(&self.hands.host);
        self.whereabouts.handle_connected(ends, here, &self.config.school);
        self.watch_place();
    }

    /// Notices that the machine was carried from one place to another.
    pub(super) fn watch_place(&mut self) {
        let place = self.look_around();
        if place == self.place {
            return self.watch_elsewhere();
        }
        tracing::info!(?place, "the machine is somewhere else");
        // What was read at the one place is judged by the one place.
        self.close_round();
        self.place = place;
        self.told.forget();
        self.look_at_others();
        if place == Place::School {
            self.prime(self.hands.clock.now().wall);
            if self.link.is_none() {
                self.call();
            }
        }
    }

    /// Elsewhere: the stream ends when the day's values are out, and another network is worth another call.
    fn watch_elsewhere(&mut self) {
        if self.place == Place::School || self.remote.is_on_trial() {
            return;
        }
        if self.uplink.is_up() && self.round.is_none() && self.uplink.is_drained() {
            self.leave_for_today();
        } else if self.link.is_none() && self.whereabouts.is_new(self.whereabouts.here(&self.hands.host).as_ref()) {
            self.timers.set(Timer::Call, Duration::ZERO);
        }
    }

    /// Whether nothing is to be said before tomorrow: this stream was ended on purpose.
    pub(super) fn is_done_for_today(&self) -> bool {
        let ended = self.link.as_ref().is_some_and(|link| link.outgoing.is_none());
        self.place == Place::Elsewhere && ended && !self.remote.is_on_trial()
    }

    /// Begins to look at other devices, or stops: at somebody's home nothing is looked at.
    pub(super) fn look_at_others(&mut self) {
        let begin = || Looker::start(self.hands.host.clone(), self.config.clone());
        self.looker = (self.place == Place::School).then(begin);
        self.open_closet();
    }

    /// Asks for the reading from which the counters' differences are taken.
    pub(super) fn prime(&mut self, wall: Timestamp) {
        self.primed = false;
        self.reader.prime(wall, self.place);
    }

    /// Whether a reading is due: elsewhere, one a day.
    pub(super) fn wants_reading(&mut self, wall: Timestamp) -> bool {
        self.place == Place::School || self.whereabouts.begin_day(day(wall))
    }
}
