//! What the machine is made of: the case, processor, memory modules, disks and network cards.
//!
//! Sent at the start, when it has changed, and once a day. Looking takes a millisecond on Linux; on Windows what costs
//! more is asked rarely (`windows/inventory.rs`). Serial numbers and memory modules need root, or files that an admin lets
//! the agent read; what vendors left unfilled is left out. Disks on USB are not the machine's.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::gather::Gather;
use crate::hardware::meaningful;
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, count, integer, sample};

mod smbios;

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "inventory",
    measurements: MEASUREMENTS,
    pace: Pace::OnChange { look: Duration::from_secs(15 * 60) },
    make: |host, _| Box::new(Inventory { host: host.clone() }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[
    part("inventory_cpu", &[], CPU, "The processor."),
    part("inventory_device", &[], DEVICE, "The machine itself."),
    part("inventory_disk", &["device"], DISK, "Each disk that is built in."),
    part("inventory_memory", &["slot"], MEMORY, "Each memory module."),
    part("inventory_nic", &["mac"], NIC, "Each network card, by the address that its maker gave it."),
];

const fn part(
    name: &'static str,
    tags: &'static [&'static str],
    fields: &'static [Field],
    description: &'static str,
) -> Measurement {
    Measurement { name, tags, fields, privacy: Privacy::Inventory, description }
}

const fn text(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Text, unit: "", description }
}

const fn number(name: &'static str, unit: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit, description }
}

const fn flag(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Boolean, unit: "", description }
}

const CPU: &[Field] = &[
    number("cores", "", "Cores, as they are built."),
    text("model", "What it calls itself."),
    number("threads", "", "What programs see as cores."),
];
const DEVICE: &[Field] = &[
    text("asset_tag", "What the school or the dealer wrote into the firmware."),
    text("board", "The board's model."),
    text("make", "Who made it."),
    text("model", "Its model."),
    text("serial", "Its serial number."),
];
const DISK: &[Field] = &[
    text("model", "Its model."),
    flag("rotational", "Whether it turns."),
    text("serial", "Its serial number."),
    number("size_bytes", "bytes", "Its size."),
];
const MEMORY: &[Field] = &[
    text("make", "Who made it."),
    text("part", "Its part number."),
    number("size_bytes", "bytes", "Its size; 0 for an empty slot."),
    number("speed_mts", "MT/s", "What it can do."),
];
const NIC: &[Field] = &[text("driver", "The driver."), flag("wireless", "Whether it is a wireless one.")];

/// Disks, cards and modules of one machine, each.
const MAX_PARTS: usize = 64;

/// More than any firmware's tables.
const MAX_TABLE_BYTES: u64 = 256 << 10;

/// Reads `/sys`, `/proc/cpuinfo` and the firmware's tables.
pub struct Inventory {
    host: Host,
}

impl Source for Inventory {
    fn name(&self) -> &'static str {
        "inventory"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        if !cfg!(target_os = "linux") {
            return Reading::problem(Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone"));
        }
        let mut reading = Reading::default();
        reading.samples.extend(self.device(time));
        reading.problems.extend(self.hidden_serial());
        reading.samples.extend(self.cpu(time));
        match self.memory(time) {
            Ok(modules) => reading.samples.extend(modules),
            Err(problem) => reading.problems.push(problem),
        }
        reading.samples.extend(self.disks(time));
        reading.samples.extend(self.cards(time));
        reading
    }
}

type Told = (&'static str, Option<Value>);

fn row(
    measurement: &'static str,
    tags: Vec<(&'static str, String)>,
    time: Timestamp,
    told: Vec<Told>,
) -> Option<Sample> {
    let fields: Vec<_> = told.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    (!fields.is_empty()).then(|| sample(measurement, tags, time, fields))
}

/// A word that means something, on one line.
fn word(text: Option<String>) -> Option<Value> {
    let clean = text?.chars().filter(|letter| !letter.is_control()).collect::<String>().trim().to_owned();
    meaningful(clean).filter(|word| !word.is_empty()).map(Value::Text)
}

impl Inventory {
    fn device(&self, time: Timestamp) -> Option<Sample> {
        let dmi = |file: &str| word(self.host.word(&format!("sys/class/dmi/id/{file}")));
        let told = vec![
            ("asset_tag", dmi("chassis_asset_tag")),
            ("board", dmi("board_name")),
            ("make", dmi("sys_vendor")),
            ("model", dmi("product_name")),
            ("serial", dmi("product_serial")),
        ];
        row("inventory_device", Vec::new(), time, told)
    }

    /// The kernel shows the serial number to root alone, and to whom an admin lets read it.
    fn hidden_serial(&self) -> Option<Problem> {
        let problem = self.host.read("sys/class/dmi/id/product_serial").err()?;
        let text = "the serial number is shown to root alone: let the agent read /sys/class/dmi/id/product_serial";
        (problem.kind == ProblemKind::NoPermission).then(|| Problem::new(problem.kind, text))
    }

    fn cpu(&self, time: Timestamp) -> Option<Sample> {
        let text = self.host.read("proc/cpuinfo").ok()?;
        let value = |block: &str, key: &str| {
            let line = block.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let blocks = || text.split("\n\n").filter(|block| value(block, "processor").is_some());
        let cores: BTreeSet<_> =
            blocks().filter_map(|block| Some((value(block, "physical id")?, value(block, "core id")?))).gather();
        let model = blocks().find_map(|block| value(block, "model name"));
        let told = vec![
            ("cores", (!cores.is_empty()).then(|| count(cores.len()))),
            ("model", word(model)),
            ("threads", Some(count(blocks().count())).filter(|threads| *threads != Value::Integer(0))),
        ];
        row("inventory_cpu", Vec::new(), time, told)
    }

    fn memory(&self, time: Timestamp) -> Result<Vec<Sample>, Problem> {
        let path = "sys/firmware/dmi/tables/DMI";
        let mut table = Vec::new();
        match File::open(self.host.path(path)) {
            Ok(file) => {
                let read = file.take(MAX_TABLE_BYTES).read_to_end(&mut table);
                read.map_err(|error| Problem::from_io(&format!("/{path}"), &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Problem::new(ProblemKind::NothingHere, "the firmware has no tables of its parts"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                let text = format!("memory modules are shown to root alone: let the agent read /{path}");
                return Err(Problem::new(ProblemKind::NoPermission, text));
            }
            Err(error) => return Err(Problem::from_io("memory modules", &error)),
        }
        let modules = smbios::modules(&table).into_iter().take(MAX_PARTS).enumerate();
        let rows = modules.filter_map(|(number, module)| {
            let told = vec![
                ("make", word(module.make)),
                ("part", word(module.part)),
                ("size_bytes", module.size_bytes.map(integer)),
                ("speed_mts", module.speed_mts.filter(|_| module.size_bytes != Some(0)).map(integer)),
            ];
            // Boards write "DIMM 0" at each: only the place in the table tells one from another.
            row("inventory_memory", vec![("slot", (number + 1).to_string())], time, told)
        });
        Ok(rows.collect())
    }

    fn disks(&self, time: Timestamp) -> Vec<Sample> {
        let names = self.names("sys/block");
        let disks = names.iter().filter(|name| self.is_built_in(name)).take(MAX_PARTS);
        // Of a virtual machine's disk nobody knows whether it turns; the kernel says that it does.
        let is_virtual = |name: &str| name.starts_with("vd") || name.starts_with("xvd");
        disks
            .filter_map(|name| {
                let file = |file: &str| self.host.word(&format!("sys/block/{name}/{file}"));
                let sectors = file("size").and_then(|size| size.parse::<u64>().ok()).filter(|size| *size > 0);
                let turns = file("queue/rotational").filter(|_| !is_virtual(name));
                // NVMe; SATA and SAS; virtio.
                let serial = file("device/serial").or_else(|| self.page_80(name)).or_else(|| file("serial"));
                let told = vec![
                    ("model", word(file("device/model"))),
                    ("rotational", turns.map(|flag| Value::Boolean(flag == "1"))),
                    ("serial", word(serial)),
                    // The kernel counts in 512 bytes whatever the disk does.
                    ("size_bytes", Some(integer(sectors?.saturating_mul(512)))),
                ];
                row("inventory_disk", vec![("device", name.clone())], time, told)
            })
            .collect()
    }

    /// The serial number of a SCSI or SATA disk: four bytes of header, then the number.
    fn page_80(&self, name: &str) -> Option<String> {
        let mut page = Vec::new();
        let file = File::open(self.host.path(&format!("sys/block/{name}/device/vpd_pg80"))).ok()?;
        file.take(256).read_to_end(&mut page).ok()?;
        let text = page.get(4..)?.iter().copied().filter(u8::is_ascii_graphic).collect();
        String::from_utf8(text).ok()
    }

    fn is_built_in(&self, name: &str) -> bool {
        let folder = format!("sys/block/{name}");
        let place = fs::read_link(self.host.path(&folder)).unwrap_or_default();
        let on_usb = place.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb"));
        let removable = self.host.word(&format!("{folder}/removable")).as_deref() == Some("1");
        !on_usb && !removable && !name.starts_with("sr") && self.host.path(&format!("{folder}/device")).exists()
    }

    fn cards(&self, time: Timestamp) -> Vec<Sample> {
        let mut seen = BTreeSet::new();
        let names = self.names("sys/class/net");
        let cards = names.iter().filter(|name| self.host.path(&format!("sys/class/net/{name}/device")).exists());
        cards
            .filter_map(|name| {
                let folder = format!("sys/class/net/{name}");
                let burnt_in = self.host.word(&format!("{folder}/addr_assign_type")).is_none_or(|kind| kind == "0");
                let mac = self.host.word(&format!("{folder}/address"))?.to_lowercase();
                if !burnt_in || !is_universal(&mac) || !seen.insert(mac.clone()) {
                    return None;
                }
                let driver = fs::read_link(self.host.path(&format!("{folder}/device/driver"))).ok();
                let driver = driver.and_then(|target| Some(target.file_name()?.to_str()?.to_owned()));
                let wireless =
                    ["wireless", "phy80211"].iter().any(|mark| self.host.path(&format!("{folder}/{mark}")).exists());
                let told = vec![("driver", word(driver)), ("wireless", Some(Value::Boolean(wireless)))];
                row("inventory_nic", vec![("mac", mac)], time, told)
            })
            .take(MAX_PARTS)
            .collect()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.host.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// Six bytes, of one card, given by a maker: made-up addresses tell nothing.
fn is_universal(address: &str) -> bool {
    let bytes: Vec<u8> = address.split(':').map_while(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes.len() == 6 && bytes[0] & 0b11 == 0 && bytes.iter().any(|byte| *byte != 0)
}
