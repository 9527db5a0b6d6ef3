//! The system's DNS servers.

use std::net::IpAddr;

use crate::host::Host;

/// What the resolver library itself looks at.
const SERVERS_MAX: usize = 3;

/// The list that programs use, and the real servers behind systemd's local one.
const FILES: [&str; 2] = ["etc/resolv.conf", "run/systemd/resolve/resolv.conf"];

/// The servers in the order in which the system asks them; those on this machine itself only if there are no others.
#[must_use]
pub fn find(host: &Host) -> Vec<IpAddr> {
    let mut servers = ask_system().unwrap_or_else(|| read(host));
    servers.truncate(SERVERS_MAX);
    servers
}

#[cfg(windows)]
fn ask_system() -> Option<Vec<IpAddr>> {
    Some(crate::windows::name_servers())
}

/// Here they are read from a file.
#[cfg(not(windows))]
const fn ask_system() -> Option<Vec<IpAddr>> {
    None
}

fn read(host: &Host) -> Vec<IpAddr> {
    let lists = FILES.iter().filter_map(|file| host.read(file).ok()).map(|text| parse(&text));
    let lists: Vec<Vec<IpAddr>> = lists.filter(|list| !list.is_empty()).collect();
    let real = lists.iter().find(|list| !list.iter().all(IpAddr::is_loopback));
    real.or_else(|| lists.first()).cloned().unwrap_or_default()
}

/// Addresses with a scope are left out: they need the name of an interface, and a router is asked as the gateway.
fn parse(text: &str) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() == Some("nameserver")
            && let Some(server) = words.next().and_then(|word| word.parse().ok())
            && !servers.contains(&server)
        {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_behind_the_local_one() {
        let machine = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = machine.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let host = Host::at(machine.path());
        assert!(find(&host).is_empty());
        write(FILES[0], "# made by systemd-resolved\nnameserver 127.0.0.53\noptions edns0\n");
        assert_eq!(find(&host), ["127.0.0.53".parse::<IpAddr>().unwrap()]);
        write(FILES[1], "nameserver 192.0.2.53\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver fd00::53\n");
        let expected: Vec<IpAddr> = vec!["192.0.2.53".parse().unwrap(), "fd00::53".parse().unwrap()];
        assert_eq!(find(&host), expected);
    }

    #[test]
    fn nonsense_names_no_server() {
        assert!(parse("nameserver\nnameserver x\nserver 192.0.2.1\n").is_empty());
    }
}
