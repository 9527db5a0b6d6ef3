//! Random questions about random data, asked of ours and of a real `influxd` 1.6: the answers are equal.
//!
//! `INFLUX_SEED` and `INFLUX_QUESTIONS` ask others, and more. What was recorded is asked again; `BLESS=1` writes the answers down.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod influx_parts;

use influx_parts::data::Data;
use influx_parts::peer::Peer;
use influx_parts::question::Questions;
use influx_parts::{ours, recorded, same};

/// Data sets, and questions about each: five thousand in all.
const DATA_SETS: u64 = 25;
const QUESTIONS: usize = 200;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn random_questions_have_the_answers_of_a_real_influxd() {
    let peer = Peer::start();
    let questions = setting("INFLUX_QUESTIONS", QUESTIONS as u64);
    let first = setting("INFLUX_SEED", 1);
    let (mut asked, mut with_rows, mut excused) = (0, 0, 0);
    let mut different = Vec::new();
    for seed in first..first + DATA_SETS {
        let data = Data::new(seed);
        let name = format!("d{seed}");
        peer.write(&name, &data.lines());
        let ours = ours::Ours::new(&name, &data.lines());
        for question in Questions::new(seed, &data).take(questions as usize) {
            let (expected, got) = (peer.ask(&name, &question), ours.ask(&name, &question));
            asked += 1;
            with_rows += usize::from(expected.to_string().contains("\"values\""));
            if same::same(&question, &expected, &got) {
                continue;
            }
            match same::excuse(&question, &expected, &got) {
                Some(_) => excused += 1,
                None => different.push(format!("{name}: {question}\n  influxd {expected}\n  ours    {got}")),
            }
        }
    }
    println!(
        "{asked} questions, {with_rows} with rows, {excused} that InfluxDB answers wrongly, {} different",
        different.len()
    );
    different.sort_by_key(String::len);
    let shown: Vec<_> = different.iter().take(15).map(String::as_str).collect();
    assert!(different.is_empty(), "{} of {asked} differ:\n{}", different.len(), shown.join("\n"));
    assert!(with_rows > asked / 2, "most questions must have an answer to be worth asking");
    assert!(excused < asked / 20, "{excused} excuses are too many");
}

#[test]
fn what_was_recorded_is_what_a_real_influxd_answers() {
    let peer = Peer::start();
    let bless = std::env::var_os("BLESS").is_some();
    let mut changed = Vec::new();
    for folder in recorded::folders() {
        peer.renew(recorded::DATABASE, &recorded::lines(&folder));
        let mut said = String::new();
        let before = if bless { Vec::new() } else { recorded::answers(&folder) };
        for (at, (question, _)) in recorded::questions(&folder).iter().enumerate() {
            let answer = peer.ask_with_epoch(recorded::DATABASE, recorded::epoch(question), question);
            said.push_str(&format!("{answer}\n"));
            if !bless && !recorded::equal(&before[at], &answer) {
                changed.push(format!("{question}\n  recorded {}\n  now      {answer}", before[at]));
            }
        }
        if bless {
            std::fs::write(folder.join("answers.txt"), said).unwrap();
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}
