//! Decides how a closet's networks are searched. It has no socket and no clock: times are milliseconds of one that never
//! goes back.
//!
//! Every address is pinged once, so many in a second. What answers is asked once with each credential in their order, and
//! then, whatever it said, not again before tomorrow: more would look like somebody who guesses. What takes no credential
//! is counted and not kept.
//!
//! Order of calls: [`Search::begin`]; then [`Search::poll_step`] until there is none, and again at [`Search::poll_wake`]
//! and after each [`Search::handle_ping`] and [`Search::handle_asked`]; [`Search::take_done`] says that it is over.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

/// Echo requests go out in bursts of so many.
const BURST: u32 = 10;
/// From one burst to the next: 200 addresses a second, which is 20 KB; the largest search takes six minutes.
const BURST_APART_MS: u64 = 50;
/// Addresses that are asked at once.
const ASKED_MAX: usize = 32;
/// How long an address that took no credential is left alone: a little less than a day, so that a search each day asks.
const LEFT_ALONE_MS: u64 = 20 * 60 * 60 * 1_000;

/// A search, and what is remembered from one to the next.
#[derive(Debug, Default)]
pub struct Search {
    credentials: usize,
    to_ping: VecDeque<SocketAddr>,
    to_ask: VecDeque<(SocketAddr, usize)>,
    pings: usize,
    asked: usize,
    burst: u32,
    next_burst_ms: u64,
    refused: HashMap<SocketAddr, u64>,
    counts: Option<Counts>,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Addresses that were tried.
    pub searched: usize,
    /// Those that answered an echo request.
    pub pinged: usize,
    /// Those that answered SNMP.
    pub answered: usize,
    /// Those that answered an echo request and took no credential, today or now.
    pub refused: usize,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send an echo request.
    Ping(SocketAddr),
    /// Ask with the credential of this number.
    Ask(SocketAddr, usize),
}

impl Search {
    /// Begins anew, with credentials of so many; what was under way is forgotten.
    pub fn begin(&mut self, addresses: impl Iterator<Item = SocketAddr>, credentials: usize, now_ms: u64) {
        self.refused.retain(|_, at| now_ms.saturating_sub(*at) < LEFT_ALONE_MS);
        *self = Self {
            credentials,
            to_ping: addresses.collect(),
            next_burst_ms: now_ms,
            refused: std::mem::take(&mut self.refused),
            counts: Some(Counts::default()),
            ..Self::default()
        };
    }

    /// What to do next; nothing before [`Self::poll_wake`] or before something is heard.
    pub fn poll_step(&mut self, now_ms: u64) -> Option<Step> {
        let counts = self.counts.as_mut()?;
        if self.asked < ASKED_MAX
            && let Some((address, credential)) = self.to_ask.pop_front()
        {
            self.asked += 1;
            return Some(Step::Ask(address, credential));
        }
        if now_ms >= self.next_burst_ms {
            (self.burst, self.next_burst_ms) = (BURST, now_ms + BURST_APART_MS);
        }
        if self.burst == 0 {
            return None;
        }
        let address = self.to_ping.pop_front()?;
        self.burst -= 1;
        self.pings += 1;
        counts.searched += 1;
        Some(Step::Ping(address))
    }

    /// An address answered an echo request, or did not.
    pub fn handle_ping(&mut self, address: SocketAddr, answered: bool) {
        self.pings = self.pings.saturating_sub(1);
        let Some(counts) = self.counts.as_mut().filter(|_| answered) else { return };
        counts.pinged += 1;
        if self.refused.contains_key(&address) || self.credentials == 0 {
            counts.refused += 1;
        } else {
            self.to_ask.push_back((address, 0));
        }
    }

    /// An address took the credential of this number, or did not.
    pub fn handle_asked(&mut self, address: SocketAddr, credential: usize, answered: bool, now_ms: u64) {
        self.asked = self.asked.saturating_sub(1);
        let Some(counts) = self.counts.as_mut() else { return };
        if answered {
            counts.answered += 1;
        } else if credential + 1 < self.credentials {
            // Those that were begun are ended first.
            self.to_ask.push_front((address, credential + 1));
        } else {
            counts.refused += 1;
            self.refused.insert(address, now_ms);
        }
    }

    /// When there is something to do again.
    #[must_use]
    pub fn poll_wake(&self) -> Option<u64> {
        (self.counts.is_some() && !self.to_ping.is_empty()).then_some(self.next_burst_ms)
    }

    /// What it came to, once, when it is over.
    pub fn take_done(&mut self) -> Option<Counts> {
        let open = self.pings + self.asked + self.to_ping.len() + self.to_ask.len();
        self.counts.take_if(|_| open == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 161))
    }

    /// Plays a search to its end; `takes` says which credential an address takes. What was asked, in order.
    fn play(
        search: &mut Search,
        begin_ms: u64,
        pings: impl Fn(u8) -> bool,
        takes: impl Fn(u8) -> Option<usize>,
    ) -> (Counts, Vec<(u8, usize)>) {
        let last = |address: SocketAddr| match address {
            SocketAddr::V4(v4) => v4.ip().octets()[3],
            SocketAddr::V6(_) => unreachable!("none is searched"),
        };
        search.begin((1..=250).map(address), 2, begin_ms);
        let (mut now, mut asked) = (begin_ms, Vec::new());
        loop {
            while let Some(step) = search.poll_step(now) {
                match step {
                    Step::Ping(address) => search.handle_ping(address, pings(last(address))),
                    Step::Ask(address, credential) => {
                        asked.push((last(address), credential));
                        search.handle_asked(address, credential, takes(last(address)) == Some(credential), now);
                    }
                }
            }
            if let Some(counts) = search.take_done() {
                assert!((1_150..1_400).contains(&(now - begin_ms)), "200 in a second: {} ms", now - begin_ms);
                return (counts, asked);
            }
            now = search.poll_wake().expect("it goes on");
        }
    }

    #[test]
    fn what_answers_is_asked_once_with_each_credential_in_their_order() {
        let mut search = Search::default();
        let (counts, asked) =
            play(&mut search, 0, |number| number <= 3, |number| (number < 3).then_some(usize::from(number) - 1));
        assert_eq!(asked, [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]);
        assert_eq!(counts, Counts { searched: 250, pinged: 3, answered: 2, refused: 1 });
        assert_eq!(search.take_done(), None, "said once");
    }

    #[test]
    fn what_refused_is_not_asked_again_the_same_day() {
        const HOUR: u64 = 3_600_000;
        let mut search = Search::default();
        let pings = |number| number == 7 || number == 9;
        let takes = |number| (number == 9).then_some(0);
        assert_eq!(play(&mut search, 0, pings, takes).1, [(7, 0), (7, 1), (9, 0)]);
        let (counts, asked) = play(&mut search, HOUR, pings, takes);
        assert_eq!(asked, [(9, 0)]);
        assert_eq!(counts, Counts { searched: 250, pinged: 2, answered: 1, refused: 1 });
        assert_eq!(play(&mut search, 24 * HOUR, pings, takes).1.len(), 3, "the day after");
    }

    #[test]
    fn only_so_many_are_asked_at_once() {
        let mut search = Search::default();
        search.begin((1..=200).map(address), 1, 0);
        let mut asked = 0;
        for now in 0..2_000 {
            while let Some(step) = search.poll_step(now) {
                match step {
                    Step::Ping(address) => search.handle_ping(address, true),
                    Step::Ask(..) => asked += 1,
                }
            }
        }
        assert_eq!(asked, ASKED_MAX);
        assert_eq!(search.take_done(), None, "answers are still to come");
    }
}
