//! `tests/sim year`: plays a school year and prints how good the tickets were, as lines of figure, value and unit.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of the command line")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use bellwether_school::play::{Play, Script};
use bellwether_school::rules;
use bellwether_school::score::Figures;
use bellwether_school::watch::Watch;

const USAGE: &str = "usage: year|weeks [--plain] [--explain] [--seed N] [--buildings N] [--days N]";

/// What was asked for.
struct Wish {
    script: Script,
    plain: bool,
    explain: bool,
}

fn main() -> ExitCode {
    let Some(wish) = wish(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let rules = rules::shipped(Path::new(rules::FOLDER));
    let begun = Instant::now();
    let mut play = Play::new(wish.script, |world, _| Watch::new(rules, wish.plain, world));
    play.run();
    let end = wish.script.end();
    let Play { world, year, truth, watch, .. } = &play;
    let figures = watch.ledger.figures(world, truth, year, end);
    if wish.explain {
        eprint!("{}", watch.ledger.explain(world, truth, end));
    }
    print(&figures, "");
    if let Some((_, ledger)) = &watch.plain {
        print(&ledger.figures(world, truth, year, end), "plain_");
    }
    let (devices, s) = (world.things.len(), begun.elapsed().as_secs());
    eprintln!("{devices} devices, {} values in {} inputs, {s} s", watch.values, watch.inputs);
    eprintln!("{}", watch.counters());
    let failed = figures.misses();
    failed.iter().for_each(|bar| eprintln!("missed the bar: {bar}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(figures: &Figures, prefix: &str) {
    for (name, value, unit) in figures.lines() {
        println!("{prefix}{name}\t{value}\t{unit}");
    }
}

fn wish(mut args: impl Iterator<Item = String>) -> Option<Wish> {
    let script = match args.next()?.as_str() {
        "year" => Script::year(1),
        "weeks" => Script::weeks(1),
        _ => return None,
    };
    let mut wish = Wish { script, plain: false, explain: false };
    while let Some(arg) = args.next() {
        let mut number = || args.next()?.parse::<u32>().ok();
        match arg.as_str() {
            "--plain" => wish.plain = true,
            "--explain" => wish.explain = true,
            "--seed" => wish.script.seed = number()?.into(),
            "--buildings" => wish.script.size.buildings = number()? as usize,
            "--days" => wish.script.days = i32::try_from(number()?).ok()?,
            _ => return None,
        }
    }
    Some(wish)
}
