//! Goodbyes: for good, or because the machine will be gone for a while.

use std::time::Duration;

use bellwether_proto::v1::Goodbye;
use bellwether_proto::v1::agent_message::Body as ToCollector;
use tokio::time::Instant;

use super::timers::Timer;
use super::{Agent, room};
use crate::GoodbyeReason;
use crate::uplink;

/// For the last batch and the goodbye at a clean stop.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// How long an agent that said goodbye for a while stays away if nobody says that the machine is back: sleep may have
/// failed, or what announced it may be gone. Time asleep does not count.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// How long a machine with an empty battery stays away: it is about to go off, and that it did must be the last word.
const EMPTY_MAX: Duration = Duration::from_secs(1_800);

impl Agent {
    /// Brings out what can be brought out in a few seconds, and leaves the rest safe on disk.
    pub(super) async fn stop(&mut self, reason: GoodbyeReason) {
        tracing::info!(reason = reason.as_str_name(), "the agent stops");
        self.bring_out(reason).await;
    }

    /// The machine will be gone in a moment: as at a stop, but the agent goes on.
    pub(super) async fn leave(&mut self, reason: GoodbyeReason) {
        tracing::info!(reason = reason.as_str_name(), "the machine will be gone for a while");
        self.bring_out(reason).await;
        self.hang_up();
        let is_empty = reason == GoodbyeReason::GoodbyeLowBattery;
        self.timers.set(Timer::Call, if is_empty { EMPTY_MAX } else { AWAY_MAX });
    }

    /// The machine is back: the collector hears of it at once, and so does whoever looks at its readings.
    pub(super) fn come_back(&mut self) {
        tracing::info!("the machine is back");
        self.hang_up();
        self.backoff.succeeded();
        self.ticked = false;
        self.timers.set(Timer::Tick, Duration::ZERO);
        self.call();
    }

    /// Ends the stream that there is, if any; nobody calls again by itself.
    pub(super) fn hang_up(&mut self) {
        self.link = None;
        self.whereabouts.handle_disconnected();
        self.uplink.handle_disconnected();
        self.timers.clear(Timer::Pace);
        self.timers.clear(Timer::Call);
    }

    /// Elsewhere nobody is told for how long the machine is on: when the day's values are out, so is the agent.
    pub(super) fn leave_for_today(&mut self) {
        let Some(outgoing) = self.link.as_mut().and_then(|link| link.outgoing.take()) else { return };
        let goodbye = Goodbye { reason: GoodbyeReason::GoodbyeStop.into() };
        // Without room the end of the stream says as much.
        let _ = outgoing.try_send(uplink::message(ToCollector::Goodbye(goodbye)));
        self.may_send = false;
    }

    async fn bring_out(&mut self, reason: GoodbyeReason) {
        self.close_round();
        if self.uplink.is_up() {
            let deadline = Instant::now() + STOP_WAIT;
            if tokio::time::timeout_at(deadline, self.say_goodbye(reason)).await.is_err() {
                tracing::debug!("the collector did not take the goodbye in time");
            }
        }
        self.spool.sync();
    }

    async fn say_goodbye(&mut self, reason: GoodbyeReason) {
        self.may_send = true;
        while self.may_send && self.uplink.is_up() {
            room(self.link.as_ref().and_then(|link| link.outgoing.as_ref())).await;
            self.send_next();
        }
        let Some(link) = self.link.as_mut() else { return };
        if let Some(outgoing) = link.outgoing.take() {
            let goodbye = Goodbye { reason: reason.into() };
            let _ = outgoing.send(uplink::message(ToCollector::Goodbye(goodbye))).await;
        }
        // The last acknowledgements come until the collector closes.
        while let Some(link) = self.link.as_mut() {
            match link.next().await {
                uplink::Event::Message(message) => self.handle_message(&message),
                uplink::Event::Verified(_) | uplink::Event::Welcomed(..) => {}
                uplink::Event::Ended(_) => return,
            }
        }
    }
}
