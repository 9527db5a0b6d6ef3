//! The store's server is killed again and again while others write and delete: what it has acknowledged is there afterwards,
//! once, and what it has acknowledged as deleted is gone.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How often it is killed; as promised.
const KILLS: u32 = 200;
/// Of one write.
const LINES: u64 = 200;
/// So few that a round sees several checkpoints, and kills come in the midst of them.
const HEAD_VALUES: &str = "2000";
/// What it may live after its first answer, in milliseconds.
const LIVES: std::ops::Range<u64> = 5..120;

/// One source of points. Each point's value is its number and its time in microseconds.
struct Source {
    name: char,
    /// Deleted below this, and acknowledged.
    gone: u64,
    /// What a deletion may have taken of which no answer came.
    maybe_gone: u64,
    /// Written below this, and acknowledged.
    there: u64,
}

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(program())
            .args(["--listen", &address.to_string(), "--head-values", HEAD_VALUES, "--data"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "the server did not listen within a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example `serve`, which is built with the tests.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let built = own.ancestors().nth(2).unwrap().join("examples/serve");
    assert!(built.exists(), "{} is not built: cargo build -p bellwether-series --example serve", built.display());
    built
}

/// Status and body; none if the server was killed meanwhile.
fn post(address: SocketAddr, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let head = format!("POST {path} HTTP/1.0\r\nHost: store\r\n{form}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

fn ask(address: SocketAddr, question: &str) -> Option<Value> {
    let encoded: String = question.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let (status, body) = post(address, "/query?db=d&epoch=u", &format!("q={encoded}"))?;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).ok()?;
    assert!(answer["results"][0]["error"].is_null(), "{question}: {answer}");
    Some(answer)
}

impl Source {
    /// Writes and now and then deletes, until the server is gone.
    fn pour(&mut self, address: SocketAddr) {
        loop {
            let next = self.there + LINES;
            let line = |number| format!("m,source={} value={number}i {number}\n", self.name);
            let lines: String = (self.there..next).map(line).collect();
            match post(address, "/write?db=d&precision=u", &lines) {
                None => return,
                Some((status, body)) => assert_eq!(status, 204, "{body}"),
            }
            self.there = next;
            if next.is_multiple_of(10 * LINES) {
                let below = self.gone + LINES;
                self.maybe_gone = below;
                let name = self.name;
                if ask(address, &format!("DELETE FROM m WHERE source = '{name}' AND time < {below}u")).is_none() {
                    return;
                }
                self.gone = below;
            }
        }
    }

    /// Everything that was acknowledged is there once.
    fn check(&mut self, address: SocketAddr) {
        let (name, there) = (self.name, self.there);
        let condition = format!("source = '{name}' AND time < {there}u");
        let answer =
            ask(address, &format!("SELECT count(value), sum(value), min(value) FROM m WHERE {condition}")).unwrap();
        let row = &answer["results"][0]["series"][0]["values"][0];
        if there == self.gone {
            return assert!(row.is_null(), "source {name}: {answer}");
        }
        let first = row[3].as_u64().unwrap();
        assert!(first == self.gone || first == self.maybe_gone, "source {name}: {row}, deleted below {}", self.gone);
        self.gone = first;
        let sum: u64 = (first..there).sum();
        assert_eq!(
            (row[1].as_u64(), row[2].as_u64()),
            (Some(there - first), Some(sum)),
            "source {name}: {first} to {there}"
        );
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_there_twice_when_the_server_is_killed_two_hundred_times() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = ['a', 'b'].map(|name| Source { name, gone: 0, maybe_gone: 0, there: 0 });
    for round in 0..=KILLS {
        let server = Server::start(folder.path());
        let address = server.address;
        ask(address, "CREATE DATABASE d").unwrap();
        if round > 0 {
            sources.iter_mut().for_each(|source| source.check(address));
        }
        if round == KILLS {
            break;
        }
        std::thread::scope(|scope| {
            let pouring: Vec<_> = sources.iter_mut().map(|source| scope.spawn(|| source.pour(address))).collect();
            std::thread::sleep(Duration::from_millis(rand::random_range(LIVES)));
            server.kill();
            pouring.into_iter().for_each(|source| source.join().unwrap());
        });
    }
    let written: u64 = sources.iter().map(|source| source.there).sum();
    let deleted: u64 = sources.iter().map(|source| source.gone).sum();
    eprintln!("{KILLS} kills, {written} points written, {deleted} of them deleted");
    assert!(
        written > u64::from(KILLS) * LINES && deleted > 0,
        "{written} points in {KILLS} rounds: the test says nothing"
    );
}
