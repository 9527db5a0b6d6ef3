//! What vendors leave in the firmware when they fill in nothing, and addresses that belong to no one machine.

/// Two machines that share such a word are not the same. Lower case.
const WORDS: &[&str] = &[
    "0123456789",
    "123456789",
    "1234567890",
    "12345678",
    "0x00000000",
    "asset-1234567890",
    "base board serial number",
    "bsn12345678901234567",
    "chassis serial number",
    "default string",
    "default",
    "empty",
    "fefefefe",
    "invalid",
    "mb-1234567890",
    "n/a",
    "na",
    "no enclosure",
    "none",
    "not applicable",
    "not available",
    "not specified",
    "nss",
    "o.e.m",
    "o.e.m.",
    "oem",
    "oem-default-000",
    "oem_serial_number",
    "sernum0",
    "serial",
    "serial number",
    "system manufacturer",
    "system name",
    "system product name",
    "system serial number",
    "system version",
    "type1productconfigid",
    "type2 - board serial number",
    "undefined",
    "unknown",
    "vd0000000000",
    // What QEMU and VirtualBox give their disks.
    "qm00001",
    "qm00002",
    "qm00003",
    "drive-scsi0",
    "vb0-01f003f6",
];

/// How such words begin or what they hold, whatever stands behind.
const PARTS: &[&str] = &["to be filled", "filled by o.e.m", "default string", "no asset", "not settable"];

/// UUIDs that whole product lines share. The first is that of AMI's reference firmware, which cheap boards ship as it is.
const UUIDS: &[&str] = &[
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "12345678-1234-5678-9012-123456789012",
    "00020003-0004-0005-0006-000700080009",
    "01020304-0506-0708-090a-0b0c0d0e0f10",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "78563412-3412-7856-90ab-cddeefaabbcc",
    "4c4c4544-0000-2010-8020-80c04f202020",
    "deadbeef-dead-beef-dead-beefdeadbeef",
];

/// Makers of docks, USB adapters and virtual cards: their address goes with the adapter, or is made up by a hypervisor,
/// and says nothing about the machine. From the IEEE's public registry, kinds that schools have in numbers.
const SHARED_MAKERS: &[&str] = &[
    "00:05:1b", // Magic Control Technology: USB adapters
    "00:0e:c6", // ASIX: USB adapters
    "00:24:9b", // Action Star: docks
    "00:50:b6", // Good Way: docks
    "3c:18:a0", // Luxshare: docks and USB-C adapters
    "58:ef:68", // Belkin: USB-C adapters
    "94:10:3e", // Belkin
    "00:13:3b", // Speed Dragon: USB adapters
    "8c:ae:4c", // Plugable: docks
    "00:0c:29", // VMware
    "00:50:56", // VMware
    "00:05:69", // VMware
    "08:00:27", // VirtualBox
    "00:15:5d", // Hyper-V
    "00:16:3e", // Xen
    "00:1c:42", // Parallels
    "00:03:ff", // Virtual PC
];

/// Whether a serial number, vendor or model means nothing.
#[must_use]
pub fn is_junk_word(word: &str) -> bool {
    let lower = word.trim().to_lowercase();
    let mut letters = lower.chars().filter(|letter| letter.is_alphanumeric());
    let first = letters.next();
    // Nothing but dots, blanks, or one letter over and over: "00000000", "xxxxxxx", "........".
    let same = first.is_none_or(|first| letters.all(|other| other == first));
    same || WORDS.contains(&lower.as_str()) || PARTS.iter().any(|part| lower.contains(part))
}

/// Whether a UUID is none, or that of a whole product line.
#[must_use]
pub fn is_junk_uuid(uuid: &str) -> bool {
    let digits = || uuid.chars().filter(|letter| *letter != '-');
    let is_uuid = digits().count() == 32 && digits().all(|digit| digit.is_ascii_hexdigit());
    let Some(first) = digits().next() else { return true };
    !is_uuid || digits().all(|digit| digit == first) || UUIDS.contains(&uuid.to_lowercase().as_str())
}

/// Whether a network address is none, was made up (locally administered, randomised), names a group, or goes with an
/// adapter instead of a machine.
#[must_use]
pub fn is_shared_address(mac: &str) -> bool {
    let lower = mac.to_lowercase();
    let parts = || lower.split(':').map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2));
    if parts().count() != 6 || parts().any(|byte| byte.is_none()) {
        return true;
    }
    let first = parts().next().flatten().unwrap_or(u8::MAX);
    let empty = parts().flatten().all(|byte| byte == 0);
    first & 0b11 != 0 || empty || SHARED_MAKERS.iter().any(|maker| lower.starts_with(maker))
}
