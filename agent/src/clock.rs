//! The clocks of this machine, read in one place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellwether_logic::time::Timestamp;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What the machine believes the time to be; may be wrong, and may step.
    pub wall: Timestamp,
    /// Since boot, time asleep included; never steps.
    pub boot: Duration,
}

/// What tells the time, and in which boot. The program has one; tests have others.
pub struct Clock {
    boot_id: String,
    now: Box<dyn Fn() -> Now + Send + Sync>,
}

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::of(boot_id(), now)
    }

    /// One that somebody makes up.
    pub fn of(boot_id: String, now: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self { boot_id, now: Box::new(now) }
    }

    /// How the operating system names this boot; opaque, and empty where it has no name.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        (self.now)()
    }
}

/// Reads both clocks of the machine.
#[must_use]
pub fn now() -> Now {
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Now { wall: Timestamp(wall), boot: since_boot() }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(windows)]
fn since_boot() -> Duration {
    crate::windows::uptime()
}

/// Elsewhere the monotonic clock serves. Where it stands still during sleep, waking up looks like a step of the wall
/// clock, which costs a new generation and nothing else.
#[cfg(not(any(target_os = "linux", windows)))]
fn since_boot() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Whether `Now::boot` goes on while the machine sleeps, so that a difference to the wall clock can only be a step.
pub const COUNTS_SLEEP: bool = cfg!(target_os = "linux");

/// By how much the wall clock has stepped against the boot clock between two readings; positive is forward.
#[must_use]
pub fn step_ms(earlier: Now, later: Now) -> i64 {
    let boot = i64::try_from(later.boot.saturating_sub(earlier.boot).as_millis()).unwrap_or(i64::MAX);
    later.wall.0.saturating_sub(earlier.wall.0).saturating_sub(boot)
}

#[cfg(not(windows))]
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(windows)]
fn boot_id() -> String {
    crate::windows::boot_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot_ms: u64) -> Now {
        Now { wall: Timestamp(wall), boot: Duration::from_millis(boot_ms) }
    }

    #[test]
    fn only_a_step_of_the_wall_clock_is_a_step() {
        assert_eq!(step_ms(at(1_000, 0), at(61_000, 60_000)), 0);
        assert_eq!(step_ms(at(1_000, 0), at(3_661_000, 60_000)), 3_600_000);
        assert_eq!(step_ms(at(10_000_000, 0), at(1_000, 60_000)), -10_059_000);
    }

    #[test]
    fn the_boot_clock_goes_forward() {
        let (first, second) = (now(), now());
        assert!(second.boot >= first.boot);
    }
}
