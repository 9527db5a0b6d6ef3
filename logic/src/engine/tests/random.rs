//! Random histories: nothing panics, a restart anywhere changes nothing, and tickets keep their promises.

use crate::incidents::{Fault, Standing};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::calendar::{Calendar, Change, Date, Day, DayKind, Parts};
use crate::life::{Course, Facts, Known, PartCost, Subject, Table};
use crate::responsibilities::{Lane as Work, Party, PartyKind, Row};
use crate::tickets::{Priority, WaitFor};

#[derive(Clone, Debug)]
struct Step {
    pause_s: u32,
    input: Input,
    restart: bool,
}

const DEVICES: [&str; 4] = ["files", "lab-1", "cart-1", "nobody"];

fn device_id() -> impl Strategy<Value = String> {
    prop::sample::select(&DEVICES[..]).prop_map(str::to_string)
}

fn any_device() -> impl Strategy<Value = Device> {
    let classes = prop::sample::select(Class::ALL);
    let states = prop_oneof![8 => Just(LifeState::InUse), 1 => prop::sample::select(LifeState::ALL)];
    (prop::sample::select(&DEVICES[..3]), classes, states, any::<bool>()).prop_map(|(id, class, state, moved)| Device {
        state,
        room: if moved { "214".to_string() } else { String::new() },
        ..device(id, class)
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        20 => prop::sample::select(&[50.0, 88.0, 94.0, 97.25, 99.0][..]).prop_map(Value::Float),
        1 => any::<f64>().prop_map(Value::Float),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => Just(Value::Text("odd".to_string())),
    ]
}

/// A sample, and by how many seconds it was read before it arrives.
fn any_sample() -> impl Strategy<Value = (Sample, i64)> {
    let age = prop_oneof![20 => Just(0i64), 1 => -1_000i64..1_000, 1 => any::<i32>().prop_map(i64::from)];
    (prop::sample::select(&["/", "/data"][..]), any_value(), any_value(), age).prop_map(|(path, used, free, age)| {
        let mut sample = disk(path, 0.0, Timestamp(0));
        sample.fields[0].1 = used;
        sample.fields[1].1 = free;
        (sample, age)
    })
}

fn any_action() -> impl Strategy<Value = Action> {
    let text = prop_oneof![Just(String::new()), Just("it is broken".to_string())];
    prop_oneof![
        Just(Action::Take),
        text.clone().prop_map(|text| Action::Comment { text }),
        text.clone().prop_map(|text| Action::Reopen { text }),
        (prop::option::of(prop::sample::select(Course::ALL)), text.clone())
            .prop_map(|(course, because)| Action::Decide { course, because }),
        (text.clone(), text.clone(), any::<u32>()).prop_map(|(fault, action, minutes)| {
            Action::Close(RepairNote { fault, action, minutes, ..RepairNote::default() })
        }),
        prop::sample::select(&["kim", "lee", ""][..]).prop_map(|to| Action::Assign { to: to.to_string() }),
        Just(Action::Start),
        (prop::sample::select(WaitFor::ALL), text.clone(), prop::option::of(0u32..5_000))
            .prop_map(|(r#for, text, until)| Action::Wait { r#for, text, until: until.map(minute) }),
        Just(Action::Resume),
        (prop::option::of(prop::sample::select(Priority::ALL)), text)
            .prop_map(|(priority, note)| Action::Prioritize { priority, note }),
        (0u64..6).prop_map(|into| Action::Merge { into }),
        Just(Action::Split),
    ]
}

/// Facts of two devices and their model, and a table by which full disks are hardware.
fn any_known() -> impl Strategy<Value = Known> {
    let subject = prop_oneof![
        4 => device_id().prop_map(Subject::Device),
        1 => Just(Subject::Model("Acme Server".to_string())),
    ];
    let date = || prop::option::of((-3_000i32..3_000).prop_map(|days| Date(20_696 + days)));
    let facts = (date(), prop::option::of(0u32..500_000), date(), prop::option::of(1u8..9)).prop_map(
        |(purchased, price_cents, warranty_ends, planned_years)| Facts {
            purchased,
            price_cents,
            warranty_ends,
            planned_years,
            ..Facts::default()
        },
    );
    let table = (0u32..50_000, any::<bool>()).prop_map(|(cents, part)| {
        let part = if part { "disk".to_string() } else { String::new() };
        let repairs = [("disk".to_string(), PartCost { part, cents, minutes: 30 })].into();
        Known::Table(Table { repairs, labor_cents_per_hour: 3_000, ..Table::default() })
    });
    prop_oneof![2 => (subject, facts).prop_map(|entry| Known::Facts(vec![entry])), 1 => table]
}

/// A matrix in which anybody has anything, be it a name that nobody bears.
fn any_matrix() -> impl Strategy<Value = Responsibilities> {
    let who = || prop::sample::select(&["kim", "lee", "ana", "Copier Co", "nobody"][..]).prop_map(str::to_string);
    let class = prop::collection::vec(prop::sample::select(Class::ALL), 0..2);
    let row = (class, who(), prop::collection::vec(who(), 0..2));
    (prop::collection::vec(row, 0..4), who()).prop_map(|(rows, coordinator)| {
        let party = |key, kind, lane| Party { lane, ..Party::new(key, kind) };
        Responsibilities {
            assumed: false,
            source: "responsibilities.toml".to_string(),
            parties: vec![
                party("kim", PartyKind::Person, Work::Repair),
                party("lee", PartyKind::Person, Work::Champion),
                party("ana", PartyKind::Person, Work::EdTech),
                party("Copier Co", PartyKind::Vendor, Work::Repair),
            ],
            rows: rows.into_iter().map(|(classes, who, then)| Row { classes, who, then, ..Row::default() }).collect(),
            lead: coordinator.clone(),
            coordinator,
        }
    })
}

/// Days of an hour each two hours: many openings in a short history.
fn any_calendar() -> impl Strategy<Value = Calendar> {
    prop::collection::vec(any::<bool>(), 40).prop_map(|open| {
        let day = |date: usize| {
            let opens = minute(0) + MINUTE * 120 * u32::try_from(date).unwrap();
            let (date, kind) = (Date(i32::try_from(date).unwrap()), DayKind::Full);
            Day { date, opens, closes: opens + MINUTE * 60, kind, schedule: None }
        };
        let days = open.iter().enumerate().filter(|(_, open)| **open).map(|(date, _)| day(date)).collect();
        Calendar::new(Parts { begins: minute(0), ends: minute(40 * 120), days, ..Parts::default() }).unwrap()
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![Just(Change::Closed), (0u32..7_200_000).prop_map(|by_ms| Change::Late { by_ms })]
}

fn any_input() -> impl Strategy<Value = Input> {
    let interval = (0u64..300).prop_map(Duration::from_secs);
    let reason = prop::option::of(prop::sample::select(GoodbyeReason::ALL));
    let lane = prop_oneof![4 => Just(Lane::Live), 1 => Just(Lane::Backfill)];
    let samples = prop::collection::vec(any_sample(), 0..4).prop_map(|samples| {
        // The time is still an age here: `run` knows when it arrives.
        samples.into_iter().map(|(sample, age)| Sample { time: Timestamp(age * 1000), ..sample }).collect()
    });
    let actor = prop::sample::select(&["kim", "lee"][..]).prop_map(str::to_string);
    prop_oneof![
        1 => Just(Input::CollectorStarted),
        1 => Just(Input::CollectorStopped),
        2 => any_device().prop_map(Input::Device),
        4 => (device_id(), 0u64..3, interval)
            .prop_map(|(device, generation, interval)| Input::Connected { device, generation, interval }),
        3 => (device_id(), 0u64..3, reason)
            .prop_map(|(device, generation, reason)| Input::Left { device, generation, reason }),
        1 => device_id().prop_map(|device| Input::Revoked { device }),
        20 => (device_id(), lane, samples)
            .prop_map(|(device, lane, samples)| Input::Samples { device, lane, samples }),
        8 => (0u64..6, actor, any_action()).prop_map(|(ticket, actor, action)| Input::Act { ticket, actor, action }),
        2 => (prop::sample::select(&["", "Lincoln"][..]), prop::option::of(any_calendar()))
            .prop_map(|(site, calendar)| Input::Calendar { site: site.to_string(), calendar }),
        4 => (0i32..40, prop::option::of(any_change()))
            .prop_map(|(date, change)| Input::DayChanged { site: "Lincoln".to_string(), date: Date(date), change }),
        2 => (device_id(), device_id()).prop_map(|(by, device)| Input::Asked { by, devices: vec![device] }),
        6 => (device_id(), any::<bool>(), any::<bool>()).prop_map(|(device, witness, good)| look(device, witness, good)),
        2 => (device_id(), 0u32..200, 1u32..200).prop_map(|(device, from, lasts)| plan(device, from, lasts)),
        2 => (0u64..4, any::<bool>())
            .prop_map(|(number, takes_back)| Input::EndPlan { number, actor: "kim".to_string(), takes_back }),
        3 => (device_id(), prop::sample::select(&["disk.full.server", "disk.full.client"][..]), path())
            .prop_map(|(device, rule, path)| raise(device, rule, path)),
        2 => prop::option::of(any_matrix()).prop_map(|matrix| Input::Responsibilities(matrix.map(Box::new))),
        6 => Just(Input::Wake),
        3 => any_known().prop_map(Input::Life),
        4 => (device_id(), prop::option::of(device_id())).prop_map(|(device, on)| Input::Hanging(vec![(device, on)])),
    ]
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["/", "/data"][..])
}

/// A closet's look at a device, or a witness'.
fn look(device: String, witness: bool, good: bool) -> Input {
    let (measurement, fields): (_, &[&str]) =
        if witness { ("snmp_witness", &["pings"]) } else { ("snmp", &["answered", "pings"]) };
    let sample = Sample {
        measurement: measurement.into(),
        tags: vec![],
        target: String::new(),
        time: Timestamp(0),
        fields: fields.iter().map(|name| ((*name).into(), Value::Boolean(good))).collect(),
    };
    live(&device, vec![sample])
}

/// The times are told from the story's beginning.
fn plan(device: String, from: u32, lasts: u32) -> Input {
    let scope = crate::plans::Scope { device, ..crate::plans::Scope::default() };
    let (from, until) = (minute(from), minute(from + lasts));
    let plan = crate::plans::NewPlan { scope, from, until, why: "new disks".to_string() };
    Input::Plan { actor: "kim".to_string(), plan }
}

fn raise(device: String, rule: &str, path: &str) -> Input {
    let tags = vec![("path".to_string(), path.to_string())];
    Input::Raise { actor: "kim".to_string(), faults: vec![(device, Fault { rule: rule.to_string(), tags })] }
}

fn any_step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![20 => 0u32..90, 1 => 0u32..20_000, 1 => 0u32..3_000_000];
    (pause, any_input(), prop::bool::weighted(0.2)).prop_map(|(pause_s, input, restart)| Step {
        pause_s,
        input,
        restart,
    })
}

/// Rules quick enough for short histories.
fn quick_rules() -> RuleSet {
    let hasten = |text: &str| {
        text.replace("for = \"2h\"\nclear", "for = \"3m school\"\nclear").replace("for = \"10m\"", "for = \"2m\"")
    };
    let rules = SHIPPED.iter().flat_map(|text| toml::from_str::<Pack>(&hasten(text)).unwrap().rule);
    RuleSet::merge(rules.collect(), vec![]).unwrap()
}

fn run(
    steps: &[Step],
    (rules, settings): &(RuleSet, Settings),
    restarts: bool,
    mut look: impl FnMut(&Engine, Timestamp),
) -> Vec<Effect> {
    let mut engine = Engine::new(rules.clone(), *settings);
    let mut all = Vec::new();
    let mut now = minute(0);
    for (id, class) in [("files", Class::Server), ("lab-1", Class::Desktop), ("cart-1", Class::Laptop)] {
        engine.handle(now, Input::Device(device(id, class)));
    }
    for step in steps {
        now = now + Duration::from_secs(u64::from(step.pause_s));
        let mut input = step.input.clone();
        if let Input::Samples { samples, .. } = &mut input {
            samples.iter_mut().for_each(|sample| sample.time = Timestamp(now.0 - sample.time.0));
        }
        engine.handle(now, input);
        look(&engine, now);
        if restarts && step.restart {
            let text = serde_json::to_string(engine.snapshot()).unwrap();
            let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
            assert_eq!(snapshot, *engine.snapshot());
            engine = Engine::restore(rules.clone(), *settings, snapshot);
        }
        all.extend(effects(&mut engine));
    }
    all
}

fn check_promises(engine: &Engine, now: Timestamp) {
    super::groups::check_places(engine);
    assert!(engine.poll_wake().is_none_or(|wake| wake > now), "a wake in the past would spin");
    let mut open: BTreeMap<(String, String), usize> = BTreeMap::new();
    for ticket in engine.tickets() {
        assert_eq!(ticket.state.is_open(), ticket.ended_at.is_none());
        assert!(!ticket.lines.is_empty());
        if ticket.state.is_open() && !ticket.kept_open {
            *open.entry((ticket.device.clone(), ticket.category.clone())).or_default() += 1;
            assert!(ticket.lines.iter().any(|line| !line.is_over()), "an open ticket has work to do");
        }
        if ticket.state == TicketState::Resolved {
            assert!(ticket.lines.iter().all(crate::tickets::Line::is_over));
        }
    }
    assert!(open.values().all(|count| *count == 1), "one ticket for a device and category");
    for incident in engine.snapshot().devices.values().flat_map(|watched| watched.incidents.values()) {
        if let Standing::Waits { until } | Standing::Returning { until, .. } = incident.standing {
            assert!(now <= until + WAIT_MAX + MINUTE, "whatever hangs on what, nothing waits for ever");
        }
    }
}

fn check_effects(effects: &[Effect]) {
    let mut sequences: BTreeMap<u64, u64> = BTreeMap::new();
    let mut tickets: BTreeMap<u64, u64> = BTreeMap::new();
    let mut refusals = 0;
    let mut listed: BTreeSet<(&String, &Fault)> = BTreeSet::new();
    for effect in effects {
        match effect {
            Effect::Ticket(ticket) => {
                assert!(tickets.contains_key(&ticket.number) || ticket.number == tickets.len() as u64 + 1);
                tickets.insert(ticket.number, ticket.events);
            }
            Effect::TicketEvent(event) => {
                let last = sequences.entry(event.ticket).or_default();
                *last += 1;
                assert_eq!(event.sequence, *last, "a history without gaps");
                assert!(event.sequence <= tickets[&event.ticket], "the ticket comes before its events");
            }
            Effect::Refused(refused) => {
                refusals += 1;
                assert_eq!(refused.number, refusals);
            }
            Effect::Listed(listing) => drop(listed.insert((&listing.device, &listing.fault))),
            Effect::Unlisted { device, fault } => {
                assert!(listed.remove(&(device, fault)), "what leaves the list was on it");
            }
            Effect::Plan(plan) => assert!(plan.silenced >= plan.left || plan.named.is_empty()),
            Effect::DeviceState(_) | Effect::DeviceTold { .. } | Effect::UsualHours(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn tickets_keep_their_promises_and_a_restart_anywhere_changes_nothing(
        steps in prop::collection::vec(any_step(), 1..150), first_sight in 0u64..2
    ) {
        let first_sight = crate::span::Span::from_mins(10 * first_sight);
        let how = (quick_rules(), Settings { first_sight, ..Settings::default() });
        let straight = run(&steps, &how, false, check_promises);
        check_effects(&straight);
        let restarted = run(&steps, &how, true, |_, _| {});
        prop_assert_eq!(straight, restarted);
    }
}
