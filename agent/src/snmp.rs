//! Watching by SNMP what can't run an agent: switches, access points, printers, UPSes, projectors.
//!
//! The way is one direction: `client` (bytes to our types) -> `walk` (decides what is asked next) -> `answers` (what a
//! device said) -> what that means. Nothing here sets anything on a device.

pub mod answers;
pub mod ask;
pub mod budget;
pub mod client;
pub mod credential;
pub mod doctor;
mod drive;
pub mod facts;
pub mod look;
pub mod measurements;
pub mod neighborhood;
pub mod oid;
pub mod poll;
pub mod profile;
pub mod rates;
pub mod recording;
pub mod search;
pub mod settings;
pub mod sweep;
pub mod traps;
pub mod value;
pub mod walk;

pub use answers::Answers;
pub use oid::Oid;
pub use value::Value;
