//! Which block devices are disks that stay in the machine.

use std::path::Path;

use crate::host::Host;

/// Whether a name is of the kernel's making (`sda`, `nvme0n1`, `dm-0`) and so says nothing about anyone.
pub fn is_kernel_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 32 && name.bytes().all(plain)
}

/// Whether a place in the tree of devices is on USB: many USB disks do not call themselves removable.
pub fn is_on_usb(place: &Path) -> bool {
    place.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb"))
}

/// Whether a name of the kernel's is a whole disk of this machine. Not: partitions; what only stands for other disks or
/// for memory (loop, ram, zram, dm, md have no hardware of their own); what can be unplugged (sticks, cards, optical
/// drives, anything on USB), because what a person plugs in is theirs.
pub fn is_fixed_disk(host: &Host, name: &str) -> bool {
    let folder = format!("sys/block/{name}");
    if !is_kernel_name(name) || !host.path(&format!("{folder}/device")).exists() {
        return false;
    }
    let place = std::fs::read_link(host.path(&folder)).unwrap_or_default();
    let removable = host.word(&format!("{folder}/removable")).is_some_and(|flag| flag != "0");
    // An eMMC chip also shows its boot areas as disks.
    let boot_area = name.starts_with("mmcblk") && name.contains("boot");
    !removable && !boot_area && !is_on_usb(&place) && (!is_card(host, &folder) || holds_the_system(host, name))
}

/// A memory card does not call itself removable either.
fn is_card(host: &Host, folder: &str) -> bool {
    host.word(&format!("{folder}/device/type")).is_some_and(|kind| kind.starts_with("SD"))
}

/// Whether `/` is on it, as on a Raspberry Pi: then the card is the machine's own.
fn holds_the_system(host: &Host, name: &str) -> bool {
    let mounts = host.read("proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| {
        let root = line.split(' ').nth(4) == Some("/");
        let device = line.split_once(" - ").and_then(|(_, right)| right.split(' ').nth(1));
        let on_it = |device: &str| device.strip_prefix("/dev/").is_some_and(|device| device.starts_with(name));
        let number = line.split(' ').nth(2).unwrap_or_default();
        let place = std::fs::read_link(host.path(&format!("sys/dev/block/{number}"))).unwrap_or_default();
        root && (device.is_some_and(on_it) || place.components().any(|part| part.as_os_str() == name))
    })
}
