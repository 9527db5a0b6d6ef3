//! The way to the collector, step by step: name, TCP, TLS, and a collector's answer with its time.

use std::net::SocketAddr;
use std::time::Duration;

use bellwether_logic::time::Timestamp;
use tokio::net::{TcpStream, lookup_host};
use tonic::codegen::http::{Request, header};
use tonic::transport::Channel;
use tower::ServiceExt;

use super::presented::{Presented, presented};
use super::{Finding, times};
use crate::clock;
use crate::run::whole_chain;
use crate::tls::{self, ConnectError, Connection, Proof, Trust};

/// For a name server to answer.
const NAME_WAIT: Duration = Duration::from_secs(5);

/// For a connection: a filter that drops packets never answers.
const TCP_WAIT: Duration = Duration::from_secs(5);

/// For the collector to answer a request.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Nothing that a collector does: it answers so, and with its time, to anybody.
const NOTHING: &str = "http://collector.bellwether/bellwether.v1.Collector/Nothing";

/// Where programs are told of a proxy.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];

/// What is set of the system's proxies; never what it is set to, which may hold a password.
pub(super) fn proxies(is_set: &dyn Fn(&str) -> bool) -> Finding {
    let set: Vec<&str> = PROXIES.into_iter().filter(|name| is_set(name)).collect();
    let about = "proxy";
    if set.is_empty() {
        return Finding::good(about, "none is set; system proxies are ignored in any case");
    }
    let verb = if set.len() == 1 { "is" } else { "are" };
    let seen = format!("system proxies are ignored: {} {verb} set and not used", set.join(", "));
    Finding::notice(about, seen, "the agent needs a direct way to the collector")
}

/// Tries the whole way to one of the collector's addresses; stops at the first step that fails.
pub(super) async fn check(endpoint: &str, proof: Option<&Proof>, findings: &mut Vec<Finding>) {
    let addresses = match resolve(endpoint).await {
        Ok(addresses) => addresses,
        Err(finding) => return findings.push(finding),
    };
    let found: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    findings.push(Finding::good("name", format!("{endpoint} is {}", found.join(", "))));
    match reach(endpoint, &addresses).await {
        Ok(finding) => findings.push(finding),
        Err(finding) => return findings.push(finding),
    }
    let connection = match proof {
        Some(proof) => trusted(endpoint, proof).await,
        None => unknown(endpoint).await,
    };
    match connection {
        Ok((finding, connection)) => {
            findings.push(finding);
            findings.push(answer(endpoint, connection).await);
        }
        Err(finding) => findings.push(finding),
    }
}

async fn resolve(endpoint: &str) -> Result<Vec<SocketAddr>, Finding> {
    let about = "name";
    let remedy = "look at the machine's name servers, or give the collector's address";
    match tokio::time::timeout(NAME_WAIT, lookup_host(endpoint)).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            let nobody = || Finding::bad(about, format!("{endpoint}: nobody has this name"), remedy);
            if addresses.is_empty() { Err(nobody()) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(Finding::bad(about, format!("{endpoint}: {error}"), remedy)),
        Err(_) => {
            let seen = format!("{endpoint}: no name server answered within {} s", NAME_WAIT.as_secs());
            Err(Finding::bad(about, seen, remedy))
        }
    }
}

async fn reach(endpoint: &str, addresses: &[SocketAddr]) -> Result<Finding, Finding> {
    let about = "reach";
    match tokio::time::timeout(TCP_WAIT, TcpStream::connect(addresses)).await {
        Ok(Ok(_)) => Ok(Finding::good(about, format!("{endpoint} takes connections"))),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            let remedy = "is the collector running, was it opened to the network by its `setup`, is the port right?";
            Err(Finding::bad(about, format!("{endpoint} refuses: nothing listens there"), remedy))
        }
        Ok(Err(error)) => {
            let remedy = "look at this machine's network and routes";
            Err(Finding::bad(about, format!("{endpoint}: {error}"), remedy))
        }
        Err(_) => {
            let seen = format!("{endpoint} does not answer within {} s", TCP_WAIT.as_secs());
            let remedy = format!("a firewall drops it: allow TCP to {endpoint}, or the collector is off");
            Err(Finding::bad(about, seen, remedy))
        }
    }
}

/// The very connection that the running agent makes.
async fn trusted(endpoint: &str, proof: &Proof) -> Result<(Finding, Connection), Finding> {
    match tls::connect(endpoint, Trust::Cas(proof.roots.clone()), Some(&*proof.identity)).await {
        Ok(connection) => {
            let is_ours = connection.ca == proof.identity.ca();
            let by = if is_ours { "our own CA" } else { "a CA that our collector has named" };
            Ok((Finding::good("tls", format!("the collector proves itself by {by}")), connection))
        }
        Err(error) => Err(stranger(endpoint, &error, presented(endpoint).await)),
    }
}

/// Who stands between, if somebody does.
fn stranger(endpoint: &str, error: &ConnectError, presented: Presented) -> Finding {
    let about = "tls";
    let exempt = format!("exempt {endpoint} from TLS/SSL inspection (in the content filter, firewall or antivirus)");
    match presented {
        Presented::Foreign { issuer } => {
            let seen = format!("not the collector answers at {endpoint}, but a certificate issued by \"{issuer}\"");
            Finding::bad(about, seen, exempt)
        }
        Presented::Collector { .. } if matches!(error, ConnectError::Foreign { .. }) => {
            let seen = "a collector answers, but its CA is none that this machine has been told of";
            Finding::bad(
                about,
                seen,
                "is the address right? After a re-install of the collector: enrol again with --again",
            )
        }
        Presented::Collector { .. } => {
            Finding::bad(about, whole_chain(error), "look at the collector's log: it may refuse this certificate")
        }
        Presented::NoTls => Finding::bad(about, format!("{endpoint} does not speak TLS"), wrong_port(&exempt)),
        Presented::CutOff => {
            let seen = format!("{endpoint} takes the connection and ends it as soon as TLS begins");
            Finding::bad(about, seen, exempt)
        }
        Presented::Silence => {
            let seen = format!("{endpoint} takes the connection and then says nothing");
            Finding::bad(about, seen, exempt)
        }
    }
}

fn wrong_port(exempt: &str) -> String {
    format!("is the port right (the agents', not that of the pages)? Otherwise {exempt}")
}

/// Before enrolment nothing is known to hold the collector's certificate against but its looks.
async fn unknown(endpoint: &str) -> Result<(Finding, Connection), Finding> {
    let presented = presented(endpoint).await;
    let Presented::Collector { ca } = presented else {
        let error = ConnectError::Foreign { endpoint: endpoint.to_owned() };
        return Err(stranger(endpoint, &error, presented));
    };
    let fingerprint = data_encoding::HEXLOWER.encode(&ca);
    let seen = format!("a collector answers; the SHA-256 of its CA is {fingerprint} (the token tells if it is yours)");
    match tls::connect(endpoint, Trust::Pinned(ca), None).await {
        Ok(connection) => Ok((Finding::good("tls", seen), connection)),
        Err(error) => Err(stranger(endpoint, &error, presented)),
    }
}

/// That it is a collector which speaks, and what time it has.
async fn answer(endpoint: &str, connection: Connection) -> Finding {
    match tokio::time::timeout(ANSWER_WAIT, date(connection.channel)).await {
        Ok(Ok(Some(theirs))) => times::beside(clock::now().wall, theirs),
        Ok(Ok(None)) => Finding::notice("clock", "the collector did not tell its time", ""),
        Ok(Err(error)) => {
            let remedy = "look at the collector's log: it may have revoked or refused this machine's certificate";
            Finding::bad("collector", format!("{endpoint} refuses this machine: {}", whole_chain(&error)), remedy)
        }
        Err(_) => {
            let seen = format!("{endpoint} does not answer within {} s", ANSWER_WAIT.as_secs());
            Finding::bad("collector", seen, "look at the collector's log and pages")
        }
    }
}

/// Every HTTP answer bears the server's time.
async fn date(channel: Channel) -> Result<Option<Timestamp>, tonic::transport::Error> {
    let request = Request::post(NOTHING)
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(tonic::body::Body::empty())
        .expect("a constant request is well-formed");
    let response = channel.oneshot(request).await?;
    let text = response.headers().get(header::DATE).and_then(|value| value.to_str().ok());
    Ok(text.and_then(times::http_date))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_proxy_is_named_and_never_told() {
        let finding = proxies(&|name| name == "HTTPS_PROXY");
        assert_eq!(finding.verdict, Verdict::Notice);
        assert_eq!(finding.seen, "system proxies are ignored: HTTPS_PROXY is set and not used");
        assert_eq!(proxies(&|_| false).verdict, Verdict::Good);
    }
}
