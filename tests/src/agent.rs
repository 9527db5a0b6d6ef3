//! A real agent on a state folder of its own.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bellwether_agent::state;
use tempfile::TempDir;

use crate::collector::Collector;
use crate::program::{self, Ended, Program};

/// The program.
pub const NAME: &str = "bellwether-agent";

/// How long an agent may take until it listens to signals.
const START_LIMIT: Duration = Duration::from_secs(60);

/// An agent, running or not, with its state folder.
#[derive(Debug)]
pub struct Agent {
    program: Option<Program>,
    folder: TempDir,
    /// What starts it: a program and its first arguments.
    runner: Vec<OsString>,
    /// Set in its environment when it starts.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Agent {
    /// One that nobody has enrolled.
    ///
    /// # Panics
    /// If there is no room on the disk.
    #[must_use]
    pub fn new() -> Self {
        Self::of(vec![program::built(NAME).into_os_string()])
    }

    /// One that nobody has enrolled, of another build: a program, or an emulator and what it needs to start one.
    ///
    /// # Panics
    /// If there is no room on the disk.
    #[must_use]
    pub fn of(runner: Vec<OsString>) -> Self {
        let folder = tempfile::Builder::new().prefix("bellwether-agent-").tempdir().expect("a temporary folder");
        Self { program: None, folder, runner, environment: Vec::new() }
    }

    /// One that is enrolled and reads every second.
    ///
    /// # Panics
    /// If enrolment fails.
    #[must_use]
    pub fn enrolled(collector: &Collector, class: &str, name: &str) -> Self {
        let agent = Self::new();
        agent.join(collector, class, name);
        agent
    }

    /// Enrols it and has it read every second.
    ///
    /// # Panics
    /// If enrolment fails.
    pub fn join(&self, collector: &Collector, class: &str, name: &str) {
        let token = collector.enrol_token("Lincoln High", 1);
        let _ = self.enrol(&collector.grpc.to_string(), &token, class, name).success();
        self.configure("interval = \"1s\"\nping_gateway = false\ndns_servers = false\n");
    }

    /// Runs `enrol`.
    #[must_use]
    pub fn enrol(&self, collector: &str, token: &str, class: &str, name: &str) -> Ended {
        let mut command = self.command("enrol");
        command.args(["--collector", collector, "--token", token, "--class", class, "--name", name]);
        program::run_command("bellwether-agent enrol", &mut command)
    }

    /// Writes its `agent.toml`.
    ///
    /// # Panics
    /// If the folder is not writable.
    pub fn configure(&self, text: &str) {
        fs::write(self.state().join(state::CONFIG_FILE), text).expect("an agent's folder takes a file");
    }

    /// Starts it.
    pub fn go(&mut self) {
        self.program = Some(Program::start(NAME, &mut self.command("run")));
    }

    /// Stops it cleanly, once it has come so far that it can be told to.
    ///
    /// # Panics
    /// If it ends in any other way.
    pub fn stop(&mut self) {
        let program = self.program();
        let _ = program.wait_for_line("the agent runs", START_LIMIT);
        let status = program.stop();
        assert!(status.success(), "{status}: {}", program.text());
    }

    /// One of its commands on its state folder.
    #[must_use]
    pub fn command(&self, word: &str) -> Command {
        let mut command = Command::new(&self.runner[0]);
        command.args(&self.runner[1..]).arg(word).arg("--state").arg(self.state());
        // All run on one machine, and are to be different ones.
        command.env("BELLWETHER_MACHINE_ROOT", self.folder.path().join("machine"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Gives it a machine of its own to speak for, with these files below its root.
    ///
    /// # Panics
    /// If there is no room on the disk.
    pub fn put_machine(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.folder.path().join("machine").join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder"))
                .expect("a temporary folder takes a folder");
            fs::write(path, text).expect("a temporary folder takes a file");
        }
    }

    /// Its state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The collector's word for it.
    ///
    /// # Panics
    /// If it is not enrolled.
    #[must_use]
    pub fn device_id(&self) -> String {
        state::read_identity(&self.state()).expect("the agent is enrolled").device_id
    }

    /// The process.
    ///
    /// # Panics
    /// If it was never started.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("the agent was started")
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}
