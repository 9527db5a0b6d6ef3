//! The collector's program: reads the command line, and turns what goes wrong into one line and an exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use bellwether_collector::cli::{self, Cli};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged.
const LOG_VARIABLE: &str = "BELLWETHER_LOG";

/// What is logged without it. The agent inside asks devices by SNMP and tells by itself which are silent; its library would say
/// so for each packet.
const QUIET: &str = "info,async_snmp=off";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(QUIET));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(cli::run(cli));
    // Whatever still runs must not keep the program.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

#[expect(clippy::print_stderr, reason = "the last word before the program ends")]
fn complain(error: &anyhow::Error) {
    eprintln!("bellwether-collector: {error:#}");
}
