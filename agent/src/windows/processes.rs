//! How many processes and threads there are; never which.

use bellwether_logic::time::Timestamp;

use super::facts::Facts;
use crate::reading::{Reading, integer, sample};

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    match facts.tasks() {
        Ok(tasks) => {
            let fields = vec![("total", integer(tasks.processes)), ("total_threads", integer(tasks.threads))];
            Reading { samples: vec![sample("processes", Vec::new(), time, fields)], problems: Vec::new() }
        }
        Err(problem) => Reading::problem(problem),
    }
}
