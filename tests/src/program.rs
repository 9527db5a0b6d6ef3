//! The real programs as child processes: what they print is kept, and none outlives its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::wait;

/// Lines kept of one process; more is a program that has gone mad, and the first ones say why.
const LINES_MAX: usize = 20_000;

/// How long a program may take to stop cleanly.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How long a command that ends by itself may take: six seconds of work under an emulator took 51 s on a busy machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// Where a program of this workspace was built: beside the tests, in the same profile.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.ancestors().find(|folder| folder.join(name).is_file());
    folder
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first, or tests/run"))
        .join(name)
}

/// A process that a test started.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed, both streams in the order in which lines arrived.
    pub text: String,
}

impl Program {
    /// Starts a command.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The developer's own settings must not change what a test sees.
        command.env_remove("RUST_LOG").env_remove("BELLWETHER_LOG").env("NO_COLOR", "1");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let printed = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take(), &printed);
        keep(child.stderr.take(), &printed);
        Self { name: name.to_owned(), child, printed }
    }

    /// What it has printed so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Has it read its files again.
    ///
    /// # Panics
    /// If it has ended.
    pub fn hang_up(&self) {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process has an id");
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("a running child can be signalled");
    }

    /// Waits until a printed line holds `part`; answers that line.
    ///
    /// # Panics
    /// If it does not within `limit`.
    #[must_use]
    pub fn wait_for_line(&self, part: &str, limit: Duration) -> String {
        wait::until(&format!("{} to print \"{part}\"", self.name), limit, || {
            let text = self.text();
            text.lines().find(|line| line.contains(part)).map(str::to_owned).ok_or(text)
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Ends it at once, as a power cut would: SIGKILL.
    ///
    /// # Panics
    /// If it had ended before.
    pub fn kill(&mut self) {
        let before = self.ended();
        assert!(before.is_none(), "{} had ended by itself ({before:?}): {}", self.name, self.text());
        self.child.kill().expect("a running child can be killed");
        self.child.wait().expect("a killed child can be waited for");
    }

    /// Asks it to stop, as Ctrl-C or the service manager would, and waits.
    ///
    /// # Panics
    /// If it does not stop in time.
    pub fn stop(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a running child can be signalled");
        self.wait(STOP_LIMIT)
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// If it does not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait::until(&what, limit, || self.ended().ok_or_else(|| self.text()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended, or ended now: both are what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            show(&self.name, &self.text());
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
fn show(name: &str, text: &str) {
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(40)..];
    eprintln!("--- {name}, last lines ---\n{}\n---", last.join("\n"));
}

/// Runs a command to its end.
///
/// # Panics
/// If it takes longer than two minutes.
#[must_use]
pub fn run(name: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
    run_command(name, Command::new(built(name)).args(arguments))
}

/// Runs any command to its end.
///
/// # Panics
/// If it takes longer than two minutes.
#[must_use]
pub fn run_command(name: &str, command: &mut Command) -> Ended {
    let mut program = Program::start(name, command);
    let status = program.wait(COMMAND_LIMIT);
    // The pipes close with the process, but the readers may need a moment more.
    let text = wait::until("the rest of the output", COMMAND_LIMIT, || {
        if Arc::strong_count(&program.printed) == 1 { Ok(program.text()) } else { Err("still open".to_owned()) }
    });
    Ended { status, text }
}

impl Ended {
    /// The output of a command that must have succeeded.
    ///
    /// # Panics
    /// If it failed.
    #[must_use]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{}: {}", self.status, self.text);
        self.text
    }

    /// The one line of a command that must have failed, with an exit code of its own making.
    ///
    /// # Panics
    /// If it succeeded, was killed, or printed anything but one line.
    #[must_use]
    pub fn one_clear_line(self) -> String {
        assert!(self.status.code().is_some_and(|code| code != 0), "{}: {}", self.status, self.text);
        let lines: Vec<_> = self.text.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(lines.len(), 1, "expected one line: {}", self.text);
        assert!(!lines[0].contains("panicked"), "{}", self.text);
        lines[0].to_owned()
    }
}

fn keep(stream: Option<impl Read + Send + 'static>, printed: &Arc<Mutex<Vec<String>>>) {
    let stream = stream.expect("the stream was piped");
    let printed = printed.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut lines = printed.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_MAX {
                lines.push(line);
            }
        }
    });
}
