//! The way of an answer from the thread that computes it to the client, in pieces, of which a few may wait. A small answer is one piece
//! and is sent as a whole.

use std::io::{self, Error, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{StreamExt, once};

use super::answer::HangUp;
use crate::query::answer::pretty::Pretty;

/// Bytes of a piece.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for a client: enough that computing and sending overlap.
const PIECES: usize = 4;

/// What the client gets, once something of it is there.
pub(super) enum Start {
    /// All of it.
    Whole(Vec<u8>),
    /// What comes, piece by piece.
    Flowing(Flow),
}

/// The client's end.
pub(super) struct Flow {
    pieces: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
}

impl Flow {
    /// A body that ends in an error if the answer was broken off: half of one must not look like a whole one. When it goes,
    /// so does the query.
    pub(super) fn body(self, hang_up: HangUp) -> Body {
        let Self { pieces, whole } = self;
        let broken = move |()| (!whole.load(Ordering::Acquire)).then(|| Err(Error::other("the answer was broken off")));
        let pieces = ReceiverStream::new(pieces).map(Ok);
        let guarded = pieces.chain(once(()).filter_map(broken)).map(move |piece| {
            let _ = &hang_up;
            piece
        });
        Body::from_stream(guarded)
    }
}

/// The query's end.
pub(super) struct Outlet {
    held: Vec<u8>,
    start: Option<oneshot::Sender<Start>>,
    pieces: Option<mpsc::Sender<Bytes>>,
    whole: Arc<AtomicBool>,
    runtime: Handle,
    /// A client that takes no piece until then is given up.
    until: Instant,
}

impl Outlet {
    pub(super) fn new(start: oneshot::Sender<Start>, runtime: Handle, until: Instant) -> Self {
        Self { held: Vec::new(), start: Some(start), pieces: None, whole: Arc::default(), runtime, until }
    }

    /// The answer is whole.
    fn finish(mut self) -> io::Result<()> {
        if let Some(start) = self.start.take() {
            return start.send(Start::Whole(self.held)).map_err(|_| gone());
        }
        self.send()?;
        self.whole.store(true, Ordering::Release);
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        if let Some(start) = self.start.take() {
            let (sender, pieces) = mpsc::channel(PIECES);
            let whole = Arc::clone(&self.whole);
            start.send(Start::Flowing(Flow { pieces, whole })).map_err(|_| gone())?;
            self.pieces = Some(sender);
        }
        let pieces = self.pieces.as_ref().ok_or_else(gone)?;
        let piece = Bytes::from(std::mem::take(&mut self.held));
        let sent = tokio::time::timeout_at(self.until.into(), pieces.send(piece));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(gone()),
        }
    }
}

fn gone() -> Error {
    io::ErrorKind::BrokenPipe.into()
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// How a client wants the bytes of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub(super) pretty: bool,
    pub(super) gzip: bool,
}

/// The outlet in its wrapping.
pub(super) enum Wrapped {
    Plain(Outlet),
    Packed(GzEncoder<Outlet>),
    Pretty(Box<Pretty<Wrapped>>),
}

impl Wrapped {
    pub(super) fn new(outlet: Outlet, wrapping: Wrapping) -> Self {
        let inside = match wrapping.gzip {
            true => Self::Packed(GzEncoder::new(outlet, Compression::fast())),
            false => Self::Plain(outlet),
        };
        if wrapping.pretty { Self::Pretty(Box::new(Pretty::new(inside))) } else { inside }
    }

    /// The answer is whole.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(outlet) => outlet.finish(),
            Self::Packed(packer) => packer.finish()?.finish(),
            Self::Pretty(pretty) => pretty.into_inner().finish(),
        }
    }
}

impl Write for Wrapped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(outlet) => outlet.write(bytes),
            Self::Packed(packer) => packer.write(bytes),
            Self::Pretty(pretty) => pretty.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(outlet) => outlet.flush(),
            Self::Packed(packer) => packer.flush(),
            Self::Pretty(pretty) => pretty.flush(),
        }
    }
}

/// True if the client can unpack.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(axum::http::header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
