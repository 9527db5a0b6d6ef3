//! Folders of questions and recorded answers. A folder holds `lines.txt` (what is written), `questions.txt`, and `answers.txt` with
//! a line for each question. Questions are asked in their order, by POST, with `epoch=ns`, or without if they name a zone; `\n`
//! in one is the end of a line. A line `## ...` before a question says why ours differs.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The database that all questions are about.
pub const DATABASE: &str = "asked";

/// Floats may differ in the last digits: InfluxDB adds up in an order of its own.
const RELATIVE: f64 = 1e-12;

pub fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

pub fn lines(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("lines.txt")).unwrap()
}

/// Each with the reason why ours has another answer, if there is one.
pub fn questions(folder: &Path) -> Vec<(String, Option<String>)> {
    let text = std::fs::read_to_string(folder.join("questions.txt")).unwrap();
    let (mut questions, mut differs) = (Vec::new(), None);
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("## ") {
            Some(why) => differs = Some(why.to_owned()),
            None => questions.push((line.replace("\\n", "\n"), differs.take())),
        }
    }
    questions
}

pub fn answers(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("answers.txt")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The unit of times in the answer: zones show in texts alone.
pub fn epoch(question: &str) -> &'static str {
    if question.contains("tz(") { "" } else { "ns" }
}

pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else { return false };
            a == b || x == y || (x - y).abs() <= RELATIVE * x.abs().max(y.abs())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}
