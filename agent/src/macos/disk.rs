//! How full the machine's own file system is: `df -kP`. Of the volumes that share one APFS container only the two that
//! everyone has are told; what is mounted for a person is not even counted.

use bellwether_logic::time::Timestamp;

use super::sysctl;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, integer, percent, sample, share};

const OURS: &[&str] = &["/", "/System/Volumes/Data"];

const BLOCK_BYTES: u64 = 1_024;

pub(super) fn read(host: &Host, time: Timestamp) -> Reading {
    let said = match host.run("df", &["-kP"], sysctl::LIMIT) {
        Ok(said) => said,
        Err(problem) => return Reading::problem(problem),
    };
    let samples: Vec<_> = said
        .text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [device, total, used, free, _, path] = words[..] else { return None };
            let device = device.strip_prefix("/dev/").filter(|_| OURS.contains(&path))?;
            let bytes = |word: &str| word.parse::<u64>().ok().map(|blocks| blocks.saturating_mul(BLOCK_BYTES));
            let (total, used, free) = (bytes(total)?, bytes(used)?, bytes(free)?);
            let fields = vec![
                ("free", integer(free)),
                ("total", integer(total)),
                ("used", integer(used)),
                ("used_percent", percent(share(used, used.saturating_add(free)))),
            ];
            let tags = vec![("device", device.to_owned()), ("path", path.to_owned())];
            Some(sample("disk", tags, time, fields))
        })
        .collect();
    if samples.is_empty() {
        return Reading::problem(Problem::new(ProblemKind::Failed, "df: no line of the system's volume"));
    }
    Reading { samples, problems: Vec::new() }
}
