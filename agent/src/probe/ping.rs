//! Echo requests, as Telegraf's `ping`.
//!
//! One socket for each family of addresses, whatever the number of targets; a bounded number of targets under way, so
//! that no burst overruns the socket's buffer and answers are not mistaken for lost. The socket is the unprivileged
//! one, else the raw one; where the system allows neither, the problem says what to do.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use futures_util::stream::{self, StreamExt};

use crate::reading::{integer, millis, percent, sample, share};

use super::Target;
use crate::config::Address;

/// What this probe says.
pub const MEASUREMENTS: &[Measurement] = &[Measurement {
    name: "ping",
    tags: &["url"],
    fields: &[
        time("average_response_ms", "Mean of the round trips."),
        time("maximum_response_ms", "The longest round trip."),
        time("minimum_response_ms", "The shortest round trip."),
        count("packets_received", "Requests that were answered."),
        count("packets_transmitted", "Requests that were sent."),
        Field { name: "percent_packet_loss", kind: FieldKind::Float, unit: "percent", description: "Not answered." },
        count("result_code", "0: answered; 1: nobody of that name or no answer; 2: could not be sent."),
        time("standard_deviation_ms", "How much the round trips differ."),
    ],
    privacy: Privacy::Health,
    description: "Whether a target answers, and how fast. Its address is never sent.",
}];

const fn time(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Float, unit: "ms", description }
}

const fn count(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "", description }
}

/// Requests to one target at each reading: one lost packet of a busy network is not an outage.
const REQUESTS: u16 = 3;
/// Between two requests to one target.
const SPACING: Duration = Duration::from_millis(200);
/// A school's network answers in a hundredth of it.
const WAIT: Duration = Duration::from_secs(1);
/// Targets under way at the same time: a default socket buffer holds about twice as many answers.
const IN_FLIGHT: usize = 64;

/// What came of looking at one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    sent: u64,
    round_trips_ms: Vec<f64>,
    code: Code,
}

/// Telegraf's `result_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Answered = 0,
    NoAnswer = 1,
    NotSent = 2,
}

/// Why nothing was sent to any target of a family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingProblem {
    /// The system lets this user send no echo requests.
    #[error(
        "may not send IPv{family} echo requests: allow it by \
         `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`, or give the agent CAP_NET_RAW"
    )]
    NoPermission {
        /// 4 or 6.
        family: u8,
    },
    /// Another reason.
    #[error("can't send IPv{family} echo requests: {reason}")]
    Failed {
        /// 4 or 6.
        family: u8,
        /// What the system says.
        reason: String,
    },
}

/// Looks at targets.
#[derive(Default)]
pub struct Pinger {
    v4: Option<os::Client>,
    v6: Option<os::Client>,
    /// Counts every request: two targets may be one address, and must not take each other's answers.
    next_sequence: u16,
}

/// What one look at all targets gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// A sample for each target that was looked at.
    pub samples: Vec<Sample>,
    /// What stood in the way.
    pub problems: Vec<PingProblem>,
}

impl Pinger {
    /// Looks at every target; takes a few seconds at most, however many there are of up to a few hundred.
    pub async fn look(&mut self, targets: Vec<Target>, at: Timestamp) -> Look {
        let resolved: Vec<(Target, Option<IpAddr>)> =
            stream::iter(targets.into_iter().map(resolve)).buffered(IN_FLIGHT).collect().await;
        let mut look = Look::default();
        let mut asks = Vec::with_capacity(resolved.len());
        for (target, address) in resolved {
            let Some(address) = address else {
                look.samples.push(Outcome::nobody().sample(&target.name, at));
                continue;
            };
            match self.client(address) {
                Ok(client) => {
                    let first = self.next_sequence;
                    self.next_sequence = first.wrapping_add(REQUESTS);
                    asks.push(
                        async move { os::ask(client, address, target.scope, first).await.sample(&target.name, at) },
                    );
                }
                Err(problem) if look.problems.contains(&problem) => {}
                Err(problem) => look.problems.push(problem),
            }
        }
        let answered: Vec<Sample> = stream::iter(asks).buffer_unordered(IN_FLIGHT).collect().await;
        look.samples.extend(answered);
        look.samples.sort_by(|one, other| one.target.cmp(&other.target));
        look
    }

    fn client(&mut self, address: IpAddr) -> Result<os::Client, PingProblem> {
        let v6 = super::is_v6(address);
        let place = if v6 { &mut self.v6 } else { &mut self.v4 };
        if let Some(client) = place {
            return Ok(client.clone());
        }
        let family = if v6 { 6 } else { 4 };
        let client = os::client(v6).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => PingProblem::NoPermission { family },
            _ => PingProblem::Failed { family, reason: error.to_string() },
        })?;
        Ok(place.insert(client).clone())
    }
}

async fn resolve(target: Target) -> (Target, Option<IpAddr>) {
    let address = match &target.address {
        Address::Ip(address) => Some(*address),
        Address::Name(name) => {
            let found = tokio::time::timeout(WAIT, tokio::net::lookup_host((name.as_str(), 0))).await;
            found.ok().and_then(|found| Some(found.ok()?.next()?.ip()))
        }
    };
    (target, address)
}

impl Outcome {
    const fn nobody() -> Self {
        Self { sent: 0, round_trips_ms: Vec::new(), code: Code::NoAnswer }
    }

    fn new(sent: u64, round_trips_ms: Vec<f64>) -> Self {
        let code = match (sent, round_trips_ms.is_empty()) {
            (0, _) => Code::NotSent,
            (_, true) => Code::NoAnswer,
            (_, false) => Code::Answered,
        };
        Self { sent, round_trips_ms, code }
    }

    fn sample(&self, name: &str, at: Timestamp) -> Sample {
        // The tag `target_id` is made of the sample's target by ingest, like everything that is identity.
        let tags = vec![("url", name.to_owned())];
        let mut sample = sample("ping", tags, at, self.fields());
        name.clone_into(&mut sample.target);
        sample
    }

    /// As Telegraf: without an answer there are no times, and a target that was not even asked has only a code.
    #[expect(clippy::cast_precision_loss, reason = "a handful of requests")]
    fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![("result_code", integer(self.code as u64))];
        if self.sent > 0 {
            let received = self.round_trips_ms.len() as u64;
            fields.extend([
                ("packets_received", integer(received)),
                ("packets_transmitted", integer(self.sent)),
                ("percent_packet_loss", percent(share(self.sent.saturating_sub(received), self.sent))),
            ]);
        }
        if !self.round_trips_ms.is_empty() {
            let trips = &self.round_trips_ms;
            let mean = trips.iter().sum::<f64>() / trips.len() as f64;
            let variance = trips.iter().map(|trip| (trip - mean).powi(2)).sum::<f64>() / trips.len() as f64;
            fields.extend([
                ("average_response_ms", millis(mean)),
                ("maximum_response_ms", millis(trips.iter().copied().fold(f64::MIN, f64::max))),
                ("minimum_response_ms", millis(trips.iter().copied().fold(f64::MAX, f64::min))),
                ("standard_deviation_ms", millis(variance.sqrt())),
            ]);
        }
        fields.sort_by_key(|(name, _)| *name);
        fields
    }
}

#[cfg(unix)]
mod os {
    use super::{IpAddr, Outcome, REQUESTS, SPACING, WAIT, io};
    use surge_ping::{Config, ICMP, PingIdentifier, PingSequence, SurgeError};

    pub(super) use surge_ping::Client;

    /// The unprivileged socket, else the raw one.
    pub(super) fn client(v6: bool) -> io::Result<Client> {
        Client::new(&Config::builder().kind(if v6 { ICMP::V6 } else { ICMP::V4 }).build())
    }

    /// Sends the requests one after the other and waits for each.
    pub(super) async fn ask(client: Client, address: IpAddr, scope: u32, first_sequence: u16) -> Outcome {
        let mut pinger = client.pinger(address, PingIdentifier(rand::random())).await;
        pinger.timeout(WAIT).scope_id(scope);
        let mut sent = 0;
        let mut round_trips_ms = Vec::with_capacity(usize::from(REQUESTS));
        for request in 0..REQUESTS {
            if request > 0 {
                tokio::time::sleep(SPACING).await;
            }
            match pinger.ping(PingSequence(first_sequence.wrapping_add(request)), &[0; 16]).await {
                Ok((_, took)) => {
                    sent += 1;
                    round_trips_ms.push(took.as_secs_f64() * 1_000.0);
                }
                Err(SurgeError::Timeout { .. }) => sent += 1,
                Err(error) => tracing::debug!(%error, "an echo request could not be sent"),
            }
        }
        Outcome::new(sent, round_trips_ms)
    }
}

/// Raw sockets are all that surge-ping has on Windows, and they need an administrator.
#[cfg(not(unix))]
mod os {
    use super::{IpAddr, Outcome, io};

    #[derive(Clone)]
    pub(super) struct Client;

    pub(super) fn client(_v6: bool) -> io::Result<Client> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(super) async fn ask(_client: Client, _address: IpAddr, _scope: u32, _first_sequence: u16) -> Outcome {
        Outcome::new(0, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(outcome: &Outcome) -> Vec<(String, Value)> {
        let sample = outcome.sample("library-switch", Timestamp(0));
        sample.fields.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }

    #[test]
    fn round_trips_become_telegrafs_fields() {
        let expected = [
            ("average_response_ms", Value::Float(2.0)),
            ("maximum_response_ms", Value::Float(3.0)),
            ("minimum_response_ms", Value::Float(1.0)),
            ("packets_received", Value::Integer(2)),
            ("packets_transmitted", Value::Integer(3)),
            ("percent_packet_loss", Value::Float(33.33)),
            ("result_code", Value::Integer(0)),
            ("standard_deviation_ms", Value::Float(1.0)),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(fields(&Outcome::new(3, vec![1.0, 3.0])), expected);
    }

    #[test]
    fn silence_has_loss_and_no_times_and_an_unknown_name_only_a_code() {
        let names = |outcome: &Outcome| fields(outcome).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let silence = Outcome::new(3, Vec::new());
        assert_eq!(names(&silence), ["packets_received", "packets_transmitted", "percent_packet_loss", "result_code"]);
        assert_eq!(fields(&Outcome::nobody()), [("result_code".to_owned(), Value::Integer(1))]);
        assert_eq!(fields(&Outcome::new(0, Vec::new())), [("result_code".to_owned(), Value::Integer(2))]);
    }

    #[test]
    fn the_target_is_named_and_its_address_is_not_sent() {
        let sample = Outcome::new(1, vec![0.5]).sample("gateway", Timestamp(0));
        assert_eq!(sample.target, "gateway");
        assert_eq!(sample.tags, [("url".into(), "gateway".to_owned())]);
    }

    #[test]
    fn a_problem_says_what_to_do() {
        let text = PingProblem::NoPermission { family: 4 }.to_string();
        assert!(text.contains("net.ipv4.ping_group_range") && text.contains("CAP_NET_RAW"), "{text}");
    }
}
