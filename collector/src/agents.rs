//! What agents are told to do: the files of the folder `agents`, merged for each building and class.
//!
//! A file says for whom it is and then what an `agent.toml` may say, in a table `[agent]`. Who is named more closely wins,
//! key by key: the district, then a class, then a building, then a class in a building; of two files that are as close
//! the one whose name comes later. Everything is checked with the agent's own parser before anyone is sent anything:
//! each file by itself, and every combination that a building and a class can come to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_agent::config::{Config as AgentConfig, ConfigError as AgentError, Written};
use bellwether_logic::device::Class;
use bellwether_proto::configuration::{MAX_BYTES, revision};
use bellwether_proto::v1::Configuration;
use serde::Deserialize;
use toml::Table;

use crate::config::{ConfigError, parse_error};
use crate::folder::toml_files;

/// The folder in the data folder.
pub const FOLDER: &str = "agents";

/// Files in the folder. Whoever has more has a folder of something else.
const FILES_MAX: usize = 1_000;

/// What all agents are told; the same for everyone who shares it.
pub type Shared = Arc<AgentConfigs>;

/// What agents are told, by building and class.
#[derive(Debug, Default, PartialEq)]
pub struct AgentConfigs {
    /// Those that win come last.
    files: Vec<File>,
}

#[derive(Debug, PartialEq)]
struct File {
    path: PathBuf,
    sites: BTreeSet<String>,
    classes: BTreeSet<String>,
    agent: Table,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<T> {
    #[serde(default)]
    sites: BTreeSet<String>,
    #[serde(default)]
    classes: BTreeSet<Class>,
    agent: T,
}

/// Why agents are told nothing new.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// The folder could not be listed.
    #[error("cannot read the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds too much.
    #[error("the folder {} holds more than {FILES_MAX} files: is it the right one?", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not understood.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// An agent would refuse it.
    #[error("agents would refuse this")]
    Agent(#[from] AgentError),
    /// An agent would refuse what it comes to for one building and class.
    #[error("agents of class `{class}` in building `{site}` would refuse what the files in {} come to", path.display())]
    Together {
        /// The folder.
        path: PathBuf,
        /// The building; empty: one that no file names.
        site: String,
        /// The class; empty: one that no file names.
        class: String,
        /// Why.
        source: Box<AgentError>,
    },
    /// It holds passwords that others can read.
    #[error("{} holds SNMP passwords and can be read by others: run `chmod 600 {}`", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// It is too much to be sent.
    #[error("what the files in {} come to has {bytes} bytes: expected at most {MAX_BYTES}", path.display())]
    TooLong {
        /// The folder.
        path: PathBuf,
        /// How much it is.
        bytes: usize,
    },
}

impl AgentConfigs {
    /// Reads a folder, which need not exist, and checks everything that it can come to.
    ///
    /// # Errors
    /// When a file, or what several come to, would be refused by an agent.
    pub fn load(folder: &Path) -> Result<Self, AgentsError> {
        let mut files = list(folder)?.into_iter().map(File::read).collect::<Result<Vec<_>, _>>()?;
        // Sorted by name already, and the sort keeps that order among those that are as close.
        files.sort_by_key(|file| (!file.sites.is_empty(), !file.classes.is_empty()));
        let configs = Self { files };
        configs.check(folder)?;
        Ok(configs)
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether agents are told nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What the agents of a class in a building are told.
    #[must_use]
    pub fn of(&self, site: &str, class: &str) -> Configuration {
        let mut merged = Table::new();
        for file in self.files.iter().filter(|file| file.is_for(site, class)) {
            merge(&mut merged, file.agent.clone());
        }
        let toml = if merged.is_empty() { String::new() } else { merged.to_string() };
        Configuration { revision: revision(&toml), toml }
    }

    /// Whether a device of this class in this building may go by this hostname.
    #[must_use]
    pub fn allows_hostname(&self, site: &str, class: &str, hostname: &str) -> bool {
        let config = AgentConfig::parse(Path::new(FOLDER), &self.of(site, class).toml);
        config.is_ok_and(|config| config.hostname.is_some_and(|pattern| pattern.matches(hostname)))
    }

    fn check(&self, folder: &Path) -> Result<(), AgentsError> {
        let named = |of: fn(&File) -> &BTreeSet<String>| -> BTreeSet<String> {
            self.files.iter().flat_map(of).cloned().chain([String::new()]).collect()
        };
        let (sites, classes) = (named(|file| &file.sites), named(|file| &file.classes));
        for (site, class) in sites.iter().flat_map(|site| classes.iter().map(move |class| (site, class))) {
            let toml = self.of(site, class).toml;
            if toml.len() > MAX_BYTES {
                return Err(AgentsError::TooLong { path: folder.into(), bytes: toml.len() });
            }
            AgentConfig::parse(folder, &toml).map_err(|source| AgentsError::Together {
                path: folder.into(),
                site: site.clone(),
                class: class.clone(),
                source: source.into(),
            })?;
        }
        Ok(())
    }
}

impl File {
    fn read(path: PathBuf) -> Result<Self, AgentsError> {
        let unreadable = |source| ConfigError::Read { path: path.clone(), source };
        let text = std::fs::read_to_string(&path).map_err(unreadable)?;
        // Before anything of it is understood: what is wrong with it may be shown.
        if holds_credentials(&text) && is_open(&path).map_err(unreadable)? {
            return Err(AgentsError::Open { path });
        }
        let bad = |error: toml::de::Error| parse_error(&path, &text, &error);
        let checked: Form<Written> = toml::from_str(&text).map_err(bad)?;
        checked.agent.build(&path)?;
        let form: Form<Table> = toml::from_str(&text).map_err(bad)?;
        let classes = form.classes.iter().map(|class| class.as_str().to_owned()).collect();
        Ok(Self { sites: form.sites, classes, agent: form.agent, path })
    }

    fn is_for(&self, site: &str, class: &str) -> bool {
        (self.sites.is_empty() || self.sites.contains(site))
            && (self.classes.is_empty() || self.classes.contains(class))
    }
}

/// Whether a file names credentials; said before it is parsed, so on the safe side.
fn holds_credentials(text: &str) -> bool {
    text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("credential"))
}

/// Whether others than the owner can read a file.
#[cfg(unix)]
fn is_open(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Elsewhere the folder's rights, which it inherits, decide.
#[cfg(not(unix))]
fn is_open(_path: &Path) -> std::io::Result<bool> {
    Ok(false)
}

/// The TOML files of the folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>, AgentsError> {
    let files = toml_files(folder, FILES_MAX).map_err(|source| AgentsError::Folder { path: folder.into(), source })?;
    files.ok_or_else(|| AgentsError::TooMany { path: folder.into() })
}

/// Lays one table above another as an agent does with its own files: key by key; lists are replaced whole.
fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::chain;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn refusal(name: &str, text: &str) -> String {
        let folder = folder(&[(name, text)]);
        let error = AgentConfigs::load(folder.path()).unwrap_err();
        chain(&error).replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn who_is_named_more_closely_wins_key_by_key_whatever_the_files_are_called() {
        let folder = folder(&[
            ("1-both.toml", "sites = [\"Lincoln\"]\nclasses = [\"laptop\"]\n[agent]\nspool.sync_s = 4\n"),
            ("2-site.toml", "sites = [\"Lincoln\"]\n[agent]\ninterval = \"3m\"\nspool.sync_s = 3\n"),
            ("3-class.toml", "classes = [\"laptop\"]\n[agent]\ninterval = \"2m\"\nspool.max_mib = 2\n"),
            (
                "4-all.toml",
                "[agent]\ninterval = \"1m\"\nping_gateway = false\n[agent.spool]\nmax_mib = 1\nsync_s = 1\n",
            ),
            ("readme.txt", "not read"),
        ]);
        let configs = AgentConfigs::load(folder.path()).unwrap();
        let of = |site, class| AgentConfig::parse(Path::new("x"), &configs.of(site, class).toml).unwrap();
        let seen = |config: AgentConfig| {
            (config.interval.as_secs() / 60, config.spool.max_bytes >> 20, config.spool.sync.as_secs())
        };
        assert_eq!(seen(of("Lincoln", "laptop")), (3, 2, 4));
        assert_eq!(seen(of("Lincoln", "desktop")), (3, 1, 3));
        assert_eq!(seen(of("Adams", "laptop")), (2, 2, 1));
        assert_eq!(seen(of("Adams", "desktop")), (1, 1, 1));
        assert!(!of("Adams", "desktop").ping_gateway);
        let revisions: BTreeSet<u64> =
            ["laptop", "desktop"].map(|class| configs.of("Adams", class).revision).into_iter().collect();
        assert_eq!(revisions.len(), 2);
    }

    #[test]
    fn an_empty_folder_and_none_leave_every_machine_its_own_file() {
        for configs in [AgentConfigs::load(folder(&[]).path()), AgentConfigs::load(Path::new("/nonexistent"))] {
            let sent = configs.unwrap().of("Lincoln", "laptop");
            assert_eq!((sent.revision, sent.toml.as_str()), (0, ""));
        }
    }

    #[test]
    fn what_an_agent_would_refuse_is_named_with_file_key_value_and_what_was_expected() {
        assert_eq!(
            refusal("a.toml", "[agent]\ninterval = \"0s\"\n"),
            "agents would refuse this: a.toml: interval = \"0s\": expected whole seconds from \"1s\" to \"1h\""
        );
        let said = refusal("a.toml", "[agent]\n[agent.spool]\nmax_mb = 3\n");
        assert!(said.starts_with("a.toml, line 3: `max_mb = 3`: unknown field `max_mb`"), "{said}");
        let said = refusal("a.toml", "classes = [\"toaster\"]\n[agent]\n");
        assert!(said.starts_with("a.toml, line 1: `classes = [\"toaster\"]`"), "{said}");
        let said = refusal("a.toml", "interval = \"10s\"\n");
        assert!(said.contains("unknown field `interval`"), "{said}");
        assert!(refusal("a.toml", "").contains("missing field `agent`"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_snmp_passwords_is_the_owners_alone_and_no_password_is_in_a_message() {
        use std::os::unix::fs::PermissionsExt;
        let text = "classes = [\"closet\"]\n[agent.snmp]\nranges = [\"10.20.0.0/16\"]\n\n[[agent.snmp.credential]]\n\
                    name = \"district\"\nuser = \"bellwether\"\nauth = \"sha256\"\nauth_password = \"maplesyrup1\"\n";
        let folder = folder(&[("closets.toml", text)]);
        let path = folder.path().join("closets.toml");
        let allow = |mode: u32| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        allow(0o644);
        let said = chain(&AgentConfigs::load(folder.path()).unwrap_err());
        assert!(said.ends_with(&format!("can be read by others: run `chmod 600 {}`", path.display())), "{said}");
        allow(0o600);
        assert!(AgentConfigs::load(folder.path()).unwrap().of("Adams", "closet").toml.contains("maplesyrup1"));
        let broken = [
            "auth_password = \"maplesyrup1\" x\n",
            "auth_pasword = \"maplesyrup1\"\n",
            "auth_password = [\"maplesyrup1\"]\n",
        ];
        for broken in broken {
            std::fs::write(&path, text.replace("auth_password = \"maplesyrup1\"\n", broken)).unwrap();
            let said = chain(&AgentConfigs::load(folder.path()).unwrap_err());
            assert!(!said.contains("maplesyrup"), "{said}");
        }
    }

    #[test]
    fn a_hostname_is_taken_only_where_the_pattern_is_in_force() {
        let folder = folder(&[("lib.toml", "sites = [\"Lincoln\"]\n[agent.naming]\nhostname_pattern = \"LIB-???\"\n")]);
        let configs = AgentConfigs::load(folder.path()).unwrap();
        assert!(configs.allows_hostname("Lincoln", "laptop", "LIB-042"));
        assert!(!configs.allows_hostname("Adams", "laptop", "LIB-042"));
        assert!(!configs.allows_hostname("Lincoln", "laptop", "MARIAS-MAC"));
    }
}
