//! Rates of interfaces, from two looks at one device.
//!
//! Counters lie in known ways: they wrap (32 bits of octets in 34 seconds at a gigabit), they begin anew with the device
//! or with the interface, they jump. A rate is told only if it can be true; otherwise it is left out, never guessed.
//! Interfaces go by name, because their numbers change when a device restarts. Nothing here reads a clock.

use std::collections::BTreeMap;

use bellwether_logic::sample::{Name, Sample, Value};

use crate::gather::Gather;

/// Looks that are closer together say nothing: devices refresh their counters every second, and some every ten.
const APART_MS_MIN: u64 = 1_000;

/// Looks that are further apart say nothing about now.
const APART_MS_MAX: u64 = 2 * 60 * 60 * 1_000;

/// How much more than the line carries is believed: devices count at other moments than they answer.
const SLACK: f64 = 1.05;

/// Bits that the smallest frame takes on a wire of Ethernet: 64 octets, its preamble and the gap behind it.
const FRAME_BITS_MIN: f64 = 672.0;

/// Fewer packets say nothing about a cable: one error of a hundred packets is no fault.
pub const PACKETS_MIN: u64 = 1_000;

/// A look at all interfaces of one device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// When, in milliseconds of a clock that never goes back.
    pub at_ms: u64,
    /// sysUpTime, in hundredths of a second; it wraps after 497 days.
    pub uptime: Option<u32>,
    /// The interfaces, in the order of their names, each once: a list, because one is kept for each device.
    pub ports: Box<[(Box<str>, Port)]>,
}

/// An interface as one look saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Port {
    /// Speed of the link in bits a second.
    pub speed: Option<u64>,
    /// ifCounterDiscontinuityTime: when its counters began anew.
    pub discontinuity: Option<i64>,
    /// What came in.
    pub received: Counts,
    /// What went out.
    pub sent: Counts,
}

/// What was counted in one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Octets.
    pub octets: Option<Counter>,
    /// Packets for one, for many, for all; each counted by itself.
    pub packets: [Option<Counter>; 3],
    /// Packets with errors.
    pub errors: Option<Counter>,
    /// Packets that were dropped.
    pub discards: Option<Counter>,
}

/// A counter and where it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// After 32 bits.
    Short(u32),
    /// After 64 bits, which is never.
    Long(u64),
}

/// The counters of one direction, by the fields of `interface`: in 64 bits (`long`), and in 32.
struct Names {
    octets_long: &'static str,
    octets: &'static str,
    packets_long: [&'static str; 3],
    packets: [&'static str; 2],
    errors: &'static str,
    discards: &'static str,
}

const IN: Names = Names {
    octets_long: "ifHCInOctets",
    octets: "ifInOctets",
    packets_long: ["ifHCInUcastPkts", "ifHCInMulticastPkts", "ifHCInBroadcastPkts"],
    packets: ["ifInUcastPkts", "ifInNUcastPkts"],
    errors: "ifInErrors",
    discards: "ifInDiscards",
};

const OUT: Names = Names {
    octets_long: "ifHCOutOctets",
    octets: "ifOutOctets",
    packets_long: ["ifHCOutUcastPkts", "ifHCOutMulticastPkts", "ifHCOutBroadcastPkts"],
    packets: ["ifOutUcastPkts", "ifOutNUcastPkts"],
    errors: "ifOutErrors",
    discards: "ifOutDiscards",
};

/// What an interface did between two looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// What came in.
    pub received: Rate,
    /// What went out.
    pub sent: Rate,
}

/// What an interface did in one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rate {
    /// Bits a second.
    pub bits_per_s: Option<f64>,
    /// Part of the link that was used, in percent.
    pub use_percent: Option<f64>,
    /// Packets with errors, in percent of all.
    pub errors_percent: Option<f64>,
    /// Packets that were dropped, in percent of all.
    pub discards_percent: Option<f64>,
}

/// What each interface did between two looks; those that can't be told are left out.
#[must_use]
pub fn between(before: &Look, now: &Look) -> BTreeMap<String, Rates> {
    let apart_ms = now.at_ms.saturating_sub(before.at_ms);
    if !(APART_MS_MIN..=APART_MS_MAX).contains(&apart_ms) || restarted(before, now, apart_ms) {
        return BTreeMap::new();
    }
    let pairs = now.ports.iter().filter_map(|(name, port)| Some((name, before.port(name)?, port)));
    let rates = pairs.map(|(name, old, new)| (name.to_string(), port_rates(old, new, seconds(apart_ms))));
    rates.filter(|(_, rates)| *rates != Rates::default()).gather()
}

/// Whether the device began anew in between: its own clock moved much more or much less than ours. That it went back is
/// seen as much more, since it wraps.
fn restarted(before: &Look, now: &Look, apart_ms: u64) -> bool {
    let (Some(old), Some(new)) = (before.uptime, now.uptime) else { return false };
    let moved_ms = u64::from(new.wrapping_sub(old)) * 10;
    moved_ms > apart_ms * 2 + 60_000 || moved_ms + 3_000 < apart_ms / 2
}

fn port_rates(old: &Port, new: &Port, apart_s: f64) -> Rates {
    if old.discontinuity != new.discontinuity {
        return Rates::default();
    }
    let known = |speed: Option<u64>| speed.filter(|speed| *speed > 0);
    let (was, is) = (known(old.speed), known(new.speed));
    let line = Line { fastest: was.max(is), steady: if was == is { is } else { None }, apart_s };
    Rates { received: rate(&old.received, &new.received, &line), sent: rate(&old.sent, &new.sent, &line) }
}

/// The link between the two looks.
struct Line {
    /// The most that it could carry, in bits a second, if it is known.
    fastest: Option<u64>,
    /// What it could carry all the time.
    steady: Option<u64>,
    /// The time between, in seconds.
    apart_s: f64,
}

fn rate(old: &Counts, new: &Counts, line: &Line) -> Rate {
    let bits_per_s = octets(old, new, line).map(|octets| octets * 8.0 / line.apart_s);
    let use_percent = bits_per_s.zip(line.steady).map(|(bits, speed)| (bits / float(speed) * 100.0).min(100.0));
    let packets = packets(old, new, line);
    let part = |old: Option<Counter>, new: Option<Counter>| {
        let bad = difference(old?, new?).filter(|bad| line.could_carry_packets(*bad))?;
        let all = packets?.saturating_add(bad);
        (all >= PACKETS_MIN).then(|| float(bad) / float(all) * 100.0)
    };
    Rate {
        bits_per_s: bits_per_s.map(f64::round),
        use_percent: use_percent.map(|percent| round(percent, 100.0)),
        // A bad cable shows at a thousandth of a percent.
        errors_percent: part(old.errors, new.errors).map(|percent| round(percent, 10_000.0)),
        discards_percent: part(old.discards, new.discards).map(|percent| round(percent, 10_000.0)),
    }
}

fn octets(old: &Counts, new: &Counts, line: &Line) -> Option<f64> {
    let (old, new) = (old.octets?, new.octets?);
    if let (Counter::Short(before), Counter::Short(now)) = (old, new) {
        // What could have wrapped twice tells nothing, and a step back of a link of unknown speed may be anything.
        let most = line.fastest.map(|speed| float(speed) / 8.0 * line.apart_s);
        if most.map_or(now < before, |most| most > f64::from(u32::MAX)) {
            return None;
        }
    }
    let octets = float(difference(old, new)?);
    let believed = line.fastest.is_none_or(|speed| octets * 8.0 <= float(speed) * line.apart_s * SLACK);
    believed.then_some(octets)
}

/// The packets of all kinds; nothing if one kind can't be told.
fn packets(old: &Counts, new: &Counts, line: &Line) -> Option<u64> {
    let mut all = 0_u64;
    for (old, new) in old.packets.iter().zip(&new.packets) {
        match (old, new) {
            (Some(old), Some(new)) => all = all.saturating_add(difference(*old, *new)?),
            (None, None) => {}
            _ => return None,
        }
    }
    new.packets.iter().any(Option::is_some).then_some(())?;
    line.could_carry_packets(all).then_some(all)
}

impl Line {
    /// Whether so many packets fit. A link of unknown speed carries less than half of what 32 bits count.
    fn could_carry_packets(&self, packets: u64) -> bool {
        match self.fastest {
            Some(speed) => float(packets) <= float(speed) * self.apart_s / FRAME_BITS_MIN * SLACK + 1.0,
            None => packets < 1 << 31,
        }
    }
}

/// What was counted in between. 64 bits never wrap: what went back began anew. A counter that changed its width is another.
fn difference(old: Counter, new: Counter) -> Option<u64> {
    match (old, new) {
        (Counter::Short(old), Counter::Short(new)) => Some(u64::from(new.wrapping_sub(old))),
        (Counter::Long(old), Counter::Long(new)) => new.checked_sub(old),
        _ => None,
    }
}

impl Look {
    /// The look that these samples of one device are. `at_ms` is of a clock that never goes back.
    #[must_use]
    pub fn of(samples: &[Sample], at_ms: u64) -> Self {
        let uptime =
            samples.iter().find(|sample| sample.measurement == "snmp").and_then(|sample| field(sample, "sysUptime"));
        let uptime = uptime.and_then(Value::as_number).map(|seconds| (seconds * 100.0).round());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "TimeTicks have 32 bits")]
        let uptime = uptime.filter(|ticks| (0.0..=f64::from(u32::MAX)).contains(ticks)).map(|ticks| ticks as u32);
        let interfaces = samples.iter().filter(|sample| sample.measurement == "interface");
        let ports = interfaces.filter_map(|sample| Some((if_name(sample)?.into(), Port::of(sample))));
        let mut ports: Vec<(Box<str>, Port)> = ports.collect();
        ports.sort_by(|one, other| one.0.cmp(&other.0));
        ports.dedup_by(|one, other| one.0 == other.0);
        Self { at_ms, uptime, ports: ports.into() }
    }

    /// Whether the device began anew since `before`.
    #[must_use]
    pub fn restarted_since(&self, before: &Self) -> bool {
        restarted(before, self, self.at_ms.saturating_sub(before.at_ms))
    }

    fn port(&self, name: &str) -> Option<&Port> {
        let at = self.ports.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.ports[at].1)
    }
}

impl Port {
    fn of(sample: &Sample) -> Self {
        let number = |name: &str| match field(sample, name) {
            Some(Value::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        // ifHighSpeed is 0 below a megabit, and ifSpeed ends at 4.29 gigabits.
        let fast = number("ifHighSpeed").filter(|mbit| *mbit > 0).and_then(|mbit| mbit.checked_mul(1_000_000));
        let counts = |names: &Names| {
            let long = |name: &str| number(name).map(Counter::Long);
            let short = |name: &str| number(name).and_then(|value| u32::try_from(value).ok()).map(Counter::Short);
            let all_long = names.packets_long.map(long);
            let all_short = || {
                let [one, many] = names.packets.map(short);
                [one, many, None]
            };
            Counts {
                octets: long(names.octets_long).or_else(|| short(names.octets)),
                packets: if all_long == [None; 3] { all_short() } else { all_long },
                errors: short(names.errors),
                discards: short(names.discards),
            }
        };
        Self {
            speed: fast.or_else(|| number("ifSpeed")),
            discontinuity: number("ifCounterDiscontinuityTime").and_then(|ticks| i64::try_from(ticks).ok()),
            received: counts(&IN),
            sent: counts(&OUT),
        }
    }
}

/// Adds the rates to the rows of their interfaces.
pub fn add(rates: &BTreeMap<String, Rates>, samples: &mut [Sample]) {
    for sample in samples.iter_mut().filter(|sample| sample.measurement == "interface") {
        let Some(rates) = if_name(sample).and_then(|name| rates.get(name)) else { continue };
        let (received, sent) = (&rates.received, &rates.sent);
        let fields = [
            ("in_bits_per_s", received.bits_per_s),
            ("in_discards_percent", received.discards_percent),
            ("in_errors_percent", received.errors_percent),
            ("in_use_percent", received.use_percent),
            ("out_bits_per_s", sent.bits_per_s),
            ("out_discards_percent", sent.discards_percent),
            ("out_errors_percent", sent.errors_percent),
            ("out_use_percent", sent.use_percent),
        ];
        let told = fields.into_iter().filter_map(|(name, value)| Some((Name::Borrowed(name), Value::Float(value?))));
        sample.fields.extend(told);
    }
}

fn if_name(sample: &Sample) -> Option<&str> {
    sample.tags.iter().find(|(key, _)| key == "ifName").map(|(_, name)| name.as_str())
}

fn field<'a>(sample: &'a Sample, name: &str) -> Option<&'a Value> {
    sample.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
}

fn seconds(ms: u64) -> f64 {
    float(ms) / 1_000.0
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[expect(clippy::cast_precision_loss, reason = "what is told is rounded far above the 53rd bit")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
