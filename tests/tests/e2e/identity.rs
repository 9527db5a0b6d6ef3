//! Which machine is which, with the real programs: images, copies, and machines that are enrolled again.

use std::fs;
use std::process::{Command, Stdio};

use bellwether_tests::agent::{self, Agent};
use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Program};
use bellwether_tests::wait;

use super::{NO_OWN_AGENT, SOON};

fn laptop(serial: &str) -> [(&'static str, &str); 3] {
    [
        ("sys/class/dmi/id/sys_vendor", "Dell Inc."),
        ("sys/class/dmi/id/product_serial", serial),
        ("sys/class/dmi/id/board_serial", serial),
    ]
}

#[test]
fn an_image_enrols_each_machine_by_itself_and_the_same_machine_as_itself() {
    let collector = Collector::start(NO_OWN_AGENT);
    let image = Agent::enrolled(&collector, "laptop", "MASTER");
    let token = collector.enrol_token("Lincoln High", 2);
    let secret = collector.room().join("token");
    fs::write(&secret, format!("{token}\n")).unwrap();
    let mut generalize = image.command("generalize");
    generalize.args(["--enrol-later", "--collector", &collector.grpc.to_string(), "--token-file"]).arg(&secret);
    let said = program::run_command("generalize", &mut generalize).success();
    assert!(said.contains("removed agent.json, credentials.pem"), "{said}");

    let enrol = |serial: &str| {
        let agent = Agent::new();
        agent.put_machine(&laptop(serial));
        fs::create_dir(agent.state()).unwrap();
        for file in ["enrol.toml", "agent.toml"] {
            fs::copy(image.state().join(file), agent.state().join(file)).unwrap();
        }
        let mut running = Program::start(agent::NAME, &mut agent.command("run"));
        let _ = running.wait_for_line("connected to the collector", SOON);
        assert!(!agent.state().join("enrol.toml").exists(), "the token is gone from the disk");
        assert!(running.stop().success());
        (agent.device_id(), agent)
    };
    let (one, _agent) = enrol("7XK2Q13");
    let (other, _other_agent) = enrol("7XK2Q14");
    assert_ne!(one, other);
    // Imaged again: the same device, and the token, which two machines have used, is not asked for a third use.
    assert_eq!(enrol("7XK2Q13").0, one);
}

#[test]
fn a_copy_of_a_machines_state_on_another_machine_is_refused_and_told_what_to_do() {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let original = Agent::new();
    original.put_machine(&laptop("7XK2Q13"));
    let token = collector.enrol_token("Lincoln High", 1);
    let _ = original.enrol(&collector.grpc.to_string(), &token, "laptop", "LIB-7").success();
    original.configure("interval = \"1s\"\nping_gateway = false\n");
    let copy = Agent::new();
    copy.put_machine(&laptop("9ZZ9Z99"));
    fs::create_dir(copy.state()).unwrap();
    for file in ["agent.json", "credentials.pem", "agent.toml"] {
        fs::copy(original.state().join(file), copy.state().join(file)).unwrap();
    }
    let mut running = Program::start(agent::NAME, &mut original.command("run"));
    let _ = running.wait_for_line("connected to the collector", SOON);
    let mut copied = Program::start(agent::NAME, &mut copy.command("run"));
    let _ = copied.wait_for_line("bellwether-agent generalize", SOON);
    let _ = collector.program().wait_for_line("belongs to another machine", SOON);
    wait::until("the copy to be counted", SOON, || {
        let figures = collector.client().get("/metrics", None).map_err(|error| error.to_string())?.text;
        let counted =
            figures.lines().any(|line| line.starts_with("bellwether_refused_total") && line.contains("clone"));
        if counted { Ok(()) } else { Err(figures) }
    });
    assert!(copied.ended().is_none());
    assert!(running.stop().success() && copied.stop().success());
}

#[test]
fn a_token_need_not_stand_in_the_list_of_processes() {
    let collector = Collector::start(NO_OWN_AGENT);
    let token = collector.enrol_token("Lincoln High", 1);
    let agent = Agent::new();
    let mut command = agent.command("enrol");
    command.args(["--collector", &collector.grpc.to_string(), "--token-file", "-"]);
    let mut child: std::process::Child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), token.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(agent.state().join("agent.json").exists());
    let _: Command = command;
}
