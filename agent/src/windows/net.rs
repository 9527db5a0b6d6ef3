//! What the network interfaces have carried, lost and refused.
//!
//! An administrator can name a connection after a person ("Jane's office"), so an interface goes by the name that the
//! system derives from its type and number, as `ethernet_32769`, which nobody can change.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::facts::{Card, Facts};
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};

/// More than any machine of a school has.
const MAX_INTERFACES: usize = 64;

const BITS_PER_MBIT: u64 = 1_000_000;

/// Faster than any card; what does not know its speed says all ones.
const MAX_SPEED_MBIT: i64 = 1_000_000;

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let cards = match facts.cards() {
        Ok(cards) => cards,
        Err(problem) => return Reading::problem(problem),
    };
    let cards = cards.iter().filter(|card| card.hardware && !card.filter).take(MAX_INTERFACES);
    let samples: Vec<_> =
        cards.map(|card| sample("net", vec![("interface", name(card))], time, fields(card))).collect();
    if samples.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "no network interface but the loopback"));
    }
    Reading { samples, problems: Vec::new() }
}

/// Whether a link is full duplex is not told by Windows; a wired one of today is.
fn fields(card: &Card) -> Vec<(&'static str, Value)> {
    if !card.up {
        return vec![("up", Value::Boolean(false))];
    }
    let speed = i64::try_from(card.speed / BITS_PER_MBIT).ok().filter(|speed| (1..=MAX_SPEED_MBIT).contains(speed));
    let mut fields = vec![
        ("bytes_recv", integer(card.bytes_in)),
        ("bytes_sent", integer(card.bytes_out)),
        ("drop_in", integer(card.drops_in)),
        ("drop_out", integer(card.drops_out)),
        ("err_in", integer(card.errors_in)),
        ("err_out", integer(card.errors_out)),
        ("packets_recv", integer(card.packets_in)),
        ("packets_sent", integer(card.packets_out)),
    ];
    fields.extend(speed.map(|speed| ("speed", Value::Integer(speed))));
    fields.push(("up", Value::Boolean(true)));
    fields
}

/// As `ConvertInterfaceLuidToNameW` writes it.
/// <https://learn.microsoft.com/en-us/windows/win32/api/netioapi/nf-netioapi-convertinterfaceluidtonamew>
pub(super) fn name(card: &Card) -> String {
    let kind = match card.kind {
        6 => "ethernet",
        71 => "wireless",
        243 | 244 => "wwan",
        _ => "other",
    };
    format!("{kind}_{}", card.number)
}
