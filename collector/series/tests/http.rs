//! What InfluxDB's clients see of us.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{FieldValue, Options, Point, Store};
use tower::ServiceExt;

/// One token may read, one may not, and the door is open to nobody else.
struct Door;

impl Authorizer for Door {
    fn may_read(&self, credentials: &Credentials, _database: &str) -> Result<(), Denied> {
        match credentials.secret() {
            None => Err(Denied::Missing),
            Some("sesame") => Ok(()),
            Some("write-only") => Err(Denied::Forbidden),
            Some(_) => Err(Denied::Wrong),
        }
    }
}

struct House {
    store: Arc<Store>,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let point = |time: i64, value| Point {
        measurement: "m".into(),
        tags: vec![("host".into(), "h".into())],
        time: time * 1_000_000_000,
        fields: vec![("v".into(), FieldValue::Float(value))],
    };
    store.apply(1, "bellwether", &[point(1, 2.0), point(2, 2.5)]).unwrap();
    House { store: Arc::new(store), _folder: folder }
}

impl House {
    async fn ask(&self, request: Request<Body>) -> (Response<()>, String) {
        let response = router(self.store.clone(), Arc::new(Door)).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("authorization", "Token sesame");
        let (response, body) = self.ask(request.body(Body::empty()).unwrap()).await;
        (response.status(), body)
    }
}

#[tokio::test]
async fn grafana_asks_by_get_and_by_form() {
    let house = house();
    let expected = "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"time\",\"v\"],\"values\":[[1000,2],[2000,2.5]]}]}]}\n";
    let get = house.get("/query?db=bellwether&epoch=ms&q=SELECT+v+FROM+m").await;
    assert_eq!(get, (StatusCode::OK, expected.to_owned()));
    let form = Request::post("/query?db=bellwether&epoch=ms")
        .header("authorization", "Basic ZzpzZXNhbWU=")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("q=SELECT%20v%20FROM%20m"))
        .unwrap();
    let (response, body) = house.ask(form).await;
    assert_eq!(body, expected);
    for header in ["x-influxdb-version", "x-influxdb-build", "request-id"] {
        assert!(response.headers().contains_key(header), "{header}");
    }
    assert_eq!(response.headers()["content-type"], "application/json");
    // The influx shell: everything in the address of a POST without a body.
    let shell = Request::post("/query?db=bellwether&epoch=ms&q=SELECT+v+FROM+m&u=x&p=sesame");
    assert_eq!(house.ask(shell.body(Body::empty()).unwrap()).await.1, expected);
}

#[tokio::test]
async fn times_are_text_without_an_epoch() {
    let (_, body) = house().get("/query?db=bellwether&q=SELECT+v+FROM+m+LIMIT+1").await;
    assert!(body.contains("[\"1970-01-01T00:00:01Z\",2]"), "{body}");
    let (_, body) = house().get("/query?db=bellwether&pretty=true&q=SHOW+DATABASES").await;
    assert!(body.contains("\n  "), "{body}");
}

#[tokio::test]
async fn what_goes_wrong_has_influxdbs_status_and_text() {
    let house = house();
    let cases = [
        ("/query?db=bellwether", 400, "{\"error\":\"missing required parameter \\\"q\\\"\"}\n"),
        (
            "/query?db=bellwether&q=SELECT",
            400,
            "{\"error\":\"error parsing query: found EOF, expected identifier, string, number, bool at line 1, char 8\"}\n",
        ),
        (
            "/query?db=x&q=SELECT+v+FROM+m",
            200,
            "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: x\"}]}\n",
        ),
        ("/query?db=bellwether&q=%3B", 200, "{\"results\":[{\"statement_id\":0}]}\n"),
        ("/query?db=bellwether&q=SELECT+v+FROM+nosuch", 200, "{\"results\":[{\"statement_id\":0}]}\n"),
    ];
    for (path, status, expected) in cases {
        let (got, body) = house.get(path).await;
        assert_eq!((got.as_u16(), body.as_str()), (status, expected), "{path}");
    }
}

#[tokio::test]
async fn nobody_reads_without_the_right_secret() {
    let house = house();
    let ask = async |header: &str| {
        let mut request = Request::get("/query?db=bellwether&q=SHOW+DATABASES");
        if !header.is_empty() {
            request = request.header("authorization", header);
        }
        let (response, body) = house.ask(request.body(Body::empty()).unwrap()).await;
        (response.status().as_u16(), response.headers().contains_key("www-authenticate"), body)
    };
    let missing = "{\"error\":\"unable to parse authentication credentials\"}\n";
    assert_eq!(ask("").await, (401, true, missing.to_owned()));
    assert_eq!(ask("Digest x").await, (401, true, missing.to_owned()));
    let wrong = "{\"error\":\"authorization failed\"}\n";
    assert_eq!(ask("Token guess").await, (401, true, wrong.to_owned()));
    assert_eq!(ask("Bearer write-only").await.0, 403);
    assert_eq!(ask("Bearer sesame").await.0, 200);
}

#[tokio::test]
async fn ping_and_health_need_no_secret() {
    let house = house();
    let ask = async |path: &str| house.ask(Request::get(path).body(Body::empty()).unwrap()).await;
    let (response, body) = ask("/ping").await;
    assert_eq!((response.status(), body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert!(response.headers()["x-influxdb-version"].to_str().unwrap().starts_with("1.8."));
    assert!(ask("/ping?verbose=true").await.1.starts_with("{\"version\":\"1.8."));
    assert!(ask("/health").await.1.contains("\"status\":\"pass\""));
}
