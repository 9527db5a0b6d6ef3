//! Records as the engine's inputs.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use bellwether_logic::calendar::Date;
use bellwether_logic::device::{Class, Device, LifeState, make};
use bellwether_logic::engine::Input;
use bellwether_logic::incidents::Fault;
use bellwether_logic::plans::{NewPlan, Scope};
use bellwether_logic::presence::GoodbyeReason;
use bellwether_logic::sample::Sample;
use bellwether_logic::tickets::{Action, RepairNote};
use bellwether_logic::time::Timestamp;
use bellwether_proto::batch::{Lane, decode_alone};
use bellwether_proto::record::v1::{
    BatchReceived, CalendarSet, ChangePlanned, DeviceChanged, Hanging, ListRaised, ListedFault, ResponsibilitiesSet,
    TicketActed, record, ticket_acted,
};
use bellwether_proto::v1;

use crate::calendar::{calendar_of, change_of};
use crate::responsibilities::matrix_of;
use crate::{figures, life, points};

/// What a record says to the engine; nothing if it says nothing to it, or nothing that this version understands. A batch
/// of an agent that watches others says something of each.
pub(super) fn of(body: &record::Body) -> Vec<Input> {
    match body {
        record::Body::Batch(received) => samples(received),
        body => one(body).into_iter().collect(),
    }
}

fn one(body: &record::Body) -> Option<Input> {
    Some(match body {
        record::Body::Connected(connected) => Input::Connected {
            device: connected.device_id.clone(),
            generation: connected.generation,
            interval: Duration::from_secs(u64::from(connected.interval_s)),
        },
        record::Body::Left(left) => {
            Input::Left { device: left.device_id.clone(), generation: left.generation, reason: goodbye(left.reason()) }
        }
        record::Body::Device(changed) => return device(changed).map(Input::Device),
        record::Body::Ticket(acted) => return act(acted),
        record::Body::Raised(raised) => raise(raised),
        record::Body::Planned(planned) => return plan(planned),
        record::Body::PlanEnded(ended) => {
            Input::EndPlan { number: ended.number, actor: ended.actor.clone(), takes_back: ended.takes_back }
        }
        record::Body::Calendar(set) => return calendar(set),
        record::Body::Day(day) => {
            Input::DayChanged { site: day.site.clone(), date: Date(day.date), change: change_of(day) }
        }
        record::Body::Started(_) => Input::CollectorStarted,
        record::Body::Stopped(_) => Input::CollectorStopped,
        record::Body::Hanging(seen) => Input::Hanging(seen.changes.iter().map(hanging).collect()),
        record::Body::LifeFacts(set) => Input::Life(life::known_facts(set)),
        record::Body::LifeTable(set) => Input::Life(life::known_table(set)),
        record::Body::Responsibilities(set) => return responsibilities(set),
        record::Body::Wake(_) => Input::Wake,
        record::Body::Batch(_)
        | record::Body::Configured(_)
        | record::Body::Found(_)
        | record::Body::Judged(_)
        | record::Body::Neighborhood(_)
        | record::Body::Link(_)
        | record::Body::Series(_) => return None,
        record::Body::Revoked(revoked) => Input::Revoked { device: revoked.device_id.clone() },
    })
}

/// The agent's own samples first: that it is there is said even if it has none.
fn samples(received: &BatchReceived) -> Vec<Input> {
    let (Some(identity), Some(batch)) = (&received.identity, &received.batch) else { return Vec::new() };
    let Ok(samples) = decode_alone(batch).inspect_err(|_| figures::refused("undecodable_batch")) else {
        return Vec::new();
    };
    let lane = Lane::from(batch.lane());
    let mut watched: BTreeMap<String, Vec<Sample>> =
        received.targets.iter().filter_map(|target| Some((points::id(target)?.to_owned(), Vec::new()))).collect();
    let mut own = samples;
    if !watched.is_empty() {
        let (theirs, mine): (Vec<Sample>, _) = own.into_iter().partition(|sample| watched.contains_key(&sample.target));
        own = mine;
        for mut sample in theirs {
            // The device's own word on itself.
            let device = std::mem::take(&mut sample.target);
            watched.entry(device).or_default().push(sample);
        }
    }
    let first = Input::Samples { device: identity.device_id.clone(), lane, samples: own };
    let asked = Input::Asked { by: identity.device_id.clone(), devices: asked(&watched) };
    let others = watched.into_iter().filter(|(_, samples)| !samples.is_empty());
    let others = others.map(|(device, samples)| Input::Samples { device, lane, samples });
    [first, asked].into_iter().chain(others).collect()
}

/// The devices that were asked, and not only seen by the way.
fn asked(watched: &BTreeMap<String, Vec<Sample>>) -> Vec<String> {
    let is_asked =
        |samples: &[Sample]| samples.iter().any(|sample| matches!(&*sample.measurement, "snmp" | "ping_only"));
    watched.iter().filter(|(_, samples)| is_asked(samples)).map(|(device, _)| device.clone()).collect()
}

/// The device as the deciders know it; none if a word of it is not on its list.
fn device(changed: &DeviceChanged) -> Option<Device> {
    let class: Result<Class, _> = changed.class.parse();
    let state: Result<LifeState, _> = changed.state.parse();
    let (Ok(class), Ok(state)) = (class, state) else {
        figures::refused("unknown_word");
        return None;
    };
    Some(Device {
        id: changed.device_id.clone(),
        name: changed.name.clone(),
        class,
        site: changed.site.clone(),
        room: changed.room.clone(),
        state,
        model: make(&changed.vendor, &changed.model),
    })
}

/// A building's calendar; none if it is out of order: then the one that it had stays.
fn calendar(set: &CalendarSet) -> Option<Input> {
    let calendar = match set.removed {
        true => None,
        false => {
            let calendar = calendar_of(set);
            if calendar.is_none() {
                figures::refused("unreadable_calendar");
            }
            Some(calendar?)
        }
    };
    Some(Input::Calendar { site: set.site.clone(), calendar })
}

/// Who looks after what; nothing if it is of words that this version does not know: then what was said before stands.
fn responsibilities(set: &ResponsibilitiesSet) -> Option<Input> {
    if set.assumed {
        return Some(Input::Responsibilities(None));
    }
    let matrix = matrix_of(set);
    if matrix.is_none() {
        figures::refused("unreadable_responsibilities");
    }
    Some(Input::Responsibilities(Some(Box::new(matrix?))))
}

fn hanging(hanging: &Hanging) -> (String, Option<String>) {
    (hanging.device_id.clone(), Some(hanging.on_id.clone()).filter(|on| !on.is_empty()))
}

/// A planned change; none if its class is no word that is known.
fn plan(planned: &ChangePlanned) -> Option<Input> {
    let class: Option<Class> = match planned.class.as_str() {
        "" => None,
        word => Some(word.parse().inspect_err(|_| figures::refused("unknown_word")).ok()?),
    };
    let scope = Scope {
        site: planned.site.clone(),
        room: planned.room.clone(),
        class,
        device: planned.device_id.clone(),
        rule: planned.rule.clone(),
    };
    let (from, until) = (Timestamp(planned.from_ms), Timestamp(planned.until_ms));
    let plan = NewPlan { scope, from, until, why: planned.why.clone() };
    Some(Input::Plan { actor: planned.actor.clone(), plan })
}

fn raise(raised: &ListRaised) -> Input {
    Input::Raise { actor: raised.actor.clone(), faults: raised.faults.iter().map(listed).collect() }
}

/// A device and its fault.
fn listed(listed: &ListedFault) -> (String, Fault) {
    let tags = listed.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    (listed.device_id.clone(), Fault { rule: listed.rule.clone(), tags })
}

/// What a person did; nothing if it is of words that this version does not know.
fn act(acted: &TicketActed) -> Option<Input> {
    let action = match acted.action.as_ref()? {
        ticket_acted::Action::Take(_) => Action::Take,
        ticket_acted::Action::Comment(comment) => Action::Comment { text: comment.text.clone() },
        ticket_acted::Action::Close(close) => Action::Close(RepairNote {
            fault: close.fault.clone(),
            action: close.action.clone(),
            part: close.part.clone(),
            minutes: close.minutes,
            cost_cents: close.cost_cents,
        }),
        ticket_acted::Action::Reopen(reopen) => Action::Reopen { text: reopen.text.clone() },
        ticket_acted::Action::Decide(decide) => Action::Decide {
            course: if decide.course.is_empty() { None } else { Some(word(&decide.course)?) },
            because: decide.because.clone(),
        },
        ticket_acted::Action::Assign(assign) => Action::Assign { to: assign.to.clone() },
        ticket_acted::Action::Start(_) => Action::Start,
        ticket_acted::Action::Wait(wait) => Action::Wait {
            r#for: word(&wait.r#for)?,
            text: wait.text.clone(),
            until: (wait.until_ms != 0).then_some(Timestamp(wait.until_ms)),
        },
        ticket_acted::Action::Resume(_) => Action::Resume,
        ticket_acted::Action::Prioritize(chosen) => Action::Prioritize {
            priority: if chosen.priority.is_empty() { None } else { Some(word(&chosen.priority)?) },
            note: chosen.note.clone(),
        },
        ticket_acted::Action::Merge(merge) => Action::Merge { into: merge.into },
        ticket_acted::Action::Split(_) => Action::Split,
        ticket_acted::Action::TakeOff(off) => {
            let (device, fault) = listed(off.fault.as_ref()?);
            Action::TakeOff { device, fault }
        }
    };
    Some(Input::Act { ticket: acted.ticket, actor: acted.actor.clone(), action })
}

/// A word of a list; none if it is not on it.
fn word<T: FromStr>(word: &str) -> Option<T> {
    word.parse().inspect_err(|_| figures::refused("unknown_word")).ok()
}

fn goodbye(reason: v1::GoodbyeReason) -> Option<GoodbyeReason> {
    Some(match reason {
        v1::GoodbyeReason::GoodbyeUnspecified => return None,
        v1::GoodbyeReason::GoodbyeStop => GoodbyeReason::Stop,
        v1::GoodbyeReason::GoodbyeRestart => GoodbyeReason::Restart,
        v1::GoodbyeReason::GoodbyeShutdown => GoodbyeReason::Shutdown,
        v1::GoodbyeReason::GoodbyeSleep => GoodbyeReason::Sleep,
        v1::GoodbyeReason::GoodbyeUpdate => GoodbyeReason::Update,
        v1::GoodbyeReason::GoodbyeLowBattery => GoodbyeReason::LowBattery,
    })
}
