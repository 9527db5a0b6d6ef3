use super::*;
use std::path::Path;
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(50);

/// `/hangs` answers after the test is long over; `/broken` fails.
fn ask(path: &Path) -> std::io::Result<Space> {
    match path.to_str() {
        Some("/hangs") => loop {
            std::thread::park();
        },
        Some("/broken") => Err(std::io::Error::other("input/output error")),
        _ => Ok(Space { total: 100, free: 30, unused: 40, inodes_total: 0, inodes_free: 0 }),
    }
}

#[test]
fn a_hung_file_system_costs_one_wait_and_hides_nothing() {
    let mut asker = Asker::with_wait(ask, WAIT);
    let paths = || ["/", "/hangs", "/broken", "/srv"].map(PathBuf::from).to_vec();
    for _ in 0..3 {
        let answers = asker.ask(paths());
        let words: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Answer::Space(_) => "space",
                Answer::Error(_) => "error",
                Answer::Silence => "silence",
            })
            .collect();
        assert_eq!(words, ["space", "silence", "error", "space"]);
    }
}

#[test]
fn used_is_judged_against_what_programs_can_have() {
    let fields = fields(&Space { total: 100, free: 30, unused: 40, inodes_total: 0, inodes_free: 0 });
    assert!(fields.contains(&("used", Value::Integer(60))));
    assert!(fields.contains(&("used_percent", Value::Float(66.67))));
    assert!(!fields.iter().any(|(name, _)| name.starts_with("inodes")));
}

#[test]
fn a_service_that_may_write_nothing_does_not_report_its_file_systems_as_read_only() {
    let read_only = |line: &str| mounts::parse(line).unwrap().read_only;
    assert!(!read_only("36 35 8:1 / / ro,nosuid,relatime master:1 - ext4 /dev/sda1 rw,errors=remount-ro"));
    assert!(read_only("36 35 8:1 / / rw,relatime master:1 - ext4 /dev/sda1 ro,errors=remount-ro"));
}

/// Where `/sys/dev/block` leads on the captured laptop. Made here, because such names can't be checked out everywhere.
const BLOCK_DEVICES: &[(&str, &str)] = &[
    ("259:1", "pci0/nvme/nvme0n1/nvme0n1p1"),
    ("259:2", "pci0/nvme/nvme0n1/nvme0n1p2"),
    ("253:0", "virtual/block/dm-0"),
    ("8:17", "pci0/usb1/1-1/block/sdb/sdb1"),
    ("8:33", "pci0/block/sdc/sdc1"),
    ("8:49", "pci0/block/sdd/sdd1"),
];

fn machine(case: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/disk").join(case).join("1/proc/self/mountinfo");
    if let Ok(text) = std::fs::read(from) {
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        std::fs::write(root.path().join("proc/self/mountinfo"), text).unwrap();
    }
    let links = root.path().join("sys/dev/block");
    std::fs::create_dir_all(&links).unwrap();
    for (number, device) in BLOCK_DEVICES {
        std::fs::create_dir_all(root.path().join("sys/devices").join(device)).unwrap();
        std::os::unix::fs::symlink(Path::new("../../devices").join(device), links.join(number)).unwrap();
    }
    std::fs::write(root.path().join("sys/devices/pci0/block/sdc/removable"), "1\n").unwrap();
    root
}

/// The rows' tags of a captured machine, in order, and the problems.
fn rows(case: &str) -> (Vec<String>, Vec<Problem>) {
    let root = machine(case);
    let reading = Disk::new(Host::at(root.path()), &Config::default(), ask).read(Timestamp(0));
    let tags = |sample: &Sample| sample.tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let mut rows: Vec<String> = reading.samples.iter().map(|sample| tags(sample).join(" ")).collect();
    rows.sort();
    (rows, reading.problems)
}

#[test]
fn only_fixed_file_systems_are_told_and_only_by_names_that_say_nothing_of_anyone() {
    let (rows, problems) = rows("laptop");
    assert_eq!(
        rows,
        [
            "device=dm-0 fstype=xfs mode=ro path=/home",
            "device=nvme0n1p1 fstype=vfat mode=rw path=/boot/efi",
            "device=nvme0n1p2 fstype=ext4 mode=rw path=/",
            "device=sdd1 fstype=ext4 mode=rw path=sdd1",
            "device=sde1 fstype=btrfs mode=rw path=/data",
        ]
    );
    assert!(problems.is_empty());
}

#[test]
fn a_machine_without_fixed_disks_has_nothing_here() {
    for case in ["only_memory", "missing"] {
        let (rows, problems) = rows(case);
        assert!(rows.is_empty());
        assert_eq!(problems[0].kind, ProblemKind::NothingHere);
    }
}
