//! The forwarding tables that Cisco keeps apart for each VLAN. Without them the map would see the first VLAN alone.

use std::collections::BTreeSet;

use super::Plan;
use super::visit::Visit;
use crate::snmp::Oid;
use crate::snmp::answers::Answers;
use crate::snmp::ask::Trouble;
use crate::snmp::budget::Budget;
use crate::snmp::client::Patience;
use crate::snmp::profile::{Pace, Row};
use crate::snmp::sweep::{self, drive};
use crate::snmp::walk::End;

/// VLANs of one switch that are asked for; a school has dozens, and each costs a few questions every half an hour.
pub const VLANS_MAX: usize = 128;
/// So many VLANs that come to nothing one after the other, and the rest is left: the switch keeps no tables apart, or lets
/// nobody in there.
const FAILED_MAX: usize = 2;
/// Cisco's own for token ring and FDDI, which nobody has.
const OLD_RINGS: std::ops::RangeInclusive<u16> = 1_002..=1_005;

/// Which port a bridge's port is, and which address it learned on which; and what names ports.
const TABLES: [[u32; 11]; 3] =
    [[1, 3, 6, 1, 2, 1, 17, 1, 4, 1, 2], [1, 3, 6, 1, 2, 1, 17, 4, 3, 1, 2], [1, 3, 6, 1, 2, 1, 17, 4, 3, 1, 3]];
const NAMES: [[u32; 10]; 2] = [[1, 3, 6, 1, 2, 1, 31, 1, 1, 1], [1, 3, 6, 1, 2, 1, 2, 2, 1, 2]];

/// The VLANs that have tables of their own, and how many of them are left out. A switch that tells of all VLANs at once
/// has none; of the first one everybody is told.
fn apart(rows: &[Row]) -> (BTreeSet<u16>, usize) {
    let told = rows.iter().any(|row| row.kind == "forwarding" && row.columns.contains_key("vlan"));
    let vlans = rows.iter().filter(|row| row.kind == "vlan" && row.columns.contains_key("state") && !told);
    let vlans = vlans.filter_map(|row| row.columns.get("vlan")?.parse().ok());
    let all: BTreeSet<u16> = vlans.filter(|vlan| *vlan > 1 && !OLD_RINGS.contains(vlan)).collect();
    let more = all.len().saturating_sub(VLANS_MAX);
    (all.into_iter().take(VLANS_MAX).collect(), more)
}

impl Visit {
    /// Adds what the VLANs have apart to `rows`; says how many VLANs were left out.
    pub(super) async fn add_vlans(
        &self,
        plan: &Plan,
        answers: &Answers,
        budget: &mut Budget,
        rows: &mut Vec<Row>,
    ) -> usize {
        let (vlans, mut left_out) = apart(rows);
        let (count, mut failed) = (vlans.len(), 0);
        for (number, vlan) in vlans.into_iter().enumerate() {
            match self.of_vlan(vlan, plan, answers, budget).await {
                Ok(more) if !more.is_empty() => {
                    failed = 0;
                    rows.extend(more);
                }
                // Nobody has spoken in it.
                Ok(_) => failed = 0,
                Err(_) => failed += 1,
            }
            if failed >= FAILED_MAX {
                left_out += count - number - 1;
                break;
            }
        }
        left_out
    }

    async fn of_vlan(
        &self,
        vlan: u16,
        plan: &Plan,
        answers: &Answers,
        budget: &mut Budget,
    ) -> Result<Vec<Row>, Trouble> {
        let (login, turnstile) = (self.login.of_vlan(vlan), self.turnstile.clone());
        let device = self.shared.device(self.target.address, &login, Patience::Long, turnstile).await?;
        let columns = TABLES.map(Oid::from);
        let mut memory = sweep::Memory::new(columns.len());
        let mut swept = drive::sweep(&device, &columns, &mut memory, !login.is_v1(), budget).await;
        if let (true, End::Trouble(trouble)) = (swept.answers.is_empty(), swept.end) {
            return Err(trouble);
        }
        for name in NAMES {
            for (name, value) in answers.below(&Oid::from(name)) {
                // Names of ports have room: they had it before.
                let _ = swept.answers.insert(name.clone(), value.clone());
            }
        }
        let mut rows = plan.choice.read(&swept.answers, Pace::Slow, &self.target.id, self.time).rows;
        rows.retain(|row| matches!(row.kind, "bridge_port" | "forwarding"));
        for row in rows.iter_mut().filter(|row| row.kind == "forwarding") {
            row.columns.insert("vlan", vlan.to_string());
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &'static str, columns: &[(&'static str, &str)]) -> Row {
        Row { kind, columns: columns.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
    }

    fn vlan(number: u16) -> Row {
        row("vlan", &[("vlan", &number.to_string()), ("state", "operational")])
    }

    #[test]
    fn only_vlans_that_nobody_has_told_of_are_asked_apart_and_not_more_than_so_many() {
        let some = [vlan(1), vlan(20), vlan(1_003), row("vlan", &[("vlan", "30")])];
        assert_eq!(apart(&some), ([20].into(), 0), "30 is suspended");
        let told = [some.to_vec(), vec![row("forwarding", &[("mac", "x"), ("vlan", "20")])]].concat();
        assert_eq!(apart(&told), ([].into(), 0));
        let many: Vec<Row> = (2..=300).map(vlan).collect();
        let (asked, left_out) = apart(&many);
        assert_eq!((asked.len(), left_out), (VLANS_MAX, 299 - VLANS_MAX));
    }
}
