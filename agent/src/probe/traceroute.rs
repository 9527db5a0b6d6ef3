//! Where the way to a silent target ends: a few echo requests with one router's life, two routers', and so on, all at
//! once. It follows a failure, is rare, and sends no router's address: how far it is, and its name if it has one here.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use tokio::time::Instant;

use super::icmp::asks::{Ask, Outcome};
use super::icmp::packet::Refusal;
use crate::reading::{count, integer, sample};

/// What it says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "traceroute",
    tags: &["url"],
    fields: &[
        Field {
            name: "hops_answered",
            kind: FieldKind::Integer,
            unit: "",
            description: "Routers on the way that answered.",
        },
        Field {
            name: "last_hop",
            kind: FieldKind::Integer,
            unit: "",
            description: "How many hops away the last one is that answered; 0 if not even the first did.",
        },
        Field {
            name: "last_hop_name",
            kind: FieldKind::Text,
            unit: "",
            description: "The name of the last one, if it is the gateway or a target.",
        },
        Field {
            name: "reached",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether the target itself answered after all.",
        },
        Field {
            name: "refused",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether a router said that there is no way.",
        },
    ],
    privacy: Privacy::Health,
    description: "Where the way to a target that did not answer ends. No address is sent.",
}];

/// Farther than anything of a district.
pub const HOPS: u8 = 20;
/// To each hop: routers answer few, and not at once.
const REQUESTS: u32 = 2;
const APART: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(1);
/// A target that stays silent is asked about no more often.
pub const REST: Duration = Duration::from_secs(600);
/// Ways that are looked at together: when a whole building is gone, a few tell as much as a thousand.
pub const AT_ONCE: usize = 4;
/// Targets of which it is remembered when they were last asked about; while they are so many that are gone, no other
/// is looked at.
const REMEMBERED: usize = 256;

/// Decides which silent targets' ways are looked at.
#[derive(Debug, Default)]
pub struct Tracer {
    last: HashMap<u32, Instant>,
    /// In the order in which they were looked at.
    order: VecDeque<(Instant, u32)>,
    under_way: usize,
}

impl Tracer {
    /// Whether the way to the silent target `id` is to be looked at now; if so it counts as begun.
    pub fn begin(&mut self, id: u32, now: Instant) -> bool {
        while let Some((at, id)) = self.order.front().copied()
            && now.saturating_duration_since(at) >= REST
        {
            self.order.pop_front();
            self.last.remove(&id);
        }
        if self.under_way >= AT_ONCE || self.last.len() >= REMEMBERED || self.last.contains_key(&id) {
            return false;
        }
        self.last.insert(id, now);
        self.order.push_back((now, id));
        self.under_way += 1;
        true
    }

    /// One is done.
    pub const fn handle_done(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

/// The requests to one hop.
#[must_use]
pub const fn ask(to: SocketAddr, hop: u8) -> Ask {
    Ask { to, count: REQUESTS, apart: APART, timeout: TIMEOUT, hops: Some(hop) }
}

/// What the hops said, as it comes in and in any order.
#[derive(Debug)]
pub struct Way {
    to: IpAddr,
    left: u8,
    refusals: [Option<(Refusal, IpAddr)>; HOPS as usize],
    reached: Option<u8>,
}

impl Way {
    /// Nothing yet.
    #[must_use]
    pub const fn new(to: IpAddr) -> Self {
        Self { to, left: HOPS, refusals: [None; HOPS as usize], reached: None }
    }

    /// What came of a hop, from 1; true if that was the last.
    pub fn hear(&mut self, hop: u8, outcome: &Outcome) -> bool {
        self.left = self.left.saturating_sub(1);
        if outcome.trips_ms.iter().any(|trip| !trip.is_nan()) {
            self.reached = Some(self.reached.map_or(hop, |reached| reached.min(hop)));
        } else if let Some(place) = self.refusals.get_mut(usize::from(hop).saturating_sub(1)) {
            *place = outcome.refused;
        }
        self.left == 0
    }

    /// The farthest router that answered: the same one may say for all that lies beyond it that there is no way, so its
    /// own distance is the shortest at which it spoke. What says so at once is this machine itself.
    fn last(&self) -> Option<(u64, IpAddr)> {
        let by = |refusal: &Option<(Refusal, IpAddr)>| refusal.map(|(_, by)| by);
        let farthest = self.refusals.iter().rev().find_map(by)?;
        let place = self.refusals.iter().position(|refusal| by(refusal) == Some(farthest))?;
        let own = place == 0 && matches!(self.refusals[0], Some((Refusal::Unreachable, _)));
        (!own).then_some((place as u64 + 1, farthest))
    }

    /// The row; `name_of` knows the names of addresses.
    #[must_use]
    pub fn row(&self, name: &str, at: Timestamp, name_of: impl FnOnce(IpAddr) -> Option<String>) -> Sample {
        let last = match self.reached {
            Some(hop) => Some((u64::from(hop), self.to)),
            None => self.last(),
        };
        let expired = self.refusals.iter().filter(|refusal| matches!(refusal, Some((Refusal::Expired, _)))).count();
        let refused = self.refusals.iter().any(|refusal| matches!(refusal, Some((Refusal::Unreachable, _))));
        let mut fields = vec![("hops_answered", count(expired)), ("last_hop", integer(last.map_or(0, |(hop, _)| hop)))];
        let known = last.and_then(|(_, address)| name_of(address));
        fields.extend(known.map(|name| ("last_hop_name", Value::Text(name))));
        fields.push(("reached", Value::Boolean(self.reached.is_some())));
        fields.push(("refused", Value::Boolean(refused)));
        let mut row = sample("traceroute", vec![("url", name.to_owned())], at, fields);
        name.clone_into(&mut row.target);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(number: u8) -> IpAddr {
        IpAddr::from([10, 78, number, 1])
    }

    fn outcome(refused: Option<(Refusal, IpAddr)>) -> Outcome {
        Outcome { trips_ms: vec![f32::NAN], refused, not_sent: 0 }
    }

    /// Told from the farthest to the nearest, as it may come in.
    fn way(said: impl Fn(u8) -> Option<(Refusal, IpAddr)>) -> Way {
        let mut way = Way::new(hop(99));
        for number in (1..=HOPS).rev() {
            assert_eq!(way.hear(number, &outcome(said(number))), number == 1);
        }
        way
    }

    fn told(way: &Way) -> Vec<(String, Value)> {
        let name_of = |address| (address == hop(2)).then(|| "building-b".to_owned());
        let row = way.row("portal", Timestamp(0), name_of);
        row.fields.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }

    fn expected(answered: i64, last: i64, name: Option<&str>, refused: bool) -> Vec<(String, Value)> {
        let mut fields = vec![("hops_answered", Value::Integer(answered)), ("last_hop", Value::Integer(last))];
        fields.extend(name.map(|name| ("last_hop_name", Value::Text(name.to_owned()))));
        fields.push(("reached", Value::Boolean(false)));
        fields.push(("refused", Value::Boolean(refused)));
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_way_that_ends_in_silence_ends_after_the_last_router_that_answered() {
        let silent = way(|number| (number <= 2).then(|| (Refusal::Expired, hop(number))));
        assert_eq!(told(&silent), expected(2, 2, Some("building-b"), false));
    }

    #[test]
    fn a_router_that_knows_no_way_is_as_far_as_it_is() {
        let refused = way(|number| match number {
            1 | 2 => Some((Refusal::Expired, hop(number))),
            _ => Some((Refusal::Unreachable, hop(2))),
        });
        assert_eq!(told(&refused), expected(2, 2, Some("building-b"), true));
    }

    #[test]
    fn without_a_gateway_the_way_ends_at_home() {
        assert_eq!(told(&way(|_| None)), expected(0, 0, None, false));
        assert_eq!(told(&way(|_| Some((Refusal::Unreachable, hop(0))))), expected(0, 0, None, true));
    }

    #[test]
    fn a_silent_target_is_asked_about_once_and_again_after_a_rest() {
        let start = Instant::now();
        let mut tracer = Tracer::default();
        assert!(tracer.begin(1, start));
        tracer.handle_done();
        assert!(!tracer.begin(1, start + Duration::from_secs(60)));
        assert!(tracer.begin(1, start + REST));
    }

    #[test]
    fn when_a_whole_building_is_gone_a_few_ways_are_looked_at() {
        let start = Instant::now();
        let mut tracer = Tracer::default();
        let begun = (0..5_000).filter(|id| tracer.begin(*id, start)).count();
        assert_eq!(begun, AT_ONCE);
        let mut all = begun;
        for id in 5_000..10_000 {
            tracer.handle_done();
            all += usize::from(tracer.begin(id, start));
        }
        assert_eq!(all, REMEMBERED);
    }
}
