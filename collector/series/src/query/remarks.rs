//! What is said beside an answer that is not quite what was asked for, because points are no longer there one by one.

use std::cell::Cell;

use super::Message;

/// Of one statement.
#[derive(Default)]
pub(crate) struct Remarks {
    /// An edge was widened to whole roll-ups.
    pub(crate) widened: Cell<bool>,
    /// The newest time before which points were asked for that are gone.
    pub(crate) gone_before: Cell<Option<i64>>,
}

impl Remarks {
    /// Points were asked for that are not there any more.
    pub(crate) fn gone(&self, before: i64) {
        self.gone_before.set(self.gone_before.get().max(Some(before)));
    }

    /// What is to be said; after this there is nothing.
    pub(crate) fn take(&self) -> Vec<Message> {
        let warning = |text: String| Message { level: "warning", text };
        let widened = self.widened.take().then(|| {
            warning("single points are gone from part of the time: the answer there is of whole roll-ups, so that its edges are wider".into())
        });
        let gone = self.gone_before.take().map(|before| {
            let day = jiff::Timestamp::from_nanosecond(i128::from(before)).map(|time| time.to_string());
            let day = day.unwrap_or_else(|_| before.to_string());
            warning(format!(
                "points before {day} are no longer kept one by one: the answer is of the points that are left"
            ))
        });
        widened.into_iter().chain(gone).collect()
    }
}
