//! Files of leases: dnsmasq's (`EXPIRY MAC ADDRESS NAME CLIENT`, one a line) and ISC dhcpd's (`dhcpd.leases(5)`, a log in
//! which the last entry of an address counts).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::Path;

/// Of a log that is never tidied up no more is read: a scope of 65,536 addresses, each renewed twice.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Of longer lines the rest is taken for a line of its own, which says nothing.
const LINE_BYTES_MAX: u64 = 4 << 10;
/// Addresses of a scope: a byte for each is kept while the file is read.
const SCOPE_MAX: u64 = 65_536;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// dnsmasq.
    Dnsmasq,
    /// ISC dhcpd.
    Dhcpd,
}

/// The addresses of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    last: u32,
}

impl Range {
    /// None if it is empty or too large.
    #[must_use]
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        let range = Self { first: first.into(), last: last.into() };
        (range.first <= range.last && range.len() <= SCOPE_MAX).then_some(range)
    }

    /// How many addresses there are.
    #[must_use]
    pub const fn len(self) -> u64 {
        (self.last - self.first) as u64 + 1
    }

    fn place(self, address: &str) -> Option<usize> {
        let address: u32 = address.parse::<Ipv4Addr>().ok()?.into();
        (self.first..=self.last).contains(&address).then(|| (address - self.first) as usize)
    }
}

/// How many addresses of the scope are given out at `now`, in seconds of the Unix clock.
///
/// # Errors
/// When the file can't be read.
pub fn count(path: &Path, format: Format, range: Range, now: i64) -> io::Result<u64> {
    count_in(BufReader::new(File::open(path)?.take(FILE_BYTES_MAX)), format, range, now)
}

fn count_in(mut file: impl BufRead, format: Format, range: Range, now: i64) -> io::Result<u64> {
    let mut taken = vec![false; usize::try_from(range.len()).unwrap_or(0)];
    let mut current = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(taken.iter().filter(|taken| **taken).count() as u64);
        }
        // Names of devices may be in any encoding.
        let text = String::from_utf8_lossy(&line);
        let words: Vec<&str> =
            text.split([' ', ';', '\t', '\n', '\r']).filter(|word| !word.is_empty()).take(5).collect();
        match (format, &words[..]) {
            (Format::Dnsmasq, [expiry, _, address, ..]) => {
                let holds = expiry.parse::<i64>().is_ok_and(|expiry| expiry == 0 || expiry > now);
                if let Some(place) = range.place(address).filter(|_| holds) {
                    taken[place] = true;
                }
            }
            (Format::Dhcpd, ["lease", address, "{"]) => current = range.place(address),
            (Format::Dhcpd, ["binding", "state", state]) => {
                if let Some(place) = current {
                    taken[place] = *state == "active";
                }
            }
            (Format::Dhcpd, ["}"]) => current = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> Range {
        Range::new(Ipv4Addr::new(10, 0, 0, 10), Ipv4Addr::new(10, 0, 0, 19)).unwrap()
    }

    const DNSMASQ: &str = "\
1800003600 02:00:00:00:00:01 10.0.0.10 chromebook-17 01:02:00:00:00:00:01
1799990000 02:00:00:00:00:02 10.0.0.11 * *
0 02:00:00:00:00:03 10.0.0.12 printer *
1800003600 02:00:00:00:00:04 10.0.9.1 elsewhere *
duid 00:01:00:01:2a:00:00:00:02:00:00:00:00:01
";

    const DHCPD: &str = "\
# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;

lease 10.0.0.10 {
  starts 4 2026/11/19 08:00:00;
  ends 4 2026/11/19 16:00:00;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:00:01;
  client-hostname \"chromebook-17\";
}
lease 10.0.0.11 {
  binding state active;
}
lease 10.0.0.11 {
  binding state free;
}
lease 10.0.9.1 {
  binding state active;
}
";

    #[test]
    fn what_holds_is_counted_once_and_only_inside_the_scope() {
        let count = |text: &str, format| count_in(text.as_bytes(), format, range(), 1_800_000_000).unwrap();
        assert_eq!(count(DNSMASQ, Format::Dnsmasq), 2);
        assert_eq!(count(DHCPD, Format::Dhcpd), 1, "the last entry of an address counts");
        assert_eq!(count("\u{fffd} nonsense\n}\nbinding state active;\n", Format::Dhcpd), 0);
    }

    #[test]
    fn a_scope_has_a_size() {
        assert_eq!(range().len(), 10);
        assert_eq!(Range::new(Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 1)), None);
        assert_eq!(Range::new(Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(10, 1, 0, 0)), None);
    }
}
