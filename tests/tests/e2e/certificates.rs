//! Certificates with the real programs: a summer away, and another authority meanwhile.

use std::fs;

use bellwether_tests::agent::{self, Agent};
use bellwether_tests::collector::{self, Collector};
use bellwether_tests::program::{self, Program};

use super::enrolment::with_clock;
use super::{NO_OWN_AGENT, SOON};

/// Starts a collector whose clock is off by `shift`.
fn start_at(collector: &Collector, shift: &str) -> Program {
    let mut command = std::process::Command::new(program::built(collector::NAME));
    with_clock(command.args(collector.arguments()), shift);
    let program = Program::start(collector::NAME, &mut command);
    let _ = program.wait_for_line("Ctrl-C stops it.", SOON);
    program
}

fn run_at(agent: &Agent, shift: &str) -> Program {
    let mut command = agent.command("run");
    with_clock(&mut command, shift);
    Program::start(agent::NAME, &mut command)
}

#[test]
fn a_laptop_that_was_away_all_summer_comes_back_though_the_authority_was_replaced_meanwhile() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let agent = Agent::enrolled(&collector, "laptop", "LIB-7");
    let before = fs::read_to_string(agent.state().join("credentials.pem")).unwrap();
    let said = collector.command(&["ca", "rotate"]).success();
    assert!(said.contains("next") && said.contains("no restart is needed"), "{said}");
    let refused = collector.command(&["ca", "switch"]);
    assert!(!refused.status.success() && refused.text.contains("LIB-7"), "{}", refused.text);
    let _ = collector.command(&["ca", "switch", "--force"]).success();
    collector.program().stop();

    // September: the certificate ended 60 days ago. The agent's clock is no help, it lags by a year.
    let mut later = start_at(&collector, "+90d");
    let mut running = run_at(&agent, "-275d");
    let _ = running.wait_for_line("this agent's certificate was renewed", SOON);
    let _ = running.wait_for_line("connected to the collector", SOON);
    let after = fs::read_to_string(agent.state().join("credentials.pem")).unwrap();
    assert_ne!(before, after);
    let said = later.wait_for_line("a certificate was renewed", SOON);
    assert!(said.contains(&agent.device_id()), "{said}");
    assert!(running.stop().success());

    // With every device on the new authority, the old one goes, and nobody is lost.
    let said = collector.command(&["ca", "finish"]).success();
    assert!(said.contains("believed no more"), "{said}");
    let _ = later.stop();
    let _later = start_at(&collector, "+91d");
    let mut running = run_at(&agent, "+91d");
    let _ = running.wait_for_line("connected to the collector", SOON);
    assert!(running.stop().success());
}
