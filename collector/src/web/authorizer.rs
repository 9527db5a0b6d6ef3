//! Who may ask the series store by InfluxDB's protocol: whoever has an API token.

use std::sync::Arc;

use bellwether_series::http::{Authorizer, Credentials, Denied};

use crate::clock::Clock;
use crate::state::State;
use crate::state::people::Role;
use crate::state::secret::SecretHash;

/// Takes an API token wherever InfluxDB's clients put a secret: `Token`, `Bearer`, Basic password or `p`.
#[derive(Clone, Debug)]
pub struct ApiTokens {
    state: Arc<State>,
    clock: Clock,
}

impl ApiTokens {
    /// Asks this state database.
    #[must_use]
    pub const fn new(state: Arc<State>, clock: Clock) -> Self {
        Self { state, clock }
    }
}

impl ApiTokens {
    fn role(&self, credentials: &Credentials) -> Result<Role, Denied> {
        let secret = credentials.secret().ok_or(Denied::Missing)?;
        match self.state.api_caller(SecretHash::of(secret), self.clock.now()) {
            Ok(Some(caller)) => Ok(caller.role),
            Ok(None) => Err(Denied::Wrong),
            Err(error) => {
                tracing::error!(%error, "an API token could not be checked");
                Err(Denied::Forbidden)
            }
        }
    }
}

impl Authorizer for ApiTokens {
    fn may_read(&self, credentials: &Credentials, _database: &str) -> Result<(), Denied> {
        self.role(credentials).map(|_| ())
    }

    /// An admin's token. The database of Bellwether's own series is closed to everyone, by the store.
    fn may_write(&self, credentials: &Credentials, _database: &str) -> Result<(), Denied> {
        match self.role(credentials)? {
            Role::Admin => Ok(()),
            _ => Err(Denied::Forbidden),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::fresh;
    use bellwether_logic::time::Timestamp;

    #[test]
    fn a_token_reads_wherever_a_client_puts_it_and_nothing_else_does() {
        let (_folder, state) = fresh();
        let clock = Clock::manual(Timestamp(1_000));
        let secret = state.add_api_token("grafana", Role::Viewer, Timestamp(0), Some(Timestamp(2_000))).unwrap();
        let tokens = ApiTokens::new(Arc::new(state), clock.clone());
        let may = |credentials: &Credentials| tokens.may_read(credentials, "bellwether");
        let token = Credentials::Token(secret.reveal().into());
        let password = Credentials::Password { user: "any".into(), password: secret.reveal().into() };
        assert_eq!((may(&token), may(&password)), (Ok(()), Ok(())));
        assert_eq!(may(&Credentials::None), Err(Denied::Missing));
        assert_eq!(may(&Credentials::Token("guess".into())), Err(Denied::Wrong));
        clock.set(Timestamp(2_000));
        assert_eq!(may(&token), Err(Denied::Wrong));
    }
}
