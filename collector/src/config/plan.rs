//! How budgets run.

use bellwether_logic::life::plan::{Budget, FIRST_MONTH, YEARS, YEARS_MAX};
use serde::Deserialize;

/// The plan of purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The month with which a budget year begins, from 1.
    pub first_month: u8,
    /// How many budget years are planned.
    pub years: u8,
}

impl Default for Plan {
    fn default() -> Self {
        Self { first_month: FIRST_MONTH, years: YEARS }
    }
}

impl Plan {
    /// As the plan reckons.
    #[must_use]
    pub const fn budget(self) -> Budget {
        Budget { first_month: self.first_month, years: self.years }
    }

    /// What can't be meant.
    pub(super) fn wrong(self) -> [(bool, &'static str, String, &'static str); 2] {
        [
            (
                !(1..=12).contains(&self.first_month),
                "plan.first_month",
                self.first_month.to_string(),
                "a month from 1 to 12",
            ),
            (!(1..=YEARS_MAX).contains(&self.years), "plan.years", self.years.to_string(), "a number from 1 to 15"),
        ]
    }
}
