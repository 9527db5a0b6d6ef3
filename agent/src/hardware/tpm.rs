//! The TPM's endorsement key, as a hash: the one word that nobody can write into a machine.
//!
//! Linux shows the key of a TPM 1.2 in a file, for all to read. That of a TPM 2.0 is in no file: it takes the TPM's own
//! protocol on `/dev/tpmrm0`, which belongs to the group `tss`. So it is asked by `tpm2_readpublic` (tpm2-tools), where
//! that is installed and the agent may open the device, and only for the key that firmware or another system has left at
//! the place that the TCG names for it: nothing is made in the TPM. Everywhere else, and on Windows and macOS, there is no
//! hash, and the other words must do.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest, Sha256};

use crate::host::Host;

/// Of a TPM 1.2: `Documentation/ABI/stable/sysfs-class-tpm` of the kernel, and where older kernels have it.
const FILES: [&str; 2] = ["sys/class/tpm/tpm0/device/pubek", "sys/class/tpm/tpm0/pubek"];

/// Of a TPM 2.0.
const DEVICE: &str = "/dev/tpmrm0";

/// RSA and elliptic curve (TCG EK Credential Profile, 2.2.1.5.1).
const HANDLES: [&str; 2] = ["0x81010001", "0x81010002"];

/// A TPM answers in milliseconds, unless it is busy with making a key.
const LIMIT: Duration = Duration::from_secs(5);

/// SHA-256 of the key's own numbers, so that it is the same whoever reads it; empty where it can't be read.
pub(super) fn key_sha256(host: &Host) -> Vec<u8> {
    let file = || FILES.iter().find_map(|file| of_file(&host.read(file).ok()?));
    let key = file().or_else(|| HANDLES.iter().find_map(|handle| of_program(host, handle)));
    key.map(|key| Sha256::digest(key).to_vec()).unwrap_or_default()
}

/// Behind the line `Modulus:`, in hexadecimal.
fn of_file(text: &str) -> Option<Vec<u8>> {
    numbers(text.split_once("Modulus:")?.1)
}

fn of_program(host: &Host, handle: &str) -> Option<Vec<u8>> {
    if !host.path(&DEVICE[1..]).exists() {
        return None;
    }
    let said = host.run("tpm2_readpublic", &["-T", &format!("device:{DEVICE}"), "-c", handle], LIMIT).ok()?;
    if said.status == Some(0) { of_public_area(&said.text) } else { None }
}

/// The key of a public area as the program writes it; none unless it is one that can't leave its TPM and decrypts for the
/// TPM alone, as an endorsement key does: anybody may put another at its place.
fn of_public_area(text: &str) -> Option<Vec<u8>> {
    let attributes = text.split_once("attributes:")?.1.lines().find_map(|line| line.trim().strip_prefix("value: "))?;
    let has = |attribute: &str| attributes.split('|').any(|word| word == attribute);
    if !["fixedtpm", "adminwithpolicy", "restricted", "decrypt"].into_iter().all(has) {
        return None;
    }
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    match value("rsa") {
        Some(modulus) => numbers(modulus),
        None => Some([numbers(value("x")?)?, numbers(value("y")?)?].concat()),
    }
}

/// Bytes in hexadecimal, with blanks or without. A key is long, and never all zeros.
fn numbers(text: &str) -> Option<Vec<u8>> {
    /// Of the shortest curve.
    const MIN_BYTES: usize = 32;
    let digits: String = text.split_whitespace().collect();
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    (bytes.len() >= MIN_BYTES && bytes.iter().any(|byte| *byte != 0)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What tpm2_readpublic 5.4 says of the endorsement key of a TPM in software.
    const PUBLIC_AREA: &str = "name: 000bc2f2b4ae09c4cf1caff6c779ab98bad210116a1fc551b3f7341febbcf63434c8
name-alg:
  value: sha256
  raw: 0xb
attributes:
  value: fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt
  raw: 0x300b2
type:
  value: ecc
  raw: 0x23
curve-id:
  value: NIST p256
  raw: 0x3
sym-keybits: 128
x: a1cb5316d87137b74c5cf7a28918c3211ad772d74998c8d239622371962aab76
y: 952a0be542aa237970ef2c048967e083d7a3354e2de94d531385a925d5da6ef4
authorization policy: 837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa
";

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::at(dir.path());
        (dir, host)
    }

    #[test]
    fn the_key_of_an_old_tpm_is_in_a_file() {
        let text = format!("Algorithm: 00 00 00 01\nModulus length: 256\nModulus:\n{}\n", "A0 07 \n".repeat(128));
        let (_dir, host) = machine(&[(FILES[0], &text)]);
        assert_eq!(key_sha256(&host), Sha256::digest([0xa0, 0x07].repeat(128)).to_vec());
    }

    #[test]
    fn the_key_of_a_new_tpm_is_asked_for_where_the_program_is_and_the_device_may_be_opened() {
        let program = |handle: &str| format!("programs/tpm2_readpublic -T device:_dev_tpmrm0 -c {handle}");
        let (rsa, ecc) = (program(HANDLES[0]), program(HANDLES[1]));
        let (refused, found) = ((format!("{rsa}.status"), "1"), (ecc.as_str(), PUBLIC_AREA));
        let (_dir, host) = machine(&[("dev/tpmrm0", ""), (&rsa, ""), (&refused.0, refused.1), found]);
        let point = "a1cb5316d87137b74c5cf7a28918c3211ad772d74998c8d239622371962aab76\
                     952a0be542aa237970ef2c048967e083d7a3354e2de94d531385a925d5da6ef4";
        let expected = Sha256::digest(HEXLOWER_PERMISSIVE.decode(point.as_bytes()).unwrap()).to_vec();
        assert_eq!(key_sha256(&host), expected);
        let (_dir, host) = machine(&[found]);
        assert_eq!(key_sha256(&host), Vec::<u8>::new(), "without the device nothing is started");
        let (_dir, host) = machine(&[("dev/tpmrm0", "")]);
        assert_eq!(key_sha256(&host), Vec::<u8>::new(), "the program is not installed");
    }

    #[test]
    fn another_key_at_its_place_and_a_key_of_nothing_are_no_identity() {
        assert!(of_public_area(PUBLIC_AREA).is_some());
        let other = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign";
        let own = "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt";
        assert_eq!(of_public_area(&PUBLIC_AREA.replace(own, other)), None);
        assert_eq!(of_public_area(&PUBLIC_AREA.replace("x: ", "x: zz")), None);
        assert_eq!(of_public_area(""), None);
        assert_eq!(of_file(&format!("Modulus:\n{}", "00 ".repeat(256))), None);
        assert_eq!(of_file("Modulus:\nA0 07\n"), None);
    }
}
