//! The system's side of the echo engine on Windows, where raw sockets are for administrators alone: the system itself
//! sends each request and waits for it, and needs no right for that.
//!
//! A thread waits for each request, so far fewer are under way at once than on one socket, and a closet of thousands
//! takes longer to go through. An answer is stamped when its thread has it.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::packet::{Family, Heard, Refusal};
use crate::windows::{Echo, check_echo, echo};

/// Requests under way at once; each has a thread.
const ROOM: usize = 32;

/// After this the system gives a request up; the engine has given it up before.
const WAIT: Duration = Duration::from_secs(5);

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

impl Socket {
    /// Fails where the system can't send echo requests of this family at all.
    pub(super) fn open(family: Family) -> io::Result<Self> {
        check_echo(matches!(family, Family::V6))?;
        Ok(Self { inbox: Arc::default() })
    }

    /// Requests that may be under way.
    #[expect(clippy::unused_self, reason = "elsewhere it is the socket's buffer that says")]
    pub(super) const fn room(&self) -> usize {
        ROOM
    }

    /// Sends an echo request.
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) fn send(&self, to: SocketAddr, sequence: u16, token: u64, hops: Option<u8>) -> io::Result<()> {
        let inbox = Arc::clone(&self.inbox);
        tokio::task::spawn_blocking(move || {
            let Ok(answer) = echo(to, hops, WAIT) else { return };
            let to = to.ip();
            let refused = |refusal| Heard::Refused { refusal, to, identifier: 0, sequence };
            let (heard, from) = match answer {
                Echo::Reply => (Heard::Reply { identifier: 0, sequence, token }, to),
                Echo::Expired(from) => (refused(Refusal::Expired), from),
                Echo::Unreachable(from) => (refused(Refusal::Unreachable), from),
                Echo::Silence => return,
            };
            let received = Received { heard, from, age: Duration::ZERO };
            inbox.received.lock().unwrap_or_else(PoisonError::into_inner).push_back(received);
            inbox.came.notify_one();
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
