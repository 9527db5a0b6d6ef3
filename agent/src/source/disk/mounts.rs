//! Lines of `/proc/self/mountinfo`, and which of them are fixed file systems.

use std::path::PathBuf;

use crate::host::Host;

/// File systems that live on disks.
const KINDS: &[&str] = &[
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "msdos", "ntfs", "ntfs3", "reiserfs", "vfat",
    "xfs", "zfs",
];

/// Where desktops mount what a user plugs in or opens: never looked at.
const USER_PLACES: &[&str] = &["/media/", "/run/media/", "/run/user/", "/run/mount/", "/Volumes/"];

/// Paths that say nothing about anyone.
const WELL_KNOWN: &[&str] = &[
    "/",
    "/backup",
    "/boot",
    "/boot/efi",
    "/boot/firmware",
    "/data",
    "/efi",
    "/home",
    "/mnt",
    "/opt",
    "/root",
    "/srv",
    "/storage",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/docker",
    "/var/lib/mysql",
    "/var/lib/postgresql",
    "/var/log",
    "/var/spool",
    "/var/tmp",
    "/var/www",
];

/// Block devices by the kernel's names.
const BY_NAME: &str = "sys/class/block";

/// Far more than a machine of a school has.
const MAX_DEVICES: usize = 1_024;

/// One mounted file system.
pub(in crate::source) struct Mount {
    /// Major and minor number of the device, as `8:1`; the identity of a file system.
    pub number: String,
    pub path: String,
    pub kind: String,
    pub source: String,
    pub read_only: bool,
}

/// Whether a path may be told as it is.
pub(in crate::source) fn is_well_known(path: &str) -> bool {
    WELL_KNOWN.contains(&path)
}

/// `36 35 98:0 /mnt1 /mnt/parent rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`: the number of optional
/// fields before the dash varies.
pub(in crate::source) fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let mut right = right.split(' ');
    let (kind, source) = (right.next()?, right.next()?);
    let options = right.next().unwrap_or_default();
    let [_, _, number, _, path, ..] = left[..] else { return None };
    // The options of the file system, not those of this mount: a service that may write nothing sees every mount as
    // read-only, and a kernel that met a broken disk turns the file system itself.
    let read_only = options.split(',').any(|word| word == "ro");
    Some(Mount {
        number: number.to_owned(),
        path: unescape(path),
        kind: kind.to_owned(),
        source: unescape(source),
        read_only,
    })
}

impl Mount {
    /// Whether this is a real file system on a disk that stays in the machine.
    pub(in crate::source) fn is_fixed(&self, host: &Host) -> bool {
        let local = KINDS.contains(&self.kind.as_str());
        let of_a_user = USER_PLACES.iter().any(|place| self.path.starts_with(place));
        local && !of_a_user && !self.is_removable(host)
    }

    /// The kernel's name for the device (`sda1`, `dm-0`). Mapper names are an admin's free text, so the number leads
    /// to the name; only a plain name under `/dev` serves as it is.
    pub(in crate::source) fn device(&self, host: &Host) -> String {
        let folder = self.block(host);
        let link = folder.as_ref().and_then(|folder| std::fs::read_link(host.path(folder)).ok());
        let named = link.or_else(|| folder.filter(|folder| folder.starts_with(BY_NAME)).map(PathBuf::from));
        let kernel = named.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let plain = || {
            let name = self.source.strip_prefix("/dev/")?;
            let known = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "md", "dm-", "loop", "sr"];
            let numbered = name.len() <= 16 && name.bytes().any(|byte| byte.is_ascii_digit()) || name.len() <= 4;
            (numbered && known.iter().any(|prefix| name.starts_with(prefix)) && is_device_name(name))
                .then(|| name.to_owned())
        };
        kernel.filter(|name| is_device_name(name)).or_else(plain).unwrap_or_else(|| {
            // No name that may be told; the number still tells one from another.
            format!("dev{}", self.number.replace(':', "-"))
        })
    }

    /// Where the kernel shows the device that it lies on. A btrfs has a number of its own making and tells only a name;
    /// what `/dev` would say of that is not asked, because a service need not see it. Of one that lies on several
    /// devices it is the one that it was mounted by.
    pub(in crate::source) fn block(&self, host: &Host) -> Option<String> {
        let is_there = |folder: &String| std::fs::symlink_metadata(host.path(folder)).is_ok();
        let by_name = || {
            let name = self.source.strip_prefix("/dev/")?;
            let name = match name.strip_prefix("mapper/") {
                Some(mapped) => mapper_device(host, mapped)?,
                None => name.to_owned(),
            };
            is_device_name(&name).then(|| format!("{BY_NAME}/{name}")).filter(is_there)
        };
        Some(format!("sys/dev/block/{}", self.number)).filter(is_there).or_else(by_name)
    }

    /// A stick, a card, or anything else on USB: many USB disks do not call themselves removable.
    fn is_removable(&self, host: &Host) -> bool {
        let Some(folder) = self.block(host) else { return false };
        let place = std::fs::read_link(host.path(&folder)).unwrap_or_default();
        let on_usb = place.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb"));
        // A partition has no such file, its disk (the folder above) does.
        let flag = |path: String| host.word(&path).is_some_and(|flag| flag == "1");
        on_usb || flag(format!("{folder}/removable")) || flag(format!("{folder}/../removable"))
    }
}

/// The kernel's name (`dm-0`) of what an admin called otherwise.
fn mapper_device(host: &Host, mapped: &str) -> Option<String> {
    let names = host.list(BY_NAME, MAX_DEVICES).ok()?;
    let mut names = names.into_iter().filter(|name| name.starts_with("dm-"));
    names.find(|name| host.word(&format!("{BY_NAME}/{name}/dm/name")).as_deref() == Some(mapped))
}

fn is_device_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        for (text, expected) in [("/a\\040b", "/a b"), ("/a\\", "/a\\"), ("/a\\9zz", "/a\\9zz"), ("\\134", "\\")] {
            assert_eq!(unescape(text), expected);
        }
    }

    #[test]
    fn broken_lines_are_no_mounts() {
        for line in ["", " - ", "36 35 98:0 / /x rw", "36 35 98:0 / /x rw - ext4", "- ext4 /dev/sda1 rw"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
