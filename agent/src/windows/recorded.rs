//! A machine out of a file, for tests: `machine.json` holds what each question was answered with. An answer
//! `{"problem": "no_permission"}` is one that was refused; a question that is not there finds nothing.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::facts::{Card, Facts, Memory, PageFile, Processors, Radio, Row, Tasks, Updates, Volume};
use crate::host::Said;
use crate::reading::{Problem, ProblemKind};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Recorded {
    /// One after the other; the last is repeated.
    processors: Vec<Answer<Processors>>,
    memory: Option<Answer<Memory>>,
    page_files: Option<Answer<Vec<PageFile>>>,
    tasks: Option<Answer<Tasks>>,
    uptime_s: u64,
    volumes: Option<Answer<Vec<Volume>>>,
    cards: Option<Answer<Vec<Card>>>,
    /// By `NAMESPACE:CLASS`.
    wmi: BTreeMap<String, Answer<Vec<Row>>>,
    radios: Option<Answer<Vec<Radio>>>,
    updates: Option<Answer<Updates>>,
    registry: BTreeMap<String, BTreeMap<String, Value>>,
    /// By command line; one that ends badly prints nothing.
    programs: BTreeMap<String, String>,
    #[serde(skip)]
    asked: Cell<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Refused { problem: String },
    Given(T),
}

impl Recorded {
    pub(super) fn read(case: &Path) -> Self {
        let text = std::fs::read_to_string(case.join("machine.json")).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()))
    }
}

fn answer<T: Clone>(what: &str, answer: Option<&Answer<T>>) -> Result<T, Problem> {
    match answer {
        Some(Answer::Given(value)) => Ok(value.clone()),
        Some(Answer::Refused { problem }) => {
            let kind = match problem.as_str() {
                "nothing_here" => ProblemKind::NothingHere,
                "unsupported" => ProblemKind::Unsupported,
                "no_permission" => ProblemKind::NoPermission,
                "failed" => ProblemKind::Failed,
                other => panic!("no kind of problem: {other}"),
            };
            Err(Problem::new(kind, format!("{what}: refused")))
        }
        None => Err(Problem::new(ProblemKind::NothingHere, format!("{what}: not there"))),
    }
}

impl Facts for Recorded {
    fn processors(&self) -> Result<Processors, Problem> {
        let number = self.asked.replace(self.asked.get() + 1);
        answer("processors", self.processors.get(number).or(self.processors.last()))
    }

    fn memory(&self) -> Result<Memory, Problem> {
        answer("memory", self.memory.as_ref())
    }

    fn page_files(&self) -> Result<Vec<PageFile>, Problem> {
        answer("paging files", self.page_files.as_ref())
    }

    fn tasks(&self) -> Result<Tasks, Problem> {
        answer("tasks", self.tasks.as_ref())
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.uptime_s)
    }

    fn volumes(&self) -> Result<Vec<Volume>, Problem> {
        answer("volumes", self.volumes.as_ref())
    }

    fn cards(&self) -> Result<Vec<Card>, Problem> {
        answer("cards", self.cards.as_ref())
    }

    fn rows(
        &self,
        namespace: &'static str,
        class: &'static str,
        _properties: &'static str,
    ) -> Result<Vec<Row>, Problem> {
        answer(class, self.wmi.get(&format!("{namespace}:{class}")))
    }

    fn radios(&self) -> Result<Vec<Radio>, Problem> {
        answer("radios", self.radios.as_ref())
    }

    fn updates(&self) -> Result<Updates, Problem> {
        answer("updates", self.updates.as_ref())
    }

    fn registry(&self, key: &str, name: &str) -> Option<Value> {
        self.registry.get(key)?.get(name).cloned()
    }

    fn has_key(&self, key: &str) -> bool {
        self.registry.contains_key(key)
    }

    fn run(&self, program: &str, arguments: &[&str], _limit: Duration) -> Result<Said, Problem> {
        let line = std::iter::once(program).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ");
        let missing = || Problem::new(ProblemKind::NothingHere, format!("{program} is not installed"));
        let text = self.programs.get(&line).cloned().ok_or_else(missing)?;
        Ok(Said { status: Some(i32::from(text.is_empty())), text })
    }
}
