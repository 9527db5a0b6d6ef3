//! `enrol` and `generalize`: how a machine comes to its collector, now or at its first start.

use std::io::Read;
use std::path::{Path, PathBuf};

use bellwether_agent::Enrolment;
use bellwether_agent::enrol::Later;
use bellwether_agent::generalize::generalize;
use clap::Args;

use super::{Failure, machine, runtime, say};

/// More than any token has.
const TOKEN_BYTES_MAX: u64 = 4 << 10;

/// Which collector, by which token, as what.
#[derive(Args)]
struct Whom {
    /// HOST:PORT of the collector.
    #[arg(long)]
    collector: String,
    /// What the collector's `token enrol` printed. Others on this machine see it in the list of processes.
    #[arg(long, required_unless_present = "token_file", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the token, or - for what is typed in: nobody else sees it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// What to call the machine, such as its asset tag.
    #[arg(long)]
    name: Option<String>,
    /// What the machine is for: server, desktop, laptop, closet or other. Its case tells if nobody says.
    #[arg(long)]
    class: Option<String>,
}

#[derive(Args)]
pub(super) struct EnrolArguments {
    #[command(flatten)]
    whom: Whom,
    /// Where the agent keeps its state.
    #[arg(long)]
    state: PathBuf,
    /// Replace an earlier enrolment.
    #[arg(long)]
    again: bool,
    /// Call nobody now: the first `run` enrols. For images and packages.
    #[arg(long, conflicts_with = "again")]
    later: bool,
}

#[derive(Args)]
pub(super) struct GeneralizeArguments {
    /// Where the agent keeps its state.
    #[arg(long)]
    state: PathBuf,
    /// Let each machine enrol at its first start, with the collector and token that follow.
    #[arg(long, requires = "collector")]
    enrol_later: bool,
    #[command(flatten)]
    whom: Option<Whom>,
}

impl Whom {
    fn later(self) -> Result<Later, Failure> {
        let class = self.class.map(|word| word.parse()).transpose()?;
        let token = token(self.token, self.token_file)?;
        Ok(Later { collector: self.collector, token, name: self.name, class })
    }
}

impl EnrolArguments {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let Later { collector, token, name, class } = self.whom.later()?;
        let folder = self.state.display().to_string();
        if self.later {
            Later { collector, token, name, class }.leave(&self.state)?;
            return say(&format!("the first start enrols it: bellwether-agent run --state {folder}\n"));
        }
        let (state_dir, hardware) = (self.state, machine());
        let enrolment = Enrolment { state_dir, collector, token, name, class, again: self.again, hardware };
        let enrolled = runtime()?.block_on(bellwether_agent::enrol(&enrolment))?;
        say(&format!("enrolled as {}; start it with: bellwether-agent run --state {folder}\n", enrolled.device_id))
    }
}

impl GeneralizeArguments {
    pub(super) fn perform(self) -> Result<(), Failure> {
        // Whatever is wrong with the words is said before anything is removed.
        let later = if self.enrol_later { self.whom.map(Whom::later).transpose()? } else { None };
        let removed = generalize(&self.state).map_err(Failure::Generalize)?;
        let what = if removed.is_empty() {
            "nothing was there to remove".to_owned()
        } else {
            format!("removed {}", removed.join(", "))
        };
        let next = match &later {
            None => "an image of it is enrolled on each machine".to_owned(),
            Some(later) => {
                later.leave(&self.state)?;
                format!("each machine of the image enrols at {} when it first starts", later.collector)
            }
        };
        say(&format!("{what}; {next}\n"))
    }
}

fn token(said: Option<String>, file: Option<PathBuf>) -> Result<String, Failure> {
    let Some(file) = file else { return Ok(said.unwrap_or_default()) };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(TOKEN_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(&file).and_then(|open| open.take(TOKEN_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|source| Failure::TokenFile { file, source })?;
    Ok(text.trim().to_owned())
}
