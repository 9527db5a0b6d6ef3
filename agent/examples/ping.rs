//! Asks every address in a file once, by the engine that the agent uses: for measuring what many targets cost.
//! It fails unless all of them answer.

use std::process::ExitCode;
use std::time::Duration;

use bellwether_agent::probe::icmp;

const TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let file = std::env::args_os().nth(1).unwrap_or_default();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let addresses: Vec<std::net::IpAddr> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let answers = runtime.block_on(icmp::ping_once(&addresses, TIMEOUT));
    let all = answers.is_ok_and(|answers| answers.iter().all(Option::is_some));
    if all && !addresses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
