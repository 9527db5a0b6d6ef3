//! Hands on a device: reads its health, keeps the readings in a bounded spool, and brings them to the collector.
//!
//! The way of a reading is one direction: `source` or `probe` -> sample -> batch -> `spool` -> `uplink`. What comes
//! back (an acknowledgement, a pace) is a new input of the one loop in `run`. Nothing here listens on a port, runs a
//! command for anyone, or learns anything about a person.
//!
//! The library keeps no process-wide state, so that the collector can run an agent for its own machine beside
//! everything else; signals are the binary's business.

pub mod block;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod enrol;
pub mod gather;
pub mod generalize;
pub mod hardware;
pub mod host;
pub mod hwmon;
#[cfg(any(target_os = "macos", test))]
mod macos;
pub mod privacy;
pub mod private;
pub mod probe;
pub mod reading;
pub mod remote;
pub mod renewal;
pub mod run;
pub mod schema;
pub mod show;
pub mod snmp;
pub mod source;
pub mod spool;
pub mod state;
pub mod system_events;
pub mod tls;
pub mod uplink;
pub mod vitals;
#[cfg(any(windows, test))]
mod windows;

pub use bellwether_proto::v1::GoodbyeReason;
pub use enrol::{EnrolError, Enrolled, Enrolment, enrol};
pub use run::{RunError, Settings, run};
pub use system_events::SystemEvent;
