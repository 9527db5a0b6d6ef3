//! What a Windows machine tells, natively, in the measurements that the sources declare.
//!
//! Every reader here is a plain function over [`Facts`]: what the system answered, in its own words and units. So the
//! readers are built and tested on every system, with machines recorded in `fixtures/windows`, and only `live`, which
//! asks the system, exists on Windows alone. There the readers take the place of the sources of their names; what has no
//! reader says that this version does not read it on Windows.
//!
//! Adding one: a file with its `read` and a line in `READERS`.

use bellwether_logic::time::Timestamp;

use crate::reading::Reading;
use crate::source::{Source, Unread};
use facts::Facts;

mod battery;
mod cpu;
mod disk;
mod diskio;
pub(crate) mod facts;
mod identity;
mod inventory;
#[cfg(windows)]
mod live;
mod mem;
mod net;
mod os;
mod processes;
mod protection;
mod smart;
mod swap;
mod system;
mod time_sync;
mod unexpected;
mod updates;
mod wireless;

#[cfg(windows)]
pub(crate) use identity::{chassis, identity};
#[cfg(windows)]
pub(crate) use live::{Echo, Live, boot_id, check_echo, echo, gateway, name_servers, uptime};

/// Reads one source's samples out of what the system answers.
type Read = fn(&dyn Facts, Timestamp) -> Reading;

/// The sources that are read anew each time, by name. Those that remember something are in [`source`].
const READERS: &[(&str, Read)] = &[
    ("battery", battery::read),
    ("disk", disk::read),
    ("diskio", diskio::read),
    ("mem", mem::read),
    ("net", net::read),
    ("os", os::read),
    ("processes", processes::read),
    ("protection", protection::read),
    ("swap", swap::read),
    ("system", system::read),
    ("time_sync", time_sync::read),
    ("unexpected", unexpected::read),
    ("updates", updates::read),
    ("wireless", wireless::read),
];

/// Sources that read nothing of the system but what is the same everywhere.
const PORTABLE: &[&str] = &["own"];

/// The source of this name on Windows; none if it is the same as elsewhere, which is what `ordinary` makes.
pub(crate) fn source(
    name: &'static str,
    facts: impl Facts + 'static,
    ordinary: impl FnOnce() -> Box<dyn Source>,
) -> Option<Box<dyn Source>> {
    if PORTABLE.contains(&name) {
        return None;
    }
    Some(match READERS.iter().find(|(known, _)| *known == name) {
        Some((_, read)) => Box::new(Plain { name, facts, read: *read }),
        None if name == cpu::NAME => Box::new(cpu::Cpu::new(facts)),
        None if name == inventory::NAME => Box::new(inventory::Inventory::new(facts)),
        None if name == smart::NAME => Box::new(smart::Smart::new(ordinary(), facts)),
        None => Box::new(Unread { name, system: "Windows" }),
    })
}

/// A source that remembers nothing.
struct Plain<F> {
    name: &'static str,
    facts: F,
    read: Read,
}

impl<F: Facts> Source for Plain<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        (self.read)(&self.facts, time)
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
