//! Carries a walk out.

use super::{Walk, Walked};
use crate::snmp::Oid;
use crate::snmp::ask::Client;
use crate::snmp::budget::Budget;
use crate::snmp::drive::drive;

/// Asks a device for everything below `root`, as gently as `budget` says; with GETBULK unless the version has none.
pub async fn walk(client: &impl Client, root: &Oid, bulk: bool, budget: &mut Budget) -> Walked {
    let mut walk = Walk::new(root.clone(), bulk);
    drive(client, &mut walk, budget).await;
    walk.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::super::End;
    use super::*;
    use crate::snmp::Value;
    use crate::snmp::ask::{Binding, Held, Request, Trouble};

    /// Has ever another row, and needs a second for each answer.
    struct Endless;

    impl Client for Endless {
        async fn ask(&self, request: &Request) -> Result<Vec<Binding>, Trouble> {
            sleep(Duration::from_millis(1_500)).await;
            let (Request::GetNext(after) | Request::GetBulk { after, .. } | Request::Get(after)) = request;
            let row = after[0].arcs().get(2).copied().unwrap_or(0) + 1;
            Ok(vec![Binding { name: Oid::from([1, 3, row]), held: Held::Value(Value::Integer(1)) }])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_device_is_given_rests_and_left_when_its_turn_is_over() {
        let mut budget = Budget::default();
        let begun = Instant::now();
        let walked = walk(&Endless, &Oid::from([1, 3]), true, &mut budget).await;
        assert_eq!(walked.end, End::TooSlow);
        assert!(walked.answers.len() > 80, "what it said is kept: {}", walked.answers.len());
        assert!(walked.requests <= 100, "it rests for as long as it works: {}", walked.requests);
        assert!(begun.elapsed() < Duration::from_secs(310));
        assert!(budget.slowed().is_some());
    }
}
