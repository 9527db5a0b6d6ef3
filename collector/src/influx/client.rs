//! HTTP to an InfluxDB: every request has an end, every answer a bound, and the secret goes nowhere else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_series::Statement;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use reqwest::{Certificate, Proxy, RequestBuilder, Response, Url};

use super::answer::Answer;
use super::batch::{Batch, Place};
use crate::config::{Api, Influxdb};
use crate::points;

/// How long a connection may take: a server in the same building answers within a second, one behind a proxy within a few.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a write may take until its answer is whole: InfluxDB's own limit for a write is 10 s, three times.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// How much of an answer to a write is read. A server may repeat every bad line of a batch.
const ANSWER_BYTES: usize = 4 << 20;

/// How much of a refusal is repeated in a log.
const SHOWN_CHARS: usize = 200;

/// How we name ourselves.
const USER_AGENT: &str = concat!("bellwether-collector/", env!("CARGO_PKG_VERSION"));

/// How a server is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/write` of 1.x.
    V1,
    /// `/api/v2/write` of 1.8, 2.x and 3.x.
    V2,
}

/// An InfluxDB as the configuration describes it.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    settings: Influxdb,
    /// How it is written to, once it has said so; forgotten when it does not answer, because it may come back as a newer one.
    dialect: Arc<Mutex<Option<Dialect>>>,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The authorities' file.
    #[error("cannot read the authorities in {} (store.influxdb.ca_file)", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("{} (store.influxdb.ca_file) holds no certificate in PEM", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// The rest of the settings.
    #[error("cannot make a client for store.influxdb")]
    Settings(#[source] reqwest::Error),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("InfluxDB at {base} does not answer")]
pub struct Away {
    base: String,
    source: reqwest::Error,
}

/// Why a question has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// There is none.
    #[error(transparent)]
    Away(#[from] Away),
    /// It is another than 200.
    #[error("InfluxDB answered a question with {status} {text}")]
    Status {
        /// Which.
        status: u16,
        /// What it said, cut.
        text: String,
    },
    /// It is too large.
    #[error("InfluxDB's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It is something else.
    #[error("InfluxDB's answer is not JSON")]
    NotJson(#[source] serde_json::Error),
}

impl Client {
    /// A client for these settings; files are looked for in `folder`.
    ///
    /// # Errors
    /// When its authorities can't be read.
    pub fn new(settings: &Influxdb, folder: &Path) -> Result<Self, ClientError> {
        // One provider for the whole process; it may be there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = Url::parse(&settings.url).expect("the configuration was checked");
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if !settings.proxy.reveal().is_empty() {
            builder = builder.proxy(Proxy::all(settings.proxy.reveal()).map_err(ClientError::Settings)?);
        }
        let has_file = !settings.ca_file.as_os_str().is_empty();
        if has_file {
            builder = builder.tls_certs_only(authorities(&folder.join(&settings.ca_file))?);
        } else if base.scheme() == "http" {
            // None are needed, and a small machine may have none.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(ClientError::Settings)?;
        Ok(Self { http, base, settings: settings.clone(), dialect: Arc::default() })
    }

    /// Where it is, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str()
    }

    /// How it is to be written to: as configured, or by the version that it gives.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn dialect(&self) -> Result<Dialect, Away> {
        match self.settings.api {
            Api::V1 => return Ok(Dialect::V1),
            Api::V2 => return Ok(Dialect::V2),
            Api::Auto => {}
        }
        let known = *self.known();
        if let Some(known) = known {
            return Ok(known);
        }
        let request = self.http.get(self.url(&["ping"])).timeout(WRITE_LIMIT);
        let answer = self.allowed(request, Dialect::V2).send().await.map_err(|error| self.away(error))?;
        let version = answer.headers().get("x-influxdb-version").and_then(|value| value.to_str().ok()).unwrap_or("");
        Ok(*self.known().insert(dialect_of(version)))
    }

    fn known(&self) -> MutexGuard<'_, Option<Dialect>> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines; the answer is not judged here.
    ///
    /// # Errors
    /// When there is no answer, or half of one.
    pub async fn write(&self, dialect: Dialect, batch: &Batch) -> Result<Answer, Away> {
        let url = self.write_url(dialect, &batch.place);
        let request = self
            .http
            .post(url)
            .timeout(WRITE_LIMIT)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_ENCODING, "gzip")
            .body(packed(batch.text()));
        let answer = self.allowed(request, dialect).send().await.map_err(|error| self.away(error))?;
        self.read(answer).await
    }

    /// Sends a statement of somebody else's.
    ///
    /// # Errors
    /// When there is no answer, or half of one.
    pub async fn tell(&self, dialect: Dialect, statement: &Statement) -> Result<Answer, Away> {
        let form = [("db", statement.database.as_str()), ("q", statement.text.as_str())];
        let answer = self.ask(dialect, &form, None, WRITE_LIMIT).await?;
        self.read(answer).await
    }

    /// Asks `/query`; the body is the caller's to read, within the same time.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(
        &self,
        dialect: Dialect,
        form: &[(&str, &str)],
        accept: Option<&str>,
        limit: Duration,
    ) -> Result<Response, Away> {
        let mut body = Url::parse("http://form/").expect("an address");
        body.query_pairs_mut().extend_pairs(form);
        let mut request = self
            .http
            .post(self.url(&["query"]))
            .timeout(limit)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned());
        if let Some(kind) = accept {
            request = request.header(ACCEPT, kind);
        }
        self.allowed(request, dialect).send().await.map_err(|error| self.away(error))
    }

    /// Asks `/query` and reads all of the answer, at most `bytes_max` of it.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub async fn whole(
        &self,
        form: &[(&str, &str)],
        limit: Duration,
        bytes_max: usize,
    ) -> Result<serde_json::Value, Unanswered> {
        let dialect = self.dialect().await?;
        let mut answer = self.ask(dialect, form, None, limit).await?;
        let status = answer.status().as_u16();
        if status != 200 {
            let text = self.read(answer).await?.body;
            return Err(Unanswered::Status { status, text: text.chars().take(SHOWN_CHARS).collect() });
        }
        let mut body = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|error| self.away(error))? {
            if body.len() + more.len() > bytes_max {
                return Err(Unanswered::TooLarge(bytes_max));
            }
            body.extend_from_slice(&more);
        }
        serde_json::from_slice(&body).map_err(Unanswered::NotJson)
    }

    /// That a read of an answer failed.
    #[must_use]
    pub fn away(&self, error: reqwest::Error) -> Away {
        *self.known() = None;
        Away { base: self.base.to_string(), source: error.without_url() }
    }

    /// The database and policy by which our own series are asked for.
    #[must_use]
    pub fn own_place(&self) -> (&str, &str) {
        let (database, policy) = self.settings.bucket.split_once('/').unwrap_or((&self.settings.bucket, ""));
        match self.settings.database.as_str() {
            "" => (database, policy),
            named => (named, ""),
        }
    }

    /// The database of 1.x that our own series are written to.
    #[must_use]
    pub fn bucket_database(&self) -> &str {
        self.settings.bucket.split_once('/').map_or(self.settings.bucket.as_str(), |(database, _)| database)
    }

    /// Where lines of a place go: our own to the configured bucket, those of others to one of the same name.
    fn write_url(&self, dialect: Dialect, place: &Place) -> Url {
        let bucket = match (place.database.as_str(), place.policy.as_str()) {
            (points::DATABASE, "") => self.settings.bucket.clone(),
            (database, "") => database.to_owned(),
            (database, policy) => format!("{database}/{policy}"),
        };
        let (database, policy) = bucket.split_once('/').unwrap_or((&bucket, ""));
        let mut url = match dialect {
            Dialect::V1 => self.url(&["write"]),
            Dialect::V2 => self.url(&["api", "v2", "write"]),
        };
        let mut query = url.query_pairs_mut();
        match dialect {
            Dialect::V1 if policy.is_empty() => query.append_pair("db", database),
            Dialect::V1 => query.append_pair("db", database).append_pair("rp", policy),
            Dialect::V2 => query.append_pair("bucket", &bucket),
        };
        if dialect == Dialect::V2 && !self.settings.org.is_empty() {
            query.append_pair("org", &self.settings.org);
        }
        query.append_pair("precision", "ns");
        drop(query);
        url
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("http has a path").pop_if_empty().extend(path);
        url
    }

    fn allowed(&self, request: RequestBuilder, dialect: Dialect) -> RequestBuilder {
        match (self.settings.token.reveal(), dialect) {
            ("", _) => request,
            (token, Dialect::V1) if token.contains(':') => {
                let (user, password) = token.split_once(':').unwrap_or((token, ""));
                request.basic_auth(user, Some(password))
            }
            (token, _) => {
                let value = reqwest::header::HeaderValue::from_str(&format!("Token {token}"));
                let mut value = value.expect("the configuration was checked");
                value.set_sensitive(true);
                request.header(reqwest::header::AUTHORIZATION, value)
            }
        }
    }

    async fn read(&self, mut answer: Response) -> Result<Answer, Away> {
        let status = answer.status().as_u16();
        let retry_after = retry_after(&answer);
        let mut body = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|error| self.away(error))? {
            body.extend_from_slice(&more[..more.len().min(ANSWER_BYTES - body.len())]);
            if body.len() == ANSWER_BYTES {
                break;
            }
        }
        Ok(Answer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let text = std::fs::read(path).map_err(|source| ClientError::File { path: path.into(), source })?;
    let certificates = Certificate::from_pem_bundle(&text).map_err(ClientError::Settings)?;
    match certificates.is_empty() {
        true => Err(ClientError::NoCertificate { path: path.into() }),
        false => Ok(certificates),
    }
}

/// 1.x before 1.8 knows `/write` alone. Who gives no version is asked as the newer ones are.
fn dialect_of(version: &str) -> Dialect {
    let mut numbers = version.trim_start_matches('v').split('.').map(|number| number.parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(minor))) if minor < 8 => Dialect::V1,
        _ => Dialect::V2,
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    let written = packed.write_all(text.as_bytes()).and_then(|()| packed.finish());
    written.expect("memory takes what it is given")
}

/// Seconds, or a date, which is compared with the answer's own.
fn retry_after(answer: &Response) -> Option<Duration> {
    let header = |name| answer.headers().get(name)?.to_str().ok();
    let value = header(RETRY_AFTER)?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp());
    let wait = date(value)?.duration_since(date(header(DATE)?)?);
    Duration::try_from(wait).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str, bucket: &str) -> Client {
        let settings = Influxdb {
            url: url.into(),
            bucket: bucket.into(),
            org: "district".into(),
            token: "sesame".into(),
            ..Influxdb::default()
        };
        Client::new(&settings, Path::new(".")).unwrap()
    }

    fn place(database: &str, policy: &str) -> Place {
        Place { database: database.into(), policy: policy.into() }
    }

    #[test]
    fn the_path_before_influxdbs_own_is_kept() {
        let own = place(points::DATABASE, "");
        let url = |base: &str, dialect| client(base, "health/year").write_url(dialect, &own).to_string();
        let v2 = "http://p/insert/influx/api/v2/write?bucket=health%2Fyear&org=district&precision=ns";
        assert_eq!(url("http://p/insert/influx", Dialect::V2), v2);
        assert_eq!(url("http://p/insert/influx/", Dialect::V2), v2);
        assert_eq!(url("http://p", Dialect::V1), "http://p/write?db=health&rp=year&precision=ns");
    }

    #[test]
    fn what_others_write_goes_to_a_place_of_the_same_name() {
        let client = client("http://p", "health");
        let url = |database, policy, dialect| client.write_url(dialect, &place(database, policy)).to_string();
        assert_eq!(url("telegraf", "", Dialect::V1), "http://p/write?db=telegraf&precision=ns");
        assert_eq!(url("telegraf", "week", Dialect::V1), "http://p/write?db=telegraf&rp=week&precision=ns");
        assert!(url("telegraf", "week", Dialect::V2).contains("bucket=telegraf%2Fweek&"));
    }

    #[test]
    fn the_version_says_how_a_server_is_written_to() {
        for old in ["1.6.7", "1.6.7~rc0", "v1.7.11", "1.0.0"] {
            assert_eq!(dialect_of(old), Dialect::V1, "{old}");
        }
        for new in ["1.8.10", "v2.7.11", "3.1.0", "", "cloud2"] {
            assert_eq!(dialect_of(new), Dialect::V2, "{new}");
        }
    }

    #[test]
    fn the_secret_is_in_no_log() {
        assert!(!format!("{:?}", client("http://p", "b")).contains("sesame"));
    }
}
