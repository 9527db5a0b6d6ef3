//! Computers are switched on and off, agents connect, report and leave, closets ask what they watch, and the collector itself
//! is away now and then.

use bellwether_logic::batch::Lane;
use bellwether_logic::device::Class;
use bellwether_logic::engine::Input;
use bellwether_logic::presence::GoodbyeReason;
use std::time::Duration;

use super::{Event, Play};
use crate::dates::{HOUR, MINUTE, Sec};
use crate::readings;
use crate::world::Habit;

/// How often computers of people report when nothing changes.
const REPORTS: Sec = 15 * MINUTE;

/// How often batteries and disks are asked how they are.
const SLOW: Sec = 3 * HOUR;

/// One answer of so many is lost in spite of being asked for again.
const LOST: f64 = 2e-5;

/// Readings that are sent later, of those that waited: more would change nothing.
const BACKFILL_MAX: u32 = 8;

/// How a computer is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaving {
    /// By its menu: the agent says goodbye.
    ShutDown,
    /// Its lid is closed: the agent says goodbye.
    Sleeps,
    /// At the wall, or with its last charge, or out of reach of the school's network: nobody says anything.
    Silently,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Down,
    /// It is about to connect.
    Coming,
    Up,
    /// It is gone, and the collector has not noticed.
    Fading,
}

/// One agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Agent {
    link: Link,
    generation: u64,
    /// What was planned under another number is off.
    epoch: u32,
    /// Readings that wait in its spool.
    spool: u32,
    slow_at: Sec,
    /// Whether a closet has asked what it watches since it came.
    spooled_since: Option<Sec>,
}

impl Play {
    fn has_agent(&self, thing: usize) -> bool {
        self.world.things[thing].habit != Habit::Watched
    }

    fn interval(&self, thing: usize) -> Sec {
        match self.world.things[thing].device.class {
            Class::Server | Class::Closet => MINUTE,
            _ => REPORTS,
        }
    }

    /// Looks at every agent of a building: whether it can reach the collector now.
    pub(super) fn relink(&mut self, building: usize) {
        for place in 0..self.world.buildings[building].things.len() {
            let thing = self.world.buildings[building].things[place];
            if self.has_agent(thing) {
                self.relink_one(thing);
            }
        }
    }

    pub(super) fn relink_one(&mut self, thing: usize) {
        let online = self.all.is_online(&self.world, thing) && !self.collector_away;
        let agent = &mut self.agents[thing];
        match (agent.link, online) {
            (Link::Up, false) => {
                agent.epoch += 1;
                agent.link = Link::Fading;
                let epoch = agent.epoch;
                let noticed = self.now + self.dice.whole(55, 95);
                self.plan(noticed, Event::Noticed(thing, epoch));
            }
            (Link::Fading, true) => {
                agent.epoch += 1;
                agent.link = Link::Up;
                let epoch = agent.epoch;
                self.plan(self.now + 20, Event::Report(thing, epoch));
            }
            (Link::Down, true) => {
                agent.epoch += 1;
                agent.link = Link::Coming;
                let epoch = agent.epoch;
                let comes = self.now + self.dice.whole(3, 50);
                self.plan(comes, Event::Connect(thing, epoch));
            }
            (Link::Coming, false) => agent.link = Link::Down,
            _ => {}
        }
    }

    fn id(&self, thing: usize) -> String {
        self.world.things[thing].device.id.clone()
    }

    pub(super) fn connect(&mut self, thing: usize, epoch: u32) {
        let interval = self.interval(thing);
        let agent = &mut self.agents[thing];
        if agent.epoch != epoch || agent.link != Link::Coming {
            return;
        }
        agent.link = Link::Up;
        let (generation, spool) = (agent.generation, core::mem::take(&mut agent.spool));
        let device = self.id(thing);
        self.tell(Input::Connected { device, generation, interval: Duration::from_secs(interval.unsigned_abs()) });
        for back in (1..=spool.min(BACKFILL_MAX)).rev() {
            let then = self.now - interval * Sec::from(back);
            let mut samples = Vec::new();
            readings::computer(
                &self.world.things[thing],
                &self.all.things[thing],
                then,
                back == 1,
                &mut self.dice,
                &mut samples,
            );
            let device = self.id(thing);
            self.tell(Input::Samples { device, lane: Lane::Backfill, samples });
        }
        if interval != MINUTE {
            self.report(thing, epoch);
        }
    }

    pub(super) fn noticed(&mut self, thing: usize, epoch: u32) {
        let agent = &mut self.agents[thing];
        if agent.epoch != epoch || agent.link != Link::Fading {
            return;
        }
        agent.link = Link::Down;
        let generation = agent.generation;
        let device = self.id(thing);
        self.tell(Input::Left { device, generation, reason: None });
        // It may have come back meanwhile.
        self.relink_one(thing);
    }

    /// One report of a computer of a person, and the next.
    pub(super) fn report(&mut self, thing: usize, epoch: u32) {
        let agent = &self.agents[thing];
        if agent.epoch != epoch || agent.link != Link::Up {
            return;
        }
        self.say(thing);
        let next = self.now + REPORTS + self.dice.whole(-5, 5);
        if self.interval(thing) != MINUTE {
            self.plan(next, Event::Report(thing, epoch));
        }
    }

    /// What a computer says now.
    fn say(&mut self, thing: usize) {
        if self.all.things[thing].dumb > 0 {
            return;
        }
        let slow = self.now >= self.agents[thing].slow_at;
        if slow {
            self.agents[thing].slow_at = self.now + SLOW;
        }
        let mut samples = Vec::with_capacity(3);
        let Self { world, all, dice, now, .. } = self;
        readings::computer(&world.things[thing], &all.things[thing], *now, slow, dice, &mut samples);
        let device = self.id(thing);
        self.tell(Input::Samples { device, lane: Lane::Live, samples });
    }

    /// A closet asks all that it watches; it and the server beside it say how they are themselves.
    pub(super) fn poll(&mut self, building: usize) {
        self.plan(self.now + MINUTE, Event::Poll(building));
        let closet = self.world.buildings[building].closet;
        for agent in [closet, closet + 1] {
            if self.agents[agent].link == Link::Up {
                self.say(agent);
            } else if self.all.things[agent].alive {
                self.agents[agent].spool += 1;
            }
        }
        if !self.all.things[closet].alive || self.all.things[closet].dumb > 0 {
            return;
        }
        let lane = match self.agents[closet].link {
            Link::Up => Lane::Live,
            // The first few that waited are told when it is back.
            _ => {
                self.agents[closet].spooled_since.get_or_insert(self.now);
                return;
            }
        };
        if let Some(since) = self.agents[closet].spooled_since.take() {
            self.tell_what_waited(building, since);
        }
        for place in 0..self.world.buildings[building].watched.len() {
            let thing = self.world.buildings[building].watched[place];
            self.ask(thing, self.now, lane);
        }
    }

    fn ask(&mut self, thing: usize, then: Sec, lane: Lane) {
        let lost = self.dice.happens(LOST);
        let mut samples = Vec::with_capacity(2);
        let Self { world, all, dice, .. } = self;
        readings::watched(world, all, thing, then, lost, dice, &mut samples);
        if !samples.is_empty() {
            let device = self.id(thing);
            self.tell(Input::Samples { device, lane, samples });
        }
    }

    fn tell_what_waited(&mut self, building: usize, since: Sec) {
        let first = since.max(self.now - Sec::from(BACKFILL_MAX) * MINUTE);
        for place in 0..self.world.buildings[building].watched.len() {
            let thing = self.world.buildings[building].watched[place];
            let mut then = first;
            while then < self.now {
                self.ask(thing, then, Lane::Backfill);
                then += MINUTE;
            }
        }
    }

    pub(super) fn turn_on(&mut self, thing: usize) {
        if core::mem::replace(&mut self.all.things[thing].on, true) {
            return;
        }
        self.agents[thing].generation += 1;
        self.resettle(thing);
    }

    pub(super) fn turn_off(&mut self, thing: usize, how: Leaving) {
        if !core::mem::replace(&mut self.all.things[thing].on, false) {
            return;
        }
        let reason = match how {
            Leaving::ShutDown => Some(GoodbyeReason::Shutdown),
            Leaving::Sleeps => Some(GoodbyeReason::Sleep),
            Leaving::Silently => None,
        };
        if let Some(reason) = reason
            && self.agents[thing].link == Link::Up
        {
            let agent = &mut self.agents[thing];
            agent.link = Link::Down;
            agent.epoch += 1;
            let generation = agent.generation;
            let device = self.id(thing);
            self.tell(Input::Left { device, generation, reason: Some(reason) });
        }
        self.resettle(thing);
    }

    /// One computer, on which nothing hangs, is in another condition.
    fn resettle(&mut self, thing: usize) {
        self.all.settle_one(&self.world, thing, self.now);
        self.relink_one(thing);
    }

    pub(super) fn collector_goes(&mut self, long: Sec) {
        if self.dice.happens(0.6) {
            self.tell(Input::CollectorStopped);
        }
        self.collector_away = true;
        self.truth.blind_everywhere(self.now, self.now + long + 5 * MINUTE);
        for agent in &mut self.agents {
            agent.epoch += 1;
            agent.link = Link::Down;
        }
        self.plan(self.now + long, Event::CollectorComes);
    }

    pub(super) fn collector_comes(&mut self) {
        self.collector_away = false;
        self.tell(Input::CollectorStarted);
        (0..self.world.buildings.len()).for_each(|building| self.relink(building));
    }
}
