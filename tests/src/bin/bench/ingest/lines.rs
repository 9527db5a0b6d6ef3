//! The same rows as line protocol, for the peer.

use std::fmt::Write;
use std::sync::Mutex;

use bellwether_logic::sample::{Sample, Value};

/// What an HTTP request costs beside its body, with the headers that Telegraf sends, and TLS as ours.
pub(super) const REQUEST_BYTES: u64 = 250;

/// Bodies under way at once.
const WRITERS: usize = 4;

/// Adds a line with the tags that the collector would stamp.
pub(super) fn line(out: &mut String, agent: u64, sample: &Sample) {
    let _ = write!(out, "{},class=laptop,device_id=d{agent:09},host=PC-{agent:03}", sample.measurement);
    for (key, value) in &sample.tags {
        let _ = write!(out, ",{key}={}", value.replace(' ', "\\ "));
    }
    out.push_str(",site=Lincoln\\ High ");
    for (at, (name, value)) in sample.fields.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = match value {
            Value::Float(value) => write!(out, "{comma}{name}={value}"),
            Value::Integer(value) => write!(out, "{comma}{name}={value}i"),
            Value::Boolean(value) => write!(out, "{comma}{name}={value}"),
            Value::Text(value) => write!(out, "{comma}{name}=\"{value}\""),
        };
    }
    let _ = writeln!(out, " {}", sample.time.0 * 1_000_000);
}

/// A client of the peer.
pub(super) struct Client {
    base: String,
    client: reqwest::Client,
}

impl Client {
    pub(super) fn new(base: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { base: base.to_owned(), client }
    }

    pub(super) fn query(&self, text: &str) -> Result<(), String> {
        let url = reqwest::Url::parse_with_params(&format!("{}/query", self.base), [("q", text)]);
        let url = url.map_err(|error| error.to_string())?;
        runtime().block_on(async {
            let answer = self.client.post(url).send().await.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
        })
    }

    /// Writes all bodies by several connections.
    pub(super) fn write_all(&self, bodies: &[Vec<u8>]) {
        let bodies = Mutex::new(bodies.iter());
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    let runtime = runtime();
                    loop {
                        let next = bodies.lock().expect("no writer panics").next();
                        let Some(body) = next else { break };
                        runtime.block_on(self.write(body.clone()));
                    }
                });
            }
        });
    }

    async fn write(&self, body: Vec<u8>) {
        let url = format!("{}/write?db=bench&precision=ns", self.base);
        let request = self.client.post(url).header("Content-Encoding", "gzip").body(body);
        let answer = request.send().await.expect("the peer answers");
        assert_eq!(answer.status().as_u16(), 204, "the peer refuses");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
