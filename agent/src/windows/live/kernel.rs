//! Processors, memory and time, from the kernel.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use std::time::Duration;

use windows::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemProcessorPerformanceInformation};
use windows::Win32::Foundation::FILETIME;
use windows::Win32::System::ProcessStatus::{
    ENUM_PAGE_FILE_INFORMATION, EnumPageFilesW, GetPerformanceInfo, PERFORMANCE_INFORMATION,
};
use windows::Win32::System::SystemInformation::{GetTickCount64, GlobalMemoryStatusEx, MEMORYSTATUSEX};
use windows::Win32::System::Threading::GetSystemTimes;
use windows::Win32::System::WindowsProgramming::SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION;

use super::refused;
use crate::reading::Problem;
use crate::windows::facts::{Memory, PageFile, Processors, Tasks, Times};

/// Cores of one processor group, which is all that one question tells of; machines with more are no school's.
const GROUP_MAX: usize = 64;

/// The whole is what `GetSystemTimes` says; interrupts are known by core alone and are summed.
pub(super) fn processors() -> Result<Processors, Problem> {
    let [mut idle, mut kernel, mut user] = [FILETIME::default(); 3];
    // SAFETY: the three places live through the call and are of the size that it writes.
    // <https://learn.microsoft.com/en-us/windows/win32/api/processthreadsapi/nf-processthreadsapi-getsystemtimes>
    unsafe { GetSystemTimes(Some(&raw mut idle), Some(&raw mut kernel), Some(&raw mut user)) }
        .map_err(|error| refused("GetSystemTimes", &error))?;
    let cores = cores();
    let sum = |part: fn(&Times) -> u64| cores.iter().map(part).fold(0, u64::saturating_add);
    let whole = Times {
        idle: ticks(idle),
        kernel: ticks(kernel),
        user: ticks(user),
        interrupt: sum(|core| core.interrupt),
        deferred: sum(|core| core.deferred),
    };
    Ok(Processors { whole, cores })
}

fn ticks(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Each core; empty if the system does not say.
fn cores() -> Vec<Times> {
    let mut table = [SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION::default(); GROUP_MAX];
    let mut written = 0_u32;
    let size = u32::try_from(size_of_val(&table)).expect("64 rows are a few KiB");
    // SAFETY: the table lives through the call and is as long as is said; the system writes at most that and whole
    // rows of plain integers. Microsoft documents this class and asks to be ready for its end: then the answer is an
    // error, and there are no cores.
    // <https://learn.microsoft.com/en-us/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation>
    let status = unsafe {
        NtQuerySystemInformation(
            SystemProcessorPerformanceInformation,
            table.as_mut_ptr().cast(),
            size,
            &raw mut written,
        )
    };
    if status.is_err() {
        return Vec::new();
    }
    let rows = written as usize / size_of::<SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION>();
    let count = |ticks: i64| u64::try_from(ticks).unwrap_or(0);
    table
        .iter()
        .take(rows)
        .map(|row| Times {
            idle: count(row.IdleTime),
            kernel: count(row.KernelTime),
            user: count(row.UserTime),
            // The header calls them reserved; the kernel's own structure has DPC and interrupt time there.
            deferred: count(row.Reserved1[0]),
            interrupt: count(row.Reserved1[1]),
        })
        .collect()
}

pub(super) fn memory() -> Result<Memory, Problem> {
    let mut status = MEMORYSTATUSEX {
        dwLength: u32::try_from(size_of::<MEMORYSTATUSEX>()).expect("a small structure"),
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: the structure lives through the call and says its own length, as the call demands.
    // <https://learn.microsoft.com/en-us/windows/win32/api/sysinfoapi/nf-sysinfoapi-globalmemorystatusex>
    unsafe { GlobalMemoryStatusEx(&raw mut status) }.map_err(|error| refused("GlobalMemoryStatusEx", &error))?;
    Ok(Memory {
        total: status.ullTotalPhys,
        available: status.ullAvailPhys,
        commit_limit: status.ullTotalPageFile,
        commit_available: status.ullAvailPageFile,
    })
}

fn performance() -> Result<PERFORMANCE_INFORMATION, Problem> {
    let size = u32::try_from(size_of::<PERFORMANCE_INFORMATION>()).expect("a small structure");
    let mut information = PERFORMANCE_INFORMATION { cb: size, ..PERFORMANCE_INFORMATION::default() };
    // SAFETY: the structure lives through the call and is as long as is said.
    // <https://learn.microsoft.com/en-us/windows/win32/api/psapi/nf-psapi-getperformanceinfo>
    unsafe { GetPerformanceInfo(&raw mut information, size) }.map_err(|error| refused("GetPerformanceInfo", &error))?;
    Ok(information)
}

pub(super) fn tasks() -> Result<Tasks, Problem> {
    let information = performance()?;
    Ok(Tasks { processes: u64::from(information.ProcessCount), threads: u64::from(information.ThreadCount) })
}

pub(super) fn page_files() -> Result<Vec<PageFile>, Problem> {
    let page_bytes = performance()?.PageSize as u64;
    let mut pages: Vec<(usize, usize)> = Vec::new();
    // SAFETY: `note` is called back only before this returns, with the pointer that is handed over here, which is to
    // a vector that nothing else uses meanwhile.
    // <https://learn.microsoft.com/en-us/windows/win32/api/psapi/nf-psapi-enumpagefilesw>
    unsafe { EnumPageFilesW(Some(note), (&raw mut pages).cast()) }.map_err(|error| refused("EnumPageFiles", &error))?;
    let bytes = |pages: usize| (pages as u64).saturating_mul(page_bytes);
    Ok(pages.iter().map(|(total, used)| PageFile { total: bytes(*total), used: bytes(*used) }).collect())
}

/// Notes one paging file; true asks for the next.
///
/// # Safety
/// `context` must be the vector that `page_files` handed over.
unsafe extern "system" fn note(
    context: *mut core::ffi::c_void,
    file: *mut ENUM_PAGE_FILE_INFORMATION,
    _name: windows::core::PCWSTR,
) -> windows::core::BOOL {
    // SAFETY: as said above; the system hands over a structure that is valid during the call, or nothing.
    if let (Some(pages), Some(file)) = unsafe { (context.cast::<Vec<(usize, usize)>>().as_mut(), file.as_ref()) } {
        pages.push((file.TotalSize, file.TotalInUse));
    }
    true.into()
}

pub(crate) fn uptime() -> Duration {
    // SAFETY: takes nothing and touches nothing.
    // <https://learn.microsoft.com/en-us/windows/win32/api/sysinfoapi/nf-sysinfoapi-gettickcount64>
    Duration::from_millis(unsafe { GetTickCount64() })
}
