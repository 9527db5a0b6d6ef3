//! Polls the devices that are assigned: who is asked when (`schedule`), and what one poll of one device is (`visit`).
//!
//! Of each device little is kept from one poll to the next: its place, which profiles apply (shared by all that have the
//! same), how many rows its columns have, how quickly it answers, and the counters of its ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Oid;
use super::ask::Trouble;
use super::budget::Budget;
use super::client::{Device, Login, Network, Patience, Turnstile};
use super::profile::{Choice, Pace, Shelf};
use super::rates;
use super::sweep;

pub mod schedule;
pub mod visit;
pub mod vlans;

/// Different choices of profiles that are shared: a district has dozens.
const PLANS_MAX: usize = 512;

/// A device that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id, which its samples bear.
    pub id: Box<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// By the name in the configuration.
    pub credential: Box<str>,
    /// Another agent asks it; here it is only pinged.
    pub witness: bool,
    /// What it must have; empty if that is not known.
    pub serial: Box<str>,
    /// The same, if there is no serial number to compare.
    pub mac: Box<str>,
}

/// What is asked of all devices to which the same profiles apply.
#[derive(Debug)]
pub struct Plan {
    choice: Choice,
    fast: Vec<Oid>,
    slow: Vec<Oid>,
    facts: Vec<Oid>,
}

/// What is known of a device from one poll to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    plan: Option<Arc<Plan>>,
    sweep: Option<sweep::Memory>,
    budget: Budget,
    look: Option<Box<rates::Look>>,
    /// Whether it was seen that the device is the one that is meant, since it last was away.
    known: bool,
    /// Whether it gave no answer to the last poll.
    silent: bool,
}

/// What all polls share.
pub struct Shared {
    network: Network,
    shelf: Shelf,
    plans: Mutex<BTreeMap<String, Arc<Plan>>>,
}

impl Target {
    /// Whether nobody knows how to log in to it: others told of it.
    #[must_use]
    pub const fn is_only_pinged(&self) -> bool {
        self.credential.is_empty() && !self.witness
    }
}

impl Memory {
    /// Whether it gave no answer to the last poll: nothing large is worth asking.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// What a slow poll begins with: it keeps no counters and no rows.
    #[must_use]
    pub fn for_slow(&self) -> Self {
        Self { budget: self.budget.clone(), ..Self::default() }
    }

    /// Takes over what a slow poll learned: which profiles apply, and whether it is the device. Which columns it has is
    /// seen anew.
    pub fn learn(&mut self, slow: Self) {
        self.plan = slow.plan;
        self.known = slow.known;
        self.sweep = None;
    }
}

impl Shared {
    /// With the profiles that are built in and those of a folder. A folder with a fault in it is not used, and the fault is
    /// said.
    ///
    /// # Panics
    /// Never: a test reads the profiles that are built in.
    #[must_use]
    pub fn new(profiles: &Path) -> Self {
        let shelf = Shelf::with_folder(profiles).unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder of profiles is not used");
            Shelf::built_in().expect("a test reads them")
        });
        Self { network: Network::default(), shelf, plans: Mutex::default() }
    }

    /// A device that is asked in the common way.
    ///
    /// # Errors
    /// If there is no socket to be had.
    pub async fn device(
        &self,
        address: SocketAddr,
        login: &Login,
        patience: Patience,
        turnstile: Turnstile,
    ) -> Result<Device, Trouble> {
        self.network.device_with(address, login, patience, turnstile).await
    }

    /// The plan for these profiles, shared with whoever has the same.
    fn plan(&self, choice: Choice) -> Arc<Plan> {
        let key = choice.names().collect::<Vec<_>>().join(",");
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&key) {
            return Arc::clone(plan);
        }
        let (fast, slow, facts) = (choice.wanted(Pace::Fast), choice.wanted(Pace::Slow), choice.wanted_facts());
        let plan = Arc::new(Plan { choice, fast, slow, facts });
        if plans.len() < PLANS_MAX {
            plans.insert(key, Arc::clone(&plan));
        }
        plan
    }
}
