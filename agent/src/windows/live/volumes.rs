//! The volumes with a letter, and the disks below them.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;

use windows::Win32::Foundation::HANDLE;
use windows::Win32::Storage::FileSystem::{
    GetDiskFreeSpaceExW, GetDriveTypeW, GetLogicalDrives, GetVolumeInformationW,
};
use windows::Win32::System::IO::DeviceIoControl;
use windows::Win32::System::Ioctl::{
    DISK_PERFORMANCE, IOCTL_DISK_PERFORMANCE, IOCTL_STORAGE_QUERY_PROPERTY, PropertyStandardQuery,
    STORAGE_PROPERTY_QUERY, StorageDeviceProperty,
};
use windows::Win32::System::WindowsProgramming::DRIVE_FIXED;
use windows::core::{HSTRING, PCWSTR};

use crate::windows::facts::{DiskCounters, Space, Volume};

/// `FILE_READ_ONLY_VOLUME`.
/// <https://learn.microsoft.com/en-us/windows/win32/api/fileapi/nf-fileapi-getvolumeinformationw>
const READ_ONLY: u32 = 0x0008_0000;

pub(super) fn all() -> Vec<Volume> {
    // SAFETY: takes nothing and returns a bit for each letter.
    // <https://learn.microsoft.com/en-us/windows/win32/api/fileapi/nf-fileapi-getlogicaldrives>
    let letters = unsafe { GetLogicalDrives() };
    ('A'..='Z').enumerate().filter(|(bit, _)| letters & 1 << bit != 0).map(|(_, letter)| volume(letter)).collect()
}

/// A volume that is not fixed is not touched: a network drive could hang, a card reader could click.
fn volume(letter: char) -> Volume {
    let root = HSTRING::from(format!("{letter}:\\"));
    // SAFETY: the text ends in a zero and lives through the call.
    // <https://learn.microsoft.com/en-us/windows/win32/api/fileapi/nf-fileapi-getdrivetypew>
    let fixed = unsafe { GetDriveTypeW(PCWSTR(root.as_ptr())) } == DRIVE_FIXED;
    let mut volume = Volume { letter: letter.to_string(), fixed, ..Volume::default() };
    if !fixed {
        return volume;
    }
    let troubles = [name_file_system(&root, &mut volume), measure(&root, &mut volume)];
    volume.trouble = troubles.into_iter().filter_map(Result::err).map(|error| error.message()).collect();
    if let Ok(device) = device(letter) {
        volume.bus = bus(&device);
        volume.counters = counters(&device);
    }
    volume
}

/// No place is given for the label.
fn name_file_system(root: &HSTRING, volume: &mut Volume) -> windows::core::Result<()> {
    let mut flags = 0_u32;
    let mut name = [0_u16; 64];
    // SAFETY: the text ends in a zero; both places live through the call, and the slice brings its length.
    // <https://learn.microsoft.com/en-us/windows/win32/api/fileapi/nf-fileapi-getvolumeinformationw>
    unsafe {
        GetVolumeInformationW(PCWSTR(root.as_ptr()), None, None, None, Some(&raw mut flags), Some(&mut name))?;
    }
    let end = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
    volume.file_system = String::from_utf16_lossy(&name[..end]);
    volume.read_only = flags & READ_ONLY != 0;
    Ok(())
}

fn measure(root: &HSTRING, volume: &mut Volume) -> windows::core::Result<()> {
    let mut space = Space::default();
    // SAFETY: the text ends in a zero; the three places live through the call.
    // <https://learn.microsoft.com/en-us/windows/win32/api/fileapi/nf-fileapi-getdiskfreespaceexw>
    unsafe {
        GetDiskFreeSpaceExW(
            PCWSTR(root.as_ptr()),
            Some(&raw mut space.free),
            Some(&raw mut space.total),
            Some(&raw mut space.unused),
        )?;
    }
    volume.space = Some(space);
    Ok(())
}

/// The volume's device, opened for questions alone, which needs no rights.
fn device(letter: char) -> std::io::Result<File> {
    const SHARE_ALL: u32 = 0b111;
    OpenOptions::new().access_mode(0).share_mode(SHARE_ALL).open(format!(r"\\.\{letter}:"))
}

fn bus(device: &File) -> Option<i32> {
    let query = STORAGE_PROPERTY_QUERY {
        PropertyId: StorageDeviceProperty,
        QueryType: PropertyStandardQuery,
        ..STORAGE_PROPERTY_QUERY::default()
    };
    // `STORAGE_DEVICE_DESCRIPTOR`, as words, because a driver may write into its `bool` what is none. The bus is the
    // eighth: <https://learn.microsoft.com/en-us/windows/win32/api/winioctl/ns-winioctl-storage_device_descriptor>
    let mut descriptor = [0_u32; 10];
    // <https://learn.microsoft.com/en-us/windows/win32/api/winioctl/ni-winioctl-ioctl_storage_query_property>
    ask(device, IOCTL_STORAGE_QUERY_PROPERTY, Some(&query), &mut descriptor)?;
    Some(descriptor[7].cast_signed())
}

fn counters(device: &File) -> Option<DiskCounters> {
    let mut performance = DISK_PERFORMANCE::default();
    // <https://learn.microsoft.com/en-us/windows/win32/api/winioctl/ni-winioctl-ioctl_disk_performance>
    ask(device, IOCTL_DISK_PERFORMANCE, None::<&u32>, &mut performance)?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Some(DiskCounters {
        read_bytes: count(performance.BytesRead),
        write_bytes: count(performance.BytesWritten),
        read_time: count(performance.ReadTime),
        write_time: count(performance.WriteTime),
        reads: u64::from(performance.ReadCount),
        writes: u64::from(performance.WriteCount),
        queue: u64::from(performance.QueueDepth),
    })
}

/// Asks a driver; none if it does not know the question. What it has to say beyond `answer` is cut off.
fn ask<Q: Copy, A: Copy>(device: &File, code: u32, question: Option<&Q>, answer: &mut A) -> Option<()> {
    let size = |bytes: usize| u32::try_from(bytes).expect("a small structure");
    let question_bytes = question.map_or(0, |_| size(size_of::<Q>()));
    let mut written = 0;
    // SAFETY: the handle is open as long as the file; question and answer live through the call, which is not
    // overlapped, and are as long as is said; every answer asked for here is plain integers, for which any bits do.
    // <https://learn.microsoft.com/en-us/windows/win32/api/ioapiset/nf-ioapiset-deviceiocontrol>
    let asked = unsafe {
        DeviceIoControl(
            HANDLE(device.as_raw_handle()),
            code,
            question.map(|question| std::ptr::from_ref(question).cast()),
            question_bytes,
            Some(std::ptr::from_mut(answer).cast()),
            size(size_of::<A>()),
            Some(&raw mut written),
            None,
        )
    };
    // A driver that knows more says so and has filled in what there is place for.
    (asked.is_ok() || written as usize == size_of::<A>()).then_some(())
}
