//! What InfluxDB's clients see of us.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{Change, FieldValue, NotTaken, Options, Point, Store, Writer};
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

    fn may_write(&self, credentials: &Credentials, database: &str) -> Result<(), Denied> {
        self.may_read(credentials, database).or(match credentials.secret() {
            Some("write-only") => Ok(()),
            _ => Err(Denied::Wrong),
        })
    }
}

/// Applies at once, without a journal.
struct Scribe(Arc<Store>);

impl Writer for Scribe {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        // What is written down is what is read again.
        let change = Change::decode(change.encode()).unwrap();
        self.0.apply_change(self.0.applied() + 1, &change).map_err(|error| NotTaken::Later(error.to_string()))?;
        Ok(())
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
        let scribe = Arc::new(Scribe(self.store.clone()));
        let response = router(self.store.clone(), Arc::new(Door), scribe).oneshot(request).await.unwrap();
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

impl House {
    async fn post(&self, path: &str, body: impl Into<Body>) -> (u16, String) {
        let request = Request::post(path).header("authorization", "Token sesame");
        let (response, body) = self.ask(request.body(body.into()).unwrap()).await;
        (response.status().as_u16(), body)
    }
}

#[tokio::test]
async fn lines_are_written_by_both_ways_and_what_is_wrong_is_said() {
    let house = house();
    let error = |text: &str| format!("{{\"error\":\"{text}\"}}\n");
    assert_eq!(house.post("/write?db=bellwether&precision=s", "m,host=w v=7 9").await, (204, String::new()));
    assert_eq!(
        house.post("/api/v2/write?bucket=bellwether/autogen&org=x&precision=ms", "m,host=w v=8 9500").await.0,
        204
    );
    let (_, body) = house.get("/query?db=bellwether&epoch=ms&q=SELECT+v+FROM+m+WHERE+host='w'").await;
    assert!(body.contains("[[9000,7],[9500,8]]"), "{body}");
    let cases = [
        ("/write", "m v=1", 400, error("database is required")),
        ("/write?db=x", "m v=1", 404, error("database not found: \\\"x\\\"")),
        ("/write?db=bellwether&rp=x", "m v=1", 500, error("retention policy not found: x")),
        (
            "/write?db=bellwether&precision=zz",
            "m v=1",
            400,
            error("invalid precision \\\"zz\\\" (use n, u, ms, s, m or h)"),
        ),
        ("/write?db=bellwether", "", 204, String::new()),
        ("/write?db=bellwether", "m", 400, error("unable to parse 'm': missing fields")),
        (
            "/write?db=bellwether",
            "m\nm v=1 1\nm v=",
            400,
            error(
                "partial write: unable to parse 'm': missing fields\\nunable to parse 'm v=': missing field value dropped=0",
            ),
        ),
        (
            "/write?db=bellwether",
            "m v=\"x\" 1\nm w=1 1",
            400,
            error(
                "partial write: field type conflict: input field \\\"v\\\" on measurement \\\"m\\\" is type string, already exists as type float dropped=1",
            ),
        ),
        ("/api/v2/write?org=x", "m v=1", 404, error("bucket \\\"\\\" not found")),
    ];
    for (path, lines, status, expected) in cases {
        assert_eq!(house.post(path, lines).await, (status, expected), "{path} {lines}");
    }
    // The good line beside the bad ones is there.
    let (_, body) = house.get("/query?db=bellwether&epoch=ms&q=SELECT+w+FROM+m").await;
    assert!(body.contains("\"values\":[[0,1]]"), "{body}");
}

#[tokio::test]
async fn packed_lines_are_unpacked_and_a_bomb_is_refused() {
    use std::io::Write;
    let house = house();
    let pack = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let ask = async |body: Vec<u8>| {
        let request = Request::post("/write?db=bellwether&precision=s").header("authorization", "Token sesame");
        let (response, body) = house.ask(request.header("content-encoding", "gzip").body(body.into()).unwrap()).await;
        (response.status().as_u16(), body)
    };
    assert_eq!(ask(pack(b"packed v=1 1")).await.0, 204);
    assert_eq!(ask(b"packed v=1 1".to_vec()).await.0, 400);
    assert_eq!(ask(pack(&vec![b'#'; 100_000_001])).await.0, 413);
    let too_long = house.post("/write?db=bellwether", vec![b'#'; 25_000_001]).await;
    assert_eq!(too_long.0, 413);
}

#[tokio::test]
async fn many_lines_are_cut_into_records_between_lines_and_all_are_there() {
    let house = house();
    let text: String = (0..90_000).map(|at| format!("many,host=h{} v=\"a\nb {at}\" {at}\n", at % 7)).collect();
    assert!(text.len() > 2 << 20);
    assert_eq!(house.post("/write?db=bellwether&precision=s", text).await, (204, String::new()));
    let (_, body) = house.get("/query?db=bellwether&epoch=ms&q=SELECT+count(v)+FROM+many").await;
    assert!(body.contains(",90000]"), "{body}");
}

#[tokio::test]
async fn nobody_writes_without_the_right_to() {
    let house = house();
    let ask = async |token: &str, path: &str| {
        let request = Request::post(path).header("authorization", format!("Token {token}"));
        house.ask(request.body("m v=1 1".into()).unwrap()).await.0.status().as_u16()
    };
    assert_eq!(ask("guess", "/write?db=bellwether").await, 401);
    assert_eq!(ask("guess", "/api/v2/write?bucket=bellwether").await, 401);
    assert_eq!(ask("write-only", "/write?db=bellwether").await, 204);
    assert_eq!(ask("write-only", "/query?db=bellwether&q=DROP+MEASUREMENT+m").await, 403);
}

#[tokio::test]
async fn a_change_by_get_is_carried_out_and_remarked_on() {
    let house = house();
    let (_, body) = house.get("/query?q=CREATE+DATABASE+new").await;
    assert!(body.contains("deprecated use of 'CREATE DATABASE new' in a read only context"), "{body}");
    assert!(house.get("/query?q=SHOW+DATABASES").await.1.contains("new"));
}

#[tokio::test]
async fn parameters_are_bound() {
    let house = house();
    let ask = async |params: &str| {
        let path = format!(
            "/query?db=bellwether&epoch=ms&q=SELECT+v+FROM+m+WHERE+host%3D%24h+AND+v+%3E%3D+%24least&params={params}"
        );
        house.get(&path).await.1
    };
    assert!(ask("%7B%22h%22:%22h%22,%22least%22:2.5%7D").await.contains("[[2000,2.5]]"));
    assert!(ask("%7B%22h%22:%22h%22,%22least%22:2%7D").await.contains("[[1000,2],[2000,2.5]]"));
    assert!(ask("%7B%22h%22:%22x%22,%22least%22:2%7D").await.contains("{\"statement_id\":0}"));
    assert!(ask("%7B%22h%22:%22x%22%7D").await.contains("missing parameter: least"));
    assert!(ask("nonsense").await.contains("error parsing query parameters"));
}
