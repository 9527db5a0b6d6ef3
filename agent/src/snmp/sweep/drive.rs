//! Carries a sweep out: asks, measures, rests.

use tokio::time::{Instant, sleep};

use super::{Memory, Sweep, Swept};
use crate::snmp::Oid;
use crate::snmp::ask::{Client, Trouble};
use crate::snmp::budget::Budget;
use crate::snmp::walk::End;

/// Asks a device for all `columns`, as gently as `budget` says; with GETBULK unless the version has none.
pub async fn sweep(
    client: &impl Client,
    columns: &[Oid],
    memory: &mut Memory,
    bulk: bool,
    budget: &mut Budget,
) -> Swept {
    let mut sweep = Sweep::new(columns, memory, bulk);
    while let Some(request) = sweep.poll_request() {
        if budget.is_spent() {
            sweep.handle_end(End::TooSlow);
            break;
        }
        let begun = Instant::now();
        let answer = client.ask(&request).await;
        let took = begun.elapsed();
        match answer {
            Ok(bindings) => {
                budget.handle_answer(took);
                sweep.handle_answer(bindings, budget.is_slow());
            }
            Err(trouble) => {
                match trouble {
                    Trouble::NoAnswer | Trouble::NotSent(_) => budget.handle_time(took),
                    _ => budget.handle_answer(took),
                }
                sweep.handle_trouble(trouble);
            }
        }
        let rest = budget.poll_rest();
        if !rest.is_zero() {
            sleep(rest).await;
            budget.handle_time(rest);
        }
    }
    sweep.finish()
}
