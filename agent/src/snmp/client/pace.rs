//! Decides how long one sending of a question is waited for: by how quickly the device is wont to answer, as RFC 6298
//! has it, within bounds of ours. No clock here: times come in as spans.
//!
//! A question that is lost is soon sent again; a device that is late is not: each wait of a question is twice the one
//! before, and whoever answered only after several sendings is waited for as long the next time.

use std::time::Duration;

/// The first wait of a question to a device of which nothing is known.
const FIRST: Duration = Duration::from_millis(500);
/// The least: a device that answers within a millisecond may have something to do for this long.
const WAIT_MIN: Duration = Duration::from_millis(200);
/// The most for the first sending of a question.
const WAIT_MAX: Duration = Duration::from_secs(4);
/// The waits of a question grow up to this, or stay what the first was.
const GROWN_MAX: Duration = Duration::from_secs(2);
/// What no device is quicker than in a bad moment: an answer within this after the last sending is the answer to it.
const AT_ONCE: Duration = Duration::from_millis(20);
/// And it is the answer to it only if it came this much sooner than the one before was waited for.
const MUCH_SOONER: u32 = 4;
/// The longest that one question takes with all its sendings: six for a device that answers within milliseconds. Where a
/// fifth of the packets is lost in each direction, all of them are lost once in 450 times.
pub const QUESTION_MAX: Duration = Duration::from_secs(7);
/// A slow device has so many waits at least.
const WAITS_MIN: u32 = 3;

/// How quickly one device answers.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The usual time, and by how much it varies; none before the first answer.
    usual: Option<(Duration, Duration)>,
    wait: Duration,
    took: Option<Duration>,
}

/// The waits of one question, one for each sending.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    next: Duration,
    most: Duration,
    left: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { usual: None, wait: FIRST, took: None }
    }
}

impl Pace {
    /// For the next question.
    #[must_use]
    pub fn waits(&self) -> Waits {
        Waits { next: self.wait, most: self.wait.max(GROWN_MAX), left: QUESTION_MAX.max(self.wait * WAITS_MIN) }
    }

    /// How long the device took for the last answer: at most, if it can't be known.
    #[must_use]
    pub const fn took(&self) -> Option<Duration> {
        self.took
    }

    /// An answer came so long after the question was first sent, and so long after it was last sent.
    pub fn handle_answer(&mut self, first: Duration, last: Duration) {
        let at_once = self.usual.map_or(AT_ONCE, |(usual, varies)| (usual + varies * 4).max(AT_ONCE));
        if first > last && (last > at_once || last * MUCH_SOONER > first - last) {
            // To which sending it is the answer can't be known (Karn's algorithm): it may have been late.
            self.took = Some(first);
            self.wait = (first * 3 / 2).clamp(self.wait, WAIT_MAX);
            return;
        }
        let took = last;
        self.took = Some(took);
        let (usual, varies) = match self.usual {
            None => (took, took / 2),
            Some((usual, varies)) => ((usual * 7 + took) / 8, (varies * 3 + usual.abs_diff(took)) / 4),
        };
        self.usual = Some((usual, varies));
        self.wait = (usual + varies * 4).max(usual * 2).clamp(WAIT_MIN, WAIT_MAX);
    }
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next.min(self.left);
        self.left -= wait;
        self.next = (self.next * 2).min(self.most);
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Where one packet of five is lost in each direction, 36 % of the sendings come to nothing.
    const LOST: f64 = 0.36;

    /// A question to a device that answers each sending this late: how often it is sent.
    fn ask(pace: &mut Pace, late: Duration) -> usize {
        let (mut since, mut number) = (Duration::ZERO, 0);
        for wait in pace.waits() {
            number += 1;
            if since + wait > late {
                pace.handle_answer(late, late - since);
                break;
            }
            since += wait;
        }
        number
    }

    fn after(answers: impl IntoIterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        for late in answers {
            ask(&mut pace, ms(late));
        }
        pace
    }

    #[test]
    fn whatever_its_usual_time_a_question_gets_through_loss_and_ends() {
        for (usual, lost_max) in [(1, 0.003), (50, 0.003), (200, 0.007), (500, 0.02), (2_000, 0.05), (20_000, 0.15)] {
            let pace = after([usual; 20]);
            let waits: Vec<Duration> = pace.waits().collect();
            assert!(waits.iter().sum::<Duration>() <= QUESTION_MAX.max(WAIT_MAX * WAITS_MIN), "{usual}: {waits:?}");
            let lost = LOST.powf(f64::from(u32::try_from(waits.len()).unwrap()));
            assert!(lost < lost_max, "{usual}: {lost} {waits:?}");
        }
        assert!(Pace::default().waits().count() >= 5);
    }

    #[test]
    fn a_device_that_becomes_slow_is_waited_for_and_not_asked_more() {
        let mut pace = after([2; 20]);
        let sent: Vec<usize> = (0..6).map(|_| ask(&mut pace, ms(1_300))).collect();
        assert!(sent[0] <= 3 && sent[1] <= 2 && sent[2..] == [1; 4], "{sent:?}");
        let sent: Vec<usize> = (0..4).map(|_| ask(&mut pace, ms(3_900))).collect();
        assert!(sent.iter().sum::<usize>() <= 6, "{sent:?}");
        // It recovers, and so does the wait.
        (0..40).for_each(|_| assert_eq!(ask(&mut pace, ms(2)), 1));
        assert!(pace.wait < ms(300), "{pace:?}");
    }

    #[test]
    fn a_lost_packet_is_no_reason_to_wait_longer_for_the_next_question() {
        let mut pace = after([2; 20]);
        let before = pace.wait;
        pace.handle_answer(ms(602), ms(2));
        assert_eq!((pace.wait, pace.took()), (before, Some(ms(2))));
        pace.handle_answer(ms(900), ms(300));
        assert!(pace.wait > ms(900) && pace.took() == Some(ms(900)), "it may have been late: {pace:?}");
    }
}
