//! The command line: what can be said, and what is answered.

mod ca;
mod calendar;
mod copies;
mod inventory;
mod plan;
mod responsibilities;
mod rules;
mod setup;
mod store;
mod token;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::folder;
use crate::health::chain;
use crate::serve::{self, Options, Running};

pub use setup::{Setup, SetupError};
pub use token::{NewApiToken, NewEnrol, TokenError};

/// Receives what agents report, keeps it, decides, and opens tickets.
#[derive(Debug, Parser)]
#[command(name = "bellwether-collector", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector; what happens without a command, too
    Serve(Serve),
    /// Open both ports to other machines under a DNS name, with TLS
    Setup(Setup),
    /// Make a token for machines or for programs
    #[command(subcommand)]
    Token(Token),
    /// Revoke a device's certificates; a running collector cuts its stream within seconds
    Revoke(Revoke),
    /// Look at the certificate authority, or replace it by another without losing an agent
    #[command(subcommand)]
    Ca(ca::Step),
    /// Say what the school calendars' files say
    #[command(subcommand)]
    Calendar(calendar::Step),
    /// Look at the rules in force, and at what of the school's own is broken
    #[command(subcommand)]
    Rules(rules::Step),
    /// Take lists of what the school owns
    #[command(subcommand)]
    Inventory(inventory::Step),
    /// Say what has to be bought in which budget year
    Plan(plan::ShowPlan),
    /// Say who looks after what, by the file and by what is there
    #[command(subcommand)]
    Responsibilities(responsibilities::Step),
    /// Copy everything in the data folder to another, also while the collector runs
    Backup(copies::Backup),
    /// Make a data folder from a backup
    Restore(copies::Restore),
    /// Look at the series store, mend it, pack it, or move its content
    #[command(subcommand)]
    Store(store::Step),
    /// Say whether configuration and rules are understood
    CheckConfig(Serve),
}

#[derive(Debug, Subcommand)]
enum Token {
    /// A token that connects machines of one building
    Enrol(NewEnrol),
    /// A token for a program that reads, such as Grafana
    Api(NewApiToken),
}

#[derive(Clone, Debug, Args)]
struct Serve {
    /// The data folder; made when it is not there
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Where people look, instead of network.http
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Where agents call, instead of network.grpc
    #[arg(long, value_name = "ADDR")]
    grpc: Option<SocketAddr>,
    /// The configuration, instead of collector.toml in the data folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The device's id
    #[arg(long, value_name = "ID")]
    device: String,
}

/// Where the data is when nobody says.
const DEFAULT_DATA: &str = "./bellwether-data";

impl From<Serve> for Options {
    fn from(serve: Serve) -> Self {
        Self { data: serve.data, http: serve.http, grpc: serve.grpc, config: serve.config }
    }
}

/// Does what the command line says.
///
/// # Errors
/// One clear line for a person.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let said = match cli.command {
        None => return serve(cli.serve).await,
        Some(Command::Serve(options)) => return serve(options).await,
        Some(Command::Setup(setup)) => setup.run()?,
        Some(Command::Token(Token::Enrol(token))) => token.run()?,
        Some(Command::Token(Token::Api(token))) => token.run()?,
        Some(Command::Revoke(revoke)) => token::revoke(&revoke.data, &revoke.device)?,
        Some(Command::Ca(step)) => step.run()?,
        Some(Command::Calendar(step)) => step.run()?,
        Some(Command::Responsibilities(step)) => step.run()?,
        Some(Command::Rules(step)) => step.run()?,
        Some(Command::Inventory(step)) => step.run()?,
        Some(Command::Plan(plan)) => plan.run()?,
        Some(Command::Store(step)) => step.run()?,
        Some(Command::Backup(backup)) => backup.run()?,
        Some(Command::Restore(restore)) => restore.run()?,
        Some(Command::CheckConfig(options)) => check_config(options)?,
    };
    if !said.is_empty() {
        say(&said);
    }
    Ok(())
}

async fn serve(options: Serve) -> anyhow::Result<()> {
    let options = Options::from(options);
    let running = serve::start(&options).await?;
    say(&banner(&running));
    let signal = until_told(|| reload(&running, &options)).await?;
    tracing::info!(signal, "stopping");
    running.stop().await;
    say("Stopped.");
    Ok(())
}

/// What a person sees who has just started it.
fn banner(running: &Running) -> String {
    let welcome = &running.welcome;
    let mut lines = vec![
        format!("Bellwether collector {}", env!("CARGO_PKG_VERSION")),
        String::new(),
        format!("  Pages:        {}", welcome.pages),
    ];
    if let Some(link) = &welcome.first_login {
        lines.push(format!("  First login:  {link}"));
        lines.push(format!("                (once; also in {})", welcome.first_login_file.display()));
    }
    lines.push(format!("  Agents call:  {}", running.app.connect.endpoint));
    lines.push(format!("  For Grafana:  the token in {}", welcome.grafana_file.display()));
    let rules = &running.app.rules;
    let left_out = match rules.broken.len() {
        0 => String::new(),
        count => format!(", and {count} left out as broken: see the page of the rules"),
    };
    lines.push(format!("  Rules:        {}{left_out}", rules.rules.len()));
    if running.app.connect.this_machine_only {
        lines.push(String::new());
        lines.push("This machine only. To let others in: bellwether-collector setup --name DNSNAME".into());
    }
    lines.push(String::new());
    lines.push("Ctrl-C stops it.".into());
    lines.join("\n")
}

fn check_config(options: Serve) -> anyhow::Result<String> {
    let options = Options::from(options);
    if options.data.exists() {
        folder::check_format(&options.data)?;
    }
    let read = serve::read(&options)?;
    rules::complain(&read.rules)?;
    let (rules, agents) = (read.rules.rules.len(), read.agents.len());
    Ok(format!("The configuration is understood; {rules} rules are in force, and {agents} files say what agents do."))
}

/// Reads again what the admin wrote; what is wrong is said, and everything stays as it was.
fn reload(running: &Running, options: &Options) {
    match running.reload(options) {
        Ok(done) => {
            tracing::info!(
                agents_are_told = done.agents,
                calendars = done.calendars,
                responsibilities = done.responsibilities,
                "read again"
            );
            if done.rules_wait {
                tracing::warn!("the rules have changed: the old ones decide until the collector is started again");
            }
            if done.settings_wait {
                tracing::warn!("collector.toml has changed: the old one holds until the collector is started again");
            }
        }
        Err(error) => tracing::error!(why = chain(&error), "not understood: everything stays as it was"),
    }
}

/// Waits until somebody wants the collector to stop; whoever wants it to read its files again is obeyed meanwhile.
#[cfg(unix)]
async fn until_told(reload: impl Fn()) -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return interrupted.map(|()| "interrupt"),
            _ = terminate.recv() => return Ok("terminate"),
            _ = hang_up.recv() => reload(),
        }
    }
}

#[cfg(not(unix))]
async fn until_told(_reload: impl Fn()) -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "interrupt")
}

/// The program's one voice; everything else is a log line. Whoever reads only the beginning of a long list has had enough.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
