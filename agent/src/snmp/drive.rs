//! Carries out what a decider wants of a device: asks, measures, rests.

use tokio::time::{Instant, sleep};

use super::ask::{Binding, Client, Request, Trouble};
use super::budget::Budget;
use super::walk::End;

/// Says what is asked of one device next, and takes what comes of it.
pub(super) trait Decider {
    /// What to ask; nothing when it is over.
    fn poll_request(&mut self) -> Option<Request>;
    /// The device answered; `slow` if it should be asked for less at once.
    fn handle_answer(&mut self, bindings: Vec<Binding>, slow: bool);
    /// The question has no answer.
    fn handle_trouble(&mut self, trouble: Trouble);
    /// It is over before everything was said.
    fn handle_end(&mut self, end: End);
}

/// Asks until the decider has what it wants or the device's turn is over, as gently as `budget` says.
pub(super) async fn drive(client: &impl Client, decider: &mut impl Decider, budget: &mut Budget) {
    while let Some(request) = decider.poll_request() {
        if budget.is_spent() {
            decider.handle_end(End::TooSlow);
            break;
        }
        let begun = Instant::now();
        let answer = client.ask(&request).await;
        let elapsed = begun.elapsed();
        let took = client.took().unwrap_or(elapsed);
        match answer {
            Ok(bindings) => {
                budget.handle_answer(took);
                decider.handle_answer(bindings, budget.is_slow());
            }
            Err(trouble) => {
                match trouble {
                    Trouble::NoAnswer | Trouble::NotSent(_) => budget.handle_time(elapsed),
                    _ => budget.handle_answer(took),
                }
                decider.handle_trouble(trouble);
            }
        }
        let rest = budget.poll_rest();
        if !rest.is_zero() {
            sleep(rest).await;
            budget.handle_time(rest);
        }
    }
}

/// A decider's own functions of these names.
macro_rules! decides {
    ($($decider:ty),+) => {$(
        impl Decider for $decider {
            fn poll_request(&mut self) -> Option<Request> { <$decider>::poll_request(self) }
            fn handle_answer(&mut self, bindings: Vec<Binding>, slow: bool) { <$decider>::handle_answer(self, bindings, slow); }
            fn handle_trouble(&mut self, trouble: Trouble) { <$decider>::handle_trouble(self, trouble); }
            fn handle_end(&mut self, end: End) { <$decider>::handle_end(self, end); }
        }
    )+};
}

decides!(super::walk::Walk, super::sweep::Sweep<'_>);
