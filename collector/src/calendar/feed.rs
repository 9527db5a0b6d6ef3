//! Calendars from addresses: fetched now and then, and kept as they last were good.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::ical;
use crate::folder::{Reach, create, write_whole};

/// Where copies lie, in the calendars' folder.
const COPIES: &str = "fetched";

/// The largest calendar that is read; a district's of ten years has a tenth of it.
pub const BYTES_MAX: u64 = 16 << 20;

/// The longest that one fetch may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Redirects that are followed: calendar services send on once or twice.
const REDIRECTS_MAX: usize = 5;

/// Fetches calendars.
#[derive(Clone, Debug)]
pub struct Fetcher {
    http: reqwest::Client,
    folder: PathBuf,
}

/// What a fetch came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is as it was.
    Same,
    /// It is another, and is kept.
    New,
    /// It is not to be had, or is none; the last good copy stays.
    Fault(String),
}

impl Fetcher {
    /// A client that keeps copies in the calendars' folder.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn new(folder: &Path) -> Result<Self, reqwest::Error> {
        // One provider for the whole process; it may be there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("bellwether-collector/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(LIMIT)
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .build()?;
        Ok(Self { http, folder: folder.into() })
    }

    /// Fetches one address and keeps what is there if it is a calendar.
    pub async fn fetch(&self, url: &str) -> Fetched {
        let text = match self.get(url).await {
            Ok(text) => text,
            Err(fault) => return Fetched::Fault(format!("{}: {fault}", host_of(url))),
        };
        if let Err(fault) = ical::read(&text) {
            return Fetched::Fault(format!("{}: {fault}; the last good copy is used", host_of(url)));
        }
        let path = copy_of(&self.folder, url);
        let kept = tokio::task::spawn_blocking(move || keep(&path, &text)).await;
        match kept.map_err(io::Error::other).and_then(|kept| kept) {
            Ok(true) => Fetched::New,
            Ok(false) => Fetched::Same,
            Err(error) => Fetched::Fault(format!("{}: cannot keep its copy: {error}", host_of(url))),
        }
    }

    async fn get(&self, url: &str) -> Result<String, String> {
        // What the client says of a fault names the whole address, which may be a secret.
        let plain = |error: reqwest::Error| crate::health::chain(&error.without_url());
        let mut answer = self.http.get(url).send().await.map_err(plain)?;
        if !answer.status().is_success() {
            return Err(format!("the server answered {}", answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(plain)? {
            if (bytes.len() + chunk.len()) as u64 > BYTES_MAX {
                return Err(format!("it is larger than {BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Writes a copy unless it is there; says whether it was not.
fn keep(path: &Path, text: &str) -> io::Result<bool> {
    if std::fs::read(path).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(false);
    }
    create(path.parent().unwrap_or(Path::new(".")))?;
    write_whole(path, text.as_bytes(), Reach::Owner)?;
    Ok(true)
}

/// Where the last good copy of an address lies.
pub(super) fn copy_of(folder: &Path, url: &str) -> PathBuf {
    let name = data_encoding::HEXLOWER.encode(&Sha256::digest(url.as_bytes())[..12]);
    folder.join(COPIES).join(format!("{name}.ics"))
}

/// The address's host: the rest may be a secret that opens the calendar.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned()
}

/// Reads a calendar's file.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {BYTES_MAX} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
