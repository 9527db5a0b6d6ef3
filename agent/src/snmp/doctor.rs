//! Why a device does not answer as it should, in words for whoever stands before it. Each check is one line with its
//! remedy. It asks a few small questions and changes nothing; no secret is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use self::silence::Silence;
use super::Oid;
use super::ask::{Client, Trouble};
use super::budget::VERY_SLOW;
use super::client::{Device, Login, Network};
use super::credential::Credential;
use crate::doctor::Finding;

mod looks;
mod silence;

/// What the system group says first: description, kind, up time, name.
fn system() -> [Oid; 4] {
    [1, 2, 3, 5].map(|arc| Oid::from([1, 3, 6, 1, 2, 1, 1, arc, 0]))
}

/// Looks at each device as `credential` would, and at what they say together; the findings are in that order.
pub async fn examine(network: &Network, addresses: &[SocketAddr], credential: &Credential) -> Vec<Finding> {
    let mut findings = Vec::new();
    let login = match Login::new(credential) {
        Ok(login) => login,
        Err(trouble) => return vec![Finding::bad("credential", trouble.to_string(), "choose other protocols")],
    };
    let mut engines: BTreeMap<Vec<u8>, BTreeSet<SocketAddr>> = BTreeMap::new();
    for &address in addresses {
        let device = match network.device(address, &login).await {
            Ok(device) => device,
            Err(trouble) => {
                findings.push(Finding::bad("socket", format!("{address}: {trouble}"), "is there a network?"));
                continue;
            }
        };
        one(network, &device, credential, &login, &mut findings).await;
        if let Some(engine) = device.engine_id() {
            engines.entry(engine).or_default().insert(address);
        }
    }
    findings.extend(engines.into_iter().filter(|(_, addresses)| addresses.len() > 1).map(shared));
    findings
}

/// Devices with one engine ID: what one says of time is held against the other.
fn shared((engine, addresses): (Vec<u8>, BTreeSet<SocketAddr>)) -> Finding {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Finding::bad(
        "engine ID",
        format!("{} share the engine ID {}", addresses.join(" and "), hexadecimal(&engine)),
        "give each device an engine ID of its own and enter its users anew; a copied configuration brings a copied engine \
         ID. Unless these are addresses of one device",
    )
}

async fn one(network: &Network, device: &Device, credential: &Credential, login: &Login, findings: &mut Vec<Finding>) {
    let begun = Instant::now();
    let answer = device.get(&system()).await;
    let took = begun.elapsed();
    match answer {
        Ok(bindings) => {
            findings.push(looks::answered(device.address(), &bindings, took));
            findings.extend(slow(device.address(), took));
            if !login.is_v1() {
                findings.push(looks::bulk(device).await);
            }
            findings.push(looks::ports(device, login.is_v1()).await);
        }
        Err(Trouble::NoSuchName) if login.is_v1() => findings.push(looks::no_system_group(device.address())),
        Err(Trouble::NoAnswer) => findings.push(no_answer(network, device, credential).await),
        Err(trouble) => findings.push(refused(device.address(), &trouble, credential)),
    }
}

fn slow(address: SocketAddr, took: Duration) -> Option<Finding> {
    let seen = || format!("{address}: it took {} ms to answer a small question", took.as_millis());
    let remedy = "it is asked gently; if it is always so, look at its processor and at who else asks it";
    (took > VERY_SLOW).then(|| Finding::notice("speed", seen(), remedy))
}

/// Tells the reasons of silence apart, as far as they can be.
async fn no_answer(network: &Network, device: &Device, credential: &Credential) -> Finding {
    let address = device.address();
    if device.engine_id().is_some() {
        return user_unheard(network, address, credential).await;
    }
    let users = matches!(credential, Credential::V3(_));
    match silence::reason(address, credential).await {
        Silence::Closed => Finding::bad(
            "answer",
            format!("{address}: the machine is there, and nothing listens on that port"),
            "switch SNMP on in the device, or name the port that it uses",
        ),
        Silence::SpeaksVersion3 if users => Finding::bad(
            "answer",
            format!("{address}: it speaks version 3 now and then, but not when it was asked"),
            "packets are being lost, or the device is overburdened; try again",
        ),
        Silence::SpeaksVersion3 => Finding::bad(
            "answer",
            format!("{address}: it speaks version 3, and says nothing to this community"),
            "the community is wrong, versions 1 and 2c are off, or this machine's address is not allowed to ask: a device \
             says nothing in each case",
        ),
        Silence::Elsewhere(other) => Finding::bad(
            "answer",
            format!("{address}: it answers from another address, {other}, and what comes from there is not believed"),
            "name that address instead, or have the device answer from the one that it is asked at",
        ),
        Silence::Pingable => Finding::bad(
            "answer",
            format!("{address}: no answer, though it answers to ping"),
            if users {
                "SNMP is off, has no version 3, or this machine's address is not allowed to ask"
            } else {
                "SNMP is off, the community is wrong, or this machine's address is not allowed to ask: a device says \
                 nothing in each case, so they look the same from here"
            },
        ),
        Silence::Nothing => Finding::bad(
            "answer",
            format!("{address}: no answer, and none to ping"),
            "is it on, is the address right, does a firewall lie between? A wrong community looks the same from here",
        ),
        Silence::PingUnknown(why) => Finding::bad(
            "answer",
            format!("{address}: no answer; whether it answers to ping can't be told ({why})"),
            "is it on, is SNMP on, is the community right, does a firewall lie between? They look the same from here",
        ),
    }
}

/// A device that gave its engine ID and then fell silent: it dropped what it could not decrypt.
async fn user_unheard(network: &Network, address: SocketAddr, credential: &Credential) -> Finding {
    let remedy = "check `privacy` and `privacy_password`; for AES with 192 or 256 bits try the `-reeder` form, too";
    let signed = match credential.without_privacy().map(|signed| Login::new(&signed)) {
        Some(Ok(login)) => match network.device(address, &login).await {
            Ok(device) => device.get(&system()).await,
            Err(trouble) => Err(trouble),
        },
        _ => Err(Trouble::NoAnswer),
    };
    match signed {
        Ok(_) | Err(Trouble::UnsupportedLevel | Trouble::NoAccess) => Finding::bad(
            "privacy",
            format!("{address}: user and authentication are right, the privacy password or protocol is wrong"),
            remedy,
        ),
        Err(Trouble::NoAnswer) => Finding::bad(
            "answer",
            format!("{address}: it speaks version 3, and says nothing to this user"),
            "its protocols may differ from these, this machine's address may not be allowed to ask, or packets are lost",
        ),
        Err(trouble) => refused(address, &trouble, credential),
    }
}

/// What the device said against the question.
fn refused(address: SocketAddr, trouble: &Trouble, credential: &Credential) -> Finding {
    let user = match credential {
        Credential::V3(user) => user.name.as_str(),
        _ => "",
    };
    let encrypts = credential.without_privacy().is_some();
    let (about, remedy): (_, String) = match trouble {
        Trouble::UnknownUser => (
            "user",
            format!(
                "enter the user {user:?} on the device, or check the spelling: capitals count. A device whose engine ID \
                     was changed has forgotten its users"
            ),
        ),
        Trouble::WrongDigest | Trouble::Unsigned => (
            "authentication",
            format!(
                "check `auth` and `auth_password` of {user:?}; after a change of the engine ID they must be entered on \
                     the device anew"
            ),
        ),
        Trouble::CantDecrypt => (
            "privacy",
            "check `privacy` and `privacy_password`; for AES with 192 or 256 bits try the `-reeder` form, too"
                .to_owned(),
        ),
        Trouble::UnsupportedLevel => (
            "security level",
            format!(
                "the device has no {} for {user:?}: set it up there, or leave it out here",
                if encrypts { "encryption (`privacy`)" } else { "password (`auth`)" }
            ),
        ),
        Trouble::NotInTimeWindow => (
            "clock window",
            "the device's engine time jumps: does it forget its restarts, or does another device share its engine ID? \
             Give this command both addresses"
                .to_owned(),
        ),
        Trouble::UnknownEngine => ("engine ID", "try again: the device changed its engine ID just now".to_owned()),
        Trouble::NoAccess if matches!(credential, Credential::V3(_)) && !encrypts => (
            "access",
            format!(
                "the device may let {user:?} read only what is encrypted: give `privacy` and `privacy_password`. Otherwise \
                     give the user a view of 1.3.6.1 to read"
            ),
        ),
        Trouble::NoAccess | Trouble::NoSuchName => {
            ("view", "give the user or community a view of 1.3.6.1 to read".to_owned())
        }
        Trouble::TooBig | Trouble::DeviceFailed | Trouble::Status(_) | Trouble::Garbled => (
            "answer",
            "the device's SNMP is broken or overburdened: is there newer firmware? A restart may help".to_owned(),
        ),
        Trouble::NoAnswer | Trouble::NotSent(_) => ("answer", "is there a way to this network?".to_owned()),
    };
    Finding::bad(about, format!("{address}: {trouble}"), remedy)
}

fn hexadecimal(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 161))
    }

    #[test]
    fn each_refusal_has_a_remedy_and_no_secret() {
        let file = "user = \"closet\"\nauth = \"md5\"\nauth_password = \"very secret\"";
        let credential = Credential::parse(file).unwrap();
        for trouble in [
            Trouble::UnknownUser,
            Trouble::WrongDigest,
            Trouble::CantDecrypt,
            Trouble::UnsupportedLevel,
            Trouble::NotInTimeWindow,
            Trouble::UnknownEngine,
            Trouble::NoAccess,
            Trouble::Garbled,
            Trouble::NoAnswer,
        ] {
            let finding = refused(address(), &trouble, &credential);
            assert_eq!(finding.verdict, Verdict::Bad);
            assert!(!finding.remedy.is_empty() && !finding.to_string().contains("secret"), "{finding}");
        }
    }

    #[test]
    fn what_a_user_lacks_is_told_by_what_was_asked_with() {
        let signed = Credential::parse("user = \"closet\"\nauth = \"md5\"\nauth_password = \"very secret\"").unwrap();
        let said = refused(address(), &Trouble::NoAccess, &signed).to_string();
        assert!(said.contains("only what is encrypted: give `privacy`"), "{said}");
        let file = "user = \"closet\"\nauth = \"md5\"\nauth_password = \"very secret\"\n\
                    privacy = \"des\"\nprivacy_password = \"very hidden\"";
        let encrypted = Credential::parse(file).unwrap();
        let said = refused(address(), &Trouble::UnsupportedLevel, &encrypted).to_string();
        assert!(said.contains("no encryption (`privacy`) for \"closet\""), "{said}");
        let said = refused(address(), &Trouble::NoAccess, &encrypted).to_string();
        assert!(said.contains("a view of 1.3.6.1 to read") && !said.contains("`privacy`"), "{said}");
    }

    #[test]
    fn two_switches_with_one_engine_id_are_named() {
        let other = SocketAddr::from(([192, 0, 2, 2], 161));
        let said = shared((vec![0x80, 0, 0, 9], BTreeSet::from([address(), other]))).to_string();
        assert!(said.contains("192.0.2.1:161 and 192.0.2.2:161 share the engine ID 80000009"), "{said}");
    }
}
