//! When the map is drawn anew: by the times of the records, so that a replay draws it at the same ones.

use std::time::Duration;

use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::record;

/// Between two drawings; what a person says is drawn at once.
const EVERY: Duration = Duration::from_secs(60);

/// Whether something was said since the map was drawn, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapClock {
    pub(super) stale: bool,
    pub(super) drawn_at: Timestamp,
}

impl MapClock {
    /// A record comes; says whether the map is to be drawn after it.
    pub(super) fn handle(&mut self, at: Timestamp, body: &record::Body) -> bool {
        let by_person = matches!(body, record::Body::Link(_));
        self.stale |= by_person || matches!(body, record::Body::Neighborhood(_) | record::Body::Device(_));
        // A clock that was set back must not stop it.
        let is_time = at >= self.drawn_at + EVERY || at < self.drawn_at;
        let draws = self.stale && (by_person || is_time);
        if draws {
            *self = Self { stale: false, drawn_at: at };
        }
        draws
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_proto::record::v1::{LinkSet, NeighborhoodSeen, Wake};

    #[test]
    fn the_map_is_drawn_once_a_minute_while_there_is_news_and_at_once_for_a_person() {
        let mut clock = MapClock { stale: false, drawn_at: Timestamp(0) };
        let wake = || record::Body::Wake(Wake::default());
        let news = || record::Body::Neighborhood(NeighborhoodSeen::default());
        let link = || record::Body::Link(LinkSet::default());
        let story = [
            (100_000, wake(), false),
            (110_000, news(), true),
            (120_000, news(), false),
            (130_000, link(), true),
            (140_000, news(), false),
            (189_999, wake(), false),
            (190_000, wake(), true),
            (900_000, wake(), false),
            (910_000, news(), true),
            (5_000, news(), true),
        ];
        for (at, body, draws) in story {
            assert_eq!(clock.handle(Timestamp(at), &body), draws, "{at}");
        }
    }
}
