//! How every device is at a moment: broken, without power, cut off, and what its gauges would show.

use bellwether_logic::device::Class;

use crate::dates::{HOUR, MINUTE, Sec};
use crate::dice::Dice;
use crate::world::{Habit, Storage, World};

/// How long the batteries of a UPS last.
pub const RIDE: Sec = 25 * MINUTE;

/// One device. What can have several causes at once is counted.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// It is broken.
    pub dead: u8,
    /// Its outlet gives nothing.
    pub dark: u8,
    /// Its cable or port passes nothing.
    pub cut: u8,
    /// It stands still.
    pub hung: u8,
    /// Its agent says nothing while its stream is up.
    pub dumb: u8,
    /// It answers no question of management.
    pub mute: u8,
    /// A person switched it on.
    pub on: bool,
    /// It works.
    pub alive: bool,
    /// The closet of its building could reach it.
    pub local: bool,
    /// How much of its disk is used, in percent, at `disk_since`.
    pub disk: f64,
    /// How much more each hour.
    pub disk_per_hour: f64,
    /// When `disk` was true.
    pub disk_since: Sec,
    /// What its battery holds, of what it held when new, in percent.
    pub battery: f64,
    /// How much it loses a day.
    pub battery_per_day: f64,
    /// How often it was charged.
    pub cycles: f64,
    /// It takes no charge.
    pub battery_dead: bool,
    /// How much of its writes an SSD has used up, in percent.
    pub worn: f64,
    /// How much more a day.
    pub worn_per_day: f64,
    /// Sectors that can't be read.
    pub pending: i64,
    /// Sectors that were exchanged.
    pub reallocated: i64,
    /// Errors on the disk's cable.
    pub crc: i64,
    /// Toner of two cartridges in percent.
    pub toner: [f64; 2],
    /// How much a school day takes.
    pub toner_per_day: f64,
    /// Paper is jammed.
    pub jammed: u8,
    /// It needs a part.
    pub service: bool,
    /// A fan has failed.
    pub part: bool,
    /// A disk of its array has failed.
    pub array: bool,
    /// Its batteries have failed their test.
    pub replace: bool,
    /// By how much its clock is ahead, in seconds.
    pub clock: Sec,
}

impl Condition {
    /// How much of its disk is used, in percent.
    #[must_use]
    pub fn disk_at(&self, now: Sec) -> f64 {
        (self.disk + self.disk_per_hour * (now - self.disk_since) as f64 / HOUR as f64).clamp(1.0, 99.6)
    }

    /// Puts its disk to a level from which it goes on.
    pub fn set_disk(&mut self, now: Sec, used: f64, per_hour: f64) {
        (self.disk, self.disk_per_hour, self.disk_since) = (used, per_hour, now);
    }
}

/// One building.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The utility gives nothing.
    pub mains_off: u8,
    /// Since when.
    pub dark_since: Sec,
    /// The line to the world is cut.
    pub line_cut: u8,
    /// How much warmer than 22 degrees its closets are.
    pub heat: f64,
    /// How much warmer the sun makes them at its highest.
    pub heat_peak: f64,
}

/// All devices and buildings.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Devices.
    pub things: Vec<Condition>,
    /// Buildings.
    pub places: Vec<Place>,
}

impl Conditions {
    /// As everything is on the first day: some of it old.
    #[must_use]
    pub fn new(world: &World, now: Sec, dice: &mut Dice) -> Self {
        let mut things = Vec::with_capacity(world.things.len());
        for thing in &world.things {
            let mut condition = Condition {
                on: matches!(thing.habit, Habit::Always | Habit::Watched),
                battery_per_day: dice.between(0.020, 0.038),
                worn_per_day: dice.between(0.005, 0.03),
                toner: [dice.between(15.0, 100.0), dice.between(15.0, 100.0)],
                toner_per_day: dice.between(0.5, 1.6),
                ..Condition::default()
            };
            condition.battery = (100.0 - condition.battery_per_day * 365.0 * thing.age).max(20.0);
            condition.cycles = 0.6 * 365.0 * thing.age;
            condition.worn = (condition.worn_per_day * 365.0 * thing.age).min(97.0);
            let drift = if dice.happens(0.02) { dice.between(0.05, 0.2) } else { dice.between(0.0, 0.01) };
            condition.set_disk(now, dice.between(20.0, 72.0) + 6.0 * dice.around().abs(), drift / 24.0);
            if thing.storage == Storage::Hdd && dice.happens(0.04) {
                condition.reallocated = dice.whole(1, 60);
            }
            things.push(condition);
        }
        let mut all = Self { things, places: vec![Place::default(); world.buildings.len()] };
        (0..world.buildings.len()).for_each(|building| all.settle(world, building, now));
        all
    }

    /// What works and what can be reached in a building.
    pub fn settle(&mut self, world: &World, building: usize, now: Sec) {
        for index in world.buildings[building].things.iter().copied() {
            self.settle_one(world, index, now);
        }
    }

    /// Whether one device works and can be reached, if that is known of what it hangs on.
    pub fn settle_one(&mut self, world: &World, index: usize, now: Sec) {
        let thing = &world.things[index];
        let this = &self.things[index];
        let alive = this.dead == 0 && this.dark == 0 && this.hung == 0 && this.on && self.has_power(world, index, now);
        let core = world.buildings[thing.building].core;
        let below = match thing.on {
            Some(on) if index != core => self.things[on].local,
            Some(_) => true,
            None => thing.habit != Habit::Laptop || self.things[core].local,
        };
        let local = alive && this.cut == 0 && below;
        let this = &mut self.things[index];
        (this.alive, this.local) = (alive, local);
    }

    fn has_power(&self, world: &World, index: usize, now: Sec) -> bool {
        let thing = &world.things[index];
        let place = &self.places[thing.building];
        let rides = now < place.dark_since + RIDE;
        let gives = thing.ups.is_none_or(|ups| self.things[ups].dead == 0);
        let backed = thing.device.class == Class::Ups || thing.ups.is_some();
        thing.habit == Habit::Laptop || gives && (place.mains_off == 0 || rides && backed)
    }

    /// Whether an agent can reach the collector.
    #[must_use]
    pub fn is_online(&self, world: &World, thing: usize) -> bool {
        let building = world.things[thing].building;
        let router = world.buildings[building].router;
        self.things[thing].local && self.things[router].local && self.places[building].line_cut == 0
    }

    /// Whether the closet of its building can reach a device.
    #[must_use]
    pub fn is_seen(&self, world: &World, thing: usize) -> bool {
        self.things[thing].local && self.things[world.buildings[world.things[thing].building].closet].local
    }

    /// How warm the closets of a building are.
    #[must_use]
    pub fn degrees(&self, building: usize, since_midnight: Sec) -> f64 {
        let place = &self.places[building];
        let height = (1.0 - ((since_midnight - 15 * HOUR) as f64 / (7 * HOUR) as f64).powi(2)).max(0.0);
        22.0 + place.heat + place.heat_peak * height
    }
}
