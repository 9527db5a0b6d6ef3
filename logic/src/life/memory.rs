//! What was repaired: the last fixes of a rule on a model, and what each device has cost within a year.
//!
//! Who repaired it is not kept. Everything is bounded: what was repaired longest ago goes first.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Table, civil, model_key};
use crate::calendar::Date;
use crate::pairs;
use crate::rules::TicketKind;
use crate::tickets::{RepairNote, Ticket};
use crate::time::Timestamp;

/// Fixes of one rule and model that are kept, and shown on a ticket.
pub const FIXES_MAX: usize = 5;

/// Pairs of a rule and a model whose fixes are kept: sixty rules on eighty models.
pub const FIX_KEYS_MAX: usize = 5_000;

/// Letters of each text of a fix: what a technician reads at a glance.
pub const FIX_TEXT_MAX: usize = 200;

/// Repairs of one device that are kept: two a month.
pub const REPAIRS_MAX: usize = 24;

/// Devices whose repairs are kept. Of every hundred devices, ten to fifteen are repaired a year.
pub const REPAIR_DEVICES_MAX: usize = 20_000;

/// A fix that was written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fix {
    /// When its ticket was closed.
    pub at: Timestamp,
    /// The ticket.
    pub ticket: u64,
    /// What was wrong.
    pub fault: String,
    /// What was done.
    pub action: String,
    /// What was put in; may be empty.
    pub part: String,
    /// How long it took.
    pub minutes: u32,
    /// What the part cost, if that was written down, in cents.
    pub cost_cents: Option<u32>,
}

/// One hardware repair of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When its ticket was closed.
    pub at: Timestamp,
    /// What it cost with labor, in cents.
    pub cost_cents: u32,
}

/// The repairs of a device within a year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// How many.
    pub count: usize,
    /// What they cost in all, in cents.
    pub cost_cents: u64,
}

/// What is remembered of repairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// By rule and model, the newest first.
    #[serde(with = "pairs")]
    fixes: BTreeMap<(String, String), VecDeque<Fix>>,
    /// By device, the newest first.
    repairs: BTreeMap<String, VecDeque<Repair>>,
}

/// Whether repairs of this ticket are of hardware: by its category, or because its rules ask for a replacement.
#[must_use]
pub fn is_hardware(table: &Table, ticket: &Ticket) -> bool {
    let kind = ticket.lines_kind();
    kind != TicketKind::Supply && (kind == TicketKind::Replacement || table.repairs.contains_key(&ticket.category))
}

/// What a repair note means for its device; none if it was no repair of the hardware of one device. A cost that was not
/// written down is what the part is assumed to cost.
#[must_use]
pub fn repair_of(table: &Table, ticket: &Ticket, note: &RepairNote, at: Timestamp) -> Option<Repair> {
    let names_part = !note.part.trim().is_empty();
    if ticket.device.is_empty() || !(names_part || is_hardware(table, ticket)) {
        return None;
    }
    let assumed = table.repairs.get(&ticket.category).filter(|_| names_part).map(|repair| repair.cents);
    let parts = note.cost_cents.or(assumed).unwrap_or(0);
    Some(Repair { at, cost_cents: parts.saturating_add(table.labor_cents(note.minutes)) })
}

impl Memory {
    /// The last fixes of a rule on a model, the newest first.
    #[must_use]
    pub fn fixes(&self, rule: &str, model: &str) -> Vec<Fix> {
        let key = (rule.into(), model_key(model));
        self.fixes.get(&key).map(|fixes| fixes.iter().cloned().collect()).unwrap_or_default()
    }

    /// What a device's repairs came to within the year that ends `today`.
    #[must_use]
    pub fn repairs(&self, device: &str, today: Date) -> Repairs {
        let first = today.0.saturating_sub(super::LEMON_DAYS);
        let within = |repair: &&Repair| civil::day_of(repair.at).0 >= first;
        let mut sum = Repairs::default();
        for repair in self.repairs.get(device).into_iter().flatten().filter(within) {
            sum.count += 1;
            sum.cost_cents += u64::from(repair.cost_cents);
        }
        sum
    }

    /// Remembers what helped.
    pub fn remember_fix(&mut self, rule: &str, model: &str, fix: Fix) {
        let key = (rule.into(), model_key(model));
        if !self.fixes.contains_key(&key) && self.fixes.len() >= FIX_KEYS_MAX {
            let newest = |fixes: &VecDeque<Fix>| fixes.front().map(|fix| fix.at);
            let oldest = self.fixes.iter().min_by_key(|(_, fixes)| newest(fixes)).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.fixes.remove(&oldest));
        }
        let fixes = self.fixes.entry(key).or_default();
        fixes.push_front(fix.shortened());
        fixes.truncate(FIXES_MAX);
    }

    /// Remembers that a device was repaired.
    pub fn remember_repair(&mut self, device: &str, repair: Repair) {
        if !self.repairs.contains_key(device) && self.repairs.len() >= REPAIR_DEVICES_MAX {
            let newest = |repairs: &VecDeque<Repair>| repairs.front().map(|repair| repair.at);
            let oldest = self.repairs.iter().min_by_key(|(_, repairs)| newest(repairs)).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.repairs.remove(&oldest));
        }
        let repairs = self.repairs.entry(device.into()).or_default();
        repairs.push_front(repair);
        repairs.truncate(REPAIRS_MAX);
    }

    /// Forgets the repairs of before that day. Fixes stay: what helped two years ago helps today.
    pub(super) fn forget_before(&mut self, day: Date) {
        self.repairs.retain(|_, repairs| {
            repairs.retain(|repair| civil::day_of(repair.at) >= day);
            !repairs.is_empty()
        });
    }
}

impl Fix {
    fn shortened(mut self) -> Self {
        for text in [&mut self.fault, &mut self.action, &mut self.part] {
            if let Some((end, _)) = text.char_indices().nth(FIX_TEXT_MAX) {
                text.truncate(end);
            }
        }
        self
    }
}
