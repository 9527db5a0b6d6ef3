//! Windows programs on this machine, under Wine, in a world of their own that goes with the test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{Ended, Program};

/// Where `tests/cross-windows` says that it has built the programs. Without it the tests were not asked for.
pub const PROGRAMS: &str = "BELLWETHER_WINDOWS";

/// Debian's; the plain one is of another package.
const WINE: &str = "/usr/lib/wine/wine64";
const SERVER: &str = "/usr/lib/wine/wineserver64";

/// Wine's first start makes a whole Windows folder.
const FIRST_START_LIMIT: Duration = Duration::from_secs(180);

/// A command may take this long on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A Windows folder of its own, and the programs that are tried in it.
#[derive(Debug)]
pub struct Wine {
    folder: TempDir,
    programs: PathBuf,
}

impl Wine {
    /// None if the programs for Windows were not built, which only `tests/cross-windows` asks for.
    ///
    /// # Panics
    /// If they were promised and are not there, or Wine does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let programs = PathBuf::from(std::env::var_os(PROGRAMS)?);
        for file in ["bellwether-agent.exe", "bellwether-collector.exe", "bcryptprimitives.dll"] {
            assert!(programs.join(file).is_file(), "{PROGRAMS} promises {file} in {}", programs.display());
        }
        assert!(Path::new(WINE).is_file(), "{PROGRAMS} is set and {WINE} is missing: install wine64");
        let folder = tempfile::Builder::new().prefix("bellwether-wine-").tempdir().expect("a temporary folder");
        let wine = Self { folder, programs };
        let _ = wine.run(["wineboot", "-u"], FIRST_START_LIMIT).success();
        Some(wine)
    }

    /// A folder of its drive C as this machine sees it.
    #[must_use]
    pub fn drive(&self, folder: &str) -> PathBuf {
        self.prefix().join("drive_c").join(folder)
    }

    /// A program of ours as its programs see it.
    #[must_use]
    pub fn path_of(&self, program: &str) -> String {
        let path = self.programs.join(program);
        format!("Z:{}", path.to_str().expect("a plain path").replace('/', "\\"))
    }

    /// Runs a command of ours to its end.
    #[must_use]
    pub fn command(&self, program: &str, arguments: &[&str]) -> Ended {
        let path = self.path_of(program);
        self.run(std::iter::once(path.as_str()).chain(arguments.iter().copied()), LIMIT)
    }

    /// Runs a command of Windows, such as `sc`, to its end.
    #[must_use]
    pub fn system(&self, arguments: &[&str]) -> Ended {
        self.run(arguments, LIMIT)
    }

    /// Starts a program of ours that goes on.
    #[must_use]
    pub fn spawn(&self, program: &str, arguments: &[&str]) -> Running {
        let path = self.path_of(program);
        Running(Program::start(program, self.wine().arg(path).args(arguments)))
    }

    fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>, limit: Duration) -> Ended {
        let mut program = Program::start("wine", self.wine().args(arguments));
        let status = program.wait(limit);
        Ended { status, text: program.text() }
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("prefix")
    }

    fn wine(&self) -> Command {
        let mut command = Command::new(WINE);
        self.world(&mut command);
        command
    }

    fn world(&self, command: &mut Command) {
        command.env("WINEPREFIX", self.prefix()).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
        // Its helpers for web pages and .NET would be looked for and asked about; there is no display.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Ends what runs in this world, and in no other.
        let mut server = Command::new(SERVER);
        self.world(&mut server);
        let _ = server.args(["-k", "-w"]).status();
    }
}

/// A program of ours that goes on.
#[derive(Debug)]
pub struct Running(Program);

impl Running {
    /// What it has printed so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.text()
    }

    /// Asks it to stop as a person at its console would: Wine makes Ctrl-C of an interrupt.
    ///
    /// # Panics
    /// If it does not stop in time, or not well.
    pub fn interrupt(&mut self) {
        let before = self.0.ended();
        assert!(before.is_none(), "had ended by itself ({before:?}): {}", self.0.text());
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a process id")).expect("not zero");
        kill_process(pid, Signal::INT).expect("a running child can be signalled");
        let status = self.0.wait(LIMIT);
        assert!(status.success(), "{status}: {}", self.0.text());
    }
}
