//! The decider that ties the others together: what happens goes in, tickets come out.
//!
//! Feed it the journal in order: [`Engine::handle`] for each record with the record's stamp, then
//! [`Engine::poll_effect`] until there is none, and perform the effects in one transaction with the cursor. When the
//! time of [`Engine::poll_wake`] has come, append a wake record: it comes back as [`Input::Wake`].
//!
//! What it keeps:
//! - the same records give the same effects, byte for byte, also across [`Engine::snapshot`] and [`Engine::restore`]
//!   at any point;
//! - effects bear keys (a ticket's number, an event's sequence, a device's id): performing one twice is harmless;
//! - nothing that comes in makes it panic; what it can't use is counted in [`Counters`].

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::batch::Lane;
use crate::calendar::{Book, School};
use crate::device::{Class, Device};
use crate::life::Life;
use crate::pairs;
use crate::plans::Plans;
use crate::presence::DeviceState;
use crate::responsibilities::Responsibilities;
use crate::rules::RuleSet;
use crate::sample::{Sample, Value};
use crate::span::Span;
use crate::tickets::{Action, Ticket, Tickets};
use crate::time::Timestamp;
use crate::timer::{Purpose, Timers};
use crate::usual::Usual;

mod budget;
mod cause;
mod duty;
mod effect;
mod flaps;
mod flood;
mod group;
mod hours;
mod input;
mod judge;
mod life;
mod looking;
mod place;
mod planned;
mod reckon;
mod sight;
mod silence;
mod turn;
mod watched;
mod witness;

pub use budget::TICKETS_A_DAY;
pub use cause::{COME_BACK, MERGE_WITHIN, WAIT_MAX};
pub use effect::{Counters, Effect, Refused};
pub use flaps::FLAPS_MAX;
pub use flood::{FLOOD_OVER, FLOOD_QUIET, FLOOD_WITHIN};
pub use group::{BUILDING_MIN, COHORT_MIN, COHORT_WITHIN, GROUP_WITHIN, POWER_WITHIN, ROOM_MIN, ROOMS_MIN};
pub use hours::{FIND_AFTER_DAYS, USUALS_MAX};
pub use input::Input;
use looking::Looking;
use sight::Editions;
pub use sight::{LOOKS_MAX, Listing, MATERIAL_PART, RAISED_MAX};
use turn::Turn;
use watched::Watched;
pub use witness::{TOGETHER, WITNESS_KNOWN, WITNESS_WAIT};

/// Devices watched. A district of the design's largest size has a tenth of it.
pub const DEVICES_MAX: usize = 100_000;

/// Faults held for one device at once, counted or not yet. A device with more has one cause for them all.
pub const HOLDS_MAX: usize = 256;

/// What is followed for one device at once, such as counters: ten for each port of a stack of eight switches. The one that was
/// seen longest ago goes first.
pub const TRACKS_MAX: usize = 4_096;

/// How far a sample's time may lie ahead of the collector's: more is a broken clock, and believing it would make
/// every true sample after it late.
pub const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// How many intervals behind the device's newest live sample one may lie; what lies further back is history.
pub const LATE_INTERVALS: u32 = 2;

/// The interval of an agent that has not said its own.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// The longest interval that an agent is believed to have.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a device must have reported without a word of a fault's subject before the fault is forgotten, if no
/// ticket waits for somebody: a file system that was unmounted must not count as full for ever.
pub const UNSEEN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after anything happened the engine asks to be woken though nothing is due.
pub const HEARTBEAT: Duration = Duration::from_secs(60);

/// A pause between two records beyond this, though a wake was due after [`HEARTBEAT`], means that the collector
/// itself was away: its machine slept, or was stopped for a snapshot.
pub const OWN_PAUSE_MAX: Duration = Duration::from_secs(3 * 60);

/// For how long a device is new, unless the settings say otherwise: half a school day, so that a machine that is put up in
/// the afternoon is known the next noon. House.
pub const FIRST_SIGHT: Span = Span::from_mins(4 * 60);

/// What an admin may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long after the collector was away nobody's silence counts: agents wait at most a minute between two
    /// attempts, and a thousand of them need a while to come back.
    pub reconnect_grace: Span,
    /// How long after its end a ticket reopens if its fault comes back.
    pub reopen_within: Span,
    /// How many tickets may be open at once; beyond it new faults get none.
    pub open_tickets_max: usize,
    /// For how long a device, or a rule, is new: what is found wrong in a device's first hours goes on the planning list.
    /// Zero: it makes tickets like anything else.
    pub first_sight: Span,
    /// How many tickets that open by themselves somebody is given a school day; further ones are put off unless they are urgent.
    pub tickets_a_day: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reconnect_grace: Span::from_mins(2),
            reopen_within: Span::from_days(14),
            open_tickets_max: crate::tickets::OPEN_MAX,
            first_sight: FIRST_SIGHT,
            tickets_a_day: TICKETS_A_DAY,
        }
    }
}

/// Everything that the engine remembers. Opaque; fields are only added, with defaults.
///
/// The rules are part of it, so that records which were decided on before a restart are decided on the same way when
/// they are fed again after it, whatever the admin changed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Whether rules and settings were ever given.
    ruled: bool,
    rules: RuleSet,
    settings: Settings,
    book: Book,
    matrix: Responsibilities,
    devices: BTreeMap<String, Watched>,
    tickets: Tickets,
    life: Life,
    /// What each device hangs on, as far as it is sure.
    parents: BTreeMap<String, String>,
    /// Devices that are out of reach by themselves.
    out: BTreeSet<String>,
    /// Which rules are how new.
    editions: Editions,
    plans: Plans,
    /// When classes of devices are usually on at buildings.
    #[serde(with = "pairs")]
    usual: BTreeMap<(String, Class), Usual>,
    /// Devices with faults that wait for the end of tests.
    in_tests: BTreeSet<String>,
    /// Open tickets about several devices.
    groups: BTreeMap<u64, group::Group>,
    /// The newest tickets of each building.
    floods: BTreeMap<String, flood::Flood>,
    /// What each who looks after tickets was given lately.
    budgets: BTreeMap<String, budget::Given>,
    timers: Timers,
    counters: Counters,
    effects: VecDeque<Effect>,
    /// The stamp of the last record.
    newest: Timestamp,
    /// How many actions were refused: the last refusal's number.
    refusals: u64,
}

impl Snapshot {
    /// The rules that were in force.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }
}

/// Whether a batch proves that its device is there. What a closet says of a device that does not answer proves nothing.
#[must_use]
pub fn shows_life(samples: &[Sample]) -> bool {
    let is_silence = |sample: &Sample| {
        let word = match &*sample.measurement {
            "ping_only" => "pings",
            // It may be cut off from whoever asks it.
            "snmp_witness" => return true,
            "snmp" => "answered",
            _ => return false,
        };
        sample.fields.iter().any(|(name, value)| name == word && *value == Value::Boolean(false))
    };
    samples.is_empty() || samples.iter().any(|sample| !is_silence(sample))
}

/// Decides. See the module for the order of calls.
#[derive(Clone, Debug)]
pub struct Engine {
    state: Snapshot,
    /// The rules that look at samples.
    looking: Looking,
    /// What hangs directly on each device.
    children: BTreeMap<String, BTreeSet<String>>,
    /// Rules and settings that come into force when the collector starts.
    coming: Option<(RuleSet, Settings)>,
    /// Tickets whose handling is looked at though nothing of them changed in this turn.
    to_attend: BTreeSet<u64>,
    /// Devices whose standing may have changed in this turn.
    touched: BTreeSet<String>,
    /// The devices of each room, building and model.
    places: place::Places,
    /// Problems of their own that have no ticket yet in this turn.
    unplaced: Vec<place::Unplaced>,
    /// Whether tickets turned out to be part of others in this turn.
    freed: bool,
}

impl Engine {
    /// An engine that remembers nothing.
    #[must_use]
    pub fn new(rules: RuleSet, settings: Settings) -> Self {
        Self::restore(rules, settings, Snapshot::default())
    }

    /// An engine that goes on from a snapshot. These rules and settings come into force at the next
    /// [`Input::CollectorStarted`], which also ends the faults that they no longer look for; until then those of the
    /// snapshot stand. Write a snapshot soon after each such record: feeding it again with other rules than before
    /// would decide otherwise than what was performed.
    #[must_use]
    pub fn restore(rules: RuleSet, settings: Settings, state: Snapshot) -> Self {
        let ruled = state.ruled;
        let mut engine = Self {
            children: cause::children(&state.parents),
            places: place::Places::of(&state.devices),
            state,
            looking: Looking::default(),
            coming: Some((rules, settings)),
            to_attend: BTreeSet::new(),
            touched: BTreeSet::new(),
            unplaced: Vec::new(),
            freed: false,
        };
        if !ruled {
            engine.enforce_coming();
        }
        engine.index_rules();
        engine
    }

    /// Everything that it remembers.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.state
    }

    /// What was judged, and what was not and why.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.state.counters
    }

    /// The rules in force.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.state.rules
    }

    /// A ticket that it remembers.
    #[must_use]
    pub fn ticket(&self, number: u64) -> Option<&Ticket> {
        self.state.tickets.get(number)
    }

    /// The tickets that it remembers: all open ones, and those that may reopen.
    pub fn tickets(&self) -> impl Iterator<Item = &Ticket> + '_ {
        self.state.tickets.iter()
    }

    /// A building's school time; none while no calendar speaks of it.
    #[must_use]
    pub fn school<'engine>(&'engine self, site: &'engine str) -> Option<School<'engine>> {
        self.state.book.school(site)
    }

    /// How a device stands.
    #[must_use]
    pub fn device_state(&self, device: &str) -> Option<DeviceState> {
        self.state.devices.get(device).map(Watched::state)
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn poll_wake(&self) -> Option<Timestamp> {
        self.state.timers.next()
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.state.effects.pop_front()
    }

    /// Takes in what happened. `now` is the record's stamp; one that lies before the last one counts as the last one.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let before = self.state.newest;
        let now = now.max(before);
        self.state.newest = now;
        let started = matches!(input, Input::CollectorStarted);
        if !started && now.since(before) > OWN_PAUSE_MAX && before != Timestamp::default() {
            self.state.counters.own_pauses += 1;
            self.was_away(now, false);
        }
        self.turn_day(now);
        self.take_in(now, input);
        while let Some(purpose) = self.state.timers.take_due(now) {
            match purpose {
                Purpose::Silence { device } => self.listen(now, &device),
                Purpose::Cause { device } => self.weigh(now, &device),
                Purpose::Hour => self.look_around(now),
                Purpose::Flap { device } => self.look_at_flaps(now, &device),
                Purpose::Plan { number } => self.follow_plan(now, number),
                Purpose::Tests => self.look_at_tests(now),
                Purpose::Ticket { number } => {
                    self.to_attend.insert(number);
                }
                Purpose::Group { ticket } => self.part_rest(now, ticket),
                Purpose::Flood { site } => self.end_flood(now, &site),
                Purpose::Morning { owner } => self.new_day(now, &owner),
                Purpose::Heartbeat => {}
            }
        }
        self.place(now);
        self.tend_groups(now);
        self.fill_days(now);
        self.state.timers.set(Purpose::Heartbeat, self.heartbeat(now));
        self.attend(now);
        self.arm_hours(now);
        self.decide_tickets(now);
        self.flush(now);
    }

    fn take_in(&mut self, now: Timestamp, input: Input) {
        match input {
            Input::CollectorStarted => {
                self.enforce_coming();
                self.index_rules();
                self.was_away(now, true);
                self.apply_rules(now);
                self.look_at_all("");
            }
            Input::CollectorStopped | Input::Wake => {}
            Input::Responsibilities(matrix) => self.take_matrix(matrix),
            Input::Device(device) => self.enter(now, device),
            Input::Connected { device, generation, interval } => {
                self.contact(now, &device, |watched| {
                    watched.interval = interval.clamp(Duration::from_secs(1), INTERVAL_MAX);
                    watched.contact.connected(now, generation);
                });
            }
            Input::Left { device, generation, reason } => {
                self.contact(now, &device, |watched| watched.contact.left(now, generation, reason));
            }
            Input::Revoked { device } => {
                self.contact(now, &device, |watched| watched.contact.dismiss(now));
            }
            Input::Samples { device, lane, samples } => {
                self.judge(now, &device, lane, &samples);
                self.notice(&device, lane, &samples);
                if shows_life(&samples) {
                    self.contact(now, &device, |watched| {
                        // What a closet had not sent yet of a device says nothing of how that is now.
                        if lane == Lane::Live || watched.contact.has_stream() {
                            watched.contact.heard(now);
                        }
                    });
                }
            }
            Input::Hanging(changes) => self.rehang(now, changes),
            Input::Life(known) => self.learn(known),
            Input::Asked { by, devices } => self.note_asker(&by, devices),
            Input::Plan { actor, plan } => self.plan(now, actor, plan),
            Input::EndPlan { number, actor, takes_back } => self.end_plan(now, number, actor, takes_back),
            Input::Raise { actor, faults } => self.raise(now, &actor, faults),
            Input::Act { ticket, actor, action } => self.act(now, ticket, actor, action),
            Input::Calendar { site, calendar } => {
                let changes = self.state.book.enter(&site, calendar);
                self.reckon_anew(now, &site, changes);
            }
            Input::DayChanged { site, date, change } => {
                let changes = self.state.book.say(&site, date, change);
                self.reckon_anew(now, &site, changes);
            }
        }
    }

    fn enforce_coming(&mut self) {
        if let Some((rules, settings)) = self.coming.take() {
            let changed = |id: &str| {
                let check = |rules: &RuleSet| rules.get(id).map(|rule| (rule.check.clone(), rule.variants.clone()));
                check(&self.state.rules) != check(&rules)
            };
            let changed: BTreeSet<String> =
                self.state.rules.iter().map(|rule| rule.id.clone()).filter(|id| changed(id)).collect();
            for watched in self.state.devices.values_mut() {
                // What was remembered for one kind of question is nothing to another.
                watched.tracks.retain(|fault, _| !changed.contains(&fault.rule));
            }
            if self.state.editions.note(&self.state.rules, &rules) {
                self.look_anew();
            }
            self.state.rules = rules;
            self.state.settings = settings;
            self.state.ruled = true;
        }
    }

    fn index_rules(&mut self) {
        self.looking = Looking::new(&self.state.rules);
    }

    /// A device was enrolled or edited.
    fn enter(&mut self, now: Timestamp, device: Device) {
        let id = device.id.clone();
        if let Some(watched) = self.state.devices.get_mut(&id) {
            if watched.device != device {
                self.state.tickets.relocate(now, &device);
                if watched.device.class != device.class {
                    watched.sights.begin(&self.state.editions);
                }
                if watched.device.class != device.class || watched.device.state != device.state {
                    watched.contact.restart_clock(now);
                }
                self.places.leave(&watched.device);
                self.places.enter(&device);
                watched.device = device;
                self.apply_rules_to(now, &id);
            }
        } else if self.state.devices.len() < DEVICES_MAX {
            self.places.enter(&device);
            let mut watched = Watched::new(now, device);
            watched.sights.begin(&self.state.editions);
            self.state.devices.insert(id.clone(), watched);
        } else {
            self.state.counters.devices_refused += 1;
            return;
        }
        self.rearm(&id);
        self.touched.insert(id);
    }

    fn act(&mut self, now: Timestamp, ticket: u64, actor: String, action: Action) {
        let closes = matches!(action, Action::Close(_));
        let apart = match &action {
            Action::TakeOff { device, fault } => Some((device.clone(), fault.clone())),
            _ => None,
        };
        let may = apart.as_ref().map_or(Ok(()), |(device, fault)| self.may_take_off(ticket, device, fault));
        let done = may.and_then(|()| self.state.tickets.act(now, ticket, &actor, action));
        let Err(because) = done else {
            if let Some((device, fault)) = apart {
                self.taken_off(now, ticket, &device, &fault);
            }
            self.handled(now, ticket);
            self.ended_by_hand(now, ticket);
            if closes {
                self.remember(now, ticket);
            }
            return;
        };
        self.state.counters.actions_refused += 1;
        self.state.refusals += 1;
        let refused = Refused { number: self.state.refusals, ticket, at: now, actor, because };
        self.state.effects.push_back(Effect::Refused(refused));
    }

    /// Ends the faults that the rules in force no longer look for.
    fn apply_rules(&mut self, now: Timestamp) {
        let devices: Vec<String> = self.state.devices.keys().cloned().collect();
        for device in devices {
            self.apply_rules_to(now, &device);
            self.rearm(&device);
        }
    }

    fn apply_rules_to(&mut self, now: Timestamp, device: &str) {
        let (mut turn, watched) = self.turn(now);
        let Some(watched) = watched.get_mut(device) else { return };
        turn.end_what_is_not_judged(watched);
        self.weigh(now, device);
        self.touched.insert(device.into());
    }

    /// What one input's consequences need, apart from the devices.
    fn turn(&mut self, now: Timestamp) -> (Turn<'_>, &mut BTreeMap<String, Watched>) {
        let Self { state, unplaced, .. } = self;
        let Snapshot { devices, tickets, counters, rules, settings, book, parents, editions, plans, .. } = state;
        let (settings, forsaken) = (*settings, false);
        let turn = Turn { now, rules, book, parents, forsaken, editions, plans, settings, tickets, counters, unplaced };
        (turn, devices)
    }

    fn heartbeat(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.state.devices.is_empty()).then(|| now + HEARTBEAT)
    }

    /// Makes effects of what changed in this turn.
    fn flush(&mut self, now: Timestamp) {
        let touched = core::mem::take(&mut self.touched);
        for device in &touched {
            self.note_tests(now, device);
            self.note_flaps(now, device);
        }
        self.flush_plans();
        let (tickets, events) = self.state.tickets.take_changes();
        let effects = &mut self.state.effects;
        effects.extend(tickets.into_iter().map(|ticket| Effect::Ticket(Box::new(ticket))));
        effects.extend(events.into_iter().map(Effect::TicketEvent));
        for device in touched {
            let Some(watched) = self.state.devices.get_mut(&device) else { continue };
            effects.extend(watched.take_change().map(Effect::DeviceState));
            effects.extend(watched.take_listings());
        }
    }
}

#[cfg(test)]
mod tests;
