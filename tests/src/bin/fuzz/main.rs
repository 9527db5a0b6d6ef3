//! Tries what comes from devices, files and networks with bad input, until the time is over or something is found:
//! `fuzz --minutes N [--seed S] [TARGET..]`. A finding is repeated by `fuzz --case S TARGET`. Run by `tests/fuzz`.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bellwether_tests::fuzz::{TARGETS, Target};

const USAGE: &str = "usage: fuzz --minutes N [--seed S] [TARGET..] | fuzz --case S TARGET";

/// What is wanted.
struct Wish {
    span: Duration,
    /// The first case; only this one if it is a single one.
    seed: u64,
    single: bool,
    targets: Vec<&'static Target>,
}

fn main() -> ExitCode {
    let Some(wish) = wish(std::env::args().skip(1)) else {
        let _ = writeln!(std::io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let mut done = vec![(Duration::ZERO, 0_u64); wish.targets.len()];
    // Each has the same share of the time: a case of one takes a thousand times as long as one of another.
    while let Some(at) = (0..done.len()).min_by_key(|at| done[*at].0) {
        let (spent, cases) = &mut done[at];
        if wish.single && *cases == 1 || !wish.single && begun.elapsed() >= wish.span {
            break;
        }
        let started = Instant::now();
        if let Err(finding) = wish.targets[at].case(wish.seed.wrapping_add(*cases)) {
            let _ = writeln!(std::io::stderr(), "finding: {finding}");
            return ExitCode::FAILURE;
        }
        *spent += started.elapsed();
        *cases += 1;
    }
    for (target, (_, cases)) in wish.targets.iter().zip(done) {
        let _ = writeln!(std::io::stdout(), "{}\t{cases} cases from {} without a finding", target.name, wish.seed);
    }
    ExitCode::SUCCESS
}

fn wish(mut arguments: impl Iterator<Item = String>) -> Option<Wish> {
    let mut wish = Wish { span: Duration::ZERO, seed: 1, single: false, targets: Vec::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--minutes" => {
                let minutes: f64 = arguments.next()?.parse().ok()?;
                wish.span = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
            }
            "--seed" => wish.seed = arguments.next()?.parse().ok()?,
            "--case" => (wish.seed, wish.single) = (arguments.next()?.parse().ok()?, true),
            name => wish.targets.push(Target::named(name)?),
        }
    }
    if wish.targets.is_empty() {
        wish.targets = TARGETS.iter().collect();
    }
    (wish.single || !wish.span.is_zero()).then_some(wish)
}
