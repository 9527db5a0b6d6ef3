//! What sources read: files below `/` and what programs of the system print, or a folder of captured ones in tests.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::reading::{Problem, ProblemKind};
use crate::vitals::Vitals;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// More than any of the files that sources read; what is longer is not one of them.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// More than any program that sources ask prints.
const MAX_OUTPUT_BYTES: u64 = 4 << 20;

/// How often a program is looked at while it runs.
const PROGRAM_LOOK: Duration = Duration::from_millis(20);

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it printed; bytes that are no text are replaced.
    pub text: String,
    /// Its exit status; none if a signal ended it.
    pub status: Option<i32>,
}

/// Where sources read.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
    vitals: Arc<Vitals>,
    state: Option<PathBuf>,
}

impl Default for Host {
    fn default() -> Self {
        Self::at("/")
    }
}

impl Host {
    /// A captured machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), vitals: Arc::default(), state: None }
    }

    /// The same machine, with the agent's state folder, in which a source may keep what it must not forget.
    #[must_use]
    pub fn remembering(self, state: impl Into<PathBuf>) -> Self {
        Self { state: Some(state.into()), ..self }
    }

    /// The agent's state folder; none if nothing is to be kept.
    #[must_use]
    pub fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    /// What the agent's loop knows of itself; its own, for each host that is made anew, and shared by its clones.
    #[must_use]
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// A path without its leading `/` on this host.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a small text file; bytes that are no text are replaced, because firmware and mount tables contain them.
    ///
    /// # Errors
    /// The problem to report, naming the file.
    pub fn read(&self, relative: &str) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        File::open(self.path(relative))
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
            .map_err(|error| unreadable(relative, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs a program of the system, without a shell, without input, in the C locale and after everybody else, and
    /// returns what it printed.
    /// On a captured machine that is the file `programs/PROGRAM ARGUMENTS` (with `_` for `/`) and, if it did not end
    /// well, its exit status in a file beside it with `.status` at its end; if it never ended, a file with `.hangs`.
    ///
    /// # Errors
    /// The problem to report: it is not installed, may not be started, or took longer than `limit` and was ended: on
    /// Unix with all that it started, on Windows alone.
    pub fn run(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<Said, Problem> {
        if self.root != Path::new("/") {
            return self.replay(program, arguments, limit);
        }
        let Some(path) = system::program(program) else {
            return Err(Problem::new(ProblemKind::NothingHere, format!("{program} is not installed")));
        };
        let mut command = Command::new(&path);
        system::prepare(&mut command);
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Problem::from_io(program, &error))?;
        system::be_gentle(&child);
        listen(program, child, limit)
    }

    fn replay(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<Said, Problem> {
        let words: Vec<&str> = std::iter::once(program).chain(arguments.iter().copied()).collect();
        let name = format!("programs/{}", words.join(" ").replace('/', "_"));
        if self.path(&format!("{name}.hangs")).exists() {
            return Err(hung(program, limit));
        }
        let text = self.read(&name).map_err(|problem| match problem.kind {
            ProblemKind::NothingHere => Problem::new(problem.kind, format!("{program} is not installed")),
            _ => problem,
        })?;
        let status = self.word(&format!("{name}.status")).map_or(Some(0), |word| word.parse().ok());
        Ok(Said { text, status })
    }

    /// The names in a folder, at most `most`, in the order of people: `hwmon2` comes before `hwmon10`.
    ///
    /// # Errors
    /// The problem to report, naming the folder.
    pub fn list(&self, relative: &str, most: usize) -> Result<Vec<String>, Problem> {
        let entries = fs::read_dir(self.path(relative)).map_err(|error| unreadable(relative, &error))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(most).collect();
        names.sort_by_cached_key(|name| {
            let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
            (stem.to_owned(), name[stem.len()..].parse::<u64>().unwrap_or(0), name.len())
        });
        Ok(names)
    }

    /// The one word or number in a file; none if it can't be read.
    #[must_use]
    pub fn word(&self, relative: &str) -> Option<String> {
        let text = self.read(relative).ok()?;
        let word = text.trim();
        (!word.is_empty()).then(|| word.to_owned())
    }
}

/// Waits for a program's end while a thread takes what it prints, so that neither waits for the other. What the
/// program left running may hold on to its output for ever, so that is waited for no longer than the program.
fn listen(program: &str, mut child: Child, limit: Duration) -> Result<Said, Problem> {
    let started = Instant::now();
    let output = child.stdout.take().expect("its output is piped");
    let (sender, printed) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
        // Nobody may be listening any more.
        let _ = sender.send(read.map(|_| bytes));
    });
    if !ends(&mut child, limit).map_err(|error| Problem::from_io(program, &error))? {
        bury(child);
        return Err(hung(program, limit));
    }
    let left = limit.saturating_sub(started.elapsed()).max(PROGRAM_LOOK);
    let Ok(bytes) = printed.recv_timeout(left) else {
        bury(child);
        return Err(hung(program, limit));
    };
    let bytes = bytes.map_err(|error| Problem::from_io(program, &error))?;
    let status = child.wait().map_err(|error| Problem::from_io(program, &error))?;
    Ok(Said { text: String::from_utf8_lossy(&bytes).into_owned(), status: status.code() })
}

fn hung(program: &str, limit: Duration) -> Problem {
    let text = format!("{program} did not answer within {} s and was ended", limit.as_secs());
    Problem::new(ProblemKind::Failed, text)
}

/// Ends a program with what it started. One that waits for a dying disk can't be ended before the disk answers, so
/// nobody waits for it but a thread of its own; whoever asked must not ask the same again soon.
fn bury(mut child: Child) {
    thread::spawn(move || system::end(&mut child).and_then(|()| child.wait()));
}

/// Whether it ends in time.
fn ends(child: &mut Child, limit: Duration) -> std::io::Result<bool> {
    let started = Instant::now();
    while !system::has_ended(child)? {
        if started.elapsed() >= limit {
            return Ok(false);
        }
        thread::sleep(PROGRAM_LOOK);
    }
    Ok(true)
}

/// Elsewhere than on Linux a missing file says nothing about the machine.
fn unreadable(relative: &str, error: &std::io::Error) -> Problem {
    if cfg!(target_os = "linux") {
        Problem::from_io(&format!("/{relative}"), error)
    } else {
        Problem::new(ProblemKind::Unsupported, "this version reads it on Linux alone")
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_program_says_what_it_prints_and_how_it_ended() {
        let said = Host::default().run("echo", &["a b", "$HOME"], SOON).unwrap();
        assert_eq!(said, Said { text: "a b $HOME\n".to_owned(), status: Some(0) });
        assert_eq!(Host::default().run("false", &[], SOON).unwrap().status, Some(1));
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_one_that_is_not_there_is_said_to_be_not_installed() {
        let hung = Host::default().run("sleep", &["60"], Duration::from_millis(50)).unwrap_err();
        assert_eq!(hung.kind, ProblemKind::Failed);
        let missing = Host::default().run("no-such-program", &[], SOON).unwrap_err();
        assert_eq!(
            (missing.kind, missing.text.as_str()),
            (ProblemKind::NothingHere, "no-such-program is not installed")
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_everything_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in [("waits", "sleep 600 2>\"$0\" & wait"), ("gone", "sleep 600 2>\"$0\" & exit")] {
            let pipe = folder.path().join(name);
            let path = pipe.to_str().unwrap().to_owned();
            assert_eq!(Host::default().run("mkfifo", &[&path], SOON).unwrap().status, Some(0));
            let (sender, ended) = mpsc::channel();
            // A pipe ends when the last process that could write to it is gone.
            thread::spawn(move || sender.send(fs::read(pipe).map_err(|error| error.kind())));
            Host::default().run("sh", &["-c", script, &path], Duration::from_secs(1)).unwrap_err();
            assert_eq!(ended.recv_timeout(SOON).expect(name), Ok(Vec::new()));
        }
    }

    #[test]
    fn what_a_program_left_running_and_what_it_prints_without_end_hold_nobody_up() {
        let limit = Duration::from_secs(2);
        let left = Host::default().run("sh", &["-c", "sleep 60 & echo $!"], limit).unwrap_err();
        assert_eq!(left.text, "sh did not answer within 2 s and was ended");
        let endless = Host::default().run("head", &["-c", "20000000", "/dev/zero"], SOON).unwrap();
        assert_eq!(endless.text.len(), usize::try_from(MAX_OUTPUT_BYTES).unwrap());
    }

    #[test]
    fn a_captured_machine_answers_from_its_files() {
        let machine = tempfile::tempdir().unwrap();
        std::fs::create_dir(machine.path().join("programs")).unwrap();
        std::fs::write(machine.path().join("programs/smartctl -j _dev_sda"), "{}").unwrap();
        std::fs::write(machine.path().join("programs/smartctl -j _dev_sda.status"), "64\n").unwrap();
        let host = Host::at(machine.path());
        let said = host.run("smartctl", &["-j", "/dev/sda"], SOON).unwrap();
        assert_eq!(said, Said { text: "{}".to_owned(), status: Some(64) });
        assert_eq!(host.run("smartctl", &["-j"], SOON).unwrap_err().kind, ProblemKind::NothingHere);
    }
}
