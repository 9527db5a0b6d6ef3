//! What a device that answers is like.

use std::net::SocketAddr;
use std::time::Duration;

use super::system;
use crate::doctor::Finding;
use crate::snmp::ask::{Binding, Client};
use crate::snmp::client::Device;
use crate::snmp::{Oid, Value};

/// Rows in the question that tries GETBULK.
const REPETITIONS: u32 = 10;

/// Names of ports (ifDescr), and the 64-bit counters of ports (ifHCInOctets).
const PORTS: [u32; 10] = [1, 3, 6, 1, 2, 1, 2, 2, 1, 2];
const COUNTERS: [u32; 11] = [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6];

pub(super) fn answered(address: SocketAddr, bindings: &[Binding], took: Duration) -> Finding {
    let [description, _, up, name] = system().map(|wanted| {
        let found = bindings.iter().find(|binding| binding.name == wanted);
        found.and_then(|binding| binding.held.value())
    });
    let text = |value: Option<&Value>| value.and_then(Value::as_text).filter(|text| !text.is_empty());
    let (Some(description), name) = (text(description), text(name)) else { return no_system_group(address) };
    let up = up.and_then(Value::as_unsigned).map_or(String::new(), |ticks| {
        let hours = ticks / 360_000;
        if hours == 0 {
            format!(", up {} min", ticks / 6_000)
        } else if hours < 48 {
            format!(", up {hours} h")
        } else {
            format!(", up {} days", hours / 24)
        }
    });
    let name = name.map_or(String::new(), |name| format!("{name}, "));
    Finding::good("answer", format!("{address}: {name}{description}{up}, answered within {} ms", took.as_millis()))
}

pub(super) fn no_system_group(address: SocketAddr) -> Finding {
    let seen = format!("{address}: it answers, and hides what it is (1.3.6.1.2.1.1)");
    Finding::bad("view", seen, "give the user or community a view of 1.3.6.1 to read")
}

/// Whether many rows can be asked for at once.
pub(super) async fn bulk(device: &Device) -> Finding {
    let address = device.address();
    let column = [Oid::from([1, 3, 6, 1, 2, 1])];
    let trouble = match device.get_bulk(&column, REPETITIONS).await {
        Ok(bindings) if rises(&column[0], &bindings) => {
            return Finding::good("getbulk", format!("{address}: gives {} rows at once", bindings.len()));
        }
        Ok(bindings) if bindings.is_empty() => "gives nothing".to_owned(),
        Ok(_) => "gives names out of order".to_owned(),
        Err(trouble) => trouble.to_string(),
    };
    let single = device.get_next(&column).await.is_ok_and(|bindings| !bindings.is_empty());
    let remedy = if single {
        "it is asked for one row after the other, which is slow; is there newer firmware?"
    } else {
        "it can't be walked at all; is there newer firmware?"
    };
    Finding::notice("getbulk", format!("{address}: broken: {trouble}"), remedy)
}

/// Whether each name comes after the one before, as it must.
fn rises(from: &Oid, bindings: &[Binding]) -> bool {
    let names: Vec<&Oid> = std::iter::once(from).chain(bindings.iter().map(|binding| &binding.name)).collect();
    !bindings.is_empty() && names.windows(2).all(|pair| pair[0] < pair[1])
}

/// Whether the ports and their large counters can be seen.
pub(super) async fn ports(device: &Device, v1: bool) -> Finding {
    let address = device.address();
    let see = |first: Oid| async move {
        let answer = device.get_next(std::slice::from_ref(&first)).await;
        answer.is_ok_and(|bindings| bindings.iter().any(|b| b.name.starts_with(&first) && b.held.value().is_some()))
    };
    let (ports, counters) = (see(Oid::from(PORTS)).await, see(Oid::from(COUNTERS)).await);
    let remedy = "if it is a switch, give the user or community a view of 1.3.6.1.2.1.2 and 1.3.6.1.2.1.31 to read";
    match (ports, counters) {
        (_, true) => Finding::good("ports", format!("{address}: its ports can be seen, with 64-bit counters")),
        (true, false) if v1 => Finding::notice(
            "ports",
            format!("{address}: version 1 has no 64-bit counters; those of a busy gigabit port wrap in half a minute"),
            "use version 2c or 3 if the device has it",
        ),
        (true, false) => Finding::notice(
            "ports",
            format!("{address}: its ports can be seen, but not ifXTable with their names and 64-bit counters"),
            format!("the view hides it, or the device has none; {remedy}"),
        ),
        (false, false) => Finding::notice("ports", format!("{address}: no ports can be seen"), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::snmp::ask::Held;

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 161))
    }

    #[test]
    fn a_device_is_called_by_its_name_and_what_it_is() {
        let [description, _, up, name] = system();
        let held = |name: Oid, value| Binding { name, held: Held::Value(value) };
        let bindings = [
            held(description, Value::Octets(b"Example 48-port switch".to_vec())),
            held(name, Value::Octets(b"sw-library".to_vec())),
            held(up, Value::TimeTicks(3 * 8_640_000)),
        ];
        let said = answered(address(), &bindings, Duration::from_millis(12)).seen;
        assert_eq!(said, "192.0.2.1:161: sw-library, Example 48-port switch, up 3 days, answered within 12 ms");
        assert_eq!(answered(address(), &[], Duration::ZERO).verdict, Verdict::Bad, "the view hides it");
    }

    #[test]
    fn names_out_of_order_are_no_getbulk() {
        let names = |last: &[u32]| -> Vec<Binding> {
            last.iter().map(|&arc| Binding { name: Oid::from([1, 3, arc]), held: Held::Odd }).collect()
        };
        let from = Oid::from([1, 3]);
        assert!(rises(&from, &names(&[1, 2, 9])));
        assert!(!rises(&from, &names(&[1, 2, 2])) && !rises(&from, &names(&[])));
    }
}
