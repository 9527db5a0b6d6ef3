//! People who log in, what their role lets them do, and the links by which they come in for the first time.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use bellwether_logic::device::UnknownWord;
use bellwether_logic::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::secret::SecretHash;
use super::{During, State, StateError, word};

/// Shortest password that is taken. Long beats complicated; there is no other rule.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Longest password that is hashed: hashing costs time in proportion, and anyone may try.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Longest login.
pub const LOGIN_CHARS_MAX: usize = 64;

/// What a person or an API token may do. Titles differ from school to school; these are capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, and adds what they notice to a ticket.
    Champion,
    /// Works tickets.
    Technician,
    /// Also decides what stands where.
    Coordinator,
    /// Also connects machines and hands out access.
    Admin,
}

impl Role {
    /// All of them, most able first.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Coordinator, Self::Technician, Self::Champion, Self::Viewer];

    /// The word on pages, in the database and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Coordinator => "coordinator",
            Self::Technician => "technician",
            Self::Champion => "champion",
            Self::Viewer => "viewer",
        }
    }

    /// Whether this role may do that. Each role may do all that the lesser ones may.
    #[must_use]
    pub fn may(self, deed: Deed) -> bool {
        let least = match deed {
            Deed::CommentTicket => Self::Champion,
            Deed::WorkTicket | Deed::ChangeDeviceState => Self::Technician,
            Deed::DirectTicket | Deed::ChangeDevicePlace | Deed::ChangeDay | Deed::SeePlan | Deed::EditLife => {
                Self::Coordinator
            }
            Deed::ConnectMachines => Self::Admin,
        };
        self >= least
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const WORDS: &[&str] = &["admin", "coordinator", "technician", "champion", "viewer"];
        let role = Self::ALL.into_iter().find(|role| role.as_str() == word);
        role.ok_or_else(|| UnknownWord { what: "role", word: word.into(), expected: WORDS })
    }
}

/// What not everyone may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Add a comment to a ticket.
    CommentTicket,
    /// Take, close and reopen tickets.
    WorkTicket,
    /// Give tickets to others, and merge them.
    DirectTicket,
    /// Say where a device stands in its life, and in which room.
    ChangeDeviceState,
    /// Name a device, move it to another building, say what it is for.
    ChangeDevicePlace,
    /// Say that a building is closed on a day, or begins late.
    ChangeDay,
    /// See what has to be bought in which budget year.
    SeePlan,
    /// Say when devices were bought and what they cost.
    EditLife,
    /// Make tokens by which machines connect.
    ConnectMachines,
}

/// Someone with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Never used again for another.
    pub id: i64,
    /// What they type, and what the history of a ticket shows.
    pub login: String,
    /// What they may do.
    pub role: Role,
}

impl Person {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get("id")?, login: row.get("login")?, role: word(row, "role")? })
    }
}

/// Why nobody was added.
#[derive(Debug, thiserror::Error)]
pub enum AddPersonError {
    /// The login is taken, in whatever case.
    #[error("the login `{0}` is taken")]
    LoginTaken(String),
    /// The first-login link is unknown, used or over.
    #[error("this link was used already, or it is too old")]
    LinkInvalid,
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Hashes a password with argon2id. Takes tens of milliseconds and 19 MiB on purpose: never call it from async code.
///
/// # Errors
/// When there is no randomness or memory for it.
pub fn hash_password(password: &str) -> Result<String, StateError> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| StateError::Password)
}

/// Whether this password made that hash. As slow as hashing.
#[must_use]
pub fn verify_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

impl State {
    /// Whether nobody has an account yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn has_nobody(&self) -> Result<bool, StateError> {
        self.reader()
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM people)", [], |row| row.get(0))
            .during("look for people")
    }

    /// The person with this login, and their password's hash.
    ///
    /// # Errors
    /// When the database fails.
    pub fn person_by_login(&self, login: &str) -> Result<Option<(Person, String)>, StateError> {
        self.reader()
            .prepare_cached("SELECT id, login, role, password FROM people WHERE login = ?1")
            .and_then(|mut query| {
                query.query_row([login], |row| Ok((Person::from_row(row)?, row.get("password")?))).optional()
            })
            .during("look up a person")
    }

    /// Makes a link valid for one first login with this role. Links that are over are forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_first_login(
        &self,
        link: SecretHash,
        role: Role,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StateError> {
        let writer = self.writer();
        writer.execute("DELETE FROM first_logins WHERE expires_at < ?1", [now.0]).during("forget old links")?;
        writer
            .execute(
                "INSERT INTO first_logins (hash, role, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
                params![link.0, role.as_str(), now.0, expires_at.0],
            )
            .during("add a first-login link")?;
        Ok(())
    }

    /// The role that a link would give, if it can still be used.
    ///
    /// # Errors
    /// When the database fails.
    pub fn first_login_role(&self, link: SecretHash, now: Timestamp) -> Result<Option<Role>, StateError> {
        self.reader()
            .query_row(
                "SELECT role FROM first_logins WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2",
                params![link.0, now.0],
                |row| word(row, "role"),
            )
            .optional()
            .during("look up a first-login link")
    }

    /// Spends a first-login link on a new person.
    ///
    /// # Errors
    /// When the link cannot be used, the login is taken (the link stays usable), or the database fails.
    pub fn add_person_by_link(
        &self,
        link: SecretHash,
        login: &str,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<Person, AddPersonError> {
        let mut writer = self.writer();
        let transaction = writer.transaction().during("begin")?;
        let role: Option<Role> = transaction
            .query_row(
                "UPDATE first_logins SET used_at = ?2
                 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 RETURNING role",
                params![link.0, now.0],
                |row| word(row, "role"),
            )
            .optional()
            .during("spend a first-login link")?;
        let role = role.ok_or(AddPersonError::LinkInvalid)?;
        let added = transaction
            .execute(
                "INSERT INTO people (login, password, role, created_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (login) DO NOTHING",
                params![login, password_hash, role.as_str(), now.0],
            )
            .during("add a person")?;
        if added == 0 {
            return Err(AddPersonError::LoginTaken(login.into()));
        }
        let id = transaction.last_insert_rowid();
        transaction.commit().during("add a person")?;
        Ok(Person { id, login: login.into(), role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::secret::Secret;
    use crate::state::testing::fresh;

    const NOW: Timestamp = Timestamp(1_000);
    const LATER: Timestamp = Timestamp(2_000);

    #[test]
    fn a_first_login_link_makes_one_person_and_is_spent() {
        let (_folder, state) = fresh();
        let link = Secret::new();
        state.add_first_login(link.hash(), Role::Admin, NOW, LATER).unwrap();
        assert!(state.has_nobody().unwrap());
        assert_eq!(state.first_login_role(link.hash(), NOW).unwrap(), Some(Role::Admin));
        let person = state.add_person_by_link(link.hash(), "rivera", "hash", NOW).unwrap();
        assert_eq!((person.login.as_str(), person.role), ("rivera", Role::Admin));
        assert!(!state.has_nobody().unwrap());
        assert_eq!(state.first_login_role(link.hash(), NOW).unwrap(), None);
        let again = state.add_person_by_link(link.hash(), "other", "hash", NOW);
        assert!(matches!(again, Err(AddPersonError::LinkInvalid)));
    }

    #[test]
    fn a_link_that_is_over_makes_nobody() {
        let (_folder, state) = fresh();
        let link = Secret::new();
        state.add_first_login(link.hash(), Role::Admin, NOW, LATER).unwrap();
        assert_eq!(state.first_login_role(link.hash(), LATER).unwrap(), None);
        let late = state.add_person_by_link(link.hash(), "rivera", "hash", LATER);
        assert!(matches!(late, Err(AddPersonError::LinkInvalid)));
    }

    #[test]
    fn a_taken_login_leaves_the_link_usable() {
        let (_folder, state) = fresh();
        let (first, second) = (Secret::new(), Secret::new());
        for link in [&first, &second] {
            state.add_first_login(link.hash(), Role::Technician, NOW, LATER).unwrap();
        }
        state.add_person_by_link(first.hash(), "rivera", "hash", NOW).unwrap();
        let taken = state.add_person_by_link(second.hash(), "RIVERA", "hash", NOW);
        assert!(matches!(taken, Err(AddPersonError::LoginTaken(_))));
        assert!(state.first_login_role(second.hash(), NOW).unwrap().is_some());
    }

    #[test]
    fn a_password_is_recognised_and_never_stored() {
        let hash = hash_password("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(verify_password("correct horse battery", &hash));
        assert!(!verify_password("correct horse", &hash));
        assert!(!verify_password("", "not a hash"));
    }

    #[test]
    fn each_role_may_do_what_the_lesser_ones_may() {
        assert!(!Role::Viewer.may(Deed::CommentTicket));
        assert!(Role::Champion.may(Deed::CommentTicket));
        assert!(!Role::Champion.may(Deed::WorkTicket));
        assert!(Role::Technician.may(Deed::WorkTicket));
        assert!(!Role::Technician.may(Deed::ChangeDevicePlace));
        assert!(Role::Coordinator.may(Deed::ChangeDevicePlace));
        assert!(!Role::Coordinator.may(Deed::ConnectMachines));
        assert!(Role::Admin.may(Deed::ConnectMachines));
    }
}
