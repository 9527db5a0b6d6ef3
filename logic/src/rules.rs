//! What to look for: rules are data, written in packs and overridden by id.
//!
//! A rule says what it looks at, when a fault begins and when it is over (never the same condition), for how long,
//! and what a technician should read and bring. Whoever parses a pack gets typed rules; [`RuleSet::merge`] takes only
//! those that make sense, and everything behind it trusts them.
//!
//! Each kind of rule is one file in this room and one variant of [`Check`].

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use parts::Join;
use serde::{Deserialize, Serialize};

use crate::device::{Class, words};
use crate::sample::Sample;
use crate::span::Span;

mod absence;
mod change;
mod compare;
mod count;
mod derive;
mod forecast;
mod overrides;
mod parts;
mod rate;
mod ratio;
mod reads;
mod suggest;
mod text;
mod threshold;

pub use absence::{Absence, Expected};
pub use change::{Change, RISE, STEPS_MAX, Track};
pub use compare::{Comparison, Operand, Test};
pub use count::{Count, TIMES};
pub use forecast::{DAYS_LEFT, DAYS_MAX, Forecast, Towards};
pub use overrides::{Override, VARIANTS_MAX, Variant};
pub use parts::{HOLDS, PARTS_MAX, Part, Parts};
pub use rate::{PER_SECOND, Rate};
pub use ratio::{PART_PERCENT, Ratio};
pub use suggest::{Study, Suggestion};
pub use text::{Shown, Template, Unit};
pub use threshold::{Threshold, Verdict};

/// The format of packs that this version reads.
pub const PACK_FORMAT: u32 = 1;

/// How long a fault must be over before a ticket resolves by itself, unless the rule says otherwise.
pub const PROVEN_GOOD: Span = Span::from_mins(10);

words! {
    /// How bad a fault is, the least first.
    Severity, "severity" {
        /// Good to know.
        Info = "info",
        /// Somebody should look at it this week.
        Minor = "minor",
        /// Work is hindered.
        Major = "major",
        /// Many can't work, or something is about to be lost.
        Critical = "critical",
    }
}

words! {
    /// What kind of work a ticket asks for. On a ticket with several lines the later one in this list wins.
    TicketKind, "ticket kind" {
        /// Something is used up.
        Supply = "SUPPLY",
        /// Something can be mended.
        Repair = "REPAIR",
        /// Something has to be exchanged.
        Replacement = "REPLACEMENT",
    }
}

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// [`PACK_FORMAT`].
    pub format: u32,
    /// Its rules.
    #[serde(default)]
    pub rule: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name for ever, such as `disk.full.server`; overrides, incidents and tickets refer to it.
    pub id: String,
    /// False: as if it were not there. How a folder switches a shipped rule off.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// One plain line for a ticket, with `{placeholders}`.
    pub title: Template,
    /// What to do first and what to bring.
    pub advice: String,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of work it makes.
    pub ticket: TicketKind,
    /// Faults of one device and category share a ticket.
    pub category: String,
    /// Which devices it looks at.
    pub classes: Vec<Class>,
    /// Whether its fault means that the device is out of reach, and with it all that hangs on it. Silence always does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outage: bool,
    /// Whether it is about somebody's safety: then nothing holds its tickets back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub safety: bool,
    /// Whether its faults are a list to plan by and never tickets by themselves: reboots that are due, support that ends.
    #[serde(default, skip_serializing_if = "is_false")]
    pub list: bool,
    /// Whether its tickets wait while students are tested in the building, unless they are critical: work that makes noise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waits_for_tests: bool,
    /// Whether its fault is one of what is looked at, such as a name server or a line, and not of who looks: whoever else sees it
    /// joins the ticket of the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared: bool,
    /// Whether several devices of one model with its fault may have it for one reason, and then share a ticket: worn batteries,
    /// failing fans and disks of a batch.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cohort: bool,
    /// What several such faults are called, such as `worn batteries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<String>,
    /// Step by step, for a technician who is new.
    pub runbook: String,
    /// Where its numbers come from; the word *house* marks those that are ours.
    pub source: String,
    /// What it looks at and when.
    pub check: Check,
    /// As it stands for some; only overrides make them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

/// The kinds of rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A device says nothing.
    Absence(Absence),
    /// Several readings of one subject are bad at once.
    AllOf(Box<Parts>),
    /// At least one of several readings of one subject is bad.
    AnyOf(Box<Parts>),
    /// A counter rises.
    Change(Box<Change>),
    /// Something happens again and again.
    Count(Box<Count>),
    /// A reading will be at its limit.
    Forecast(Box<Forecast>),
    /// A counter rises too fast.
    Rate(Box<Rate>),
    /// A part is too large for its whole.
    Ratio(Box<Ratio>),
    /// A reading is beyond a limit, or in a state.
    Threshold(Box<Threshold>),
}

impl Check {
    /// What a kind that looks at samples makes of them.
    #[must_use]
    pub fn threshold(&self) -> Option<&Threshold> {
        match self {
            Self::Absence(_) => None,
            Self::AllOf(parts) | Self::AnyOf(parts) => Some(&parts.threshold),
            Self::Change(change) => Some(&change.threshold),
            Self::Count(count) => Some(&count.threshold),
            Self::Forecast(forecast) => Some(&forecast.threshold),
            Self::Rate(rate) => Some(&rate.threshold),
            Self::Ratio(ratio) => Some(&ratio.threshold),
            Self::Threshold(threshold) => Some(threshold),
        }
    }

    /// The word for it in a pack.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Absence(_) => "absence",
            Self::AllOf(_) => "all_of",
            Self::AnyOf(_) => "any_of",
            Self::Change(_) => "change",
            Self::Count(_) => "count",
            Self::Forecast(_) => "forecast",
            Self::Rate(_) => "rate",
            Self::Ratio(_) => "ratio",
            Self::Threshold(_) => "threshold",
        }
    }

    /// The measurements that it looks at, each once.
    #[must_use]
    pub fn measurements(&self) -> BTreeSet<&str> {
        match self {
            Self::AllOf(parts) | Self::AnyOf(parts) => {
                parts.part.iter().map(|part| part.measurement.as_str()).collect()
            }
            check => check.threshold().map(|threshold| threshold.measurement.as_str()).into_iter().collect(),
        }
    }

    /// Whether it looks at this sample at all.
    #[must_use]
    pub fn looks_at(&self, sample: &Sample) -> bool {
        match self {
            Self::AllOf(parts) | Self::AnyOf(parts) => parts.looks_at(sample),
            check => check.threshold().is_some_and(|threshold| threshold.looks_at(sample)),
        }
    }

    /// The sample with what the kind adds to it; none if that can't be told. `interval` is how often the agent reads;
    /// `track` is what is remembered of the sample's subject, made anew if it is told to.
    pub(crate) fn measure<'sample, 'track>(
        &self,
        sample: &'sample Sample,
        interval: Duration,
        track: impl FnOnce(bool) -> Option<&'track mut Track>,
    ) -> Option<Cow<'sample, Sample>> {
        Some(Cow::Owned(match self {
            Self::Absence(_) => return None,
            Self::Threshold(_) => return Some(Cow::Borrowed(sample)),
            Self::AllOf(parts) => parts.measure(Join::All, sample, interval, track)?,
            Self::AnyOf(parts) => parts.measure(Join::Any, sample, interval, track)?,
            Self::Change(change) => change.measure(sample, track(tells(sample, &change.field))?)?,
            Self::Count(count) => count.measure(sample, track(count.tells(sample))?)?,
            Self::Forecast(forecast) => forecast.measure(sample, track(tells(sample, &forecast.field))?)?,
            Self::Rate(rate) => rate.measure(sample, track(tells(sample, &rate.field))?)?,
            Self::Ratio(ratio) => ratio.measure(sample)?,
        }))
    }

    /// Fields that it adds to the samples it looks at.
    const fn added(&self) -> &'static [&'static str] {
        match self {
            Self::Change(_) => &[RISE],
            Self::Count(_) => &[TIMES],
            Self::Forecast(_) => &[DAYS_LEFT],
            Self::Rate(_) => &[PER_SECOND],
            Self::Ratio(_) => &[PART_PERCENT],
            Self::Absence(_) | Self::AllOf(_) | Self::AnyOf(_) | Self::Threshold(_) => &[],
        }
    }
}

/// Whether a sample tells a field: of what it does not tell nothing is to be remembered.
fn tells(sample: &Sample, name: &str) -> bool {
    threshold::field(sample, name).is_some()
}

/// A rule that makes no sense: which, where, what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: key `{key}` is {value}: expected {expected}")]
pub struct RuleError {
    /// The rule's id.
    pub rule: String,
    /// The key at fault.
    pub key: &'static str,
    /// What it says.
    pub value: String,
    /// What it should say.
    pub expected: String,
}

/// What a check finds wrong with itself; [`Rule::validate`] adds the rule's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) expected: String,
}

impl Flaw {
    pub(crate) fn new(key: &'static str, value: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key, value: value.into(), expected: expected.into() }
    }
}

/// Placeholders that every rule's title knows.
const PLACEHOLDERS: [&str; 5] = ["device", "room", "site", "class", "value"];

impl Pack {
    /// Refuses a pack of another format, or with a rule that contradicts itself.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), RuleError> {
        if self.format != PACK_FORMAT {
            return Err(RuleError {
                rule: "(pack)".to_string(),
                key: "format",
                value: self.format.to_string(),
                expected: PACK_FORMAT.to_string(),
            });
        }
        self.rule.iter().try_for_each(Rule::validate)
    }
}

impl Rule {
    /// Refuses a rule that contradicts itself.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), RuleError> {
        self.find_flaw().map_or(Ok(()), |flaw| {
            Err(RuleError { rule: self.id.clone(), key: flaw.key, value: flaw.value, expected: flaw.expected })
        })
    }

    /// Whether its fault means that the device is out of reach.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        self.outage || matches!(self.check, Check::Absence(_))
    }

    /// Whether it looks at devices of this class.
    #[must_use]
    pub fn applies_to(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    fn find_flaw(&self) -> Option<Flaw> {
        let urgent = self.safety || self.is_outage() || self.severity == Severity::Critical;
        if self.list && urgent {
            let expected = "`false` for what is critical, an outage, or about safety: that has a ticket at once";
            return Some(Flaw::new("list", "`true`", expected));
        }
        self.flaw_in_words()
            .or_else(|| self.flaw_in_variants())
            .or_else(|| self.flaw_in_check())
            .or_else(|| self.flaw_in_title())
    }

    fn flaw_in_words(&self) -> Option<Flaw> {
        let named = |text: &str, extra: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || extra.contains(letter))
        };
        if !named(&self.id, "._-") {
            return Some(Flaw::new("id", quoted(&self.id), "lower-case words with dots, such as `disk.full.server`"));
        }
        if !named(&self.category, "_-") {
            return Some(Flaw::new("category", quoted(&self.category), "one lower-case word, such as `disk`"));
        }
        if self.classes.is_empty() {
            return Some(Flaw::new("classes", "empty", "at least one device class"));
        }
        [("advice", &self.advice), ("runbook", &self.runbook), ("source", &self.source)]
            .into_iter()
            .find(|(_, text)| text.trim().is_empty())
            .map(|(key, _)| Flaw::new(key, "empty", "a sentence"))
    }

    fn flaw_in_check(&self) -> Option<Flaw> {
        match &self.check {
            Check::Absence(absence) => absence.find_flaw(),
            Check::AllOf(parts) | Check::AnyOf(parts) => parts.find_flaw(),
            Check::Change(change) => change.find_flaw(),
            Check::Count(count) => count.find_flaw(),
            Check::Forecast(forecast) => forecast.find_flaw(),
            Check::Rate(rate) => rate.find_flaw(),
            Check::Ratio(ratio) => ratio.find_flaw(),
            Check::Threshold(threshold) => threshold.find_flaw(),
        }
    }

    fn flaw_in_title(&self) -> Option<Flaw> {
        let mut known: BTreeSet<&str> = PLACEHOLDERS.into();
        known.extend(self.check.added());
        if let Check::AllOf(parts) | Check::AnyOf(parts) = &self.check {
            // Which of the readings holds is not known beforehand, so the title can't tell any.
            let subject: BTreeSet<&str> = parts.threshold.by.iter().map(String::as_str).collect();
            known.remove("value");
            known.extend(&subject);
            let told = self.title.find_flaw("title", &known);
            known.extend(parts.threshold.also.iter().map(String::as_str));
            let told_of = |template: &Template| template.find_flaw("evidence", &known);
            return told.or_else(|| parts.threshold.evidence.iter().find_map(told_of));
        }
        if let Some(threshold) = self.check.threshold() {
            known.extend(threshold.placeholders());
            let evidence = threshold.evidence.iter().find_map(|template| template.find_flaw("evidence", &known));
            if evidence.is_some() {
                return evidence;
            }
        }
        self.title.find_flaw("title", &known)
    }
}

/// Rules that make sense, by id, without those that are switched off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleSet {
    rules: BTreeMap<String, Rule>,
}

impl RuleSet {
    /// The shipped rules, each replaced by the folder's rule of the same id, plus the folder's own.
    ///
    /// # Errors
    /// The first rule that contradicts itself, or an id that one of the two lists has twice.
    pub fn merge(shipped: Vec<Rule>, folder: Vec<Rule>) -> Result<Self, RuleError> {
        Self::vary(shipped, folder, Vec::new()).map(|(rules, _)| rules)
    }

    /// The same with overrides, each with where it is written. Those that make no sense are left out and told, by their place in
    /// the list.
    ///
    /// # Errors
    /// The first rule that contradicts itself, or an id that one of the two lists has twice.
    pub fn vary(
        shipped: Vec<Rule>,
        folder: Vec<Rule>,
        overrides: Vec<(Override, String)>,
    ) -> Result<(Self, Vec<(usize, RuleError)>), RuleError> {
        let mut rules = by_id(shipped)?;
        rules.extend(by_id(folder)?);
        let mut refused = Vec::new();
        for (place, (change, from)) in overrides.into_iter().enumerate() {
            let id = change.rule.clone();
            let varied = match rules.get_mut(&id) {
                Some(rule) => rule.vary(change, &from),
                None => Err(RuleError {
                    key: "rule",
                    value: quoted(&id),
                    expected: "the id of a rule that there is".to_string(),
                    rule: id,
                }),
            };
            refused.extend(varied.err().map(|error| (place, error)));
        }
        rules.retain(|_, rule| rule.enabled || rule.variants.iter().any(|variant| variant.rule.enabled));
        Ok((Self { rules }, refused))
    }

    /// Keeps rules that were in force before and of which it is not known that they should not be: one that can't be read
    /// any more must not end what it has found.
    pub fn keep(&mut self, before: &Self, is_doubtful: impl Fn(&str) -> bool) {
        for rule in before.iter().filter(|rule| is_doubtful(&rule.id)) {
            self.rules.entry(rule.id.clone()).or_insert_with(|| rule.clone());
        }
    }

    /// One rule.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> + '_ {
        self.rules.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn by_id(list: Vec<Rule>) -> Result<BTreeMap<String, Rule>, RuleError> {
    let mut rules = BTreeMap::new();
    for rule in list {
        rule.validate()?;
        if let Some(twin) = rules.insert(rule.id.clone(), rule) {
            let value = format!("{} twice", quoted(&twin.id));
            return Err(RuleError { rule: twin.id, key: "id", value, expected: "each id once".to_string() });
        }
    }
    Ok(rules)
}

pub(crate) fn quoted(text: &str) -> String {
    format!("`{text}`")
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

fn proven_good() -> Span {
    PROVEN_GOOD
}

#[cfg(test)]
mod tests;
