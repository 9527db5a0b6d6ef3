//! Calendars as they were recorded, and what people said of single days.

use std::collections::BTreeMap;

use bellwether_logic::calendar::{Change, Date};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{CalendarSet, DayChanged};
use prost::Message;
use rusqlite::{Row, params};

use super::engine::EngineTx;
use super::{During, State, StateError};
use crate::calendar::change_of;

/// What a person said of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayWord {
    /// The building.
    pub site: String,
    /// The day.
    pub date: Date,
    /// What of it; none: what was said before is taken back.
    pub change: Option<Change>,
    /// Who.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl DayWord {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (closed, by_ms): (bool, u32) = (row.get("closed")?, row.get("late_ms")?);
        let change = match (closed, by_ms) {
            (true, _) => Some(Change::Closed),
            (false, 0) => None,
            (false, by_ms) => Some(Change::Late { by_ms }),
        };
        Ok(Self {
            site: row.get("site")?,
            date: Date(row.get("date")?),
            change,
            actor: row.get("actor")?,
            at: Timestamp(row.get("at")?),
        })
    }
}

impl EngineTx<'_> {
    /// A building has another calendar, or the district's again.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_calendar(&self, at: Timestamp, set: &CalendarSet) -> Result<(), StateError> {
        let done = if set.removed {
            self.transaction.execute("DELETE FROM calendars WHERE site = ?1", [&set.site])
        } else {
            self.transaction.execute(
                "INSERT INTO calendars (site, at, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (site) DO UPDATE SET at = ?2, body = ?3",
                params![set.site, at.0, set.encode_to_vec()],
            )
        };
        done.map(drop).during("put a calendar")
    }

    /// A person said something of a day.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_day(&self, at: Timestamp, day: &DayChanged) -> Result<(), StateError> {
        let (closed, late_ms) = match change_of(day) {
            None => (false, 0),
            Some(Change::Closed) => (true, 0),
            Some(Change::Late { by_ms }) => (false, by_ms),
        };
        self.transaction
            .execute(
                "INSERT INTO day_changes (site, date, closed, late_ms, actor, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![day.site, day.date, closed, late_ms, day.actor, at.0],
            )
            .map(drop)
            .during("put what was said of a day")
    }
}

impl State {
    /// All calendars, by building.
    ///
    /// # Errors
    /// When the database fails.
    pub fn calendars(&self) -> Result<BTreeMap<String, CalendarSet>, StateError> {
        let rows: Vec<(String, Vec<u8>)> = self
            .reader()
            .prepare_cached("SELECT site, body FROM calendars")
            .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .during("list calendars")?;
        // What a newer version wrote and this one can't read is as if it were not there: it is recorded anew.
        let read = |(site, body): (String, Vec<u8>)| Some((site, CalendarSet::decode(body.as_slice()).ok()?));
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// What counts of what people said of days from this one on: the last word on each.
    ///
    /// # Errors
    /// When the database fails.
    pub fn day_words(&self, from: Date) -> Result<Vec<DayWord>, StateError> {
        self.words(
            "SELECT * FROM day_changes WHERE date >= ?1 AND id IN (SELECT max(id) FROM day_changes GROUP BY site, date)
             ORDER BY date, site",
            from.0,
        )
    }

    /// What people said last of all, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn day_history(&self, count: u32) -> Result<Vec<DayWord>, StateError> {
        self.words("SELECT * FROM day_changes ORDER BY id DESC LIMIT ?1", i32::try_from(count).unwrap_or(i32::MAX))
    }

    fn words(&self, query: &str, number: i32) -> Result<Vec<DayWord>, StateError> {
        self.reader()
            .prepare_cached(query)
            .and_then(|mut query| query.query_map([number], DayWord::from_row)?.collect())
            .during("list what was said of days")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_proto::record::v1::{Closed, day_changed};

    #[test]
    fn the_last_word_on_a_day_counts_and_all_of_them_stay() {
        let (_folder, state) = fresh();
        let closed = Some(day_changed::Change::Closed(Closed {}));
        let late = Some(day_changed::Change::LateMs(7_200_000));
        for (at, change) in [(1, closed), (2, late), (3, None)] {
            let said = DayChanged { site: "Lincoln".into(), date: 20_000, actor: "kim".into(), change };
            state.commit_engine(|tx| tx.put_day(Timestamp(at), &said)).unwrap();
        }
        let words = state.day_words(Date(20_000)).unwrap();
        assert_eq!(words.iter().map(|word| (word.change, word.at.0)).collect::<Vec<_>>(), [(None, 3)]);
        let history = state.day_history(2).unwrap();
        assert_eq!(
            history.iter().map(|word| word.change).collect::<Vec<_>>(),
            [None, Some(Change::Late { by_ms: 7_200_000 })]
        );
        assert!(state.day_words(Date(20_001)).unwrap().is_empty());
    }

    #[test]
    fn a_calendar_is_replaced_and_taken_away() {
        let (_folder, state) = fresh();
        let set = |zone: &str| CalendarSet { site: "Lincoln".into(), zone: zone.into(), ..CalendarSet::default() };
        for zone in ["UTC", "America/Chicago"] {
            state.commit_engine(|tx| tx.put_calendar(Timestamp(1), &set(zone))).unwrap();
            assert_eq!(state.calendars().unwrap()["Lincoln"].zone, zone);
        }
        let gone = CalendarSet { removed: true, ..set("") };
        state.commit_engine(|tx| tx.put_calendar(Timestamp(2), &gone)).unwrap();
        assert!(state.calendars().unwrap().is_empty());
    }
}
