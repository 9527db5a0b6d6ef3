//! Where a web server is and what is asked of it: the few forms of a URL that a probe needs.

use hyper::Uri;
use rustls::pki_types::ServerName;

use crate::probe::secure;
use crate::probe::settings::{Address, Bad, quoted};

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Set for https.
    pub server: Option<ServerName<'static>>,
    /// The host.
    pub address: Address,
    /// The port.
    pub port: u16,
    /// What the `Host` header says.
    pub host: String,
    /// The path and the query.
    pub path: String,
}

impl Place {
    /// `http://HOST[:PORT]/PATH` or the same with https.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(key: &str, text: &str) -> Result<Self, Bad> {
        let bad = || Bad::new(key, quoted(text), "a URL such as \"https://www.example.org/status\"");
        let uri: Uri = text.parse().map_err(|_| bad())?;
        Self::of(&uri).ok_or_else(bad)
    }

    /// Where a redirect from here leads.
    #[must_use]
    pub fn follow(&self, to: &str) -> Option<Self> {
        if to.starts_with('/') && !to.starts_with("//") {
            let path: Uri = to.parse().ok()?;
            return Some(Self { path: path.path_and_query()?.to_string(), ..self.clone() });
        }
        Self::of(&to.parse().ok()?)
    }

    fn of(uri: &Uri) -> Option<Self> {
        let authority = uri.authority()?;
        // Credentials in a URL would end up in somebody's log.
        if authority.as_str().contains('@') {
            return None;
        }
        let host = uri.host()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let (server, port) = match uri.scheme_str()? {
            "http" => (None, 80),
            "https" => (Some(secure::server_name(bare)?), 443),
            _ => return None,
        };
        Some(Self {
            server,
            address: Address::parse("url", bare).ok()?,
            port: uri.port_u16().unwrap_or(port),
            host: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let place = Place::parse("url", "https://[fd00::1]:8443/a?b=c").unwrap();
        assert_eq!((place.port, place.host.as_str(), place.path.as_str()), (8443, "[fd00::1]:8443", "/a?b=c"));
        assert_eq!(place.address, Address::Ip("fd00::1".parse().unwrap()));
        assert!(place.server.is_some());
        let plain = Place::parse("url", "http://portal.example.org").unwrap();
        assert_eq!((plain.port, plain.path.as_str(), plain.server), (80, "/", None));
    }

    #[test]
    fn what_is_no_url_for_a_probe_is_refused() {
        for text in ["", "portal.example.org", "ftp://a/", "http://user:secret@a/", "https:///x", "http://a b/"] {
            assert!(Place::parse("url", text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects_lead_to_paths_and_to_other_hosts() {
        let place = Place::parse("url", "http://portal.example.org:8080/").unwrap();
        assert_eq!(place.follow("/login?x=1").unwrap().path, "/login?x=1");
        assert_eq!(place.follow("/login").unwrap().port, 8080);
        assert_eq!(place.follow("https://login.example.org/").unwrap().port, 443);
        assert_eq!(place.follow("//login.example.org/"), None);
    }
}
