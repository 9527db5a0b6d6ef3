//! `setup`: from "this machine only" to a name on the network, by editing `collector.toml` and nothing else in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use toml_edit::{DocumentMut, Item, Table, value};

use super::DEFAULT_DATA;
use crate::config::{self, Config, ConfigError, is_dns_name};
use crate::folder::{self, FolderError, Reach, write_whole};

/// `setup`.
#[derive(Debug, Args)]
pub struct Setup {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The DNS name under which other machines find this one
    #[arg(long, value_name = "DNSNAME")]
    name: String,
}

/// Why nothing was set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The configuration as it is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name.
    #[error("--name {0}: expected a DNS name such as bellwether.school.example, not an address")]
    Name(String),
    /// The file is TOML in a form that can't be edited.
    #[error("cannot edit {}: network is no table", path.display())]
    Edit {
        /// Which file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Setup {
    /// Edits the configuration and says what is left to do.
    ///
    /// # Errors
    /// When name, folder or configuration can't be used; then nothing was changed.
    pub fn run(&self) -> Result<String, SetupError> {
        if !is_dns_name(&self.name) {
            return Err(SetupError::Name(self.name.clone()));
        }
        folder::check_format(&self.data)?;
        let path = self.data.join(config::FILE);
        let before = Config::load(&path, false)?;
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let edited = edit(&path, &text, &self.name, &before)?;
        let config = Config::parse(&path, &edited)?;
        let write = |source| SetupError::Write { path: path.clone(), source };
        folder::create(&self.data).map_err(write)?;
        let reach = if config.store.influxdb.holds_secret() { Reach::Owner } else { Reach::Everyone };
        write_whole(&path, edited.as_bytes(), reach).map_err(write)?;
        Ok(self.next_steps(&config))
    }

    fn next_steps(&self, config: &Config) -> String {
        let (http, grpc) = (config.network.http.port(), config.network.grpc.port());
        let name = &self.name;
        let ca = self.data.join("ca").join("ca.pem");
        let restart = if folder::is_in_use(&self.data) {
            "The collector is running: restart it, and it answers under its name."
        } else {
            "Start the collector, and it answers under its name."
        };
        format!(
            "The collector is set up as {name}: agents on port {grpc}, pages on port {http} with TLS.
{restart}

Open the firewall (the line that fits):
  ufw:        sudo ufw allow {grpc}/tcp && sudo ufw allow {http}/tcp
  firewalld:  sudo firewall-cmd --permanent --add-port={grpc}/tcp --add-port={http}/tcp && sudo firewall-cmd --reload
  Windows:    netsh advfirewall firewall add rule name=\"Bellwether\" dir=in action=allow protocol=TCP localport={grpc},{http}

Test from a second machine:
  curl --insecure https://{name}:{http}/healthz     # prints: ok

Browsers trust the pages once {} is among their authorities.",
            ca.display()
        )
    }
}

/// Sets the four settings, leaving everything else in the file as it is, comments too.
fn edit(path: &Path, text: &str, name: &str, before: &Config) -> Result<String, SetupError> {
    let mut document: DocumentMut = text.parse().map_err(|_| SetupError::Edit { path: path.into() })?;
    let network = document.entry("network").or_insert_with(|| Item::Table(Table::new()));
    let network = network.as_table_like_mut().ok_or_else(|| SetupError::Edit { path: path.into() })?;
    let open = |address: SocketAddr| {
        // An address that somebody chose stays; only this-machine-only is opened.
        let ip = if address.ip().is_loopback() { Ipv4Addr::UNSPECIFIED.into() } else { address.ip() };
        SocketAddr::new(ip, address.port()).to_string()
    };
    for (key, new) in [
        ("http", value(open(before.network.http))),
        ("grpc", value(open(before.network.grpc))),
        ("name", value(name)),
        ("tls", value(true)),
    ] {
        match network.get_mut(key).and_then(Item::as_value_mut) {
            // The comment behind a value belongs to it.
            Some(old) => {
                let decor = old.decor().clone();
                if let Ok(mut fresh) = new.into_value() {
                    *fresh.decor_mut() = decor;
                    *old = fresh;
                }
            }
            None => {
                network.insert(key, new);
            }
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(data: &Path, name: &str) -> Result<String, SetupError> {
        Setup { data: data.into(), name: name.into() }.run()
    }

    #[test]
    fn setup_opens_both_ports_under_the_name_and_keeps_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(config::FILE);
        let text = "# ours\n[network]\nhttp = \"127.0.0.1:8080\" # the proxy's\n\n[own_agent]\nsite = \"Oak\"\n";
        std::fs::write(&path, text).unwrap();
        let said = set_up(folder.path(), "bw.school.example").unwrap();
        let config = Config::load(&path, true).unwrap();
        assert_eq!(config.network.http.to_string(), "0.0.0.0:8080");
        assert_eq!(config.network.grpc.to_string(), "0.0.0.0:7443");
        assert_eq!((config.network.name.as_str(), config.network.tls), ("bw.school.example", true));
        assert_eq!(config.own_agent.site, "Oak");
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept.contains("# ours") && kept.contains("# the proxy's"), "{kept}");
        for line in
            ["ufw allow 7443/tcp", "--add-port=8080/tcp", "localport=7443,8080", "https://bw.school.example:8080"]
        {
            assert!(said.contains(line), "{line} in {said}");
        }
    }

    #[test]
    fn setup_before_the_first_start_leaves_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        set_up(&data, "bw.school.example").unwrap();
        assert!(Config::load(&data.join(config::FILE), true).unwrap().network.tls);
    }

    #[test]
    fn an_address_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(set_up(folder.path(), "10.0.0.7"), Err(SetupError::Name(_))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_broken_configuration_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(config::FILE);
        std::fs::write(&path, "[network\n").unwrap();
        assert!(matches!(set_up(folder.path(), "bw.school.example"), Err(SetupError::Config(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[network\n");
    }
}
