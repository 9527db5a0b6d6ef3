//! `plan`: what has to be bought in which budget year, without a running collector.

use std::path::PathBuf;

use bellwether_logic::life::dollars;
use bellwether_logic::life::plan::{By, Total, totals};
use clap::Args;

use super::DEFAULT_DATA;
use crate::clock::Clock;
use crate::config::{Config, FILE};
use crate::folder;
use crate::life::plan::{Filter, Plan, slot_label};
use crate::state::State;

/// `plan`.
#[derive(Debug, Args)]
pub struct ShowPlan {
    /// A line for each device, for a spreadsheet, instead of the sums
    #[arg(long)]
    csv: bool,
    /// Only this building
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

impl ShowPlan {
    /// Answers.
    ///
    /// # Errors
    /// When the data folder can't be read.
    pub fn run(&self) -> anyhow::Result<String> {
        folder::check_format(&self.data)?;
        let config = Config::load(&self.data.join(FILE), false)?;
        let state = State::open(&self.data.join("state.sqlite"))?;
        let plan = Plan::read(&state, Clock::system().now(), config.plan.budget())?;
        let filter = Filter { site: self.site.clone(), ..Filter::default() };
        if self.csv {
            return Ok(plan.csv(&filter).trim_end().to_owned());
        }
        let lines: Vec<_> = plan.filtered(&filter).cloned().collect();
        let all = totals(plan.today, &lines, By::All, plan.budget).remove("").unwrap_or_default();
        let line = |slot| {
            let total: Total = all.get(&slot).copied().unwrap_or_default();
            let batteries = match total.batteries {
                0 => String::new(),
                count => format!(", and {count} batteries for {}", dollars(total.battery_cents)),
            };
            let label = slot_label(slot, plan.budget);
            format!("{label:<16} {:>6} devices {:>14}{batteries}", total.devices, dollars(total.cost_cents))
        };
        Ok(plan.slots().into_iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
