//! A year goes by: what happens at a moment, in the order of time, until there is no more of it.
//!
//! Conditions change (`fate`, `effects`), agents come, go and report (`agents`), technicians read tickets and mend things
//! (`people`); what is heard goes to the engine, and to the plain monitor if there is one. The truth is kept beside it as [`Problem`]s.

mod agents;
mod daily;
mod effects;
mod fate;
mod first_day;
mod people;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bellwether_logic::engine::Input;
use bellwether_logic::time::Timestamp;

use crate::condition::Conditions;
use crate::dates::{DAY, MINUTE, Sec, at, date};
use crate::dice::Dice;
use crate::problem::{Cause, Kind, Problem};
use crate::truth::Truth;
use crate::watch::Watch;
use crate::world::{Size, World};
use crate::year::{Year, first_day};

use agents::Agent;
pub use agents::Leaving;

/// Which stretch of which district is played.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Whoever plays it again with the same number gets the same.
    pub seed: u64,
    /// How large the district is.
    pub size: Size,
    /// The first date.
    pub first: i32,
    /// How many days.
    pub days: i32,
    /// How much more happens than in an ordinary year: a short stretch is to hold something, too.
    pub hurry: f64,
}

impl Script {
    /// A school year of the whole district.
    #[must_use]
    pub fn year(seed: u64) -> Self {
        Self { seed, size: Size::DISTRICT, first: first_day(), days: 365, hurry: 1.0 }
    }

    /// Two weeks of a small district, around the night on which clocks are set back. More goes wrong than usual, or there
    /// would be little to see.
    #[must_use]
    pub fn weeks(seed: u64) -> Self {
        let size = Size { buildings: 3, laptops: 40, ..Size::DISTRICT };
        Self { seed, size, first: date(2026, 10, 26), days: 14, hurry: 6.0 }
    }

    /// The end of its last day.
    #[must_use]
    pub fn end(&self) -> Sec {
        at(self.first + self.days, 0)
    }
}

/// What happens next. Numbers are of things, problems, buildings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Midnight(i32),
    /// The closet of a building asks all that it watches.
    Poll(usize),
    /// A computer reports, unless it left since.
    Report(usize, u32),
    TurnOn(usize),
    TurnOff(usize, Leaving),
    /// An agent's stream begins.
    Connect(usize, u32),
    /// The collector notices that an agent's stream is gone.
    Noticed(usize, u32),
    /// A plan comes true.
    Begins(usize),
    Ends(usize),
    /// What comes and goes does so.
    Toggles(usize),
    /// Nobody told of it, and now somebody complains.
    Complains(usize),
    /// A building's power or reach may be another: a UPS is empty.
    Settles(usize),
    CollectorGoes(Sec),
    CollectorComes,
    /// A technician stands there.
    Visit(u64),
}

/// Something that fate has in store.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    kind: Kind,
    cause: Cause,
    /// How long it lasts if nobody mends it.
    natural: Option<Sec>,
}

/// The district while it lives.
pub struct Play {
    /// What there is.
    pub world: World,
    /// When school is.
    pub year: Year,
    /// What is wrong.
    pub truth: Truth,
    /// Who listens.
    pub watch: Watch,
    script: Script,
    all: Conditions,
    dice: Dice,
    now: Sec,
    queue: BinaryHeap<Reverse<(Sec, u64, Event)>>,
    queued: u64,
    plans: Vec<Plan>,
    agents: Vec<Agent>,
    collector_away: bool,
}

impl Play {
    /// A district on the evening before its first day.
    #[must_use]
    pub fn new(script: Script, watch: impl FnOnce(&World, &Year) -> Watch) -> Self {
        let mut dice = Dice::new(script.seed);
        let world = World::new(script.size, &mut dice);
        let year = Year::new(&mut dice);
        let begin = at(script.first, 0);
        let all = Conditions::new(&world, begin, &mut dice);
        let truth = Truth::new(&world);
        let agents = world.things.iter().map(|_| Agent::default()).collect();
        let watch = watch(&world, &year);
        let mut play = Self {
            world,
            year,
            truth,
            watch,
            script,
            all,
            dice,
            now: begin,
            queue: BinaryHeap::new(),
            queued: 0,
            plans: Vec::new(),
            agents,
            collector_away: false,
        };
        play.open();
        play
    }

    /// Lives until its last midnight.
    pub fn run(&mut self) {
        let end = self.script.end();
        while let Some(Reverse((moment, _, event))) = self.queue.pop() {
            if moment >= end {
                break;
            }
            self.now = self.now.max(moment);
            self.happen(event);
        }
        self.now = end;
        self.truth.close(end);
    }

    fn open(&mut self) {
        self.tell(Input::CollectorStarted);
        self.tell(Input::Calendar { site: String::new(), calendar: Some(self.year.calendar()) });
        for index in 0..self.world.things.len() {
            let device = self.world.things[index].device.clone();
            self.tell(Input::Device(device));
        }
        let hangs = self.world.things.iter().filter_map(|thing| {
            let on = self.world.things[thing.on?].device.id.clone();
            Some((thing.device.id.clone(), Some(on)))
        });
        let hangs = hangs.collect();
        self.tell(Input::Hanging(hangs));
        self.find_old_faults();
        for building in 0..self.world.buildings.len() {
            self.relink(building);
            // Closets do not all ask in the same second.
            self.plan(self.now + (building as Sec * 7) % MINUTE, Event::Poll(building));
        }
        self.plan(self.now, Event::Midnight(self.script.first));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Midnight(days) => self.midnight(days),
            Event::Poll(building) => self.poll(building),
            Event::Report(thing, epoch) => self.report(thing, epoch),
            Event::TurnOn(thing) => self.turn_on(thing),
            Event::TurnOff(thing, how) => self.turn_off(thing, how),
            Event::Connect(thing, epoch) => self.connect(thing, epoch),
            Event::Noticed(thing, epoch) => self.noticed(thing, epoch),
            Event::Begins(plan) => self.begins(plan),
            Event::Ends(problem) => self.mend(problem),
            Event::Toggles(problem) => self.toggles(problem),
            Event::Complains(problem) => self.complains(problem),
            Event::Settles(building) => self.settle(building),
            Event::CollectorGoes(long) => self.collector_goes(long),
            Event::CollectorComes => self.collector_comes(),
            Event::Visit(ticket) => self.visit(ticket),
        }
    }

    fn plan(&mut self, moment: Sec, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((moment, self.queued, event)));
    }

    /// Tells whoever listens, unless the collector is away, and has technicians look at what comes of it.
    fn tell(&mut self, input: Input) {
        if self.collector_away {
            return;
        }
        self.watch.hear(Timestamp(self.now * 1_000), input, &self.world, &mut self.truth);
        while let Some((ticket, severity, kind)) = self.watch.take_news() {
            self.read_ticket(ticket, severity, kind);
        }
    }

    fn midnight(&mut self, days: i32) {
        self.age(days);
        self.plan_computers(days);
        self.draw(days);
        self.plan(at(days + 1, 0), Event::Midnight(days + 1));
    }

    fn settle(&mut self, building: usize) {
        self.all.settle(&self.world, building, self.now);
        self.relink(building);
    }

    fn add(&mut self, problem: Problem) -> usize {
        let by = problem.must();
        let mendable = problem.mendable && !problem.old;
        let index = self.truth.add(problem);
        if let Some(by) = by.filter(|_| mendable) {
            // Whoever needs it has waited long enough.
            let complains = self.year.after_work(by, 12 * 3_600);
            if complains < self.now + 400 * DAY {
                self.plan(complains, Event::Complains(index));
            }
        }
        index
    }

    fn complains(&mut self, problem: usize) {
        if self.truth.problems[problem].until.is_none() {
            self.mend(problem);
        }
    }
}
