//! A closet against Net-SNMP's own daemon: what is assigned is polled, what is not is found.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use bellwether_agent::GoodbyeReason;
use bellwether_logic::sample::{Sample, Value};
use bellwether_proto::v1::{Assignment, Assignments};

use super::collector::Told;
use super::{GOOD, NOW, enrolled, run};

const PORT: u16 = 16_299;

/// A device; it ends with the test.
struct Daemon {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn daemon(address: &str) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snmpd.conf");
    let text =
        format!("agentaddress udp:{address}:{PORT}\nrocommunity closet\nsysName library-closet\nsysLocation Library\n");
    std::fs::write(&file, text).unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    let mut command = Command::new("snmpd");
    command.env("PATH", path).env("MIBS", "").args(["-f", "-Lf", "/dev/null", "-I", "-smux", "-C", "-c"]).arg(&file);
    command.arg(format!("--persistentDir={}", folder.path().join("state").display()));
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("snmpd is installed");
    Daemon { process, _folder: folder }
}

fn configure(dir: &Path, ranges: &str) {
    let text = format!(
        "[snmp]\nranges = [{ranges}]\ninterval = \"1s\"\nslow_interval = \"1m\"\n\
         [[snmp.credential]]\nname = \"wrong\"\ncommunity = \"other\"\n\
         [[snmp.credential]]\nname = \"right\"\ncommunity = \"closet\"\n"
    );
    std::fs::write(dir.join("agent.toml"), text).unwrap();
}

fn assigned(device_id: &str, address: &str, serial: &str) -> Assignment {
    let address = format!("{address}:{PORT}");
    let (credential, serial) = ("right".to_owned(), serial.to_owned());
    Assignment { device_id: device_id.to_owned(), address, credential, serial, ..Assignment::default() }
}

fn of<'a>(told: &'a Told, target: &'a str, measurement: &'a str) -> impl Iterator<Item = &'a Sample> {
    let samples = told.batches.iter().flat_map(|(_, _, samples)| samples);
    samples.filter(move |sample| sample.target == target && sample.measurement == measurement)
}

fn is(sample: &Sample, field: &str, value: &Value) -> bool {
    sample.fields.iter().any(|(name, held)| name == field && held == value)
}

#[tokio::test]
async fn what_is_assigned_is_polled_also_after_a_restart_without_the_collector_s_word() {
    let _device = daemon("127.1.9.1");
    let mut manner = GOOD;
    manner.assignments = Some(Assignments {
        assignments: vec![assigned("d1", "127.1.9.1", ""), assigned("d2", "127.1.9.2", "")],
        managed_macs: Vec::new(),
    });
    let (dir, _authority, collector) = enrolled(NOW, manner).await;
    configure(dir.path(), "");
    let agent = run(dir.path());
    let answers = |told: &Told| of(told, "d1", "snmp").filter(|row| is(row, "answered", &Value::Boolean(true))).count();
    let told = collector
        .wait_until("it is polled", |told| answers(told) >= 2 && of(told, "d1", "interface").count() > 1)
        .await;
    assert!(of(&told, "d1", "snmp").any(|row| row.fields.iter().any(|(name, _)| name == "sysUptime")));
    assert!(told.found.iter().any(|found| found.facts.as_ref().is_some_and(|facts| facts.name == "library-closet")));
    // Nobody is there, and it is the network of this machine: that answers echo requests, if it may be asked.
    collector
        .wait_until("the silent one is told of", |told| {
            of(told, "d2", "snmp").any(|row| {
                is(row, "answered", &Value::Boolean(false)) && is(row, "trouble", &Value::Text("no_answer".to_owned()))
            })
        })
        .await;
    agent.stop(GoodbyeReason::GoodbyeRestart).await;

    collector.behave(|manner| manner.assignments = None);
    let before = answers(&collector.told.borrow());
    let agent = run(dir.path());
    collector.wait_until("it is polled again", |told| answers(told) > before).await;
    let founds = collector.told.borrow().found.len();
    collector.cut();
    collector.wait_until("what is there is said again", |told| told.found.len() > founds).await;
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

/// Sends a trap of version 2c as a device would.
fn trap(from: &str, to: &str) {
    let mut command = Command::new("snmptrap");
    command.env("MIBS", "").arg(format!("--clientaddr={from}")).args(["-v2c", "-c", "closet", to, ""]);
    command.args(["1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.1", "i", "1"]);
    assert!(command.status().expect("snmptrap is installed").success());
}

#[tokio::test]
async fn who_tells_something_by_itself_is_asked_at_once() {
    let _device = daemon("127.1.9.7");
    let mut manner = GOOD;
    manner.assignments =
        Some(Assignments { assignments: vec![assigned("d1", "127.1.9.7", "")], managed_macs: Vec::new() });
    let (dir, _authority, collector) = enrolled(NOW, manner).await;
    configure(dir.path(), "");
    let file = dir.path().join("agent.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // Its own turn would come after the test.
    let text = text.replace("interval = \"1s\"", "interval = \"2m\"\ntraps = \"127.1.9.8:16298\"");
    std::fs::write(&file, text).unwrap();
    let agent = run(dir.path());
    let polls = |told: &Told| of(told, "d1", "snmp").filter(|row| is(row, "answered", &Value::Boolean(true))).count();
    collector.wait_until("it listens", |told| of(told, "", "snmp_receiver").count() > 0).await;
    assert_eq!(polls(&collector.told.borrow()), 0);
    trap("127.1.9.7", "127.1.9.8:16298");
    collector.wait_until("it is polled out of turn", |told| polls(told) > 0).await;
    agent.stop(GoodbyeReason::GoodbyeRestart).await;

    // The row is told with the interval.
    configure(dir.path(), "");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("interval = \"1s\"", "interval = \"1s\"\ntraps = \"127.1.9.8:16298\"");
    std::fs::write(&file, text).unwrap();
    let before = of(&collector.told.borrow(), "", "snmp_receiver").count();
    let agent = run(dir.path());
    collector.wait_until("it listens again", |told| of(told, "", "snmp_receiver").count() > before).await;
    trap("127.1.9.7", "127.1.9.8:16298");
    let told = collector.wait_until("the trap is told", |told| of(told, "d1", "snmp_trap").count() > 0).await;
    let row = of(&told, "d1", "snmp_trap").next().unwrap();
    assert_eq!(row.tags, [("trap".into(), "link_down".to_owned())]);
    assert!(is(row, "count", &Value::Integer(1)) && is(row, "ifIndex", &Value::Integer(1)), "{row:?}");
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

#[tokio::test]
async fn another_device_at_the_address_gives_no_samples_and_is_said() {
    let _device = daemon("127.1.9.3");
    let mut manner = GOOD;
    let mut other = assigned("d1", "127.1.9.3", "");
    other.mac = "00:00:5e:00:53:01".to_owned();
    manner.assignments = Some(Assignments { assignments: vec![other], managed_macs: Vec::new() });
    let (dir, _authority, collector) = enrolled(NOW, manner).await;
    configure(dir.path(), "");
    let agent = run(dir.path());
    let told = collector.wait_until("what is there is said", |told| !told.found.is_empty()).await;
    let facts = told.found[0].facts.clone().unwrap();
    if facts.mac.is_empty() {
        // A machine without an Ethernet card does not say who it is, and is believed.
        return;
    }
    let told = collector.wait_until("a few polls went by", |told| of(told, "", "snmp_closet").count() >= 3).await;
    let samples: Vec<&Sample> = told.batches.iter().flat_map(|(_, _, samples)| samples).collect();
    let mut own = samples.into_iter().filter(|sample| sample.target == "d1");
    let word = Value::Text("other_device".to_owned());
    assert!(own.all(|row| row.measurement == "snmp" && row.fields == [("trouble".into(), word.clone())]));
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}

#[tokio::test]
async fn a_search_finds_what_takes_a_credential_and_counts_what_does_not() {
    let _device = daemon("127.1.9.5");
    let (dir, _authority, collector) = enrolled(NOW, GOOD).await;
    configure(dir.path(), &format!("\"127.1.9.4/30:{PORT}\""));
    let agent = run(dir.path());
    let told = collector.wait_until("the search is over", |told| of(told, "", "snmp_search").count() > 0).await;
    let row = of(&told, "", "snmp_search").next().unwrap();
    let expected = [("answered", 1), ("pinged", 2), ("refused", 1), ("searched", 2)];
    if is(row, "pinged", &Value::Integer(0)) {
        // The system lets nobody send echo requests.
        return;
    }
    assert!(expected.iter().all(|(field, number)| is(row, field, &Value::Integer(*number))), "{row:?}");
    let found = told.found.iter().find(|found| found.address == format!("127.1.9.5:{PORT}")).unwrap();
    assert_eq!(found.credential, "right");
    let facts = found.facts.as_ref().unwrap();
    assert_eq!((facts.name.as_str(), facts.location.as_str()), ("library-closet", "Library"));
    assert!(facts.object_id.starts_with("1.3.6.1.4.1.8072"), "{}", facts.object_id);
    agent.stop(GoodbyeReason::GoodbyeStop).await;
}
