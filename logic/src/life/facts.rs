//! What is known of a device or a model.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::calendar::Date;

/// The highest price of one device, in cents: a million dollars. More is a slip of the finger.
pub const PRICE_MAX_CENTS: u32 = 100_000_000;

/// The longest planned life, in years. House: nothing with software lasts longer.
pub const PLANNED_YEARS_MAX: u8 = 30;

/// Letters of a fund's name.
pub const FUND_MAX: usize = 80;

/// Of what something is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One device, by id.
    Device(String),
    /// All devices of a model, by maker and model in one text.
    Model(String),
}

/// What is known. What is not known is none or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// When it was bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchased: Option<Date>,
    /// What one costs new, in cents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<u32>,
    /// Which fund pays.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fund: String,
    /// The last day of its warranty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warranty_ends: Option<Date>,
    /// For how many years it was meant to serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_years: Option<u8>,
    /// The last day of its updates, where its maker has fixed one, such as a Chromebook's automatic updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates_end: Option<Date>,
    /// Whether its vendor repairs it whatever the warranty says: it is leased, or there is a contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_repairs: Option<bool>,
    /// Whether E-rate pays a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erate: Option<bool>,
}

impl Facts {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is known by which repair or replacement can be decided.
    #[must_use]
    pub const fn says_something_of_life(&self) -> bool {
        self.purchased.is_some()
            || self.warranty_ends.is_some()
            || self.updates_end.is_some()
            || matches!(self.vendor_repairs, Some(true))
    }

    /// These facts, and those of the model where there are none.
    #[must_use]
    pub fn or(&self, model: &Self) -> Self {
        Self {
            purchased: self.purchased.or(model.purchased),
            price_cents: self.price_cents.or(model.price_cents),
            fund: if self.fund.is_empty() { model.fund.clone() } else { self.fund.clone() },
            warranty_ends: self.warranty_ends.or(model.warranty_ends),
            planned_years: self.planned_years.or(model.planned_years),
            updates_end: self.updates_end.or(model.updates_end),
            vendor_repairs: self.vendor_repairs.or(model.vendor_repairs),
            erate: self.erate.or(model.erate),
        }
    }
}

/// How a model is looked up: makers and people differ in case and spaces alone.
#[must_use]
pub fn model_key(model: &str) -> String {
    let mut key = String::with_capacity(model.len());
    for word in model.split_whitespace() {
        if !key.is_empty() {
            key.push(' ');
        }
        key.extend(word.chars().flat_map(char::to_lowercase));
    }
    key
}
