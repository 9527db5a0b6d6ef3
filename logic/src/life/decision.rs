//! Repair or replacement: what is known of a device and its fault goes in, what to do and why comes out.
//!
//! The order is the one that districts write down (St. Vrain Valley's policy on repairs, ECSD's guidelines): first
//! warranty, then value and ratio, then age, updates and lemons. What nobody knows decides nothing: then the rule's own
//! word stands, and the reasons say so. With all else equal a dearer repair or an older device never makes a new device
//! less likely.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{ClassLife, Facts, PartCost, Repairs, civil};
use crate::calendar::Date;
use crate::device::words;
use crate::rules::TicketKind;
use crate::time::Timestamp;

/// In how many years a device loses its value, evenly: 20 % of the price of a new one a year (St. Vrain Valley). House: what
/// was meant to serve longer loses it over that time.
pub const VALUE_YEARS: u8 = 5;

/// A repair that costs more of a new one than this, in percent, is not worth it: the 50 % rule of repair shops.
pub const RATIO_MAX_PERCENT: u64 = 50;

/// Beyond this, in percent, it is not repaired whatever else is said (ECSD's guidelines).
pub const RATIO_HARD_PERCENT: u64 = 70;

/// Hardware repairs within [`LEMON_DAYS`] that make a lemon. House: no source has a number.
pub const LEMON_REPAIRS: usize = 3;

/// Twelve months.
pub const LEMON_DAYS: i32 = 365;

/// Sentences of one decision, bounded by its kinds; what is beyond is left out.
const REASONS_MAX: usize = 12;

words! {
    /// What to do about a fault, the least first.
    Course, "course" {
        /// Let the maker do it.
        Claim = "claim_warranty",
        /// Mend it.
        Repair = "repair",
        /// Exchange a part.
        Part = "replace_part",
        /// Exchange the device.
        Device = "replace_device",
    }
}

impl Course {
    /// The kind of ticket that it makes.
    #[must_use]
    pub const fn kind(self) -> TicketKind {
        match self {
            Self::Claim | Self::Repair => TicketKind::Repair,
            Self::Part | Self::Device => TicketKind::Replacement,
        }
    }

    /// For people. `part` may be empty.
    #[must_use]
    pub fn text(self, part: &str) -> String {
        match self {
            Self::Claim => "Claim the warranty".into(),
            Self::Repair => "Repair it".into(),
            Self::Part if part.is_empty() => "Replace the part".into(),
            Self::Part => format!("Replace the {part}"),
            Self::Device => "Replace the device".into(),
        }
    }
}

words! {
    /// How sure a decision is.
    Confidence, "confidence" {
        /// Much had to be assumed.
        Low = "low",
        /// Something had to be assumed.
        Medium = "medium",
        /// What decides is known.
        High = "high",
    }
}

words! {
    /// What is not known, or only assumed.
    Missing, "missing fact" {
        /// When it was bought.
        Purchased = "purchase date",
        /// What a new one costs.
        Price = "price",
        /// Until when its warranty runs.
        Warranty = "warranty end",
        /// How long it was meant to serve.
        Planned = "planned life",
        /// What the repair costs.
        Cost = "repair cost",
    }
}

/// What is known of a fault and its device.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The day.
    pub today: Date,
    /// What is known of the device and its model.
    pub facts: &'a Facts,
    /// What is assumed of its class.
    pub class: Option<&'a ClassLife>,
    /// What the rule says that it is.
    pub shipped: TicketKind,
    /// What such a repair takes.
    pub repair: Option<&'a PartCost>,
    /// What it costs with labor, in cents, as [`super::Table::repair_cents`] reckons it.
    pub assumed_cents: Option<u32>,
    /// What the last repairs of this kind on this model cost, with labor, in cents.
    pub last_cents: Option<u32>,
    /// The device's repairs within a year.
    pub repairs: Repairs,
    /// The operating system and the end of its support.
    pub os: Option<(&'a str, Date)>,
    /// The readings that opened the ticket.
    pub readings: &'a [String],
}

/// What is decided of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What to do.
    pub course: Course,
    /// Plain sentences with their numbers, the one that decides first.
    pub reasons: Vec<String>,
    /// What is not known, or only assumed.
    pub missing: Vec<Missing>,
    /// How sure that is.
    pub confidence: Confidence,
    /// What the repair costs, in cents.
    pub cost_cents: Option<u32>,
    /// What the device is worth, in cents.
    pub value_cents: Option<u32>,
}

/// A decision as it stands on a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do: what was decided, or what a person said instead.
    pub course: Course,
    /// The part that it is about; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// Why, in plain sentences; of what was decided, also if a person said otherwise.
    pub reasons: Vec<String>,
    /// What is not known, or only assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// How sure that is.
    pub confidence: Confidence,
    /// What the repair costs, in cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_cents: Option<u32>,
    /// What the device is worth, in cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_cents: Option<u32>,
    /// Since when this is to be done.
    pub since: Timestamp,
    /// A person's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Overruled>,
}

impl Decision {
    /// What is advised by what is known; none: nothing is.
    #[must_use]
    pub fn advised(&self) -> Option<Course> {
        self.overruled.as_ref().map_or(Some(self.course), |overruled| overruled.advised)
    }
}

/// That a person said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// Who, by login name.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub because: String,
    /// What is advised by what is known; none: nothing is.
    #[serde(default)]
    pub advised: Option<Course>,
}

/// Cents as people write them, such as `$1,250` or `$62.50`.
#[must_use]
pub fn dollars(cents: u64) -> String {
    let (whole, rest) = (cents / 100, cents % 100);
    let digits = whole.to_string();
    let mut text = String::from("$");
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if rest > 0 {
        text.push_str(&format!(".{rest:02}"));
    }
    text
}

/// The same without the odd cents, for what is only reckoned.
fn whole(cents: u64) -> String {
    dollars(cents - cents % 100)
}

/// Decides a case. See the module for the order.
#[must_use]
pub fn decide(case: &Case<'_>) -> Advice {
    let mut sums = Sums::of(case);
    let mut missing = case.missing();
    let ask = [case.is_covered(), case.is_not_worth_it(&sums), case.is_at_its_end(), case.is_a_lemon()];
    let [covered, worthless, ended, lemon] = ask;
    sums.is_said = covered.is_none() && worthless.is_some();
    let known = case.facts.says_something_of_life() || lemon.is_some();
    let (course, deciding) = if let Some(why) = covered {
        missing.clear();
        (Course::Claim, Some(why))
    } else if let Some(why) = worthless.or(ended).or(lemon) {
        (Course::Device, Some(why))
    } else {
        (case.shipped_course(), None)
    };
    let confidence = match (course, known) {
        (Course::Claim, _) => Confidence::High,
        (_, false) => Confidence::Low,
        _ => confidence(&missing),
    };
    let mut reasons: Vec<String> = deciding.into_iter().collect();
    if !known && course != Course::Claim {
        reasons.push("Nothing is known of its age or warranty: this is what the rule says.".into());
    }
    for reason in case.circumstances(&sums) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.truncate(REASONS_MAX);
    Advice { course, reasons, missing, confidence, cost_cents: sums.cost, value_cents: sums.value }
}

fn confidence(missing: &[Missing]) -> Confidence {
    match missing.len() {
        _ if missing.contains(&Missing::Purchased) => Confidence::Low,
        0 | 1 => Confidence::High,
        2 | 3 => Confidence::Medium,
        _ => Confidence::Low,
    }
}

/// What is reckoned of a case, in cents and days.
struct Sums {
    price: Option<u32>,
    cost: Option<u32>,
    age_days: Option<i32>,
    value: Option<u32>,
    planned_end: Option<Date>,
    /// Whether what the repair costs is said already.
    is_said: bool,
}

impl Sums {
    fn of(case: &Case<'_>) -> Self {
        let planned = case.planned_years();
        let price = case.facts.price_cents.or(case.class.and_then(|class| class.price_cents));
        let age_days = case.facts.purchased.map(|day| case.today.0.saturating_sub(day.0).max(0));
        let value = price.zip(age_days).map(|(price, days)| {
            let whole = u64::from(planned.unwrap_or(0).max(VALUE_YEARS)) * 365;
            let lost = u64::from(price) * u64::from(days.unsigned_abs()) / whole;
            price.saturating_sub(u32::try_from(lost).unwrap_or(u32::MAX))
        });
        let planned_end = case.facts.purchased.zip(planned).map(|(day, years)| civil::years_later(day, years));
        Self { price, cost: case.last_cents.or(case.assumed_cents), age_days, value, planned_end, is_said: false }
    }
}

impl Case<'_> {
    fn planned_years(&self) -> Option<u8> {
        self.facts.planned_years.or(self.class.and_then(|class| class.years))
    }

    fn missing(&self) -> Vec<Missing> {
        let facts = self.facts;
        let all = [
            (Missing::Purchased, facts.purchased.is_none()),
            (Missing::Price, facts.price_cents.is_none()),
            (Missing::Warranty, facts.warranty_ends.is_none()),
            (Missing::Planned, facts.planned_years.is_none()),
            (Missing::Cost, self.last_cents.is_none()),
        ];
        all.into_iter().filter(|(_, is_missing)| *is_missing).map(|(fact, _)| fact).collect()
    }

    /// What the rule asks for.
    const fn shipped_course(&self) -> Course {
        match self.shipped {
            TicketKind::Replacement => Course::Part,
            TicketKind::Repair | TicketKind::Supply => Course::Repair,
        }
    }

    /// Whether a part must be bought: where a rule asks for a repair that is not known yet.
    fn takes_a_part(&self) -> bool {
        self.shipped == TicketKind::Replacement && self.repair.is_none_or(|repair| !repair.part.is_empty())
    }

    fn is_covered(&self) -> Option<String> {
        if let Some(ends) = self.facts.warranty_ends.filter(|ends| *ends >= self.today) {
            let lemon = match self.repairs.count {
                0..LEMON_REPAIRS => "",
                _ => " Ask for another device: it was repaired again and again",
            };
            let plain = format!("It is under warranty until {}: the maker repairs it.", civil::shown(ends));
            return Some(if lemon.is_empty() { plain } else { format!("{plain}{lemon}.") });
        }
        (self.facts.vendor_repairs == Some(true)).then(|| "Its vendor repairs it: that is agreed for it.".into())
    }

    /// Value and ratio. What is only assumed of a class decides nothing without an age or a price of the device itself.
    fn is_not_worth_it(&self, sums: &Sums) -> Option<String> {
        let (cost, price) = (sums.cost?, sums.price?);
        if cost == 0 || price == 0 || !(sums.age_days.is_some() || self.facts.price_cents.is_some()) {
            return None;
        }
        let (cost, price) = (u64::from(cost), u64::from(price));
        let percent = cost * 100 / price;
        let of_new = format!("The repair costs about {}, {percent}% of a new one at {}", dollars(cost), dollars(price));
        if cost * 100 > price * RATIO_HARD_PERCENT {
            return Some(format!("{of_new}: above {RATIO_HARD_PERCENT}% nothing is repaired."));
        }
        if cost * 100 > price * RATIO_MAX_PERCENT {
            return Some(format!("{of_new}: more than half."));
        }
        let value = u64::from(sums.value?);
        let worth = match whole(value) {
            _ if value < 100 => "and at its age it is worth nothing any more".to_string(),
            worth => format!("more than the {worth} that it is worth"),
        };
        (self.takes_a_part() && cost > value).then(|| format!("The repair costs about {}, {worth}.", dollars(cost)))
    }

    /// Age and updates: into what is at its end no part is put. Labor alone may still be spent on it.
    fn is_at_its_end(&self) -> Option<String> {
        if !self.takes_a_part() {
            return None;
        }
        if let Some(ended) = self.facts.updates_end.filter(|end| *end < self.today) {
            return Some(format!("Its updates ended {}: no part is put into it.", civil::shown(ended)));
        }
        let (bought, years) = (self.facts.purchased?, self.planned_years()?);
        let end = civil::years_later(bought, years);
        (end <= self.today).then(|| {
            let planned = plural(u64::from(years), "year");
            format!("It was bought {} to serve {planned}: no part is put into it.", civil::shown(bought))
        })
    }

    fn is_a_lemon(&self) -> Option<String> {
        let Repairs { count, cost_cents } = self.repairs;
        (count >= LEMON_REPAIRS)
            .then(|| format!("It was repaired {count} times within 12 months, for {} in all.", dollars(cost_cents)))
    }

    /// What else is known, each a sentence.
    fn circumstances(&self, sums: &Sums) -> Vec<String> {
        let mut all = Vec::new();
        if !self.readings.is_empty() {
            all.push(format!("Seen: {}.", self.readings.join(", ")));
        }
        all.extend(self.warranty_sentence());
        all.extend(self.cost_sentence(sums));
        all.extend(self.age_sentence(sums));
        all.extend(self.is_a_lemon());
        if (1..LEMON_REPAIRS).contains(&self.repairs.count) {
            let times = if self.repairs.count == 1 { "once" } else { "twice" };
            all.push(format!(
                "It was repaired {times} within 12 months, for {} in all.",
                dollars(self.repairs.cost_cents)
            ));
        }
        if let Some(end) = self.facts.updates_end.filter(|end| *end >= self.today) {
            all.push(format!("Its updates end {}.", civil::shown(end)));
        }
        all.extend(self.os.and_then(|(name, end)| {
            let end_shown = civil::shown(end);
            (end < self.today).then(|| {
                format!("{name} has had no updates since {end_shown}: upgrade it, or replace the device if that fails.")
            })
        }));
        all
    }

    fn warranty_sentence(&self) -> Option<String> {
        let ended = self.facts.warranty_ends.filter(|ends| *ends < self.today)?;
        Some(format!("Its warranty ended {}.", civil::shown(ended)))
    }

    fn cost_sentence(&self, sums: &Sums) -> Option<String> {
        let cost = sums.cost.filter(|cost| *cost > 0)?;
        let whence = match (self.last_cents, self.repair) {
            (Some(_), _) => "as the last repairs of this kind did".to_string(),
            (None, Some(repair)) if !repair.part.is_empty() => {
                let minutes = plural(u64::from(repair.minutes), "minute");
                format!("assumed: {} {}, {minutes} of labor", repair.part, dollars(repair.cents.into()))
            }
            _ => "assumed".to_string(),
        };
        Some(match sums.is_said {
            true => format!("For the repair: {whence}."),
            false => format!("The repair costs about {} ({whence}).", dollars(cost.into())),
        })
    }

    fn age_sentence(&self, sums: &Sums) -> Option<String> {
        let (days, bought) = (sums.age_days?, self.facts.purchased?);
        let tenths = days.unsigned_abs() * 10 / 365;
        let mut text = format!("It is {}.{} years old", tenths / 10, tenths % 10);
        if let Some((value, price)) = sums.value.filter(|value| *value >= 100).zip(sums.price) {
            let assumed = if self.facts.price_cents.is_some() { "" } else { ", assumed" };
            text.push_str(&format!(
                " and worth about {} (a new one: {}{assumed})",
                whole(value.into()),
                dollars(price.into())
            ));
        }
        if let Some(end) = sums.planned_end.filter(|end| *end > self.today) {
            let assumed = if self.facts.planned_years.is_some() { "planned" } else { "assumed" };
            text.push_str(&format!("; it is {assumed} to serve until {}", civil::shown(end)));
        } else if sums.planned_end.is_none() {
            text.push_str(&format!(", bought {}", civil::shown(bought)));
        }
        text.push('.');
        Some(text)
    }
}

fn plural(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}
