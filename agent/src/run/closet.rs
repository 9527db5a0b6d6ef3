//! The task that watches other devices by SNMP, and what the loop has to do with it: it is told what is assigned, and
//! gives samples, which go the spool's way, and states, which go to the collector as they are.

use std::path::PathBuf;

use bellwether_logic::sample::Sample;
use bellwether_proto::v1::agent_message::Body as ToCollector;
use bellwether_proto::v1::{self, Assignments};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Agent;
use crate::privacy::place::Place;
use crate::snmp::settings::Snmp;
use crate::uplink;

mod devices;
mod kept;
mod listener;
mod searcher;
mod watch;

/// States that wait for room on the stream. A stuck line loses the rest, and they are said again afterwards.
const SAYS_MAX: usize = 1_024;

/// What the closet found.
#[derive(Debug)]
pub(super) enum Finding {
    /// How devices are.
    Samples(Vec<Sample>),
    /// What answers at an address.
    Found(v1::Found),
    /// Who hangs on a device.
    Neighborhood(v1::Neighborhood),
}

/// What the closet is told.
#[derive(Debug)]
enum Order {
    /// What to watch.
    Assigned(Assignments),
    /// A stream began: every state is news again.
    SayAgain,
}

/// The loop's end of the task, which ends when this is dropped.
pub(super) struct Closet {
    orders: mpsc::Sender<Order>,
    pub findings: mpsc::Receiver<Finding>,
    task: JoinHandle<()>,
}

impl Closet {
    /// Goes on with what is kept in the state folder.
    fn start(state_dir: PathBuf, settings: Snmp) -> Self {
        let (orders, ordered) = mpsc::channel(4);
        let (sender, findings) = mpsc::channel(1);
        let task = tokio::spawn(watch::Watch::new(state_dir, settings, sender).run(ordered));
        Self { orders, findings, task }
    }

    fn tell(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            // It is said with the next stream.
            tracing::warn!("the closet is too busy to be told something");
        }
    }
}

impl Drop for Closet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for what the closet finds; without one, for ever.
pub(super) async fn from_closet(closet: &mut Option<Closet>) -> Finding {
    let finding = match closet {
        Some(closet) => closet.findings.recv().await,
        None => None,
    };
    match finding {
        Some(finding) => finding,
        None => std::future::pending().await,
    }
}

impl Agent {
    /// Begins to watch by SNMP, if that is wished and the machine is where it belongs.
    pub(super) fn open_closet(&mut self) {
        // The one before lets go of its ports first.
        self.closet = None;
        if self.place == Place::School && self.config.snmp.is_closet() {
            self.closet = Some(Closet::start(self.state_dir.clone(), self.config.snmp.clone()));
        }
    }

    pub(super) fn handle_assignments(&mut self, assignments: &Assignments) {
        if kept::store(&self.state_dir, assignments)
            && let Some(closet) = &self.closet
        {
            closet.tell(Order::Assigned(assignments.clone()));
        }
    }

    pub(super) fn handle_finding(&mut self, finding: Finding) {
        let state = match finding {
            Finding::Samples(samples) => return self.add(samples, |_| ()),
            Finding::Found(found) => ToCollector::Found(found),
            Finding::Neighborhood(neighborhood) => ToCollector::Neighborhood(neighborhood),
        };
        // Without a stream nobody hears it, and the next begins with all of them.
        if !self.uplink.is_up() {
            return;
        }
        if self.says.len() < SAYS_MAX {
            self.says.push_back(state);
            self.may_send = true;
        } else {
            self.says_lost = true;
        }
    }

    /// A stream began.
    pub(super) fn say_states_again(&mut self) {
        self.says.clear();
        self.says_lost = false;
        if let Some(closet) = &self.closet {
            closet.tell(Order::SayAgain);
        }
    }

    /// Sends the next state, if one waits; there is room for it.
    pub(super) fn send_state(&mut self) -> bool {
        let Some(state) = self.says.pop_front() else { return false };
        let outgoing = self.link.as_ref().and_then(|link| link.outgoing.as_ref());
        if outgoing.is_none_or(|outgoing| outgoing.try_send(uplink::message(state)).is_err()) {
            // There was room, so the stream has just ended; its end is the next event.
            self.may_send = false;
        }
        if self.says.is_empty() && std::mem::take(&mut self.says_lost) {
            self.say_states_again();
        }
        true
    }
}
