//! The system's side of the echo engine on Windows, where raw sockets are for administrators alone: the system itself
//! sends each request (`IcmpSendEcho2Ex`, `Icmp6SendEcho2`) and needs no right for it.
//!
//! A task waits for each request, so far fewer are under way at once than on one socket, and a closet of thousands takes
//! longer to go through. An answer is stamped when its task got it. Addresses that are only valid on one link can't be
//! asked: the system's function takes no link.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ping_async::{IcmpEchoReply, IcmpEchoRequestor, IcmpEchoStatus};
use tokio::sync::Notify;

use super::packet::{Family, Heard, Refusal};

/// Requests under way at once. The system waits for each with a registered wait, of which a thread takes 63.
const ROOM: usize = 128;

/// After this the system gives a request up; the engine has given it up before.
const WAIT: Duration = Duration::from_secs(10);

/// What came in.
pub(super) struct Received {
    pub heard: Heard,
    pub from: IpAddr,
    /// How long it has lain here.
    pub age: Duration,
}

pub(super) struct Socket {
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    received: Mutex<VecDeque<Received>>,
    came: Notify,
}

/// What was asked.
struct Asked {
    to: IpAddr,
    sequence: u16,
    token: u64,
}

impl Socket {
    /// Fails where the system can't send echo requests of this family at all.
    pub(super) fn open(family: Family) -> io::Result<Self> {
        let here = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        IcmpEchoRequestor::new(here, None, None, None)?;
        Ok(Self { inbox: Arc::default() })
    }

    /// Requests that may be under way.
    #[expect(clippy::unused_self, reason = "elsewhere it is the socket's buffer that says")]
    pub(super) const fn room(&self) -> usize {
        ROOM
    }

    /// Sends an echo request.
    pub(super) fn send(&self, to: SocketAddr, sequence: u16, token: u64, hops: Option<u8>) -> io::Result<()> {
        let requestor = IcmpEchoRequestor::new(to.ip(), None, hops, Some(WAIT))?;
        let asked = Asked { to: to.ip(), sequence, token };
        let inbox = Arc::clone(&self.inbox);
        tokio::spawn(async move {
            if let Some(received) = requestor.send().await.ok().and_then(|reply| asked.heard(&reply)) {
                inbox.received.lock().unwrap_or_else(PoisonError::into_inner).push_back(received);
                inbox.came.notify_one();
            }
        });
        Ok(())
    }

    /// Waits until something is there.
    pub(super) async fn ready(&self) {
        while self.inbox.received.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.inbox.came.notified().await;
        }
    }

    /// Hands over at most `most` answers that are there.
    pub(super) fn take(&self, most: usize, take: impl FnMut(Received)) {
        let mut received = self.inbox.received.lock().unwrap_or_else(PoisonError::into_inner);
        let count = received.len().min(most);
        received.drain(..count).for_each(take);
    }
}

impl Asked {
    /// None if nobody said anything. A router at which the request expired is told as a timeout with its address.
    fn heard(&self, reply: &IcmpEchoReply) -> Option<Received> {
        let from = reply.destination();
        let refused = |refusal| Heard::Refused { refusal, to: self.to, identifier: 0, sequence: self.sequence };
        let heard = match reply.status() {
            IcmpEchoStatus::Success => Heard::Reply { identifier: 0, sequence: self.sequence, token: self.token },
            IcmpEchoStatus::TimedOut if from != self.to => refused(Refusal::Expired),
            IcmpEchoStatus::Unreachable => refused(Refusal::Unreachable),
            IcmpEchoStatus::TimedOut | IcmpEchoStatus::Unknown => return None,
        };
        Some(Received { heard, from, age: Duration::ZERO })
    }
}
