//! SNMP against what there is: Net-SNMP's own daemon in versions 2c and 3, recordings of a hundred real devices, and
//! simulated devices with the faults that real ones have.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_agent::snmp::Oid;
use bellwether_agent::snmp::ask::{Client, Trouble};
use bellwether_agent::snmp::budget::Budget;
use bellwether_agent::snmp::client::{Login, Network};
use bellwether_agent::snmp::credential::{Credential, Secret};
use bellwether_agent::snmp::walk::{End, Walked, drive};
use bellwether_tests::program::{Ended, Program, built, run_command};
use bellwether_tests::snmp::recording::{self, Recording, Rows};
use bellwether_tests::snmp::v3::{self, Engine};
use bellwether_tests::snmp::{COMMUNITY, Fault, Simulator};

mod doctor;
mod loss;
mod traps;
mod version3;

/// Lines of each recording that are walked: some have millions.
const LINES_MAX: usize = 2_500;
/// The same in version 3: the simulated device and the client sign and encrypt each packet without optimisation.
const LINES_SIGNED_MAX: usize = 1_000;

fn everything() -> Oid {
    Oid::from([1])
}

/// Walks all of a simulated device.
fn walk(address: SocketAddr, bulk: bool) -> (Walked, Budget) {
    let community = Secret::new(COMMUNITY);
    let credential = if bulk { Credential::V2c { community } } else { Credential::V1 { community } };
    walk_as(&Login::new(&credential).unwrap(), address, bulk)
}

/// Walks all of a simulated device as somebody.
fn walk_as(login: &Login, address: SocketAddr, bulk: bool) -> (Walked, Budget) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let network = Network::default();
        let device = network.device(address, login).await.unwrap();
        let mut budget = Budget::default();
        let walked = drive::walk(&device, &everything(), bulk, &mut budget).await;
        (walked, budget)
    })
}

fn names(walked: &Walked) -> Vec<Vec<u32>> {
    walked.answers.iter().map(|(name, _)| name.arcs().to_vec()).collect()
}

mod devices {
    use super::*;

    fn switch() -> Rows {
        recording::switch(200)
    }

    fn expected() -> Vec<Vec<u32>> {
        switch().into_keys().collect()
    }

    /// Each test has addresses of its own: they run side by side.
    fn device(last: u8, fault: Fault, bulk: bool) -> (Walked, Budget) {
        let simulator = Simulator::default();
        let address = simulator.device(Ipv4Addr::new(127, 1, 1, last), switch(), fault);
        walk(address, bulk)
    }

    #[test]
    fn an_honest_device_is_walked_whole_in_both_old_versions() {
        for (last, bulk) in [(1, true), (2, false)] {
            let (walked, _) = device(last, Fault::None, bulk);
            assert_eq!((walked.end.clone(), names(&walked)), (End::Complete, expected()));
        }
    }

    #[test]
    fn a_device_that_bears_little_is_walked_whole() {
        for (last, fault) in [(10, Fault::TooBig(7)), (11, Fault::NoBulk), (12, Fault::Lose(9))] {
            let (walked, _) = device(last, fault, true);
            assert_eq!((walked.end.clone(), names(&walked)), (End::Complete, expected()), "{fault:?}");
        }
    }

    #[test]
    fn a_device_that_cuts_its_packets_off_is_walked_whole() {
        let (walked, _) = device(20, Fault::Truncate(10), true);
        assert_eq!((walked.end.clone(), names(&walked)), (End::Complete, expected()));
    }

    #[test]
    fn a_device_that_goes_in_circles_is_cut_with_what_it_said() {
        let (walked, _) = device(30, Fault::Circle, true);
        assert!(matches!(walked.end, End::Circle { .. }), "{:?}", walked.end);
        assert_eq!(names(&walked), expected()[..10]);
    }

    #[test]
    fn an_answer_from_another_address_is_none() {
        let (walked, _) = device(40, Fault::OtherSource, true);
        assert_eq!((walked.end, walked.answers.len()), (End::Trouble(Trouble::NoAnswer), 0));
    }

    #[test]
    fn a_slow_device_is_asked_gently_and_it_is_said() {
        let simulator = Simulator::default();
        let address = Ipv4Addr::new(127, 1, 1, 50);
        let address = simulator.device(address, recording::switch(8), Fault::Delay(Duration::from_millis(1_200)));
        let (walked, budget) = walk(address, true);
        assert_eq!(walked.end, End::Complete);
        assert!(budget.slowed().is_some());
    }

    #[test]
    fn a_device_that_is_late_and_not_lost_is_not_asked_ever_more() {
        let simulator = Simulator::default();
        let address = Ipv4Addr::new(127, 1, 1, 51);
        // It answers one question after the other, also those that are sent again.
        let address = simulator.device(address, recording::switch(1), Fault::Delay(Duration::from_millis(900)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let login = Login::new(&Credential::V2c { community: Secret::new(COMMUNITY) }).unwrap();
            let network = Network::default();
            let device = network.device(address, &login).await.unwrap();
            let name = [Oid::from([1, 3, 6, 1, 2, 1, 1, 3, 0])];
            for _ in 0..8 {
                device.get(&name).await.unwrap();
            }
        });
        // Each has one value; the first is sent twice, because a device is not known to be slow before it was.
        let asked = simulator.values();
        assert!((8..=10).contains(&asked), "asked {asked} times");
    }

    #[test]
    fn many_devices_are_asked_on_one_socket() {
        let simulator = Simulator::default();
        let devices: Vec<SocketAddr> = (0..=255)
            .map(|last| simulator.device(Ipv4Addr::new(127, 1, 2, last), recording::switch(4), Fault::None))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let login = Login::new(&Credential::V2c { community: Secret::new(COMMUNITY) }).unwrap();
            let network = std::sync::Arc::new(Network::default());
            let walks: Vec<_> = devices
                .into_iter()
                .map(|address| {
                    let (network, login) = (std::sync::Arc::clone(&network), login.clone());
                    tokio::spawn(async move {
                        let device = network.device(address, &login).await.unwrap();
                        let walked = drive::walk(&device, &everything(), true, &mut Budget::default()).await;
                        (walked.end, walked.answers.len())
                    })
                })
                .collect();
            for walk in walks {
                assert_eq!(walk.await.unwrap(), (End::Complete, 15));
            }
        });
    }

    #[test]
    fn nobody_there_is_told_in_bounded_time() {
        let begun = Instant::now();
        let (walked, _) = walk(SocketAddr::from(([127, 1, 1, 99], 9)), true);
        assert_eq!(walked.end, End::Trouble(Trouble::NoAnswer));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

mod recordings {
    use super::*;

    /// Where `tests/run` puts the package of recordings.
    fn folder() -> PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        tests.parent().unwrap().join("target/snmp-recordings")
    }

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                files(&path, found);
            } else if name.ends_with(".snmprec") || name.ends_with(".snmprec.bz2") {
                found.push(path);
            }
        }
    }

    fn read(path: &Path, lines_max: usize) -> Recording {
        if path.extension().is_some_and(|end| end == "snmprec") {
            return recording::read(BufReader::new(fs::File::open(path).unwrap()), lines_max);
        }
        let mut bzcat = Command::new("bzcat").arg(path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let recording = recording::read(BufReader::new(bzcat.stdout.take().unwrap()), lines_max);
        // It may be in the middle of millions of lines.
        let _ = bzcat.kill();
        bzcat.wait().unwrap();
        recording
    }

    /// Walks so many lines of each recording in the way that `walk` has, and says what was lost. Each test has a network
    /// of its own, 127.1.`net`.
    fn walk_all(net: u8, lines_max: usize, walk: impl Fn(u8, &Simulator, Ipv4Addr, Rows) -> Walked) {
        let mut found = Vec::new();
        files(&folder(), &mut found);
        found.sort();
        assert!(found.len() >= 100, "{} recordings in {}: tests/run fetches them", found.len(), folder().display());
        let simulator = Simulator::default();
        let (mut rows, mut bad, mut wrong) = (0, 0, Vec::new());
        for (path, number) in found.iter().zip(1_u8..) {
            let recording = read(path, lines_max);
            let expected = recording.rows.len();
            let walked = walk(number, &simulator, Ipv4Addr::new(127, 1, net, number), recording.rows);
            rows += expected;
            bad += recording.bad;
            let got = walked.answers.len() + usize::try_from(walked.odd).unwrap();
            if walked.end != End::Complete || got != expected {
                wrong.push(format!("{}: {got} of {expected} rows: {}", path.display(), walked.end));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(rows > found.len() * lines_max / 4, "{rows} rows, {bad} lines that only snmpsim understands");
        assert!(bad < rows / 100, "{bad} bad lines of {rows}");
    }

    #[test]
    fn each_recorded_device_is_walked_and_nothing_of_it_is_lost() {
        walk_all(3, LINES_MAX, |_, simulator, address, rows| {
            walk(simulator.device(address, rows, Fault::None), true).0
        });
    }

    /// Signed and encrypted, each device with the next digest and cipher.
    #[test]
    fn each_recorded_device_is_walked_in_version_3_and_nothing_of_it_is_lost() {
        let ways: Vec<(Login, Engine)> = version3::DIGESTS
            .iter()
            .zip(version3::CIPHERS)
            .map(|((digest, _), (cipher, _))| {
                let person = version3::user("closet", Some(digest), Some(cipher));
                (Login::new(&person).unwrap(), Engine::new(b"first", &[person], v3::Fault::None))
            })
            .collect();
        walk_all(30, LINES_SIGNED_MAX, |number, simulator, address, rows| {
            let (login, engine) = &ways[usize::from(number) % ways.len()];
            let engine = engine.beside(&[0x80, 0, 0x1f, 0x88, 4, b'r', b'e', b'c', number]);
            walk_as(login, simulator.device_v3(address, rows, Fault::None, engine), true).0
        });
    }
}

mod net_snmp {
    use super::*;

    const CONFIGURATION: &str = "\
        rocommunity public 127.0.0.0/8\n\
        createUser ordinary SHA auctoritas1 AES privatus12\n\
        rouser ordinary priv\n\
        createUser strong SHA-512 auctoritas2 AES-256 privatus34\n\
        rouser strong priv\n\
        createUser old MD5 auctoritas3 DES privatus56\n\
        rouser old priv\n";

    const PEOPLE: [&[(&str, &str)]; 4] = [
        &[("community", "public")],
        &[
            ("user", "ordinary"),
            ("auth", "sha1"),
            ("auth_password", "auctoritas1"),
            ("privacy", "aes128"),
            ("privacy_password", "privatus12"),
        ],
        &[
            ("user", "strong"),
            ("auth", "sha512"),
            ("auth_password", "auctoritas2"),
            ("privacy", "aes256"),
            ("privacy_password", "privatus34"),
        ],
        &[
            ("user", "old"),
            ("auth", "md5"),
            ("auth_password", "auctoritas3"),
            ("privacy", "des"),
            ("privacy_password", "privatus56"),
        ],
    ];

    /// The daemon, its address, and the folder that it keeps its state in.
    pub fn daemon(last: u8, configuration: &str) -> (Program, String, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.1.4.{last}:16199");
        let other = format!("127.1.5.{last}:16199");
        let file = folder.path().join("snmpd.conf");
        fs::write(&file, format!("agentaddress udp:{address},udp:{other}\n{configuration}")).unwrap();
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
        let mut command = Command::new("snmpd");
        command.env("PATH", path).env("MIBS", "").args(["-f", "-Lo", "-I", "-smux", "-C", "-c"]).arg(&file);
        command.arg(format!("--persistentDir={}", folder.path().join("state").display()));
        let program = Program::start("snmpd", &mut command);
        let _ = program.wait_for_line("NET-SNMP version", Duration::from_secs(20));
        (program, address, folder)
    }

    fn agent(person: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let mut command = Command::new(built("bellwether-agent"));
        command.arg("snmp").args(arguments);
        for (key, value) in person {
            command.env(format!("BELLWETHER_SNMP_{}", key.to_uppercase()), value);
        }
        run_command("bellwether-agent snmp", &mut command)
    }

    /// What changes between two walks: processes, connections, counters of what SNMP itself does.
    const FLEETING: [&str; 9] = [
        "1.3.6.1.2.1.25.4",
        "1.3.6.1.2.1.25.5",
        "1.3.6.1.2.1.25.2",
        "1.3.6.1.2.1.25.3",
        "1.3.6.1.2.1.6",
        "1.3.6.1.2.1.7",
        "1.3.6.1.2.1.4",
        "1.3.6.1.2.1.55",
        "1.3.6.1.4.1.2021",
    ];

    /// Names with their values as text; values that spread over lines lose their tail in both programs alike.
    fn lasting<'a>(text: &'a str, between: &str) -> BTreeMap<&'a str, &'a str> {
        let pairs = text.lines().filter_map(|line| line.split_once(between));
        let pairs = pairs.map(|(name, value)| (name.trim_start_matches('.'), value.trim_matches('"')));
        let fleeting = |name: &str| {
            FLEETING.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')))
        };
        let named = |name: &str| name.starts_with("1.3.6.1.") && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let ended = |value: &str| value.starts_with("No more variables");
        pairs.filter(|(name, value)| named(name) && !fleeting(name) && !ended(value)).collect()
    }

    #[test]
    fn the_daemon_is_walked_as_its_own_program_walks_it() {
        let (_daemon, address, _folder) = daemon(1, CONFIGURATION);
        let mut command = Command::new("snmpbulkwalk");
        command.env("MIBS", "").args(["-v2c", "-c", "public", "-Cr25", "-Onqet", "-t5", &address, ".1.3.6.1"]);
        let theirs = run_command("snmpbulkwalk", &mut command);
        let theirs = lasting(&theirs.text, " ");
        assert!(theirs.len() > 500, "{}", theirs.len());
        for person in PEOPLE {
            let walked = agent(person, &["walk", &address]);
            assert!(walked.status.success(), "{person:?}: {}", walked.text);
            let ours = lasting(&walked.text, " = ");
            let missing: Vec<_> = theirs.keys().filter(|name| !ours.contains_key(*name)).collect();
            let more: Vec<_> = ours.keys().filter(|name| !theirs.contains_key(*name)).collect();
            assert!(missing.is_empty() && more.is_empty(), "{person:?}: missing {missing:?}, more {more:?}");
            // What is installed does not change while it is looked at.
            let packages = |map: &BTreeMap<&str, &str>| -> Vec<String> {
                let installed = map.iter().filter(|(name, _)| name.starts_with("1.3.6.1.2.1.25.6.3.1.2."));
                installed.map(|(name, value)| format!("{name} {value}")).collect()
            };
            assert_eq!(packages(&ours), packages(&theirs), "{person:?}");
        }
    }

    #[test]
    fn the_doctor_tells_what_is_wrong_with_a_credential() {
        let (_daemon, address, _folder) = daemon(2, CONFIGURATION);
        let changed = |key: &str, value: &'static str| -> Vec<(&'static str, &'static str)> {
            PEOPLE[1].iter().map(|&(name, old)| (name, if name == key { value } else { old })).collect()
        };
        for (person, said) in [
            (PEOPLE[1].to_vec(), "ok       answer"),
            (changed("user", "nobody"), "no user of this name"),
            (changed("auth_password", "wrong password"), "authentication password or protocol is wrong"),
            (changed("privacy_password", "wrong password"), "privacy"),
            (vec![("community", "wrong")], "says nothing to this community"),
            (PEOPLE[1][..3].to_vec(), "view"),
        ] {
            let told = agent(&person, &["doctor", &address]);
            assert!(told.text.contains(said), "{person:?}: {}", told.text);
            assert!(!told.text.contains("wrong password"), "no secret is printed: {}", told.text);
        }
        let told = agent(PEOPLE[0], &["doctor", "127.1.4.2:9"]);
        assert!(told.text.contains("nothing listens on that port"), "{}", told.text);
    }

    #[test]
    fn two_devices_with_one_engine_id_are_named() {
        let (_daemon, address, _folder) = daemon(3, CONFIGURATION);
        let told = agent(PEOPLE[1], &["doctor", &address, &address.replace("127.1.4.", "127.1.5.")]);
        assert!(told.text.contains("share the engine ID"), "{}", told.text);
    }

    #[test]
    fn a_daemon_that_comes_back_with_another_engine_id_is_found_again() {
        let (first, address, _folder) = daemon(4, CONFIGURATION);
        let credential =
            Credential::from_pairs(PEOPLE[1].iter().map(|(key, value)| (*key, (*value).to_owned()))).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let login = Login::new(&credential).unwrap();
            let network = Network::default();
            let device = network.device(address.parse().unwrap(), &login).await.unwrap();
            let name = [Oid::from([1, 3, 6, 1, 2, 1, 1, 3, 0])];
            device.get(&name).await.unwrap();
            let before = device.engine_id().unwrap();
            drop(first);
            let (_second, _, _folder) = daemon(4, CONFIGURATION);
            // Each question without an answer takes its time; the second one looks for the device anew.
            let answers = [device.get(&name).await, device.get(&name).await, device.get(&name).await];
            assert!(answers.iter().any(Result::is_ok), "{answers:?}");
            assert_ne!(device.engine_id().unwrap(), before);
        });
    }
}
