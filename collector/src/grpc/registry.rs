//! Which agents are connected, by which certificate: a device has one stream, and the newest is the one.

use std::collections::HashMap;
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
    /// Takes the device's place for a new stream. An older stream of the same device is told to end; wait for it by
    /// [`Older::gone`], so that its last batches are settled before the new one begins.
    #[must_use]
    pub fn enter(self: &Arc<Self>, device: &str, serial: &str) -> (Place, Option<Older>) {
        let mut streams = self.lock();
        streams.next += 1;
        let id = streams.next;
        let (end, told) = watch::channel(streams.stopping.then_some(End::Stopping));
        let entry = Entry { id, serial: serial.to_owned(), end };
        let older = streams.by_device.insert(device.to_owned(), entry).map(|older| {
            older.end.send_replace(Some(End::Superseded));
            Older(older.end)
        });
        figures::streams(streams.by_device.len());
        drop(streams);
        let place = Place { registry: Arc::clone(self), device: device.to_owned(), id, end: told };
        (place, older)
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
        let (first, older) = registry.enter("d1", "01");
        assert!(older.is_none());
        let (second, older) = registry.enter("d1", "02");
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
        let (before, _) = registry.enter("d1", "01");
        registry.end_for_clock();
        let (after, _) = registry.enter("d2", "02");
        assert_eq!(*before.end.borrow(), Some(End::ClockSet));
        assert_eq!(*after.end.borrow(), None);
    }

    #[test]
    fn only_revoked_certificates_lose_their_streams() {
        let registry = Arc::new(Registry::default());
        let (stolen, _) = registry.enter("d1", "01");
        let (fine, _) = registry.enter("d2", "02");
        assert_eq!(registry.end_revoked(|serial| serial == "01"), 1);
        assert_eq!(*stolen.end.borrow(), Some(End::Revoked));
        assert_eq!(*fine.end.borrow(), None);
    }
}
