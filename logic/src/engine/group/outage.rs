//! Rooms and buildings that are out of reach as a whole.
//!
//! One device's outage that counts is what makes it look; those that fell silent with it are evidence, though their own
//! silence may count much later: a desktop may be off for two hours of school.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::{GROUP_WITHIN, Group, count, named_text, out_of_reach};
use crate::device::{Class, LifeState};
use crate::engine::Engine;
use crate::engine::cause::has_outage;
use crate::engine::watched::Watched;
use crate::incidents::{Fault, Standing};
use crate::presence::Presence;
use crate::rules::{Rule, RuleSet, Severity, TicketKind};
use crate::tickets::{About, Plan, Words};
use crate::time::Timestamp;

/// So many devices of a room, and at least half of those that should be there, are a room. House: two share a power strip.
pub const ROOM_MIN: usize = 3;

/// So many of the devices of a building that hang on nothing else in it, and at least half of them, are a building. House.
pub const BUILDING_MIN: usize = 3;

/// Half of all devices of a building in so many rooms are a building, too: a phase of its power, or the trunk of a floor. House.
pub const ROOMS_MIN: usize = 3;

/// A UPS that went on battery at most so long before a building fell silent says why: few hold a closet for longer.
/// House.
pub const POWER_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Rules that say that a UPS runs on battery.
const ON_BATTERY: [&str; 2] = ["ups.on_battery", "ups.ending"];

/// So many of its intervals after others fell silent a device that is watched from elsewhere may still count as present.
const LAST_WORDS: u32 = 2;

/// Category of tickets about rooms and buildings.
const CATEGORY: &str = "reachability";

/// What devices of a place say of an outage there.
#[derive(Default)]
struct Tally {
    /// Fell silent with the others, and on nothing that did so elsewhere.
    gone: Vec<String>,
    here: usize,
}

impl Tally {
    const fn expected(&self) -> usize {
        self.gone.len() + self.here
    }

    const fn is_half(&self) -> bool {
        self.gone.len() * 2 >= self.expected()
    }
}

enum Sign {
    Gone,
    Here,
    Unknown,
}

impl Engine {
    /// Puts a device's outage on a ticket about its room or building, if it is that.
    pub(in crate::engine) fn place_outage(&mut self, now: Timestamp, device: &str, since: Timestamp) -> bool {
        let Some(watched) = self.state.devices.get(device) else { return false };
        let (site, room) = (watched.device.site.clone(), watched.device.room.clone());
        if site.is_empty() || !may_be_missed(watched) {
            return false;
        }
        let since = watched.contact.gone(since);
        if let Some(number) = self.outage_group(&About::Building, &site, "", since) {
            return self.grow(now, number, device);
        }
        if let Some((group, tally)) = self.building_out(now, &site, since) {
            return self.form_outage(now, About::Building, (&site, ""), group, &tally);
        }
        if room.is_empty() {
            return false;
        }
        if let Some(number) = self.outage_group(&About::Room, &site, &room, since) {
            return self.grow(now, number, device);
        }
        match self.room_out(&site, &room, since) {
            Some((group, tally)) => self.form_outage(now, About::Room, (&site, &room), group, &tally),
            None => false,
        }
    }

    /// The open ticket about a place whose outage began about then.
    fn outage_group(&self, about: &About, site: &str, room: &str, since: Timestamp) -> Option<u64> {
        self.open_group(|ticket, group| {
            group.expected > 0
                && (&ticket.about, ticket.site.as_str(), ticket.room.as_str()) == (about, site, room)
                && is_near(group.since, since)
        })
    }

    /// A further device of an outage that has a ticket.
    fn grow(&mut self, now: Timestamp, number: u64, device: &str) -> bool {
        for (device, fault) in self.own_outages(device) {
            self.join(now, number, &device, &fault);
        }
        self.reword_outage(now, number);
        self.show_if_urgent(now, number);
        self.settle_below(now, device);
        true
    }

    fn room_out(&self, site: &str, room: &str, since: Timestamp) -> Option<(Group, Tally)> {
        let devices: BTreeSet<&str> = self.places.room(site, room).map(String::as_str).collect();
        let tally = self.tally(devices.iter().copied(), since, |above| devices.contains(above));
        // If all others hang on one of them, it is that one.
        let roots = self.tally(devices.iter().copied(), since, |_| false);
        if tally.gone.len() < ROOM_MIN || !tally.is_half() || roots.gone.len() < 2 {
            return None;
        }
        Some((Group { since, expected: tally.expected(), ..Group::default() }, tally))
    }

    fn building_out(&self, now: Timestamp, site: &str, since: Timestamp) -> Option<(Group, Tally)> {
        let devices: Vec<&str> = self.places.site(site).map(String::as_str).collect();
        let all = self.tally(devices.iter().copied(), since, |_| false);
        let watched = |id: &String| self.state.devices.get(id);
        let agents = all.gone.iter().filter_map(watched).filter(|gone| has_agent(gone.device.class));
        let (mut agents, mut fixed) =
            (agents.clone().count(), agents.filter(|gone| is_fixed(gone.device.class)).count());
        if all.gone.len() < 2 {
            (agents, fixed) = (0, 0);
        }
        let whole = all.here == 0 && agents >= 2 && (fixed >= 2 || all.gone.len() >= BUILDING_MIN);
        let is_root = |id: &&str| self.is_root(site, id);
        let roots = self.tally(devices.iter().copied().filter(is_root), since, |_| false);
        let trunk = roots.gone.len() >= BUILDING_MIN && roots.is_half();
        let rooms: BTreeSet<&str> = all.gone.iter().filter_map(watched).map(|gone| gone.device.room.as_str()).collect();
        let named_rooms = rooms.iter().filter(|room| !room.is_empty()).count();
        let wide = named_rooms >= ROOMS_MIN && all.is_half() && all.gone.len() >= ROOM_MIN * ROOMS_MIN;
        if !whole && !trunk && !wide {
            return None;
        }
        let power = self.ran_on_battery(now, site);
        Some((Group { since, expected: all.expected(), whole: all.here == 0, power, ..Group::default() }, all))
    }

    /// Whether a device is one of a building's infrastructure that hangs on nothing known inside of it.
    fn is_root(&self, site: &str, device: &str) -> bool {
        let Some(watched) = self.state.devices.get(device) else { return false };
        let parent = self.state.parents.get(device).and_then(|parent| self.state.devices.get(parent));
        is_trunk(watched.device.class) && parent.is_none_or(|parent| parent.device.site != site)
    }

    /// Whether a UPS of the building went on battery shortly before, as far as is known.
    fn ran_on_battery(&self, now: Timestamp, site: &str) -> bool {
        let watched = self.places.site(site).filter_map(|id| self.state.devices.get(id));
        watched.flat_map(|watched| &watched.incidents).any(|(fault, incident)| {
            ON_BATTERY.contains(&fault.rule.as_str()) && now <= incident.opened_at + POWER_WITHIN
        })
    }

    fn tally<'id>(
        &self,
        devices: impl Iterator<Item = &'id str>,
        since: Timestamp,
        inside: impl Fn(&str) -> bool,
    ) -> Tally {
        let mut tally = Tally::default();
        for id in devices {
            let Some(watched) = self.state.devices.get(id) else { continue };
            match self.sign(watched, since) {
                Sign::Gone if !self.hangs_on_gone(id, since, &inside) => tally.gone.push(id.into()),
                Sign::Here => tally.here += 1,
                Sign::Gone | Sign::Unknown => {}
            }
        }
        tally
    }

    /// Whether something above a device, and not inside the place, is gone as well: then that is the cause.
    fn hangs_on_gone(&self, device: &str, since: Timestamp, inside: &impl Fn(&str) -> bool) -> bool {
        self.above(device).any(|above| {
            let is_gone = |watched: &Watched| matches!(self.sign(watched, since), Sign::Gone) || has_outage(watched);
            !inside(above) && self.state.devices.get(above).is_some_and(is_gone)
        })
    }

    /// What a device says of an outage that began then.
    fn sign(&self, watched: &Watched, since: Timestamp) -> Sign {
        if !may_be_missed(watched) {
            return Sign::Unknown;
        }
        if let Some(outage) = watched.incidents.values().find(|incident| incident.outage) {
            return match outage.standing {
                Standing::Returning { .. } => Sign::Unknown,
                _ if is_near(watched.contact.gone(outage.since), since) => Sign::Gone,
                _ => Sign::Unknown,
            };
        }
        if let Some(silent) = silent_since(&self.state.rules, watched) {
            return if is_near(watched.contact.gone(silent), since) { Sign::Gone } else { Sign::Unknown };
        }
        if watched.contact.presence() != Presence::Present {
            return Sign::Unknown;
        }
        // Nobody may look at it any more who could say that it is gone.
        let heard = |last: Timestamp| last > since + watched.interval.saturating_mul(LAST_WORDS);
        let speaks = has_agent(watched.device.class) || watched.contact.has_stream();
        if speaks || watched.contact.last().is_some_and(heard) { Sign::Here } else { Sign::Unknown }
    }

    fn own_outages(&self, device: &str) -> Vec<(String, Fault)> {
        let incidents = self.state.devices.get(device).into_iter().flat_map(|watched| &watched.incidents);
        let own =
            incidents.filter(|(_, incident)| incident.outage && incident.standing == Standing::Own && !incident.alone);
        own.map(|(fault, _)| (device.to_string(), fault.clone())).collect()
    }

    fn form_outage(
        &mut self,
        now: Timestamp,
        about: About,
        (site, room): (&str, &str),
        mut group: Group,
        tally: &Tally,
    ) -> bool {
        let own: Vec<(String, Fault)> = tally.gone.iter().flat_map(|device| self.own_outages(device)).collect();
        let mut members = Vec::new();
        for (device, fault) in own {
            let ticket = self.incident(&device, &fault).and_then(|incident| incident.ticket);
            match ticket {
                Some(number) if !self.state.tickets.is_open(number) => {}
                Some(number) if !self.state.tickets.is_untouched(number) => {
                    group.named.push(number);
                    group.apart += 1;
                }
                _ => members.push((device, fault)),
            }
        }
        group.named.sort_unstable();
        group.named.dedup();
        let words = self.outage_words(&about, site, room, &group, tally.gone.len(), &tally.gone);
        let severity = if about == About::Building { Severity::Critical } else { Severity::Major };
        let (site, room, kind) = (site.to_string(), room.to_string(), TicketKind::Repair);
        let of_room = about == About::Room;
        let plan = Plan { about, site, room, kind, category: CATEGORY.into(), severity, words };
        let Some(number) = self.form(now, plan, group, &members) else { return false };
        for device in &tally.gone {
            if self.state.devices.get(device).is_some_and(|watched| silent_since(&self.state.rules, watched).is_some())
            {
                self.name_beside(now, number, device);
            }
        }
        self.reword_outage(now, number);
        let counters = &mut self.state.counters;
        *(if of_room { &mut counters.rooms_out } else { &mut counters.buildings_out }) += 1;
        self.raised(now, number);
        let devices: BTreeSet<String> = members.into_iter().map(|(device, _)| device).collect();
        devices.iter().for_each(|device| self.settle_below(now, device));
        true
    }

    /// Says anew how many devices are out of reach, if they have become more.
    fn reword_outage(&mut self, now: Timestamp, number: u64) {
        let Some(ticket) = self.state.tickets.get(number) else { return };
        let Some(group) = self.state.groups.get(&number) else { return };
        let gone = out_of_reach(ticket) + group.apart;
        let members: Vec<String> = ticket.devices().map(String::from).collect();
        let (about, site, room) = (ticket.about.clone(), ticket.site.clone(), ticket.room.clone());
        let group = Group { expected: group.expected.max(gone), ..group.clone() };
        let words = self.outage_words(&about, &site, &room, &group, gone, &members);
        self.state.groups.insert(number, group);
        self.state.tickets.reword(now, number, words);
    }

    fn outage_words(
        &self,
        about: &About,
        site: &str,
        room: &str,
        group: &Group,
        gone: usize,
        members: &[String],
    ) -> Words {
        let expected = group.expected;
        let minutes = GROUP_WITHIN.as_secs() / 60;
        let mut words = if *about == About::Room {
            let devices = count(expected, "device", "devices");
            Words {
                title: format!("{}: {gone} of {devices} are out of reach", room_name(room)),
                reason: format!(
                    "{gone} of {devices} that should be here fell silent within {minutes} minutes of each other, and nothing \
                     outside of the room on which they hang explains it."
                ),
                advice: format!(
                    "Power first: the power strip, then the breaker of the room. Then the network: {}.",
                    self.serves(members)
                ),
            }
        } else if group.whole {
            Words {
                title: format!("{site}: nothing in the building answers: power or the line to it"),
                reason: format!(
                    "All that is heard of from this building fell silent within {minutes} minutes: {}, and nothing above \
                     them explains it.",
                    count(gone, "device", "devices")
                ),
                advice: BUILDING_ADVICE.into(),
            }
        } else {
            Words {
                title: format!("{site}: {gone} of {expected} devices are out of reach: power or the line to it"),
                reason: format!(
                    "{gone} of {expected} devices of this building, at least half of what the others could hang on or half \
                     of all, fell silent within {minutes} minutes, and nothing above them explains it."
                ),
                advice: BUILDING_ADVICE.into(),
            }
        };
        if group.power {
            words.reason.push_str(" A UPS there ran on battery shortly before: it is the power.");
        }
        words.reason.push_str(&named_text(&group.named));
        words
    }

    /// What serves these devices, in words.
    fn serves(&self, members: &[String]) -> String {
        let mut parents: BTreeMap<&str, usize> = BTreeMap::new();
        let outside = |parent: &&String| !members.contains(parent);
        for parent in members.iter().filter_map(|id| self.state.parents.get(id)).filter(outside) {
            *parents.entry(parent).or_default() += 1;
        }
        let most = parents.into_iter().max_by_key(|(_, times)| *times).and_then(|(id, _)| self.state.devices.get(id));
        match most.map(|watched| &watched.device) {
            Some(device) if device.room.is_empty() => format!("the ports of {}", device.name),
            Some(device) => format!("the ports of {} in {}", device.name, device.room),
            None => "the switch ports and the closet that serve it".into(),
        }
    }
}

const BUILDING_ADVICE: &str = "Call the building: is the power on, do the phones work? If the power is out, call the utility and \
    wait with the machines. If it is on, look at the router and at the provider's line; note the provider's ticket number here.";

/// A room as a sentence begins with it.
fn room_name(room: &str) -> String {
    if room.starts_with(|letter: char| letter.is_ascii_digit()) { format!("Room {room}") } else { room.into() }
}

fn is_near(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= GROUP_WITHIN
}

/// Since when a device is silent without a goodbye, or seems out of reach; none if it is not, or if that counts already.
pub(super) fn silent_since(rules: &RuleSet, watched: &Watched) -> Option<Timestamp> {
    if watched.incidents.values().any(|incident| incident.outage) {
        return None;
    }
    let is_outage = |fault: &Fault| rules.get(&fault.rule).is_some_and(Rule::is_outage);
    let doubtful = watched.holds.iter().find(|(fault, hold)| hold.is_pending() && is_outage(fault));
    if let Some((_, hold)) = doubtful {
        return Some(hold.since());
    }
    if !has_agent(watched.device.class) {
        return None;
    }
    match watched.contact.presence() {
        Presence::Absent => Some(watched.contact.since()),
        Presence::Present if watched.contact.is_cut_off() => watched.contact.last(),
        _ => None,
    }
}

/// Whether a device's silence means anything: laptops come and go.
fn may_be_missed(watched: &Watched) -> bool {
    watched.device.state == LifeState::InUse && !matches!(watched.device.class, Class::Laptop | Class::Other)
}

/// Whether devices of this class speak for themselves.
const fn has_agent(class: Class) -> bool {
    matches!(class, Class::Server | Class::Closet | Class::Desktop)
}

/// Whether devices of this class are on by night, too.
const fn is_fixed(class: Class) -> bool {
    matches!(class, Class::Server | Class::Closet)
}

/// Whether others hang on devices of this class, or are seen from them alone.
const fn is_trunk(class: Class) -> bool {
    matches!(class, Class::Closet | Class::Switch | Class::Router | Class::Firewall | Class::WirelessController)
}
