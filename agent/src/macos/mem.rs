//! What the memory holds: `vm_stat`, in pages.

use bellwether_logic::time::Timestamp;

use super::sysctl;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

pub(super) fn read(host: &Host, time: Timestamp) -> Reading {
    let total =
        sysctl::ask(host, &["hw.memsize"]).map(|values| values.get("hw.memsize").and_then(|it| it.parse().ok()));
    let said = host.run("vm_stat", &[], sysctl::LIMIT);
    let (total, said) = match (total, said) {
        (Ok(total), Ok(said)) => (total, said),
        (Err(problem), _) | (_, Err(problem)) => return Reading::problem(problem),
    };
    let pages = |name: &str| pages(&said.text, name);
    let known = total.zip(page_bytes(&said.text)).zip(pages("Pages free").zip(pages("Pages inactive")));
    let Some(((total, page), (free, inactive))) = known.filter(|((total, _), _)| *total > 0) else {
        return Reading::problem(Problem::new(ProblemKind::Failed, "vm_stat: not understood"));
    };
    let bytes = |pages: u64| pages.saturating_mul(page);
    // Read ahead and not yet asked for: as good as free.
    let free = free.saturating_add(pages("Pages speculative").unwrap_or(0));
    let available = bytes(free.saturating_add(inactive)).min(total);
    let used = total - available;
    let mut fields = vec![
        ("available", integer(available)),
        ("available_percent", percent(share(available, total))),
        ("free", integer(bytes(free))),
        ("inactive", integer(bytes(inactive))),
        ("total", integer(total)),
        ("used", integer(used)),
        ("used_percent", percent(share(used, total))),
    ];
    fields.extend(pages("Pages active").map(|active| ("active", integer(bytes(active)))));
    crate::reading::by_name(&mut fields);
    Reading { samples: vec![sample("mem", Vec::new(), time, fields)], problems: Vec::new() }
}

/// `Mach Virtual Memory Statistics: (page size of 16384 bytes)`
fn page_bytes(text: &str) -> Option<u64> {
    text.lines().next()?.split_once("page size of ")?.1.split(' ').next()?.parse().ok()
}

/// `Pages free:                              103482.`
fn pages(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches('.').parse().ok()
}
