//! What Telegraf's outputs `influxdb` and `influxdb_v2` send by their documentation, and what they need to hear: 204, a status that says
//! whether to try again, and words that they look for.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{Change, NotTaken, Options, Store, Writer};
use tower::ServiceExt;

/// A token that may only write, one that may only read, and one for both.
struct Door;

impl Authorizer for Door {
    fn may_read(&self, credentials: &Credentials, _: &str) -> Result<(), Denied> {
        match credentials.secret() {
            Some("reader" | "both") => Ok(()),
            Some("writer") => Err(Denied::Forbidden),
            Some(_) => Err(Denied::Wrong),
            None => Err(Denied::Missing),
        }
    }

    fn may_write(&self, credentials: &Credentials, _: &str) -> Result<(), Denied> {
        match credentials.secret() {
            Some("writer" | "both") => Ok(()),
            Some("reader") => Err(Denied::Forbidden),
            Some(_) => Err(Denied::Wrong),
            None => Err(Denied::Missing),
        }
    }
}

/// Applies at once, or is full.
struct Scribe {
    store: Arc<Store>,
    full: AtomicBool,
}

impl Writer for Scribe {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        if self.full.load(Ordering::Relaxed) {
            return Err(NotTaken::Later("the journal is full".to_owned()));
        }
        self.store
            .apply_change(self.store.applied() + 1, &change)
            .map_err(|error| NotTaken::Later(error.to_string()))?;
        Ok(())
    }
}

struct House {
    scribe: Arc<Scribe>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: String,
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), Options::default()).unwrap());
        Self { scribe: Arc::new(Scribe { store, full: AtomicBool::new(false) }), _folder: folder }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = Request::post(path).header("user-agent", "Telegraf/1.30.0 Go/1.22.1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let routes = router(self.scribe.store.clone(), Arc::new(Door), self.scribe.clone());
        let response = routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, retry_after, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// The first output: form and gzip, with a name and a password.
    async fn version_1(&self, path: &str, lines: &str) -> Answer {
        let headers = [
            // "telegraf:both"
            ("authorization", "Basic dGVsZWdyYWY6Ym90aA=="),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-encoding", "gzip"),
        ];
        self.post(path, &headers, packed(lines)).await
    }

    async fn version_2(&self, token: &str, path: &str, lines: &str) -> Answer {
        let authorization = format!("Token {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("accept", "application/json"),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-encoding", "gzip"),
        ];
        self.post(path, &headers, packed(lines)).await
    }

    async fn create(&self) -> Answer {
        let headers =
            [("authorization", "Basic dGVsZWdyYWY6Ym90aA=="), ("content-type", "application/x-www-form-urlencoded")];
        self.post("/query", &headers, b"q=CREATE+DATABASE+%22telegraf%22".to_vec()).await
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

const LINES: &str = "cpu,cpu=cpu-total,host=web01 usage_idle=98.5,usage_user=1i 1700000000000000000\n\
                     system,host=web01 uptime_format=\"14 days, 11:07\" 1700000000000000000\n";

#[tokio::test]
async fn the_first_output_makes_its_database_and_writes() {
    let house = House::open();
    let before = house.version_1("/write?consistency=any&db=telegraf", LINES).await;
    assert_eq!((before.status, before.body.as_str()), (404, "{\"error\":\"database not found: \\\"telegraf\\\"\"}\n"));
    let made = house.create().await;
    assert_eq!((made.status, made.body.as_str()), (200, "{\"results\":[{\"statement_id\":0}]}\n"));
    // It does so at each start.
    assert_eq!(house.create().await.status, 200);
    let written = house.version_1("/write?consistency=any&db=telegraf", LINES).await;
    assert_eq!((written.status, written.body.as_str()), (204, ""));
    let stats = house.scribe.store.stats().unwrap();
    assert_eq!((stats.streams, stats.head_values), (2, 3));
}

#[tokio::test]
async fn the_first_output_hears_the_words_for_what_is_lost_for_good() {
    let house = House::open();
    house.create().await;
    let cases = [
        ("/write?db=telegraf", "cpu usage=1 1\ncpu", 400, "unable to parse"),
        ("/write?db=telegraf", "cpu usage=\"x\" 1\ncpu other=1 1", 400, "partial write"),
        ("/write?db=telegraf&rp=nosuch", "cpu usage=1 1", 500, "retention policy not found"),
    ];
    house.version_1("/write?db=telegraf", "cpu usage=1 1").await;
    for (path, lines, status, words) in cases {
        let answer = house.version_1(path, lines).await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer.status, status, "{lines}");
        assert!(body["error"].as_str().unwrap().contains(words), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_second_output_writes_to_a_bucket_and_hears_when_to_come_back() {
    let house = House::open();
    house.create().await;
    let path = "/api/v2/write?bucket=telegraf&org=school";
    assert_eq!(house.version_2("writer", path, LINES).await.status, 204);
    assert_eq!(house.version_2("writer", "/api/v2/write?bucket=telegraf/autogen&org=school", LINES).await.status, 204);
    assert_eq!(house.version_2("writer", "/api/v2/write?bucket=nosuch&org=school", LINES).await.status, 404);
    // Kept and tried again.
    assert_eq!(house.version_2("guess", path, LINES).await.status, 401);
    assert_eq!(house.version_2("reader", path, LINES).await.status, 403);
    // Dropped.
    assert_eq!(house.version_2("writer", path, "cpu").await.status, 400);
    // Split in halves.
    let large = "cpu usage=1 1\n".repeat(2_000_000);
    assert_eq!(house.version_2("writer", path, &large).await.status, 413);
    house.scribe.full.store(true, Ordering::Relaxed);
    let later = house.version_2("writer", path, LINES).await;
    assert_eq!((later.status, later.retry_after.as_deref()), (503, Some("1")));
}

#[tokio::test]
async fn a_token_does_what_it_may_and_no_more() {
    let house = House::open();
    house.create().await;
    let ask = async |token: &str, body: &str| {
        let headers = [("authorization", token), ("content-type", "application/x-www-form-urlencoded")];
        house.post("/query?db=telegraf", &headers, body.as_bytes().to_vec()).await
    };
    assert_eq!(ask("Bearer reader", "q=SHOW+DATABASES").await.status, 200);
    assert_eq!(ask("Token writer", "q=SHOW+DATABASES").await.status, 403);
    let refused = ask("Token reader", "q=DROP+DATABASE+telegraf").await;
    assert!(refused.body.contains("not allowed to write"), "{}", refused.body);
    assert_eq!(house.version_2("writer", "/write?db=telegraf", LINES).await.status, 204);
    let by_parameters = house.post("/write?db=telegraf&u=x&p=writer", &[], b"cpu v=1 1".to_vec()).await;
    assert_eq!(by_parameters.status, 204);
}
