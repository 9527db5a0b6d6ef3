//! The packages: installed, enrolled, upgraded, removed and purged on a throw-away copy of this machine, and what their
//! tables say where their system is not here.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bellwether_tests::collector::Collector;
use bellwether_tests::program::{self, Program};

use super::{NO_OWN_AGENT, SOON, built, wait_for_readings};

/// Boots a system, installs three times, and waits for the agent in between.
const STORY_LIMIT: Duration = Duration::from_secs(300);

/// Plays `tests/install` with a collector of this machine.
fn lives_its_life(kind: &str, variable: &str) {
    let mut collector = Collector::start(NO_OWN_AGENT);
    let name = format!("PACKAGE-{kind}");
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("install");
    let mut command = Command::new(story);
    command.arg(kind).arg(built(variable)).env("COLLECTOR", collector.grpc.to_string()).env("NAME", &name);
    command.env("TOKEN", collector.enrol_token("Lincoln High", 1));
    let mut story = Program::start("tests/install", &mut command);
    let status = story.wait(STORY_LIMIT);
    assert!(status.success() && story.text().contains("-- done"), "{status}: {}", story.text());

    wait_for_readings(&collector, &name);
    // The upgrade, then the removals.
    let _ = collector.program().wait_for_line("GOODBYE_UPDATE", SOON);
    let _ = collector.program().wait_for_line("GOODBYE_STOP", SOON);
}

#[test]
fn the_deb_is_installed_enrolled_upgraded_removed_and_purged() {
    lives_its_life("deb", "BELLWETHER_AGENT_DEB");
}

#[test]
fn the_rpm_is_installed_enrolled_upgraded_removed_and_purged() {
    lives_its_life("rpm", "BELLWETHER_AGENT_RPM");
}

/// One table of the MSI: its rows, each cell apart.
fn table(name: &str) -> Vec<Vec<String>> {
    let mut export = Command::new("msiinfo");
    export.arg("export").arg(built("BELLWETHER_AGENT_MSI")).arg(name);
    let said = program::run_command("msiinfo", &mut export).success();
    // Names, types and keys of the columns stand first.
    let rows = said.lines().skip(3).map(|row| row.trim_end_matches('\r').split('\t').map(str::to_owned).collect());
    rows.collect()
}

/// The row of a table that has `cell` in it.
fn row(name: &str, cell: &str) -> Vec<String> {
    let rows = table(name);
    let found = rows.iter().find(|row| row.iter().any(|it| it == cell));
    found.unwrap_or_else(|| panic!("no {cell} in {name}: {rows:?}")).clone()
}

#[test]
fn the_msi_leaves_what_to_enrol_with_where_only_the_service_reads_it() {
    let service = row("ServiceInstall", "BellwetherAgent").join(" ");
    assert!(service.contains("service run") && service.contains("[ACCOUNT]"), "{service}");
    let secure = &row("Property", "SecureCustomProperties")[1];
    for property in ["COLLECTOR", "TOKEN", "NAME", "CLASS", "ACCOUNT"] {
        assert!(secure.split(';').any(|it| it == property), "{property} does not reach the part with rights: {secure}");
    }
    assert!(row("Property", "MsiHiddenProperties")[1].contains("TOKEN"), "the token would be in the log");
    let action = row("CustomAction", "LeaveEnrolment");
    assert!(action[3].starts_with("enrol --later") && action[3].contains("\"[TOKEN]\""), "{action:?}");
    // The installed program (18), later (1024) and with rights (2048), unseen (8192), and no reason to fail (64).
    assert_eq!(action[1].parse(), Ok(18 + 64 + 1024 + 2048 + 8192));
    assert_eq!(row("InstallExecuteSequence", "LeaveEnrolment")[1], "COLLECTOR AND TOKEN AND NOT REMOVE");
    // Protected, and for the system, administrators and perhaps the service alone.
    for (key, may) in [("StateRights", &["SY", "BA"][..]), ("StateRightsLess", &["SY", "BA", "LS"])] {
        let rights = &row("MsiLockPermissionsEx", key)[3];
        assert!(rights.starts_with("D:P("), "{rights}");
        let who: Vec<&str> = rights.split(";;;").skip(1).map(|it| &it[..2]).collect();
        assert_eq!(who, may, "{rights}");
    }
}

#[test]
fn the_msi_replaces_older_ones_in_one_transaction_and_keeps_their_state() {
    let version = &row("Property", "ProductVersion")[1];
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let upgrade = row("Upgrade", "WIX_UPGRADE_DETECTED");
    assert_eq!((&upgrade[2], upgrade[4].as_str()), (version, "513"), "this version and all before it");
    let _ = row("LaunchCondition", "NOT WIX_DOWNGRADE_DETECTED");
    let at = |action: &str| row("InstallExecuteSequence", action)[2].parse::<u32>().unwrap();
    assert!(
        at("InstallInitialize") < at("RemoveExistingProducts") && at("RemoveExistingProducts") < at("InstallFiles")
    );
    assert!(at("InstallServices") < at("MsiConfigureServices") && at("MsiConfigureServices") < at("StartServices"));
    let state: u32 = row("Component", "State")[3].parse().unwrap();
    assert_eq!(state & 16, 16, "the state folder would be removed");
    // Stopped before and removed after (2 + 32 + 128), started when it is there (1).
    assert_eq!(row("ServiceControl", "BellwetherAgent")[2], "163");
}
