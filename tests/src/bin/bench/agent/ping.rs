//! Many targets at once, beside fping.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::note;
use crate::Figure;

const ROUNDS: usize = 5;

/// Runs a program and prints its user and system time on the error stream, to the millisecond.
const TIMED: &str = "TIMEFORMAT='%U %S'; time \"$@\" >/dev/null 2>&1";

pub(super) fn figures(agent: &Path) -> Vec<Figure> {
    let pinger = agent.parent().expect("a program lies in a folder").join("examples/ping");
    let figure = |name: &str, targets| {
        let room = tempfile::tempdir().expect("a temporary folder");
        let file = room.path().join("targets");
        fs::write(&file, addresses(targets)).expect("a folder takes a file");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(cpu_s(&[pinger.as_os_str(), file.as_os_str()]));
            let fping = ["fping", "-c1", "-q", "-i0", "-t1000", "-f"].map(OsStr::new);
            theirs.push(cpu_s(&[&fping[..], &[file.as_os_str()]].concat()));
        }
        note(&format!("{name}: ours {ours:.3?}, fping {theirs:.3?}"));
        Figure { name: name.to_owned(), value: median(ours), unit: "s", peer: "fping", peer_value: median(theirs) }
    };
    vec![figure("ping5k_cpu_s", 5_000), figure("ping20k_cpu_s", 20_000)]
}

/// The first of 127.10.0.0/16, without those that end in 0 or 255.
fn addresses(count: usize) -> String {
    let all = (0..=255).flat_map(|high| (1..=254).map(move |low| (high, low)));
    all.take(count).fold(String::new(), |mut text, (high, low)| {
        let _ = writeln!(text, "127.10.{high}.{low}");
        text
    })
}

/// User and system time of a command and of its children, which must succeed.
pub(super) fn cpu_s(command: &[&OsStr]) -> f64 {
    let output = Command::new("bash").args(["-c", TIMED, "bash"]).args(command).output().expect("bash runs");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let times: Vec<f64> = text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(times.len(), 2, "{text}");
    times.iter().sum()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
