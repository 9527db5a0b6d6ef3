//! What the tests of all kinds use: a look by its words in the configuration, and servers that do harm.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bellwether_logic::sample::Value;
use bellwether_proto::schema::check;

use super::*;
use crate::config::Config;

/// The rows of one look.
#[derive(Debug)]
pub struct Rows(pub Looked);

impl Rows {
    /// A field of the first row that has it.
    pub fn value(&self, field: &str) -> Option<Value> {
        let fields = self.0.samples.iter().flat_map(|row| &row.fields);
        fields.filter(|(name, _)| name == field).map(|(_, value)| value.clone()).next()
    }

    pub fn number(&self, field: &str) -> Option<i64> {
        match self.value(field) {
            Some(Value::Integer(number)) => Some(number),
            _ => None,
        }
    }

    pub fn text(&self, field: &str) -> Option<String> {
        match self.value(field) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// The time of all looks.
pub const AT: Timestamp = Timestamp(1_800_000_000_000);

/// The configuration's text to a probe.
pub fn probe(kind: &str, table: &str, timeout: &str) -> Probe {
    let text = format!("[[probe]]\nkind = \"{kind}\"\nname = \"it\"\ntimeout = \"{timeout}\"\n{table}\n");
    let config = Config::parse(std::path::Path::new("agent.toml"), &text).unwrap();
    config.probes.into_iter().next().unwrap()
}

/// Looks, and holds the rows against what is declared and against what may leave.
pub async fn look_with(tools: Arc<Tools>, kind: &str, table: &str, timeout: &str) -> Rows {
    let probe = probe(kind, table, timeout);
    let What::Look(what) = &probe.what else { panic!("a ping is no look") };
    let looking = Looking { name: Arc::from("it"), at: AT, timeout: probe.fixed.timeout, tools };
    let looked = what.look(&looking).await;
    let declared: Vec<_> = measurements().collect();
    for row in &looked.samples {
        assert_eq!(check(&declared, row), Ok(()), "{row:?}");
        assert!(row.fields.is_sorted_by_key(|(name, _)| name.clone()), "{row:?}");
        assert!(!format!("{row:?}").contains("127.0.0.1"), "an address leaves: {row:?}");
        assert_eq!((row.target.as_str(), row.time), ("it", AT));
    }
    assert!(!looked.samples.is_empty(), "every look says something");
    Rows(looked)
}

pub async fn look_at(kind: &str, table: &str, timeout: &str) -> Rows {
    look_with(Arc::new(Tools::default()), kind, table, timeout).await
}

/// Its `result_code`.
pub fn code(rows: &Rows) -> i64 {
    rows.number("result_code").unwrap()
}

/// A port that takes connections and says nothing.
pub fn silent_server() -> (u16, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().port(), listener)
}

/// A server of one connection.
pub fn server(talk: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let (port, listener) = silent_server();
    thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            talk(stream);
        }
    });
    port
}

/// Reads until the other side has said `end`.
pub fn hear(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(end) && matches!(stream.read(&mut byte), Ok(1)) {
        said.push(byte[0]);
    }
    said
}

/// Says what it has as long as somebody listens.
pub fn pour(stream: &mut TcpStream, bytes: &[u8]) {
    while stream.write_all(bytes).is_ok() {}
}

fn refused(text: &str) -> String {
    Config::parse(std::path::Path::new("agent.toml"), text).unwrap_err().to_string()
}

#[test]
fn a_bad_target_is_named_with_key_value_and_what_was_expected() {
    for (text, expected) in [
        (
            "[[probe]]\nkind = \"smell\"\nname = \"kitchen\"",
            "agent.toml: probe \"kitchen\".kind = \"smell\": expected ping or dhcp, dns, http, pjlink, tcp, tls",
        ),
        (
            "[[probe]]\nkind = \"tcp\"\nname = \"printer\"\naddress = \"a b\"\nport = 1",
            "agent.toml: probe \"printer\".address = \"a b\": expected an IP address or a DNS name",
        ),
        (
            "[[probe]]\nkind = \"ping\"\nname = \"gateway\"\naddress = \"::1\"",
            "agent.toml: probe \"gateway\".name = \"gateway\": expected 1 to 64 letters, digits, blanks, dots, dashes or \
             underscores, and not \"gateway\" or \"dns-1\"",
        ),
        (
            "[[probe]]\nkind = \"http\"\nname = \"portal\"\nurl = \"ftp://a\"\ninterval = \"1s\"",
            "agent.toml: probe \"portal\".url = \"ftp://a\": expected a URL such as \"https://www.example.org/status\"",
        ),
        (
            "[[probe]]\nkind = \"tcp\"\nname = \"printer\"\naddress = \"::1\"\nport = 1\ntimeout = \"1h\"",
            "agent.toml: probe \"printer\".timeout = \"1h\": expected \"10ms\" to \"30s\"",
        ),
    ] {
        assert_eq!(refused(text), expected);
    }
    let unknown =
        refused("[[probe]]\nkind = \"tcp\"\nname = \"printer\"\naddress = \"::1\"\nport = 1\ncolour = \"red\"");
    assert!(unknown.contains("probe \"printer\"") && unknown.contains("unknown field `colour`"), "{unknown}");
}

#[test]
fn a_password_is_never_repeated() {
    let long = "x".repeat(40);
    let text = format!("[[probe]]\nkind = \"pjlink\"\nname = \"it\"\naddress = \"::1\"\npassword = \"{long}\"");
    assert!(!refused(&text).contains("xxx"));
    let projector = probe("pjlink", "address = \"192.0.2.1\"\npassword = \"JBMIAProjectorLink\"", "1s");
    let kea = probe("dhcp", "kea = \"http://192.0.2.1/\"\nuser = \"kea\"\npassword = \"JBMIAProjectorLink\"", "1s");
    let debug = format!("{projector:?} {kea:?}");
    assert!(!debug.contains("JBMIA") && !debug.contains("Basic"), "{debug}");
}

#[test]
fn a_closet_of_targets_is_taken_and_more_is_refused() {
    let target = |number: usize| {
        format!("[[ping]]\nname = \"t{number}\"\naddress = \"127.10.{}.{}\"\n", number / 250, number % 250)
    };
    let text: String = (0..settings::MAX_TARGETS).map(target).collect();
    let config = Config::parse(std::path::Path::new("agent.toml"), &text).unwrap();
    assert_eq!(config.probes.len(), settings::MAX_TARGETS);
    let more = format!("{text}{}", target(settings::MAX_TARGETS));
    assert_eq!(refused(&more), "agent.toml: probe = 20001 targets: expected at most 20000 targets");
}

#[test]
fn one_name_may_be_looked_at_in_several_ways_but_not_twice_in_one() {
    let tcp = "[[probe]]\nkind = \"tcp\"\nname = \"a\"\naddress = \"::1\"\nport = 1\n";
    let both = format!("{tcp}[[ping]]\nname = \"a\"\naddress = \"::1\"\n");
    assert!(Config::parse(std::path::Path::new("agent.toml"), &both).is_ok());
    assert!(refused(&format!("{tcp}{tcp}")).contains("a name that no other target of its kind has"));
}

#[test]
fn a_configured_target_is_small() {
    // What the module says: 200 bytes, the name's and the shared pointer's among them.
    let bytes = size_of::<Probe>() + 2 * size_of::<usize>() + "library-switch-12".len();
    assert!(bytes <= 200, "{bytes}");
}

#[test]
fn every_kind_has_a_word_of_its_own_and_no_two_say_the_same() {
    let words: HashSet<&str> = ALL.iter().map(|entry| entry.name).chain([ping::KIND]).collect();
    assert_eq!(words.len(), ALL.len() + 1);
    let names: Vec<&str> = measurements().map(|measurement| measurement.name).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
}
