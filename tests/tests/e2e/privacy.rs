//! A machine that is full of a person's name, by real means: its hostname, accounts, home, disks, shares, cables,
//! gadgets, programs and environment. All that its agent says is looked at as it leaves TLS, and all that the collector
//! keeps. In namespaces of its own, so that nothing of it touches the machine that the test runs on; needs root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_tests::agent;
use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Program};
use bellwether_tests::spies::{self, Form};
use bellwether_tests::tap::Tap;
use bellwether_tests::wait;

use super::{NO_OWN_AGENT, SOON, tree};

/// Set in the copy of this test that runs inside the namespaces.
const INSIDE: &str = "BELLWETHER_TEST_NAMESPACE";

/// Nobody's name, in two words.
const NAME: [&str; 2] = ["zebulon", "quillfeather"];

/// What an admin has named: it must arrive, and be found by the same search.
const ALLOWED: &str = "printercontrol7731";

/// Makes the machine. `$1` is an empty folder. Prints the disk's and the interface's public names.
const PLANT: &str = r#"
cd "$1"
echo Quillfeathers-Laptop > /proc/sys/kernel/hostname
ip link add quillfeather type veth peer name zquillfeather
ip link set quillfeather alias "Zebulon Quillfeather's dock"
ip link set quillfeather up
ip link set zquillfeather up

mkdir upper work
mount -t tmpfs none upper
mkdir upper/etc upper/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=upper/etc,workdir=upper/work /etc
echo Quillfeathers-Laptop > /etc/hostname
echo 'PRETTY_HOSTNAME="Zebulon Quillfeather"' > /etc/machine-info
echo "127.0.0.1 quillfeathers-laptop.zebulon.example" >> /etc/hosts
echo "zquillfeather:x:54321:54321:Zebulon Quillfeather,Room 7:/home/zquillfeather:/bin/sh" >> /etc/passwd
mkdir -p /etc/cups /etc/NetworkManager/system-connections
echo "<Printer Quillfeathers_OfficeJet>" > /etc/cups/printers.conf
echo "[wifi] ssid=Quillfeather-Home" > /etc/NetworkManager/system-connections/Quillfeather-Home.nmconnection

for folder in /home /srv /media /mnt; do mount -t tmpfs none $folder; done
mkdir -p /home/zquillfeather "/srv/Zebulon Quillfeather" /media/zquillfeather/QUILLFEATHER /mnt/quillfeather
truncate -s 16M image
mkfs.ext4 -q -L QUILLFEATHER image
loop=$(losetup -f --show image)
mknod quillfeather-disk b $(stat -c '0x%t 0x%T' $loop)
mount -t ext4 quillfeather-disk "/srv/Zebulon Quillfeather"
losetup -d $loop
mount --bind "/srv/Zebulon Quillfeather" /home/zquillfeather
mount --bind "/srv/Zebulon Quillfeather" /media/zquillfeather/QUILLFEATHER
mount -t tmpfs //files.quillfeather.example/zquillfeather$ /mnt/quillfeather

number=$(cat /sys/class/net/quillfeather/ifindex 2>/dev/null || ip -o link show quillfeather | cut -d: -f1)
mount -t sysfs none /sys
mount -t tmpfs none /sys/class/net
for interface in quillfeather; do
  mkdir -p /sys/class/net/$interface/device /sys/class/net/$interface/wireless
  echo "$number" > /sys/class/net/$interface/ifindex
  echo up > /sys/class/net/$interface/operstate
  echo 0 > /sys/class/net/$interface/addr_assign_type
  echo "Zebulon Quillfeather's dock" > /sys/class/net/$interface/ifalias
done
mount -t tmpfs none /sys/class/power_supply 2>/dev/null || true
if mountpoint -q /sys/class/power_supply; then
  mkdir "/sys/class/power_supply/quillfeathers-earphones"
  cd "/sys/class/power_supply/quillfeathers-earphones"
  echo Battery > type
  echo Device > scope
  echo 1 > present
  echo 55 > capacity
  echo "Zebulon Quillfeather's earphones" > model_name
  echo Quillfeather > manufacturer
fi
cd "$1"
cp /bin/sleep quillfeather-diary
./quillfeather-diary 600 &
echo "planted ${loop#/dev/} if$number $!"
"#;

#[test]
fn no_name_of_a_person_leaves_a_machine_that_is_full_of_it() {
    if std::env::var_os(INSIDE).is_none() {
        return again_inside("privacy::no_name_of_a_person_leaves_a_machine_that_is_full_of_it");
    }
    let mut collector = Collector::start(NO_OWN_AGENT);
    let machine = tempfile::tempdir().unwrap();
    let Planted { disk, interface, _diary } = plant(machine.path());
    let state = PathBuf::from("/home/zquillfeather/bellwether-agent");
    let tap = Tap::start(&collector, &state);
    enrol(&collector, &tap, &state);
    let mut agent = Program::start("agent", &mut person_s(&["run", "--state"], &state));
    wait::until("the planted disk and interface to be sent, under names that say nothing", SOON, || {
        let heard = tap.heard();
        let missing = [disk.as_str(), &interface, ALLOWED, "agent_source"];
        let missing: Vec<_> = missing.into_iter().filter(|word| !has(&heard, word)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} in {} bytes", heard.len())) }
    });
    assert!(agent.stop().success(), "{}", agent.text());
    assert!(collector.program().stop().success());

    let heard = tap.heard();
    let kept = tree(&collector.data());
    let said = collector.program().text().into_bytes();
    assert_eq!(spies::find(&heard, ALLOWED), Some(Form::Plain), "what may leave is found on the wire");
    assert!(kept.values().any(|bytes| spies::find(bytes, ALLOWED).is_some()), "and in what the collector keeps");
    for word in NAME {
        assert_eq!(spies::find(&heard, word), None, "{word} is on the wire: {}", around(&heard, word));
        assert_eq!(spies::find(&said, word), None, "{word} is in the collector's log");
        for (path, bytes) in &kept {
            assert_eq!(spies::find(bytes, word), None, "{word} is in {}", path.display());
        }
    }
    // The agent itself had it before its eyes.
    assert!(fs::read_to_string("/proc/self/mountinfo").unwrap().contains("/srv/Zebulon\\040Quillfeather"));
}

/// What the machine was given.
struct Planted {
    /// The kernel's name of the disk.
    disk: String,
    /// What the interface is called instead.
    interface: String,
    _diary: Ended,
}

/// A process that is ended with the test.
struct Ended(rustix::process::Pid);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, rustix::process::Signal::KILL);
    }
}

fn plant(folder: &Path) -> Planted {
    let script = folder.join("plant.sh");
    fs::write(&script, PLANT).unwrap();
    let log = folder.join("planted");
    // Into a file: the process that stays would hold a pipe open.
    let out = fs::File::create(&log).unwrap();
    let status = Command::new("sh").arg("-eu").arg(script).arg(folder).stdout(out).status().unwrap();
    let text = fs::read_to_string(log).unwrap();
    assert!(status.success(), "the machine could not be made (as root?): {text}");
    let words: Vec<_> = text.lines().last().unwrap().split(' ').collect();
    let ["planted", disk, interface, pid] = words[..] else { panic!("{text}") };
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    Planted { disk: disk.to_owned(), interface: interface.to_owned(), _diary: Ended(pid) }
}

fn enrol(collector: &Collector, tap: &Tap, state: &Path) {
    let token = collector.enrol_token("Lincoln High", 1);
    let mut command = person_s(&["enrol", "--state"], state);
    command.args(["--collector", &tap.address.to_string(), "--token", &token, "--class", "laptop"]);
    let _ = program::run_command("enrol", &mut command).success();
    // It stays where it is told to: on a disk of the person, in a folder of their name.
    assert_eq!(fs::metadata(state).unwrap().dev(), fs::metadata("/srv/Zebulon Quillfeather").unwrap().dev());
    let probe = |name: &str, address: &str| {
        format!("[[probe]]\nkind = \"ping\"\nname = \"{name}\"\naddress = \"{address}\"\ntimeout = \"100ms\"\n")
    };
    let text = format!(
        "interval = \"1s\"\nping_gateway = false\ndns_servers = false\n{}{}",
        probe(ALLOWED, "127.0.0.1"),
        probe("officejet", "quillfeathers-officejet.invalid"),
    );
    fs::write(state.join("agent.toml"), text).unwrap();
}

/// The agent, started from the session of a person.
fn person_s(words: &[&str], state: &Path) -> Command {
    let mut command = Command::new(program::built(agent::NAME));
    command.args(words).arg(state).current_dir("/home/zquillfeather");
    for variable in ["USER", "LOGNAME", "USERNAME", "SUDO_USER", "COMPUTERNAME"] {
        command.env(variable, "zquillfeather");
    }
    command.env("HOME", "/home/zquillfeather").env("HOSTNAME", "Quillfeathers-Laptop");
    command.env("HTTPS_PROXY", "http://zquillfeather:zebulon@proxy.invalid:3128");
    command
}

/// Runs one test of this file again, in namespaces of its own.
fn again_inside(test: &str) {
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--uts", "--", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{test} (as root?): {status:?}");
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// What stands around a word, for whoever has to find out where it comes from.
fn around(bytes: &[u8], word: &str) -> String {
    let lowered = bytes.to_ascii_lowercase();
    let at = lowered.windows(word.len()).position(|window| window == word.as_bytes()).unwrap_or(0);
    String::from_utf8_lossy(&bytes[at.saturating_sub(60)..bytes.len().min(at + 60)]).into_owned()
}
