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
    let (begun, mut cases) = (Instant::now(), vec![0_u64; wish.targets.len()]);
    let mut seed = wish.seed;
    while wish.single && seed == wish.seed || !wish.single && begun.elapsed() < wish.span {
        for (target, cases) in wish.targets.iter().zip(&mut cases) {
            if let Err(finding) = target.case(seed) {
                let _ = writeln!(std::io::stderr(), "finding: {finding}");
                return ExitCode::FAILURE;
            }
            *cases += 1;
        }
        seed = seed.wrapping_add(1);
    }
    for (target, cases) in wish.targets.iter().zip(cases) {
        let _ = writeln!(std::io::stdout(), "{}\t{cases} cases without a finding", target.name);
    }
    let _ = writeln!(std::io::stdout(), "seeds\t{} to {}", wish.seed, seed.wrapping_sub(1));
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
