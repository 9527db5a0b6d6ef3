//! One request, one answer, one connection, within one time.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Place;
use crate::probe::link::{NoLink, dial};
use crate::probe::secure::{self, Roots, Shown};

/// A sign of life is found at a page's beginning, if at all.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// For the answer's head, and for what is read ahead of a body.
const BUFFER_BYTES: usize = 32 << 10;
/// More headers than any server sends.
const HEADERS_MAX: usize = 100;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Of whom.
    pub place: &'a Place,
    /// Whether the head of the answer is enough.
    pub head: bool,
    /// Set for a POST of JSON.
    pub json: Option<String>,
    /// Set if the server wants one: the whole value of the header.
    pub authorization: Option<&'a str>,
}

/// What came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// At most [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
    /// The other side ended before the body did.
    pub broke_off: bool,
    /// The server's certificate, if it has one.
    pub shown: Option<Shown>,
    /// When the head was there.
    pub head_at: Instant,
    /// When the body was there.
    pub body_at: Instant,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// No connection.
    Link(NoLink),
    /// Connected, and nothing more within the time.
    Silence,
    /// What came was no answer.
    Broken,
}

impl<'a> Request<'a> {
    /// A plain GET.
    #[must_use]
    pub const fn get(place: &'a Place) -> Self {
        Self { place, head: false, json: None, authorization: None }
    }

    fn build(&self) -> Option<hyper::Request<Full<Bytes>>> {
        let method = match (&self.json, self.head) {
            (Some(_), _) => Method::POST,
            (None, true) => Method::HEAD,
            (None, false) => Method::GET,
        };
        let mut builder = hyper::Request::builder()
            .method(method)
            .uri(&self.place.path)
            .header(header::HOST, &self.place.host)
            .header(header::USER_AGENT, concat!("bellwether/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close");
        if self.json.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(value) = self.authorization {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        builder.body(Full::new(Bytes::from(self.json.clone().unwrap_or_default()))).ok()
    }
}

/// Both kinds of stream as one type, so that HTTP is in the program once.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Asks.
///
/// # Errors
/// When nobody answers, or nobody who speaks HTTP.
pub async fn fetch(request: &Request<'_>, limit: Duration, roots: &Roots) -> Result<Answer, NoAnswer> {
    let started = Instant::now();
    let place = request.place;
    let stream = dial(&place.address, place.port, limit).await.map_err(NoAnswer::Link)?;
    let talk = async {
        let (stream, shown): (Box<dyn Stream>, _) = match &place.server {
            Some(server) => {
                let secured = secure::handshake(stream, server.clone(), roots).await;
                let (stream, shown) = secured.map_err(|_| NoAnswer::Broken)?;
                (Box::new(stream), shown)
            }
            None => (Box::new(stream), None),
        };
        converse(request, stream, shown).await
    };
    tokio::time::timeout(limit.saturating_sub(started.elapsed()), talk).await.unwrap_or(Err(NoAnswer::Silence))
}

async fn converse(request: &Request<'_>, stream: Box<dyn Stream>, shown: Option<Shown>) -> Result<Answer, NoAnswer> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| NoAnswer::Broken)?;
    let built = request.build().ok_or(NoAnswer::Broken)?;
    let exchange = async {
        let response = sender.send_request(built).await.map_err(|_| NoAnswer::Broken)?;
        let head_at = Instant::now();
        let status = response.status();
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.filter(|_| status.is_redirection()).map(str::to_owned);
        let (body, broke_off) = read(response.into_body()).await;
        let body_at = Instant::now();
        Ok(Answer { status: status.as_u16(), location, body, broke_off, shown, head_at, body_at })
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // It has read all that there is; the rest waits inside.
        _ = connection => exchange.await,
    }
}

/// As much as is wished for, and whether the other side ended before it should.
async fn read(mut body: Incoming) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (bytes, true) };
        if let Some(data) = frame.data_ref() {
            bytes.extend(data.iter().take(BODY_BYTES_MAX - bytes.len()));
            if bytes.len() == BODY_BYTES_MAX {
                break;
            }
        }
    }
    (bytes, false)
}
