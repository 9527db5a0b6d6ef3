//! What the system says to the agent: stop, the machine goes to sleep, it woke.
//!
//! A machine that says goodbye is not missing. So whatever knows beforehand that the machine will be gone is listened
//! to here, and becomes one closed kind of event; the loop knows no signals, no D-Bus and no service control.

use std::fmt;
use std::future::Future;

use tokio_stream::{Stream, StreamExt};

use crate::GoodbyeReason;

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
