//! How full the paging files are.

use bellwether_logic::time::Timestamp;

use super::facts::Facts;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

pub(super) fn read(facts: &dyn Facts, time: Timestamp) -> Reading {
    let files = match facts.page_files() {
        Ok(files) => files,
        Err(problem) => return Reading::problem(problem),
    };
    let total = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.total));
    let used = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.used)).min(total);
    if total == 0 {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "there is no paging file"));
    }
    let fields = vec![
        ("free", integer(total - used)),
        ("total", integer(total)),
        ("used", integer(used)),
        ("used_percent", percent(share(used, total))),
    ];
    Reading { samples: vec![sample("swap", Vec::new(), time, fields)], problems: Vec::new() }
}
