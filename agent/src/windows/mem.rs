//! What the memory holds. *Available* counts the standby list, which looks full and is free.

use bellwether_logic::time::Timestamp;

use super::facts::Facts;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let memory = match facts.memory() {
        Ok(memory) => memory,
        Err(problem) => return Reading::problem(problem),
    };
    if memory.total == 0 {
        return Reading::problem(Problem::new(ProblemKind::Failed, "the system tells of no memory"));
    }
    let available = memory.available.min(memory.total);
    let used = memory.total - available;
    let fields = vec![
        ("available", integer(available)),
        ("available_percent", percent(share(available, memory.total))),
        ("commit_limit", integer(memory.commit_limit)),
        ("committed_as", integer(memory.commit_limit.saturating_sub(memory.commit_available))),
        ("total", integer(memory.total)),
        ("used", integer(used)),
        ("used_percent", percent(share(used, memory.total))),
    ];
    Reading { samples: vec![sample("mem", Vec::new(), time, fields)], problems: Vec::new() }
}
