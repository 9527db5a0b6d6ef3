//! The peers, as Debian packages them, with what they are asked for at each interval.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bellwether_tests::collector::free;
use bellwether_tests::program::Program;
use bellwether_tests::wait;
use tempfile::TempDir;

use super::process::Watched;
use super::{Cost, INTERVAL, size_mib};

/// What Telegraf-like agents read by default, of what collectd has.
const PLUGINS: [&str; 12] =
    ["cpu", "df", "disk", "entropy", "interface", "irq", "load", "memory", "processes", "swap", "uptime", "users"];
const PLUGIN_FOLDER: &str = "/usr/lib/collectd";

/// The most that one datagram of collectd holds.
const DATAGRAM_BYTES: usize = 65_536;

/// Of collectd's binary protocol: the part that holds values, and the bytes of a part's head.
const VALUES_PART: u16 = 0x0006;
const PART_HEAD_BYTES: usize = 4;

/// How long a peer may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server would ask a Linux host for: the items of Zabbix' own template, without discovery.
const KEYS: [&str; 50] = [
    "agent.ping",
    "agent.version",
    "agent.hostname",
    "kernel.maxfiles",
    "kernel.maxproc",
    "proc.num",
    "proc.num[,,run]",
    "system.boottime",
    "system.uptime",
    "system.localtime",
    "system.cpu.intr",
    "system.cpu.switches",
    "system.cpu.num",
    "system.hostname",
    "system.uname",
    "system.cpu.load[all,avg1]",
    "system.cpu.load[all,avg5]",
    "system.cpu.load[all,avg15]",
    "system.cpu.util[,user]",
    "system.cpu.util[,system]",
    "system.cpu.util[,idle]",
    "system.cpu.util[,iowait]",
    "system.cpu.util[,nice]",
    "system.cpu.util[,softirq]",
    "system.cpu.util[,interrupt]",
    "system.cpu.util[,steal]",
    "system.cpu.util[,guest]",
    "system.cpu.util[,guest_nice]",
    "system.swap.size[,total]",
    "system.swap.size[,free]",
    "system.swap.size[,pfree]",
    "system.users.num",
    "vm.memory.size[total]",
    "vm.memory.size[available]",
    "vm.memory.size[pavailable]",
    "vm.memory.size[free]",
    "vm.memory.size[cached]",
    "vm.memory.size[buffers]",
    "vfs.fs.size[/,total]",
    "vfs.fs.size[/,used]",
    "vfs.fs.size[/,pused]",
    "vfs.fs.size[/,free]",
    "vfs.fs.inode[/,pfree]",
    "vfs.fs.inode[/,used]",
    "net.if.in[lo]",
    "net.if.in[lo,errors]",
    "net.if.in[lo,dropped]",
    "net.if.out[lo]",
    "net.if.out[lo,errors]",
    "net.if.out[lo,dropped]",
];

/// A peer that runs.
pub(super) struct Peer {
    name: &'static str,
    files: Vec<PathBuf>,
    program: Program,
    watched: Watched,
    ask: Ask,
    counted: Counted,
    _room: Option<TempDir>,
}

/// What went over the line since counting began.
#[derive(Clone, Copy, Default)]
struct Counted {
    bytes: u64,
    values: u64,
}

/// How its values are got.
enum Ask {
    /// It sends them; a thread counts.
    Listen(Arc<(AtomicU64, AtomicU64)>),
    /// One request for all.
    Scrape(SocketAddr),
    /// One connection for each.
    Keys(SocketAddr),
}

/// Starts them all.
pub(super) fn start() -> Vec<Peer> {
    vec![collectd(), node_exporter(), zabbix_agent2()]
}

fn collectd() -> Peer {
    let room = tempfile::tempdir().expect("a temporary folder");
    let sink = UdpSocket::bind("127.0.0.1:0").expect("the loopback has a free port");
    let port = sink.local_addr().expect("a bound port has a number").port();
    let folder = room.path().display();
    let mut text = format!(
        "Hostname \"pc-001\"\nBaseDir \"{folder}\"\nPIDFile \"{folder}/pid\"\nPluginDir \"{PLUGIN_FOLDER}\"\n\
         TypesDB \"/usr/share/collectd/types.db\"\nInterval {}\nLoadPlugin network\n\
         <Plugin network>\n  Server \"127.0.0.1\" \"{port}\"\n</Plugin>\n",
        INTERVAL.as_secs()
    );
    PLUGINS.iter().for_each(|plugin| text.push_str(&format!("LoadPlugin {plugin}\n")));
    let config = room.path().join("collectd.conf");
    fs::write(&config, text).expect("a folder takes a file");
    let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let counting = Arc::clone(&counts);
    thread::spawn(move || {
        let mut datagram = vec![0; DATAGRAM_BYTES];
        while let Ok(length) = sink.recv(&mut datagram) {
            counting.0.fetch_add(length as u64, Ordering::Relaxed);
            counting.1.fetch_add(values_of_collectd(&datagram[..length]), Ordering::Relaxed);
        }
    });
    let plugins = PLUGINS.iter().chain(&["network"]);
    let mut files: Vec<PathBuf> = plugins.map(|name| format!("{PLUGIN_FOLDER}/{name}.so").into()).collect();
    files.push("/usr/sbin/collectd".into());
    let program = Program::start("collectd", Command::new("collectd").arg("-f").arg("-C").arg(&config));
    Peer::new("collectd", files, program, Ask::Listen(counts), Some(room))
}

/// A datagram is parts: type, length and what it holds; a part of values begins with their number.
fn values_of_collectd(mut parts: &[u8]) -> u64 {
    let mut values = 0;
    while let [kind, kind_low, length, length_low, ..] = *parts {
        let length = usize::from(u16::from_be_bytes([length, length_low]));
        if length < PART_HEAD_BYTES || length > parts.len() {
            break;
        }
        if u16::from_be_bytes([kind, kind_low]) == VALUES_PART && length >= PART_HEAD_BYTES + 2 {
            values += u64::from(u16::from_be_bytes([parts[4], parts[5]]));
        }
        parts = &parts[length..];
    }
    values
}

fn node_exporter() -> Peer {
    let address = free();
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address={address}"));
    let program = Program::start("prometheus-node-exporter", &mut command);
    let files = vec!["/usr/bin/prometheus-node-exporter".into()];
    Peer::new("prometheus-node-exporter", files, program, Ask::Scrape(address), None)
}

fn zabbix_agent2() -> Peer {
    let room = tempfile::tempdir().expect("a temporary folder");
    let address = free();
    let folder = room.path().display();
    let text = format!(
        "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={}\nHostname=pc-001\nLogType=console\nPidFile={folder}/pid\n\
         ControlSocket={folder}/control\nPluginSocket={folder}/plugin\n",
        address.port()
    );
    let config = room.path().join("agent.conf");
    fs::write(&config, text).expect("a folder takes a file");
    let program = Program::start("zabbix_agent2", Command::new("zabbix_agent2").arg("-f").arg("-c").arg(&config));
    Peer::new("zabbix-agent2", vec!["/usr/sbin/zabbix_agent2".into()], program, Ask::Keys(address), Some(room))
}

impl Peer {
    fn new(name: &'static str, files: Vec<PathBuf>, mut program: Program, ask: Ask, room: Option<TempDir>) -> Self {
        if let Ask::Scrape(address) | Ask::Keys(address) = ask {
            wait::until(name, PATIENCE, || match program.ended() {
                Some(status) => panic!("{name} ended: {status}: {}", program.text()),
                None => TcpStream::connect(address).map_err(|error| error.to_string()),
            });
        }
        let watched = Watched::new(program.id());
        Self { name, files, program, watched, ask, counted: Counted::default(), _room: room }
    }

    /// Forgets what was counted while it warmed up.
    pub(super) fn begin(&mut self) {
        assert!(self.program.ended().is_none(), "{} ended: {}", self.name, self.program.text());
        self.watched = Watched::new(self.program.id());
        self.counted = Counted::default();
        if let Ask::Listen(counts) = &self.ask {
            counts.0.store(0, Ordering::Relaxed);
            counts.1.store(0, Ordering::Relaxed);
        }
    }

    /// Asks it as its server would, and looks at it.
    pub(super) fn poll(&mut self) {
        let got = match &self.ask {
            Ask::Listen(counts) => {
                Counted { bytes: counts.0.swap(0, Ordering::Relaxed), values: counts.1.swap(0, Ordering::Relaxed) }
            }
            Ask::Scrape(address) => scrape(*address),
            Ask::Keys(address) => KEYS.iter().map(|key| zabbix_get(*address, key)).fold(Counted::default(), add),
        };
        self.counted = add(self.counted, got);
        self.watched.look();
    }

    #[expect(clippy::cast_precision_loss, reason = "figures are read to three digits")]
    pub(super) fn cost(&self, span: Duration) -> Cost {
        let values = self.counted.values as f64;
        Cost {
            name: self.name,
            rss_mib: self.watched.rss_mib(),
            anon_mib: self.watched.anon_mib(),
            slope_kib_per_min: self.watched.slope_kib_per_min(),
            cpu_s_per_min: self.watched.cpu_s_per_min(span),
            values_per_interval: values / (span.as_secs_f64() / INTERVAL.as_secs_f64()),
            binary_mib: size_mib(&self.files),
            wire_bytes_per_value: self.counted.bytes as f64 / values,
        }
    }
}

fn add(one: Counted, other: Counted) -> Counted {
    Counted { bytes: one.bytes + other.bytes, values: one.values + other.values }
}

/// As Prometheus asks, but for the compression, which costs the other end time: the text is counted as it is.
fn scrape(address: SocketAddr) -> Counted {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nUser-Agent: Prometheus/2.42.0\r\nConnection: close\r\n\
         Accept: text/plain;version=0.0.4\r\n\r\n"
    );
    let answer = exchange(address, request.as_bytes());
    let text = String::from_utf8_lossy(&answer);
    let samples = text.lines().filter(|line| line.starts_with(char::is_alphabetic) && !line.contains(": ")).count();
    Counted { bytes: (request.len() + answer.len()) as u64, values: samples.saturating_sub(1) as u64 }
}

/// One passive check: `ZBXD`, a version, eight bytes of length, the key; the answer has the same form.
fn zabbix_get(address: SocketAddr, key: &str) -> Counted {
    let mut request = b"ZBXD\x01".to_vec();
    request.extend((key.len() as u64).to_le_bytes());
    request.extend(key.as_bytes());
    let answer = exchange(address, &request);
    let unsupported = answer.windows(16).any(|part| part == b"ZBX_NOTSUPPORTED");
    let values = u64::from(answer.starts_with(b"ZBXD") && !unsupported);
    Counted { bytes: (request.len() + answer.len()) as u64, values }
}

fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a running peer takes connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a limit");
    stream.write_all(request).expect("a running peer takes a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("a running peer answers");
    answer
}
