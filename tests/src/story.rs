//! Plays a story through the engine on a virtual clock: at these times this happens, between those times expect that.
//!
//! A story is a TOML file in `tests/stories`. Its inputs go through [`Engine::handle`] as the journal's records would,
//! the engine is woken when it asks to be, and its effects are performed on a plain [`Desk`]. Afterwards the same
//! inputs are played again, once in one go and once with a snapshot written and read back after every single one: the
//! effects must be the same.

mod expect;
mod life;
mod people;
mod school;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bellwether_logic::batch::Lane;
use bellwether_logic::device::{Class, Device, LifeState};
use bellwether_logic::engine::{Effect, Engine, Input, Listing, Refused, Settings, Snapshot};
use bellwether_logic::incidents::Fault;
use bellwether_logic::life::Seen;
use bellwether_logic::plans::{NewPlan, Plan, Scope};
use bellwether_logic::presence::{DeviceState, GoodbyeReason};
use bellwether_logic::rules::{Pack, Rule, RuleSet};
use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::span::Span;
use bellwether_logic::tickets::{Ticket, TicketEvent};
use bellwether_logic::time::Timestamp;
use bellwether_logic::usual::UsualHours;
use serde::Deserialize;

use expect::Expect;
use people::What;

/// When every story begins: a Monday in term, 12:00 UTC.
const BEGIN: Timestamp = Timestamp(1_788_177_600_000);

/// The most inputs of one story; more is a step that repeats without end.
const INPUTS_MAX: usize = 200_000;

/// Devices that all restarts of one story write down and read back, in all: a story of hundreds has a restart now and then.
const RESTARTED_MAX: usize = 50_000;

/// Of the wakes in a row, which days without data are made of, every so many is followed by a restart too.
const WAKES_A_RESTART: usize = 30;

/// A story as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// What it promises, in a sentence.
    pub says: String,
    /// The shipped packs in force, by file name.
    #[serde(default)]
    packs: Vec<String>,
    /// A pack of its own, which overrides the shipped ones.
    rules: Option<String>,
    #[serde(default)]
    settings: Settings,
    /// For how long a device is new. Devices of most stories are known since long.
    #[serde(default)]
    first_sight: Span,
    /// How often agents read.
    #[serde(default = "minute")]
    interval: Span,
    /// School calendars, each a file by its name.
    #[serde(default)]
    calendars: BTreeMap<String, String>,
    /// Who looks after what from the beginning, as in the file.
    #[serde(default)]
    responsibilities: String,
    /// For the calendars: the moment that the story's beginning stands for.
    begins: Option<String>,
    /// Whether what is shipped is assumed of the life of devices.
    #[serde(default)]
    assumed: bool,
    device: Vec<Owned>,
    #[serde(default)]
    step: Vec<Step>,
    #[serde(default)]
    expect: Vec<Expect>,
    /// The whole history of tickets by number, each entry as `+90m Bellwether: Opened: ...`.
    #[serde(default)]
    history: BTreeMap<String, Vec<String>>,
    /// What was refused to whom, each as `+90m kim: ...`.
    #[serde(default)]
    refused: Vec<String>,
}

/// A device that the school owns from the beginning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owned {
    id: String,
    /// So many of it, `-1`, `-2` and so on behind their ids; what happens to `ID-*` happens to each.
    copies: Option<u32>,
    name: Option<String>,
    class: Class,
    #[serde(default)]
    site: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    model: String,
    #[serde(default = "in_use")]
    state: LifeState,
    /// On which device it hangs.
    on: Option<String>,
}

/// Something that happens once, or every so often until some time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: Span,
    until: Option<Span>,
    #[serde(default = "minute")]
    every: Span,
    does: Does,
}

/// What happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Does {
    /// An agent's stream begins.
    Connect(String),
    /// An agent's stream ends without a goodbye.
    Drop(String),
    /// An agent's stream ends with one.
    Goodbye { device: String, reason: GoodbyeReason },
    /// A device's certificate is revoked.
    Revoke(String),
    /// A batch of one sample arrives.
    Sample {
        device: String,
        #[serde(default = "disk")]
        measurement: String,
        #[serde(default)]
        tags: BTreeMap<String, String>,
        fields: BTreeMap<String, Number>,
        /// It came by the back-fill lane.
        #[serde(default)]
        backfill: bool,
        /// How long before its arrival it was read.
        #[serde(default)]
        age: Span,
        /// By how much the clock is ahead by which it was read.
        #[serde(default)]
        ahead: Span,
    },
    /// A person edits a device.
    Edit { device: String, site: Option<String>, room: Option<String>, state: Option<LifeState>, class: Option<Class> },
    /// A person does something to a ticket.
    Act { ticket: u64, by: String, what: What },
    /// Somebody else looks after what from now on.
    Responsibilities(String),
    /// A device hangs elsewhere from now on; on nothing that is known if `on` is missing.
    Hang { device: String, on: Option<String> },
    /// It is a closet that asks a device from now on.
    Asks { closet: String, device: String },
    /// A person plans a change, from now on for so long.
    Plan { by: String, why: String, lasts: Span, scope: Scope },
    /// A person ends a planned change.
    EndPlan { number: u64, by: String },
    /// A person turns a fault on the planning list into a ticket.
    Raise {
        device: String,
        rule: String,
        #[serde(default)]
        tags: BTreeMap<String, String>,
        by: String,
    },
    /// A person says something of a day at a building.
    Say { building: String, date: String, what: school::Said },
    /// Something becomes known of the life of a device or a model.
    Learn(life::Learned),
    /// The collector stops or starts.
    Collector(Power),
}

impl Does {
    /// The device to which it happens.
    fn device(&mut self) -> Option<&mut String> {
        match self {
            Self::Connect(device) | Self::Drop(device) | Self::Revoke(device) => Some(device),
            Self::Goodbye { device, .. }
            | Self::Sample { device, .. }
            | Self::Asks { device, .. }
            | Self::Edit { device, .. }
            | Self::Raise { device, .. }
            | Self::Hang { device, .. } => Some(device),
            Self::Plan { .. } | Self::EndPlan { .. } | Self::Learn(_) => None,
            Self::Act { .. } | Self::Say { .. } | Self::Responsibilities(_) | Self::Collector(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Power {
    Stops,
    Starts,
    /// Its machine freezes: nothing is received and nobody is woken, and no record says so.
    Freezes,
    Thaws,
}

/// A field's value.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// Where effects are performed: the last state of everything by its key, so that twice is harmless.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desk {
    tickets: BTreeMap<u64, Ticket>,
    events: BTreeMap<(u64, u64), TicketEvent>,
    devices: BTreeMap<String, DeviceState>,
    plans: BTreeMap<u64, Plan>,
    /// When classes are usually on at buildings.
    usual: BTreeMap<(String, &'static str), UsualHours>,
    /// The planning list.
    list: BTreeMap<(String, Fault), Listing>,
    refused: BTreeMap<u64, Refused>,
    told: BTreeMap<String, Seen>,
}

/// Reads the story of that name, plays it thrice, and panics with what went otherwise than it says.
pub fn play(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = read(&root.join("stories").join(format!("{name}.toml")));
    let story: Story = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let rules = story.rule_set(&root.join("../collector/rules"));
    let mut play = Play::begin(&story, rules.clone());
    play.run();
    play.check_ends();
    let Play { log, effects, .. } = play;
    assert_eq!(effects, replay(&rules, story.settings(), &log, false), "{name}: played in one go");
    assert_eq!(effects, replay(&rules, story.settings(), &log, true), "{name}: played with a restart at every step");
    perform_twice(&effects);
}

fn replay(rules: &RuleSet, settings: Settings, log: &[(Timestamp, Input)], restarts: bool) -> Vec<Effect> {
    let mut engine = Engine::new(rules.clone(), settings);
    let mut effects = Vec::new();
    let devices = log.iter().filter(|(_, input)| matches!(input, Input::Device(_))).count().max(1);
    let every = (log.len() * devices).div_ceil(RESTARTED_MAX).max(1);
    for (place, (now, input)) in log.iter().enumerate() {
        engine.handle(*now, input.clone());
        if restarts && place % every == 0 && (*input != Input::Wake || place % WAKES_A_RESTART == 0) {
            let text = serde_json::to_string(engine.snapshot()).expect("a snapshot is plain data");
            let snapshot: Snapshot = serde_json::from_str(&text).expect("what was written can be read");
            engine = Engine::restore(rules.clone(), settings, snapshot);
            effects.extend(std::iter::from_fn(|| engine.poll_effect()));
        }
    }
    effects.extend(std::iter::from_fn(|| engine.poll_effect()));
    effects
}

/// A crash may repeat any stretch of effects: performed twice from anywhere they leave the same desk.
fn perform_twice(effects: &[Effect]) {
    let mut once = Desk::default();
    effects.iter().cloned().for_each(|effect| once.perform(effect));
    let mut twice = Desk::default();
    let half = effects.len() / 2;
    effects.iter().chain(&effects[half..]).cloned().for_each(|effect| twice.perform(effect));
    assert_eq!(once, twice, "performing effects twice is harmless");
}

/// One run of a story.
struct Play<'story> {
    story: &'story Story,
    engine: Engine,
    desk: Desk,
    log: Vec<(Timestamp, Input)>,
    effects: Vec<Effect>,
    /// Nothing is received and nobody is woken while the collector is away.
    away: bool,
    devices: BTreeMap<String, Device>,
    generations: BTreeMap<String, u64>,
}

impl<'story> Play<'story> {
    fn begin(story: &'story Story, rules: RuleSet) -> Self {
        let mut play = Self {
            story,
            engine: Engine::new(rules, story.settings()),
            desk: Desk::default(),
            log: Vec::new(),
            effects: Vec::new(),
            away: false,
            devices: BTreeMap::new(),
            generations: BTreeMap::new(),
        };
        play.handle(BEGIN, Input::CollectorStarted);
        if !story.responsibilities.is_empty() {
            play.handle(BEGIN, people::responsibilities(&story.responsibilities));
        }
        for input in school::inputs(&story.calendars, story.begins.as_deref()) {
            play.handle(BEGIN, input);
        }
        if story.assumed {
            play.handle(BEGIN, life::shipped());
        }
        for (device, on) in story.device.iter().flat_map(Owned::devices) {
            let id = device.id.clone();
            play.devices.insert(id.clone(), device.clone());
            play.handle(BEGIN, Input::Device(device));
            if on.is_some() {
                play.handle(BEGIN, Input::Hanging(vec![(id, on)]));
            }
        }
        play
    }

    /// Plays all steps in order of time, and looks at every moment that the story names.
    fn run(&mut self) {
        let mut moments: BTreeMap<Timestamp, Vec<&Does>> = BTreeMap::new();
        for step in &self.story.step {
            let last = step.until.map_or(step.at.0, |until| until.0);
            let mut at = step.at.0;
            while at <= last {
                moments.entry(BEGIN + at).or_default().push(&step.does);
                at += step.every.0.max(Duration::from_millis(1));
            }
        }
        for moment in self.story.expect.iter().flat_map(Expect::moments) {
            moments.entry(moment).or_default();
        }
        for (now, steps) in moments {
            self.wake_until(now);
            steps.into_iter().for_each(|does| self.act(now, does));
            self.check_moment(now);
        }
    }

    fn wake_until(&mut self, now: Timestamp) {
        while let Some(wake) = self.engine.poll_wake().filter(|wake| *wake < now && !self.away) {
            self.handle(wake, Input::Wake);
        }
    }

    fn act(&mut self, now: Timestamp, does: &Does) {
        if let Does::Collector(power) = does {
            self.away = matches!(power, Power::Stops | Power::Freezes);
            match power {
                Power::Stops => self.handle(now, Input::CollectorStopped),
                Power::Starts => self.handle(now, Input::CollectorStarted),
                Power::Freezes | Power::Thaws => {}
            }
        } else if !self.away {
            for does in self.each(does) {
                let input = self.input(now, does);
                self.handle(now, input);
            }
        }
    }

    /// What happens to `ID-*`, as it happens to each of them.
    fn each(&self, does: &Does) -> Vec<Does> {
        let mut does = does.clone();
        let Some(group) = does.device().and_then(|device| device.strip_suffix('*').map(str::to_owned)) else {
            return vec![does];
        };
        let of_each = |id: &String| {
            let mut does = does.clone();
            id.clone_into(does.device().expect("it has one"));
            does
        };
        self.devices.keys().filter(|id| id.starts_with(&group)).map(of_each).collect()
    }

    fn input(&mut self, now: Timestamp, does: Does) -> Input {
        match does {
            Does::Connect(device) => {
                let generation = self.generations.entry(device.clone()).or_default();
                *generation += 1;
                Input::Connected { device, generation: *generation, interval: self.story.interval.0 }
            }
            Does::Drop(device) => Input::Left { generation: self.generation(&device), device, reason: None },
            Does::Goodbye { device, reason } => {
                Input::Left { generation: self.generation(&device), device, reason: Some(reason) }
            }
            Does::Revoke(device) => Input::Revoked { device },
            Does::Sample { device, measurement, tags, fields, backfill, age, ahead } => {
                let sample = Sample {
                    measurement: measurement.into(),
                    tags: tags.into_iter().map(|(key, value)| (key.into(), value)).collect(),
                    target: String::new(),
                    time: now - age.0 + ahead.0,
                    fields: fields.into_iter().map(|(name, number)| (name.into(), number.value())).collect(),
                };
                let lane = if backfill { Lane::Backfill } else { Lane::Live };
                Input::Samples { device, lane, samples: vec![sample] }
            }
            Does::Edit { device, site, room, state, class } => {
                let known = self.devices.get_mut(&device).unwrap_or_else(|| panic!("no device `{device}`"));
                known.site = site.unwrap_or_else(|| known.site.clone());
                known.room = room.unwrap_or_else(|| known.room.clone());
                known.state = state.unwrap_or(known.state);
                known.class = class.unwrap_or(known.class);
                Input::Device(known.clone())
            }
            Does::Responsibilities(text) => people::responsibilities(&text),
            Does::Learn(learned) => learned.input(),
            Does::Hang { device, on } => Input::Hanging(vec![(device, on)]),
            Does::Asks { closet, device } => Input::Asked { by: closet, devices: vec![device] },
            Does::Plan { by, why, lasts, scope } => {
                Input::Plan { actor: by, plan: NewPlan { scope, from: now, until: now + lasts.0, why } }
            }
            Does::EndPlan { number, by } => Input::EndPlan { number, actor: by, takes_back: false },
            Does::Raise { device, rule, tags, by } => {
                let fault = Fault { rule, tags: tags.into_iter().collect() };
                Input::Raise { actor: by, faults: vec![(device, fault)] }
            }
            Does::Act { ticket, by, what } => Input::Act { ticket, actor: by, action: what.action(now) },
            Does::Say { building, date, what } => {
                Input::DayChanged { site: building, date: school::date(&date), change: what.change() }
            }
            Does::Collector(_) => unreachable!("the collector's own coming and going is no input of an agent"),
        }
    }

    fn generation(&self, device: &str) -> u64 {
        self.generations.get(device).copied().unwrap_or_default()
    }

    fn handle(&mut self, now: Timestamp, input: Input) {
        assert!(self.log.len() < INPUTS_MAX, "the story has no end");
        self.log.push((now, input.clone()));
        self.engine.handle(now, input);
        while let Some(effect) = self.engine.poll_effect() {
            self.effects.push(effect.clone());
            self.desk.perform(effect);
        }
        let spans = self.story.expect.iter().filter(|expect| expect.covers(now));
        spans.for_each(|expect| expect.check(now, &self.desk));
    }

    fn check_moment(&self, now: Timestamp) {
        let named = self.story.expect.iter().filter(|expect| expect.moments().any(|moment| moment == now));
        named.for_each(|expect| expect.check(now, &self.desk));
    }

    /// What the story says about the whole: histories and refusals.
    fn check_ends(&self) {
        for (number, expected) in &self.story.history {
            let number: u64 = number.parse().expect("histories are by ticket number");
            let events = self.desk.events.range((number, 0)..=(number, u64::MAX));
            let found: Vec<String> = events
                .map(|(_, event)| format!("{} {}: {}", when(event.at), event.actor.as_str(), event.what.text()))
                .collect();
            assert_eq!(&found, expected, "the history of ticket {number}");
        }
        let refused = self.desk.refused.values();
        let found: Vec<String> =
            refused.map(|refused| format!("{} {}: {}", when(refused.at), refused.actor, refused.because)).collect();
        assert_eq!(found, self.story.refused, "what was refused");
    }
}

impl Story {
    fn settings(&self) -> Settings {
        Settings { first_sight: self.first_sight, ..self.settings }
    }

    fn rule_set(&self, folder: &Path) -> RuleSet {
        let parse = |text: &str| -> Vec<Rule> {
            let pack: Pack = toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", self.says));
            pack.validate().unwrap_or_else(|error| panic!("{}: {error}", self.says));
            pack.rule
        };
        let shipped = self.packs.iter().flat_map(|name| parse(&read(&folder.join(format!("{name}.toml")))));
        let own = self.rules.as_deref().map(parse).unwrap_or_default();
        RuleSet::merge(shipped.collect(), own).unwrap_or_else(|error| panic!("{}: {error}", self.says))
    }
}

impl Desk {
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ticket(ticket) => {
                self.tickets.insert(ticket.number, *ticket);
            }
            Effect::TicketEvent(event) => {
                assert!(self.tickets.contains_key(&event.ticket), "an event comes after its ticket");
                self.events.insert((event.ticket, event.sequence), event);
            }
            Effect::DeviceState(state) => {
                self.devices.insert(state.device.clone(), state);
            }
            Effect::DeviceTold { device, seen } => {
                self.told.insert(device, *seen);
            }
            Effect::UsualHours(hours) => {
                self.usual.insert((hours.site.clone(), hours.class.as_str()), *hours);
            }
            Effect::Plan(plan) => {
                self.plans.insert(plan.number, *plan);
            }
            Effect::Listed(listing) => {
                self.list.insert((listing.device.clone(), listing.fault.clone()), *listing);
            }
            Effect::Unlisted { device, fault } => drop(self.list.remove(&(device, fault))),
            Effect::Refused(refused) => {
                self.refused.insert(refused.number, refused);
            }
        }
    }

    fn open(&self) -> usize {
        self.tickets.values().filter(|ticket| ticket.state.is_open()).count()
    }
}

impl Number {
    fn value(self) -> Value {
        match self {
            Self::Boolean(flag) => Value::Boolean(flag),
            Self::Integer(number) => Value::Integer(number),
            Self::Float(number) => Value::Float(number),
            Self::Text(word) => Value::Text(word),
        }
    }
}

impl Owned {
    /// Each of its copies, and on what it hangs.
    fn devices(&self) -> Vec<(Device, Option<String>)> {
        let numbered = |number: u32| self.device(format!("{}-{number}", self.id));
        let devices: Vec<Device> = match self.copies {
            None => vec![self.device(self.id.clone())],
            Some(copies) => (1..=copies).map(numbered).collect(),
        };
        devices.into_iter().map(|device| (device, self.on.clone())).collect()
    }

    fn device(&self, id: String) -> Device {
        Device {
            name: self.name.clone().unwrap_or_else(|| id.clone()),
            id,
            class: self.class,
            site: self.site.clone(),
            room: self.room.clone(),
            state: self.state,
            model: self.model.clone(),
        }
    }
}

/// A time since the story's beginning.
fn when(at: Timestamp) -> String {
    let since = at.since(BEGIN).as_secs();
    match since % 60 {
        0 => format!("+{}m", since / 60),
        seconds => format!("+{}m{seconds}s", since / 60),
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const fn minute() -> Span {
    Span::from_mins(1)
}

const fn in_use() -> LifeState {
    LifeState::InUse
}

fn disk() -> String {
    "disk".to_owned()
}
