//! Who asks: the session behind a cookie, and the proof that a form was filled in on a page of theirs.

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use data_encoding::BASE32_NOPAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Desk;
use super::page::PageError;
use crate::state::people::{Deed, Person};
use crate::state::secret::SecretHash;

/// The name of the session's cookie.
const COOKIE: &str = "bellwether_session";

/// Someone who is logged in.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) person: Person,
    /// What each of their forms must carry.
    pub(super) csrf: String,
    pub(super) session: SecretHash,
}

impl Visitor {
    /// Goes on only if their role allows this.
    pub(super) fn must(&self, deed: Deed) -> Result<(), PageError> {
        if self.person.role.may(deed) { Ok(()) } else { Err(PageError::Forbidden) }
    }
}

impl FromRequestParts<Desk> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, PageError> {
        let to_login = || {
            let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
            PageError::LogIn(wanted.to_owned())
        };
        let secret = session_cookie(&parts.headers).ok_or_else(to_login)?.to_owned();
        let session = SecretHash::of(&secret);
        let now = desk.app.clock.now();
        let person = desk.with_state(move |state| state.session_person(session, now)).await?;
        let person = person.ok_or_else(to_login)?;
        Ok(Self { person, csrf: form_token(&secret), session })
    }
}

/// The token of a session's forms: known to whoever has the cookie, and to nobody who merely has the database.
pub(super) fn form_token(secret: &str) -> String {
    let digest = Sha256::new().chain_update("form of session ").chain_update(secret).finalize();
    BASE32_NOPAD.encode(&digest[..16]).to_ascii_lowercase()
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The header that gives a browser its session, or takes it away.
pub(super) fn set_cookie(secret: &str, seconds: u64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

/// A form of someone who is logged in, from a page of their session.
#[derive(Debug)]
pub(super) struct Signed<T>(pub(super) Visitor, pub(super) T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Desk> for Signed<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, desk).await?;
        let bytes = axum::body::Bytes::from_request(Request::from_parts(parts.clone(), body), desk)
            .await
            .map_err(|refused| PageError::Plain(refused.status(), "This form is too large.".into()))?;
        let Token { csrf } = decode(&parts, bytes.clone()).await?;
        if !same(&csrf, &visitor.csrf) {
            let text =
                "This form is of an older session, so nothing was changed. Go back, reload the page and try again.";
            return Err(PageError::Plain(StatusCode::FORBIDDEN, text.into()));
        }
        Ok(Self(visitor, decode(&parts, bytes).await?))
    }
}

async fn decode<T: DeserializeOwned>(parts: &Parts, bytes: axum::body::Bytes) -> Result<T, PageError> {
    let request = Request::from_parts(parts.clone(), bytes.into());
    let Form(form) = Form::<T>::from_request(request, &()).await.map_err(|refused| {
        PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, format!("This form could not be read: {refused}"))
    })?;
    Ok(form)
}

/// Compares without telling by its time how much was right.
pub(super) fn same(given: &str, expected: &str) -> bool {
    SecretHash::of(given) == SecretHash::of(expected)
}

impl Desk {
    /// Asks the state database off the async threads.
    pub(super) async fn with_state<T, E>(
        &self,
        ask: impl FnOnce(&crate::state::State) -> Result<T, E> + Send + 'static,
    ) -> Result<T, PageError>
    where
        T: Send + 'static,
        E: Into<PageError> + Send + 'static,
    {
        let state = self.app.state.clone();
        tokio::task::spawn_blocking(move || ask(&state)).await?.map_err(Into::into)
    }
}
