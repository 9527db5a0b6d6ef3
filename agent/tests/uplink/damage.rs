//! A state folder in which something has happened to one file: the agent runs as if it had never been there, or says which
//! file it is. It never panics and never hangs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bellwether_agent::run::whole_chain;
use bellwether_proto::v1::Contacts;

use super::collector::Told;
use super::{GOOD, NOW, enrolled, run};

/// Without these nobody knows who this machine is.
const NEEDED: [&str; 2] = ["agent.json", "credentials.pem"];

/// What the rest is good for can be had again.
const SPARED: [&str; 8] = [
    "trusted.pem",
    "remote.json",
    "places.json",
    "lock",
    "spool/acked",
    "spool/births",
    "spool/0000000000000001.spool",
    "spool/ffffffffffffffff.spool",
];

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 5] = [
    ("empty", |path| fs::write(path, "").unwrap()),
    ("garbage", |path| fs::write(path, [0xff, 0x00, b'{', 0x80, b'\n'].repeat(3_000)).unwrap()),
    ("half", |path| {
        let bytes = fs::read(path).unwrap_or_default();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a link to nowhere", |path| link(path)),
];

#[cfg(unix)]
fn link(path: &Path) {
    std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap();
}

#[cfg(not(unix))]
fn link(path: &Path) {
    fs::write(path, "nowhere").unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn damaged(whole: &Path, file: &str, (how, damage): (&str, Damage)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(whole, dir.path());
    let path = dir.path().join(file);
    if how != "half" {
        let _ = fs::remove_file(&path);
    }
    damage(&path);
    dir
}

#[tokio::test]
async fn what_can_be_had_again_is_done_without() {
    let (dir, authority, collector) = enrolled(NOW, GOOD).await;
    let cas = vec![authority.ca().to_vec()];
    collector.behave(|manner| manner.contacts = vec![Contacts { cas, endpoints: vec!["there.example:1".to_owned()] }]);
    let agent = run(dir.path());
    collector.wait_until("a batch came", |told| !told.batches.is_empty()).await;
    agent.kill().await;
    for file in SPARED {
        // Nothing can be locked by a link to nowhere: that is said, below.
        let damages = DAMAGES.into_iter().filter(|(how, _)| (file, *how) != ("lock", "a link to nowhere"));
        let damaged: Vec<_> = damages.map(|damage| damaged(dir.path(), file, damage)).collect();
        let before = generations(&collector.told.borrow());
        let agents: Vec<_> = damaged.iter().map(|dir| run(dir.path())).collect();
        let what = format!("all agents came whose {file} was damaged");
        collector.wait_until(&what, |told| generations(told).difference(&before).count() == agents.len()).await;
        for agent in agents {
            agent.kill().await;
        }
    }
}

fn generations(told: &Told) -> BTreeSet<u64> {
    told.hellos.iter().map(|hello| hello.generation).collect()
}

#[tokio::test]
async fn what_is_needed_is_named() {
    let (dir, _authority, _collector) = enrolled(NOW, GOOD).await;
    for file in NEEDED.into_iter().chain(["lock"]) {
        for damage in DAMAGES {
            if file == "lock" && damage.0 != "a link to nowhere" {
                continue;
            }
            let dir = damaged(dir.path(), file, damage);
            let ended = tokio::time::timeout(std::time::Duration::from_secs(20), run(dir.path()).task).await;
            let error = ended.unwrap_or_else(|_| panic!("{file}, {}: it runs", damage.0)).unwrap().unwrap_err();
            let text = whole_chain(&error);
            // A link to nowhere is as good as no file.
            let says = text.contains(file) || text.contains("is not enrolled") || text.contains("certificate and key");
            assert!(says && !text.contains('\n'), "{file}, {}: {text}", damage.0);
        }
    }
}
