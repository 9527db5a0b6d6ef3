//! What Windows Update knows without asking anybody: what waits and what was installed, as of its own last search.

#![expect(unsafe_code, reason = "the system's own functions have no safe form; each call says why it is sound")]

use windows::Win32::Foundation::VARIANT_FALSE;
use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx};
use windows::Win32::System::UpdateAgent::{
    IUpdate, IUpdateSearcher, IUpdateSession, UpdateSession, orcSucceeded, orcSucceededWithErrors, uoInstallation,
};
use windows::core::{BSTR, Result};

use super::refused;
use crate::reading::Problem;
use crate::windows::facts::{Updates, Waiting, ole_to_unix_ms};

/// Not installed, not put aside by an administrator, and no driver.
const CRITERIA: &str = "IsInstalled=0 and IsHidden=0 and Type='Software'";

/// The category "Security Updates".
/// <https://learn.microsoft.com/en-us/previous-versions/windows/desktop/ff357803(v=vs.85)>
const SECURITY: &str = "0fa1201d-4330-4fa8-8ae9-b877473b6441";

/// More than ever wait.
const MAX_WAITING: i32 = 500;

/// Definitions of antivirus programs come several times a day; this is far enough back to find something else.
const MAX_HISTORY: i32 = 100;

pub(super) fn updates() -> std::result::Result<Updates, Problem> {
    ask().map_err(|error| refused("Windows Update", &error))
}

fn ask() -> Result<Updates> {
    // SAFETY: this thread is asked for nothing else, and uses what it makes here on this thread alone; COM counts
    // the objects and lets them go when their values are dropped. A second initialisation of the same kind is counted.
    // <https://learn.microsoft.com/en-us/windows/win32/wua_sdk/portal-client>
    unsafe {
        CoInitializeEx(None, COINIT_MULTITHREADED).ok()?;
        let session: IUpdateSession = CoCreateInstance(&UpdateSession, None, CLSCTX_INPROC_SERVER)?;
        let searcher = session.CreateUpdateSearcher()?;
        // Nobody is asked over the network: that is the machine's own business, at its own time.
        searcher.SetOnline(VARIANT_FALSE)?;
        let found = searcher.Search(&BSTR::from(CRITERIA))?.Updates()?;
        let mut waiting = Vec::new();
        for index in 0..found.Count()?.min(MAX_WAITING) {
            waiting.push(describe(&found.get_Item(index)?)?);
        }
        Ok(Updates { waiting, last_install_ms: last_install(&searcher)? })
    }
}

/// # Safety
/// On the thread that COM was initialised on.
unsafe fn describe(update: &IUpdate) -> Result<Waiting> {
    // SAFETY: as said above.
    unsafe {
        let categories = update.Categories()?;
        let mut security = !update.MsrcSeverity().unwrap_or_default().is_empty();
        for index in 0..categories.Count()? {
            security |= categories.get_Item(index)?.CategoryID()?.to_string().eq_ignore_ascii_case(SECURITY);
        }
        Ok(Waiting { security, since_ms: update.LastDeploymentChangeTime().ok().and_then(ole_to_unix_ms) })
    }
}

/// # Safety
/// On the thread that COM was initialised on.
unsafe fn last_install(searcher: &IUpdateSearcher) -> Result<Option<i64>> {
    // SAFETY: as said above.
    unsafe {
        let total = searcher.GetTotalHistoryCount()?.min(MAX_HISTORY);
        if total < 1 {
            return Ok(None);
        }
        let history = searcher.QueryHistory(0, total)?;
        let mut last = None;
        for index in 0..history.Count()?.min(MAX_HISTORY) {
            let entry = history.get_Item(index)?;
            let done = [orcSucceeded, orcSucceededWithErrors].contains(&entry.ResultCode()?);
            if done && entry.Operation()? == uoInstallation {
                last = last.max(ole_to_unix_ms(entry.Date()?));
            }
        }
        Ok(last)
    }
}
