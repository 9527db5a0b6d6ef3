//! A name server's answer, as Telegraf's `dns_query`. Over UDP, and again over TCP if the answer did not fit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bellwether_logic::sample::Value;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};
use serde::Deserialize;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::link::{dial, resolve};
use super::settings::{Address, Bad, Fixed, quoted, within};
use super::{Looked, Looking};
use crate::reading::{count, integer, millis};

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "dns_query",
    tags: &["record_type", "server"],
    fields: &[
        Field { name: "answers", kind: FieldKind::Integer, unit: "", description: "Records in the answer." },
        Field { name: "query_time_ms", kind: FieldKind::Float, unit: "ms", description: "Until the answer came." },
        Field {
            name: "rcode_value",
            kind: FieldKind::Integer,
            unit: "",
            description: "The server's verdict, RFC 1035.",
        },
        Field {
            name: "record_matched",
            kind: FieldKind::Boolean,
            unit: "",
            description: "Whether the expected record is among the answers.",
        },
        Field {
            name: "result_code",
            kind: FieldKind::Integer,
            unit: "",
            description: "0: good; 1: no answer in time; 2: an error; 3: not the expected record.",
        },
    ],
    privacy: Privacy::Health,
    description: "Whether a name server answers, and how fast. Neither its address nor the name asked for is sent.",
}];

/// The largest answer over UDP without extensions is 512 bytes; some servers send more all the same.
const UDP_BYTES_MAX: usize = 4_096;
/// Records that an expected one is looked for among.
const RECORDS_MAX: usize = 100;

/// The types of record that can be asked for.
const TYPES: &[(&str, TYPE)] = &[
    ("A", TYPE::A),
    ("AAAA", TYPE::AAAA),
    ("CNAME", TYPE::CNAME),
    ("MX", TYPE::MX),
    ("NS", TYPE::NS),
    ("PTR", TYPE::PTR),
    ("SOA", TYPE::SOA),
    ("SRV", TYPE::SRV),
    ("TXT", TYPE::TXT),
];

/// What is asked of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    server: Address,
    port: u16,
    query: String,
    record: &'static str,
    expect: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: String,
    #[serde(default = "domain")]
    port: u16,
    query: String,
    #[serde(default = "a")]
    record: String,
    expect: Option<String>,
}

const fn domain() -> u16 {
    53
}

fn a() -> String {
    "A".to_owned()
}

impl Dns {
    /// From its table.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn build(table: toml::Table, _: &Fixed) -> Result<Self, Bad> {
        let file: File = super::settings::read(table)?;
        let record = TYPES.iter().find(|(name, _)| *name == file.record).map(|(name, _)| *name);
        let types: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        let record = record.ok_or_else(|| Bad::new("record", quoted(&file.record), types.join(", ")))?;
        let plain = file.query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !plain || file.query.is_empty() || Name::new(&file.query).is_err() {
            return Err(Bad::new("query", quoted(&file.query), "a DNS name"));
        }
        Ok(Self {
            server: Address::parse("server", &file.server)?,
            port: within("port", file.port, 1..=u16::MAX, "1 to 65535")?,
            query: file.query,
            record,
            expect: file.expect,
        })
    }

    /// Whether a server of this machine answers at all: for the name servers of the root, which every server knows and
    /// which say nothing about anybody.
    #[must_use]
    pub fn root(server: IpAddr) -> Self {
        Self { server: Address::Ip(server), port: domain(), query: ".".to_owned(), record: "NS", expect: None }
    }

    /// Asks.
    pub async fn look(&self, looking: &Looking) -> Looked {
        let started = Instant::now();
        let answer = tokio::time::timeout(looking.timeout, self.ask(looking.timeout)).await;
        let took = started.elapsed();
        let mut fields = Vec::new();
        let mut unreached = None;
        let code = match answer {
            Ok(Ok(answer)) => {
                let matched = self.expect.as_ref().map(|expected| answer.has(expected));
                fields.push(("answers", count(answer.records)));
                fields.push(("query_time_ms", millis(took.as_secs_f64() * 1_000.0)));
                fields.push(("rcode_value", integer(u64::from(answer.rcode))));
                fields.extend(matched.map(|matched| ("record_matched", Value::Boolean(matched))));
                match (answer.rcode, matched) {
                    (0, Some(false)) => 3,
                    (0, _) => 0,
                    _ => 2,
                }
            }
            Ok(Err(())) => 2,
            Err(_) => {
                unreached = resolve(&self.server, self.port).await.map(|to| to.ip());
                1
            }
        };
        fields.push(("result_code", integer(code)));
        let tags = vec![("record_type", self.record.to_owned()), ("server", looking.name.to_string())];
        Looked::row(looking.row("dns_query", tags, fields), unreached)
    }

    async fn ask(&self, limit: Duration) -> Result<Answer, ()> {
        let to = resolve(&self.server, self.port).await.ok_or(())?;
        let id = rand::random();
        let question = self.question(id).ok_or(())?;
        match over_udp(to, &question, id).await? {
            Answer { cut: true, .. } => self.over_tcp(&question, id, limit).await,
            answer => Ok(answer),
        }
    }

    fn question(&self, id: u16) -> Option<Vec<u8>> {
        let (_, kind) = TYPES.iter().find(|(name, _)| *name == self.record)?;
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = if self.query == "." { Name::new_with_labels(&[]) } else { Name::new(&self.query).ok()? };
        packet.questions.push(Question::new(name, (*kind).into(), CLASS::IN.into(), false));
        packet.build_bytes_vec().ok()
    }

    async fn over_tcp(&self, question: &[u8], id: u16, limit: Duration) -> Result<Answer, ()> {
        let mut stream = dial(&self.server, self.port, limit).await.map_err(drop)?;
        let length = u16::try_from(question.len()).map_err(drop)?;
        stream.write_all(&[&length.to_be_bytes(), question].concat()).await.map_err(drop)?;
        let length = stream.read_u16().await.map_err(drop)?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.map_err(drop)?;
        Answer::parse(&message, question, id).ok_or(())
    }
}

/// What does not belong to the question is not listened to: it may be late, or forged.
async fn over_udp(to: SocketAddr, question: &[u8], id: u16) -> Result<Answer, ()> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(drop)?;
    socket.connect(to).await.map_err(drop)?;
    socket.send(question).await.map_err(drop)?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(drop)?;
        if let Some(answer) = Answer::parse(&buffer[..length], question, id) {
            return Ok(answer);
        }
    }
}

/// What a server said.
#[derive(Debug)]
struct Answer {
    rcode: u16,
    records: usize,
    texts: Vec<String>,
    cut: bool,
}

impl Answer {
    /// None if it is no answer to the question.
    fn parse(message: &[u8], question: &[u8], id: u16) -> Option<Self> {
        let packet = Packet::parse(message).ok()?;
        let asked = Packet::parse(question).ok()?;
        let (ours, theirs) = (asked.questions.first()?, packet.questions.first());
        let same = theirs.is_none_or(|theirs| {
            theirs.qtype == ours.qtype && same_text(&theirs.qname.to_string(), &ours.qname.to_string())
        });
        if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !same {
            return None;
        }
        let texts = packet.answers.iter().take(RECORDS_MAX).filter_map(|record| text(&record.rdata)).collect();
        let cut = packet.has_flags(PacketFlag::TRUNCATION);
        Some(Self { rcode: packet.rcode() as u16, records: packet.answers.len(), texts, cut })
    }

    fn has(&self, expected: &str) -> bool {
        self.texts.iter().any(|text| same_text(text, expected))
    }
}

/// Names differ neither by case nor by the dot at their end.
fn same_text(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// A record as an admin would write it.
fn text(data: &RData<'_>) -> Option<String> {
    Some(match data {
        RData::A(record) => Ipv4Addr::from(record.address).to_string(),
        RData::AAAA(record) => Ipv6Addr::from(record.address).to_string(),
        RData::CNAME(record) => record.0.to_string(),
        RData::MX(record) => record.exchange.to_string(),
        RData::NS(record) => record.0.to_string(),
        RData::PTR(record) => record.0.to_string(),
        RData::SOA(record) => record.mname.to_string(),
        RData::SRV(record) => record.target.to_string(),
        RData::TXT(record) => String::try_from(record.clone()).ok()?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
