//! Windows programs on this machine, under Wine, in a world of their own that goes with the test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{Ended, Program, run_command};

/// Debian's; the plain one is of another package.
const WINE: &str = "/usr/lib/wine/wine64";
const SERVER: &str = "/usr/lib/wine/wineserver64";

/// Wine's first start makes a whole Windows folder.
const FIRST_START_LIMIT: Duration = Duration::from_secs(180);

/// A command may take this long on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Wine 8 lacks this library of Windows 10, of which Rust's standard library needs one function.
const LIBRARY: &str = "bcryptprimitives.dll";
const LIBRARY_SOURCE: &str = "\
#include <windows.h>
#include <ntsecapi.h>
BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) { return RtlGenRandom(bytes, (ULONG)count) ? TRUE : FALSE; }
";
const COMPILER: &str = "/usr/bin/x86_64-w64-mingw32-gcc";

/// A Windows folder of its own.
#[derive(Debug)]
pub struct Wine {
    folder: TempDir,
}

impl Wine {
    /// Makes the folder, as Wine's first start does.
    ///
    /// # Panics
    /// If Wine does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bellwether-wine-").tempdir().expect("a temporary folder");
        let wine = Self { folder };
        let _ = wine.run(["wineboot", "-u"], FIRST_START_LIMIT).success();
        let library = wine.drive("windows/system32").join(LIBRARY);
        if !library.exists() {
            let source = wine.folder.path().join("library.c");
            std::fs::write(&source, LIBRARY_SOURCE).expect("a temporary folder takes a file");
            let mut compiler = Command::new(COMPILER);
            compiler.arg("-shared").arg("-o").arg(library).arg(source).arg("-ladvapi32");
            let _ = run_command("the compiler", &mut compiler).success();
        }
        wine
    }

    /// A folder of its drive C as this machine sees it.
    #[must_use]
    pub fn drive(&self, folder: &str) -> PathBuf {
        self.prefix().join("drive_c").join(folder)
    }

    /// Runs a program of ours to its end.
    #[must_use]
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Ended {
        let program = program.as_os_str();
        self.run(std::iter::once(program).chain(arguments.iter().map(OsStr::new)), LIMIT)
    }

    /// Runs a command of Windows, such as `sc`, to its end.
    #[must_use]
    pub fn system(&self, arguments: &[&str]) -> Ended {
        self.run(arguments, LIMIT)
    }

    /// Starts a program of ours that goes on.
    #[must_use]
    pub fn spawn(&self, program: &Path, arguments: &[&str]) -> Running {
        Running(Program::start("a program under Wine", self.wine().arg(program).args(arguments)))
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
