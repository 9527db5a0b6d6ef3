//! Whether updates wait, and whether a restart does.
//!
//! Asking a package manager costs seconds of a slow machine's processor, so it is asked only after what it knows has
//! changed, and never in the first quarter of an hour after boot or after the agent's own start, when people wait for the
//! machine themselves. Nothing is refreshed or installed: other tools do that.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use bellwether_logic::sample::{Sample, Value};
use bellwether_logic::time::Timestamp;
use bellwether_proto::schema::{Field, FieldKind, Measurement, Privacy};

use super::{Entry, Pace, Source};
use crate::host::Host;
use crate::reading::{Problem, ProblemKind, Reading, count, sample};

mod dnf;
mod first_seen;
mod zypper;

/// This source's line in the list.
pub const ENTRY: Entry = Entry {
    name: "updates",
    measurements: MEASUREMENTS,
    pace: Pace::Late { apart: Duration::from_secs(30 * 60), after: AFTER_BOOT },
    make: |host, _| Box::new(Updates { host: host.clone(), known: None }),
};

/// What this source says.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "reboot",
        tags: &[],
        fields: &[
            Field {
                name: "packages",
                kind: FieldKind::Integer,
                unit: "",
                description: "Packages that ask for it, where the system counts them.",
            },
            Field { name: "pending", kind: FieldKind::Boolean, unit: "", description: "Whether a restart waits." },
            Field { name: "reasons", kind: FieldKind::Text, unit: "", description: "Why: some of updates, kernel." },
        ],
        privacy: Privacy::Health,
        description: "Whether the machine must be restarted for its updates.",
    },
    Measurement {
        name: "updates",
        tags: &[],
        fields: &[
            days("last_install_days", "Since something was last installed."),
            days("lists_age_days", "Since the system last asked what there is."),
            days(
                "oldest_days",
                "Since the oldest that waits came out; where only its name is told (apt), since it was first seen.",
            ),
            Field { name: "pending", kind: FieldKind::Integer, unit: "", description: "Updates that wait." },
            Field { name: "security", kind: FieldKind::Integer, unit: "", description: "Those for security." },
        ],
        privacy: Privacy::Health,
        description: "Updates that are not installed yet.",
    },
];

const fn days(name: &'static str, description: &'static str) -> Field {
    Field { name, kind: FieldKind::Integer, unit: "d", description }
}

/// After boot people wait for the machine.
const AFTER_BOOT: Duration = Duration::from_secs(15 * 60);

/// How long a package manager may take on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// More than any machine has set up.
const MAX_REPOSITORIES: usize = 256;

/// What package managers say, kept while nothing that they know changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    pending: usize,
    security: Option<usize>,
    /// When the oldest came out or was first seen, in seconds since 1970; none if nothing waits or nobody tells.
    oldest: Option<i64>,
}

/// Reads what package managers leave behind, and asks apt, dnf or zypper.
pub struct Updates {
    host: Host,
    /// The state that the answer belongs to, and the answer.
    known: Option<(Vec<u64>, Waiting)>,
}

/// A package manager.
struct Manager {
    /// It is there if this is.
    mark: &'static str,
    /// What changes with every installation.
    installed: &'static [&'static str],
    /// What changes when what there is has changed.
    lists: &'static [&'static str],
    /// What changes whenever it asks what there is.
    asked: &'static [&'static str],
    ask: fn(&Host, Timestamp) -> Result<Waiting, Problem>,
}

/// The first whose mark is there: on Debian somebody may have installed the others' tools, but not on theirs dpkg.
const MANAGERS: &[Manager] = &[
    Manager {
        mark: "var/lib/dpkg/status",
        installed: &["var/lib/dpkg/status"],
        lists: &["var/lib/apt/lists"],
        // Lists that came anew but are the same change nothing but the folder through which they came.
        asked: &["var/lib/apt/lists", "var/lib/apt/lists/partial"],
        ask: apt,
    },
    Manager {
        mark: zypper::REPOSITORIES,
        installed: RPM,
        lists: &["var/cache/zypp/solv"],
        asked: &["var/cache/zypp/raw"],
        ask: zypper::ask,
    },
    Manager { mark: "var/lib/rpm", installed: RPM, lists: DNF, asked: DNF, ask: dnf::ask },
    Manager { mark: "usr/lib/sysimage/rpm", installed: RPM, lists: DNF, asked: DNF, ask: dnf::ask },
];

/// The packages that are installed, in each form and place that rpm has kept them. Not their folder: looking at the
/// packages changes that.
const RPM: &[&str] = &[
    "usr/lib/sysimage/rpm/Packages.db",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "var/lib/rpm/Packages.db",
    "var/lib/rpm/rpmdb.sqlite",
];

/// Of version 4 and of version 5.
const DNF: &[&str] = &["var/cache/dnf", "var/cache/libdnf5"];

impl Source for Updates {
    fn name(&self) -> &'static str {
        "updates"
    }

    fn read(&mut self, time: Timestamp) -> Reading {
        if !cfg!(target_os = "linux") {
            return Reading::problem(Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone"));
        }
        let mut reading = Reading { samples: vec![self.reboot(time)], problems: Vec::new() };
        match MANAGERS.iter().find(|manager| self.host.path(manager.mark).exists()) {
            Some(manager) => self.waiting(manager, time, &mut reading),
            None => {
                let text = "no package manager that this version knows (apt, dnf, zypper)";
                reading.problems.push(Problem::new(ProblemKind::NothingHere, text));
            }
        }
        reading
    }
}

impl Updates {
    fn waiting(&mut self, manager: &Manager, time: Timestamp, reading: &mut Reading) {
        let installed = manager.installed.iter().filter_map(|path| changed_at(&self.host, path)).max();
        let newest = |folders: &[&str]| folders.iter().filter_map(|folder| newest_below(&self.host, folder)).max();
        let (lists, asked) = (newest(manager.lists), newest(manager.asked));
        let mut fields = Vec::new();
        fields.extend(installed.map(|at| ("last_install_days", Value::Integer(days_since(at, time)))));
        fields.extend(asked.map(|at| ("lists_age_days", Value::Integer(days_since(at, time)))));
        let state = vec![installed.unwrap_or(0), lists.unwrap_or(0)];
        match self.ask_if_changed(manager, state, time) {
            Ok(Some(waiting)) => {
                let oldest = waiting.oldest.and_then(|at| u64::try_from(at).ok());
                fields.extend(oldest.map(|at| ("oldest_days", Value::Integer(days_since(at, time)))));
                fields.push(("pending", count(waiting.pending)));
                fields.extend(waiting.security.map(|security| ("security", count(security))));
            }
            Ok(None) => {
                let text = "package managers are left alone in the first 15 minutes after boot";
                reading.problems.push(Problem::new(ProblemKind::NothingHere, text));
            }
            Err(problem) => reading.problems.push(problem),
        }
        if !fields.is_empty() {
            reading.samples.push(sample("updates", Vec::new(), time, fields));
        }
    }

    fn ask_if_changed(
        &mut self,
        manager: &Manager,
        state: Vec<u64>,
        now: Timestamp,
    ) -> Result<Option<Waiting>, Problem> {
        if let Some((known, waiting)) = &self.known
            && *known == state
        {
            return Ok(Some(*waiting));
        }
        let uptime = self.host.word("proc/uptime").and_then(|text| text.split('.').next()?.parse().ok());
        if uptime.is_some_and(|seconds| Duration::from_secs(seconds) < AFTER_BOOT) {
            return Ok(None);
        }
        let waiting = (manager.ask)(&self.host, now)?;
        self.known = Some((state, waiting));
        Ok(Some(waiting))
    }

    /// What the system says of itself, and whether a newer kernel than the one that runs is installed.
    fn reboot(&self, time: Timestamp) -> Sample {
        let marked = ["run/reboot-required", "run/reboot-needed"].iter().any(|path| self.host.path(path).exists());
        let mut reasons = Vec::new();
        if marked {
            reasons.push("updates");
        }
        if self.newer_kernel() {
            reasons.push("kernel");
        }
        let mut fields = Vec::new();
        // Only how many: names of packages say what somebody installed.
        let packages = self.host.read("run/reboot-required.pkgs").ok();
        fields.extend(packages.map(|text| ("packages", count(text.lines().filter(|line| !line.is_empty()).count()))));
        fields.push(("pending", Value::Boolean(!reasons.is_empty())));
        if !reasons.is_empty() {
            fields.push(("reasons", Value::Text(reasons.join(","))));
        }
        sample("reboot", Vec::new(), time, fields)
    }

    fn newer_kernel(&self) -> bool {
        let Some(running) = self.host.word("proc/sys/kernel/osrelease") else { return false };
        let Ok(entries) = fs::read_dir(self.host.path("boot")) else { return false };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let kernels: Vec<String> = names.filter_map(|name| Some(name.strip_prefix("vmlinuz-")?.to_owned())).collect();
        // A kernel that is not in this folder was started from elsewhere: nothing to compare with.
        kernels.contains(&running)
            && kernels.iter().any(|other| flavour(other) == flavour(&running) && numbers(other) > numbers(&running))
    }
}

/// `6.1.0-44-amd64` is `amd64`: another flavour is another choice, not an update.
fn flavour(release: &str) -> &str {
    release.rsplit_once('-').map_or("", |(_, flavour)| flavour)
}

fn numbers(release: &str) -> Vec<u64> {
    release.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Seconds since 1970.
fn changed_at(host: &Host, path: &str) -> Option<u64> {
    let changed = fs::metadata(host.path(path)).ok()?.modified().ok()?;
    Some(changed.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// When a folder of lists, or one of the folders in it that repositories have, changed last, in seconds since 1970.
fn newest_below(host: &Host, folder: &str) -> Option<u64> {
    let names = host.list(folder, MAX_REPOSITORIES).unwrap_or_default();
    let below = names
        .iter()
        .flat_map(|name| [format!("{folder}/{name}/repodata"), format!("{folder}/{name}/repodata/repomd.xml")]);
    below.chain([folder.to_owned()]).filter_map(|path| changed_at(host, &path)).max()
}

fn days_since(at: u64, now: Timestamp) -> i64 {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    ((now.0 / 1_000).saturating_sub(at) / 86_400).max(0)
}

/// What it would choose now, without working out in which order: a dry run of an upgrade takes three times as long, and
/// leaves out what needs another package, as every new kernel does. What Ubuntu holds back from some machines for a while
/// is counted. Nothing is locked, fetched or changed.
fn apt(host: &Host, now: Timestamp) -> Result<Waiting, Problem> {
    let said = host.run("apt", &["list", "--upgradable"], LIMIT)?;
    if said.status != Some(0) {
        return Err(Problem::new(ProblemKind::Failed, "apt: its lists or its state are broken"));
    }
    // An old dpkg has no such word: then nothing is held.
    let selections = host.run("dpkg", &["--get-selections"], LIMIT).map(|said| said.text).unwrap_or_default();
    let waiting = apt_waiting(&said.text, &selections);
    let packages: Vec<(&str, &str)> = waiting.iter().map(|package| (package.name, package.installed)).collect();
    let security = waiting.iter().filter(|package| package.origins.contains("-security")).count();
    let oldest = first_seen::note(host, &packages, now);
    Ok(Waiting { pending: waiting.len(), security: Some(security), oldest })
}

/// A package of which apt knows a newer version.
#[derive(Debug, PartialEq, Eq)]
struct Upgradable<'a> {
    name: &'a str,
    origins: &'a str,
    installed: &'a str,
}

/// Lines such as `libssl3/oldstable-security,oldstable 3.0.16-1 amd64 [upgradable from: 3.0.15-1]`, without those that
/// the admin keeps as they are: `linux-image-amd64   hold`, with the architecture behind a colon if there are several.
fn apt_waiting<'a>(text: &'a str, selections: &str) -> Vec<Upgradable<'a>> {
    let held = selections.lines().filter_map(|line| line.trim_end().strip_suffix("hold"));
    let held: Vec<&str> = held.filter_map(|line| line.trim_end().split(':').next()).collect();
    let packages = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once('/')?;
        let (origins, rest) = rest.split_once(' ')?;
        let installed = rest.split_once("[upgradable from: ")?.1.strip_suffix(']')?;
        (!held.contains(&name)).then_some(Upgradable { name, origins, installed })
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_counted_and_those_for_security_apart() {
        let text = "Listing...\nlibssl3/oldstable-security,oldstable 3.0.16-1 amd64 [upgradable from: 3.0.15-1]\n\
                    zip/oldstable 2 amd64 [upgradable from: 1]\nzip/oldstable 2 i386 [upgradable from: 1]\n";
        let names = |selections| apt_waiting(text, selections).iter().map(|package| package.name).collect::<Vec<_>>();
        assert_eq!(names("zip\t\tinstall\n"), ["libssl3", "zip", "zip"]);
        assert_eq!(names("zip:amd64\t\thold\nlibssl\t\thold\n"), ["libssl3"]);
        let libssl = Upgradable { name: "libssl3", origins: "oldstable-security,oldstable", installed: "3.0.15-1" };
        assert_eq!(apt_waiting(text, "")[0], libssl);
        assert_eq!(apt_waiting("Listing...\n", ""), []);
    }

    #[test]
    fn ages_are_whole_days_and_a_clock_that_went_back_makes_none() {
        assert_eq!(days_since(1_000_000, Timestamp(1_000_000_000 + 86_400_000 * 3 + 5)), 3);
        assert_eq!(days_since(2_000_000, Timestamp(1_000_000_000)), 0);
    }

    #[test]
    fn the_age_of_the_lists_is_that_of_the_last_time_the_system_asked_also_when_nothing_was_new() {
        let folder = tempfile::tempdir().unwrap();
        let touch = |path: &str, at: u64| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::File::open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(at)).unwrap();
        };
        touch("raw/repo-oss/repodata/repomd.xml", 900_000);
        touch("raw/repo-update/repodata/repomd.xml", 800_000);
        for path in ["raw", "raw/repo-oss/repodata", "raw/repo-update/repodata"] {
            let folder = fs::File::open(folder.path().join(path)).unwrap();
            folder.set_modified(UNIX_EPOCH + Duration::from_secs(700_000)).unwrap();
        }
        let host = Host::at(folder.path());
        assert_eq!(newest_below(&host, "raw"), Some(900_000));
        assert_eq!(newest_below(&host, "nowhere"), None);
    }

    #[test]
    fn apt_is_asked_again_only_after_something_changed_and_never_soon_after_boot() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("var/lib/dpkg/status", "");
        write("proc/uptime", "100.00 50.00\n");
        write("programs/apt list --upgradable", "zip/stable 2 amd64 [upgradable from: 1]\n");
        let mut updates = Updates { host: Host::at(folder.path()), known: None };
        let pending = |updates: &mut Updates| {
            let reading = updates.read(Timestamp(0));
            let row = reading.samples.into_iter().find(|row| row.measurement == "updates");
            row.and_then(|row| row.fields.into_iter().find(|(name, _)| name == "pending")).map(|(_, value)| value)
        };
        assert_eq!(pending(&mut updates), None);
        write("proc/uptime", "1000.00 50.00\n");
        assert_eq!(pending(&mut updates), Some(Value::Integer(1)));
        write("programs/apt list --upgradable", "");
        assert_eq!(pending(&mut updates), Some(Value::Integer(1)), "nothing changed, so nobody asked");
        let status = fs::File::options().write(true).open(folder.path().join("var/lib/dpkg/status")).unwrap();
        status.set_modified(UNIX_EPOCH + Duration::from_secs(77)).unwrap();
        assert_eq!(pending(&mut updates), Some(Value::Integer(0)));
    }
}
