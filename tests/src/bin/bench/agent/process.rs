//! A process as `/proc` shows it.

use std::fs;
use std::time::{Duration, Instant};

/// The kernel's unit of times in `/proc/PID/stat`, the same on every Linux that Debian runs on (`getconf CLK_TCK`).
const TICKS_PER_S: f64 = 100.0;

const KIB_PER_MIB: f64 = 1_024.0;

/// The part of the looks that a slope leaves out at the beginning: one in so many.
const LEFT_OUT: usize = 5;

/// A process that is looked at again and again.
pub(crate) struct Watched {
    pid: u32,
    begun: Instant,
    cpu_s: f64,
    looks: Vec<Look>,
}

/// Its memory at one time, and what it has had of the processors.
#[derive(Clone, Copy)]
struct Look {
    minutes: f64,
    cpu_s: f64,
    rss_kib: f64,
    anon_kib: f64,
}

impl Watched {
    /// Begins to count.
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid, begun: Instant::now(), cpu_s: cpu_s(pid), looks: Vec::new() }
    }

    pub(crate) fn look(&mut self) {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).expect("the process runs");
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<f64>().ok()).expect("the kernel says")
        };
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        let (rss_kib, anon_kib) = (kib("Rss:"), kib("Anonymous:"));
        self.looks.push(Look { minutes, cpu_s: cpu_s(self.pid), rss_kib, anon_kib });
    }

    pub(crate) fn rss_mib(&self) -> f64 {
        self.looks.iter().map(|look| look.rss_kib).fold(0.0, f64::max) / KIB_PER_MIB
    }

    pub(crate) fn anon_mib(&self) -> f64 {
        self.looks.iter().map(|look| look.anon_kib).fold(0.0, f64::max) / KIB_PER_MIB
    }

    /// Since counting began, `span` ago.
    pub(crate) fn cpu_s_per_min(&self, span: Duration) -> f64 {
        (cpu_s(self.pid) - self.cpu_s) / (span.as_secs_f64() / 60.0)
    }

    /// The most that it took between two looks, and how many minutes after counting began: what a mean hides.
    pub(crate) fn burst(&self) -> (f64, f64) {
        let begin = [(0.0, self.cpu_s)];
        let at: Vec<(f64, f64)> =
            begin.into_iter().chain(self.looks.iter().map(|look| (look.minutes, look.cpu_s))).collect();
        let bursts = at.windows(2).map(|pair| (pair[1].1 - pair[0].1, pair[1].0));
        bursts.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default()
    }

    pub(crate) fn slope_kib_per_min(&self) -> f64 {
        self.slope(|look| look.rss_kib)
    }

    pub(crate) fn anon_slope_kib_per_min(&self) -> f64 {
        self.slope(|look| look.anon_kib)
    }

    /// Least squares.
    #[expect(clippy::cast_precision_loss, reason = "a handful of looks")]
    fn slope(&self, of: impl Fn(&Look) -> f64) -> f64 {
        let looks = &self.looks[self.looks.len() / LEFT_OUT..];
        let mean = |of: &dyn Fn(&Look) -> f64| looks.iter().map(of).sum::<f64>() / looks.len() as f64;
        let (middle, height) = (mean(&|look| look.minutes), mean(&|look| of(look)));
        let above: f64 = looks.iter().map(|look| (look.minutes - middle) * (of(look) - height)).sum();
        let below: f64 = looks.iter().map(|look| (look.minutes - middle).powi(2)).sum();
        if below > 0.0 { above / below } else { 0.0 }
    }
}

/// User and system time of a process and of its children that have ended.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name may hold blanks; it ends with the last bracket. Then the state is the first word, the times the 12th on.
    let words = text.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    words.skip(11).take(4).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_S
}
