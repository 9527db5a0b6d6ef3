//! The whole agent on captured machines that people have given their names to: mounts, network shares, sensors,
//! interfaces, processes, the hostname, and the wireless network at home. Every byte that it says is searched.

use std::fs;
use std::path::Path;
use std::process::Command;

use bellwether_logic::time::Timestamp;

use super::world::{MINUTE, World, pass};
use crate::run::reader::Reader;
use crate::source;

/// Of the captured machines, and planted here.
const PEOPLE: [&str; 2] = ["jane", "okafor"];

/// A share and a disk of a person, as the kernel lists them.
const MOUNTS: &str = "\
22 1 8:2 / / rw,relatime - ext4 /dev/sda2 rw\n\
30 22 8:49 / /home/jane rw - ext4 /dev/mapper/okafor--vg-home rw\n\
31 22 0:52 / /mnt/okafor rw - cifs //files.okafor.example/jane$ rw,username=jane,domain=OKAFOR\n\
32 22 0:53 / /net/jane rw - nfs4 nas-okafor:/export/jane rw\n\
33 22 8:65 / /media/jane/OKAFOR\\040USB rw - vfat /dev/disk/by-label/OKAFOR rw\n";

fn capture(world: &World, case: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(case).join("1/.");
    assert!(Command::new("cp").arg("-a").arg(from).arg(world.machine.path()).status().unwrap().success());
}

fn put(world: &World, path: &str, text: &str) {
    let path = world.machine.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// All that an agent says that reads all sources of this machine.
async fn said(mut world: World) -> Vec<u8> {
    world.read = |host, config| {
        let sources: Vec<_> = source::ALL.iter().map(|entry| entry.source(host, config)).collect();
        let sources = std::sync::Mutex::new(sources);
        Ok(Reader::at_once(move |time: Timestamp| {
            sources.lock().unwrap().iter_mut().map(|source| source::read(source.as_mut(), time)).collect()
        }))
    };
    world.run(async |_events| pass(3 * MINUTE).await).await;
    let heard = world.far.heard();
    assert!(heard.times("agent_source").len() >= source::ALL.len(), "all were read");
    heard.bytes.clone()
}

fn names(bytes: &[u8]) -> Vec<&'static str> {
    let lowered = bytes.to_ascii_lowercase();
    let wide = |name: &str| name.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<u8>>();
    let has = |part: &[u8]| lowered.windows(part.len()).any(|window| window == part);
    PEOPLE.into_iter().filter(|name| has(name.as_bytes()) || has(&wide(name)[..2 * name.len() - 1])).collect()
}

fn config(rest: &str) -> String {
    format!("ping_gateway = false\ndns_servers = false\n{rest}")
}

#[tokio::test(start_paused = true)]
async fn no_name_that_people_gave_their_machines_is_in_any_byte_that_is_sent() {
    let cases = [
        "battery/peripherals_alone",
        "disk/laptop",
        "diskio/laptop",
        "fans/dell_laptop",
        "inventory/laptop",
        "net/laptop",
        "net/server_of_containers",
        "processes/desktop",
        "protection/luks_and_clamav",
        "raid/pools",
        "temp/desktop_with_unused_inputs",
        "wireless/laptop_at_home",
    ];
    for case in cases {
        let world = World::new(&config(""));
        capture(&world, case);
        put(&world, "proc/sys/kernel/hostname", "Okafors-Laptop\n");
        put(&world, "etc/hostname", "Okafors-Laptop\n");
        if !case.starts_with("disk") && !case.starts_with("protection") {
            put(&world, "proc/self/mountinfo", MOUNTS);
        }
        assert_eq!(names(&said(world).await), <[&str; 0]>::default(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_admin_has_listed_is_found_by_the_same_search() {
    let world =
        World::new(&config("naming.hostname_pattern = \"??????s-Laptop\"\n[wireless]\nssids = [\"Jane's home\"]\n"));
    capture(&world, "wireless/laptop_at_home");
    put(&world, "proc/sys/kernel/hostname", "Okafors-Laptop\n");
    assert_eq!(names(&said(world).await), PEOPLE);
}
