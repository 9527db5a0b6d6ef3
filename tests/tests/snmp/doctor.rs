//! What the doctor says of each fault: in words that say what to do.

use std::time::Duration;

use bellwether_agent::doctor::Verdict;
use bellwether_agent::snmp::doctor::examine;
use bellwether_tests::snmp::v3::{Engine, Fault as Wrong};

use super::version3::{block_on, user};
use super::*;

/// Everything but the table with names and large counters of ports.
fn without_large_counters() -> Rows {
    let mut rows = recording::switch(5);
    rows.retain(|name, _| !name.starts_with(&[1, 3, 6, 1, 2, 1, 31]));
    rows
}

fn known() -> Credential {
    user("closet", Some("sha256"), Some("aes128"))
}

fn community(community: &str) -> Credential {
    Credential::V2c { community: Secret::new(community) }
}

/// A fault, who asks, what is seen, and what to do about it.
struct Case {
    what: &'static str,
    fault: Fault,
    engine: Option<Wrong>,
    asks: Credential,
    seen: &'static str,
    remedy: &'static str,
}

fn old(what: &'static str, fault: Fault, seen: &'static str, remedy: &'static str) -> Case {
    Case { what, fault, engine: None, asks: community(COMMUNITY), seen, remedy }
}

fn new(what: &'static str, wrong: Wrong, asks: Credential, seen: &'static str, remedy: &'static str) -> Case {
    Case { what, fault: Fault::None, engine: Some(wrong), asks, seen, remedy }
}

fn cases() -> Vec<Case> {
    let other = |auth, privacy| user("closet", Some(auth), privacy);
    let slow = Duration::from_millis(1_300);
    let elsewhere = "have the device answer from the one that it is asked at";
    vec![
        old("none", Fault::None, "sw-closet, Simulated switch, up 1 h", ""),
        old("slow", Fault::Delay(slow), "ms to answer a small question", "asked gently"),
        old("elsewhere", Fault::OtherSource, "it answers from another address, 127.1.7.", elsewhere),
        old("cut packets", Fault::Truncate(5), "broken: no answer", "one row after the other"),
        old("no bulk", Fault::NoBulk, "broken: the device failed to answer", "one row after the other"),
        Case {
            asks: community("other"),
            ..old("community", Fault::None, "no answer, though it answers to ping", "the community is wrong")
        },
        new("fine", Wrong::None, known(), "sw-closet, Simulated switch", ""),
        new(
            "unknown user",
            Wrong::None,
            user("nobody", Some("sha256"), None),
            "no user of this name",
            "enter the user",
        ),
        new(
            "wrong digest",
            Wrong::None,
            other("sha1", Some("aes128")),
            "authentication password or protocol is wrong",
            "check `auth`",
        ),
        new(
            "wrong cipher",
            Wrong::None,
            other("sha256", Some("aes256")),
            "privacy password or protocol is wrong",
            "`-reeder`",
        ),
        new(
            "mute about it",
            Wrong::MuteAboutDecryption,
            other("sha256", Some("des")),
            "privacy password or protocol is wrong",
            "`-reeder`",
        ),
        new(
            "clock window",
            Wrong::AlwaysOutside,
            known(),
            "outside the device's time window",
            "does another device share its engine ID",
        ),
        new("new engine", Wrong::NewEngine(2), known(), "sw-closet, Simulated switch", ""),
        new("boots back", Wrong::BootsBack(2), known(), "sw-closet, Simulated switch", ""),
        new("changed on the way", Wrong::ChangedOnTheWay, known(), "says nothing to this user", "packets are lost"),
        Case {
            fault: Fault::OtherSource,
            ..new("elsewhere in version 3", Wrong::None, known(), "it answers from another address", elsewhere)
        },
    ]
}

/// What is wrong with what the doctor says of a case, if anything is.
fn wrong(simulator: &Simulator, case: &Case, last: u8) -> Option<String> {
    let address = Ipv4Addr::new(127, 1, 7, last);
    let address = match case.engine {
        None => simulator.device(address, recording::switch(5), case.fault),
        Some(fault) => {
            let engine = Engine::new(&[0x80, 0, 0, 9, 5, last], &[known()], fault);
            simulator.device_v3(address, recording::switch(5), case.fault, engine)
        }
    };
    let findings = block_on(async { examine(&Network::default(), &[address], &case.asks).await });
    let named = findings.iter().any(|finding| {
        let told = finding.to_string();
        let well = case.remedy.is_empty() == (finding.verdict == Verdict::Good);
        told.contains(case.seen) && told.contains(case.remedy) && well
    });
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    (!named).then(|| format!("{}: {}", case.what, told.join("\n    ")))
}

#[test]
fn each_fault_is_named_with_what_to_do_about_it() {
    let simulator = Simulator::default();
    let (cases, simulator) = (cases(), &simulator);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let looks: Vec<_> =
            cases.iter().zip(1_u8..).map(|(case, last)| scope.spawn(move || wrong(simulator, case, last))).collect();
        looks.into_iter().filter_map(|look| look.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_user_with_less_protection_than_is_asked_with_is_told_so() {
    let simulator = Simulator::default();
    let engine = Engine::new(&[0x80, 0, 0, 9, 5, 99], &[user("closet", Some("sha256"), None)], Wrong::None);
    let address = simulator.device_v3(Ipv4Addr::new(127, 1, 7, 60), recording::switch(5), Fault::None, engine);
    let findings = block_on(async { examine(&Network::default(), &[address], &known()).await });
    let told = findings[0].to_string();
    assert!(told.contains("level of security") && told.contains("no encryption (`privacy`) for \"closet\""), "{told}");
}

#[test]
fn a_view_that_hides_the_large_counters_is_named() {
    let simulator = Simulator::default();
    let address = simulator.device(Ipv4Addr::new(127, 1, 7, 61), without_large_counters(), Fault::None);
    let findings = block_on(async { examine(&Network::default(), &[address], &community(COMMUNITY)).await });
    let told: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(told.contains("but not ifXTable") && told.contains("view of 1.3.6.1.2.1.2 and 1.3.6.1.2.1.31"), "{told}");
}

#[test]
fn devices_that_share_an_engine_id_are_named_together() {
    let simulator = Simulator::default();
    let addresses: Vec<SocketAddr> = [62, 63]
        .map(|last| {
            let engine = Engine::new(&[0x80, 0, 0, 9, 5, 7], &[known()], Wrong::None);
            simulator.device_v3(Ipv4Addr::new(127, 1, 7, last), recording::switch(5), Fault::None, engine)
        })
        .to_vec();
    let findings = block_on(async { examine(&Network::default(), &addresses, &known()).await });
    let told: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(told.contains("share the engine ID 800000090507") && told.contains("copied configuration"), "{told}");
}
