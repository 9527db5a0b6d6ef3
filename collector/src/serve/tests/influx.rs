//! The collector before a strict InfluxDB of our own making: it looks at every request, keeps what it takes, and fails in
//! every way that it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bellwether_series::{Precision, lines};
use flate2::read::GzDecoder;

use super::site::{Site, disk};
use crate::influx::BATCH_POINTS;
use crate::influx::rejects;
use crate::state::people::Role;

const TOKEN: &str = "remote-sesame";

/// How long what should take moments may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What it does to a request instead of taking it.
#[derive(Clone, Copy, Debug)]
enum Trick {
    Status(u16),
    RetryAfter(u16, u64),
    /// Takes the points, and the line breaks before anyone hears of it.
    TakenAndCut,
    /// A part of an answer.
    Half,
}

#[derive(Default)]
struct Seen {
    /// Value by bucket, series, field and time; the last write stands.
    stored: BTreeMap<(String, String, i64), String>,
    tricks: VecDeque<Trick>,
    /// When a request came, and what became of it.
    writes: Vec<(Instant, u16)>,
    /// Questions, as they came.
    asked: Vec<String>,
    /// What was not as it should be.
    faults: Vec<String>,
}

#[derive(Clone)]
struct Fake {
    seen: Arc<Mutex<Seen>>,
    address: std::net::SocketAddr,
}

impl Fake {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { seen: Arc::default(), address: listener.local_addr().unwrap() };
        let routes = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        fake
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn tricks(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.seen().tricks.extend(tricks);
    }

    /// Values of a bucket whose series and field contain this, by time.
    fn values(&self, bucket: &str, series: &str) -> Vec<(i64, String)> {
        let seen = self.seen();
        let of = seen.stored.iter().filter(|((at, name, _), _)| at == bucket && name.contains(series));
        of.map(|((_, _, time), value)| (*time, value.clone())).collect()
    }

    fn config(&self, kind: &str) -> String {
        let address = self.address;
        format!(
            "[store]\nkind = \"{kind}\"\n[store.influxdb]\nurl = \"http://{address}/base\"\norg = \"district\"\n\
             bucket = \"health/year\"\ntoken = \"{TOKEN}\"\n"
        )
    }

    async fn until(&self, what: &str, done: impl Fn(&Seen) -> bool) {
        let limit = Instant::now() + SOON;
        while !done(&self.seen()) {
            assert!(Instant::now() < limit, "waited for {what}; {:?}", self.seen().writes);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.seen().faults, Vec::<String>::new());
    }
}

async fn serve(State(fake): State<Fake>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 26).await.unwrap();
    match head.uri.path() {
        "/base/ping" => (StatusCode::NO_CONTENT, [("x-influxdb-version", "v2.7.11")]).into_response(),
        "/base/api/v2/write" => write(&fake, &head.uri, &head.headers, &body),
        "/base/query" => ask(&fake, &head.headers, &body),
        other => {
            fake.seen().faults.push(format!("a request at {other}"));
            StatusCode::NOT_FOUND.into_response()
        }
    }
}

fn ask(fake: &Fake, headers: &HeaderMap, body: &Bytes) -> Response {
    let mut seen = fake.seen();
    if headers.get(header::AUTHORIZATION).is_none_or(|token| token != &format!("Token {TOKEN}")[..]) {
        seen.faults.push("a question without our token".into());
    }
    seen.asked.push(String::from_utf8_lossy(body).into_owned());
    if let Some(Trick::Status(status)) = seen.tricks.pop_front() {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let row = "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"time\",\"v\"],\"values\":[[5,7.5]]}]}]}\n";
    ([(header::CONTENT_TYPE, "application/json")], row).into_response()
}

fn write(fake: &Fake, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let url = reqwest::Url::parse(&format!("http://fake{uri}")).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let mut seen = fake.seen();
    let expected = [
        (headers.get(header::CONTENT_ENCODING).is_some_and(|it| it == "gzip"), "not packed"),
        (headers.get(header::AUTHORIZATION).is_some_and(|it| it == &format!("Token {TOKEN}")[..]), "not our token"),
        (headers.contains_key(header::CONTENT_LENGTH), "no length"),
        (query.get("precision").is_some_and(|it| it == "ns"), "another precision"),
        (query.get("org").is_some_and(|it| it == "district"), "another organization"),
    ];
    let faults = expected.into_iter().filter(|(is_so, _)| !is_so).map(|(_, fault)| fault.to_owned());
    seen.faults.extend(faults);
    let mut text = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    let status = outcome(&mut seen, &query["bucket"], &text);
    seen.writes.push((Instant::now(), status.0));
    status.1
}

/// As InfluxDB 2.x: a body with a bad line is refused whole, and the line's number is said.
fn outcome(seen: &mut Seen, bucket: &str, text: &str) -> (u16, Response) {
    let trick = seen.tricks.pop_front();
    match trick {
        Some(Trick::Status(status)) => return (status, StatusCode::from_u16(status).unwrap().into_response()),
        Some(Trick::RetryAfter(status, seconds)) => {
            let wait = [(header::RETRY_AFTER, seconds.to_string())];
            return (status, (StatusCode::from_u16(status).unwrap(), wait).into_response());
        }
        Some(Trick::Half) => {
            let pieces = [Ok("{\"code\":\"inv"), Err(std::io::Error::other("cut"))];
            let body = Body::from_stream(futures_util::stream::iter(pieces));
            return (0, (StatusCode::BAD_REQUEST, body).into_response());
        }
        Some(Trick::TakenAndCut) | None => {}
    }
    let points: Vec<_> = lines(text.as_bytes(), Precision::Nanoseconds, 0).collect();
    if points.len() > BATCH_POINTS {
        seen.faults.push(format!("{} points at once", points.len()));
    }
    for (at, line) in points.iter().enumerate() {
        let Ok(line) = line else {
            seen.faults.push(format!("a line that nobody can read: {line:?}"));
            continue;
        };
        if line.point.fields.iter().any(|(name, _)| name == "poison") {
            let body = format!("{{\"code\":\"invalid\",\"message\":\"no poison here\",\"line\":{}}}", at + 1);
            return (400, (StatusCode::BAD_REQUEST, body).into_response());
        }
    }
    for line in points.into_iter().flatten() {
        let tags: Vec<_> = line.point.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        for (name, value) in &line.point.fields {
            let series = format!("{} {} {name}", line.point.measurement, tags.join(","));
            seen.stored.insert((bucket.to_owned(), series, line.point.time), format!("{value:?}"));
        }
    }
    if matches!(trick, Some(Trick::TakenAndCut)) {
        let pieces = [Err::<&str, _>(std::io::Error::other("cut"))];
        return (0, (StatusCode::OK, Body::from_stream(futures_util::stream::iter(pieces))).into_response());
    }
    (204, StatusCode::NO_CONTENT.into_response())
}

fn admin(site: &Site) -> String {
    let state = &site.running().app.state;
    state.add_api_token("admin", Role::Admin, site.now(), None).unwrap().reveal().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_reaches_the_influxdb_whatever_it_answers() {
    let fake = Fake::start().await;
    let site = Site::start_with(&fake.config("both")).await;
    let secret = admin(&site);
    let machine = site.machine().await;
    fake.tricks([Trick::Status(500), Trick::Half, Trick::TakenAndCut, Trick::Status(413), Trick::RetryAfter(503, 2)]);
    let mut stream = site.stream(&machine, 1).await.unwrap();
    let now = site.now();
    let readings = [disk(now - Duration::from_secs(60), 40.0), disk(now, 41.5)];
    stream.batch(1, &readings).await;
    stream.acknowledged().await.unwrap();
    assert_eq!(site.request_with("POST", "/query?q=CREATE+DATABASE+telegraf", Some(&secret), "").await.0, 200);
    let text = "cpu v=1 1700000000\ncpu v=2 1700000001\ncpu poison=3 1700000002\ncpu v=4 1700000000";
    assert_eq!(site.request_with("POST", "/write?db=telegraf&precision=s", Some(&secret), text).await.0, 204);
    fake.until("all points", |seen| seen.stored.len() >= 8 && seen.writes.last().is_some_and(|last| last.1 == 204))
        .await;
    let own: Vec<_> = fake.values("health/year", "used_percent").into_iter().map(|(_, value)| value).collect();
    assert_eq!(own, ["Float(40.0)", "Float(41.5)"]);
    assert!(fake.values("health/year", &format!("device_id={}", machine.device)).len() >= 6);
    let others = fake.values("telegraf", "cpu");
    let expected = [(1_700_000_000_000_000_000, "Float(4.0)"), (1_700_000_001_000_000_000, "Float(2.0)")];
    assert_eq!(
        others,
        expected.map(|(time, value)| (time, value.to_owned())),
        "the last write stands, the bad line is gone"
    );
    let rejected = std::fs::read_to_string(site.data().join(rejects::FILE)).unwrap();
    assert!(
        rejected.contains("telegraf: no poison here") && rejected.contains("cpu poison=3.0 1700000002000000000\n"),
        "{rejected}"
    );
    assert_eq!(rejected.lines().count(), 2, "{rejected}");
    let writes = fake.seen().writes.clone();
    let busy = writes.iter().position(|(_, status)| *status == 503).unwrap();
    assert!(writes[busy + 1].0 - writes[busy].0 >= Duration::from_secs(2), "it was left alone for as long as it asked");
    // What it has is not sent again after a restart, and what comes while no server answers is not lost.
    let before = fake.seen().stored.clone();
    let site = site.restart().await;
    let mut stream = site.stream(&machine, 2).await.unwrap();
    fake.tricks([Trick::Status(401)]);
    stream.batch(1, &[disk(now + Duration::from_secs(60), 42.0)]).await;
    stream.acknowledged().await.unwrap();
    fake.until("the refusal", |seen| seen.writes.last().is_some_and(|last| last.1 == 401)).await;
    let troubles = || site.running().app.health.troubles();
    while troubles().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(troubles()[0].1.contains("it refuses our token (401"), "{:?}", troubles());
    assert_eq!(fake.seen().stored, before);
    assert!(
        site.query("SELECT count(used_percent) FROM disk").await.contains(",3]"),
        "the embedded store has them all"
    );
    let site = site.restart().await;
    fake.until("the last point", |seen| seen.stored.len() > before.len()).await;
    assert!(site.running().app.health.troubles().is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_go_to_the_influxdb_under_our_own_tokens_and_its_secret_stays_here() {
    let fake = Fake::start().await;
    let site = Site::start_with(&fake.config("influxdb")).await;
    let viewer = site.running().app.state.add_api_token("viewer", Role::Viewer, site.now(), None).unwrap();
    let ask = async |secret: &str, query: &str| {
        site.get(&format!("/query?db=bellwether&epoch=ms&q={query}"), Some(secret)).await
    };
    let answer = ask(viewer.reveal(), "SELECT+v+FROM+m").await;
    assert!(answer.0 == 200 && answer.1.contains("[[5,7.5]]"), "{answer:?}");
    assert_eq!(fake.seen().asked, ["q=SELECT+v+FROM+m&epoch=ms&db=health&rp=year"]);
    assert_eq!(ask("guess", "SELECT+v+FROM+m").await.0, 401);
    assert_eq!(ask(viewer.reveal(), "SELECT+v+FROM+m%3BDROP+MEASUREMENT+m").await.0, 403);
    assert_eq!(ask(viewer.reveal(), "SELEKT").await.0, 400);
    let refused = ask(viewer.reveal(), "CREATE+DATABASE+x").await.1;
    assert!(refused.contains("not allowed to write"), "{refused}");
    assert_eq!(fake.seen().asked.len(), 1, "none of these went to the server");
    fake.tricks([Trick::Status(401)]);
    let wrong = ask(viewer.reveal(), "SELECT+v+FROM+m").await;
    assert!(wrong.0 == 502 && wrong.1.contains("refuses the collector's token"), "{wrong:?}");
    assert!(!wrong.1.contains(TOKEN));
    // Statements about databases are carried out here, for the door, and sent on.
    let secret = admin(&site);
    assert_eq!(site.request_with("POST", "/query?q=CREATE+DATABASE+telegraf", Some(&secret), "").await.0, 200);
    assert_eq!(site.request_with("POST", "/write?db=telegraf", Some(&secret), "cpu v=1 5").await.0, 204);
    fake.until("the point", |seen| !seen.stored.is_empty()).await;
    assert_eq!(fake.values("telegraf", "cpu"), [(5, "Float(1.0)".to_owned())]);
    assert!(fake.seen().asked.iter().any(|asked| asked == "db=&q=CREATE+DATABASE+telegraf"));
    assert_eq!(site.running().series.stats().unwrap().streams, 0, "points are kept there alone");
    site.stop().await;
}
