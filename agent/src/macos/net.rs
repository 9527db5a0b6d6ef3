//! What the network interfaces have carried: `netstat -ibn`. Only `en0` and so on, which the kernel names.

use bellwether_logic::sample::Value;
use bellwether_logic::time::Timestamp;

use super::sysctl;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, sample};

/// From the right: collisions, bytes, errors and packets out, bytes, errors and packets in.
const COLUMNS: &[(&str, usize)] =
    &[("bytes_recv", 4), ("bytes_sent", 1), ("err_in", 5), ("err_out", 2), ("packets_recv", 6), ("packets_sent", 3)];

pub(super) fn read(host: &Host, time: Timestamp) -> Reading {
    let said = match host.run("netstat", &["-ibn"], sysctl::LIMIT) {
        Ok(said) => said,
        Err(problem) => return Reading::problem(problem),
    };
    let samples: Vec<_> = said
        .text
        .lines()
        .filter_map(|line| {
            // Further lines of an interface are its addresses, with the same numbers.
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let name = words.first().filter(|name| is_card(name) && words.iter().any(|it| it.starts_with("<Link#")))?;
            let fields: Vec<(&str, Value)> = COLUMNS
                .iter()
                .filter_map(|(field, column)| Some((*field, integer(words.iter().rev().nth(*column)?.parse().ok()?))))
                .collect();
            (fields.len() == COLUMNS.len())
                .then(|| sample("net", vec![("interface", (*name).to_owned())], time, fields))
        })
        .collect();
    if samples.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "no network interface but the loopback"));
    }
    Reading { samples, problems: Vec::new() }
}

/// One that is down has a star at its end.
fn is_card(name: &str) -> bool {
    name.strip_prefix("en").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
