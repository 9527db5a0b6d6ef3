//! One question on the wire: sent, waited for, sent again. The library would do this with one wait for all devices; and it
//! would take for silence that this program was too busy to read what had come.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use async_snmp::{Candidate, Error, ReceiveLimits, RequestRegistration, Result, Transport, UdpHandle};
use prost::bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::{Patience, Turnstile};

/// A timer that rings later than this shows that this program was busy: answers may lie unread.
const LATE: Duration = Duration::from_millis(100);
/// So often in one question it is waited a little longer for that.
const LATE_MAX: u32 = 50;
/// The library's own end of a question: later than any of ours.
pub(super) const END: Duration = Duration::from_secs(60);

/// The way to one device.
pub(super) struct Wire {
    pub handle: UdpHandle,
    pub patience: Patience,
    pub own: Turnstile,
}

impl Transport for Wire {
    fn send(&self, data: &[u8]) -> impl Future<Output = Result<()>> + Send {
        self.handle.send(data)
    }

    async fn request_with<T, F>(&self, data: &[u8], registration: RequestRegistration, validate: F) -> Result<T>
    where
        T: Send,
        F: FnMut(Bytes, SocketAddr) -> Result<Candidate<T>> + Send,
    {
        let begun = Instant::now();
        let mut answer = pin!(self.handle.request_with(data, registration, validate));
        let (mut sent, mut sendings, mut late) = (begun, 1, 0);
        for wait in self.waits() {
            if sendings > 1 {
                sent = Instant::now();
                self.handle.send(data).await?;
            }
            let mut end = sent + wait;
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answer => {
                        if answer.is_ok() {
                            self.own.pace().handle_answer(begun.elapsed(), if sendings > 1 { sent.elapsed() } else { begun.elapsed() });
                        }
                        return answer;
                    }
                    () = sleep_until(end) => {}
                }
                let now = Instant::now();
                if now < end + LATE || late == LATE_MAX {
                    break;
                }
                late += 1;
                end = now + LATE;
            }
            sendings += 1;
        }
        Err(Box::new(Error::Timeout { target: self.peer_addr(), elapsed: begun.elapsed(), retries: sendings - 2 }))
    }

    fn peer_addr(&self) -> SocketAddr {
        self.handle.peer_addr()
    }

    fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    fn is_reliable(&self) -> bool {
        false
    }

    fn receive_limits(&self) -> ReceiveLimits {
        self.handle.receive_limits()
    }

    fn send_capacity(&self) -> usize {
        self.handle.send_capacity()
    }
}

impl Wire {
    fn waits(&self) -> impl Iterator<Item = Duration> + use<> {
        let once = match self.patience {
            Patience::Long => None,
            Patience::Short => Some([super::SHORT_WAIT; super::SHORT_SENDINGS]),
        };
        let usual = once.is_none().then(|| self.own.pace().waits());
        usual.into_iter().flatten().chain(once.into_iter().flatten())
    }
}
