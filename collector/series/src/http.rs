//! The face that InfluxDB's clients know: `/query`, `/write`, `/api/v2/write`, `/ping` and `/health` of InfluxDB 1.8.
//!
//! This room reads requests and credentials and writes answers; whether a secret may read or write is for the [`Authorizer`]
//! to say, and what is written becomes durable by the [`Writer`]. Queries run on blocking threads, a limited number at once, each with a deadline; their
//! answers flow to the client in pieces, few of which wait; when the client hangs up, its query ends.

mod answer;
mod credentials;
mod form;
mod outlet;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

pub use credentials::Credentials;

use crate::change::Writer;
use crate::query::answer::json::failure;
use crate::store::Store;

/// What we say we are: clients parse the number, and some refuse what they do not know.
pub const VERSION: &str = "1.8.10";
/// A body holds nothing but the query text and a few parameters.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Judges secrets. May block: it is called on a blocking thread.
pub trait Authorizer: Send + Sync + 'static {
    /// May whoever shows these credentials read `database`? The name is empty when the request names none.
    ///
    /// # Errors
    /// Why not.
    fn may_read(&self, credentials: &Credentials, database: &str) -> Result<(), Denied>;

    /// May whoever shows these credentials write to `database`, and change it by statements?
    ///
    /// # Errors
    /// Why not.
    fn may_write(&self, credentials: &Credentials, database: &str) -> Result<(), Denied>;
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There are no credentials, or they cannot be understood: 401.
    Missing,
    /// The credentials are wrong: 401.
    Wrong,
    /// They are right, but do not allow this: 403.
    Forbidden,
}

#[derive(Clone)]
struct Face {
    store: Arc<Store>,
    authorizer: Arc<dyn Authorizer>,
    writer: Arc<dyn Writer>,
    permits: Arc<Semaphore>,
    write_permits: Arc<Semaphore>,
    requests: Arc<AtomicU64>,
}

/// The routes. The caller adds TLS, and may nest or merge them.
pub fn router(store: Arc<Store>, authorizer: Arc<dyn Authorizer>, writer: Arc<dyn Writer>) -> Router {
    let permits = Arc::new(Semaphore::new(store.options.query.max_concurrent));
    let write_permits = Arc::new(Semaphore::new(store.options.query.max_concurrent));
    let face = Face { store, authorizer, writer, permits, write_permits, requests: Arc::default() };
    let bodies = DefaultBodyLimit::max(write::MAX_BODY_BYTES);
    Router::new()
        .route("/write", post(write::version_1).layer(bodies))
        .route("/api/v2/write", post(write::version_2).layer(bodies))
        .route("/query", get(answer::query).post(answer::query))
        .route("/ping", get(ping))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(map_response(stamp_server))
        .layer(from_fn_with_state(face.clone(), stamp_request))
        .with_state(face)
}

async fn stamp_server(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-influxdb-version", HeaderValue::from_static(VERSION));
    headers.insert("x-influxdb-build", HeaderValue::from_static("OSS"));
    response
}

/// Gives every answer the id that the client sent, or a number of our own.
async fn stamp_request(State(face): State<Face>, request: Request, next: Next) -> Response {
    let given = ["x-request-id", "request-id"].into_iter().find_map(|name| request.headers().get(name).cloned());
    let number = face.requests.fetch_add(1, Ordering::Relaxed);
    let id = given.unwrap_or_else(|| HeaderValue::from(number));
    let mut response = next.run(request).await;
    response.headers_mut().insert("request-id", id.clone());
    response.headers_mut().insert("x-request-id", id);
    response
}

async fn ping(uri: Uri) -> Response {
    let verbose = form::decode(uri.query().unwrap_or(""));
    if verbose.get("verbose").is_some_and(|value| value != "false" && value != "0") {
        return json(StatusCode::OK, format!("{{\"version\":\"{VERSION}\"}}"));
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn health() -> Response {
    let body = format!(
        "{{\"checks\":[],\"message\":\"ready for queries and writes\",\"name\":\"influxdb\",\"status\":\"pass\",\"version\":\"{VERSION}\"}}"
    );
    json(StatusCode::OK, body)
}

/// The parameters of a request, wherever its client put them: for whoever answers `/query` instead of this face.
#[must_use]
pub fn parameters(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> BTreeMap<String, String> {
    let mut parameters = form::decode(uri.query().unwrap_or(""));
    if method == Method::POST && form::is_form(headers) {
        parameters.extend(form::decode(&String::from_utf8_lossy(body)));
    }
    parameters
}

/// As this face answers whoever may not.
#[must_use]
pub fn denied(why: Denied, forbidden: &str) -> Response {
    refused(why, forbidden)
}

/// As this face answers what can't be answered.
#[must_use]
pub fn failed(status: StatusCode, text: &str) -> Response {
    error(status, text)
}

fn refused(denied: Denied, forbidden: &str) -> Response {
    match denied {
        Denied::Missing => unauthorized("unable to parse authentication credentials"),
        Denied::Wrong => unauthorized("authorization failed"),
        Denied::Forbidden => error(StatusCode::FORBIDDEN, forbidden),
    }
}

/// A request's `now()`; everything below is told the time.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn unauthorized(text: &str) -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, text);
    let realm = HeaderValue::from_static("Basic realm=\"InfluxDB\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    response
}

fn error(status: StatusCode, text: &str) -> Response {
    let mut response = json(status, failure(text));
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert("x-influxdb-error", value);
    }
    response
}

/// Says when to try again.
fn later(text: &str) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn json(status: StatusCode, mut body: String) -> Response {
    body.push('\n');
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
