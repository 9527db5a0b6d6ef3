//! Carries a search out: asks what answered an echo request as whom the configuration says, and keeps what was found.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bellwether_logic::sample::Sample;
use bellwether_logic::time::Timestamp;
use bellwether_proto::v1;

use super::kept;
use crate::reading::{count, sample};
use crate::snmp::Oid;
use crate::snmp::ask::{Client, Trouble};
use crate::snmp::budget::Budget;
use crate::snmp::client::{Login, Patience, Turnstile};
use crate::snmp::poll::{Shared, visit};
use crate::snmp::search::Counts;

/// What is found and nobody has assigned; more than a district has, or something answers everywhere.
const FOUND_MAX: usize = 8_192;

/// sysDescr, which every device has.
const SYS_DESCR: [u32; 8] = [1, 3, 6, 1, 2, 1, 1, 1];

/// What answers SNMP and is not assigned here.
#[derive(Default)]
pub(super) struct Finds {
    known: BTreeMap<SocketAddr, Find>,
    /// Which search it is.
    round: u32,
}

struct Find {
    found: v1::Found,
    round: u32,
}

/// Asks an address once as somebody. None: it takes no such credential, or does not speak SNMP.
pub(super) async fn ask(shared: Arc<Shared>, address: SocketAddr, login: Arc<Login>) -> Option<v1::DeviceFacts> {
    let own = Turnstile::default();
    let once = shared.device(address, &login, Patience::Short, own.clone()).await.ok()?;
    let answer = once.get_next(&[Oid::from(SYS_DESCR)]).await;
    match answer {
        Err(Trouble::NoAnswer) => return None,
        Err(trouble) if trouble.is_for_good() => return None,
        _ => {}
    }
    let device = shared.device(address, &login, Patience::Long, own).await.ok()?;
    let met = visit::meet(&device, &shared, !login.is_v1(), &mut Budget::default()).await.ok()?;
    Some(met.facts())
}

impl Finds {
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// What did not answer the search that ended is not there.
    pub(super) fn end_round(&mut self) {
        self.known.retain(|_, find| find.round == self.round);
    }

    /// Something to say if it is not what was last said.
    pub(super) fn note(&mut self, address: SocketAddr, credential: &str, facts: v1::DeviceFacts) -> Option<v1::Found> {
        let found =
            v1::Found { address: kept::written(address), credential: credential.to_owned(), facts: Some(facts) };
        if self.known.len() >= FOUND_MAX && !self.known.contains_key(&address) {
            return None;
        }
        let before = self.known.insert(address, Find { found: found.clone(), round: self.round });
        before.is_none_or(|before| before.found != found).then_some(found)
    }

    /// It is assigned now.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        self.known.remove(&address);
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.known.keys().copied()
    }

    pub(super) fn get(&self, address: SocketAddr) -> Option<v1::Found> {
        self.known.get(&address).map(|find| find.found.clone())
    }
}

/// The row that tells what a search came to.
pub(super) fn row(counts: Counts, time: Timestamp) -> Sample {
    let fields = vec![
        ("answered", count(counts.answered)),
        ("pinged", count(counts.pinged)),
        ("refused", count(counts.refused)),
        ("searched", count(counts.searched)),
    ];
    sample("snmp_search", Vec::new(), time, fields)
}
