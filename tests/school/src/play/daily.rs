//! What a day brings by itself: wear, and who switches on what when.

use bellwether_logic::calendar::{Change, Date};
use bellwether_logic::device::Class;
use bellwether_logic::engine::Input;

use super::{Event, Leaving, Play};
use crate::dates::{DAY, HOUR, MINUTE, Sec, at};
use crate::problem::{Cause, Deserves, Kind, Problem};
use crate::world::{Habit, Storage};
use crate::year::SchoolDay;

/// Below this part of what it held when new, a battery won't last a school day.
pub(super) const BATTERY_MIN: f64 = 60.0;

/// Below this one that was known to be weak is worse than that: it hardly lasts a morning.
pub(super) const BATTERY_HALF: f64 = 50.0;

/// Above this, an SSD is about to have used up its writes.
pub(super) const WORN_MAX: f64 = 90.0;

/// From this on, toner should be ordered.
pub(super) const TONER_MIN: f64 = 10.0;

/// From here on a computer's disk may be called full: less than 30 GB are left.
pub(super) const DISK_TIGHT: f64 = 88.0;

/// Here it is full.
pub(super) const DISK_FULL: f64 = 99.0;

impl Play {
    /// A day older: wear, and what of it becomes a problem today.
    pub(super) fn age(&mut self, days: i32) {
        let is_school = self.year.day(days).is_some();
        for thing in 0..self.world.things.len() {
            let (class, storage) = (self.world.things[thing].device.class, self.world.things[thing].storage);
            let this = &mut self.all.things[thing];
            match class {
                Class::Laptop => {
                    this.battery = (this.battery - this.battery_per_day).max(5.0);
                    this.cycles += if is_school { 0.9 } else { 0.1 };
                }
                Class::Printer if is_school => {
                    let used = this.toner_per_day;
                    this.toner
                        .iter_mut()
                        .zip([1.0, 0.6])
                        .for_each(|(left, part)| *left = (*left - used * part).max(0.0));
                }
                _ => {}
            }
            if storage == Storage::Ssd {
                this.worn += this.worn_per_day;
            }
            self.note_half(thing);
            self.note_wear(thing, class, storage);
            self.go_on_failing(thing);
        }
    }

    /// A battery that was weak on the first day holds less than half by now: one would see to it, and another has it planned.
    fn note_half(&mut self, thing: usize) {
        let this = &self.all.things[thing];
        let passes = this.battery < BATTERY_HALF + 1.0 && this.battery + this.battery_per_day >= BATTERY_HALF + 1.0;
        let index = self.truth.lasting(thing, Kind::WornBattery).filter(|_| passes);
        if let Some(index) = index.filter(|index| self.truth.problems[*index].old) {
            self.truth.problems[index].until = Some(self.now);
            self.truth.forget(thing, index);
            self.add(Problem::of_device(Kind::WornBattery, thing, self.now, Deserves::Either));
        }
    }

    fn note_wear(&mut self, thing: usize, class: Class, storage: Storage) {
        let this = &self.all.things[thing];
        let (now, computer) = (self.now, self.world.things[thing].habit != Habit::Watched);
        let school_days = |days: Sec| self.year.after(now, days * 7 * HOUR);
        let mut found = vec![];
        if class == Class::Laptop && this.battery < BATTERY_MIN {
            found.push((Kind::WornBattery, Deserves::Ticket { by: school_days(15) }));
        }
        if computer && storage == Storage::Ssd && this.worn >= WORN_MAX {
            found.push((Kind::WornDisk, Deserves::Ticket { by: school_days(20) }));
        }
        if class == Class::Printer && this.toner.iter().any(|left| *left < TONER_MIN) {
            let lasts = (TONER_MIN - 3.0) / this.toner_per_day;
            found.push((Kind::Toner, Deserves::Ticket { by: school_days(lasts.ceil() as Sec) }));
        }
        let tight = if class == Class::Server { 70.0 } else { DISK_TIGHT };
        let used = this.disk_at(now);
        if computer && used > tight && this.disk_per_hour > 0.0 {
            // An hour of school is what it takes to see it, however little is left.
            let full = now + ((DISK_FULL - used).max(0.0) / this.disk_per_hour * HOUR as f64) as Sec;
            // Whoever stops at that does not fill it: browsers' caches and updates take their share and give it back.
            let deserves = match full < now + 330 * DAY {
                true => Deserves::Ticket { by: self.year.after(full, HOUR) },
                false => Deserves::Either,
            };
            found.push((Kind::Fills, deserves));
        }
        for (kind, deserves) in found {
            if !self.truth.has(thing, kind) {
                self.add(Problem::of_device(kind, thing, now, deserves));
            }
        }
    }

    /// Disks that fail lose more sectors, and bad cables make more errors.
    fn go_on_failing(&mut self, thing: usize) {
        let this = &mut self.all.things[thing];
        if this.pending > 0 && self.truth.has(thing, Kind::Sectors) {
            this.pending += self.dice.whole(0, 3);
            this.reallocated += self.dice.whole(0, 2);
        }
        if self.truth.has(thing, Kind::DiskCable) {
            self.all.things[thing].crc += self.dice.whole(15, 60);
        }
    }

    /// Who is switched on and off today, and the word that school is closed.
    pub(super) fn plan_computers(&mut self, days: i32) {
        if self.year.snows(days) {
            let change = Some(Change::Closed);
            for building in 0..self.world.buildings.len() {
                let site = self.world.buildings[building].name.clone();
                self.tell(Input::DayChanged { site, date: Date(days), change });
            }
        }
        let Some(day) = self.year.day(days) else {
            self.plan_day_off(days);
            return;
        };
        // A class that is away leaves its whole room off.
        let mut away = std::collections::BTreeMap::new();
        for thing in 0..self.world.things.len() {
            let habit = self.world.things[thing].habit;
            if matches!(habit, Habit::Always | Habit::Watched) {
                continue;
            }
            let room = (self.world.things[thing].building, self.world.things[thing].device.room.clone());
            let dice = &mut self.dice;
            let room_away = *away.entry(room).or_insert_with(|| dice.happens(0.01));
            if habit == Habit::Laptop {
                self.plan_laptop(thing, day);
            } else if room_away || self.dice.happens(0.004) {
                self.leave_off(thing, day);
            } else {
                self.plan_desktop(thing, habit, day);
            }
        }
    }

    /// A desktop that nobody switches on today.
    fn leave_off(&mut self, thing: usize, day: SchoolDay) {
        if self.world.things[thing].habit == Habit::AtTheWall && !self.truth.has(thing, Kind::LeftOff) {
            let left = Problem::of_device(Kind::LeftOff, thing, day.opens - HOUR, Deserves::Nothing);
            let index = self.add(left);
            self.plan(day.closes, Event::Ends(index));
        }
    }

    fn plan_desktop(&mut self, thing: usize, habit: Habit, day: SchoolDay) {
        let on = day.opens + (self.dice.between(-40.0, 20.0) * 60.0) as Sec;
        let off = day.closes + self.dice.whole(-10, 90) * MINUTE;
        self.plan(on, Event::TurnOn(thing));
        let how = if habit == Habit::AtTheWall { Leaving::Silently } else { Leaving::ShutDown };
        self.plan(off, Event::TurnOff(thing, how));
    }

    /// One to three stretches of a day in which a lid is open.
    fn plan_laptop(&mut self, thing: usize, day: SchoolDay) {
        if self.dice.happens(0.12) {
            return;
        }
        let mut from = day.opens + self.dice.whole(0, 90) * MINUTE;
        for _ in 0..self.dice.whole(1, 3) {
            let until = from + self.dice.whole(40, 150) * MINUTE;
            if until > day.closes {
                break;
            }
            self.plan(from, Event::TurnOn(thing));
            let how = if self.dice.happens(0.85) { Leaving::Sleeps } else { Leaving::Silently };
            self.plan(until, Event::TurnOff(thing, how));
            from = until + self.dice.whole(10, 80) * MINUTE;
        }
    }

    fn plan_day_off(&mut self, days: i32) {
        let noon = at(days, 9 * HOUR);
        for thing in 0..self.world.things.len() {
            // Somebody works in the holidays, too.
            if self.world.things[thing].habit == Habit::ShutDown && self.dice.happens(0.02) {
                let on = noon + self.dice.whole(0, 120) * MINUTE;
                self.plan(on, Event::TurnOn(thing));
                let off = on + self.dice.whole(30, 300) * MINUTE;
                self.plan(off, Event::TurnOff(thing, Leaving::ShutDown));
            }
        }
    }

    /// The devices of a cause.
    pub(super) fn devices_of(&self, cause: &Cause) -> Vec<usize> {
        match cause {
            Cause::Device(thing) => {
                let mut all = vec![*thing];
                all.extend(self.world.below(*thing));
                all
            }
            Cause::Room(building, room) => self.world.in_room(*building, room).collect(),
            Cause::Building(building) => self.world.buildings[*building].things.clone(),
        }
    }
}
