//! Asks devices over the network: thousands of them on one socket for each family of addresses.
//!
//! Bounded: how many questions are under way in all and to one device, how long one is waited for and how often it is
//! asked again. An answer counts only if it comes from the address that was asked and fits the question; a late one is
//! dropped. The library that speaks SNMP is used here and in the folder beside it and nowhere else.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_snmp::transport::UdpTransport;
use async_snmp::v3::{DesSaltState, PersistedDesSaltState};
use async_snmp::{Auth, ClientBuilder, EngineCache, MAX_UDP_PAYLOAD, MasterKeys, Retry, UdpHandle, UsmConfig};
use tokio::sync::{OnceCell, Semaphore};

use super::ask::{Binding, Client, Request, Trouble};
use super::credential::{Credential, Protection, User};

pub mod receiver;
mod words;

/// How long one transmission is waited for. A busy switch answers within a second; a printer that wakes up needs two.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a question is asked again: two in a row are hardly lost.
pub const RETRIES: u32 = 2;
/// The longest that one question takes with all its retries; to find a device of version 3 takes as long again, and one
/// that falls silent is looked for anew and asked once more.
pub const QUESTION_MAX: Duration = Duration::from_secs(7);
/// The least that a device is waited for of which it is known how quickly it answers: a little load, and it is late.
const USUAL_TIMEOUT_MIN: Duration = Duration::from_millis(250);
/// So many times its usual time is waited.
const USUAL_TIMES: u32 = 4;
/// For a device whose usual time is not known.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a known device is asked again in its usual time. More would do harm: one that is late and not lost answers
/// each of them, and is later still. Where a fifth of the packets is lost in each direction, one question in three is; all
/// of these and of the long patience that follows are lost once in 1,000 times.
const USUAL_RETRIES: u32 = 3;
/// Questions under way to all devices together: with 10 ms each, 50,000 in a second, and little to overflow a buffer.
pub const IN_FLIGHT: usize = 500;
/// Questions under way to one device: the processors of switches are slow, and some agents answer the last one only.
pub const IN_FLIGHT_EACH: usize = 1;
/// What is asked of the system for answers that are not yet taken in: each in flight may bring a packet of 2 KB.
const RECEIVE_BUFFER: usize = 2 << 20;
/// The most names in one question: a device with small buffers is asked in several.
const NAMES_MAX: usize = 24;

/// The sockets: one network for the whole program.
pub struct Network {
    v4: OnceCell<UdpTransport>,
    v6: OnceCell<UdpTransport>,
    in_flight: Arc<Semaphore>,
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

/// What is under way to one device, whoever asks it, and what is known of its engine. Clones are of the same device.
#[derive(Clone, Debug)]
pub struct Turnstile(Arc<Gate>);

/// An engine is remembered for its device alone: two devices with one engine ID would each be held against the other's
/// clock. It is made for a device of version 3 only.
#[derive(Debug)]
struct Gate {
    places: Semaphore,
    engine: Mutex<Option<Arc<EngineCache>>>,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self(Arc::new(Gate { places: Semaphore::new(IN_FLIGHT_EACH), engine: Mutex::default() }))
    }
}

impl Turnstile {
    fn engine(&self) -> Arc<EngineCache> {
        Arc::clone(self.0.engine.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }

    fn forget_engine(&self) {
        *self.0.engine.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
    way: Way,
    client: Mutex<async_snmp::Client<UdpHandle>>,
    in_flight: Arc<Semaphore>,
}

/// How a device is reached.
struct Way {
    address: SocketAddr,
    login: Login,
    patience: Patience,
    own: Turnstile,
    handle: UdpHandle,
    salt: DesSaltState,
}

impl Default for Network {
    fn default() -> Self {
        Self { v4: OnceCell::new(), v6: OnceCell::new(), in_flight: Arc::new(Semaphore::new(IN_FLIGHT)), salt: salt() }
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
        let (login, handle, salt) = (login.clone(), handle.strict_source(true), self.salt.clone());
        let way = Way { address, login, patience, own, handle, salt };
        Ok(Device { client: Mutex::new(way.client()?), way, in_flight: Arc::clone(&self.in_flight) })
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

fn refused(error: async_snmp::v3::CryptoError) -> Trouble {
    Trouble::NotSent(error.to_string())
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
        let plain = UsmConfig::new(user.name.clone().into_bytes()).context_name(user.context.clone().into_bytes());
        match Self::keys(user)? {
            None => Ok(Self(plain.into())),
            Some(keys) => plain.with_master_keys(keys).map(|login| Self(login.into())).map_err(refused),
        }
    }

    /// The keys of a user's passwords.
    fn keys(user: &User) -> Result<Option<MasterKeys>, Trouble> {
        let keys = match &user.protection {
            Protection::None => return Ok(None),
            Protection::Signed(digest, secret) => MasterKeys::new(words::digest(*digest), secret.reveal().as_bytes()),
            Protection::Encrypted { signed: (digest, secret), encrypted: (cipher, other) } => {
                MasterKeys::new(words::digest(*digest), secret.reveal().as_bytes())
                    .and_then(|keys| keys.with_privacy(words::cipher(*cipher), other.reveal().as_bytes()))
            }
        };
        keys.map(Some).map_err(refused)
    }

    /// Whether devices are asked in version 1, which has no GETBULK.
    #[must_use]
    pub fn is_v1(&self) -> bool {
        self.0.version() == async_snmp::Version::V1
    }

    fn is_v3(&self) -> bool {
        self.0.version() == async_snmp::Version::V3
    }
}

impl Way {
    fn client(&self) -> Result<async_snmp::Client<UdpHandle>, Trouble> {
        let retry =
            Retry::fixed(self.patience.retries, Duration::ZERO).map_err(|error| Trouble::NotSent(error.to_string()))?;
        let mut builder = ClientBuilder::new(self.login.0.clone())
            .request_timeout(self.patience.timeout)
            .exchange_timeout(Some(self.patience.span()))
            .retry(retry)
            .max_oids_per_request(NAMES_MAX)
            .des_salt_state(self.salt.clone())
            // A device can't sign "no such user", "wrong password" or "outside the time window": without this they would be
            // silence, and a device that restarted would stay silent. Who could forge one could keep us from asking in any
            // case; answers with values are believed only when signed.
            .allow_unauthenticated_v3_time_correction(true);
        if self.login.is_v3() {
            builder = builder.engine_cache(self.own.engine());
        }
        builder.build_with_transport(self.handle.clone()).map_err(|error| words::trouble(&error))
    }
}

impl Device {
    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.way.address
    }

    /// The engine ID that it gave, once it has been asked in version 3.
    #[must_use]
    pub fn engine_id(&self) -> Option<Vec<u8>> {
        let engine = self.way.login.is_v3().then(|| self.way.own.engine())?;
        engine.get(&self.way.address).map(|state| state.engine_id().to_vec())
    }

    async fn once(&self, request: &Request) -> Result<Vec<Binding>, Box<async_snmp::Error>> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let varbinds = match request {
            Request::Get(names) => client.get_many(&words::names(names)).await?.varbinds,
            Request::GetNext(names) => client.get_next_many(&words::names(names)).await?.varbinds,
            Request::GetBulk { after, repetitions } => client.get_bulk(&words::names(after), 0, *repetitions).await?,
        };
        Ok(varbinds.into_iter().filter_map(words::binding).collect())
    }

    /// Whether the device is to be looked for anew before it is asked again: one that was replaced has another engine ID,
    /// one that forgets how often it started is behind its own clock, and both are silent for ever to whoever goes on with
    /// what was known of them.
    fn is_lost(&self, trouble: &Trouble) -> bool {
        let lost = matches!(trouble, Trouble::NoAnswer | Trouble::UnknownEngine | Trouble::NotInTimeWindow);
        lost && self.engine_id().is_some()
    }
}

impl Client for Device {
    async fn ask(&self, request: &Request) -> Result<Vec<Binding>, Trouble> {
        let _own = self.way.own.0.places.acquire().await.expect("never closed");
        let _all = self.in_flight.acquire().await.expect("never closed");
        let answer = self.once(request).await.map_err(|error| words::trouble(&error));
        match &answer {
            Err(trouble) if self.is_lost(trouble) => {
                self.way.own.forget_engine();
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = self.way.client()?;
                self.once(request).await.map_err(|error| words::trouble(&error))
            }
            _ => answer,
        }
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
