//! A real `influxd` on a port of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What it may take of memory.
const MAX_KIB: u32 = 4 << 20;

pub struct Peer {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Peer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, backup) = (free(), free());
        let place = folder.path().display();
        let configuration = format!(
            "reporting-disabled = true\nbind-address = \"{backup}\"\n[meta]\ndir = \"{place}/meta\"\n[data]\n\
             dir = \"{place}/data\"\nwal-dir = \"{place}/wal\"\nquery-log-enabled = false\n[http]\n\
             bind-address = \"{address}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n[logging]\nlevel = \"error\"\n"
        );
        let file = folder.path().join("influxd.conf");
        std::fs::write(&file, configuration).unwrap();
        // Some questions make it take all the memory there is.
        let limited = format!("ulimit -v {MAX_KIB}; exec influxd -config {}", file.display());
        let process = Command::new("sh")
            .args(["-c", &limited])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("influxd of the Debian package influxdb");
        let peer = Self { process, address, _folder: folder };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "influxd did not listen within a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
        peer
    }

    pub fn write(&self, database: &str, lines: &str) {
        self.post("/query", &format!("q=CREATE DATABASE {database}"));
        let answer = self.post(&format!("/write?db={database}&precision=s"), lines);
        assert_eq!(answer, "", "influxd took the lines");
    }

    /// Makes a database of this content alone.
    pub fn renew(&self, database: &str, lines: &str) {
        for verb in ["DROP", "CREATE"] {
            self.post("/query", &format!("q={verb} DATABASE {database}"));
        }
        assert_eq!(self.post(&format!("/write?db={database}"), lines), "", "influxd took the lines");
    }

    pub fn ask_with_epoch(&self, database: &str, epoch: &str, question: &str) -> Value {
        let encoded: String = question.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.post(&format!("/query?db={database}&epoch={epoch}"), &format!("q={encoded}"));
        serde_json::from_str(&answer).unwrap_or(Value::String(answer))
    }

    pub fn ask(&self, database: &str, question: &str) -> Value {
        self.ask_with_epoch(database, "s", question)
    }

    /// The body of the answer.
    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let form = "Content-Type: application/x-www-form-urlencoded";
        let length = body.len();
        let head = format!("POST {path} HTTP/1.0\r\nHost: peer\r\n{form}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.trim_end().to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
