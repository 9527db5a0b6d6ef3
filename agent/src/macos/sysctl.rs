//! `sysctl NAME...`: a line `name: value` for each; and what it alone tells of the swap files.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_logic::time::Timestamp;

use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

/// Programs that only ask the kernel answer at once.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn ask(host: &Host, names: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let said = host.run("sysctl", names, LIMIT)?;
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    Ok(said.text.lines().filter_map(pair).collect())
}

pub(super) fn swap(host: &Host, time: Timestamp) -> Reading {
    const NAME: &str = "vm.swapusage";
    let values = match ask(host, &[NAME]) {
        Ok(values) => values,
        Err(problem) => return Reading::problem(problem),
    };
    let Some((total, used)) = values.get(NAME).and_then(|text| sizes(text)) else {
        return Reading::problem(Problem::new(ProblemKind::Failed, "sysctl vm.swapusage: not understood"));
    };
    if total == 0 {
        return Reading::problem(Problem::new(ProblemKind::NothingHere, "there is no swap file"));
    }
    let used = used.min(total);
    let fields = vec![
        ("free", integer(total - used)),
        ("total", integer(total)),
        ("used", integer(used)),
        ("used_percent", percent(share(used, total))),
    ];
    Reading { samples: vec![sample("swap", Vec::new(), time, fields)], problems: Vec::new() }
}

/// `total = 2048.00M  used = 1023.50M  free = 1024.50M  (encrypted)`
fn sizes(text: &str) -> Option<(u64, u64)> {
    let after = |word: &str| {
        let size = text.split_once(word)?.1.trim_start_matches([' ', '=']).split_whitespace().next()?;
        megabytes(size.strip_suffix('M')?)
    };
    Some((after("total")?, after("used")?))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the size of a disk has far fewer than 52 bits"
)]
fn megabytes(digits: &str) -> Option<u64> {
    let number: f64 = digits.parse().ok()?;
    (number.is_finite() && (0.0..1e9).contains(&number)).then_some((number * 1_048_576.0) as u64)
}
