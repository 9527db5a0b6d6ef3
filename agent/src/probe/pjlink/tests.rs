//! Projectors in the shapes of the standard.

use std::io::Write;

use super::*;
use crate::probe::tests::{Rows, code, hear, look_at, pour, server, silent_server};

/// A projector that greets, and answers each question with what `answer` says.
fn projector(greeting: &'static str, answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    server(move |mut stream| {
        let _ = stream.write_all(greeting.as_bytes());
        loop {
            let question = String::from_utf8(hear(&mut stream, b"\r")).unwrap();
            if question.is_empty() || stream.write_all(format!("{}\r", answer(&question)).as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// What a projector that is on says.
fn on(question: &str) -> String {
    let (word, value) = match question.trim_start_matches("%1").trim_end() {
        "POWR ?" => ("POWR", "1"),
        "ERST ?" => ("ERST", "000020"),
        "LAMP ?" => ("LAMP", "1234 1 77 0"),
        "INPT ?" => ("INPT", "31"),
        "AVMT ?" => ("AVMT", "31"),
        other => panic!("asked {other}"),
    };
    format!("%1{word}={value}")
}

async fn ask(port: u16, more: &str) -> Rows {
    look_at("pjlink", &format!("address = \"127.0.0.1\"\nport = {port}\n{more}"), "1s").await
}

#[tokio::test]
async fn a_projector_without_a_password_tells_how_it_is() {
    let rows = ask(projector("PJLINK 0\r", on), "").await;
    let number = |field| rows.number(field);
    assert_eq!((code(&rows), number("power"), number("input")), (0, Some(1), Some(31)));
    assert_eq!((number("lamp_hours"), number("lamps"), number("lamps_on")), (Some(1_234), Some(2), Some(1)));
    assert_eq!((number("error_filter"), number("error_fan"), number("error_other")), (Some(2), Some(0), Some(0)));
    assert_eq!(rows.value("mute_video"), Some(Value::Boolean(true)));
    assert_eq!(rows.value("failure"), Some(Value::Boolean(false)));
}

#[tokio::test]
async fn a_password_is_proven_once_and_never_said() {
    // The example of the standard.
    const DIGEST: &str = "5d8409bc1c3fa39749434aa3a5c38682";
    let checked = |question: &str| match question.strip_prefix(DIGEST) {
        Some(rest) => on(rest),
        None if question.starts_with("%1POWR") => "PJLINK ERRA".to_owned(),
        None => on(question),
    };
    let right = ask(projector("PJLINK 1 498e4a67\r", checked), "password = \"JBMIAProjectorLink\"").await;
    assert_eq!((code(&right), right.number("power")), (0, Some(1)));
    let wrong = ask(projector("PJLINK 1 498e4a67\r", |_| "PJLINK ERRA".to_owned()), "password = \"wrong\"").await;
    assert_eq!((code(&wrong), wrong.number("power")), (3, None));
    let none = ask(projector("PJLINK 1 498e4a67\r", checked), "").await;
    assert_eq!(code(&none), 3);
}

#[tokio::test]
async fn a_projector_in_standby_that_will_not_tell_is_no_fault() {
    let standby = |question: &str| match question.trim_end() {
        "%1POWR ?" => "%1POWR=0".to_owned(),
        "%1INPT ?" => "%1INPT=ERR3".to_owned(),
        "%1AVMT ?" => "%1AVMT=ERR3".to_owned(),
        "%1LAMP ?" => "%1LAMP=ERR1".to_owned(),
        other => on(other),
    };
    let rows = ask(projector("PJLINK 0\r", standby), "").await;
    assert_eq!((code(&rows), rows.number("power"), rows.number("input")), (0, Some(0), None));
    assert_eq!(rows.value("failure"), Some(Value::Boolean(false)));
}

#[tokio::test]
async fn a_projector_that_says_that_it_failed_is_heard() {
    let failed = |question: &str| match question.trim_end() {
        "%1ERST ?" => on(question),
        other => format!("{}=ERR4", &other[..6]),
    };
    let rows = ask(projector("PJLINK 0\r", failed), "").await;
    assert_eq!(code(&rows), 0);
    assert_eq!(rows.value("failure"), Some(Value::Boolean(true)));
}

#[tokio::test]
async fn what_is_no_projector_is_not_understood() {
    assert_eq!(code(&ask(projector("SSH-2.0-OpenSSH\r", on), "").await), 4);
    assert_eq!(code(&ask(projector("PJLINK 0\r", |_| "%1POWR=maybe".to_owned()), "").await), 4);
    assert_eq!(code(&ask(projector("PJLINK 0\r", |_| "%1LAMP=1 1".to_owned()), "").await), 4);
    assert_eq!(code(&ask(server(|mut stream| pour(&mut stream, b"PJLINK PJLINK ")), "").await), 4);
    let (port, _silent) = silent_server();
    assert_eq!(code(&ask(port, "").await), 1);
}
