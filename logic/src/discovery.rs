//! What a closet finds, and what it means: a device of ours that has changed, one that another closet asks, or one that
//! nobody knows yet.
//!
//! A device is known by its serial number together with its maker, else by its base address, else by the place at which
//! a person took it in; never by its network address alone, which DHCP gives to another tomorrow.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::device::make;
use crate::identity::junk::{is_junk_word, is_shared_address};

/// The longest word of a device that is kept; a label has no more.
pub const WORD_CHARS_MAX: usize = 80;

/// What a device says of itself. What is not known is empty or 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// A word of [`Class`](crate::device::Class).
    pub kind: String,
    /// Who made it.
    pub vendor: String,
    /// Its model.
    pub model: String,
    /// The maker's serial number.
    pub serial: String,
    /// The version of its software.
    pub firmware: String,
    /// What its admin called it.
    pub name: String,
    /// Where its admin says that it is.
    pub location: String,
    /// Its base address, lower case with colons.
    pub mac: String,
    /// Sockets for a cable.
    pub ports: u32,
    /// Dotted.
    pub object_id: String,
}

impl Facts {
    /// Without what means nothing, and no longer than a label: what comes over a wire is not believed to be short.
    #[must_use]
    pub fn cleaned(self) -> Self {
        let known = |word: String| if is_junk_word(&word) { String::new() } else { word };
        let mac = self.mac.trim().to_lowercase();
        Self {
            kind: clean(&self.kind),
            vendor: known(clean(&self.vendor)),
            model: known(clean(&self.model)),
            serial: known(clean(&self.serial)),
            firmware: clean(&self.firmware),
            name: clean(&self.name),
            location: clean(&self.location),
            mac: if is_shared_address(&mac) { String::new() } else { mac },
            ports: self.ports,
            object_id: clean(&self.object_id),
        }
    }

    /// Whether the device can be known again wherever it is found.
    #[must_use]
    pub const fn is_telling(&self) -> bool {
        !self.serial.is_empty() || !self.mac.is_empty()
    }
}

/// Where an agent reaches a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The agent's device id.
    pub agent: &'a str,
    /// A network address.
    pub address: &'a str,
    /// The name of the credential that it answers to.
    pub credential: &'a str,
}

/// A device of the inventory.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Where it is asked; none: it has an agent of its own.
    pub watched: Option<Place<'a>>,
    /// Whether it answers there: a router has many addresses, and the one that is asked stays as long as it works.
    pub answers: bool,
    /// What is written of it.
    pub facts: &'a Facts,
}

/// What is to be done about something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A device of ours that has an agent of its own, or one of which this is nothing new.
    Nothing,
    /// A device of ours, asked by this agent, has become this.
    Changed {
        /// What is to be written of it.
        facts: Box<Facts>,
        /// Whether it is to be asked at the place where it was found.
        moves: bool,
    },
    /// A device of ours that another agent asks: this one can bear witness.
    Witness,
    /// Nobody knows it.
    New,
}

/// What it means that an agent found this at that place. `known` is the device that [`is_same`] found.
#[must_use]
pub fn judge(place: Place<'_>, facts: &Facts, known: Option<Known<'_>>) -> Verdict {
    let Some(known) = known else { return Verdict::New };
    let Some(watched) = known.watched else { return Verdict::Nothing };
    if watched.agent != place.agent {
        return Verdict::Witness;
    }
    let now = merge(known.facts, facts);
    // One that was only pinged lets somebody in now.
    let opens = watched.credential.is_empty() && !place.credential.is_empty();
    let moves = watched != place && (!known.answers || opens);
    if now == *known.facts && !moves { Verdict::Nothing } else { Verdict::Changed { facts: Box::new(now), moves } }
}

/// What is written of a device once it has said this. What it did not say this time stays, and so do the marks by which
/// it is known and whatever people wrote.
fn merge(known: &Facts, said: &Facts) -> Facts {
    let newer = |said: &String, known: &String| if said.is_empty() { known.clone() } else { said.clone() };
    let first = |said: &String, known: &String| if known.is_empty() { said.clone() } else { known.clone() };
    Facts {
        kind: known.kind.clone(),
        vendor: newer(&said.vendor, &known.vendor),
        model: newer(&said.model, &known.model),
        serial: first(&said.serial, &known.serial),
        firmware: newer(&said.firmware, &known.firmware),
        name: known.name.clone(),
        location: newer(&said.location, &known.location),
        mac: first(&said.mac, &known.mac),
        ports: if said.ports == 0 { known.ports } else { said.ports },
        object_id: newer(&said.object_id, &known.object_id),
    }
}

/// Whether two descriptions are of one device. Serial numbers decide where both have one: two switches of a stack can
/// answer with one address.
#[must_use]
pub fn is_same(one: &Facts, other: &Facts) -> bool {
    if !one.serial.is_empty() && !other.serial.is_empty() {
        let vendors =
            one.vendor.is_empty() || other.vendor.is_empty() || one.vendor.eq_ignore_ascii_case(&other.vendor);
        let macs = !one.mac.is_empty() && one.mac == other.mac;
        return one.serial == other.serial && (vendors || macs);
    }
    !one.mac.is_empty() && one.mac == other.mac
}

/// The keys by which a proposal of this device goes, the one that is used first.
pub fn keys(facts: &Facts, agent: &str, address: &str) -> impl Iterator<Item = String> {
    let serial = (!facts.serial.is_empty()).then(|| format!("serial/{}/{}", facts.vendor.to_lowercase(), facts.serial));
    let mac = (!facts.mac.is_empty()).then(|| format!("mac/{}", facts.mac));
    let at = (!agent.is_empty() && !address.is_empty()).then(|| format!("at/{agent}/{address}"));
    [serial, mac, at].into_iter().flatten()
}

/// What a device is called when it comes into the inventory: as its admin called it, or what it is.
#[must_use]
pub fn name(facts: &Facts, address: &str) -> String {
    let said = facts.name.split_whitespace().collect::<alloc::vec::Vec<_>>().join(" ");
    let host = match said.split_once('.') {
        // An address is no name.
        Some(_) if said.chars().all(|letter| letter.is_ascii_digit() || letter == '.') => String::new(),
        // A full name: the domain is the same for all.
        Some((host, _)) if !said.contains(' ') => host.to_string(),
        _ => said,
    };
    let default = ["localhost", "(none)", "switch", "router", "printer", "none", "unknown", "ups", "device"];
    if !host.is_empty() && !is_junk_word(&host) && !default.contains(&host.to_lowercase().as_str()) {
        return host;
    }
    let model = make(&facts.vendor, &facts.model);
    if model.is_empty() {
        format!("{} at {address}", if facts.kind.is_empty() { "device" } else { &facts.kind })
    } else {
        model
    }
}

fn clean(word: &str) -> String {
    let letters = word.chars().filter(|letter| !letter.is_control()).take(WORD_CHARS_MAX);
    letters.collect::<String>().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch() -> Facts {
        Facts {
            kind: "switch".into(),
            vendor: "Aruba".into(),
            model: "2930F-48G".into(),
            serial: "CN1".into(),
            firmware: "16.10".into(),
            name: "idf2".into(),
            mac: "3c:52:82:00:00:01".into(),
            ports: 52,
            ..Facts::default()
        }
    }

    const HOME: Place<'_> = Place { agent: "d1", address: "10.0.0.2", credential: "district" };

    #[test]
    fn a_new_address_or_firmware_is_a_change_and_silence_on_a_fact_is_none() {
        let known = switch();
        let device = Known { watched: Some(HOME), answers: false, facts: &known };
        assert_eq!(judge(HOME, &switch(), Some(device)), Verdict::Nothing);
        let less = Facts { firmware: String::new(), ports: 0, ..switch() };
        assert_eq!(judge(HOME, &less, Some(device)), Verdict::Nothing);
        let moved = Place { address: "10.0.0.77", ..HOME };
        assert_eq!(judge(moved, &switch(), Some(device)), Verdict::Changed { facts: Box::new(switch()), moves: true });
        let answers = Known { answers: true, ..device };
        assert_eq!(judge(moved, &switch(), Some(answers)), Verdict::Nothing, "it has two addresses");
        let newer = Facts { firmware: "16.11".into(), ..switch() };
        assert_eq!(judge(HOME, &newer, Some(device)), Verdict::Changed { facts: Box::new(newer), moves: false });
    }

    #[test]
    fn what_was_only_pinged_is_asked_as_soon_as_it_lets_somebody_in() {
        let known = switch();
        let pinged = Place { credential: "", ..HOME };
        let device = Known { watched: Some(pinged), answers: true, facts: &known };
        assert_eq!(judge(HOME, &switch(), Some(device)), Verdict::Changed { facts: Box::new(switch()), moves: true });
        assert_eq!(judge(pinged, &switch(), Some(device)), Verdict::Nothing);
    }

    #[test]
    fn what_people_called_it_stays() {
        let known = switch();
        let device = Known { watched: Some(HOME), answers: true, facts: &known };
        let renamed = Facts { name: "other".into(), kind: "router".into(), firmware: "17".into(), ..switch() };
        let Verdict::Changed { facts: now, .. } = judge(HOME, &renamed, Some(device)) else { panic!("it changed") };
        assert_eq!((now.name.as_str(), now.kind.as_str(), now.firmware.as_str()), ("idf2", "switch", "17"));
    }

    #[test]
    fn another_agent_is_a_witness_and_a_machine_with_an_agent_is_left_alone() {
        let known = switch();
        let device = Known { watched: Some(HOME), answers: false, facts: &known };
        assert_eq!(judge(Place { agent: "d2", ..HOME }, &switch(), Some(device)), Verdict::Witness);
        assert_eq!(judge(HOME, &switch(), Some(Known { watched: None, ..device })), Verdict::Nothing);
        assert_eq!(judge(HOME, &switch(), None), Verdict::New);
    }

    #[test]
    fn a_device_is_the_same_by_serial_and_maker_else_by_its_base_address() {
        let named_anew = Facts { vendor: "HPE Aruba".into(), ..switch() };
        assert!(is_same(&switch(), &named_anew), "the address speaks for it");
        assert!(!is_same(&switch(), &Facts { mac: String::new(), ..named_anew }));
        assert!(!is_same(&switch(), &Facts { serial: "CN2".into(), ..switch() }), "a chassis was exchanged");
        assert!(is_same(&switch(), &Facts { serial: String::new(), ..switch() }));
        assert!(!is_same(&Facts::default(), &Facts::default()));
    }

    #[test]
    fn keys_never_hold_an_address_alone() {
        let keys = |facts: &Facts| keys(facts, "d1", "10.0.0.2").collect::<alloc::vec::Vec<_>>();
        assert_eq!(keys(&switch()), ["serial/aruba/CN1", "mac/3c:52:82:00:00:01", "at/d1/10.0.0.2"]);
        assert_eq!(keys(&Facts::default()), ["at/d1/10.0.0.2"]);
    }

    #[test]
    fn words_that_mean_nothing_are_nothing() {
        let said = Facts {
            serial: "To be filled by O.E.M.".into(),
            mac: "00:00:00:00:00:00".into(),
            name: "a\nb".repeat(100),
            ..Facts::default()
        };
        let cleaned = said.cleaned();
        assert!(!cleaned.is_telling());
        assert_eq!(cleaned.name.chars().count(), WORD_CHARS_MAX);
    }

    #[test]
    fn names_are_the_admins_without_the_domain_or_else_the_model() {
        let named = |text: &str| name(&Facts { name: text.into(), ..switch() }, "10.0.0.2");
        assert_eq!(named("idf2.lincoln.k12.example"), "idf2");
        assert_eq!(named("Library  MDF sw 1.2"), "Library MDF sw 1.2");
        assert_eq!(named("localhost"), "Aruba 2930F-48G");
        assert_eq!(named("10.0.0.2"), "Aruba 2930F-48G");
        assert_eq!(name(&Facts { kind: "ups".into(), ..Facts::default() }, "10.0.0.9"), "ups at 10.0.0.9");
    }
}
