//! The store alone behind InfluxDB's protocol, with a journal before it, open to everyone who reaches it:
//!
//! ```text
//! cargo run --release -p bellwether-series --example serve -- --listen 127.0.0.1:8086 --data DIR
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bellwether_journal::{AppendError, Journal, Position};
use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{Change, NotTaken, Options, Store, Writer};
use clap::Parser;
use tokio::sync::watch;

#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8086")]
    listen: std::net::SocketAddr,
    /// The folder of the data; it is made.
    #[arg(long)]
    data: PathBuf,
    /// How many values are held before they are packed into blocks.
    #[arg(long, default_value_t = Options::default().max_head_values)]
    head_values: u64,
}

/// What the journal is read in at a time. Writers hear of theirs after it, and have the next ready while others are applied.
const READ_BYTES: usize = 1 << 20;

/// The reader's name in the journal.
const SERIES: &str = "series";

struct Open;

impl Authorizer for Open {
    fn may_read(&self, _: &Credentials, _: &str) -> Result<(), Denied> {
        Ok(())
    }

    fn may_write(&self, _: &Credentials, _: &str) -> Result<(), Denied> {
        Ok(())
    }
}

/// Appends, and waits until the reader has applied what was appended.
struct Ledger {
    journal: Arc<Journal>,
    visible: watch::Receiver<u64>,
}

impl Writer for Ledger {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        let receipt = self.journal.append_blocking(now_ms(), change.encode()).map_err(|error| match error {
            AppendError::Busy | AppendError::Full { .. } => NotTaken::Later(error.to_string()),
            AppendError::TooLarge { .. } | AppendError::Closed => NotTaken::Never(error.to_string()),
        })?;
        let committed = receipt.wait().map_err(|error| NotTaken::Later(error.to_string()))?;
        let mut visible = self.visible.clone();
        let seen = tokio::runtime::Handle::current().block_on(visible.wait_for(|seen| *seen >= committed.next.0));
        seen.map(|_| ()).map_err(|_| NotTaken::Never("the reader of the journal has ended".to_owned()))
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The journal's reader: applies what comes, and releases what the store has on disk.
fn follow(journal: &Journal, store: &Store, visible: &watch::Sender<u64>, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut position = Position(store.position()).max(journal.start());
    loop {
        let entries = journal.read(position, READ_BYTES)?;
        let idle = entries.is_empty();
        for entry in entries {
            match Change::decode(entry.payload) {
                Ok(change) => {
                    store.apply_change(entry.next.0, &change)?;
                }
                Err(_) => store.advance(entry.next.0),
            }
            position = entry.next;
        }
        visible.send_replace(position.0);
        if let Some(durable) = store.maintain(now_ms().saturating_mul(1_000_000))? {
            journal.release(SERIES, Position(durable));
        }
        if idle {
            if stop.load(Ordering::Relaxed) {
                journal.release(SERIES, Position(store.checkpoint()?));
                return Ok(());
            }
            let _ = journal.wait_beyond(position, Duration::from_millis(100));
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let options = Options { databases: Vec::new(), max_head_values: arguments.head_values, ..Options::default() };
    let store = Arc::new(Store::open(&arguments.data.join("series"), options)?);
    let readers = [(SERIES.to_owned(), Position(store.position()))].into();
    let (journal, _) =
        Journal::open(arguments.data.join("journal"), bellwether_journal::Options { readers, ..Default::default() })?;
    let journal = Arc::new(journal);
    let (sender, visible) = watch::channel(0);
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (journal, store, stop) = (Arc::clone(&journal), Arc::clone(&store), Arc::clone(&stop));
        std::thread::spawn(move || follow(&journal, &store, &sender, &stop))
    };
    let end = journal.end().0;
    visible.clone().wait_for(|seen| *seen >= end).await.context("the journal could not be read to its end")?;
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    let routes = router(Arc::clone(&store), Arc::new(Open), Arc::new(Ledger { journal, visible }));
    axum::serve(listener, routes).with_graceful_shutdown(ended()).await?;
    stop.store(true, Ordering::Relaxed);
    reader.join().map_err(|_| anyhow::anyhow!("the reader of the journal panicked"))?
}

/// Until somebody asks the program to end.
async fn ended() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
