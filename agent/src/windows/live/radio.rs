//! The wireless cards. Servers have the library only with a feature that is rarely installed, so it is loaded when it is
//! asked for: linked, the program would not start there.
//!
//! The answer about the connection also holds the network's name and its access point's address; neither is taken out.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use std::ffi::c_void;
use std::sync::OnceLock;

use windows::Win32::Foundation::{ERROR_SERVICE_NOT_ACTIVE, ERROR_SUCCESS, HANDLE, HMODULE};
use windows::Win32::NetworkManagement::WiFi::{
    WLAN_CONNECTION_ATTRIBUTES, WLAN_INTERFACE_INFO, WLAN_INTERFACE_INFO_LIST, WLAN_INTF_OPCODE,
    wlan_interface_state_connected, wlan_intf_opcode_channel_number, wlan_intf_opcode_current_connection,
    wlan_intf_opcode_rssi,
};
use windows::Win32::System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW};
use windows::core::{GUID, PCSTR, s, w};

use super::refused;
use crate::reading::{Problem, ProblemKind};
use crate::windows::facts::Radio;

/// Of the interface, since Windows Vista.
const VERSION: u32 = 2;

type Open = unsafe extern "system" fn(u32, *const c_void, *mut u32, *mut HANDLE) -> u32;
type Close = unsafe extern "system" fn(HANDLE, *const c_void) -> u32;
type Enumerate = unsafe extern "system" fn(HANDLE, *const c_void, *mut *mut WLAN_INTERFACE_INFO_LIST) -> u32;
type Query = unsafe extern "system" fn(
    HANDLE,
    *const GUID,
    WLAN_INTF_OPCODE,
    *const c_void,
    *mut u32,
    *mut *mut c_void,
    *mut i32,
) -> u32;
type Free = unsafe extern "system" fn(*const c_void);

/// The functions of `wlanapi.dll`, which stays loaded.
#[derive(Clone, Copy)]
struct Library {
    open: Open,
    close: Close,
    enumerate: Enumerate,
    query: Query,
    free: Free,
}

impl Library {
    fn get() -> Option<Self> {
        static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
        *LIBRARY.get_or_init(Self::load)
    }

    fn load() -> Option<Self> {
        // SAFETY: a library of the system, out of its own folder alone.
        // <https://learn.microsoft.com/en-us/windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryexw>
        let module: HMODULE = unsafe { LoadLibraryExW(w!("wlanapi.dll"), None, LOAD_LIBRARY_SEARCH_SYSTEM32) }.ok()?;
        // SAFETY: the module is loaded and stays so; the name ends in a zero.
        let function = |name: PCSTR| unsafe { GetProcAddress(module, name) };
        // SAFETY: these are the documented types of the functions of these names.
        // <https://learn.microsoft.com/en-us/windows/win32/api/wlanapi/>
        unsafe {
            Some(Self {
                open: std::mem::transmute::<unsafe extern "system" fn() -> isize, Open>(function(s!(
                    "WlanOpenHandle"
                ))?),
                close: std::mem::transmute::<unsafe extern "system" fn() -> isize, Close>(function(s!(
                    "WlanCloseHandle"
                ))?),
                enumerate: std::mem::transmute::<unsafe extern "system" fn() -> isize, Enumerate>(function(s!(
                    "WlanEnumInterfaces"
                ))?),
                query: std::mem::transmute::<unsafe extern "system" fn() -> isize, Query>(function(s!(
                    "WlanQueryInterface"
                ))?),
                free: std::mem::transmute::<unsafe extern "system" fn() -> isize, Free>(function(s!(
                    "WlanFreeMemory"
                ))?),
            })
        }
    }
}

/// An open handle of the wireless service.
struct Session {
    library: Library,
    handle: HANDLE,
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, open, and closed this once.
        unsafe { (self.library.close)(self.handle, std::ptr::null()) };
    }
}

pub(super) fn radios() -> Result<Vec<Radio>, Problem> {
    let nothing = |text: &str| Err(Problem::new(ProblemKind::NothingHere, text));
    let Some(library) = Library::get() else { return nothing("this system has no wireless service") };
    let (mut version, mut handle) = (0_u32, HANDLE::default());
    // SAFETY: both places live through the call.
    let code = unsafe { (library.open)(VERSION, std::ptr::null(), &raw mut version, &raw mut handle) };
    if code == ERROR_SERVICE_NOT_ACTIVE.0 {
        return nothing("the wireless service does not run");
    }
    check("WlanOpenHandle", code)?;
    Session { library, handle }.radios()
}

fn check(what: &str, code: u32) -> Result<(), Problem> {
    if code == ERROR_SUCCESS.0 {
        return Ok(());
    }
    Err(refused(what, &windows::core::Error::from_hresult(windows::core::HRESULT::from_win32(code))))
}

impl Session {
    fn radios(&self) -> Result<Vec<Radio>, Problem> {
        let mut list: *mut WLAN_INTERFACE_INFO_LIST = std::ptr::null_mut();
        // SAFETY: the handle is open; the place for the pointer lives through the call.
        let code = unsafe { (self.library.enumerate)(self.handle, std::ptr::null(), &raw mut list) };
        check("WlanEnumInterfaces", code)?;
        if list.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: after success the pointer is to as many interfaces as it says, which are ours until they are freed.
        let radios = unsafe {
            let first: *const WLAN_INTERFACE_INFO = (&raw const (*list).InterfaceInfo).cast();
            let interfaces = std::slice::from_raw_parts(first, (*list).dwNumberOfItems as usize);
            let radios = interfaces.iter().map(|interface| self.radio(interface)).collect();
            (self.library.free)(list.cast());
            radios
        };
        Ok(radios)
    }

    /// Each question stands alone: the connection's is refused where location is switched off.
    fn radio(&self, interface: &WLAN_INTERFACE_INFO) -> Radio {
        let guid = interface.InterfaceGuid;
        let mut radio = Radio { guid: format!("{guid:?}"), ..Radio::default() };
        if interface.isState != wlan_interface_state_connected {
            return radio;
        }
        radio.level_dbm = self.ask::<i32>(&guid, wlan_intf_opcode_rssi);
        radio.channel = self.ask::<u32>(&guid, wlan_intf_opcode_channel_number);
        if let Some(connection) = self.ask::<WLAN_CONNECTION_ATTRIBUTES>(&guid, wlan_intf_opcode_current_connection) {
            let link = connection.wlanAssociationAttributes;
            radio.quality_percent = Some(link.wlanSignalQuality);
            radio.receives_kbit = Some(link.ulRxRate);
            radio.sends_kbit = Some(link.ulTxRate);
        }
        radio
    }

    fn ask<T: Copy>(&self, guid: &GUID, question: WLAN_INTF_OPCODE) -> Option<T> {
        let (mut size, mut kind) = (0_u32, 0_i32);
        let mut data: *mut c_void = std::ptr::null_mut();
        // SAFETY: the handle is open; the interface's number and the three places live through the call.
        let code = unsafe {
            let library = &self.library;
            (library.query)(
                self.handle,
                std::ptr::from_ref(guid),
                question,
                std::ptr::null(),
                &raw mut size,
                &raw mut data,
                &raw mut kind,
            )
        };
        if code != ERROR_SUCCESS.0 || data.is_null() {
            return None;
        }
        // SAFETY: after success the pointer is to that many bytes, which are ours until they are freed; what is asked for
        // here is made of integers alone, for which any bits do.
        unsafe {
            let answer = (size as usize >= size_of::<T>()).then(|| data.cast::<T>().read_unaligned());
            (self.library.free)(data);
            answer
        }
    }
}
