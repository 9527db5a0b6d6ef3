//! Windows Management Instrumentation. The crate's calls are safe; each thread gets a connection of its own.

use windows::Win32::System::Wmi::{
    WBEM_E_ACCESS_DENIED, WBEM_E_INVALID_CLASS, WBEM_E_INVALID_NAMESPACE, WBEM_E_NOT_SUPPORTED,
    WBEM_E_PROVIDER_NOT_CAPABLE,
};
use wmi::{AuthLevel, WMIConnection, WMIError};

use crate::reading::{Problem, ProblemKind};
use crate::windows::facts::Row;

/// Instances of any class that is asked here, far beyond what a machine has.
const MAX_ROWS: usize = 256;

pub(super) fn rows(namespace: &str, class: &str, properties: &str) -> Result<Vec<Row>, Problem> {
    let problem = |error: WMIError| problem(class, &error);
    let connection = WMIConnection::with_namespace_path(namespace).map_err(problem)?;
    // The drive encryption's classes answer encrypted calls alone; the others don't mind.
    connection.set_proxy_blanket(AuthLevel::PktPrivacy).map_err(problem)?;
    let answers = connection.exec_query(format!("SELECT {properties} FROM {class}")).map_err(problem)?;
    answers.take(MAX_ROWS).map(|answer| answer.and_then(|row| row.into_desr()).map_err(problem)).collect()
}

fn problem(class: &str, error: &WMIError) -> Problem {
    let kind = match error {
        WMIError::HResultError { hres } => kind(*hres),
        _ => ProblemKind::Failed,
    };
    Problem::new(kind, format!("{class}: {error}"))
}

/// <https://learn.microsoft.com/en-us/windows/win32/wmisdk/wmi-error-constants>
fn kind(code: i32) -> ProblemKind {
    const ACCESS_DENIED: i32 = 0x8007_0005_u32.cast_signed();
    match code {
        ACCESS_DENIED => ProblemKind::NoPermission,
        code if code == WBEM_E_ACCESS_DENIED.0 => ProblemKind::NoPermission,
        code if code == WBEM_E_INVALID_CLASS.0 || code == WBEM_E_INVALID_NAMESPACE.0 => ProblemKind::NothingHere,
        code if code == WBEM_E_NOT_SUPPORTED.0 || code == WBEM_E_PROVIDER_NOT_CAPABLE.0 => ProblemKind::Unsupported,
        _ => ProblemKind::Failed,
    }
}
