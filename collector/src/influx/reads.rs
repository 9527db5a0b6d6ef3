//! What is asked of an InfluxDB: by pages, and by Grafana through our `/query`.
//!
//! Our own tokens protect our `/query` whoever answers it; the server's secret stays here. Only what is known to read is passed on,
//! because that secret may do more than whoever asks. Every question has an end and every answer a bound.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bellwether_logic::time::Timestamp;
use bellwether_series::http::{Authorizer, Credentials, denied, failed, parameters};
use bellwether_series::{Intent, Parameters};
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::{Client, Unanswered};
use crate::health::chain;
use crate::points;
use crate::web::readings::{Rows, Series, Told};

/// How long a question of others may take, until its answer is whole: as long as one to the embedded store.
const QUERY_LIMIT: Duration = Duration::from_secs(30);

/// How long a question of a page may take: longer, and a person has gone.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

/// After a question without an answer pages ask none for so long: a page has twenty, and is shown without readings at once.
const SPARE: Duration = Duration::from_secs(5);

/// The largest answer that is handed on: a month of raw values of a busy panel, twice.
const PASSED_BYTES: usize = 256 << 20;

/// The largest answer that a page takes: all devices of a district, with all their paths.
const PAGE_BYTES: usize = 16 << 20;

/// A question's text and parameters, as for the embedded store.
const QUESTION_BYTES: usize = 1 << 20;

/// Questions of others at once. What is more waits, at most as long as a question may take.
const AT_ONCE: usize = 16;

/// What of a request's parameters is for the server.
const PASSED: [&str; 7] = ["q", "epoch", "chunked", "chunk_size", "pretty", "params", "rp"];

/// Asks an InfluxDB.
pub struct Reads {
    client: Client,
    authorizer: Arc<dyn Authorizer>,
    permits: Arc<Semaphore>,
    runtime: Handle,
    /// When a page's question had no answer, if none had one since.
    away: Mutex<Option<Instant>>,
}

impl Reads {
    /// Asks this server for whoever `authorizer` lets read. To be made inside the runtime that runs the collector.
    #[must_use]
    pub fn new(client: Client, authorizer: Arc<dyn Authorizer>) -> Self {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        Self { client, authorizer, permits, runtime: Handle::current(), away: Mutex::default() }
    }

    fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a page's question, parsed.
    async fn page(&self, query: &str) -> Result<Value, Unanswered> {
        let (database, policy) = self.client.own_place();
        let mut form = vec![("db", database), ("epoch", "ms"), ("q", query)];
        if !policy.is_empty() {
            form.push(("rp", policy));
        }
        self.client.whole(&form, PAGE_LIMIT, PAGE_BYTES).await
    }

    fn series(&self, query: &str) -> Vec<Value> {
        if self.away().is_some_and(|since| since.elapsed() < SPARE) {
            return Vec::new();
        }
        let answer = self.runtime.block_on(async {
            let asked = tokio::time::timeout(PAGE_LIMIT, self.page(query));
            asked.await.unwrap_or_else(|_| Err(Unanswered::Status { status: 408, text: String::new() }))
        });
        match answer {
            Ok(mut answer) => {
                *self.away() = None;
                if let Some(error) = answer["results"][0]["error"].as_str().or_else(|| answer["error"].as_str()) {
                    tracing::warn!(error, query, "a page's question to InfluxDB failed");
                }
                match answer.pointer_mut("/results/0/series").map(Value::take) {
                    Some(Value::Array(series)) => series,
                    _ => Vec::new(),
                }
            }
            Err(error) => {
                tracing::warn!(why = chain(&error), "a page's question to InfluxDB has no answer");
                *self.away() = Some(Instant::now());
                Vec::new()
            }
        }
    }
}

impl Series for Reads {
    fn ask(&self, query: &str, _now: Timestamp) -> Vec<Rows> {
        let numbers =
            |row: &Value| Some((row[0].as_i64()?, row.as_array()?.iter().skip(1).map(Value::as_f64).collect()));
        let rows = |series: &Value| list(&series["values"]).iter().filter_map(numbers).collect();
        self.series(query).iter().map(|series| Rows { tags: tags(series), rows: rows(series) }).collect()
    }

    fn tell(&self, query: &str, _now: Timestamp) -> Vec<Told> {
        let words = |series: &Value, row: &Value| {
            let names = list(&series["columns"]).iter().filter_map(Value::as_str);
            let fields = names.zip(row.as_array()?).skip(1);
            Some((row[0].as_i64()?, fields.filter_map(|(name, value)| Some((name.to_owned(), word(value)?))).collect()))
        };
        let rows = |series: &Value| list(&series["values"]).iter().filter_map(|row| words(series, row)).collect();
        self.series(query).iter().map(|series| Told { tags: tags(series), rows: rows(series) }).collect()
    }

    fn is_away(&self) -> bool {
        self.away().is_some()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn tags(series: &Value) -> std::collections::BTreeMap<String, String> {
    let tags = series["tags"].as_object().into_iter().flatten();
    tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A layer over the InfluxDB-compatible routes: questions at `/query` go to the server, everything else on its way.
pub async fn pass(State(reads): State<Arc<Reads>>, request: Request, next: Next) -> Response {
    let is_question = request.uri().path() == "/query" && matches!(*request.method(), Method::GET | Method::POST);
    if !is_question {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, QUESTION_BYTES).await else {
        return failed(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    match reads.judge(&head, &body).await {
        Ok(Some(question)) => reads.hand_on(&question).await,
        Ok(None) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(refusal) => refusal,
    }
}

/// A question that may be handed on.
struct Question {
    form: Vec<(String, String)>,
    accept: Option<String>,
}

impl Reads {
    /// Whether a request may be handed on; none if the collector carries it out itself.
    async fn judge(
        self: &Arc<Self>,
        head: &axum::http::request::Parts,
        body: &Bytes,
    ) -> Result<Option<Question>, Response> {
        let given = parameters(&head.method, &head.uri, &head.headers, body);
        let parameter = |name: &str| given.get(name).map_or("", String::as_str);
        let (credentials, database) = (Credentials::read(&head.headers, &given), parameter("db").to_owned());
        let reads = Arc::clone(self);
        let judged = tokio::task::spawn_blocking(move || reads.authorizer.may_read(&credentials, &database)).await;
        match judged {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(denied(why, "error authorizing query: not allowed to read")),
            Err(_) => return Err(failed(StatusCode::INTERNAL_SERVER_ERROR, "the query failed")),
        }
        if parameter("q").trim().is_empty() {
            return Err(failed(StatusCode::BAD_REQUEST, "missing required parameter \"q\""));
        }
        let intent = Parameters::from_json(parameter("params")).and_then(|bound| Intent::of(parameter("q"), &bound));
        match intent.map_err(|why| failed(StatusCode::BAD_REQUEST, &why))? {
            Intent::Read => {}
            Intent::Arrange => return Ok(None),
            Intent::Alter => {
                let why = "this collector keeps its series in InfluxDB: write INTO and delete there";
                return Err(failed(StatusCode::FORBIDDEN, why));
            }
        }
        Ok(Some(Question { form: self.form(&given), accept: accept(&head.headers) }))
    }

    /// The parameters for the server, with its own name for the database of our own series.
    fn form(&self, given: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
        let (own, policy) = self.client.own_place();
        let passed = PASSED.iter().filter_map(|name| given.get_key_value(*name));
        let mut form: Vec<(String, String)> = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let database = given.get("db").map_or("", String::as_str);
        if database == points::DATABASE {
            form.push(("db".to_owned(), own.to_owned()));
            if !policy.is_empty() && given.get("rp").is_none_or(String::is_empty) {
                form.retain(|(name, _)| name != "rp");
                form.push(("rp".to_owned(), policy.to_owned()));
            }
        } else {
            form.push(("db".to_owned(), database.to_owned()));
        }
        form
    }

    async fn hand_on(&self, question: &Question) -> Response {
        let busy = || failed(StatusCode::SERVICE_UNAVAILABLE, "max-concurrent-queries limit exceeded");
        let permit = tokio::time::timeout(QUERY_LIMIT, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return busy() };
        let form: Vec<_> = question.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let asked = async {
            let dialect = self.client.dialect().await?;
            self.client.ask(dialect, &form, question.accept.as_deref(), QUERY_LIMIT).await
        };
        let answer = match asked.await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(why = chain(&error), "a question has no answer from InfluxDB");
                return failed(StatusCode::BAD_GATEWAY, "the InfluxDB behind this collector does not answer");
            }
        };
        if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // It is the collector's secret that is wrong, not that of whoever asks.
            let why = "the InfluxDB behind this collector refuses the collector's token: correct store.influxdb.token";
            return failed(StatusCode::BAD_GATEWAY, why);
        }
        handed_on(answer, permit)
    }
}

fn accept(headers: &HeaderMap) -> Option<String> {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The server's answer as it comes. One that breaks off or grows too large breaks off for the asker too, so that no part passes for the whole.
fn handed_on(answer: reqwest::Response, permit: OwnedSemaphorePermit) -> Response {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let flow = unfold(Some((answer, PASSED_BYTES, permit)), |state| async {
        let (mut answer, left, permit) = state?;
        match answer.chunk().await {
            Ok(None) => None,
            Ok(Some(bytes)) if bytes.len() <= left => {
                let left = left - bytes.len();
                Some((Ok(bytes), Some((answer, left, permit))))
            }
            Ok(Some(_)) => Some((Err(io::Error::other("InfluxDB's answer is too large")), None)),
            Err(error) => Some((Err(io::Error::other(error.without_url())), None)),
        }
    });
    let mut response = (status, Body::from_stream(flow)).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
