//! What may happen on a day, and how often. Rates are a year's, for one device or building, as a technician of a district
//! remembers them; domain facts say how they are seen. They are drawn anew each day, so that a year holds what a year holds.

use bellwether_logic::device::Class;
use bellwether_logic::engine::Input;
use bellwether_logic::plans::{NewPlan, Scope};
use bellwether_logic::time::Timestamp;

use super::{Event, Plan, Play};
use crate::dates::{HOUR, MINUTE, Sec, at, date};
use crate::problem::{Cause, Kind};
use crate::world::{Habit, Storage};

/// How often something happens to each of a class in a year.
const YEARLY: [(Kind, Class, f64); 37] = [
    (Kind::Dies, Class::Router, 0.03),
    (Kind::Dies, Class::Switch, 0.05),
    (Kind::Dies, Class::AccessPoint, 0.05),
    (Kind::Dies, Class::Ups, 0.02),
    (Kind::Dies, Class::Closet, 0.04),
    (Kind::Dies, Class::Server, 0.04),
    (Kind::Dies, Class::Nas, 0.02),
    (Kind::Dies, Class::Sensor, 0.02),
    (Kind::Dies, Class::Printer, 0.05),
    (Kind::Dies, Class::Desktop, 0.03),
    (Kind::Dies, Class::Laptop, 0.03),
    (Kind::Blinks, Class::Switch, 1.5),
    (Kind::Blinks, Class::AccessPoint, 2.0),
    (Kind::Blinks, Class::Router, 0.5),
    (Kind::Blinks, Class::Server, 2.0),
    (Kind::Blinks, Class::Nas, 1.0),
    (Kind::Flaps, Class::AccessPoint, 0.08),
    (Kind::Flaps, Class::Switch, 0.03),
    (Kind::Hangs, Class::Server, 0.4),
    (Kind::Hangs, Class::Closet, 0.2),
    (Kind::Hangs, Class::Desktop, 0.03),
    (Kind::Mute, Class::Switch, 0.1),
    (Kind::Mute, Class::AccessPoint, 0.05),
    (Kind::UpsBattery, Class::Ups, 0.2),
    (Kind::Part, Class::Switch, 0.05),
    (Kind::ArrayDisk, Class::Nas, 0.2),
    (Kind::ArrayDisk, Class::Server, 0.1),
    (Kind::Fills, Class::Server, 0.2),
    (Kind::Fills, Class::Desktop, 0.02),
    (Kind::Fills, Class::Laptop, 0.01),
    (Kind::DeadBattery, Class::Laptop, 0.003),
    (Kind::Jam, Class::Printer, 20.0),
    (Kind::Rollers, Class::Printer, 0.15),
    (Kind::Service, Class::Printer, 0.5),
    (Kind::Clock, Class::Desktop, 0.05),
    (Kind::Clock, Class::Laptop, 0.05),
    (Kind::Clock, Class::Server, 0.1),
];

/// Of turning disks.
const SECTORS_YEARLY: f64 = 0.015;
const DISK_CABLE_YEARLY: f64 = 0.005;

/// Of buildings.
const POWER_CUTS_YEARLY: f64 = 0.8;
const LINE_CUTS_YEARLY: f64 = 1.2;
const BREAKERS_YEARLY: f64 = 0.4;

/// Of the collector.
const AWAY_YEARLY: f64 = 12.0;

/// The model of laptops whose batteries are of a bad batch, and when that begins to show.
const BAD_BATCH: usize = 1;

/// Machines that get a new system in summer.
const REIMAGED: usize = 500;

impl Play {
    pub(super) fn draw(&mut self, days: i32) {
        for thing in 0..self.world.things.len() {
            self.draw_device(thing, days);
        }
        for building in 0..self.world.buildings.len() {
            self.draw_building(building, days);
        }
        if self.chance(AWAY_YEARLY) {
            let long = (self.dice.wait(10.0 * 60.0) as Sec).clamp(40, 90 * MINUTE);
            let begins = self.moment_of(days, false);
            self.plan(begins, Event::CollectorGoes(long));
        }
        self.draw_nights(days);
        if days == date(2026, 9, 20) {
            self.spoil_batch();
        }
        if days == date(2027, 6, 14) {
            self.reimage(days);
        }
    }

    /// Whether something of a yearly rate happens today.
    fn chance(&mut self, yearly: f64) -> bool {
        let today = yearly * self.script.hurry / 365.0;
        self.dice.happens(today)
    }

    /// Some moment of a day; in school hours if it takes people.
    fn moment_of(&mut self, days: i32, people: bool) -> Sec {
        let (from, until) = if people { (8.0, 15.0) } else { (0.0, 24.0) };
        at(days, (self.dice.between(from, until) * HOUR as f64) as Sec)
    }

    fn fated(&mut self, moment: Sec, kind: Kind, cause: Cause, natural: Option<Sec>) {
        self.plans.push(Plan { kind, cause, natural });
        self.plan(moment, Event::Begins(self.plans.len() - 1));
    }

    fn draw_device(&mut self, thing: usize, days: i32) {
        let class = self.world.things[thing].device.class;
        let is_school = self.year.day(days).is_some();
        for (kind, of, yearly) in YEARLY {
            // Paper jams as often as ever: more would be worn rollers.
            let chance = if kind == Kind::Jam { self.dice.happens(yearly / 365.0) } else { self.chance(yearly) };
            if of != class || !chance {
                continue;
            }
            let people = matches!(kind, Kind::Jam | Kind::Service) || matches!(of, Class::Desktop | Class::Laptop);
            if people && !is_school {
                continue;
            }
            let moment = self.moment_of(days, people);
            let natural = self.lasts(kind, class);
            self.fated(moment, kind, Cause::Device(thing), natural);
        }
        let turning = self.world.things[thing].storage == Storage::Hdd;
        if turning && matches!(class, Class::Desktop | Class::Server | Class::Closet) {
            for (kind, yearly) in [(Kind::Sectors, SECTORS_YEARLY), (Kind::DiskCable, DISK_CABLE_YEARLY)] {
                if self.chance(yearly) {
                    let moment = self.moment_of(days, true);
                    let natural = (kind == Kind::Sectors && self.dice.happens(0.3)).then_some(5 * HOUR);
                    self.fated(moment, kind, Cause::Device(thing), natural);
                }
            }
        }
    }

    /// How long something lasts if nobody mends it.
    fn lasts(&mut self, kind: Kind, class: Class) -> Option<Sec> {
        let dice = &mut self.dice;
        match kind {
            // Most restarts take two or three minutes; some wait for a file system, a loop or a loose plug.
            Kind::Blinks => Some((100.0 * (0.7 * dice.around()).exp()).clamp(20.0, 3_000.0) as Sec),
            Kind::Hangs if class == Class::Desktop => Some(dice.whole(5, 60) * MINUTE),
            Kind::Mute => Some((90.0 * 60.0 * (1.2 * dice.around()).exp()) as Sec),
            Kind::Jam => Some((dice.wait(8.0 * 60.0) as Sec).max(MINUTE)),
            Kind::Clock => Some(dice.whole(1, 30) * HOUR),
            Kind::Fills if class != Class::Server => Some(dice.whole(4, 150) * HOUR),
            _ => None,
        }
    }

    fn draw_building(&mut self, building: usize, days: i32) {
        if self.chance(POWER_CUTS_YEARLY) {
            let long = (20.0 * 60.0 * (1.3 * self.dice.around()).exp()).clamp(5.0, 36_000.0) as Sec;
            let moment = self.moment_of(days, false);
            self.fated(moment, Kind::PowerCut, Cause::Building(building), Some(long));
        }
        // The collector stands in the first: what it can't reach is not the line of that.
        if building > 0 && self.chance(LINE_CUTS_YEARLY) {
            let long = (15.0 * 60.0 * (1.4 * self.dice.around()).exp()).clamp(5.0, 36_000.0) as Sec;
            let moment = self.moment_of(days, false);
            self.fated(moment, Kind::LineCut, Cause::Building(building), Some(long));
        }
        if self.year.day(days).is_some() && self.chance(BREAKERS_YEARLY) {
            let room = format!("Lab {}", 1 + self.dice.below(2));
            let long = self.dice.whole(20, 300) * MINUTE;
            let moment = self.moment_of(days, true);
            self.fated(moment, Kind::Breaker, Cause::Room(building, room), Some(long));
        }
        self.draw_weather(building, days);
    }

    /// Closets are warmest when the sun is; some have no cooling worth its name.
    fn draw_weather(&mut self, building: usize, days: i32) {
        let year = crate::dates::year_of(days);
        let warm = [(6, 1, 9, 20), (4, 25, 6, 1)]
            .iter()
            .position(|(m, d, n, e)| (date(year, *m, *d)..date(year, *n, *e)).contains(&days));
        let season = [4.5, 2.5].get(warm.unwrap_or(2)).copied().unwrap_or(0.5);
        self.all.places[building].heat_peak = season + 0.8 * self.dice.around();
        let fails = if warm == Some(0) { 2.0 } else { 0.2 };
        if building % 4 == 3 && self.chance(fails) {
            let long = self.dice.whole(30, 150) * HOUR;
            self.fated(at(days, 6 * HOUR), Kind::Heat, Cause::Building(building), Some(long));
        }
    }

    /// On a night each month the switches of a few buildings get new firmware, one after the other. Somebody has planned it.
    fn draw_nights(&mut self, days: i32) {
        if days.rem_euclid(30) != 9 {
            return;
        }
        let buildings = self.world.buildings.len();
        let begin = self.dice.below(buildings);
        let (from, until) = (at(days, 22 * HOUR), at(days + 1, HOUR));
        for building in (0..3.min(buildings)).map(|step| (begin + step) % buildings) {
            self.plan_night(building, from, until);
            for place in 0..self.world.buildings[building].watched.len() {
                let thing = self.world.buildings[building].watched[place];
                if self.world.things[thing].device.class == Class::Switch {
                    let moment = from + 8 * MINUTE * place as Sec + MINUTE;
                    let long = self.dice.whole(120, 700);
                    self.fated(moment, Kind::Firmware, Cause::Device(thing), Some(long));
                }
            }
        }
    }

    fn plan_night(&mut self, building: usize, from: Sec, until: Sec) {
        let scope = Scope { site: self.world.buildings[building].name.clone(), ..Scope::default() };
        let stamp = |moment: Sec| Timestamp(moment * 1_000);
        let plan =
            NewPlan { scope, from: stamp(from), until: stamp(until), why: "New firmware for the switches".into() };
        self.tell(Input::Plan { actor: "technician".into(), plan });
        // Whoever plans it looks after what is left.
        self.truth.unwatched(building, from, until);
    }

    /// From now on the batteries of one model, of one year, lose in a month what others lose in a year.
    fn spoil_batch(&mut self) {
        for thing in 0..self.world.things.len() {
            let known = &self.world.things[thing];
            let young = known.device.class == Class::Laptop && known.model == BAD_BATCH;
            if young && self.dice.happens(0.08) {
                self.all.things[thing].battery_per_day = self.dice.between(0.25, 0.5);
            }
        }
    }

    /// Labs first, then the desks of classrooms: pulled out of the wall, and back within hours as new.
    fn reimage(&mut self, days: i32) {
        let desktops: Vec<usize> = (0..self.world.things.len())
            .filter(|thing| self.world.things[*thing].device.class == Class::Desktop)
            .filter(|thing| self.world.things[*thing].habit != Habit::Watched)
            .take(REIMAGED)
            .collect();
        for (number, thing) in desktops.into_iter().enumerate() {
            // 25 a day, on weekdays.
            let day = days + (number / 25) as i32 / 5 * 7 + (number / 25) as i32 % 5;
            let moment = at(day, 8 * HOUR) + self.dice.whole(0, 180) * MINUTE;
            let long = self.dice.whole(90, 300) * MINUTE;
            self.plan(moment - 30 * MINUTE, Event::TurnOn(thing));
            self.fated(moment, Kind::Reimage, Cause::Device(thing), Some(long));
        }
    }
}
