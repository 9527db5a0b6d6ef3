//! What is asked and what is under way: the part of the engine that has no socket and no clock.
//!
//! - `begin` and `handle_*` say what happened, `poll_*` what to do next: first [`Asks::handle_time`], then
//!   [`Asks::poll_send`] until there is none, then [`Asks::poll_done`]; nothing more will happen before
//!   [`Asks::poll_wake`] unless something is heard.
//! - An answer counts if it comes from the target, in time, with the sequence and the token of a request that is under
//!   way. A second answer, a late one and a forged one find nothing under way and are counted as strays.
//! - At most [`Asks::set_room`] requests of a family are under way, so that all their answers fit the socket's buffer;
//!   at most [`BURST`] are sent in [`BURST_APART`], so that a whole closet is no flood.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::packet::{Family, Refusal};

/// Requests sent at once.
pub const BURST: u32 = 32;
/// From one burst to the next: 6,400 requests or 400 KB a second, which no school's line notices.
pub const BURST_APART: Duration = Duration::from_millis(5);

/// Echo requests to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom; with the interface for an address that is only valid on one link. The port means nothing.
    pub to: SocketAddr,
    /// How many requests.
    pub count: u32,
    /// From one to the next.
    pub apart: Duration,
    /// How long each is waited for.
    pub timeout: Duration,
    /// Routers that it may pass; none for the system's own default.
    pub hops: Option<u8>,
}

/// What came of an [`Ask`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The round trip of each request that was sent, in milliseconds and in the order of sending; NaN for one without
    /// an answer. Single precision is a ten-millionth of it.
    pub trips_ms: Vec<f32>,
    /// The last refusal that came instead of an answer, and whose.
    pub refused: Option<(Refusal, IpAddr)>,
    /// Requests that the system would not send.
    pub not_sent: u32,
}

/// A request to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// To whom.
    pub to: SocketAddr,
    /// Unlike all others of its family that are under way.
    pub sequence: u16,
    /// Unlike all others of this agent.
    pub token: u64,
    /// Routers that it may pass.
    pub hops: Option<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Asks {
    asks: HashMap<u64, Active>,
    /// When the next request of each ask that has any left is due.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    flights: HashMap<(Family, u16), Flight>,
    deadlines: BTreeSet<(Instant, Family, u16)>,
    done: VecDeque<(u64, Outcome)>,
    next_sequence: u16,
    next_token: u64,
    room: [usize; 2],
    under_way: [usize; 2],
    tokens: u32,
    filled: Option<Instant>,
    strays: u64,
}

#[derive(Debug)]
struct Active {
    ask: Ask,
    outcome: Outcome,
    under_way: u32,
}

#[derive(Debug)]
struct Flight {
    ask: u64,
    place: usize,
    token: u64,
    to: IpAddr,
    sent: Instant,
    deadline: Instant,
}

impl Active {
    fn left(&self) -> u32 {
        let sent = u32::try_from(self.outcome.trips_ms.len()).unwrap_or(u32::MAX);
        self.ask.count.saturating_sub(sent).saturating_sub(self.outcome.not_sent)
    }
}

impl Asks {
    /// None yet; `seed` is random, so that nobody else's answers fit.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            asks: HashMap::new(),
            due: BinaryHeap::new(),
            flights: HashMap::new(),
            deadlines: BTreeSet::new(),
            done: VecDeque::new(),
            next_sequence: (seed >> 48) as u16,
            next_token: seed,
            room: [0; 2],
            under_way: [0; 2],
            tokens: BURST,
            filled: None,
            strays: 0,
        }
    }

    /// Answers that fitted nothing under way.
    #[must_use]
    pub const fn strays(&self) -> u64 {
        self.strays
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.asks.is_empty() && self.done.is_empty()
    }

    /// So many requests of a family may be under way.
    pub const fn set_room(&mut self, family: Family, room: usize) {
        self.room[family as usize] = room;
    }

    /// Asks; what comes of it is told under `key`, of which there is one at a time.
    pub fn begin(&mut self, key: u64, ask: Ask, now: Instant) {
        let outcome = Outcome { trips_ms: Vec::with_capacity(ask.count as usize), ..Outcome::default() };
        if ask.count == 0 {
            self.done.push_back((key, outcome));
            return;
        }
        self.due.push(Reverse((now, key)));
        self.asks.insert(key, Active { ask, outcome, under_way: 0 });
    }

    /// The system did not take a request that [`Self::poll_send`] gave.
    pub fn handle_not_sent(&mut self, departure: &Departure) {
        let Some(flight) = self.land(Family::of(departure.to.ip()), departure.sequence) else { return };
        if let Some(active) = self.asks.get_mut(&flight.ask) {
            // Nothing was sent after it yet.
            active.outcome.trips_ms.truncate(flight.place);
            active.outcome.not_sent += 1;
        }
        self.finish(flight.ask);
    }

    /// The target answered, and the answer arrived at `at`.
    pub fn handle_reply(&mut self, from: IpAddr, sequence: u16, token: u64, at: Instant) {
        let family = Family::of(from);
        let fits = |flight: &Flight| flight.token == token && flight.to == from && at <= flight.deadline;
        if !self.flights.get(&(family, sequence)).is_some_and(fits) {
            self.strays += 1;
            return;
        }
        let Some(flight) = self.land(family, sequence) else { return };
        if let Some(active) = self.asks.get_mut(&flight.ask)
            && let Some(trip) = active.outcome.trips_ms.get_mut(flight.place)
        {
            *trip = at.saturating_duration_since(flight.sent).as_secs_f32() * 1_000.0;
        }
        self.finish(flight.ask);
    }

    /// Somebody on the way refused a request to `to`.
    pub fn handle_refused(&mut self, refusal: Refusal, by: IpAddr, to: IpAddr, sequence: u16) {
        let family = Family::of(to);
        if self.flights.get(&(family, sequence)).is_none_or(|flight| flight.to != to) {
            self.strays += 1;
            return;
        }
        let Some(flight) = self.land(family, sequence) else { return };
        if let Some(active) = self.asks.get_mut(&flight.ask) {
            active.outcome.refused = Some((refusal, by));
        }
        self.finish(flight.ask);
    }

    /// What has not been answered by now will not be.
    pub fn handle_time(&mut self, now: Instant) {
        while let Some((deadline, family, sequence)) = self.deadlines.first().copied()
            && deadline <= now
        {
            if let Some(flight) = self.land(family, sequence) {
                self.finish(flight.ask);
            } else {
                self.deadlines.pop_first();
            }
        }
        let filled = *self.filled.get_or_insert(now);
        if now.saturating_duration_since(filled) >= BURST_APART {
            self.filled = Some(now);
            self.tokens = BURST;
        }
    }

    /// The next request to send. It counts as sent unless [`Self::handle_not_sent`] says otherwise.
    pub fn poll_send(&mut self, now: Instant) -> Option<Departure> {
        loop {
            let Reverse((due, key)) = *self.due.peek()?;
            let Some(active) = self.asks.get_mut(&key).filter(|active| active.left() > 0) else {
                self.due.pop();
                continue;
            };
            let family = Family::of(active.ask.to.ip());
            let full = self.under_way[family as usize] >= self.room[family as usize];
            if due > now || full || self.tokens == 0 {
                return None;
            }
            self.due.pop();
            while self.flights.contains_key(&(family, self.next_sequence)) {
                self.next_sequence = self.next_sequence.wrapping_add(1);
            }
            let departure = Departure {
                to: active.ask.to,
                sequence: self.next_sequence,
                token: self.next_token,
                hops: active.ask.hops,
            };
            self.next_sequence = self.next_sequence.wrapping_add(1);
            self.next_token = self.next_token.wrapping_add(1);
            let place = active.outcome.trips_ms.len();
            active.outcome.trips_ms.push(f32::NAN);
            active.under_way += 1;
            if active.left() > 0 {
                // Late by more than a step: the rest moves, too. Two requests in one instant would say one thing twice.
                let next = due + active.ask.apart;
                let next = if next > now { next } else { now + active.ask.apart };
                self.due.push(Reverse((next, key)));
            }
            let deadline = now + active.ask.timeout;
            let to = active.ask.to.ip();
            let flight = Flight { ask: key, place, token: departure.token, to, sent: now, deadline };
            self.flights.insert((family, departure.sequence), flight);
            self.deadlines.insert((deadline, family, departure.sequence));
            self.under_way[family as usize] += 1;
            self.tokens -= 1;
            return Some(departure);
        }
    }

    /// When a request really went out: the time between its turn and the system's taking it is not the network's.
    pub fn handle_sent(&mut self, departure: &Departure, at: Instant) {
        if let Some(flight) = self.flights.get_mut(&(Family::of(departure.to.ip()), departure.sequence)) {
            flight.sent = at;
        }
    }

    /// An ask that is done.
    pub fn poll_done(&mut self) -> Option<(u64, Outcome)> {
        self.done.pop_front()
    }

    /// When to come again if nothing is heard; none if nothing is asked.
    #[must_use]
    pub fn poll_wake(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(deadline, ..)| *deadline);
        let send = self.due.peek().and_then(|Reverse((due, key))| {
            let family = self.asks.get(key).map_or(Family::V4, |active| Family::of(active.ask.to.ip()));
            let full = self.under_way[family as usize] >= self.room[family as usize];
            let paced = if self.tokens == 0 { self.filled.map(|filled| filled + BURST_APART) } else { None };
            (!full).then(|| paced.map_or(*due, |paced| paced.max(*due)))
        });
        [deadline, send].into_iter().flatten().min()
    }

    fn land(&mut self, family: Family, sequence: u16) -> Option<Flight> {
        let flight = self.flights.remove(&(family, sequence))?;
        self.deadlines.remove(&(flight.deadline, family, sequence));
        self.under_way[family as usize] -= 1;
        if let Some(active) = self.asks.get_mut(&flight.ask) {
            active.under_way -= 1;
        }
        Some(flight)
    }

    fn finish(&mut self, key: u64) {
        let is_done = self.asks.get(&key).is_some_and(|active| active.under_way == 0 && active.left() == 0);
        if is_done && let Some(active) = self.asks.remove(&key) {
            self.done.push_back((key, active.outcome));
        }
    }
}

#[cfg(test)]
mod tests;
