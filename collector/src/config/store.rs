//! `[store]`: where series are kept.

use std::fmt;
use std::path::PathBuf;

use bellwether_logic::span::Span;
use serde::Deserialize;

/// Where series are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// In whose files.
    pub kind: Kind,
    /// How long the embedded store keeps what.
    pub keep: Keeping,
    /// The InfluxDB, if it is not the embedded store alone.
    pub influxdb: Influxdb,
}

/// How long the embedded store keeps the collector's own series; whole days. Others' databases have policies of their own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keeping {
    /// Single points; the activity of personal devices no longer than 30 days.
    pub points: Span,
    /// What five minutes came to.
    pub five_minutes: Span,
    /// What an hour came to, and for the activity of personal devices a day; and inventory.
    pub hours: Span,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { points: Span::from_days(30), five_minutes: Span::from_days(365), hours: Span::from_days(5 * 365) }
    }
}

impl Keeping {
    fn wrong(&self) -> [Wrong; 3] {
        let bad = |span: Span, least: u64| {
            let seconds = span.0.as_secs();
            !seconds.is_multiple_of(86_400) || seconds < least * 86_400
        };
        [
            // Pages look back four days, and what agents bring in late after a weekend is still to be rolled up.
            (bad(self.points, 7), "store.keep.points", self.points.to_string(), "whole days, at least \"7d\""),
            (
                bad(self.five_minutes, 7) || self.five_minutes < self.points,
                "store.keep.five_minutes",
                self.five_minutes.to_string(),
                "whole days, no less than store.keep.points",
            ),
            (
                // A device's page looks for its inventory so far back.
                bad(self.hours, 400) || self.hours < self.five_minutes,
                "store.keep.hours",
                self.hours.to_string(),
                "whole days, at least \"400d\" and no less than store.keep.five_minutes",
            ),
        ]
    }
}

/// In whose files series are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// In the collector's own.
    #[default]
    Embedded,
    /// In an InfluxDB's, which is also asked.
    Influxdb,
    /// In both, while moving over. The collector's own are asked.
    Both,
}

/// An InfluxDB.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Influxdb {
    /// Where it listens, with the path before its own ones.
    pub url: String,
    /// How it is written to.
    pub api: Api,
    /// The organisation of its bucket; 1.x and 3.x have none.
    pub org: String,
    /// Where our own series go: a bucket, or in 1.x a database or `database/policy`.
    pub bucket: String,
    /// What is shown to it; in 1.x `user:password`. Empty: nothing.
    pub token: Hidden,
    /// Certificates of the authorities that it may be certified by, as PEM, relative to the data folder; empty: the system's.
    pub ca_file: PathBuf,
    /// A proxy to go through; empty: none.
    pub proxy: Hidden,
    /// The database that queries name; empty: as `bucket` says.
    pub database: String,
}

impl Default for Influxdb {
    fn default() -> Self {
        Self {
            url: String::new(),
            api: Api::Auto,
            org: String::new(),
            bucket: "bellwether".to_owned(),
            token: Hidden::default(),
            ca_file: PathBuf::new(),
            proxy: Hidden::default(),
            database: String::new(),
        }
    }
}

impl Influxdb {
    /// Whether there is something among these settings that is not for everyone.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        !self.token.reveal().is_empty() || self.proxy.reveal().contains('@')
    }
}

/// How an InfluxDB is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// As the version says that it gives at `/ping`.
    #[default]
    Auto,
    /// `/write` of 1.x.
    V1,
    /// `/api/v2/write` of 1.8, 2.x and 3.x.
    V2,
}

/// A setting that is in no log.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Hidden(empty)" } else { "Hidden(..)" })
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What is wrong with a setting: whether, its key, its value, what it may say.
type Wrong = (bool, &'static str, String, &'static str);

impl Store {
    /// Whether there is an InfluxDB to be written to.
    #[must_use]
    pub fn has_influxdb(&self) -> bool {
        self.kind != Kind::Embedded
    }

    pub(super) fn wrong(&self) -> impl Iterator<Item = Wrong> {
        self.wrong_influxdb().into_iter().chain(self.keep.wrong())
    }

    fn wrong_influxdb(&self) -> [Wrong; 6] {
        let it = &self.influxdb;
        let used = self.has_influxdb();
        let url = reqwest::Url::parse(&it.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let plain = url.as_ref().is_some_and(|url| {
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none()
        });
        let token = it.token.reveal();
        let (database, policy) = it.bucket.split_once('/').unwrap_or((&it.bucket, "x"));
        [
            (
                used && url.is_none(),
                "store.influxdb.url",
                format!("\"{}\"", if url.is_none() && it.url.contains('@') { "***" } else { &it.url }),
                "an address such as https://influx.school.example:8086 or https://proxy.example/influx",
            ),
            (
                used && url.is_some() && !plain,
                "store.influxdb.url",
                "\"***\"".into(),
                "an address alone: a secret belongs into store.influxdb.token, and nothing behind ? or #",
            ),
            (
                used && (database.is_empty() || policy.is_empty() || it.bucket.chars().any(char::is_control)),
                "store.influxdb.bucket",
                format!("\"{}\"", it.bucket),
                "a bucket's name, or database/policy",
            ),
            (
                !token.chars().all(|letter| letter.is_ascii_graphic()),
                "store.influxdb.token",
                "\"***\"".into(),
                "a token, or user:password for 1.x, of ASCII letters without blanks",
            ),
            (
                it.api == Api::V1 && !token.is_empty() && !token.contains(':'),
                "store.influxdb.token",
                "\"***\"".into(),
                "user:password when store.influxdb.api = \"v1\"",
            ),
            (
                !it.proxy.reveal().is_empty() && reqwest::Proxy::all(it.proxy.reveal()).is_err(),
                "store.influxdb.proxy",
                "\"***\"".into(),
                "empty, or an address such as http://proxy.school.example:3128",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, ConfigError};
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("collector.toml"), text)
    }

    fn said(settings: &str) -> String {
        parse(&format!("[store]\nkind = \"both\"\n[store.influxdb]\n{settings}\n")).unwrap_err().to_string()
    }

    #[test]
    fn an_influxdb_is_described_by_few_settings() {
        let text =
            "[store]\nkind = \"influxdb\"\n[store.influxdb]\nurl = \"https://x.example/base\"\ntoken = \"abc\"\n";
        let store = parse(text).unwrap().store;
        assert_eq!((store.kind, store.influxdb.api), (Kind::Influxdb, Api::Auto));
        assert_eq!(store.influxdb.bucket, "bellwether");
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_was_expected() {
        let kind = parse("[store]\nkind = \"influx\"\n").unwrap_err().to_string();
        assert!(kind.contains("line 2") && kind.contains("`embedded`, `influxdb`, `both`"), "{kind}");
        assert!(said("").contains("store.influxdb.url = \"\": expected an address such as"), "{}", said(""));
        assert!(said("url = \"ftp://x\"").contains("store.influxdb.url = \"ftp://x\""));
        let bucket = said("url = \"http://x\"\nbucket = \"a/\"");
        assert!(bucket.contains("store.influxdb.bucket = \"a/\": expected a bucket's name"), "{bucket}");
        assert!(said("url = \"http://x\"\napi = \"v1\"\ntoken = \"abc\"").contains("user:password"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_a_secret_is_not_for_everyone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("collector.toml");
        let load = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Config::load(&path, true).map(drop).map_err(|error| error.to_string())
        };
        let secret = "[store.influxdb]\ntoken = \"sesame\"\n";
        let refused = load(secret, 0o644).unwrap_err();
        assert!(refused.contains("can be read by everyone") && !refused.contains("sesame"), "{refused}");
        assert_eq!((load(secret, 0o640), load("", 0o644)), (Ok(()), Ok(())));
    }

    #[test]
    fn no_secret_is_in_a_message_or_a_log() {
        for settings in [
            "url = \"http://u:sesame@x\"",
            "url = \"u:sesame@\"",
            "url = \"http://x\"\ntoken = \"sesame two\"",
            "url = \"http://x\"\ntoken = [\"sesame\"]",
            "url = \"http://x\"\nproxy = \"ht tp://u:sesame@p\"",
        ] {
            assert!(!said(settings).contains("sesame"), "{}", said(settings));
        }
        assert!(!format!("{:?}", Hidden::from("sesame")).contains("sesame"));
    }
}
