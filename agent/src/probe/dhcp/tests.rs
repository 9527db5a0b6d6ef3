//! A Kea that answers over HTTP, and files of leases.

use std::io::Write;

use bellwether_logic::sample::Value;

use crate::probe::tests::{code, hear, look_at, server};

#[tokio::test]
async fn kea_tells_every_subnet() {
    let port = server(|mut stream| {
        let head = String::from_utf8(hear(&mut stream, b"\r\n\r\n")).unwrap();
        assert!(
            head.starts_with("POST / HTTP/1.1\r\n") && head.contains("authorization: Basic a2VhOnNlY3JldA==\r\n"),
            "{head}"
        );
        hear(&mut stream, b"}");
        let body = r#"[{"result":0,"arguments":{"result-set":{"columns":["subnet-id","total-addresses","assigned-addresses"],"rows":[[1,100,81],[2,200,10]]}}}]"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    let table = format!("kea = \"http://127.0.0.1:{port}/\"\nuser = \"kea\"\npassword = \"secret\"");
    let rows = look_at("dhcp", &table, "1s").await;
    assert_eq!(rows.0.samples.len(), 2);
    assert_eq!(rows.value("used_percent"), Some(Value::Float(81.0)));
    assert!(rows.0.samples[0].tags.contains(&("scope".into(), "1".to_owned())));
}

#[tokio::test]
async fn a_kea_without_the_hook_is_not_understood() {
    let port = server(|mut stream| {
        hear(&mut stream, b"}");
        let body = r#"[{"result":2,"text":"'stat-lease4-get' command not supported."}]"#;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    assert_eq!(code(&look_at("dhcp", &format!("kea = \"http://127.0.0.1:{port}/\""), "1s").await), 3);
}

#[tokio::test]
async fn a_file_of_leases_is_counted_and_nobodys_name_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dnsmasq.leases");
    std::fs::write(&path, "1800003600 02:00:00:00:00:01 10.0.0.10 pat-example-laptop *\n").unwrap();
    let table = |path: &std::path::Path| {
        format!("dnsmasq = \"{}\"\nfirst = \"10.0.0.10\"\nlast = \"10.0.0.13\"", path.display())
    };
    let rows = look_at("dhcp", &table(&path), "1s").await;
    assert_eq!((rows.number("assigned"), rows.number("total")), (Some(1), Some(4)));
    assert_eq!(rows.value("used_percent"), Some(Value::Float(25.0)));
    assert!(!format!("{rows:?}").contains("pat"), "{rows:?}");
    assert_eq!(code(&look_at("dhcp", &table(&folder.path().join("none")), "1s").await), 2);
}
