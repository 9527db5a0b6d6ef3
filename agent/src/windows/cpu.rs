//! What the processors do. Counted by the system itself (`GetSystemTimes`): performance counters (PDH) are slow to
//! start, can be switched off by an administrator, and can be damaged.

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;

use super::facts::{Facts, Processors, Times};
use crate::reading::{Problem, ProblemKind, Reading, percent, sample, share};
use crate::source::Source;

/// The source whose place this takes.
pub(super) const NAME: &str = "cpu";

/// No machine of a school has more.
const MAX_CORES: usize = 1_024;

/// Keeps the last counters to take differences.
pub(super) struct Cpu<F> {
    facts: F,
    last: Option<Processors>,
}

impl<F> Cpu<F> {
    pub(super) const fn new(facts: F) -> Self {
        Self { facts, last: None }
    }
}

impl<F: Facts> Source for Cpu<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        let current = match self.facts.processors() {
            Ok(current) => current,
            Err(problem) => return Reading::problem(problem),
        };
        let reading = match &self.last {
            Some(last) => Reading { samples: samples(last, &current, time), problems: Vec::new() },
            None => {
                Reading::problem(Problem::new(ProblemKind::NothingHere, "usage is told from the second reading on"))
            }
        };
        self.last = Some(current);
        reading
    }
}

fn samples(last: &Processors, current: &Processors, time: Timestamp) -> Vec<Sample> {
    let whole = ("cpu-total".to_owned(), last.whole, current.whole);
    let cores = last.cores.iter().zip(&current.cores).take(MAX_CORES).enumerate();
    let cores = cores.map(|(number, (last, current))| (format!("cpu{number}"), *last, *current));
    std::iter::once(whole)
        .chain(cores)
        .filter_map(|(name, last, current)| Some(sample("cpu", vec![("cpu", name)], time, fields(&last, &current)?)))
        .collect()
}

/// The usage between two readings; none when no time has passed.
fn fields(last: &Times, current: &Times) -> Option<Vec<(&'static str, Value)>> {
    let idle = current.idle.saturating_sub(last.idle);
    let user = current.user.saturating_sub(last.user);
    let interrupt = current.interrupt.saturating_sub(last.interrupt);
    let deferred = current.deferred.saturating_sub(last.deferred);
    let kernel = current.kernel.saturating_sub(last.kernel);
    let system = kernel.saturating_sub(idle).saturating_sub(interrupt).saturating_sub(deferred);
    let total = kernel.saturating_add(user);
    let part = |ticks| percent(share(ticks, total));
    (total > 0).then(|| {
        vec![
            ("usage_idle", part(idle)),
            ("usage_irq", part(interrupt)),
            ("usage_softirq", part(deferred)),
            ("usage_system", part(system)),
            ("usage_user", part(user)),
        ]
    })
}
