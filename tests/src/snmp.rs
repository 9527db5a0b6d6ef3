//! Simulated SNMP devices: any number of them on addresses of the loopback network, in this process, each honest or with a
//! fault that real ones have. Versions 1 and 2c by a community, version 3 where a device has an engine.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

use self::message::{Asked, Kind, Reply};
use self::recording::Rows;
use self::v3::Engine;

pub mod message;
pub mod recording;
pub mod usm;
pub mod v3;

/// The one community that a simulated device answers to.
pub const COMMUNITY: &str = "simulated";

/// Where simulated devices listen.
pub const PORT: u16 = 16_161;

/// Answers of a real device fit one packet; it shortens what does not.
const ANSWER_BYTES_MAX: usize = 1_400;

/// sysUpTime, in hundredths of a second.
const UPTIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

/// What is wrong with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Nothing, and its clock runs: what it has as sysUpTime is when it was started.
    Ticks,
    /// Each answer takes so long.
    Delay(Duration),
    /// Each question of that number is lost.
    Lose(u32),
    /// Answers come from another address.
    OtherSource,
    /// After the tenth row comes the fifth.
    Circle,
    /// Says tooBig when asked for more rows than this.
    TooBig(u32),
    /// Cuts its packets off when asked for more rows than this.
    Truncate(u32),
    /// Says genErr to GETBULK.
    NoBulk,
}

/// Devices, for as long as this lives.
#[derive(Debug)]
pub struct Simulator {
    runtime: Runtime,
    values: Arc<AtomicU64>,
}

/// One device, without a socket.
#[derive(Debug)]
pub struct Simulated {
    rows: Rows,
    /// What Cisco keeps apart for each VLAN: told to the community with the VLAN's number behind it, or in its context.
    vlans: BTreeMap<u16, Simulated>,
    fault: Fault,
    begun: Instant,
    engine: Option<Engine>,
    questions: AtomicU32,
    /// Given by all devices together.
    values: Arc<AtomicU64>,
}

impl Default for Simulator {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { runtime: runtime.expect("a runtime can be started"), values: Arc::default() }
    }
}

impl Simulator {
    /// Values that all devices have given so far.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values.load(Ordering::Relaxed)
    }

    /// Starts a device at an address of the loopback network.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn device(&self, address: Ipv4Addr, rows: Rows, fault: Fault) -> SocketAddr {
        self.start(address, Simulated { fault, ..Simulated::new(rows, None) })
    }

    /// The same, with tables apart for each VLAN.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn device_with_vlans(&self, address: Ipv4Addr, rows: Rows, vlans: BTreeMap<u16, Rows>) -> SocketAddr {
        let vlans = vlans.into_iter().map(|(vlan, rows)| (vlan, Simulated::new(rows, None))).collect();
        self.start(address, Simulated { vlans, ..Simulated::new(rows, None) })
    }

    /// The same with version 3 and no other: each VLAN is a context.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn device_v3_with_vlans(
        &self,
        address: Ipv4Addr,
        rows: Rows,
        vlans: BTreeMap<u16, Rows>,
        engine: Engine,
    ) -> SocketAddr {
        let vlans = vlans.into_iter().map(|(vlan, rows)| (vlan, Simulated::new(rows, None))).collect();
        self.start(address, Simulated { vlans, ..Simulated::new(rows, Some(engine)) })
    }

    /// A device with version 3 and no other.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn device_v3(&self, address: Ipv4Addr, rows: Rows, fault: Fault, engine: Engine) -> SocketAddr {
        self.start(address, Simulated { fault, ..Simulated::new(rows, Some(engine)) })
    }

    fn start(&self, address: Ipv4Addr, device: Simulated) -> SocketAddr {
        let at = SocketAddrV4::new(address, PORT);
        let socket = self.runtime.block_on(UdpSocket::bind(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
        let device = Arc::new(Simulated { values: Arc::clone(&self.values), ..device });
        self.runtime.spawn(async move {
            // Only for whom it is needed: thousands of devices have sockets enough.
            let elsewhere = match device.fault {
                Fault::OtherSource => {
                    Some(UdpSocket::bind((address, 0)).await.expect("the loopback network has ports"))
                }
                _ => None,
            };
            let mut packet = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let Some(reply) = device.answer(&packet[..length]) else { continue };
                if let Fault::Delay(delay) = device.fault {
                    tokio::time::sleep(delay).await;
                }
                let source = elsewhere.as_ref().unwrap_or(&socket);
                let _ = source.send_to(&reply, from).await;
            }
        });
        at.into()
    }
}

impl Simulated {
    /// An honest device with these rows: with an engine in version 3, without one in the others.
    #[must_use]
    pub fn new(rows: Rows, engine: Option<Engine>) -> Self {
        let values = Arc::default();
        let vlans = BTreeMap::new();
        Self { rows, vlans, fault: Fault::None, begun: Instant::now(), engine, questions: AtomicU32::new(0), values }
    }

    /// The packet that answers a packet, if it gets through and is for this device.
    #[must_use]
    pub fn answer(&self, packet: &[u8]) -> Option<Vec<u8>> {
        self.answer_with(packet, |answer| answer)
    }

    /// The same; `worse` changes the answer before it is signed.
    pub fn answer_with(&self, packet: &[u8], worse: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Option<Vec<u8>> {
        let mut repetitions = 0;
        let say = |asked: &Asked| {
            repetitions = asked.repetitions();
            self.say(asked).map(worse)
        };
        let mut reply = match &self.engine {
            Some(engine) => engine.answer(packet, |asked| match vlan_of(&asked.community) {
                Some(vlan) => self.vlans.get(&vlan)?.say(asked),
                None => say(asked),
            })?,
            None => {
                let asked = Asked::parse(packet)?;
                let indexed = asked.community.strip_prefix(COMMUNITY.as_bytes())?;
                match std::str::from_utf8(indexed).ok()?.strip_prefix('@') {
                    Some(vlan) => self.vlans.get(&vlan.parse().ok()?)?.say(&asked)?,
                    None if indexed.is_empty() => say(&asked)?,
                    None => return None,
                }
            }
        };
        if matches!(self.fault, Fault::Truncate(bears) if repetitions > bears) {
            reply.truncate(reply.len() / 2);
        }
        Some(reply)
    }

    fn say(&self, asked: &Asked) -> Option<Vec<u8>> {
        let number = self.questions.fetch_add(1, Ordering::Relaxed) + 1;
        if matches!(self.fault, Fault::Lose(every) if number.is_multiple_of(every)) {
            return None;
        }
        Some(match self.fault {
            Fault::TooBig(bears) if asked.repetitions() > bears => asked.error(1),
            Fault::NoBulk if asked.kind == Kind::GetBulk => asked.error(5),
            _ => self.find(asked),
        })
    }

    fn find(&self, asked: &Asked) -> Vec<u8> {
        let mut reply = Reply::default();
        for _ in 0..asked.repetitions().max(1) {
            for (place, name) in asked.names.iter().enumerate() {
                let name = if reply.rounds() == 0 { name.clone() } else { reply.last(place, asked.names.len()) };
                let found = match asked.kind {
                    Kind::Get => self.rows.get(&name).map(|value| (name.clone(), value.clone())),
                    _ => self.next(&name),
                };
                match found {
                    Some((name, _)) if self.fault == Fault::Ticks && name == UPTIME => {
                        reply.push(
                            name,
                            &message::integer(0x43, i64::try_from(self.begun.elapsed().as_millis() / 10).unwrap_or(0)),
                        );
                    }
                    Some((name, value)) => reply.push(name, &value),
                    None if asked.version == 0 => return asked.error(2),
                    None => reply.push(name, if asked.kind == Kind::Get { message::NO_SUCH } else { message::END }),
                }
                if reply.bytes() > ANSWER_BYTES_MAX {
                    let reply = reply.without_last();
                    self.values.fetch_add(reply.rows() as u64, Ordering::Relaxed);
                    return asked.reply(&reply);
                }
            }
            reply.handle_round();
        }
        self.values.fetch_add(reply.rows() as u64, Ordering::Relaxed);
        asked.reply(&reply)
    }

    fn next(&self, name: &[u32]) -> Option<(Vec<u32>, Vec<u8>)> {
        let after = (std::ops::Bound::Excluded(name.to_vec()), std::ops::Bound::Unbounded);
        if self.fault == Fault::Circle && self.rows.iter().nth(9).is_some_and(|(tenth, _)| tenth.as_slice() == name) {
            return self.rows.iter().nth(4).map(|(name, value)| (name.clone(), value.clone()));
        }
        self.rows.range(after).next().map(|(name, value)| (name.clone(), value.clone()))
    }
}

/// The VLAN whose context has this name.
fn vlan_of(context: &[u8]) -> Option<u16> {
    std::str::from_utf8(context).ok()?.strip_prefix("vlan-")?.parse().ok()
}
