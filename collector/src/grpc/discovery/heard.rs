//! Gear of which only switches tell: taken in by rule like what answers SNMP, and followed to another address.

use bellwether_logic::device::Class;
use bellwether_logic::topology::How;
use bellwether_proto::record::v1::Watch;

use super::{MOVES_MAX, Task};
use crate::state::State;
use crate::state::network::Pinged;

impl Task {
    /// Takes in what the rule takes. What only draws power has no kind: a person says what it is.
    pub(super) async fn take_in_heard(&self) {
        let Some(proposals) = self.ask(|state| state.proposals(false)).await else { return };
        let announced = |how: How| how != How::Power;
        for proposal in proposals {
            let kind = proposal.facts.kind.parse().unwrap_or(Class::Other);
            if proposal.heard.is_some_and(|heard| announced(heard.how)) && self.parts.accept.takes(kind) {
                self.accept(proposal.key).await;
            }
        }
    }

    /// A device that is only pinged is pinged where switches say that it is now, by an agent that is there.
    pub(super) async fn follow_pinged(&self) {
        let Some(all) = self.ask(State::pinged).await else { return };
        let moved = all.into_iter().filter_map(|it| Some((self.moved(&it)?, it)));
        for ((agent, address), Pinged { device, watch, .. }) in moved.take(MOVES_MAX) {
            tracing::info!(device, to = agent, "a device that is only pinged is elsewhere");
            let edited = |now: &Watch| (*now == watch).then(|| Watch { agent, address, ..now.clone() });
            self.edit(&device, edited, |changed| changed).await;
        }
    }

    /// By whom and where it is pinged from now on, if that is another place than before.
    fn moved(&self, pinged: &Pinged) -> Option<(String, String)> {
        let Watch { agent, address, .. } = &pinged.watch;
        let there = pinged.address.as_ref().unwrap_or(address);
        let stays = self.parts.registry.is_connected(agent) || pinged.near.is_empty();
        let near = if stays { agent } else { &pinged.near };
        ((near, there) != (agent, address)).then(|| (near.clone(), there.clone()))
    }
}
