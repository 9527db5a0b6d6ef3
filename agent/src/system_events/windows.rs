//! What the service manager of Windows says: stop, the machine shuts down, sleeps, woke.
//!
//! The system calls back on a thread of its own and waits for that call, a few seconds at most: before the machine
//! sleeps this is what keeps it awake until the goodbye is out. Laptops with modern standby never sleep in this sense
//! and tell a service nothing; they are silent for a while, which portables may be.

use std::sync::mpsc;
use std::time::Duration;

use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use windows_service::service::{PowerEventParam, ServiceControl, ServiceControlAccept};
use windows_service::service_control_handler::ServiceControlHandlerResult;

use super::{Hold, SystemEvent};
use crate::GoodbyeReason;

/// The system waits two seconds for those who are told that it sleeps.
/// <https://learn.microsoft.com/en-us/windows/win32/power/pbt-apmsuspend>
const SLEEP_WAIT: Duration = Duration::from_millis(1_500);

/// More than can come in a row before the loop takes them.
const MAX_WAITING: usize = 8;

/// The end at which controls come in.
pub struct Controls {
    events: tokio::sync::mpsc::Sender<SystemEvent>,
}

impl Controls {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, impl Stream<Item = SystemEvent> + Send) {
        let (events, receiver) = tokio::sync::mpsc::channel(MAX_WAITING);
        (Self { events }, ReceiverStream::new(receiver))
    }

    /// What the service manager is to tell. Before a shutdown, because then the network is still there.
    #[must_use]
    pub fn accepted() -> ServiceControlAccept {
        ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN | ServiceControlAccept::POWER_EVENT
    }

    /// Nothing any more.
    #[must_use]
    pub fn none() -> ServiceControlAccept {
        ServiceControlAccept::empty()
    }

    /// Takes one control.
    #[must_use]
    pub fn handle(&self, control: &ServiceControl) -> ServiceControlHandlerResult {
        let (event, hold) = match control {
            ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
            ServiceControl::Stop => (SystemEvent::Stop(GoodbyeReason::GoodbyeStop), None),
            ServiceControl::Preshutdown | ServiceControl::Shutdown => {
                (SystemEvent::Stop(GoodbyeReason::GoodbyeShutdown), None)
            }
            ServiceControl::PowerEvent(PowerEventParam::Suspend) => {
                let (guard, released) = mpsc::channel::<()>();
                let reason = GoodbyeReason::GoodbyeSleep;
                (SystemEvent::Sleep { reason, hold: Hold::new(guard) }, Some(released))
            }
            // A person woke it, or the clock did; the first comes after the second, and twice is harmless.
            ServiceControl::PowerEvent(PowerEventParam::ResumeAutomatic | PowerEventParam::ResumeSuspend) => {
                (SystemEvent::Woke, None)
            }
            ServiceControl::PowerEvent(_) => return ServiceControlHandlerResult::NoError,
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        // Full means that the loop hangs, and then the system ends it.
        let taken = self.events.try_send(event).is_ok();
        if let Some(released) = hold.filter(|_| taken) {
            // Ends when the guard is dropped.
            let _ = released.recv_timeout(SLEEP_WAIT);
        }
        ServiceControlHandlerResult::NoError
    }
}
