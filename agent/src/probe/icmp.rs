//! Echo requests to any number of targets on one socket for each family, in the one task that looks at other devices.
//!
//! `asks` knows what is under way, `packet` the bytes, `socket` the system; this file turns the crank. The socket is
//! the unprivileged kind, else the raw one; where the system allows neither, the problem says what to do.
//!
//! A round trip ends when the kernel took the answer in (its own stamp on Linux), not when this task got round to it,
//! so what else the agent does is not measured as the network's delay.
//!
//! Memory: about 400 bytes for each target that is being asked, and 4 for each request of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use self::asks::{Ask, Asks, Departure, Outcome};
use self::packet::{Family, Heard};
use self::socket::{Received, Socket};

pub mod asks;
pub mod packet;
#[cfg(unix)]
mod socket;
#[cfg(not(unix))]
#[path = "icmp/windows.rs"]
mod socket;

/// Packets that are taken in before others get their turn.
const TAKEN_AT_ONCE: usize = 4_096;

/// Times that the system is asked to take a packet: it tells an earlier packet's error by refusing the next.
const SEND_TRIES: usize = 3;

/// Why nothing is sent to any target of a family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IcmpProblem {
    /// The system lets this user send no echo requests.
    #[error(
        "may not send IPv{family} echo requests: allow it by \
         `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, or give the agent CAP_NET_RAW"
    )]
    NoPermission {
        /// 4 or 6.
        family: u8,
    },
    /// Another reason.
    #[error("can't send IPv{family} echo requests: {reason}")]
    Failed {
        /// 4 or 6.
        family: u8,
        /// What the system says.
        reason: String,
    },
}

/// Asks and listens. Call [`Engine::begin`] for each target and [`Engine::next`] until all are done.
pub struct Engine {
    asks: Asks,
    v4: Option<Socket>,
    v6: Option<Socket>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { asks: Asks::new(rand::random()), v4: None, v6: None }
    }
}

impl Engine {
    /// Asks; [`Self::next`] tells what came of it under `key`, of which there is one at a time.
    ///
    /// # Errors
    /// When the system lets nobody send to this family; then nothing is told.
    pub fn begin(&mut self, key: u64, ask: Ask) -> Result<(), IcmpProblem> {
        self.open(Family::of(ask.to.ip()))?;
        self.asks.begin(key, ask, Instant::now());
        Ok(())
    }

    /// Answers that fitted nothing under way: duplicates, late ones and other people's.
    #[must_use]
    pub const fn strays(&self) -> u64 {
        self.asks.strays()
    }

    /// Waits for the next ask that is done; without any, for ever. Nothing is lost when this is cancelled; nothing goes
    /// out or comes in unless it is being waited for.
    pub async fn next(&mut self) -> (u64, Outcome) {
        loop {
            if let Some(done) = self.asks.poll_done() {
                return done;
            }
            self.asks.handle_time(Instant::now());
            while let Some(departure) = self.asks.poll_send(Instant::now()) {
                self.send(&departure);
            }
            if let Some(done) = self.asks.poll_done() {
                return done;
            }
            let wake = self.asks.poll_wake();
            tokio::select! {
                biased;
                () = ready(self.v4.as_ref()) => {}
                () = ready(self.v6.as_ref()) => {}
                () = sleep_until(wake) => {}
            }
            for socket in [&self.v4, &self.v6].into_iter().flatten() {
                socket.take(TAKEN_AT_ONCE, |received| hear(&mut self.asks, &received));
            }
        }
    }

    fn open(&mut self, family: Family) -> Result<(), IcmpProblem> {
        let place = match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        if place.is_some() {
            return Ok(());
        }
        let number = family.number();
        let socket = Socket::open(family).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => IcmpProblem::NoPermission { family: number },
            _ => IcmpProblem::Failed { family: number, reason: error.to_string() },
        })?;
        self.asks.set_room(family, socket.room());
        *place = Some(socket);
        Ok(())
    }

    fn send(&mut self, departure: &Departure) {
        let Departure { to, sequence, token, hops } = *departure;
        let socket = match Family::of(to.ip()) {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let Some(socket) = socket else { return self.asks.handle_not_sent(departure) };
        for _ in 0..SEND_TRIES {
            self.asks.handle_sent(departure, Instant::now());
            match socket.send(to, sequence, token, hops) {
                Ok(()) => return,
                Err(error) => tracing::trace!(%error, "an echo request was not taken"),
            }
        }
        self.asks.handle_not_sent(departure);
    }
}

fn hear(asks: &mut Asks, received: &Received) {
    match received.heard {
        Heard::Reply { sequence, token, .. } => {
            let now = Instant::now();
            let at = now.checked_sub(received.age).unwrap_or(now);
            asks.handle_reply(received.from, sequence, token, at);
        }
        Heard::Refused { refusal, to, sequence, .. } => asks.handle_refused(refusal, received.from, to, sequence),
    }
}

async fn ready(socket: Option<&Socket>) {
    match socket {
        Some(socket) => socket.ready().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// Asks each address once and says how long each took to answer, if it did: what `fping -c1` does, by the engine that
/// the running agent uses, with its pacing and its bounds. For benchmarks; needs a runtime with time and I/O.
///
/// # Errors
/// When the system lets nobody send.
pub async fn ping_once(addresses: &[IpAddr], timeout: Duration) -> Result<Vec<Option<Duration>>, IcmpProblem> {
    let mut engine = Engine::default();
    for (key, address) in (0..).zip(addresses) {
        let to = SocketAddr::new(*address, 0);
        engine.begin(key, Ask { to, count: 1, apart: Duration::ZERO, timeout, hops: None })?;
    }
    let mut trips = vec![None; addresses.len()];
    for _ in addresses {
        let (key, outcome) = engine.next().await;
        let trip = outcome.trips_ms.first().filter(|trip| trip.is_finite());
        if let Some(place) = usize::try_from(key).ok().and_then(|key| trips.get_mut(key)) {
            *place = trip.map(|trip| Duration::from_secs_f32(trip / 1_000.0));
        }
    }
    Ok(trips)
}
