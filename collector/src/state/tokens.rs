//! Tokens: for machines that connect, and for programs that read.

use bellwether_logic::device::Class;
use bellwether_logic::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::people::Role;
use super::secret::{Secret, SecretHash};
use super::{During, State, StateError, word};

/// Enrol tokens that are listed, newest first.
const LISTED_MAX: u32 = 50;

/// What a new enrol token is to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEnrolToken {
    /// SHA-256 of its secret.
    pub hash: SecretHash,
    /// The building that machines with it belong to.
    pub site: String,
    /// The room; may be empty.
    pub room: String,
    /// What the machines are for; unset: as each says itself.
    pub class: Option<Class>,
    /// How many machines may use it.
    pub uses: u32,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a machine gets that has presented a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which token it was.
    pub token: i64,
    /// Its building.
    pub site: String,
    /// Its room; may be empty.
    pub room: String,
    /// What it is for, when the token says so.
    pub class: Option<Class>,
}

/// Why a token was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefusal {
    /// Nobody made it here.
    #[error("this token is not known")]
    Unknown,
    /// As many machines as it was made for have used it.
    #[error("this token was used up ({uses} uses)")]
    UsedUp {
        /// How many that was.
        uses: u32,
    },
    /// It is over.
    #[error("this token expired on {}", utc(*at))]
    Expired {
        /// When it ended.
        at: Timestamp,
    },
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

fn utc(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| "an unreadable date".into(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// An enrol token as a page lists it: without its secret, which nobody has any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolTokenRow {
    /// Its number.
    pub id: i64,
    /// The building.
    pub site: String,
    /// The room; may be empty.
    pub room: String,
    /// How many machines it was made for.
    pub uses: u32,
    /// How many more may use it.
    pub uses_left: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A program that has shown a valid API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCaller {
    /// The token's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl State {
    /// Keeps a new enrol token.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_enrol_token(&self, token: &NewEnrolToken, now: Timestamp) -> Result<(), StateError> {
        self.writer()
            .execute(
                "INSERT INTO enrol_tokens (hash, site, room, class, uses, uses_left, created_at, created_by, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)",
                params![
                    token.hash.0,
                    token.site,
                    token.room,
                    token.class.map(Class::as_str),
                    token.uses,
                    now.0,
                    token.created_by,
                    token.expires_at.0,
                ],
            )
            .during("add an enrol token")?;
        Ok(())
    }

    /// What an enrol token grants that is not over, whether a use of it is left or not; none is spent.
    ///
    /// # Errors
    /// When the token is unknown or over, or the database fails.
    pub fn enrol_token(&self, secret: SecretHash, now: Timestamp) -> Result<Grant, TokenRefusal> {
        let reader = self.reader();
        let found = reader
            .query_row(
                "SELECT id, site, room, class, expires_at FROM enrol_tokens WHERE hash = ?1",
                [secret.0],
                |row| Ok((grant_from_row(row)?, Timestamp(row.get("expires_at")?))),
            )
            .optional()
            .during("look up an enrol token")?;
        match found {
            None => Err(TokenRefusal::Unknown),
            Some((_, at)) if at <= now => Err(TokenRefusal::Expired { at }),
            Some((grant, _)) => Ok(grant),
        }
    }

    /// Spends one use of an enrol token: two machines that come at once with one use left get one grant.
    ///
    /// # Errors
    /// When the token is unknown, used up or over, or the database fails.
    pub fn consume_enrol_token(&self, secret: SecretHash, now: Timestamp) -> Result<Grant, TokenRefusal> {
        let writer = self.writer();
        let granted = writer
            .query_row(
                "UPDATE enrol_tokens SET uses_left = uses_left - 1
                 WHERE hash = ?1 AND uses_left > 0 AND expires_at > ?2
                 RETURNING id, site, room, class",
                params![secret.0, now.0],
                grant_from_row,
            )
            .optional()
            .during("spend an enrol token")?;
        if let Some(grant) = granted {
            return Ok(grant);
        }
        let refused: Option<(u32, i64)> = writer
            .query_row("SELECT uses, expires_at FROM enrol_tokens WHERE hash = ?1", [secret.0], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .during("look up an enrol token")?;
        Err(match refused {
            None => TokenRefusal::Unknown,
            Some((_, expires_at)) if expires_at <= now.0 => TokenRefusal::Expired { at: Timestamp(expires_at) },
            Some((uses, _)) => TokenRefusal::UsedUp { uses },
        })
    }

    /// Gives a use back: the enrolment that had spent it could not be finished.
    ///
    /// # Errors
    /// When the database fails.
    pub fn return_enrol_use(&self, token: i64) -> Result<(), StateError> {
        self.writer()
            .execute("UPDATE enrol_tokens SET uses_left = min(uses, uses_left + 1) WHERE id = ?1", [token])
            .during("give back a use of an enrol token")?;
        Ok(())
    }

    /// The newest enrol tokens, at most fifty.
    ///
    /// # Errors
    /// When the database fails.
    pub fn enrol_tokens(&self) -> Result<Vec<EnrolTokenRow>, StateError> {
        self.reader()
            .prepare_cached("SELECT * FROM enrol_tokens ORDER BY id DESC LIMIT ?1")
            .and_then(|mut query| query.query_map([LISTED_MAX], enrol_token_from_row)?.collect::<Result<_, _>>())
            .during("list enrol tokens")
    }

    /// Makes an API token and gives its secret out, once.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_api_token(
        &self,
        name: &str,
        role: Role,
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<Secret, StateError> {
        let secret = Secret::new();
        self.writer()
            .execute(
                "INSERT INTO api_tokens (hash, name, role, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![secret.hash().0, name, role.as_str(), now.0, expires_at.map(|at| at.0)],
            )
            .during("add an API token")?;
        Ok(secret)
    }

    /// Whose API token this is, if it is still valid.
    ///
    /// # Errors
    /// When the database fails.
    pub fn api_caller(&self, token: SecretHash, now: Timestamp) -> Result<Option<ApiCaller>, StateError> {
        self.reader()
            .prepare_cached(
                "SELECT name, role FROM api_tokens
                 WHERE hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![token.0, now.0], |row| {
                        Ok(ApiCaller { name: row.get("name")?, role: word(row, "role")? })
                    })
                    .optional()
            })
            .during("look up an API token")
    }
}

fn grant_from_row(row: &Row<'_>) -> rusqlite::Result<Grant> {
    let class: Option<String> = row.get("class")?;
    Ok(Grant {
        token: row.get("id")?,
        site: row.get("site")?,
        room: row.get("room")?,
        class: if class.is_some() { Some(word(row, "class")?) } else { None },
    })
}

fn enrol_token_from_row(row: &Row<'_>) -> rusqlite::Result<EnrolTokenRow> {
    Ok(EnrolTokenRow {
        id: row.get("id")?,
        site: row.get("site")?,
        room: row.get("room")?,
        uses: row.get("uses")?,
        uses_left: row.get("uses_left")?,
        created_at: Timestamp(row.get("created_at")?),
        created_by: row.get("created_by")?,
        expires_at: Timestamp(row.get("expires_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;

    const NOW: Timestamp = Timestamp(1_000);
    const END: Timestamp = Timestamp(1_800_000_000_000);

    fn token(state: &State, uses: u32) -> SecretHash {
        let hash = Secret::new().hash();
        let token = NewEnrolToken {
            hash,
            site: "Lincoln High".into(),
            room: "114".into(),
            class: Some(Class::Desktop),
            uses,
            created_by: "rivera".into(),
            expires_at: END,
        };
        state.add_enrol_token(&token, NOW).unwrap();
        hash
    }

    #[test]
    fn a_token_grants_as_often_as_it_was_made_for() {
        let (_folder, state) = fresh();
        let secret = token(&state, 2);
        let grant = state.consume_enrol_token(secret, NOW).unwrap();
        assert_eq!(
            (grant.site.as_str(), grant.room.as_str(), grant.class),
            ("Lincoln High", "114", Some(Class::Desktop))
        );
        state.consume_enrol_token(secret, NOW).unwrap();
        let refused = state.consume_enrol_token(secret, NOW).unwrap_err();
        assert_eq!(refused.to_string(), "this token was used up (2 uses)");
        state.return_enrol_use(grant.token).unwrap();
        state.consume_enrol_token(secret, NOW).unwrap();
    }

    #[test]
    fn an_unknown_token_and_one_that_is_over_say_which_they_are() {
        let (_folder, state) = fresh();
        let unknown = state.consume_enrol_token(SecretHash::of("guess"), NOW);
        assert_eq!(unknown.unwrap_err().to_string(), "this token is not known");
        let over = state.consume_enrol_token(token(&state, 5), END);
        assert_eq!(over.unwrap_err().to_string(), "this token expired on 2027-01-15 08:00 UTC");
    }

    #[test]
    fn machines_that_come_at_once_get_no_more_than_the_uses() {
        let (_folder, state) = fresh();
        let secret = token(&state, 3);
        let granted = std::thread::scope(|scope| {
            let tries: Vec<_> =
                (0..8).map(|_| scope.spawn(|| state.consume_enrol_token(secret, NOW).is_ok())).collect();
            tries.into_iter().map(|granted| granted.join().unwrap()).filter(|granted| *granted).count()
        });
        assert_eq!(granted, 3);
        assert_eq!(state.enrol_tokens().unwrap()[0].uses_left, 0);
    }

    #[test]
    fn an_api_token_names_its_caller_until_it_ends() {
        let (_folder, state) = fresh();
        let secret = state.add_api_token("grafana", Role::Viewer, NOW, Some(END)).unwrap();
        let caller = state.api_caller(secret.hash(), NOW).unwrap().unwrap();
        assert_eq!((caller.name.as_str(), caller.role), ("grafana", Role::Viewer));
        assert_eq!(state.api_caller(secret.hash(), END).unwrap(), None);
        assert_eq!(state.api_caller(SecretHash::of("guess"), NOW).unwrap(), None);
    }
}
