//! What a problem does to the district while it lasts, and what it takes for it to be over.

use bellwether_logic::device::Class;

use super::daily::{BATTERY_MIN, DISK_FULL, TONER_MIN};
use super::{Event, Plan, Play};
use crate::condition::RIDE;
use crate::dates::{DAY, HOUR, MINUTE, Sec};
use crate::problem::{Cause, Deserves, Kind, Problem};
use crate::world::Habit;

/// An outage that is over sooner is noticed by nobody who could act...
const BRIEF: Sec = 3 * MINUTE;

/// ... unless many are cut off by it: a class is, and will tell the office.
const BRIEF_FOR_MANY: Sec = 80;
const MANY: usize = 10;

/// An outage that lasts so long is noticed in every class.
const LONG: Sec = 10 * MINUTE;

/// How soon somebody should know of an outage of the network.
const SOON: Sec = 20 * MINUTE;

impl Play {
    pub(super) fn begins(&mut self, plan: usize) {
        let Plan { kind, cause, natural } = self.plans[plan].clone();
        let hits = self.devices_of(&cause);
        let device = match &cause {
            Cause::Device(thing) => Some(*thing),
            _ => None,
        };
        // Nothing breaks twice, and what is off or out of use breaks when it is used again.
        let broken = |thing: usize| self.all.things[thing].dead > 0 || self.truth.has(thing, kind);
        let idle = |thing: usize| matches!(kind, Kind::Dies | Kind::Hangs | Kind::Clock) && !self.all.things[thing].on;
        if device.is_some_and(|thing| broken(thing) || idle(thing)) {
            return;
        }
        let deserves = self.deserves(kind, device, hits.len(), natural);
        let mendable = !matches!(kind, Kind::PowerCut | Kind::LineCut | Kind::Breaker);
        let from = self.now;
        let problem = Problem { kind, cause, hits, from, until: None, deserves, old: false, ticket: None, mendable };
        let index = self.add(problem);
        if let Some(natural) = natural {
            self.plan(self.now + natural, Event::Ends(index));
        }
        self.take_effect(index, true);
    }

    fn deserves(&self, kind: Kind, device: Option<usize>, hits: usize, natural: Option<Sec>) -> Deserves {
        let now = self.now;
        let brief = if hits > MANY { BRIEF_FOR_MANY } else { BRIEF };
        let outage = |brief: Sec, long: Sec| match natural {
            Some(natural) if natural < brief => Deserves::Nothing,
            Some(natural) if natural < long => Deserves::Either,
            _ => Deserves::Ticket { by: now + SOON },
        };
        let lasts = |span: Sec| natural.is_none_or(|natural| natural >= span);
        let class = device.map(|thing| self.world.things[thing].device.class);
        let school = |span: Sec| Deserves::Ticket { by: self.year.after(now, span) };
        match (kind, class) {
            (Kind::Dies, Some(Class::Laptop)) => Deserves::Nothing,
            (Kind::Dies, Some(Class::Desktop)) => school(9 * HOUR),
            (Kind::Dies, Some(Class::Printer | Class::Sensor)) => Deserves::Either,
            (Kind::Hangs, Some(Class::Desktop)) => Deserves::Nothing,
            (Kind::Dies | Kind::Hangs | Kind::Blinks | Kind::PowerCut | Kind::LineCut, _) => outage(brief, LONG),
            (Kind::Flaps, _) | (Kind::Rollers, _) => school(if kind == Kind::Flaps { 7 } else { 35 } * HOUR),
            (Kind::Mute, _) => outage(10 * MINUTE, Sec::MAX),
            (Kind::Breaker, _) if self.year.after(now, 2 * HOUR) > now + natural.unwrap_or(Sec::MAX) => {
                Deserves::Either
            }
            (Kind::Breaker, _) => school(4 * HOUR),
            (Kind::UpsBattery, _) => Deserves::Ticket { by: now + 5 * DAY },
            (Kind::Heat, _) => Deserves::Ticket { by: now + 36 * HOUR },
            (Kind::Part, _) => Deserves::Ticket { by: now + DAY },
            (Kind::ArrayDisk, _) => Deserves::Ticket { by: now + 2 * HOUR },
            (Kind::Fills, Some(Class::Server)) => Deserves::Ticket { by: now + 14 * HOUR },
            (Kind::Fills, _) if lasts(30 * HOUR) => Deserves::Either,
            (Kind::Sectors, _) if lasts(DAY) => school(35 * HOUR),
            (Kind::DiskCable, _) => school(56 * HOUR),
            (Kind::DeadBattery, _) => school(35 * HOUR),
            (Kind::Jam, _) if lasts(90 * MINUTE) => school(3 * HOUR),
            (Kind::Jam, _) if lasts(25 * MINUTE) => Deserves::Either,
            (Kind::Service, _) => school(8 * HOUR),
            _ => Deserves::Nothing,
        }
    }

    /// Puts a problem's effect on things, or takes it away.
    fn take_effect(&mut self, problem: usize, on: bool) {
        let (kind, cause) = (self.truth.problems[problem].kind, self.truth.problems[problem].cause.clone());
        match &cause {
            Cause::Device(thing) => {
                self.affect(kind, *thing, on);
                if kind == Kind::Flaps && on {
                    self.plan(self.now, Event::Toggles(problem));
                }
                if kind == Kind::Rollers && on {
                    self.plan(self.now + HOUR, Event::Toggles(problem));
                }
            }
            Cause::Room(building, room) => {
                let hit: Vec<usize> = self.world.in_room(*building, room).collect();
                for thing in hit.into_iter().filter(|thing| self.world.things[*thing].habit != Habit::Laptop) {
                    count(&mut self.all.things[thing].dark, on);
                }
            }
            Cause::Building(building) => self.affect_building(kind, *building, on),
        }
        let building = self.truth.building(&self.world, problem);
        self.settle(building);
    }

    fn affect_building(&mut self, kind: Kind, building: usize, on: bool) {
        let place = &mut self.all.places[building];
        match kind {
            Kind::PowerCut => {
                count(&mut place.mains_off, on);
                if on {
                    place.dark_since = self.now;
                    self.plan(self.now + RIDE, Event::Settles(building));
                }
                self.truth.blind(building, self.now, on);
            }
            Kind::LineCut => {
                count(&mut place.line_cut, on);
                self.truth.blind(building, self.now, on);
            }
            Kind::Heat => place.heat = if on { self.dice.between(11.0, 15.0) } else { 0.0 },
            _ => {}
        }
    }

    fn affect(&mut self, kind: Kind, thing: usize, on: bool) {
        let (class, now) = (self.world.things[thing].device.class, self.now);
        let this = &mut self.all.things[thing];
        match kind {
            Kind::Dies | Kind::Blinks | Kind::Firmware | Kind::Reimage => count(&mut this.dead, on),
            Kind::Hangs => count(&mut this.hung, on),
            Kind::Mute => count(&mut this.mute, on),
            Kind::UpsBattery => this.replace = on,
            Kind::Part => this.part = on,
            Kind::ArrayDisk => this.array = on,
            Kind::Jam => count(&mut this.jammed, on),
            Kind::Service => this.service = on,
            Kind::DeadBattery => this.battery_dead = on,
            Kind::Clock => this.clock = if on { self.dice.whole(-100, 100) } else { 0 },
            Kind::Sectors if on => this.pending = self.dice.whole(1, 12),
            Kind::Sectors => this.pending = 0,
            Kind::Fills if on => {
                let used = this.disk_at(now);
                let hours = if class == Class::Server { self.dice.between(4.0, 12.0) } else { 2.0 };
                this.set_disk(now, used, (DISK_FULL + 0.5 - used) / hours);
            }
            Kind::Fills => this.set_disk(now, self.dice.between(30.0, 60.0), 0.0002),
            Kind::WornBattery => {
                (this.battery, this.cycles, this.battery_per_day) = (99.0, 0.0, self.dice.between(0.02, 0.03));
                debug_assert!(this.battery > BATTERY_MIN, "a new one is good");
            }
            Kind::WornDisk => this.worn = 0.0,
            Kind::Toner => this.toner.iter_mut().filter(|left| **left < TONER_MIN + 8.0).for_each(|left| *left = 100.0),
            _ => {}
        }
        if kind == Kind::Reimage && !on {
            this.set_disk(now, 22.0, 0.001);
            self.plan(now + HOUR, Event::TurnOff(thing, super::Leaving::ShutDown));
        }
    }

    /// A problem is over, by itself or by somebody's hand.
    pub(super) fn mend(&mut self, problem: usize) {
        let it = &mut self.truth.problems[problem];
        if it.until.is_some() {
            return;
        }
        it.until = Some(self.now);
        let flapping = it.kind == Kind::Flaps;
        let jamming = it.kind == Kind::Rollers;
        if let Cause::Device(thing) = it.cause {
            if flapping {
                self.all.things[thing].cut = 0;
            }
            if jamming {
                self.all.things[thing].jammed = 0;
            }
            self.truth.forget(thing, problem);
        }
        self.take_effect(problem, false);
    }

    /// A bad cable lets go and holds again; worn rollers jam, and somebody nearby frees them.
    pub(super) fn toggles(&mut self, problem: usize) {
        let it = &self.truth.problems[problem];
        let (Cause::Device(thing), None) = (it.cause.clone(), it.until) else { return };
        let building = self.world.things[thing].building;
        if it.kind == Kind::Flaps {
            let was_cut = self.all.things[thing].cut > 0;
            self.all.things[thing].cut = u8::from(!was_cut);
            let long = if was_cut { self.dice.wait(9.0 * 60.0) } else { self.dice.wait(3.0 * 60.0) };
            self.plan(self.now + (long as Sec).max(20), Event::Toggles(problem));
            self.settle(building);
            return;
        }
        let was_jammed = core::mem::take(&mut self.all.things[thing].jammed) > 0;
        if was_jammed || !self.year.in_session(self.now) {
            let next = self.year.after(self.now, (self.dice.wait(2.5 * HOUR as f64) as Sec).max(10 * MINUTE));
            self.plan(next, Event::Toggles(problem));
        } else {
            self.all.things[thing].jammed = 1;
            let freed = self.now + self.dice.whole(6, 16) * MINUTE;
            self.plan(freed, Event::Toggles(problem));
        }
    }
}

fn count(counter: &mut u8, on: bool) {
    *counter = if on { counter.saturating_add(1) } else { counter.saturating_sub(1) };
}
