//! Takes in traps and informs of all versions on one port, and answers informs.
//!
//! Those of versions 1 and 2c, whose word in clear proves nothing, are believed by where they come from; those of version 3
//! must be signed as the credential of their user says, too. Everything else is dropped unanswered; of what is no
//! message at all the library only tells the log.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use async_snmp::SecurityLevel;
use async_snmp::notification::{
    NotificationAcceptance, NotificationEnvelope, NotificationReceiver, NotificationReceiverBuilder,
};
use async_snmp::v3::{
    AuthoritativeEngine, DesSaltState, PersistedAuthoritativeEngine, PersistedDesSaltState, generate_engine_id,
};

use super::{Login, words};
use crate::snmp::Oid;
use crate::snmp::ask::Trouble;
use crate::snmp::credential::{Credential, Protection};
use crate::snmp::traps::Trap;
use crate::state::replace_file;

/// An open port.
pub struct Receiver {
    inner: NotificationReceiver,
    sources: Arc<AtomicU64>,
    levels: Arc<AtomicU64>,
}

/// One trap or inform that is believed; an inform has been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where it came from.
    pub from: IpAddr,
    /// What it says.
    pub trap: Trap,
}

impl Receiver {
    /// Opens the port; only addresses that are `known` are believed.
    ///
    /// # Errors
    /// If the port can't be had, or the engine's file can't be written.
    pub async fn open(
        address: SocketAddr,
        credentials: &[Credential],
        engine: &Path,
        known: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Result<Self, Trouble> {
        let (sources, levels) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut builder = NotificationReceiver::builder().bind(address.to_string());
        let mut users = BTreeMap::new();
        for credential in credentials {
            let Credential::V3(user) = credential else { continue };
            // The first of two credentials of one user is the one that is tried first.
            if users.contains_key(user.name.as_bytes()) {
                continue;
            }
            users.insert(user.name.clone().into_bytes(), least(&user.protection));
            builder = with_user(builder, credential)?;
        }
        if !users.is_empty() {
            let engine = start(engine)?;
            builder = builder.des_salt_state(salt(engine.engine_boots())?).authoritative_engine(engine);
        }
        let counts = (Arc::clone(&sources), Arc::clone(&levels));
        let policy = move |envelope: &NotificationEnvelope<'_>| {
            if !known(envelope.source.ip().to_canonical()) {
                counts.0.fetch_add(1, Ordering::Relaxed);
                return NotificationAcceptance::Reject;
            }
            let wanted = envelope.username.and_then(|user| users.get(user).copied());
            if envelope.security_level < wanted {
                counts.1.fetch_add(1, Ordering::Relaxed);
                return NotificationAcceptance::Reject;
            }
            NotificationAcceptance::Accept
        };
        let inner = builder.acceptance_policy(policy).build().await.map_err(|error| words::trouble(&error))?;
        Ok(Self { inner, sources, levels })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.local_addr()
    }

    /// The next one that is believed.
    ///
    /// # Errors
    /// If the socket failed or the engine's file can't be written; it may be called again.
    pub async fn next(&self) -> Result<Heard, Trouble> {
        loop {
            let received = self.inner.recv().await.map_err(|error| words::trouble(&error))?;
            // One that can't have a name in version 2's form says nothing.
            let Ok(name) = received.notification.trap_oid() else { continue };
            let Ok(name) = Oid::new(name.arcs()) else { continue };
            let bindings = received.notification.varbinds().iter().cloned().filter_map(words::binding).collect();
            return Ok(Heard { from: received.source.ip().to_canonical(), trap: Trap { name, bindings } });
        }
    }

    /// How many came from addresses that are not known.
    #[must_use]
    pub fn refused_sources(&self) -> u64 {
        self.sources.load(Ordering::Relaxed)
    }

    /// How many of version 3 were not signed as they should be: by nobody known, wrongly, or at another time.
    #[must_use]
    pub fn refused_senders(&self) -> u64 {
        let counters = [
            self.inner.usm_unknown_usernames(),
            self.inner.usm_wrong_digests(),
            self.inner.usm_not_in_time_windows(),
            self.inner.usm_unsupported_sec_levels(),
            self.inner.usm_decryption_errors(),
        ];
        counters.iter().map(|count| u64::from(*count)).sum::<u64>() + self.levels.load(Ordering::Relaxed)
    }
}

/// With less than a signature nothing is proven; encryption hides what is said and proves no more.
const fn least(protection: &Protection) -> SecurityLevel {
    match protection {
        Protection::None => SecurityLevel::NoAuthNoPriv,
        _ => SecurityLevel::AuthNoPriv,
    }
}

fn with_user(
    builder: NotificationReceiverBuilder,
    credential: &Credential,
) -> Result<NotificationReceiverBuilder, Trouble> {
    let Credential::V3(user) = credential else { return Ok(builder) };
    let keys = Login::keys(user)?;
    let name = user.name.clone().into_bytes();
    let built = builder.usm_user(name, |person| match keys {
        Some(keys) => person.with_master_keys(keys),
        None => Ok(person),
    });
    built.map_err(|error| Trouble::NotSent(error.to_string()))
}

/// The engine, which has started once more than its file says. One that can't be read is a new engine: whoever sends
/// informs to it finds that out by itself.
fn start(path: &Path) -> Result<AuthoritativeEngine, Trouble> {
    let file: PathBuf = path.to_owned();
    let keep = move |engine: &PersistedAuthoritativeEngine| -> io::Result<()> {
        let id = data_encoding::HEXLOWER.encode(engine.engine_id());
        replace_file(&file, format!("{id} {}\n", engine.engine_boots()).as_bytes(), true)
    };
    let engine = match read(path) {
        Some(before) => AuthoritativeEngine::restart(before, keep),
        None => generate_engine_id().and_then(|id| AuthoritativeEngine::install(id, keep)),
    };
    engine.map_err(|error| words::trouble(&error))
}

/// DES needs a number that a key never meets twice: it begins with how often the engine has started, which is kept.
fn salt(boots: u32) -> Result<DesSaltState, Trouble> {
    let keep = |_: &PersistedDesSaltState| Ok::<(), Infallible>(());
    let salt = match PersistedDesSaltState::new(boots.saturating_sub(1)) {
        Ok(before) => DesSaltState::restart(before, keep),
        Err(_) => DesSaltState::install(keep),
    };
    salt.map_err(|error| Trouble::NotSent(error.to_string()))
}

fn read(path: &Path) -> Option<PersistedAuthoritativeEngine> {
    let text = fs::read_to_string(path).ok()?;
    let (id, boots) = text.trim_end().split_once(' ')?;
    let id = data_encoding::HEXLOWER.decode(id.as_bytes()).ok()?;
    PersistedAuthoritativeEngine::new(id, boots.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_counts_its_starts_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("snmp-engine");
        let first = start(&file).unwrap();
        let second = start(&file).unwrap();
        assert_eq!((first.engine_boots(), second.engine_boots()), (1, 2));
        assert_eq!(first.engine_id(), second.engine_id());
        fs::write(&file, "half a li").unwrap();
        let third = start(&file).unwrap();
        assert_eq!(third.engine_boots(), 1);
        assert_ne!(third.engine_id(), first.engine_id(), "an engine that starts anew is another one");
        assert!(start(Path::new("/nowhere/at/all")).is_err());
    }
}
