//! The engine against a reference that remembers nothing: at each record it looks at the whole history anew.
//!
//! Both can state: when a fault counts and when it is over (hysteresis, durations, pauses, late and back-filled readings), when
//! a silence counts (goodbyes, the collector's own absence) and when a device is proven back, that each fault is a line of the
//! one open ticket of its device and category, and when what hangs on a switch may have none.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::incidents::Fault;

const RULES: &str = r#"
format = 1

[[rule]]
id = "full"
title = "{device}: {path} is full"
advice = "Make room."
severity = "major"
ticket = "REPAIR"
category = "disk"
classes = ["server", "desktop"]
runbook = "Make room."
source = "House."
check.threshold = { measurement = "disk", by = ["path"], open = [{ field = "used_percent", above = 90 }], clear = [{ field = "used_percent", below = 80 }], for = "3m", clear_for = "4m", evidence = ["full"] }

[[rule]]
id = "tight"
title = "{device}: {path} is tight"
advice = "Make room."
severity = "minor"
ticket = "REPAIR"
category = "disk"
classes = ["server", "desktop"]
runbook = "Make room."
source = "House."
check.threshold = { measurement = "disk", by = ["path"], open = [{ field = "used_percent", above = 70 }], clear = [{ field = "used_percent", below = 60 }], clear_for = "0s", evidence = ["tight"] }

[[rule]]
id = "silent"
title = "{device} is silent"
advice = "Look at it."
severity = "major"
ticket = "REPAIR"
category = "reachability"
classes = ["server", "desktop"]
runbook = "Look at it."
source = "House."
check.absence = { for = "5m", clear_for = "5m" }

[[rule]]
id = "unreachable"
title = "{device} does not answer"
advice = "Look at it."
severity = "major"
ticket = "REPAIR"
category = "reachability"
classes = ["switch"]
outage = true
runbook = "Look at it."
source = "House."
check.threshold = { measurement = "snmp", open = [{ field = "answered", is = false }], clear = [{ field = "answered", is = true }], for = "3m", clear_for = "2m", evidence = ["no answer"] }
"#;

const SPEAKERS: [&str; 2] = ["files", "lab-1"];
const SWITCH: &str = "sw";
const PATHS: [&str; 2] = ["/", "/data"];
/// How often devices say something.
const EACH: u32 = 60;
/// The longest pause that counts as seen: three intervals.
const GAP: Duration = Duration::from_secs(180);

/// What happens at the beginning of a stretch.
#[derive(Clone, Copy, Debug)]
enum Turned {
    Nothing,
    Connects(usize),
    Drops(usize),
    Leaves(usize),
    /// The collector is away for so many seconds, and starts.
    Restarts(u32),
    /// Its machine stands still for so many seconds.
    Freezes(u32),
}

/// A stretch in which everybody goes on as they are.
#[derive(Clone, Debug)]
struct Stretch {
    turned: Turned,
    seconds: u32,
    speaks: [bool; 2],
    used: [[u8; 2]; 2],
    answers: Option<bool>,
    /// Of each so many readings one is late, ahead, or back-filled, and says otherwise.
    noise: u32,
}

fn any_stretch() -> impl Strategy<Value = Stretch> {
    let who = 0usize..2;
    let turned = prop_oneof![
        6 => Just(Turned::Nothing),
        3 => who.clone().prop_map(Turned::Connects),
        3 => who.clone().prop_map(Turned::Drops),
        2 => who.prop_map(Turned::Leaves),
        1 => (20u32..900).prop_map(Turned::Restarts),
        1 => (181u32..900).prop_map(Turned::Freezes),
    ];
    let level = prop::sample::select(&[50u8, 65, 75, 85, 95][..]);
    let used = [[level.clone(), level.clone()], [level.clone(), level]];
    let speaks = [prop::bool::weighted(0.75), prop::bool::weighted(0.75)];
    let answers = prop_oneof![4 => Just(Some(true)), 3 => Just(Some(false)), 1 => Just(None)];
    (turned, 20u32..800, speaks, used, answers, 0u32..6).prop_map(|(turned, seconds, speaks, used, answers, noise)| {
        Stretch { turned, seconds, speaks, used, answers, noise }
    })
}

/// A record with its stamp.
type Entry = (Timestamp, Input);

/// Plays stretches: the records in order, wakes among them, and what the engine makes of each.
struct Run {
    engine: Engine,
    now: Timestamp,
    history: Vec<Entry>,
    generation: u64,
    samples: u64,
    facts: Facts,
}

/// What follows of each record from all before it and itself.
#[derive(Default)]
struct Facts {
    /// Whether the switch is out of reach.
    out: Vec<bool>,
    /// Of each that speaks.
    of: [Vec<Fact>; 2],
}

#[derive(Clone, Copy)]
struct Fact {
    heard: bool,
    /// Its silence has lasted.
    missed: bool,
    /// It was not there, or nobody could tell, for a moment at least.
    broken: bool,
    /// What it hangs on is why it is silent, if it is.
    covered: bool,
}

impl Run {
    fn begin() -> Self {
        let rules = toml::from_str::<Pack>(RULES).unwrap().rule;
        let engine = Engine::new(RuleSet::merge(rules, vec![]).unwrap(), known(Settings::default()));
        let mut run =
            Self { engine, now: minute(0), history: Vec::new(), generation: 0, samples: 0, facts: Facts::default() };
        run.feed(Input::CollectorStarted);
        for (id, class) in [(SWITCH, Class::Switch), ("files", Class::Server), ("lab-1", Class::Desktop)] {
            run.feed(Input::Device(device(id, class)));
        }
        let on = |id: &str| (id.to_string(), Some(SWITCH.to_string()));
        run.feed(Input::Hanging(vec![on("files"), on("lab-1")]));
        run
    }

    fn feed(&mut self, input: Input) {
        if let Input::Samples { samples, .. } = &input {
            self.samples += samples.len() as u64;
        }
        self.history.push((self.now, input.clone()));
        self.engine.handle(self.now, input);
        effects(&mut self.engine);
        let reference = Reference::of(&self.history);
        reference.add(&mut self.facts);
        reference.check(&self.engine, &self.facts);
    }

    /// Time passes; the engine is woken when it asks to be.
    fn pass(&mut self, until: Timestamp) {
        while let Some(wake) = self.engine.poll_wake().filter(|wake| *wake < until) {
            self.now = wake;
            self.feed(Input::Wake);
        }
        self.now = until;
    }

    fn turn(&mut self, turned: Turned) {
        let device = |who: usize| SPEAKERS[who].to_string();
        let generation = self.generation;
        match turned {
            Turned::Nothing => {}
            Turned::Connects(who) => {
                self.generation += 1;
                let interval = Duration::from_secs(EACH.into());
                self.feed(Input::Connected { device: device(who), generation: self.generation, interval });
            }
            Turned::Drops(who) => self.feed(Input::Left { device: device(who), generation, reason: None }),
            Turned::Leaves(who) => {
                let reason = Some(GoodbyeReason::Shutdown);
                self.feed(Input::Left { device: device(who), generation, reason });
            }
            Turned::Restarts(seconds) => {
                self.now = self.now + Duration::from_secs(seconds.into());
                self.feed(Input::CollectorStarted);
            }
            Turned::Freezes(seconds) => self.now = self.now + Duration::from_secs(seconds.into()),
        }
    }

    fn go_on(&mut self, stretch: &Stretch) {
        self.turn(stretch.turned);
        let end = self.now + Duration::from_secs(stretch.seconds.into());
        let mut round = 0u32;
        while self.now < end {
            for (who, id) in SPEAKERS.into_iter().enumerate().filter(|(who, _)| stretch.speaks[*who]) {
                let noisy = stretch.noise > 0 && round.is_multiple_of(stretch.noise);
                let samples =
                    PATHS.into_iter().zip(stretch.used[who]).map(|(path, used)| disk(path, used.into(), self.now));
                self.feed(live(id, samples.collect()));
                if noisy {
                    self.disturb(id, round);
                }
                self.pass(self.now + Duration::from_secs(3));
            }
            if let Some(answers) = stretch.answers {
                let sample = Sample {
                    measurement: "snmp".into(),
                    tags: vec![],
                    target: String::new(),
                    time: self.now,
                    fields: vec![("answered".into(), Value::Boolean(answers))],
                };
                self.feed(live(SWITCH, vec![sample]));
            }
            round += 1;
            self.pass(self.now + Duration::from_secs(u64::from(EACH) - 6));
        }
    }

    /// What must decide nothing: readings of long ago, of a clock that is ahead, and what waited in a spool.
    fn disturb(&mut self, id: &str, round: u32) {
        let used = if round.is_multiple_of(2) { 99.0 } else { 10.0 };
        let (time, lane) = match round % 3 {
            0 => (self.now - MINUTE * 10, Lane::Live),
            1 => (self.now + MINUTE * 10, Lane::Live),
            _ => (self.now - MINUTE, Lane::Backfill),
        };
        self.feed(Input::Samples { device: id.to_string(), lane, samples: vec![disk("/", used, time)] });
    }
}

/// Everything that follows from a history.
struct Reference<'history> {
    history: &'history [Entry],
    now: Timestamp,
}

impl<'history> Reference<'history> {
    fn of(history: &'history [Entry]) -> Self {
        Self { history, now: history.last().unwrap().0 }
    }

    /// Readings that decide: of a device's live ones those that are neither ahead nor late, in order.
    fn timely(&self, device: &str) -> Vec<(Timestamp, &'history Sample)> {
        let mut newest: Option<Timestamp> = None;
        let mut timely = Vec::new();
        for (stamp, input) in self.history {
            let Input::Samples { device: of, lane: Lane::Live, samples } = input else { continue };
            for sample in samples.iter().filter(|_| of == device) {
                let late = newest.is_some_and(|newest| sample.time + MINUTE * 2 < newest);
                if sample.time <= *stamp + AHEAD_MAX && !late {
                    newest = newest.max(Some(sample.time));
                    timely.push((*stamp, sample));
                }
            }
        }
        timely
    }

    /// Whether a fault counts: some run of bad readings was long enough, and no run of good ones since.
    fn counts(readings: &[(Timestamp, Option<bool>)], open_for: Duration, clear_for: Duration) -> bool {
        let run_of = |wanted: bool, last: usize, long: Duration| {
            let run = readings[..=last].iter().rev().take_while(|(_, bad)| *bad == Some(wanted));
            let times: Vec<Timestamp> = run.map(|(time, _)| *time).collect();
            let seen: Duration = times.windows(2).map(|pair| pair[0].since(pair[1]).min(GAP)).sum();
            !times.is_empty() && seen >= long
        };
        let opened = (0..readings.len()).rev().find(|last| run_of(true, *last, open_for));
        opened.is_some_and(|opened| !(opened + 1..readings.len()).any(|last| run_of(false, last, clear_for)))
    }

    fn disk_counts(&self, device: &str, path: &str, above: f64, below: f64, times: [u32; 2]) -> bool {
        let of_path = |sample: &&Sample| sample.measurement == "disk" && sample.tags[0].1 == path;
        let readings: Vec<(Timestamp, Option<bool>)> = self
            .timely(device)
            .into_iter()
            .map(|(_, sample)| sample)
            .filter(of_path)
            .map(|sample| {
                let used = sample.fields[0].1.as_number().unwrap();
                (sample.time, if used > above { Some(true) } else { (used < below).then_some(false) })
            })
            .collect();
        Self::counts(&readings, MINUTE * times[0], MINUTE * times[1])
    }

    fn switch_counts(&self) -> bool {
        let readings: Vec<_> = self
            .timely(SWITCH)
            .into_iter()
            .map(|(_, sample)| (sample.time, Some(sample.fields[0].1 == Value::Boolean(false))))
            .collect();
        Self::counts(&readings, MINUTE * 3, MINUTE * 2)
    }

    /// Whether the collector was away until a record: it says so, or nothing happened though it asked to be woken.
    fn was_away(&self, record: usize) -> bool {
        let pause = record > 0 && self.history[record].0.since(self.history[record - 1].0) > OWN_PAUSE_MAX;
        pause || self.history[record].1 == Input::CollectorStarted
    }

    /// Whether a device's stream was up after a record.
    fn has_stream(&self, device: &str, record: usize) -> bool {
        let last = self.history[..=record].iter().rev().find_map(|(_, input)| match input {
            Input::CollectorStarted => Some(false),
            Input::Connected { device: of, .. } if of == device => Some(true),
            Input::Left { device: of, generation, .. } if of == device => {
                // The end of an older stream says nothing.
                (self.generation(device, record) == Some(*generation)).then_some(false)
            }
            _ => None,
        });
        last == Some(true)
    }

    fn generation(&self, device: &str, record: usize) -> Option<u64> {
        self.history[..=record].iter().rev().find_map(|(_, input)| match input {
            Input::Connected { device: of, generation, .. } if of == device => Some(*generation),
            _ => None,
        })
    }

    fn is_heard(&self, device: &str, record: usize) -> bool {
        match &self.history[record].1 {
            Input::Connected { device: of, .. } => of == device,
            Input::Samples { device: of, lane, .. } => {
                of == device && (*lane == Lane::Live || record > 0 && self.has_stream(device, record - 1))
            }
            _ => false,
        }
    }

    /// Whether a stream of the device ended with a record; says whether with a goodbye.
    fn ended(&self, device: &str, record: usize) -> Option<bool> {
        match &self.history[record].1 {
            Input::Left { device: of, reason, .. } if of == device => {
                let was_up = record > 0 && self.has_stream(device, record - 1);
                (was_up && !self.has_stream(device, record)).then_some(reason.is_some())
            }
            _ => None,
        }
    }

    /// From when a device's silence counted after a record; none while it is not expected to speak.
    fn silent_from(&self, device: &str, record: usize) -> Option<Timestamp> {
        let told = (0..=record).rev().find(|at| self.is_heard(device, *at) || self.ended(device, *at) == Some(true))?;
        if !self.is_heard(device, told) {
            return None;
        }
        let away = (told + 1..=record).filter(|at| self.was_away(*at)).map(|at| self.history[at].0 + MINUTE * 2);
        away.max().or(Some(self.history[told].0))
    }

    fn is_missed(&self, device: &str, record: usize) -> bool {
        self.silent_from(device, record).is_some_and(|from| from + MINUTE * 5 <= self.history[record].0)
    }

    /// Takes down what follows of the last record.
    fn add(&self, facts: &mut Facts) {
        let last = self.history.len() - 1;
        facts.out.push(self.switch_counts());
        for (who, device) in SPEAKERS.into_iter().enumerate() {
            let (heard, missed) = (self.is_heard(device, last), self.is_missed(device, last));
            let broken = self.ended(device, last).is_some() || self.was_away(last) || missed;
            let covered = self.is_covered(device, &facts.out);
            facts.of[who].push(Fact { heard, missed, broken, covered });
        }
    }

    /// Whether a device had been there for five minutes without a break, by a record of it.
    fn is_proven_back(&self, facts: &[Fact], record: usize) -> bool {
        // It may be heard with the record that ends the collector's own absence.
        let begin = facts[..=record].iter().rposition(|fact| fact.broken).unwrap_or(0);
        let heard: Vec<usize> = (begin..=record).filter(|at| facts[*at].heard).collect();
        let long = heard
            .first()
            .zip(heard.last())
            .is_some_and(|(first, last)| self.history[*last].0.since(self.history[*first].0) >= MINUTE * 5);
        long && facts[record].heard
    }

    /// Since which record a device's silence counts.
    fn silence(&self, facts: &[Fact]) -> Option<usize> {
        let last = self.history.len() - 1;
        let back = (0..=last).rev().find(|at| self.is_proven_back(facts, *at)).map_or(0, |at| at + 1);
        (back..=last).find(|at| facts[*at].missed)
    }

    /// Compares what follows with what the engine has made of it.
    fn check(&self, engine: &Engine, facts: &Facts) {
        let mut lines: BTreeMap<(String, Fault), u32> = BTreeMap::new();
        for ticket in engine.tickets().filter(|ticket| ticket.state.is_open()) {
            let left = ticket.lines.iter().filter(|line| !line.is_over());
            left.for_each(|line| {
                *lines.entry((ticket.device_of(line).to_string(), line.fault.clone())).or_default() += 1
            });
        }
        assert!(lines.values().all(|count| *count == 1), "a fault is a line of one ticket");
        let has = |device: &str, rule: &str, path: Option<&str>| {
            let tags = path.map(|path| ("path".to_string(), path.to_string())).into_iter().collect();
            lines.contains_key(&(device.to_string(), Fault { rule: rule.to_string(), tags }))
        };
        // What comes and goes is kept on its ticket until it is calm.
        let kept = |device: &str, rule: &str, path: Option<&str>| {
            let tags = path.map(|path| ("path".to_string(), path.to_string())).into_iter().collect();
            let watched = engine.snapshot().devices.get(device);
            let incident = watched.and_then(|it| it.incidents.get(&Fault { rule: rule.to_string(), tags }));
            incident.is_some_and(|incident| incident.good_since.is_some())
        };
        for (who, device) in SPEAKERS.into_iter().enumerate() {
            for path in PATHS {
                for (rule, above, below, times) in [("full", 90.0, 80.0, [3, 4]), ("tight", 70.0, 60.0, [0, 0])] {
                    let counts = self.disk_counts(device, path, above, below, times);
                    let kept = kept(device, rule, Some(path));
                    assert!(!(kept && counts), "{device}, {path}, {rule}: good and bad at once");
                    assert_eq!(has(device, rule, Some(path)), counts || kept, "{device}, {path}, {rule}");
                }
            }
            if !kept(device, "silent", None) {
                self.check_silence(device, has(device, "silent", None), engine, &facts.of[who]);
            }
        }
        let counts = self.switch_counts() || kept(SWITCH, "unreachable", None);
        assert_eq!(has(SWITCH, "unreachable", None), counts, "the switch");
    }

    fn check_silence(&self, device: &str, has_line: bool, engine: &Engine, facts: &[Fact]) {
        let fault = Fault { rule: "silent".to_string(), tags: vec![] };
        let since = self.silence(facts);
        let watched = engine.snapshot().devices.get(device);
        let known = watched.is_some_and(|watched| watched.incidents.contains_key(&fault));
        assert_eq!(known, since.is_some(), "{device} is silent");
        let Some(since) = since else {
            assert!(!has_line, "{device} is back");
            return;
        };
        let doubted = self.timely(SWITCH).iter().any(|(_, sample)| sample.fields[0].1 == Value::Boolean(false));
        if !doubted && self.now >= self.history[since].0 + WAIT_MAX + MINUTE {
            assert!(has_line, "{device} is silent, and nothing above it ever was");
        }
        if facts[since..].iter().all(|fact| fact.covered) {
            assert!(!has_line, "{device} hangs on what is out of reach");
        }
    }

    /// Whether a device's silence follows from that of the switch: that is out of reach, and the device was not heard of long
    /// after the switch was for the last time, or after it had gone.
    fn is_covered(&self, device: &str, out: &[bool]) -> bool {
        let Some(began) = self.switch_began(out) else { return false };
        let answers = |(_, sample): &&(Timestamp, &Sample)| sample.fields[0].1 == Value::Boolean(true);
        let answered = self.timely(SWITCH).iter().rev().find(answers).map(|(stamp, _)| *stamp);
        let gone = began.max(answered.unwrap_or(began));
        let last = (0..self.history.len()).rev().find(|at| self.is_heard(device, *at)).map(|at| self.history[at].0);
        last.is_none_or(|last| last <= gone + MINUTE)
    }

    /// Since when the switch is out of reach, if it is: the first of the readings that proved it.
    fn switch_began(&self, out: &[bool]) -> Option<Timestamp> {
        let good = out.iter().rposition(|out| !out).filter(|good| good + 1 < out.len())?;
        let before = Reference::of(&self.history[..=good + 1]).timely(SWITCH);
        let is_bad = |(_, sample): &&(Timestamp, &Sample)| sample.fields[0].1 == Value::Boolean(false);
        before.iter().rev().take_while(is_bad).last().map(|(stamp, _)| *stamp)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn tickets_are_those_that_follow_from_the_whole_history(stretches in prop::collection::vec(any_stretch(), 1..7)) {
        let mut run = Run::begin();
        stretches.iter().for_each(|stretch| run.go_on(stretch));
        let counters = run.engine.counters();
        let counted = counters.samples + counters.samples_late + counters.samples_ahead + counters.samples_backfilled;
        prop_assert_eq!(counted, run.samples, "no reading is lost");
    }
}

/// Found by random stretches: the switch answers once and is gone again, and what hangs on it with it. What was heard in between
/// is no sign that it lives without the switch.
#[test]
fn what_comes_and_goes_with_its_switch_is_explained_by_it() {
    let stretch = |seconds, speaks, answers| Stretch {
        turned: Turned::Nothing,
        seconds,
        speaks,
        used: [[50; 2]; 2],
        answers: Some(answers),
        noise: 0,
    };
    let mut run = Run::begin();
    run.go_on(&stretch(20, [false, true], true));
    run.go_on(&stretch(229, [false, false], false));
    run.go_on(&stretch(20, [false, true], true));
    run.go_on(&stretch(900, [true, false], false));
    let titles: Vec<&str> = run.engine.tickets().map(|ticket| ticket.title.as_str()).collect();
    assert_eq!(titles, ["sw does not answer"]);
}
