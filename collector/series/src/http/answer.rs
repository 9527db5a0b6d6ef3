//! `/query`: reads what is asked for, lets it be computed on a blocking thread, and hands on what comes, as JSON or CSV.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::outlet::{Outlet, Start, Wrapped, Wrapping, takes_gzip};
use super::{Credentials, Face, error, form, later, now_ns, refused};
use crate::query::answer::csv::{self, Csv};
use crate::query::answer::json::{self, Chunked, Whole};
use crate::query::budget::Budget;
use crate::query::remarks::Remarks;
use crate::query::sink::Gone;
use crate::query::{Epoch, Parameters, QueryOptions, Request, Statements};
use crate::store::Reading;

/// Rows of a piece when the client names no number.
const CHUNK_ROWS: usize = 10_000;

/// Rows of a piece at most, as they are held: a client that asks for more gets more pieces.
const MAX_CHUNK_ROWS: usize = 100_000;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// Pieces of so many rows.
    Chunked(usize),
    Csv,
}

impl Form {
    /// Like InfluxDB, looks at the whole header and knows no lists.
    fn asked_for(headers: &HeaderMap, parameters: &form::Parameters) -> Self {
        if matches!(headers.get(header::ACCEPT).map(HeaderValue::as_bytes), Some(b"application/csv" | b"text/csv")) {
            return Self::Csv;
        }
        let parameter = |name: &str| parameters.get(name).map_or("", String::as_str);
        if parameter("chunked") != "true" {
            return Self::Json;
        }
        let size = parameter("chunk_size").parse().ok().filter(|size| *size > 0);
        Self::Chunked(size.unwrap_or(CHUNK_ROWS).min(MAX_CHUNK_ROWS))
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(if self == Self::Csv { "text/csv" } else { "application/json" })
    }
}

/// Tells the query that nobody waits any more.
pub(super) struct HangUp(Arc<AtomicBool>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a request asks for.
struct Question {
    parameters: form::Parameters,
    credentials: Credentials,
    form: Form,
    wrapping: Wrapping,
    cancelled: Arc<AtomicBool>,
    by_get: bool,
}

pub(super) async fn query(
    State(face): State<Face>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parameters = super::parameters(&method, &uri, &headers, &body);
    let deadline = face.store.options.query.deadline;
    let permit = tokio::time::timeout(deadline, face.permits.clone().acquire_owned()).await;
    let Ok(Ok(permit)) = permit else { return later("max-concurrent-queries limit exceeded") };
    let form = Form::asked_for(&headers, &parameters);
    let pretty = form != Form::Csv && parameters.get("pretty").is_some_and(|pretty| pretty == "true");
    let cancelled = Arc::new(AtomicBool::new(false));
    let question = Question {
        credentials: Credentials::read(&headers, &parameters),
        parameters,
        form,
        wrapping: Wrapping { pretty, gzip: takes_gzip(&headers) },
        cancelled: Arc::clone(&cancelled),
        by_get: method == Method::GET,
    };
    let wrapping = question.wrapping;
    let hang_up = HangUp(cancelled);
    let (sender, start) = oneshot::channel();
    let runtime = Handle::current();
    let computed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let outlet = Outlet::new(sender, runtime, Instant::now() + deadline);
        answer(&face, &question, outlet)
    });
    let body = match start.await {
        Ok(Start::Whole(bytes)) => Body::from(bytes),
        Ok(Start::Flowing(flow)) => flow.body(hang_up),
        // There is nothing to hand on: it was refused, or it failed.
        Err(_) => return computed.await.ok().flatten().unwrap_or_else(failed),
    };
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, form.content_type())], body).into_response();
    if wrapping.gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn failed() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, "the query failed")
}

/// Computes the answer. What comes back stands for it if it is refused as a whole.
fn answer(face: &Face, question: &Question, outlet: Outlet) -> Option<Response> {
    let parameter = |name: &str| question.parameters.get(name).map_or("", String::as_str);
    let database = parameter("db");
    if let Err(denied) = face.authorizer.may_read(&question.credentials, database) {
        return Some(refused(denied, "error authorizing query: not allowed to read"));
    }
    let text = parameter("q");
    if text.trim().is_empty() {
        return Some(bad(question, "missing required parameter \"q\""));
    }
    let bound = match Parameters::from_json(parameter("params")) {
        Ok(bound) => bound,
        Err(text) => return Some(bad(question, &text)),
    };
    let options = QueryOptions {
        epoch: Epoch::from_parameter(parameter("epoch")),
        cancelled: Some(Arc::clone(&question.cancelled)),
        policy: Some(parameter("rp").to_owned()).filter(|policy| !policy.is_empty()),
        parameters: bound,
        by_get: question.by_get,
        ..QueryOptions::at(now_ns())
    };
    let store = &*face.store;
    let statements = match crate::query::read(store, text, &options) {
        Ok(statements) => statements,
        Err(text) => return Some(bad(question, &text)),
    };
    let may_write = face.authorizer.may_write(&question.credentials, database).is_ok();
    let limits = &store.options.query;
    let budget = Budget::new(limits, &options, limits.max_flowing_rows);
    let writer = may_write.then_some(&*face.writer);
    let (remarks, reading) = (Remarks::default(), Reading::new(store));
    let request = Request { store, database, options: &options, writer, budget, remarks, reading };
    // Nobody is there any more to be told.
    let _ = write(&request, &statements, question, outlet);
    None
}

fn write(request: &Request<'_>, statements: &Statements<'_>, question: &Question, outlet: Outlet) -> Result<(), Gone> {
    let mut out = Wrapped::new(outlet, question.wrapping);
    let epoch = request.options.epoch;
    match question.form {
        Form::Json => {
            let mut whole = Whole::new(&mut out, epoch);
            request.run(statements, &mut whole)?;
            whole.finish()?;
            std::io::Write::write_all(&mut out, b"\n")?;
        }
        Form::Chunked(most) => request.run(statements, &mut Chunked::new(&mut out, epoch, most))?,
        Form::Csv => {
            let mut csv = Csv::new(&mut out, epoch);
            request.run(statements, &mut csv)?;
            csv.finish()?;
        }
    }
    Ok(out.finish()?)
}

/// A request that is wrong as a whole.
fn bad(question: &Question, text: &str) -> Response {
    let mut response = error(StatusCode::BAD_REQUEST, text);
    let body = match question.form {
        Form::Csv => csv::failure(text),
        _ if question.wrapping.pretty => indented(&json::failure(text)) + "\n",
        _ => return response,
    };
    *response.body_mut() = Body::from(body);
    response.headers_mut().insert(header::CONTENT_TYPE, question.form.content_type());
    response
}

fn indented(text: &str) -> String {
    use std::io::Write;
    let mut pretty = crate::query::answer::pretty::Pretty::new(Vec::new());
    // A vector takes everything.
    let _ = pretty.write_all(text.as_bytes());
    String::from_utf8_lossy(&pretty.into_inner()).into_owned()
}
