//! What sources read: files below `/` and what programs of the system print, or a folder of captured ones in tests.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::reading::{Problem, ProblemKind};

/// More than any of the files that sources read; what is longer is not one of them.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where programs of the system are; never a folder that a user can write to.
const PROGRAM_FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

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
}

impl Default for Host {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

impl Host {
    /// A captured machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
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

    /// Runs a program of the system, without a shell, without input and in the C locale, and returns what it printed.
    /// On a captured machine that is the file `programs/PROGRAM ARGUMENTS` (with `_` for `/`) and, if it did not end
    /// well, its exit status in a file beside it with `.status` at its end.
    ///
    /// # Errors
    /// The problem to report: it is not installed, may not be started, or took longer than `limit` and was ended.
    pub fn run(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<Said, Problem> {
        if self.root != Path::new("/") {
            return self.replay(program, arguments);
        }
        let installed = PROGRAM_FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists());
        let Some(path) = installed else {
            return Err(Problem::new(ProblemKind::NothingHere, format!("{program} is not installed")));
        };
        let child = Command::new(&path)
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", PROGRAM_FOLDERS.join(":"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Problem::from_io(program, &error))?;
        listen(program, child, limit)
    }

    fn replay(&self, program: &str, arguments: &[&str]) -> Result<Said, Problem> {
        let words: Vec<&str> = std::iter::once(program).chain(arguments.iter().copied()).collect();
        let name = format!("programs/{}", words.join(" ").replace('/', "_"));
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

/// Waits for a program's end while a thread takes what it prints, so that neither waits for the other.
fn listen(program: &str, mut child: Child, limit: Duration) -> Result<Said, Problem> {
    let output = child.stdout.take().expect("its output is piped");
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let status = wait(&mut child, limit).map_err(|error| Problem::from_io(program, &error))?;
    let Some(status) = status else {
        let text = format!("{program} did not answer within {} s and was ended", limit.as_secs());
        return Err(Problem::new(ProblemKind::Failed, text));
    };
    let bytes = reader.join().map_err(|_| Problem::new(ProblemKind::Failed, format!("{program}: not read")))?;
    let bytes = bytes.map_err(|error| Problem::from_io(program, &error))?;
    Ok(Said { text: String::from_utf8_lossy(&bytes).into_owned(), status: status.code() })
}

/// Its end, or none if it had to be ended.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PROGRAM_LOOK);
    }
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
