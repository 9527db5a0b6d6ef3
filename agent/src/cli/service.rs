//! The agent as a Windows service.
//!
//! It runs as `LocalSystem`: disk health, drive encryption and the state of the antivirus program are told to
//! administrators alone, and a service that is one is no safer under another name. An administrator who prefers less
//! changes the account, and the sources that miss the right say `no_permission`. The agent listens nowhere and runs
//! nobody's commands in either case.
//!
//! There is no terminal, so log lines go to `agent.log` in the state folder, which is bounded.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bellwether_agent::run::whole_chain;
use bellwether_agent::system_events::windows::Controls;
use bellwether_agent::{Settings, private};
use clap::Subcommand;
use windows_service::service::{
    Service as Handle, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceStatus,
    ServiceType,
};
use windows_service::service_control_handler::{self, ServiceStatusHandle};
use windows_service::service_dispatcher;
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::bounded_log::BoundedLog;
use super::{Failure, log_to, runtime, say};

/// What the service manager calls it.
const NAME: &str = "BellwetherAgent";

/// What people see.
const DISPLAY_NAME: &str = "Bellwether agent";
const DESCRIPTION: &str = "Reports the health of this machine to the school district's Bellwether collector.";

/// Below `%ProgramData%`.
const STATE: &str = r"Bellwether\Agent";

/// Some weeks of an agent's lines; with the file before it that is twice as much on the disk.
const LOG_MAX_BYTES: u64 = 1 << 20;

/// For the last readings and the goodbye; the agent takes three seconds at most.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// After a crash: soon, then later, so that a machine that can't run it is not kept busy.
const RESTARTS: &[Duration] = &[Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];

/// A day without a crash, and the first wait is the short one again.
const RESTARTS_FORGOTTEN: Duration = Duration::from_secs(86_400);

/// What can be done with the service.
#[derive(Subcommand)]
pub enum Service {
    /// Register it: it starts with the machine, shortly after everything else, and again if it crashes.
    Install {
        /// Where the agent keeps its state, instead of %ProgramData%\Bellwether\Agent.
        #[arg(long)]
        state: Option<PathBuf>,
    },
    /// Stop and remove it. The state stays.
    Uninstall,
    /// Be it; for the service manager alone.
    Run {
        /// Where the agent keeps its state, instead of %ProgramData%\Bellwether\Agent.
        #[arg(long)]
        state: Option<PathBuf>,
    },
}

/// Why something was not done with the service.
#[derive(Debug, thiserror::Error)]
#[error("can't {step} the service{hint}")]
pub struct ServiceError {
    step: &'static str,
    hint: &'static str,
    source: windows_service::Error,
}

fn during(step: &'static str) -> impl Fn(windows_service::Error) -> Failure {
    const ACCESS_DENIED: i32 = 5;
    move |source| {
        let denied =
            matches!(&source, windows_service::Error::Winapi(error) if error.raw_os_error() == Some(ACCESS_DENIED));
        let hint = if denied { " (this needs an administrator)" } else { "" };
        Failure::Service(ServiceError { step, hint, source })
    }
}

impl Service {
    pub(super) fn perform(self) -> Result<(), Failure> {
        match self {
            Self::Install { state } => install(state),
            Self::Uninstall => uninstall(),
            Self::Run { state } => {
                // The entry point below is called by the system, which knows nothing of the command line.
                let _ = STATE_DIR.set(state.unwrap_or_else(default_state));
                service_dispatcher::start(NAME, service_entry).map_err(during("run as"))
            }
        }
    }
}

fn default_state() -> PathBuf {
    let data = std::env::var_os("ProgramData").unwrap_or_else(|| OsString::from(r"C:\ProgramData"));
    Path::new(&data).join(STATE)
}

fn install(state: Option<PathBuf>) -> Result<(), Failure> {
    let folder = state.clone().unwrap_or_else(default_state);
    private::create_dir(&folder).map_err(Failure::Start)?;
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let mut arguments: Vec<OsString> = vec!["service".into(), "run".into()];
    if let Some(state) = state {
        arguments.extend(["--state".into(), state.into_os_string()]);
    }
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: DISPLAY_NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: std::env::current_exe().map_err(Failure::Start)?,
        launch_arguments: arguments,
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = match manager.open_service(NAME, access) {
        Ok(service) => {
            service.change_config(&info).map_err(during("change"))?;
            service
        }
        Err(_) => manager.create_service(&info, access).map_err(during("register"))?,
    };
    settle(&service)?;
    let folder = folder.display();
    say(&format!("The service {NAME} is registered, with its state in {folder}. Start it with: sc start {NAME}\n"))
}

/// What registering leaves open. Each is a comfort: where the system does not know it, the service runs without.
fn settle(service: &Handle) -> Result<(), Failure> {
    let restart = |delay: &Duration| ServiceAction { action_type: ServiceActionType::Restart, delay: *delay };
    let failures = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(RESTARTS_FORGOTTEN),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.iter().map(restart).collect()),
    };
    let comforts = [
        ("description", service.set_description(DESCRIPTION)),
        // Shortly after the machine's own services, so that nobody waits for it at logon.
        ("delayed start", service.set_delayed_auto_start(true)),
        ("restart after a crash", service.update_failure_actions(failures)),
        ("restart after an error", service.set_failure_actions_on_non_crash_failures(true)),
        ("time for a goodbye", service.set_preshutdown_timeout(STOP_WAIT)),
    ];
    for (what, result) in comforts {
        if let Err(error) = result {
            say(&format!("note: {what} could not be set: {error}\n"))?;
        }
    }
    Ok(())
}

fn uninstall() -> Result<(), Failure> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    let access = ServiceAccess::STOP | ServiceAccess::DELETE | ServiceAccess::QUERY_STATUS;
    let service = manager.open_service(NAME, access).map_err(during("find"))?;
    // It may not run at all.
    let _ = service.stop();
    service.delete().map_err(during("remove"))?;
    say("The service is removed; it ends within seconds. Its state was left where it is.\n")
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, Failure> {
    ServiceManager::local_computer(None::<&OsStr>, access).map_err(during("reach"))
}

static STATE_DIR: OnceLock<PathBuf> = OnceLock::new();

windows_service::define_windows_service!(service_entry, service_main);

fn service_main(_arguments: Vec<OsString>) {
    let state = STATE_DIR.get().cloned().unwrap_or_else(default_state);
    let log = BoundedLog::open(&state.join("agent.log"), LOG_MAX_BYTES);
    // Without a log it runs all the same.
    if let Ok(log) = log {
        log_to(Mutex::new(log));
    }
    if let Err(failure) = serve(&state) {
        tracing::error!(error = whole_chain(&failure), "the service ends");
    }
}

fn serve(state: &Path) -> Result<(), Failure> {
    let (controls, events) = Controls::new();
    let handle = service_control_handler::register(NAME, move |control| controls.handle(&control))
        .map_err(during("register the controls of"))?;
    tell(handle, ServiceState::Running, 0)?;
    let outcome = runtime()
        .and_then(|runtime| runtime.block_on(async { Ok(bellwether_agent::run(Settings::new(state), events).await?) }));
    // The service manager starts it again after an error, because of what `settle` asked for.
    tell(handle, ServiceState::Stopped, outcome.as_ref().err().map_or(0, |failure| u32::from(failure.code())))?;
    outcome
}

fn tell(handle: ServiceStatusHandle, state: ServiceState, code: u32) -> Result<(), Failure> {
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: if state == ServiceState::Running { Controls::accepted() } else { Controls::none() },
        exit_code: if code == 0 { ServiceExitCode::Win32(0) } else { ServiceExitCode::ServiceSpecific(code) },
        checkpoint: 0,
        wait_hint: Duration::ZERO,
        process_id: None,
    };
    handle.set_service_status(status).map_err(during("tell the state of"))
}
