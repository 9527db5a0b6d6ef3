//! The command line. Each failure is one line with its whole chain of causes, and an exit code of its kind.

#[cfg(any(windows, test))]
mod bounded_log;
#[cfg(windows)]
mod service;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bellwether_agent::config::ConfigError;
use bellwether_agent::enrol::LaterError;
use bellwether_agent::host::Host;
use bellwether_agent::remote::Remote;
use bellwether_agent::run::whole_chain;
use bellwether_agent::{EnrolError, RunError, Settings};
use bellwether_agent::{schema, show, state, system_events};
use clap::{Parser, Subcommand};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

mod doctor;
mod enrol;
mod snmp;

use enrol::{EnrolArguments, GeneralizeArguments};

/// Reports the health of this machine to a Bellwether collector. It opens no port and runs nobody's commands.
#[derive(Parser)]
#[command(name = "bellwether-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Be a Windows service, or stop being one.
    #[cfg(windows)]
    #[command(subcommand)]
    Service(service::Service),
    /// Connect this machine to a collector; the collector prints the whole command.
    Enrol(EnrolArguments),
    /// Prepare an image: remove what makes the state folder this machine's; agent.toml stays.
    Generalize(GeneralizeArguments),
    /// Run until stopped.
    Run {
        /// Where the agent keeps its state.
        #[arg(long)]
        state: PathBuf,
    },
    /// Print exactly what would be sent next, and how each source is doing.
    Show {
        /// Where the agent keeps its state; needed only for its configuration.
        #[arg(long)]
        state: Option<PathBuf>,
        /// Instead, print all that could ever be sent: each field with its unit and privacy class.
        #[arg(long)]
        schema: bool,
    },
    /// Look for what keeps the agent from its work, and say what to do; before enrolment with --collector.
    Doctor {
        /// Where the agent keeps its state.
        #[arg(long)]
        state: Option<PathBuf>,
        /// HOST:PORT of the collector, if not the one that this machine is enrolled at.
        #[arg(long)]
        collector: Option<String>,
    },
    /// Ask a device that is watched by SNMP.
    #[command(subcommand)]
    Snmp(snmp::Snmp),
    /// Check the configuration and say what is in force.
    CheckConfig {
        /// Where the agent keeps its state; without it the shipped defaults are shown.
        #[arg(long)]
        state: Option<PathBuf>,
    },
}

/// Where the machine's own root folder is, if not at `/`: what tells it from other machines is read below.
const MACHINE_ROOT: &str = "BELLWETHER_MACHINE_ROOT";

/// Why the program ends with an error. The numbers are for scripts and stay.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the configuration can't be used")]
    Config(#[from] ConfigError),
    #[error("not enrolled")]
    Enrol(#[from] EnrolError),
    #[error("--class")]
    Class(#[from] bellwether_logic::device::UnknownWord),
    #[error("--token-file {file}")]
    TokenFile { file: PathBuf, source: std::io::Error },
    #[error("--recording {file}")]
    Recording { file: PathBuf, source: std::io::Error },
    #[error("the profiles can't be used")]
    Profiles(#[from] bellwether_agent::snmp::profile::ProfileError),
    #[error("not left to be enrolled")]
    Later(#[from] LaterError),
    #[error("not generalized")]
    Generalize(#[source] state::StateError),
    #[error("can't run")]
    Run(#[from] RunError),
    #[error("{0} of these checks found a problem")]
    Unwell(usize),
    #[error("SNMP")]
    Snmp(#[from] snmp::SnmpError),
    #[cfg(windows)]
    #[error(transparent)]
    Service(#[from] service::ServiceError),
    #[error("can't start")]
    Start(#[source] std::io::Error),
    #[error("can't write the answer")]
    Output(#[source] std::io::Error),
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Class(_) | Self::Profiles(_) | Self::Run(RunError::Config(_)) => 3,
            Self::Enrol(EnrolError::State(_))
            | Self::Later(LaterError::State(_))
            | Self::Generalize(_)
            | Self::Run(_) => 5,
            Self::Later(_) => 4,
            Self::Enrol(_) => 4,
            Self::Unwell(_) => 6,
            Self::Snmp(snmp::SnmpError::Credential(_) | snmp::SnmpError::File { .. }) => 3,
            Self::Snmp(_) => 8,
            #[cfg(windows)]
            Self::Service(_) => 7,
            Self::TokenFile { .. } | Self::Recording { .. } | Self::Start(_) | Self::Output(_) => 1,
        }
    }
}

/// Parses, runs, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match perform(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "bellwether-agent: {}", whole_chain(&failure));
            ExitCode::from(failure.code())
        }
    }
}

fn perform(command: Command) -> Result<(), Failure> {
    match command {
        #[cfg(windows)]
        Command::Service(service) => service.perform(),
        Command::Enrol(arguments) => arguments.perform(),
        Command::Generalize(arguments) => arguments.perform(),
        Command::Run { state } => {
            log_to(std::io::stderr);
            let runtime = runtime()?;
            runtime.block_on(async {
                let events = system_events::of_the_system().map_err(Failure::Start)?;
                Ok::<(), Failure>(bellwether_agent::run(settings(state), events).await?)
            })
        }
        Command::Doctor { state, collector } => doctor::doctor(state, collector),
        Command::Snmp(question) => question.perform(),
        Command::Show { schema: true, .. } => say(&schema::page()),
        Command::Show { state, schema: false } => say(&runtime()?.block_on(show::show(state.as_deref()))?),
        Command::CheckConfig { state } => check_config(state),
    }
}

/// The running agent's settings.
fn settings(state: PathBuf) -> Settings {
    Settings { hardware: machine(), ..Settings::new(state) }
}

/// The machine that the agent speaks for: in a container that is not the one whose `/sys` is at hand.
fn machine() -> Host {
    std::env::var_os(MACHINE_ROOT).map_or_else(Host::default, Host::at)
}

fn check_config(state_dir: Option<PathBuf>) -> Result<(), Failure> {
    let Some(dir) = state_dir else { return say(bellwether_agent::config::DEFAULT_FILE) };
    let path = dir.join(state::CONFIG_FILE);
    let mut remote = Remote::load(&dir);
    let config = remote.config()?;
    let own = if path.exists() { format!("{} is good", path.display()) } else { "no agent.toml: defaults".to_owned() };
    let origin = match remote.revision() {
        0 => own,
        revision => format!("{own}, above what the collector sent (revision {revision:016x})"),
    };
    say(&format!(
        "{origin}: interval {} s, spool {} MiB and {} days, {} targets{}{}\n",
        config.interval.as_secs(),
        config.spool.max_bytes >> 20,
        config.spool.max_age.as_secs() / 86_400,
        config.probes.len(),
        if config.ping_gateway { " and the gateway" } else { "" },
        if config.dns_servers { " and the DNS servers" } else { "" },
    ))
}

/// One thread: the agent must be light.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)
}

/// Says something beside the answer.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "bellwether-agent: {text}");
}

fn say(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::Output),
    }
}

/// What is logged is said by `BELLWETHER_LOG`, as a level or as `target=level` pairs. Plain targets, because the filter
/// that understands more brings a regular expression engine with it.
fn log_to(place: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let wish = std::env::var("BELLWETHER_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    // The library calls each silence of a device an error; what it means for the device is said with its readings.
    let quiet = || Targets::new().with_default(tracing::Level::INFO).with_target("async_snmp", LevelFilter::OFF);
    let filter = wish.unwrap_or_else(quiet);
    let lines = tracing_subscriber::fmt::layer().with_writer(place).with_ansi(false).with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let state = || state::StateError::NotEnrolled { path: PathBuf::from("x") };
        for (failure, code) in [
            (Failure::Enrol(EnrolError::Refused("no".to_owned())), 4),
            (Failure::Enrol(EnrolError::State(state())), 5),
            (Failure::Run(RunError::State(state())), 5),
        ] {
            assert_eq!(failure.code(), code);
        }
    }
}
