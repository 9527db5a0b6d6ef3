//! Against a real bus daemon, with a logind of the test's making on it.

use std::fs;
use std::io::{BufRead, BufReader, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::dbus::{encode, field, of_bus};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A bus of its own.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}", folder.path().join("bus").display());
        let mut child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address", "--address", &address])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is installed");
        // It prints where it listens once it does.
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("bus")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The name of logind, owned by the test.
struct FakeLogind {
    bus: Bus,
}

impl FakeLogind {
    async fn start(daemon: &Daemon) -> Self {
        let mut bus = Bus::connect(&daemon.socket()).await.unwrap();
        let asked =
            bus.call(of_bus("RequestName"), &[Value::Text(MANAGER.destination), Value::Number(0)]).await.unwrap();
        while bus.next().await.unwrap().reply_to != asked {}
        Self { bus }
    }

    /// Waits for the agent to ask for a lock and gives it one; what this returns ends when the agent lets go of it.
    async fn give_lock(&mut self) -> OwnedFd {
        let call = loop {
            let message = self.bus.next().await.unwrap();
            if message.kind == dbus::CALL && message.member == "Inhibit" {
                break message;
            }
        };
        let mut words = Reader::new(&call.body);
        assert_eq!(words.text().unwrap(), "sleep");
        let (read, write) = rustix::pipe::pipe().unwrap();
        let mut reply = encode(
            dbus::REPLY,
            999,
            &[
                (field::REPLY_SERIAL, Value::Number(call.serial)),
                (field::DESTINATION, Value::Text(&call.sender)),
                (field::SIGNATURE, Value::Signature("h")),
                (9, Value::Number(1)),
            ],
            &[],
        );
        // The body is the place of the descriptor among those that come along.
        reply[4] = 4;
        reply.extend(0_u32.to_le_bytes());
        let fds = [write.as_fd()];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        let flags = SendFlags::empty();
        rustix::net::sendmsg(self.bus.stream(), &[IoSlice::new(&reply)], &mut control, flags).unwrap();
        read
    }

    async fn signal(&mut self, member: &str, begins: bool) {
        let fields = [
            (field::PATH, Value::Path(MANAGER.path)),
            (field::INTERFACE, Value::Text(MANAGER.interface)),
            (field::MEMBER, Value::Text(member)),
            (field::SIGNATURE, Value::Signature("b")),
        ];
        let mut message = encode(dbus::SIGNAL, 1_000, &fields, &[]);
        message[4] = 4;
        message.extend(u32::from(begins).to_le_bytes());
        self.send(&message).await;
    }

    async fn shutdown(&mut self, kind: &str) {
        let fields = [
            (field::PATH, Value::Path(MANAGER.path)),
            (field::INTERFACE, Value::Text(MANAGER.interface)),
            (field::MEMBER, Value::Text("PrepareForShutdownWithMetadata")),
            (field::SIGNATURE, Value::Signature("ba{sv}")),
        ];
        let mut message = encode(dbus::SIGNAL, 1_001, &fields, &[]);
        let mut entry = Vec::new();
        for bytes in [&4_u32.to_le_bytes()[..], b"type\0", b"\x01s\0"] {
            entry.extend(bytes);
        }
        entry.extend(u32::try_from(kind.len()).unwrap().to_le_bytes());
        entry.extend(kind.as_bytes());
        entry.push(0);
        let mut body = 1_u32.to_le_bytes().to_vec();
        body.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
        body.extend(entry);
        message[4] = u8::try_from(body.len()).unwrap();
        message.extend(body);
        self.send(&message).await;
    }

    async fn send(&mut self, message: &[u8]) {
        let stream = self.bus.stream();
        loop {
            stream.writable().await.unwrap();
            match stream.try_write(message) {
                Ok(count) => return assert_eq!(count, message.len()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let machine = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = machine.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    machine
}

fn logind(daemon: &Daemon, machine: &Path) -> (Logind, mpsc::Receiver<SystemEvent>) {
    let (sender, events) = mpsc::channel(4);
    let host = Host::at(machine);
    (Logind { host, bus: daemon.socket(), ahead: Ahead::default(), sender }, events)
}

async fn next(events: &mut mpsc::Receiver<SystemEvent>) -> SystemEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event in time").unwrap()
}

#[tokio::test]
async fn the_machine_sleeps_only_when_the_goodbye_is_out_and_each_sleep_waits_again() {
    let daemon = Daemon::start();
    let mut fake = FakeLogind::start(&daemon).await;
    let empty = machine(&[]);
    let (logind, mut events) = logind(&daemon, empty.path());
    tokio::spawn(logind.run());
    for _ in 0..2 {
        let mut lock = fs::File::from(fake.give_lock().await);
        // The lock's reply comes before the signal, on the same connection.
        fake.signal("PrepareForSleep", true).await;
        let SystemEvent::Sleep { reason, hold } = next(&mut events).await else { panic!("no sleep") };
        assert_eq!(reason, GoodbyeReason::GoodbyeSleep);
        assert_eq!(format!("{hold:?}"), "Hold(yes)");
        drop(hold);
        let ended = tokio::task::spawn_blocking(move || lock.read(&mut [0; 1]).unwrap());
        assert_eq!(tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap(), 0, "the lock was let go");
        fake.signal("PrepareForSleep", false).await;
        assert!(matches!(next(&mut events).await, SystemEvent::Woke));
    }
}

#[tokio::test]
async fn a_shutdown_is_told_from_a_restart_and_one_that_was_called_off_is_neither() {
    let daemon = Daemon::start();
    let mut fake = FakeLogind::start(&daemon).await;
    let empty = machine(&[]);
    let (logind, mut events) = logind(&daemon, empty.path());
    let (ahead, host) = (logind.ahead.clone(), logind.host.clone());
    tokio::spawn(logind.run());
    let _lock = fake.give_lock().await;
    let after = async |fake: &mut FakeLogind, events: &mut mpsc::Receiver<SystemEvent>| {
        // Whatever was sent before this was handled before it.
        fake.signal("PrepareForSleep", false).await;
        assert!(matches!(next(events).await, SystemEvent::Woke));
        why(&host, &ahead).await
    };
    fake.shutdown("reboot").await;
    assert_eq!(after(&mut fake, &mut events).await, GoodbyeReason::GoodbyeRestart);
    fake.shutdown("power-off").await;
    assert_eq!(after(&mut fake, &mut events).await, GoodbyeReason::GoodbyeShutdown);
    fake.signal("PrepareForShutdown", false).await;
    assert_eq!(after(&mut fake, &mut events).await, GoodbyeReason::GoodbyeStop);
}

#[tokio::test]
async fn nobody_but_logind_can_make_the_agent_say_goodbye() {
    let daemon = Daemon::start();
    let mut fake = FakeLogind::start(&daemon).await;
    let mut stranger = FakeLogind { bus: Bus::connect(&daemon.socket()).await.unwrap() };
    let empty = machine(&[]);
    let (logind, mut events) = logind(&daemon, empty.path());
    tokio::spawn(logind.run());
    let _lock = fake.give_lock().await;
    stranger.signal("PrepareForSleep", true).await;
    // The bus has the stranger's signal when it answers what the stranger asks after it.
    let asked = stranger.bus.call(of_bus("GetId"), &[]).await.unwrap();
    while stranger.bus.next().await.unwrap().reply_to != asked {}
    fake.signal("PrepareForSleep", false).await;
    assert!(matches!(next(&mut events).await, SystemEvent::Woke), "logind's own is the first that is heard");
}

#[tokio::test]
async fn without_logind_systemd_s_queue_tells_why_the_machine_goes_down() {
    for (unit, reason) in [
        ("reboot.target", GoodbyeReason::GoodbyeRestart),
        ("poweroff.target", GoodbyeReason::GoodbyeShutdown),
        ("multi-user.target", GoodbyeReason::GoodbyeStop),
    ] {
        let jobs = format!("1412 {unit} start waiting\n1500 bellwether-agent.service stop running\n");
        let machine = machine(&[("programs/systemctl list-jobs --no-legend --plain", &jobs)]);
        assert_eq!(why(&Host::at(machine.path()), &Ahead::default()).await, reason, "{unit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_battery_at_its_end_says_goodbye_once_and_hello_when_it_is_charged() {
    let battery = |status: &str, percent: &str| {
        [("status", status), ("capacity", percent), ("type", "Battery")]
            .map(|(file, text)| (format!("sys/class/power_supply/BAT0/{file}"), text.to_owned()))
    };
    let machine = machine(&[]);
    let set = |status, percent| {
        for (path, text) in battery(status, percent) {
            let path = machine.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text + "\n").unwrap();
        }
    };
    set("Discharging", "40");
    let (sender, mut events) = mpsc::channel(4);
    tokio::spawn(watch_battery(Host::at(machine.path()), sender));
    tokio::time::sleep(2 * BATTERY_EVERY).await;
    set("Discharging", "3");
    let SystemEvent::Sleep { reason, .. } = next_paused(&mut events).await else { panic!("no goodbye") };
    assert_eq!(reason, GoodbyeReason::GoodbyeLowBattery);
    set("Discharging", "4");
    tokio::time::sleep(4 * BATTERY_EVERY).await;
    assert!(events.try_recv().is_err(), "one percent more is no news");
    set("Charging", "4");
    assert!(matches!(next_paused(&mut events).await, SystemEvent::Woke));
}

async fn next_paused(events: &mut mpsc::Receiver<SystemEvent>) -> SystemEvent {
    tokio::time::timeout(4 * BATTERY_EVERY, events.recv()).await.expect("an event in time").unwrap()
}
