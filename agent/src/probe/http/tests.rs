//! Servers as they are and as they should not be, on loopback.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::*;
use crate::probe::tests::{Rows, code, hear, look_at, pour, server, silent_server};

/// Answers one request with these bytes.
fn saying(answer: &'static str) -> u16 {
    server(move |mut stream| {
        hear(&mut stream, b"\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes());
    })
}

async fn ask(port: u16, more: &str) -> Rows {
    look_at("http", &format!("url = \"http://127.0.0.1:{port}/status\"\n{more}"), "1s").await
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nall systems go\n";

#[tokio::test]
async fn a_page_with_the_expected_text_is_good() {
    let rows = ask(saying(GOOD), "status = 200\nbody = \"systems go\"").await;
    assert_eq!((code(&rows), rows.number("http_response_code")), (0, Some(200)));
    assert_eq!(rows.number("response_string_match"), Some(1));
    assert_eq!(rows.number("content_length"), Some(15));
    assert!(rows.value("first_byte_time").is_some() && rows.value("response_time").is_some());
}

#[tokio::test]
async fn another_text_and_another_status_are_told_apart() {
    let text = ask(saying(GOOD), "body = \"all good\"").await;
    assert_eq!((code(&text), text.number("response_string_match")), (1, Some(0)));
    let status = ask(saying("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "status = 200").await;
    assert_eq!((code(&status), status.number("response_status_code_match")), (6, Some(0)));
}

#[tokio::test]
async fn only_as_many_redirects_are_followed_as_the_configuration_says() {
    let page = saying(GOOD);
    let redirect = move || {
        server(move |mut stream| {
            hear(&mut stream, b"\r\n\r\n");
            let _ =
                write!(stream, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{page}/\r\nContent-Length: 0\r\n\r\n");
        })
    };
    assert_eq!(ask(redirect(), "").await.number("http_response_code"), Some(302));
    assert_eq!(ask(redirect(), "redirects = 1").await.number("http_response_code"), Some(200));
}

#[tokio::test]
async fn a_redirect_to_itself_ends() {
    let (port, listener) = silent_server();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            hear(&mut stream, b"\r\n\r\n");
            let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /status\r\nContent-Length: 0\r\n\r\n");
        }
    });
    assert_eq!(ask(port, "redirects = 5").await.number("http_response_code"), Some(302));
}

#[tokio::test]
async fn a_server_that_never_answers_costs_no_more_than_the_time() {
    let (port, _listener) = silent_server();
    let started = Instant::now();
    assert_eq!(code(&ask(port, "").await), 4);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_drips_costs_no_more_than_the_time() {
    let port = server(|mut stream: TcpStream| {
        hear(&mut stream, b"\r\n\r\n");
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert!([3, 4].contains(&code(&ask(port, "").await)));
}

#[tokio::test]
async fn of_a_body_without_end_only_the_beginning_is_read() {
    let port = server(|mut stream| {
        hear(&mut stream, b"\r\n\r\n");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        pour(&mut stream, &[b'x'; 16 << 10]);
    });
    let rows = ask(port, "body = \"needle\"").await;
    assert_eq!((code(&rows), rows.number("content_length")), (1, Some(64 << 10)));
}

#[tokio::test]
async fn a_head_without_end_and_nonsense_are_no_answer() {
    let endless = server(|mut stream| {
        hear(&mut stream, b"\r\n\r\n");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        pour(&mut stream, b"X-Header: more and more and more\r\n");
    });
    assert_eq!(code(&ask(endless, "").await), 3);
    assert_eq!(code(&ask(saying("220 mail.example.org ESMTP\r\n"), "").await), 3);
    let cut = ask(saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), "").await;
    assert_eq!(code(&cut), 2);
    let refused = {
        let (port, _) = silent_server();
        port
    };
    assert_eq!(code(&ask(refused, "").await), 3);
}
