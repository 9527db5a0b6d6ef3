//! Which agents are connected, by which certificate: a device has one stream, and the newest is the one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::figures;

/// Why a stream is ended by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The device has begun another stream.
    Superseded,
    /// Its certificate was revoked.
    Revoked,
    /// The collector's clock was set: the agent's must be measured against it anew.
    ClockSet,
    /// The collector stops.
    Stopping,
}

/// Superseded generations of one device that are remembered while it is connected: a twin comes back within a minute.
const BEFORE_MAX: usize = 8;

/// Two agents run with one device's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin;

/// The streams that are open.
#[derive(Debug, Default)]
pub struct Registry(Mutex<Streams>);

#[derive(Debug, Default)]
struct Streams {
    by_device: HashMap<String, Entry>,
    next: u64,
    stopping: bool,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    serial: String,
    generation: u64,
    /// Those whose streams it and its predecessors have superseded, the latest last.
    before: VecDeque<u64>,
    end: watch::Sender<Option<End>>,
}

/// A stream's place; it is left by dropping it.
#[derive(Debug)]
pub struct Place {
    registry: Arc<Registry>,
    device: String,
    id: u64,
    /// Says when to end, and why.
    pub end: watch::Receiver<Option<End>>,
}

impl Registry {
    /// Takes the device's place for a new stream of this generation. An older stream of the same device is told to end; wait for it by
    /// [`Older::gone`], so that its last batches are settled before the new one begins.
    ///
    /// # Errors
    /// When two agents run with the device's certificate: one agent never goes back to a generation that a later one of
    /// its own has superseded. The stream that is open stays, or the two would supersede each other all day.
    pub fn enter(
        self: &Arc<Self>,
        device: &str,
        serial: &str,
        generation: u64,
    ) -> Result<(Place, Option<Older>), Twin> {
        let mut streams = self.lock();
        let mut before = VecDeque::new();
        if let Some(open) = streams.by_device.get(device) {
            if open.before.contains(&generation) {
                return Err(Twin);
            }
            before.clone_from(&open.before);
            if open.generation != generation {
                before.push_back(open.generation);
            }
            while before.len() > BEFORE_MAX {
                before.pop_front();
            }
        }
        streams.next += 1;
        let id = streams.next;
        let (end, told) = watch::channel(streams.stopping.then_some(End::Stopping));
        let entry = Entry { id, serial: serial.to_owned(), generation, before, end };
        let older = streams.by_device.insert(device.to_owned(), entry).map(|older| {
            older.end.send_replace(Some(End::Superseded));
            Older(older.end)
        });
        figures::streams(streams.by_device.len());
        drop(streams);
        let place = Place { registry: Arc::clone(self), device: device.to_owned(), id, end: told };
        Ok((place, older))
    }

    /// Whether a device has a stream.
    #[must_use]
    pub fn is_connected(&self, device: &str) -> bool {
        self.lock().by_device.contains_key(device)
    }

    /// Ends the streams whose certificates `is_revoked` names; says how many there were.
    pub fn end_revoked(&self, is_revoked: impl Fn(&str) -> bool) -> usize {
        let streams = self.lock();
        let mut count = 0;
        for entry in streams.by_device.values().filter(|entry| is_revoked(&entry.serial)) {
            entry.end.send_replace(Some(End::Revoked));
            count += 1;
        }
        count
    }

    /// Ends all streams, and whatever else comes.
    pub fn end_all(&self) {
        let mut streams = self.lock();
        streams.stopping = true;
        streams.tell(End::Stopping);
    }

    /// Ends all streams; agents begin new ones with a hello that bears their time.
    pub fn end_for_clock(&self) {
        self.lock().tell(End::ClockSet);
    }

    /// How many streams are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().by_device.len()
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn tell(&self, end: End) {
        for entry in self.by_device.values() {
            entry.end.send_replace(Some(end));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self.registry.lock();
        if streams.by_device.get(&self.device).is_some_and(|entry| entry.id == self.id) {
            streams.by_device.remove(&self.device);
        }
        figures::streams(streams.by_device.len());
    }
}

/// A stream that was told to end.
#[derive(Debug)]
pub struct Older(watch::Sender<Option<End>>);

impl Older {
    /// Waits until it has.
    pub async fn gone(self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_stream_ends_the_older_one_and_keeps_the_place() {
        let registry = Arc::new(Registry::default());
        let (first, older) = registry.enter("d1", "01", 1).unwrap();
        assert!(older.is_none());
        let (second, older) = registry.enter("d1", "02", 2).unwrap();
        assert_eq!(*first.end.borrow(), Some(End::Superseded));
        drop(first);
        older.unwrap().gone().await;
        assert_eq!(registry.count(), 1);
        assert_eq!(*second.end.borrow(), None);
        drop(second);
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn a_clock_that_was_set_ends_the_streams_of_now_and_not_those_that_follow() {
        let registry = Arc::new(Registry::default());
        let (before, _) = registry.enter("d1", "01", 1).unwrap();
        registry.end_for_clock();
        let (after, _) = registry.enter("d2", "02", 1).unwrap();
        assert_eq!(*before.end.borrow(), Some(End::ClockSet));
        assert_eq!(*after.end.borrow(), None);
    }

    #[test]
    fn two_agents_with_one_certificate_are_noticed_when_the_first_comes_back() {
        let registry = Arc::new(Registry::default());
        let (_original, _) = registry.enter("d1", "01", 7).unwrap();
        let (copy, _) = registry.enter("d1", "01", 8).unwrap();
        assert_eq!(registry.enter("d1", "01", 7).unwrap_err(), Twin);
        assert_eq!(*copy.end.borrow(), None, "the one that is open stays");
        // One agent: its line breaks, its clock is set again and again, and it never goes back.
        let registry = Arc::new(Registry::default());
        for generation in 0..100 {
            for _ in 0..3 {
                drop(registry.enter("d1", "01", generation).unwrap());
            }
        }
        assert!(!registry.is_connected("d1"));
    }

    #[test]
    fn only_revoked_certificates_lose_their_streams() {
        let registry = Arc::new(Registry::default());
        let (stolen, _) = registry.enter("d1", "01", 1).unwrap();
        let (fine, _) = registry.enter("d2", "02", 1).unwrap();
        assert_eq!(registry.end_revoked(|serial| serial == "01"), 1);
        assert_eq!(*stolen.end.borrow(), Some(End::Revoked));
        assert_eq!(*fine.end.borrow(), None);
    }
}
