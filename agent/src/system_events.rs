//! What the system says to the agent: stop, the machine goes to sleep, it woke.
//!
//! A machine that says goodbye is not missing. So whatever knows beforehand that the machine will be gone is listened
//! to here, and becomes one closed kind of event; the loop knows no signals, no D-Bus and no service control.

use std::fmt;
use std::future::Future;

use tokio_stream::{Stream, StreamExt};

use crate::GoodbyeReason;

#[cfg(target_os = "linux")]
mod dbus;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
pub mod windows;

/// One thing that the system says.
#[derive(Debug)]
pub enum SystemEvent {
    /// The agent is to end, and why.
    Stop(GoodbyeReason),
    /// The machine will be gone in a moment, and the agent goes on afterwards. `hold` is dropped when the goodbye is out.
    Sleep {
        /// Why.
        reason: GoodbyeReason,
        /// What keeps the machine awake until then.
        hold: Hold,
    },
    /// It is back.
    Woke,
}

/// Keeps the machine awake for a moment; dropping it lets go.
pub struct Hold(Option<Box<dyn Send>>);

impl Hold {
    /// Dropping `guard` lets the machine go.
    pub fn new(guard: impl Send + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// Nothing keeps it.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hold(yes)" } else { "Hold(no)" })
    }
}

/// The events of an agent whose end alone somebody else decides, as when it is a part of another program.
pub fn until(end: impl Future<Output = GoodbyeReason> + Send) -> impl Stream<Item = SystemEvent> + Send {
    futures_util::stream::once(end).map(SystemEvent::Stop)
}

/// What this machine's own system says. Signals are taken over: for the agent's program, not for a part of another one.
///
/// # Errors
/// When the system gives no signals.
#[cfg(target_os = "linux")]
pub fn of_the_system() -> std::io::Result<impl Stream<Item = SystemEvent> + Send + use<>> {
    linux::listen().map(tokio_stream::wrappers::ReceiverStream::new)
}

/// What this machine's own system says: here, that somebody wants the agent to end.
///
/// # Errors
/// When the system gives no signals.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn of_the_system() -> std::io::Result<impl Stream<Item = SystemEvent> + Send + use<>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(until(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        GoodbyeReason::GoodbyeStop
    }))
}

/// What this machine's own system says: here, that somebody at the keyboard wants the agent to end.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn of_the_system() -> std::io::Result<impl Stream<Item = SystemEvent> + Send + use<>> {
    Ok(until(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => GoodbyeReason::GoodbyeStop,
            Err(_) => std::future::pending().await,
        }
    }))
}
