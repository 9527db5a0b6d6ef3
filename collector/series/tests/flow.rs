//! How answers reach a client: as JSON, in pieces, as CSV, packed; and what happens when it goes away. The texts are those of a real
//! InfluxDB 1.6.7.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, HttpBody, to_bytes};
use axum::http::{Request, Response, StatusCode};
use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{Change, NotTaken, Options, Precision, QueryLimits, Store, Writer, lines};
use tower::ServiceExt;

/// Everybody may read.
struct Open;

impl Authorizer for Open {
    fn may_read(&self, _: &Credentials, _: &str) -> Result<(), Denied> {
        Ok(())
    }

    fn may_write(&self, _: &Credentials, _: &str) -> Result<(), Denied> {
        Err(Denied::Forbidden)
    }
}

struct Nobody;

impl Writer for Nobody {
    fn commit(&self, _: Change) -> Result<(), NotTaken> {
        Err(NotTaken::Never("nobody writes".to_owned()))
    }
}

struct House {
    store: Arc<Store>,
    routes: axum::Router,
    _folder: tempfile::TempDir,
}

const LINES: &str = "cpu,host=a,re=x\\,y v=1,i=3i,s=\"he said \\\"hi\\\", ok\",b=true 1
cpu,host=b v=2.5,i=4i 2
cpu,host=b v=1e30,s=\"multi
line\" 3
mem,host=q\\ r f=1 4
";

fn house(text: &str, query: QueryLimits) -> House {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { databases: vec!["x".to_owned()], query, ..Options::default() };
    let store = Arc::new(Store::open(folder.path(), options).unwrap());
    let points: Vec<_> = lines(text.as_bytes(), Precision::Seconds, 0).map(|line| line.unwrap().point).collect();
    store.apply(1, "x", &points).unwrap();
    let routes = router(store.clone(), Arc::new(Open), Arc::new(Nobody));
    House { store, routes, _folder: folder }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

impl House {
    async fn ask(&self, question: &str, more: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::get(format!("/query?db=x&q={}{more}", encoded(question)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn text(&self, question: &str, more: &str, headers: &[(&str, &str)]) -> (StatusCode, String, String) {
        let response = self.ask(question, more, headers).await;
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn tables_are_written_as_influxdb_writes_them() {
    let house = house(LINES, QueryLimits::default());
    let cases = [
        (
            "SELECT * FROM cpu",
            "",
            "name,tags,time,b,host,i,re,s,v\ncpu,,1000000000,true,a,3,\"x,y\",\"he said \"\"hi\"\", ok\",1\n\
             cpu,,2000000000,,b,4,,,2.5\ncpu,,3000000000,,b,,,\"multi\nline\",1000000000000000000000000000000\n",
        ),
        (
            "SELECT * FROM cpu GROUP BY *; SELECT f FROM mem GROUP BY host; SHOW DATABASES",
            "&epoch=ms",
            "name,tags,time,b,i,s,v\ncpu,\"host=a,re=x\\,y\",1000,true,3,\"he said \"\"hi\"\", ok\",1\n\
             cpu,host=b,2000,,4,,2.5\ncpu,host=b,3000,,,\"multi\nline\",1000000000000000000000000000000\n\n\
             name,tags,time,f\nmem,host=q\\ r,4000,1\n\nname,tags,name\ndatabases,,x\n",
        ),
        ("SELECT v FROM nosuch", "", ""),
        ("SELECT v FROM nosuch; SHOW DATABASES", "", "name,tags,name\ndatabases,,x\n"),
        (
            "SHOW FIELD KEYS; SHOW SERIES",
            "&chunked=true&chunk_size=1",
            "name,tags,fieldKey,fieldType\ncpu,,b,boolean\ncpu,,i,integer\ncpu,,s,string\ncpu,,v,float\nmem,,f,float\n\n\
             name,tags,key\n,,\"cpu,host=a,re=x\\,y\"\n,,\"cpu,host=b\"\n,,\"mem,host=q\\ r\"\n",
        ),
        // InfluxDB says nothing of the second statement.
        (
            "SELECT f FROM mem; SELECT f FROM y.autogen.mem",
            "",
            "name,tags,time,f\nmem,,4000000000,1\n\nerror\ndatabase not found: y\n",
        ),
    ];
    for (question, more, expected) in cases {
        for kind in ["application/csv", "text/csv"] {
            let (status, kind, body) = house.text(question, more, &[("accept", kind)]).await;
            assert_eq!((status, kind.as_str(), body.as_str()), (StatusCode::OK, "text/csv", expected), "{question}");
        }
    }
    let bad =
        "error\n\"error parsing query: found EOF, expected identifier, string, number, bool at line 1, char 8\"\n";
    let (status, kind, body) = house.text("SELECT", "", &[("accept", "text/csv")]).await;
    assert_eq!((status, kind.as_str(), body.as_str()), (StatusCode::BAD_REQUEST, "text/csv", bad));
    let (_, kind, _) = house.text("SHOW DATABASES", "", &[("accept", "text/csv, application/json")]).await;
    assert_eq!(kind, "application/json");
}

#[tokio::test]
async fn pieces_say_whether_more_of_the_series_and_of_the_statement_comes() {
    let house = house(LINES, QueryLimits::default());
    let question = "SELECT b, s FROM cpu GROUP BY host; SHOW FIELD KEYS FROM mem; SELECT v FROM nosuch; \
                    SELECT f FROM y.autogen.cpu; SELECT f FROM mem";
    let expected = r#"{"results":[{"statement_id":0,"series":[{"name":"cpu","tags":{"host":"a"},"columns":["time","b","s"],"values":[[1,true,"he said \"hi\", ok"]]}],"partial":true}]}
{"results":[{"statement_id":0,"series":[{"name":"cpu","tags":{"host":"b"},"columns":["time","b","s"],"values":[[3,null,"multi\nline"]]}]}]}
{"results":[{"statement_id":1,"series":[{"name":"mem","columns":["fieldKey","fieldType"],"values":[["f","float"]]}]}]}
{"results":[{"statement_id":2}]}
{"results":[{"statement_id":3,"error":"database not found: y"}]}
{"results":[{"statement_id":4,"error":"not executed"}]}
"#;
    let (_, _, body) = house.text(question, "&epoch=s&chunked=true&chunk_size=1", &[]).await;
    assert_eq!(body, expected);
    let three = |size: &str| {
        let more = format!("&epoch=s&chunked=true&chunk_size={size}");
        let house = &house;
        async move { house.text("SELECT v FROM cpu", &more, &[]).await.2 }
    };
    let row = |row: &str, partial: bool| {
        let (series, result) = if partial { (",\"partial\":true", ",\"partial\":true") } else { ("", "") };
        format!(
            "{{\"results\":[{{\"statement_id\":0,\"series\":[{{\"name\":\"cpu\",\"columns\":[\"time\",\"v\"],\"values\":[{row}]{series}}}]{result}}}]}}\n"
        )
    };
    assert_eq!(three("1").await, row("[1,1]", true) + &row("[2,2.5]", true) + &row("[3,1e+30]", false));
    assert_eq!(three("2").await, row("[1,1],[2,2.5]", true) + &row("[3,1e+30]", false));
    for size in ["3", "x", "-1", ""] {
        assert_eq!(three(size).await, row("[1,1],[2,2.5],[3,1e+30]", false), "{size}");
    }
}

#[tokio::test]
async fn people_get_indents() {
    let house = house(LINES, QueryLimits::default());
    let object = |row: &str, partial: [&str; 2]| {
        let [series, result] = partial;
        format!(
            r#"{{
    "results": [
        {{
            "statement_id": 0,
            "series": [
                {{
                    "name": "cpu",
                    "columns": [
                        "time",
                        "i"
                    ],
                    "values": [
                        [
                            {row}
                        ]
                    ]{series}
                }}
            ]{result}
        }}
    ]
}}
"#
        )
    };
    let partial = [",\n                    \"partial\": true", ",\n            \"partial\": true"];
    let (_, _, body) = house.text("SELECT i FROM cpu LIMIT 1", "&epoch=s&pretty=true", &[]).await;
    assert_eq!(body, object("1,\n                            3", ["", ""]));
    let (_, _, body) = house.text("SELECT i FROM cpu", "&epoch=s&pretty=true&chunked=true&chunk_size=1", &[]).await;
    let expected =
        object("1,\n                            3", partial) + &object("2,\n                            4", ["", ""]);
    assert_eq!(body, expected);
    let (_, _, body) = house.text("SELECT", "&pretty=true", &[]).await;
    assert!(body.starts_with("{\n    \"error\": \"error parsing query"), "{body}");
}

#[tokio::test]
async fn who_can_unpack_gets_a_packed_answer() {
    let house = house(LINES, QueryLimits::default());
    let plain = house.text("SELECT * FROM cpu", "", &[]).await.2;
    for accepted in ["gzip", "deflate, gzip;q=1.0, *;q=0.5"] {
        let response = house.ask("SELECT * FROM cpu", "", &[("accept-encoding", accepted)]).await;
        assert_eq!(response.headers()["content-encoding"], "gzip");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain);
    }
    for refused in ["identity", "gzip;q=0", ""] {
        let response = house.ask("SELECT * FROM cpu", "", &[("accept-encoding", refused)]).await;
        assert!(!response.headers().contains_key("content-encoding"), "{refused}");
    }
}

/// More rows than may wait on the way to a client.
fn many() -> String {
    (0..120_000).map(|at| format!("m,h=h{} v={at} {at}\n", at % 3)).collect()
}

#[tokio::test]
async fn rows_flow_in_order_however_many_there_are() {
    let house = house(&many(), QueryLimits { max_rows: 10, ..QueryLimits::default() });
    house.store.seal_all().unwrap();
    let (_, _, body) = house.text("SELECT v FROM m", "&epoch=s", &[]).await;
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let rows = answer["results"][0]["series"][0]["values"].as_array().unwrap();
    assert_eq!(rows.len(), 120_000);
    assert!(rows.iter().enumerate().all(|(at, row)| row[0] == at && row[1] == at));
    let (_, _, body) = house.text("SELECT v FROM m ORDER BY time DESC LIMIT 50000 OFFSET 50000", "&epoch=s", &[]).await;
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let rows = answer["results"][0]["series"][0]["values"].as_array().unwrap();
    assert_eq!(rows.len(), 50_000);
    assert!(rows.iter().enumerate().all(|(at, row)| row[1] == 69_999 - at));
}

#[tokio::test]
async fn a_limit_in_the_middle_is_an_error_in_an_answer_that_can_be_read() {
    let house = house(&many(), QueryLimits { max_flowing_rows: 50_000, ..QueryLimits::default() });
    let (status, _, body) = house.text("SELECT v FROM m; SELECT v FROM m", "", &[]).await;
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["results"][0]["error"], "max-select-point limit exceeded: (50001/50000)");
    assert_eq!(answer["results"][1]["error"], "not executed");
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_query() {
    let house = house(&many(), QueryLimits { max_concurrent: 1, ..QueryLimits::default() });
    let mut response = house.ask("SELECT v FROM m", "", &[]).await;
    let first = std::future::poll_fn(|cx| std::pin::Pin::new(response.body_mut()).poll_frame(cx)).await;
    assert!(first.unwrap().unwrap().into_data().unwrap().starts_with(b"{\"results\":[{"));
    assert_eq!(house.store.stats().unwrap().interrupted_queries, 0);
    drop(response);
    // There is one place, and the next query has it only when the one before is gone.
    let (_, _, body) = house.text("SELECT count(v) FROM m", "", &[]).await;
    assert!(body.contains("120000"), "{body}");
    assert_eq!(house.store.stats().unwrap().interrupted_queries, 1);
}
