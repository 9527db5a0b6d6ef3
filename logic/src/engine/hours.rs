//! Once an hour: learns when classes of devices are usually on, and looks for portables that nobody has seen for weeks.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::watched::Watched;
use super::{Effect, Engine, Snapshot};
use crate::device::{Class, LifeState};
use crate::incidents::Incident;
use crate::presence::Presence;
use crate::time::Timestamp;
use crate::timer::Purpose;
use crate::usual::is_fixed;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Classes at buildings of which hours are learned. The largest district of all has some 1,600 schools.
pub const USUALS_MAX: usize = 20_000;

/// What was silent for so long is no part of what is usual. House: a break between terms.
const GONE_AFTER: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// An outage that has lasted so long teaches nothing: it is one, and nobody's habit. House: a day.
const BROKEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A portable that was not seen for so many school days is on its building's list. House, as in the domain facts, row 23.
pub const FIND_AFTER_DAYS: usize = 14;

impl Engine {
    /// Sees to it that the next hour is looked at.
    pub(super) fn arm_hours(&mut self, now: Timestamp) {
        if !self.state.devices.is_empty() && !self.state.timers.has(&Purpose::Hour) {
            self.state.timers.set(Purpose::Hour, Some(now + EVERY));
        }
    }

    /// An hour has passed.
    pub(super) fn look_around(&mut self, now: Timestamp) {
        self.learn_hours(now);
        self.look_for_portables(now);
        self.arm_hours(now);
    }

    fn learn_hours(&mut self, now: Timestamp) {
        let mut counts: BTreeMap<(String, Class), (usize, usize)> = BTreeMap::new();
        for watched in self.state.devices.values() {
            if let Some(on) = is_on(now, watched) {
                let key = (watched.device.site.clone(), watched.device.class);
                let (present, all) = counts.entry(key).or_default();
                *present += usize::from(on);
                *all += 1;
            }
        }
        let Snapshot { usual, book, effects, .. } = &mut self.state;
        for (key, (on, of)) in counts {
            if usual.len() >= USUALS_MAX && !usual.contains_key(&key) {
                continue;
            }
            let known = usual.entry(key.clone()).or_default();
            known.note(now, book.school(&key.0), on, of);
            let change = known.take_change(now, &key.0, key.1);
            effects.extend(change.map(|hours| Effect::UsualHours(Box::new(hours))));
        }
    }

    fn look_for_portables(&mut self, now: Timestamp) {
        let Snapshot { devices, book, counters, .. } = &mut self.state;
        let portables = devices.values_mut().filter(|watched| watched.device.class == Class::Laptop);
        let mut changed: Vec<String> = Vec::new();
        for watched in portables {
            let unseen = watched.contact.last().filter(|_| watched.contact.presence() != Presence::Present);
            let days = unseen.and_then(|last| Some(book.school(&watched.device.site)?.days_between(last, now)));
            let in_use = watched.device.state == LifeState::InUse;
            let find = in_use && days.is_some_and(|days| days >= FIND_AFTER_DAYS);
            if find != watched.find {
                watched.find = find;
                counters.to_find += u64::from(find);
                changed.push(watched.device.id.clone());
            }
        }
        self.touched.extend(changed);
    }
}

/// Whether an outage lasts too long to be the end of a day.
fn is_broken(now: Timestamp, incident: &Incident) -> bool {
    incident.is_out() && now.since(incident.opened_at) > BROKEN_AFTER
}

/// Whether a device that stays in its place is on; none if it tells nothing about its class.
fn is_on(now: Timestamp, watched: &Watched) -> Option<bool> {
    let counts = is_fixed(watched.device.class) && watched.device.state == LifeState::InUse;
    let last = watched.contact.last().filter(|_| counts)?;
    match watched.contact.presence() {
        Presence::Present => Some(true),
        Presence::Unknown => None,
        _ if now.since(last) > GONE_AFTER || watched.incidents.values().any(|it| is_broken(now, it)) => None,
        Presence::Absent | Presence::SaidGoodbye { .. } => Some(false),
    }
}
