//! Linux: signals, logind over the system bus, and the battery.
//!
//! - **Stop** comes as SIGTERM; why is known from logind, which announces a shutdown or restart beforehand, else from
//!   systemd's queue.
//! - **Sleep** is announced by logind, which waits for the goodbye: the agent holds a delay lock and lets go of it then.
//! - **Battery**: a machine on its last percents says so while it still can.
//!
//! Without logind (a container, another init) signals remain, and a sleep is noticed afterwards by the loop.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::dbus::{self, Bus, Message, Method, Reader, Value};
use super::{Hold, SystemEvent};
use crate::GoodbyeReason;
use crate::host::Host;

/// Where the system bus is.
const BUS: &str = "/run/dbus/system_bus_socket";

/// The bus may come later than the agent, and may go away.
const BUS_AGAIN: Duration = Duration::from_secs(60);

/// How often the battery is looked at.
const BATTERY_EVERY: Duration = Duration::from_secs(30);

/// At this charge, in percent, a machine is about to go off: UPower acts at 2.
const BATTERY_EMPTY: u32 = 3;

/// At this charge it has recovered: not the same, so that one percent up and down is no news.
const BATTERY_BACK: u32 = 6;

/// For systemd's answer; a machine that goes down has no time.
const SYSTEMCTL_WAIT: Duration = Duration::from_secs(1);

/// What is known of the machine's own end.
#[derive(Clone, Default)]
struct Ahead(Arc<Mutex<Option<GoodbyeReason>>>);

impl Ahead {
    fn set(&self, reason: Option<GoodbyeReason>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn get(&self) -> Option<GoodbyeReason> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to listen; ends with the receiver.
pub(super) fn listen() -> std::io::Result<mpsc::Receiver<SystemEvent>> {
    let (host, bus) = (Host::default(), PathBuf::from(BUS));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, events) = mpsc::channel(4);
    let ahead = Ahead::default();
    let logind = Logind { host: host.clone(), bus, ahead: ahead.clone(), sender: sender.clone() };
    tokio::spawn(logind.run());
    tokio::spawn(watch_battery(host.clone(), sender.clone()));
    tokio::spawn(async move {
        let reason = tokio::select! {
            _ = terminate.recv() => why(&host, &ahead).await,
            _ = interrupt.recv() => GoodbyeReason::GoodbyeStop,
        };
        // The loop is gone already.
        let _ = sender.send(SystemEvent::Stop(reason)).await;
    });
    Ok(events)
}

/// Why the system stops the agent.
async fn why(host: &Host, ahead: &Ahead) -> GoodbyeReason {
    let of_machine = match ahead.get() {
        Some(reason) => Some(reason),
        None => {
            let host = host.clone();
            tokio::task::spawn_blocking(move || of_systemd(&host)).await.unwrap_or_default()
        }
    };
    match of_machine {
        // What goes off by itself at its last percent does so for want of power.
        Some(GoodbyeReason::GoodbyeShutdown) if is_empty(host) => GoodbyeReason::GoodbyeLowBattery,
        Some(reason) => reason,
        None => GoodbyeReason::GoodbyeStop,
    }
}

/// Whether systemd is bringing the machine down, and to which end.
fn of_systemd(host: &Host) -> Option<GoodbyeReason> {
    let jobs = host.run("systemctl", &["list-jobs", "--no-legend", "--plain"], SYSTEMCTL_WAIT).ok()?.text;
    let starts = |unit: &str| {
        jobs.lines().any(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            matches!(words[..], [_, name, "start", ..] if name == unit)
        })
    };
    if ["reboot.target", "kexec.target", "soft-reboot.target"].into_iter().any(starts) {
        return Some(GoodbyeReason::GoodbyeRestart);
    }
    ["poweroff.target", "halt.target"].into_iter().any(starts).then_some(GoodbyeReason::GoodbyeShutdown)
}

struct Logind {
    host: Host,
    bus: PathBuf,
    ahead: Ahead,
    sender: mpsc::Sender<SystemEvent>,
}

const MANAGER: Method<'static> = Method {
    destination: "org.freedesktop.login1",
    path: "/org/freedesktop/login1",
    interface: "org.freedesktop.login1.Manager",
    member: "Inhibit",
};

impl Logind {
    async fn run(self) {
        let mut said = false;
        while !self.sender.is_closed() {
            if let Err(error) = self.talk().await
                && !std::mem::replace(&mut said, true)
            {
                tracing::debug!(%error, "logind is not heard: sleep and shutdown are known by signals alone");
            }
            tokio::time::sleep(BUS_AGAIN).await;
        }
    }

    async fn talk(&self) -> std::io::Result<()> {
        let mut bus = Bus::connect(&self.bus).await?;
        // Signals on the system bus can be sent by anyone; the bus itself sees to it that these are logind's.
        let rule = format!("type='signal',sender='{}',interface='{}'", MANAGER.destination, MANAGER.interface);
        bus.listen(&rule).await?;
        let mut asked = inhibit(&mut bus).await?;
        let mut lock = None;
        loop {
            let mut message = tokio::select! {
                message = bus.next() => message?,
                () = self.sender.closed() => return Ok(()),
            };
            if message.kind == dbus::REPLY && message.reply_to == asked {
                lock = message.fds.pop();
            } else if message.kind == dbus::SIGNAL && message.interface == MANAGER.interface {
                match self.handle(&message)? {
                    Some(Change::Sleep(true)) => self.sleep(lock.take().map_or_else(Hold::none, Hold::new)).await,
                    Some(Change::Sleep(false)) => {
                        asked = inhibit(&mut bus).await?;
                        let _ = self.sender.send(SystemEvent::Woke).await;
                    }
                    None => {}
                }
            }
        }
    }

    async fn sleep(&self, hold: Hold) {
        let empty = is_empty(&self.host);
        let reason = if empty { GoodbyeReason::GoodbyeLowBattery } else { GoodbyeReason::GoodbyeSleep };
        let _ = self.sender.send(SystemEvent::Sleep { reason, hold }).await;
    }

    /// Notes a shutdown that is announced; says if it is sleep.
    fn handle(&self, message: &Message) -> std::io::Result<Option<Change>> {
        let begins = |reader: &mut Reader<'_>| Ok::<_, std::io::Error>(reader.number()? != 0);
        let mut reader = Reader::new(&message.body);
        match (message.member.as_str(), message.signature.as_str()) {
            ("PrepareForSleep", "b") => return Ok(Some(Change::Sleep(begins(&mut reader)?))),
            // Older systemd says no more than this; its queue of jobs tells a restart from a shutdown.
            ("PrepareForShutdown", "b") if !begins(&mut reader)? => self.ahead.set(None),
            ("PrepareForShutdownWithMetadata", "ba{sv}") => {
                let reason = begins(&mut reader)?.then(|| kind(&mut reader)).flatten();
                self.ahead.set(reason);
            }
            _ => {}
        }
        Ok(None)
    }
}

/// What logind says of the machine.
enum Change {
    Sleep(bool),
}

/// Asks logind to wait for the goodbye.
async fn inhibit(bus: &mut Bus) -> std::io::Result<u32> {
    let words = ["sleep", "Bellwether", "Says goodbye", "delay"];
    bus.call(MANAGER, &words.map(Value::Text)).await
}

/// `type` among the words about a shutdown.
fn kind(reader: &mut Reader<'_>) -> Option<GoodbyeReason> {
    let _bytes = reader.number().ok()?;
    reader.align(8);
    while !reader.is_at_end() {
        reader.align(8);
        let key = reader.text().ok()?;
        // Whatever is no word comes after what we want, or hides it: then the queue of jobs tells.
        let value = (reader.signature().ok()? == "s").then(|| reader.text().ok()).flatten()?;
        if key == "type" {
            let restarts = ["reboot", "soft-reboot", "kexec"].contains(&value.as_str());
            return Some(if restarts { GoodbyeReason::GoodbyeRestart } else { GoodbyeReason::GoodbyeShutdown });
        }
    }
    None
}

/// Says goodbye for a machine whose battery is at its end, and hello when it is charged.
async fn watch_battery(host: Host, sender: mpsc::Sender<SystemEvent>) {
    let mut left = false;
    while !sender.is_closed() {
        let charge = discharging(&host);
        let event = match charge {
            Some(percent) if percent <= BATTERY_EMPTY && !left => {
                Some(SystemEvent::Sleep { reason: GoodbyeReason::GoodbyeLowBattery, hold: Hold::none() })
            }
            None if left => Some(SystemEvent::Woke),
            Some(percent) if percent >= BATTERY_BACK && left => Some(SystemEvent::Woke),
            _ => None,
        };
        if let Some(event) = event {
            left = matches!(event, SystemEvent::Sleep { .. });
            let _ = sender.send(event).await;
        }
        tokio::time::sleep(BATTERY_EVERY).await;
    }
}

fn is_empty(host: &Host) -> bool {
    discharging(host).is_some_and(|percent| percent <= BATTERY_BACK)
}

/// The charge in percent of what the machine runs on; none while it is charged, or has no battery.
fn discharging(host: &Host) -> Option<u32> {
    let folder = std::fs::read_dir(host.path("sys/class/power_supply")).ok()?;
    let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let charges = names.filter_map(|name| {
        let word = |file: &str| host.word(&format!("sys/class/power_supply/{name}/{file}"));
        // Mice and pens have batteries, too.
        let is_own = word("type")? == "Battery" && word("scope").is_none_or(|scope| scope != "Device");
        (is_own && word("status")? == "Discharging").then(|| word("capacity")?.parse().ok()).flatten()
    });
    charges.max()
}

#[cfg(test)]
mod tests;
