//! Name servers as they are and as they should not be, on loopback.

use std::io::{Read, Write};
use std::net::UdpSocket as StdUdpSocket;
use std::thread;

use proptest::prelude::*;
use simple_dns::ResourceRecord;
use simple_dns::rdata::A;

use super::*;
use crate::probe::tests::{Rows, code, look_at, silent_server};

fn reply(question: &[u8], addresses: u32, change: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
    let mut packet = Packet::parse(question).unwrap().into_reply();
    for address in 0..addresses {
        let data = RData::A(A { address: 0xc000_0250 + address });
        packet.answers.push(ResourceRecord::new(Name::new_unchecked("portal.example.org"), CLASS::IN, 60, data));
    }
    change(&mut packet);
    packet.build_bytes_vec().unwrap()
}

/// Answers one question with these messages.
fn server(port: u16, answers: impl FnOnce(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = StdUdpSocket::bind(("127.0.0.1", port)).unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        for answer in answers(&buffer[..length]) {
            socket.send_to(&answer, from).unwrap();
        }
    });
    port
}

async fn ask(port: u16, more: &str) -> Rows {
    let table = format!("server = \"127.0.0.1\"\nport = {port}\nquery = \"portal.example.org\"\n{more}");
    look_at("dns", &table, "1s").await
}

#[tokio::test]
async fn an_answer_is_told_and_the_expected_record_is_found() {
    let port = server(0, |question| vec![reply(question, 2, |_| {})]);
    let rows = ask(port, "expect = \"192.0.2.81\"").await;
    assert_eq!((code(&rows), rows.number("answers"), rows.number("rcode_value")), (0, Some(2), Some(0)));
    assert_eq!(rows.value("record_matched"), Some(Value::Boolean(true)));
    let port = server(0, |question| vec![reply(question, 1, |_| {})]);
    assert_eq!(code(&ask(port, "expect = \"192.0.2.99\"").await), 3);
}

#[tokio::test]
async fn a_servers_refusal_is_an_error_with_its_number() {
    let port =
        server(0, |question| vec![reply(question, 0, |packet| *packet.rcode_mut() = simple_dns::RCODE::NameError)]);
    let rows = ask(port, "").await;
    assert_eq!((code(&rows), rows.number("rcode_value")), (2, Some(3)));
}

#[tokio::test]
async fn garbage_wrong_ids_and_other_questions_answers_are_not_listened_to() {
    let port = server(0, |question| {
        let other = Packet::parse(question).unwrap().id().wrapping_add(1);
        vec![
            b"garbage".to_vec(),
            Vec::new(),
            reply(question, 1, |packet| packet.set_id(other)),
            reply(question, 1, |packet| packet.questions[0].qname = Name::new_unchecked("evil.example.org")),
            question.to_vec(),
            reply(question, 3, |_| {}),
        ]
    });
    assert_eq!(ask(port, "").await.number("answers"), Some(3));
}

#[tokio::test]
async fn silence_takes_no_longer_than_the_time() {
    let port = server(0, |_| vec![vec![0xff; 400]]);
    let rows = ask(port, "").await;
    assert_eq!((code(&rows), rows.0.unreached), (1, Some("127.0.0.1".parse().unwrap())));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_fetched_over_tcp() {
    let (port, listener) = silent_server();
    server(port, |question| vec![reply(question, 0, |packet| packet.set_flags(PacketFlag::TRUNCATION))]);
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).unwrap();
        let answer = reply(&question, 60, |_| {});
        let length = u16::try_from(answer.len()).unwrap();
        stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).unwrap();
    });
    assert_eq!(ask(port, "").await.number("answers"), Some(60));
}

#[test]
fn the_root_is_asked_for_by_an_empty_name() {
    let question = Dns::root("192.0.2.1".parse().unwrap()).question(7).unwrap();
    assert_eq!(question[..], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
}

proptest! {
    #[test]
    fn random_answers_do_no_harm(message in proptest::collection::vec(any::<u8>(), 0..600)) {
        let question = Dns::root("192.0.2.1".parse().unwrap()).question(7).unwrap();
        let mut answer = message;
        if answer.len() > 2 {
            answer[..2].copy_from_slice(&question[..2]);
        }
        let _ = Answer::parse(&answer, &question, 7);
    }
}
