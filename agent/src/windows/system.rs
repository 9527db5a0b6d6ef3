//! Since when the machine is on, and its cores. Windows has no load.

use bellwether_logic::time::Timestamp;

use super::facts::Facts;
use crate::reading::{Reading, count, integer, sample};

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let mut fields = vec![("uptime", integer(facts.uptime().as_secs()))];
    let mut problems = Vec::new();
    match facts.processors() {
        Ok(processors) if !processors.cores.is_empty() => fields.insert(0, ("n_cpus", count(processors.cores.len()))),
        Ok(_) => {}
        Err(problem) => problems.push(problem),
    }
    Reading { samples: vec![sample("system", Vec::new(), time, fields)], problems }
}
