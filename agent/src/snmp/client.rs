//! Asks devices over the network: thousands of them on one socket for each family of addresses.
//!
//! Bounded: how many questions are under way in all and to one device, how long one is waited for and how often it is
//! asked again. An answer counts only if it comes from the address that was asked and fits the question; a late one is
//! dropped. The library that speaks SNMP is used here and in the folder beside it and nowhere else.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_snmp::transport::UdpTransport;
use async_snmp::v3::{DesSaltState, PersistedDesSaltState};
use async_snmp::{Auth, ClientBuilder, EngineCache, MAX_UDP_PAYLOAD, MasterKeys, Retry, UdpHandle, UsmConfig};
use tokio::sync::{OnceCell, Semaphore};

use self::pace::Pace;
use self::wire::Wire;
use super::ask::{Binding, Client, Request, Trouble};
use super::credential::{Credential, Protection, User};

mod pace;
pub mod receiver;
mod wire;
mod words;

pub use self::pace::QUESTION_MAX;

/// How long each sending is waited for where it is not known whether there is a device at all.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// How often it is sent there: whoever searches must not look like one who guesses passwords.
const SHORT_SENDINGS: usize = 2;
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

/// How patiently a device is asked. An answer to an earlier sending of a question counts as long as the question is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as this device may take, and as often as loss demands.
    Long,
    /// Twice within two seconds.
    Short,
}

/// What is under way to one device, whoever asks it, how quickly it answers, and what is known of its engine. Clones are of the same device.
#[derive(Clone, Debug)]
pub struct Turnstile(Arc<Gate>);

/// An engine is remembered for its device alone: two devices with one engine ID would each be held against the other's
/// clock. It is made for a device of version 3 only.
#[derive(Debug)]
struct Gate {
    places: Semaphore,
    engine: Mutex<Option<Arc<EngineCache>>>,
    pace: Mutex<Pace>,
}

impl Default for Turnstile {
    fn default() -> Self {
        let (engine, pace) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Gate { places: Semaphore::new(IN_FLIGHT_EACH), engine, pace }))
    }
}

impl Turnstile {
    fn engine(&self) -> Arc<EngineCache> {
        Arc::clone(self.0.engine.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_engine(&self) {
        *self.0.engine.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// One device. Its questions go out one after the other.
pub struct Device {
    way: Way,
    client: Mutex<async_snmp::Client<Wire>>,
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
        self.device_with(address, login, Patience::Long, Turnstile::default()).await
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

    /// The same for what Cisco keeps apart for each VLAN: by the community, or by the context.
    #[must_use]
    pub fn of_vlan(&self, vlan: u16) -> Self {
        Self(match &self.0 {
            Auth::Community { version, community } => {
                let indexed = [community.as_bytes(), format!("@{vlan}").as_bytes()].concat();
                Auth::Community { version: *version, community: indexed.into() }
            }
            Auth::Usm(user) => user.clone().context_name(format!("vlan-{vlan}").into_bytes()).into(),
        })
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
    fn client(&self) -> Result<async_snmp::Client<Wire>, Trouble> {
        let mut builder = ClientBuilder::new(self.login.0.clone())
            .request_timeout(wire::END)
            .retry(Retry::none())
            .max_oids_per_request(NAMES_MAX)
            .des_salt_state(self.salt.clone())
            // A device can't sign "no such user", "wrong password" or "outside the time window": without this they would be
            // silence, and a device that restarted would stay silent. Who could forge one could keep us from asking in any
            // case; answers with values are believed only when signed.
            .allow_unauthenticated_v3_time_correction(true);
        if self.login.is_v3() {
            builder = builder.engine_cache(self.own.engine());
        }
        let wire = Wire { handle: self.handle.clone(), patience: self.patience, own: self.own.clone() };
        builder.build_with_transport(wire).map_err(|error| words::trouble(&error))
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

    fn took(&self) -> Option<Duration> {
        self.way.own.pace().took()
    }
}
