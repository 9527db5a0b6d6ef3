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
