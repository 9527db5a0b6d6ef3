//! What a Mac tells: what programs of the system print, in the measurements that the sources declare.
//!
//! No line of it depends on the system that it is built on: it reads by `Host::run`, so all of it is tested everywhere
//! on what these programs print, in `fixtures/macos`. On a Mac these readers take the place of the sources of their
//! names; what has no reader says that this version does not read it there.

use bellwether_logic::time::Timestamp;

use crate::host::Host;
use crate::reading::Reading;
use crate::source::{Source, Unread};

mod battery;
mod disk;
mod mem;
mod net;
mod sysctl;
mod system;

/// Reads one source's samples.
type Read = fn(&Host, Timestamp) -> Reading;

/// By the name of the source.
const READERS: &[(&str, Read)] = &[
    ("battery", battery::read),
    ("disk", disk::read),
    ("mem", mem::read),
    ("net", net::read),
    ("swap", sysctl::swap),
    ("system", system::read),
];

/// Sources that are the same everywhere: the agent's own costs, and what smartctl says.
const PORTABLE: &[&str] = &["own", "smart"];

/// The source of this name on a Mac; none if it is the same as elsewhere.
pub(crate) fn source(name: &'static str, host: &Host) -> Option<Box<dyn Source>> {
    if PORTABLE.contains(&name) {
        return None;
    }
    Some(match READERS.iter().find(|(known, _)| *known == name) {
        Some((_, read)) => Box::new(Printed { name, host: host.clone(), read: *read }),
        None => Box::new(Unread { name, system: "macOS" }),
    })
}

/// A source that remembers nothing.
struct Printed {
    name: &'static str,
    host: Host,
    read: Read,
}

impl Source for Printed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        (self.read)(&self.host, time)
    }
}

#[cfg(test)]
mod tests;
