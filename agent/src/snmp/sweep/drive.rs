//! Carries a sweep out.

use super::{Memory, Sweep, Swept};
use crate::snmp::Oid;
use crate::snmp::ask::Client;
use crate::snmp::budget::Budget;
use crate::snmp::drive::drive;

/// Asks a device for all `columns`, as gently as `budget` says; with GETBULK unless the version has none.
pub async fn sweep(
    client: &impl Client,
    columns: &[Oid],
    memory: &mut Memory,
    bulk: bool,
    budget: &mut Budget,
) -> Swept {
    let mut sweep = Sweep::new(columns, memory, bulk);
    drive(client, &mut sweep, budget).await;
    sweep.finish()
}
