//! Version 3 with each digest and cipher against Net-SNMP, simulated engines held against Net-SNMP's own programs, and what
//! our client makes of engines that are not as they should be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_agent::snmp::Value;
use bellwether_agent::snmp::client::{Device, Turnstile};
use bellwether_agent::snmp::poll::visit::{Outcome, Visit};
use bellwether_agent::snmp::poll::{Memory, Shared, Target};
use bellwether_logic::time::Timestamp;
use bellwether_tests::snmp::v3::Fault as Wrong;

use super::*;

/// Our words and Net-SNMP's.
pub const DIGESTS: [(&str, &str); 6] = [
    ("md5", "MD5"),
    ("sha1", "SHA"),
    ("sha224", "SHA-224"),
    ("sha256", "SHA-256"),
    ("sha384", "SHA-384"),
    ("sha512", "SHA-512"),
];
pub const CIPHERS: [(&str, &str); 6] = [
    ("des", "DES"),
    ("aes128", "AES"),
    ("aes192", "AES-192"),
    ("aes192-reeder", "AES-192-C"),
    ("aes256", "AES-256"),
    ("aes256-reeder", "AES-256-C"),
];

const SIGNING: &str = "auctoritas maxima";
const HIDING: &str = "privatus privatissimus";
const ENGINE: [u8; 9] = [0x80, 0, 0x1f, 0x88, 4, b'c', b'l', b'o', b's'];

/// A user of ours, in our words.
pub fn user(name: &str, auth: Option<&str>, privacy: Option<&str>) -> Credential {
    let signed = auth.map(|auth| [("auth", auth), ("auth_password", SIGNING)]);
    let encrypted = privacy.map(|privacy| [("privacy", privacy), ("privacy_password", HIDING)]);
    let pairs = [("user", name)].into_iter().chain(signed.into_iter().flatten()).chain(encrypted.into_iter().flatten());
    Credential::from_pairs(pairs.map(|(key, value)| (key, value.to_owned()))).unwrap()
}

/// A user with each way to be protected: our words and Net-SNMP's for digest and cipher.
type Way = (String, Option<(&'static str, &'static str)>, Option<(&'static str, &'static str)>);

fn ways() -> Vec<Way> {
    let mut ways = vec![("open".to_owned(), None, None)];
    for digest in DIGESTS {
        ways.push((digest.0.to_owned(), Some(digest), None));
        ways.extend(CIPHERS.map(|cipher| (format!("{}-{}", digest.0, cipher.0), Some(digest), Some(cipher))));
    }
    ways
}

fn credential((name, digest, cipher): &Way) -> Credential {
    user(name, digest.map(|digest| digest.0), cipher.map(|cipher| cipher.0))
}

fn name() -> [Oid; 1] {
    [Oid::from([1, 3, 6, 1, 2, 1, 1, 5, 0])]
}

async fn ask(device: &Device) -> Result<String, Trouble> {
    let bindings = device.get(&name()).await?;
    Ok(bindings[0].held.value().and_then(Value::as_text).unwrap())
}

/// Runs what asks in a runtime of its own.
pub fn block_on<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(what)
}

#[test]
fn net_snmp_answers_to_each_digest_with_each_cipher() {
    let mut lines = String::from("sysName snmpd\n");
    for (name, digest, cipher) in ways() {
        let signed = digest.map_or(String::new(), |(_, word)| format!(" {word} \"{SIGNING}\""));
        let encrypted = cipher.map_or(String::new(), |(_, word)| format!(" {word} \"{HIDING}\""));
        let level = ["noauth", "auth", "priv"][usize::from(digest.is_some()) + usize::from(cipher.is_some())];
        lines += &format!("createUser {name}{signed}{encrypted}\nrouser {name} {level}\n");
    }
    let (_daemon, address, _folder) = net_snmp::daemon(10, &lines);
    block_on(async {
        let network = Network::default();
        let mut failed = Vec::new();
        for way in ways() {
            let login = Login::new(&credential(&way)).unwrap();
            let device = network.device(address.parse().unwrap(), &login).await.unwrap();
            let answer = ask(&device).await;
            if answer.as_deref() != Ok("snmpd") {
                failed.push(format!("{}: {answer:?}", way.0));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    });
}

#[test]
fn a_simulated_engine_speaks_as_net_snmp_does() {
    let people: Vec<Credential> = ways().iter().map(credential).collect();
    let engine = Engine::new(&ENGINE, &people, Wrong::None);
    let simulator = Simulator::default();
    let address = simulator.device_v3(Ipv4Addr::new(127, 1, 6, 1), recording::switch(3), Fault::None, engine);
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for (way, person) in ways().iter().zip(&people) {
        let (name, digest, cipher) = way;
        let level =
            ["noAuthNoPriv", "authNoPriv", "authPriv"][usize::from(digest.is_some()) + usize::from(cipher.is_some())];
        let mut command = Command::new("snmpget");
        command.env("MIBS", "").env("SNMP_PERSISTENT_DIR", folder.path()).env("SNMPCONFPATH", folder.path());
        command.args(["-v3", "-On", "-t2", "-r1", "-l", level, "-u", name]);
        if let Some((_, word)) = digest {
            command.args(["-a", word, "-A", SIGNING]);
        }
        if let Some((_, word)) = cipher {
            command.args(["-x", word, "-X", HIDING]);
        }
        let theirs = run_command("snmpget", command.arg(address.to_string()).arg(".1.3.6.1.2.1.1.5.0"));
        let ours = block_on(async {
            let device = Network::default();
            let device = device.device(address, &Login::new(person).unwrap()).await.unwrap();
            ask(&device).await
        });
        if !theirs.text.contains("sw-closet") || ours.as_deref() != Ok("sw-closet") {
            failed.push(format!("{name}: theirs {:?}, ours {ours:?}", theirs.text.trim()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A simulated switch with one user of the ordinary kind.
fn engine(wrong: Wrong) -> Engine {
    Engine::new(&ENGINE, &[user("closet", Some("sha256"), Some("aes128"))], wrong)
}

fn login() -> Login {
    Login::new(&user("closet", Some("sha256"), Some("aes128"))).unwrap()
}

/// What eight questions in a row bring.
fn questions(last: u8, fault: Fault, engine: Engine) -> Vec<Result<String, Trouble>> {
    let simulator = Simulator::default();
    let address = simulator.device_v3(Ipv4Addr::new(127, 1, 6, last), recording::switch(3), fault, engine);
    block_on(async {
        let network = Network::default();
        let device = network.device(address, &login()).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..8 {
            answers.push(ask(&device).await);
        }
        answers
    })
}

#[test]
fn an_engine_that_changes_loses_no_question() {
    for (last, wrong) in [(10, Wrong::NewEngine(4)), (11, Wrong::Restart(4)), (12, Wrong::BootsBack(4))] {
        let answers = questions(last, Fault::None, engine(wrong));
        assert!(answers.iter().all(Result::is_ok), "{wrong:?}: {answers:?}");
    }
}

#[test]
fn two_devices_with_one_engine_id_are_both_asked() {
    let simulator = Simulator::default();
    let old = engine(Wrong::None).running(90, Duration::from_secs(9_000_000));
    let one = simulator.device_v3(Ipv4Addr::new(127, 1, 6, 20), recording::switch(3), Fault::None, old);
    let new = engine(Wrong::None).running(2, Duration::from_secs(60));
    let other = simulator.device_v3(Ipv4Addr::new(127, 1, 6, 21), recording::switch(3), Fault::None, new);
    block_on(async {
        let network = Network::default();
        let one = network.device(one, &login()).await.unwrap();
        let other = network.device(other, &login()).await.unwrap();
        for _ in 0..4 {
            let answers = [ask(&one).await, ask(&other).await];
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    });
}

#[test]
fn an_engine_that_refuses_each_time_is_told_as_that() {
    let answers = questions(30, Fault::None, engine(Wrong::AlwaysOutside));
    assert!(answers.iter().all(|answer| *answer == Err(Trouble::NotInTimeWindow)), "{answers:?}");
}

#[test]
fn lost_and_slow_answers_are_waited_for_and_asked_for_again() {
    let answers = questions(40, Fault::Lose(3), engine(Wrong::None));
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let answers = questions(41, Fault::Delay(Duration::from_millis(1_500)), engine(Wrong::None));
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[test]
fn an_answer_that_comes_too_late_is_never_another_question_s() {
    let simulator = Simulator::default();
    let late = Fault::Delay(Duration::from_millis(2_300));
    let address = simulator.device(Ipv4Addr::new(127, 1, 6, 42), recording::switch(3), late);
    block_on(async {
        let network = Network::default();
        let login = Login::new(&Credential::V2c { community: Secret::new(COMMUNITY) }).unwrap();
        let device = network.device(address, &login).await.unwrap();
        for arc in [1, 5, 1, 5] {
            let name = Oid::from([1, 3, 6, 1, 2, 1, 1, arc, 0]);
            match device.get(std::slice::from_ref(&name)).await {
                Ok(bindings) => assert_eq!(bindings[0].name, name),
                Err(trouble) => assert_eq!(trouble, Trouble::NoAnswer),
            }
        }
    });
}

#[test]
fn what_is_not_signed_or_comes_from_elsewhere_is_not_believed() {
    let simulator = Simulator::default();
    for (last, fault, wrong) in [(50, Fault::OtherSource, Wrong::None), (51, Fault::None, Wrong::ChangedOnTheWay)] {
        let address = Ipv4Addr::new(127, 1, 6, last);
        let address = simulator.device_v3(address, recording::switch(3), fault, engine(wrong));
        let answer = block_on(async {
            let network = Network::default();
            let device = network.device(address, &login()).await.unwrap();
            ask(&device).await
        });
        assert!(matches!(answer, Err(Trouble::NoAnswer | Trouble::Unsigned)), "{fault:?} {wrong:?}: {answer:?}");
    }
}

#[test]
fn a_device_that_cuts_its_packets_off_is_walked_whole_in_version_3_too() {
    let simulator = Simulator::default();
    let address = Ipv4Addr::new(127, 1, 6, 60);
    let address = simulator.device_v3(address, recording::switch(60), Fault::Truncate(10), engine(Wrong::None));
    let walked = block_on(async {
        let network = Network::default();
        let device = network.device(address, &login()).await.unwrap();
        drive::walk(&device, &everything(), true, &mut Budget::default()).await
    });
    assert_eq!((walked.end, walked.answers.len()), (End::Complete, recording::switch(60).len()));
}

/// A forwarding table: an address that is learned on a port of the bridge.
fn learned(last: u8, port: u32) -> String {
    format!(
        "1.3.6.1.2.1.17.1.4.1.2.{port}|2|{ifindex}\n1.3.6.1.2.1.17.4.3.1.1.2.0.0.0.0.{last}|4x|0200000000{last:02x}\n\
         1.3.6.1.2.1.17.4.3.1.2.2.0.0.0.0.{last}|2|{port}\n1.3.6.1.2.1.17.4.3.1.3.2.0.0.0.0.{last}|2|3\n",
        ifindex = port + 10_100
    )
}

/// A switch of Cisco with VLANs that are contexts.
fn switch_with_vlans(vlans: &[u16]) -> String {
    let mut text =
        "1.3.6.1.2.1.1.1.0|4|Cisco IOS Software, C2960X Software\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.9.1.1208\n\
                    1.3.6.1.2.1.17.1.1.0|4x|8c04ba5e0001\n1.3.6.1.2.1.17.1.2.0|2|4\n"
            .to_owned();
    for port in 1..=4 {
        let index = port + 10_100;
        text += &format!("1.3.6.1.2.1.2.2.1.3.{index}|2|6\n1.3.6.1.2.1.31.1.1.1.1.{index}|4|Gi1/0/{port}\n");
    }
    vlans.iter().for_each(|vlan| text += &format!("1.3.6.1.4.1.9.9.46.1.3.1.1.2.1.{vlan}|2|1\n"));
    text + &learned(1, 1)
}

#[test]
fn the_tables_of_each_vlan_are_read_by_its_context() {
    let person = user("vlans", Some("sha256"), Some("aes128"));
    let rows = |text: &str| recording::read(text.as_bytes(), 1_000).rows;
    let simulator = Simulator::default();
    let vlans = BTreeMap::from([(20, rows(&learned(2, 2))), (30, rows(&learned(3, 3)))]);
    let engine = Engine::new(&ENGINE, std::slice::from_ref(&person), Wrong::None);
    let switch = rows(&switch_with_vlans(&[1, 20, 30]));
    let address = simulator.device_v3_with_vlans(Ipv4Addr::new(127, 1, 12, 1), switch, vlans, engine);
    let (id, credential) = ("switch".into(), "closet".into());
    let visit = Visit {
        shared: Arc::new(Shared::new(Path::new("none"))),
        target: Arc::new(Target { id, address, credential, witness: false, serial: "".into(), mac: "".into() }),
        login: Arc::new(Login::new(&person).unwrap()),
        turnstile: Turnstile::default(),
        time: Timestamp(1_790_000_000_000),
        at_ms: 0,
    };
    let Outcome::Answered { rows, .. } = block_on(visit.slow(Memory::default())).outcome else {
        panic!("the switch answers");
    };
    let told = rows.iter().filter(|row| row.kind == "forwarding").map(|row| {
        let column = |name| row.columns.get(name).map_or("", String::as_str);
        (column("vlan"), column("mac"))
    });
    let expected = [("", "02:00:00:00:00:01"), ("20", "02:00:00:00:00:02"), ("30", "02:00:00:00:00:03")];
    assert_eq!(told.collect::<BTreeSet<_>>(), expected.into(), "{rows:?}");
}
