//! What one agent is told to watch: the whole list, at the start of a stream and when it has changed.
//!
//! Only closets are told: agents that find or watch something. The addresses that the district manages go with the list;
//! that one more laptop was connected is no reason to say it all at once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_proto::MAX_MESSAGE_BYTES;
use bellwether_proto::v1::{Assignment, Assignments, CollectorMessage, collector_message};
use prost::Message;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::figures;
use crate::health::Health;
use crate::inventory::Inventory;

/// Between two lists for one agent: a building whose devices are accepted one after the other is told a few times.
const PAUSE: Duration = Duration::from_secs(3);

/// Between two lists that differ in nothing but managed addresses: they matter to what switches have learned, which is
/// read every half an hour.
const ADDRESSES_PAUSE: Duration = Duration::from_secs(600);

/// What a list may take of a message; the rest is for its frame.
const BYTES_MAX: usize = MAX_MESSAGE_BYTES - 1_024;

/// What does not fit into what agents are told, by agent: shown to the admin until it fits.
#[derive(Debug)]
pub(super) struct Overflow {
    by_agent: Mutex<BTreeMap<String, LeftOut>>,
    health: Arc<Health>,
}

/// What found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct LeftOut {
    devices: usize,
    addresses: usize,
}

impl Overflow {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { by_agent: Mutex::default(), health }
    }

    fn note(&self, device: &str, left_out: LeftOut) {
        let mut by_agent = self.by_agent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if left_out == LeftOut::default() {
            by_agent.remove(device)
        } else {
            figures::refused_many("assignments_bound", left_out.devices);
            figures::refused_many("managed_addresses_bound", left_out.addresses);
            by_agent.insert(device.to_owned(), left_out)
        };
        if before.unwrap_or_default() == left_out {
            return;
        }
        if by_agent.is_empty() {
            self.health.well(PART);
        } else {
            let LeftOut { devices, addresses } = by_agent.values().max().copied().unwrap_or_default();
            let agents = by_agent.keys().take(5).cloned().collect::<Vec<_>>().join(", ");
            self.health.trouble(PART, if devices > 0 {
                format!("closets ({agents}) can't be told of up to {devices} devices: add a closet")
            } else {
                // Another closet would be told the same.
                format!("closets ({agents}) can't be told {addresses} managed addresses: the map does not show what has them")
            });
        }
    }
}

/// As it is called where the collector's own troubles are shown.
const PART: &str = "what closets are told";

/// The list of one stream.
pub(super) struct Watchlist {
    inventory: Arc<Inventory>,
    changes: watch::Receiver<u64>,
    is_closet: bool,
    /// Something may have changed since the last look.
    is_stale: bool,
    not_before: Instant,
    /// What was told last: the assignments, the addresses, and when.
    told: Option<(u64, u64, Instant)>,
    due: Option<Assignments>,
    overflow: Arc<Overflow>,
}

impl Watchlist {
    /// For an agent whose stream begins.
    pub(super) fn new(inventory: &Arc<Inventory>, overflow: &Arc<Overflow>, device: &str) -> Self {
        Self {
            changes: inventory.changes(),
            is_closet: inventory.is_closet(device),
            inventory: Arc::clone(inventory),
            is_stale: true,
            not_before: Instant::now(),
            told: None,
            due: None,
            overflow: Arc::clone(overflow),
        }
    }

    /// The agent has found something: it is a closet, and is told what to watch.
    pub(super) fn note_closet(&mut self) {
        if !self.is_closet {
            self.is_closet = true;
            self.is_stale = true;
            self.not_before = Instant::now();
        }
    }

    /// Resolves when it is time to look whether the list has changed.
    pub(super) async fn changed(&mut self) {
        if !self.is_stale {
            // The inventory goes only with the program.
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.is_stale = true;
        }
        tokio::time::sleep_until(self.not_before).await;
    }

    /// Looks whether there is another list to tell.
    pub(super) fn look_up(&mut self, device: &str) {
        self.is_stale = false;
        self.changes.mark_unchanged();
        let now = Instant::now();
        self.not_before = now + PAUSE;
        // One that was no closet when its stream began may have been made one since.
        self.is_closet = self.is_closet || self.inventory.is_closet(device);
        if !self.is_closet {
            self.not_before = now + ADDRESSES_PAUSE;
            return;
        }
        let assignments = self.inventory.assignments(device);
        let managed = self.inventory.managed_macs();
        let (list, addresses) = (digest(&keys(&assignments)), digest(&managed));
        if let Some((told, told_addresses, at)) = self.told
            && told == list
            && (told_addresses == addresses || now < at + ADDRESSES_PAUSE)
        {
            return;
        }
        self.told = Some((list, addresses, now));
        let (message, left_out) = fitted(assignments, &managed);
        self.overflow.note(device, left_out);
        self.due = Some(message);
    }

    /// Whether there is something to say.
    pub(super) const fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// What to say.
    pub(super) fn take(&mut self) -> Option<CollectorMessage> {
        let body = collector_message::Body::Assignments(self.due.take()?);
        Some(CollectorMessage { body: Some(body) })
    }
}

/// As much as a message holds, what is asked first; and how much that leaves out.
fn fitted(assignments: Vec<Assignment>, managed: &[String]) -> (Assignments, LeftOut) {
    let mut room = BYTES_MAX;
    let mut fits = |bytes: usize| {
        // A tag, and a length of at most three bytes.
        let fits = bytes + 4 <= room;
        room = if fits { room - bytes - 4 } else { 0 };
        fits
    };
    let count = assignments.len();
    let message = Assignments {
        assignments: assignments.into_iter().take_while(|one| fits(one.encoded_len())).collect(),
        managed_macs: managed.iter().take_while(|mac| fits(mac.len())).cloned().collect(),
    };
    let left_out =
        LeftOut { devices: count - message.assignments.len(), addresses: managed.len() - message.managed_macs.len() };
    (message, left_out)
}

fn keys(assignments: &[Assignment]) -> Vec<Vec<u8>> {
    assignments.iter().map(Message::encode_to_vec).collect()
}

fn digest(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_logic::time::Timestamp;
    use bellwether_proto::record::v1::{DeviceChanged, Watch};

    fn switch(id: &str, agent: &str) -> DeviceChanged {
        DeviceChanged {
            device_id: id.into(),
            class: "switch".into(),
            state: "in_use".into(),
            watch: Some(Watch { agent: agent.into(), address: "10.0.0.2".into(), ..Watch::default() }),
            ..DeviceChanged::default()
        }
    }

    fn watchlist(inventory: &Arc<Inventory>, device: &str) -> Watchlist {
        Watchlist::new(inventory, &Arc::new(Overflow::new(Arc::default())), device)
    }

    fn told(watchlist: &mut Watchlist) -> Option<usize> {
        watchlist.look_up("d1");
        match watchlist.take()?.body? {
            collector_message::Body::Assignments(list) => Some(list.assignments.len()),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_closet_is_told_at_the_start_and_when_its_list_changes_and_others_never() {
        let inventory = Arc::new(Inventory::default());
        let mut laptop = watchlist(&inventory, "d9");
        assert_eq!(told(&mut laptop), None);
        inventory.put(Timestamp(0), &switch("sw1", "d1"));
        let mut closet = watchlist(&inventory, "d1");
        assert_eq!(told(&mut closet), Some(1));
        assert_eq!(told(&mut closet), None, "told once");
        inventory.put(Timestamp(0), &switch("sw2", "d1"));
        closet.changed().await;
        assert_eq!(told(&mut closet), Some(2));
        inventory.put(Timestamp(0), &DeviceChanged { state: "retired".into(), ..switch("sw1", "d1") });
        inventory.put(Timestamp(0), &DeviceChanged { state: "retired".into(), ..switch("sw2", "d1") });
        closet.changed().await;
        assert_eq!(told(&mut closet), Some(0), "it must stop");
    }

    #[tokio::test(start_paused = true)]
    async fn one_more_managed_address_is_told_later() {
        let inventory = Arc::new(Inventory::default());
        inventory.put(Timestamp(0), &switch("sw1", "d1"));
        let mut closet = watchlist(&inventory, "d1");
        assert_eq!(told(&mut closet), Some(1));
        inventory.put_machines([("3c:52:82:00:00:09".to_owned(), "d7".to_owned())].into());
        assert_eq!(told(&mut closet), None);
        tokio::time::advance(ADDRESSES_PAUSE).await;
        assert_eq!(told(&mut closet), Some(1));
    }

    #[test]
    fn what_does_not_fit_is_shown_until_it_does() {
        let health: Arc<Health> = Arc::default();
        let overflow = Overflow::new(Arc::clone(&health));
        let left_out = |devices, addresses| LeftOut { devices, addresses };
        overflow.note("d1", left_out(7, 0));
        overflow.note("d2", left_out(0, 3));
        assert!(health.troubles()[0].1.contains("of up to 7 devices: add a closet"), "{:?}", health.troubles());
        overflow.note("d1", left_out(0, 0));
        assert!(health.troubles()[0].1.starts_with("closets (d2) can't be told 3 managed"), "{:?}", health.troubles());
        overflow.note("d2", left_out(0, 0));
        assert!(health.troubles().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_what_is_asked_comes_first() {
        let one = Assignment { device_id: "d123456789".into(), address: "10.0.0.2".into(), ..Assignment::default() };
        let managed: Vec<String> = (0..60_000).map(|number| format!("3c:52:82:{number:08}")).collect();
        let (message, left_out) = fitted(vec![one; 5_000], &managed);
        assert_eq!(message.assignments.len(), 5_000);
        assert_eq!(left_out.devices, 0);
        assert!(left_out.addresses > 0 && message.managed_macs.len() + left_out.addresses == 60_000);
        assert!(message.encoded_len() <= MAX_MESSAGE_BYTES);
        assert_eq!(fitted(Vec::new(), &managed[..10]).1, LeftOut::default());
    }
}
