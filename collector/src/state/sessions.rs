//! Who is logged in. The cookie's secret is kept as a hash: a stolen copy of the database opens no page.

use std::time::Duration;

use bellwether_logic::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::people::Person;
use super::secret::{Secret, SecretHash};
use super::{During, State, StateError};

/// A session that is not used ends after this: a technician who works every day stays in, over a weekend too.
pub const IDLE: Duration = Duration::from_secs(4 * 24 * 3600);
/// A session ends after this even if it is used.
pub const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions that one person can have; the oldest goes when one more begins.
pub const PER_PERSON_MAX: u32 = 10;
/// How stale `seen_at` may be: one write a minute for a person who clicks, not one a click.
const TOUCH_AFTER: Duration = Duration::from_secs(60);

impl State {
    /// Begins a session for someone who has just proven who they are; the secret goes into their cookie.
    ///
    /// # Errors
    /// When the database fails.
    pub fn begin_session(&self, person: i64, now: Timestamp) -> Result<Secret, StateError> {
        let secret = Secret::new();
        let mut writer = self.writer();
        let begin = |writer: &mut rusqlite::Connection| -> rusqlite::Result<()> {
            let transaction = writer.transaction()?;
            transaction.execute(
                "DELETE FROM sessions WHERE expires_at <= ?1 OR seen_at <= ?2",
                params![now.0, (now - IDLE).0],
            )?;
            transaction.execute(
                "INSERT INTO sessions (hash, person, created_at, seen_at, expires_at)
                 VALUES (?1, ?2, ?3, ?3, ?4)",
                params![secret.hash().0, person, now.0, (now + LIFE).0],
            )?;
            transaction.execute(
                "DELETE FROM sessions WHERE person = ?1 AND hash NOT IN
                 (SELECT hash FROM sessions WHERE person = ?1 ORDER BY created_at DESC, hash = ?3 DESC LIMIT ?2)",
                params![person, PER_PERSON_MAX, secret.hash().0],
            )?;
            transaction.execute("UPDATE people SET last_login_at = ?2 WHERE id = ?1", params![person, now.0])?;
            transaction.commit()
        };
        begin(&mut writer).during("begin a session")?;
        Ok(secret)
    }

    /// Whose session this is, if it is still valid.
    ///
    /// # Errors
    /// When the database fails.
    pub fn session_person(&self, session: SecretHash, now: Timestamp) -> Result<Option<Person>, StateError> {
        let found = self
            .reader()
            .prepare_cached(
                "SELECT people.id, login, role, seen_at FROM sessions JOIN people ON people.id = person
                 WHERE hash = ?1 AND expires_at > ?2 AND seen_at > ?3",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![session.0, now.0, (now - IDLE).0], |row| {
                        Ok((Person::from_row(row)?, Timestamp(row.get("seen_at")?)))
                    })
                    .optional()
            })
            .during("look up a session")?;
        let Some((person, seen_at)) = found else {
            return Ok(None);
        };
        if now.since(seen_at) > TOUCH_AFTER {
            self.writer()
                .execute("UPDATE sessions SET seen_at = ?2 WHERE hash = ?1", params![session.0, now.0])
                .during("keep a session")?;
        }
        Ok(Some(person))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    pub fn end_session(&self, session: SecretHash) -> Result<(), StateError> {
        self.writer().execute("DELETE FROM sessions WHERE hash = ?1", [session.0]).during("end a session")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::people::Role;
    use crate::state::testing::fresh;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn someone(state: &State) -> i64 {
        let link = Secret::new();
        state.add_first_login(link.hash(), Role::Technician, NOW, NOW + LIFE).unwrap();
        state.add_person_by_link(link.hash(), "rivera", "hash", NOW).unwrap().id
    }

    #[test]
    fn a_session_lives_while_it_is_used_and_not_for_ever() {
        let (_folder, state) = fresh();
        let session = state.begin_session(someone(&state), NOW).unwrap().hash();
        let mut now = NOW;
        while now.since(NOW) < LIFE {
            let person = state.session_person(session, now).unwrap();
            assert_eq!(person.unwrap().login, "rivera");
            now = now + IDLE - TOUCH_AFTER;
        }
        assert_eq!(state.session_person(session, now).unwrap(), None);
    }

    #[test]
    fn a_session_that_is_not_used_ends() {
        let (_folder, state) = fresh();
        let session = state.begin_session(someone(&state), NOW).unwrap().hash();
        assert_eq!(state.session_person(session, NOW + IDLE).unwrap(), None);
    }

    #[test]
    fn the_oldest_session_makes_room_and_the_newest_stays() {
        let (_folder, state) = fresh();
        let person = someone(&state);
        let sessions: Vec<_> = (0..=PER_PERSON_MAX)
            .map(|n| {
                let at = NOW + Duration::from_secs(u64::from(n));
                state.begin_session(person, at).unwrap().hash()
            })
            .collect();
        let alive: Vec<bool> =
            sessions.iter().map(|session| state.session_person(*session, NOW).unwrap().is_some()).collect();
        assert!(!alive[0]);
        assert!(alive[1..].iter().all(|alive| *alive));
    }

    #[test]
    fn logging_out_ends_the_session() {
        let (_folder, state) = fresh();
        let session = state.begin_session(someone(&state), NOW).unwrap().hash();
        state.end_session(session).unwrap();
        assert_eq!(state.session_person(session, NOW).unwrap(), None);
    }
}
