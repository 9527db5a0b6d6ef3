//! Asks devices over the network: thousands of them on one socket for each family of addresses.
//!
//! Bounded: how many questions are under way in all and to one device, how long one is waited for and how often it is
//! asked again. An answer counts only if it comes from the address that was asked and fits the question; a late one is
//! dropped. The library that speaks SNMP is used here and in `client/words.rs` and nowhere else.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_snmp::transport::UdpTransport;
use async_snmp::v3::{DesSaltState, PersistedDesSaltState};
use async_snmp::{Auth, ClientBuilder, EngineCache, MAX_UDP_PAYLOAD, MasterKeys, Retry, UdpHandle, UsmConfig};
use tokio::sync::{OnceCell, Semaphore};

use super::ask::{Binding, Client, Request, Trouble};
use super::credential::{Credential, Protection};

mod words;

/// How long one transmission is waited for. A busy switch answers within a second; a printer that wakes up needs two.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a question is asked again: two in a row are hardly lost.
pub const RETRIES: u32 = 2;
/// The longest that one question takes with all its retries; to find a device of version 3 takes as long again.
pub const QUESTION_MAX: Duration = Duration::from_secs(7);
/// The least that a device is waited for of which it is known how quickly it answers: a little load, and it is late.
const USUAL_TIMEOUT_MIN: Duration = Duration::from_millis(250);
/// So many times its usual time is waited.
const USUAL_TIMES: u32 = 4;
/// For a device whose usual time is not known.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a known device is asked again. Where a fifth of the packets is lost in each direction, one question in
/// three is; all of so many are lost once in 3,000 times.
const USUAL_RETRIES: u32 = 7;
/// Questions under way to all devices together: with 10 ms each, 50,000 in a second, and little to overflow a buffer.
pub const IN_FLIGHT: usize = 500;
/// Questions under way to one device: the processors of switches are slow, and some agents answer the last one only.
pub const IN_FLIGHT_EACH: usize = 1;
/// What is asked of the system for answers that are not yet taken in: each in flight may bring a packet of 2 KB.
const RECEIVE_BUFFER: usize = 2 << 20;
/// Unanswered questions in a row after which a device of version 3 is looked for anew: one that was replaced has
/// another engine ID, and is silent for ever to whoever uses the old one.
const SILENCES_UNTIL_REDISCOVERY: u32 = 2;
/// The most names in one question: a device with small buffers is asked in several.
const NAMES_MAX: usize = 24;

/// The sockets and what is known of engines: one for the whole program.
pub struct Network {
    v4: OnceCell<UdpTransport>,
    v6: OnceCell<UdpTransport>,
    in_flight: Arc<Semaphore>,
    engines: Arc<EngineCache>,
    salt: DesSaltState,
}

/// A credential with its keys, which take milliseconds to make: once for all devices.
#[derive(Clone)]
pub struct Login(Auth);

/// How long each transmission of a question is waited for, and how often it is sent again. An answer to an earlier one
/// counts as long as the question is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    timeout: Duration,
    retries: u32,
}

/// What is under way to one device, whoever asks it. Clones are of the same device.
#[derive(Clone, Debug)]
pub struct Turnstile(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    turns: Semaphore,
    /// Silences in a row, over all polls.
    silent: AtomicU32,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self(Arc::new(Gate { turns: Semaphore::new(IN_FLIGHT_EACH), silent: AtomicU32::new(0) }))
    }
}

impl Patience {
    /// For whoever asks once: nothing is known of the device.
    pub const LONG: Self = Self { timeout: ANSWER_TIMEOUT, retries: RETRIES };
    /// For whoever does not know whether there is a device at all, and must not look like one who guesses passwords.
    pub const SHORT: Self = Self { timeout: FIRST_TIMEOUT, retries: 1 };

    /// For a device that usually answers within this: short waits and many of them get through where packets are lost.
    #[must_use]
    pub fn of(usual: Option<Duration>) -> Self {
        let timeout = usual.map_or(FIRST_TIMEOUT, |usual| usual.saturating_mul(USUAL_TIMES));
        let timeout = timeout.clamp(USUAL_TIMEOUT_MIN, ANSWER_TIMEOUT);
        // In all at most about what the long patience takes, so that a poll of a silent device ends within its interval.
        let fit = u32::try_from(QUESTION_MAX.as_millis() / timeout.as_millis()).unwrap_or(RETRIES);
        Self { timeout, retries: (fit - 1).clamp(RETRIES, USUAL_RETRIES) }
    }

    /// All its waits. To find a device of version 3 takes as long again.
    fn span(self) -> Duration {
        self.timeout.saturating_mul(self.retries + 1) + Duration::from_secs(1)
    }
}

/// One device. Its questions go out one after the other.
pub struct Device {
    client: async_snmp::Client<UdpHandle>,
    address: SocketAddr,
    in_flight: Arc<Semaphore>,
    own: Turnstile,
    engines: Arc<EngineCache>,
    users: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            v4: OnceCell::new(),
            v6: OnceCell::new(),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            engines: Arc::new(EngineCache::new()),
            salt: salt(),
        }
    }
}

impl Network {
    /// The device at `address`, asked as `login`.
    ///
    /// # Errors
    /// If there is no socket to be had.
    pub async fn device(&self, address: SocketAddr, login: &Login) -> Result<Device, Trouble> {
        self.device_with(address, login, Patience::LONG, Turnstile::default()).await
    }

    /// The device at `address`, asked with this patience, in turn with whoever else has its turnstile.
    ///
    /// # Errors
    /// As [`Self::device`].
    pub async fn device_with(
        &self,
        address: SocketAddr,
        login: &Login,
        patience: Patience,
        own: Turnstile,
    ) -> Result<Device, Trouble> {
        let handle = self.socket(address).await?.handle(address).map_err(|error| words::trouble(&error))?;
        let retry =
            Retry::fixed(patience.retries, Duration::ZERO).map_err(|error| Trouble::NotSent(error.to_string()))?;
        let client = ClientBuilder::new(login.0.clone())
            .request_timeout(patience.timeout)
            .exchange_timeout(Some(patience.span()))
            .retry(retry)
            .max_oids_per_request(NAMES_MAX)
            .engine_cache(Arc::clone(&self.engines))
            .des_salt_state(self.salt.clone())
            // A device can't sign "no such user", "wrong password" or "outside the time window": without this they would be
            // silence, and a device that restarted would stay silent. Who could forge one could keep us from asking in any
            // case; answers with values are believed only when signed.
            .allow_unauthenticated_v3_time_correction(true)
            .build_with_transport(handle.strict_source(true))
            .map_err(|error| words::trouble(&error))?;
        Ok(Device {
            client,
            address,
            in_flight: Arc::clone(&self.in_flight),
            own,
            engines: Arc::clone(&self.engines),
            users: matches!(login.0, Auth::Usm(_)),
        })
    }

    /// The socket for an address's family, opened when it is first needed.
    async fn socket(&self, address: SocketAddr) -> Result<&UdpTransport, Trouble> {
        let (place, own) = match address {
            SocketAddr::V4(_) => (&self.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (&self.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let open = || async move {
            let socket = UdpTransport::builder().bind(own.to_string());
            // With the library's 1,472 bytes, Net-SNMP fails on larger answers of version 3 instead of shortening them.
            socket
                .receive_capacity(MAX_UDP_PAYLOAD)
                .recv_buffer_size(RECEIVE_BUFFER)
                .warn_on_source_mismatch(false)
                .build()
                .await
        };
        place.get_or_try_init(open).await.map_err(|error| words::trouble(&error))
    }
}

/// DES needs a number that this user's key never meets twice. It is drawn anew for each process instead of being kept on
/// the disk: a draw that repeats one of 2^31 shows an eavesdropper two equal beginnings under a cipher that he breaks anyway.
fn salt() -> DesSaltState {
    let boots = rand::random_range(1..i32::MAX.unsigned_abs() - 1);
    let previous = PersistedDesSaltState::new(boots).expect("between 1 and the highest but one");
    DesSaltState::restart(previous, |_| Ok::<(), std::convert::Infallible>(()))
        .expect("nothing that could fail is kept")
}

impl Login {
    /// Makes the keys of a credential: milliseconds of work.
    ///
    /// # Errors
    /// If the library refuses the credential.
    pub fn new(credential: &Credential) -> Result<Self, Trouble> {
        let user = match credential {
            Credential::V1 { community } => return Ok(Self(Auth::v1(community.reveal().as_bytes().to_vec()))),
            Credential::V2c { community } => return Ok(Self(Auth::v2c(community.reveal().as_bytes().to_vec()))),
            Credential::V3(user) => user,
        };
        let refused = |error: async_snmp::v3::CryptoError| Trouble::NotSent(error.to_string());
        let plain = UsmConfig::new(user.name.clone().into_bytes()).context_name(user.context.clone().into_bytes());
        let keys = match &user.protection {
            Protection::None => return Ok(Self(plain.into())),
            Protection::Signed(digest, secret) => MasterKeys::new(words::digest(*digest), secret.reveal().as_bytes()),
            Protection::Encrypted { signed: (digest, secret), encrypted: (cipher, other) } => {
                MasterKeys::new(words::digest(*digest), secret.reveal().as_bytes())
                    .and_then(|keys| keys.with_privacy(words::cipher(*cipher), other.reveal().as_bytes()))
            }
        };
        keys.and_then(|keys| plain.with_master_keys(keys)).map(|login| Self(login.into())).map_err(refused)
    }

    /// Whether devices are asked in version 1, which has no GETBULK.
    #[must_use]
    pub fn is_v1(&self) -> bool {
        self.0.version() == async_snmp::Version::V1
    }
}

impl Device {
    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine ID that it gave, once it has been asked in version 3.
    #[must_use]
    pub fn engine_id(&self) -> Option<Vec<u8>> {
        self.engines.get(&self.address).map(|state| state.engine_id().to_vec())
    }

    async fn once(&self, request: &Request) -> Result<Vec<Binding>, Box<async_snmp::Error>> {
        let varbinds = match request {
            Request::Get(names) => self.client.get_many(&words::names(names)).await?.varbinds,
            Request::GetNext(names) => self.client.get_next_many(&words::names(names)).await?.varbinds,
            Request::GetBulk { after, repetitions } => {
                self.client.get_bulk(&words::names(after), 0, *repetitions).await?
            }
        };
        Ok(varbinds.into_iter().filter_map(words::binding).collect())
    }

    /// Whether the device is to be looked for anew before it is asked again.
    fn is_lost(&self, trouble: &Trouble) -> bool {
        let silent = match trouble {
            Trouble::NoAnswer => self.own.0.silent.fetch_add(1, Ordering::Relaxed) + 1,
            Trouble::UnknownEngine => SILENCES_UNTIL_REDISCOVERY,
            _ => 0,
        };
        self.users && silent >= SILENCES_UNTIL_REDISCOVERY && self.engine_id().is_some()
    }
}

impl Client for Device {
    async fn ask(&self, request: &Request) -> Result<Vec<Binding>, Trouble> {
        let _own = self.own.0.turns.acquire().await.expect("never closed");
        let _all = self.in_flight.acquire().await.expect("never closed");
        let mut answer = self.once(request).await.map_err(|error| words::trouble(&error));
        if let Err(trouble) = &answer
            && self.is_lost(trouble)
            && self.client.rediscover_engine().await.is_ok()
        {
            answer = self.once(request).await.map_err(|error| words::trouble(&error));
        }
        if !matches!(answer, Err(Trouble::NoAnswer)) {
            self.own.0.silent.store(0, Ordering::Relaxed);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where one packet of five is lost in each direction, 36 % of the transmissions come to nothing.
    const LOST: f64 = 0.36;

    #[test]
    fn whatever_its_usual_time_a_question_gets_through_loss_and_ends() {
        for usual in [None, Some(1), Some(50), Some(100), Some(200), Some(400), Some(2_000), Some(60_000)] {
            let quick = Patience::of(usual.map(Duration::from_millis));
            assert!(quick.span() <= QUESTION_MAX + Duration::from_secs(1), "{usual:?}: {quick:?}");
            assert!((USUAL_TIMEOUT_MIN..=ANSWER_TIMEOUT).contains(&quick.timeout), "{usual:?}: {quick:?}");
            // After a silence a poll asks once more, with the long patience.
            let sent = f64::from(quick.retries + 1 + Patience::LONG.retries + 1);
            assert!(LOST.powf(sent) < 0.003, "{usual:?}: {quick:?}");
        }
        assert_eq!(Patience::of(Some(Duration::from_millis(20))).retries, USUAL_RETRIES);
    }
}
