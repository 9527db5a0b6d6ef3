//! What the agent may do here: its user and capabilities, echo requests to the gateway, and the disks' health.

use std::time::Duration;

use super::Finding;
use crate::host::Host;
use crate::probe::gateway::{self, Gateway};
use crate::reading::ProblemKind;

/// The kernel's number of the capability that raw sockets need (capabilities(7)).
const CAP_NET_RAW: u32 = 13;

/// For `smartctl` to say its version.
const PROGRAM_WAIT: Duration = Duration::from_secs(5);

/// The first `smartctl` that prints JSON.
const SMARTCTL_MAJOR: u32 = 7;

/// Who this process is, as `/proc/self/status` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rights {
    user: Option<u32>,
    groups: Vec<u32>,
    capabilities: u64,
}

impl Rights {
    fn parse(status: &str) -> Self {
        let words = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let numbers = |name: &str| words(name).split_ascii_whitespace().filter_map(|word| word.parse().ok());
        Self {
            // Real, effective, saved, of the file system.
            user: numbers("Uid:").nth(1),
            groups: numbers("Gid:").skip(1).take(1).chain(numbers("Groups:")).collect(),
            capabilities: u64::from_str_radix(words("CapEff:").trim(), 16).unwrap_or(0),
        }
    }

    const fn may_open_raw_sockets(&self) -> bool {
        self.capabilities & (1 << CAP_NET_RAW) != 0
    }
}

/// Tells who runs this and whether that user may ping: the agent should be looked at as the user that it runs as.
pub(super) fn check(host: &Host, findings: &mut Vec<Finding>) {
    let Ok(status) = host.read("proc/self/status") else { return };
    let rights = Rights::parse(&status);
    let user = match rights.user {
        Some(0) => "as root: the agent may be allowed less".to_owned(),
        Some(user) => format!("as user {user}"),
        None => "as an unknown user".to_owned(),
    };
    findings.push(Finding::good("rights", format!("these checks run {user}")));
    let range = host.read("proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    findings.push(may_ping(&rights, &range));
}

fn may_ping(rights: &Rights, range: &str) -> Finding {
    let about = "ping";
    let range: Vec<u32> = range.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let in_range = |group: &u32| matches!(range[..], [first, last] if (first..=last).contains(group));
    if rights.groups.iter().any(in_range) {
        return Finding::good(about, "allowed by net.ipv4.ping_group_range");
    }
    if rights.may_open_raw_sockets() {
        return Finding::good(about, "allowed by CAP_NET_RAW");
    }
    let remedy = "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\", or give the agent's service CAP_NET_RAW";
    Finding::bad(about, "not allowed: neither net.ipv4.ping_group_range nor CAP_NET_RAW", remedy)
}

/// Asks the gateway of each family, as the running agent does.
pub(super) async fn ping(host: &Host, wanted: bool, findings: &mut Vec<Finding>) {
    if !wanted {
        return;
    }
    let about = "gateway";
    let Some(gateway) = gateway::find(host) else {
        let remedy = "is the machine connected? Otherwise set `ping_gateway = false`";
        findings.push(Finding::notice(about, "this machine has no default gateway", remedy));
        return;
    };
    findings.push(look(gateway).await);
}

async fn look(gateway: Gateway) -> Finding {
    use crate::probe::{of_gateway, patrol};
    use bellwether_logic::sample::Value;
    let about = "gateway";
    let look = patrol::once(vec![of_gateway(gateway)], crate::clock::now().wall).await;
    if let Some(problem) = look.problems.first() {
        return Finding::bad(about, problem.to_string(), "see above");
    }
    let fields = look.samples.iter().flat_map(|sample| &sample.fields);
    let answered = fields.clone().any(|(name, value)| name == "result_code" && *value == Value::Integer(0));
    if answered {
        Finding::good(about, "it answers echo requests")
    } else {
        let remedy = "it may be told not to: then set `ping_gateway = false`; otherwise look at the network";
        Finding::notice(about, "it does not answer echo requests", remedy)
    }
}

/// Whether the disks' health can be read.
pub(super) fn smartctl(host: &Host) -> Finding {
    let about = "smartctl";
    match host.run("smartctl", &["--version"], PROGRAM_WAIT) {
        Ok(said) => match version(&said.text) {
            Some((major, minor)) if major >= SMARTCTL_MAJOR => {
                Finding::good(about, format!("version {major}.{minor} is installed"))
            }
            Some((major, minor)) => {
                let seen = format!("version {major}.{minor} prints no JSON: the disks' health is not read");
                Finding::notice(about, seen, "install smartmontools 7 or newer")
            }
            None => Finding::notice(about, "it does not tell its version", "install smartmontools 7 or newer"),
        },
        Err(problem) if problem.kind == ProblemKind::NothingHere => {
            Finding::notice(about, "not installed: the disks' health is not read", "install smartmontools")
        }
        Err(problem) => Finding::notice(about, problem.text, "the disks' health is not read"),
    }
}

/// `smartctl 7.3 2022-02-28 r5338 [x86_64-linux-6.1.0] (local build)`
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text.strip_prefix("smartctl ")?.split_ascii_whitespace().next()?;
    let (major, minor) = word.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const AGENT: &str = "Name:\tx\nUid:\t990\t990\t990\t990\nGid:\t985\t985\t985\t985\nGroups:\t44 100 \n\
                         CapEff:\t0000000000002000\nSeccomp:\t2\n";

    #[test]
    fn who_may_ping_is_told_by_groups_and_capabilities() {
        let rights = Rights::parse(AGENT);
        assert_eq!(rights, Rights { user: Some(990), groups: vec![985, 44, 100], capabilities: 0x2000 });
        assert!(may_ping(&rights, "1\t0\n").seen.contains("CAP_NET_RAW"));
        let plain = Rights { capabilities: 0, ..rights };
        assert_eq!(may_ping(&plain, "1\t0\n").verdict, Verdict::Bad);
        assert_eq!(may_ping(&plain, "100 200\n").verdict, Verdict::Good);
        assert_eq!(may_ping(&plain, "").verdict, Verdict::Bad);
    }

    #[test]
    fn an_old_or_missing_smartctl_is_noticed() {
        let machine = tempfile::tempdir().unwrap();
        let host = Host::at(machine.path());
        assert!(smartctl(&host).remedy.contains("install smartmontools"));
        std::fs::create_dir(machine.path().join("programs")).unwrap();
        let says = |text: &str| std::fs::write(machine.path().join("programs/smartctl --version"), text).unwrap();
        says("smartctl 6.6 2016-05-31 r4324 [x86_64-linux-4.9.0] (local build)\n");
        assert_eq!(smartctl(&host).verdict, Verdict::Notice);
        says("smartctl 7.3 2022-02-28 r5338 [x86_64-linux-6.1.0] (local build)\n");
        assert_eq!(smartctl(&host).seen, "version 7.3 is installed");
    }
}
