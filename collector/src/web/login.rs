//! Logging in and out, and the first login by a link.

use std::net::SocketAddr;
use std::sync::{MutexGuard, PoisonError};

use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, Extension, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Desk;
use super::access::{Signed, set_cookie};
use super::limiter::{FAILURES_MAX, FAILURES_MAX_SHARED, Limiter};
use super::page::{PageError, Shell, render};
use crate::state::people::{
    AddPersonError, LOGIN_CHARS_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Person, Role, hash_password,
    verify_password,
};
use crate::state::secret::SecretHash;
use crate::state::sessions;

/// A hash of no password that anyone has: an unknown login costs as long as a known one, so neither can be told.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$4oTeapmqXrFTtUP9yLTQOA$w2n5o3tFu9aM7yi4DY6hWA3MkNMh3ty3YMiRZDzSK6w";

const TOO_MANY_TRIES: &str = "Too many tries. Wait 15 minutes and try again.";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    next: String,
    login: String,
    problem: Option<String>,
    nobody_yet: bool,
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    shell: Shell,
    link: String,
    login: String,
    role: Role,
    problem: Option<String>,
}

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

/// The login form, as sent.
#[derive(Deserialize)]
pub(super) struct Credentials {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

/// The login form.
pub(super) async fn show(State(desk): State<Desk>, Query(Next { next }): Query<Next>) -> Result<Response, PageError> {
    let nobody_yet = desk.with_state(|state| state.has_nobody()).await?;
    let shell = Shell::anonymous("Log in");
    Ok(render(&LoginPage { shell, next: own_path(&next), login: String::new(), problem: None, nobody_yet }))
}

/// Only a path of ours: `//evil.example` and `/\evil.example` are other sites to a browser.
fn own_path(next: &str) -> String {
    let plain = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if plain { next.into() } else { "/".into() }
}

/// Checks the login form.
pub(super) async fn log_in(
    State(desk): State<Desk>,
    peer: Peer,
    Form(form): Form<Credentials>,
) -> Result<Response, PageError> {
    let keys = limit_keys(&form.login, peer.as_ref());
    let now = desk.app.clock.now();
    let may_try = || keys.iter().all(|(key, most)| desk.logins().may_try(key, *most, now));
    if !may_try() {
        return Ok(refuse(form, StatusCode::TOO_MANY_REQUESTS, TOO_MANY_TRIES));
    }
    let one_of_few = desk.hashes.acquire().await.map_err(|closed| PageError::Internal(closed.to_string()))?;
    // Asked again: those who waited in the same line have failed meanwhile.
    if !may_try() {
        return Ok(refuse(form, StatusCode::TOO_MANY_REQUESTS, TOO_MANY_TRIES));
    }
    let Some(person) = check(&desk, form.login.clone(), form.password.clone()).await? else {
        keys.iter().for_each(|(key, _)| desk.logins().failed(key, now));
        return Ok(refuse(form, StatusCode::UNAUTHORIZED, "Login or password is wrong."));
    };
    drop(one_of_few);
    keys.iter().take(1).for_each(|(key, _)| desk.logins().succeeded(key));
    begin(&desk, &person, &own_path(&form.next)).await
}

impl Desk {
    fn logins(&self) -> MutexGuard<'_, Limiter> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What failures are counted by, and how many of each are too many. The first is the pair, which a success wipes.
fn limit_keys(login: &str, peer: Option<&Extension<ConnectInfo<SocketAddr>>>) -> Vec<(String, u32)> {
    let from = peer.map_or_else(|| "unknown".into(), |Extension(ConnectInfo(peer))| peer.ip().to_string());
    vec![
        (format!("{from} {login}"), FAILURES_MAX),
        (format!("from {from}"), FAILURES_MAX_SHARED),
        (format!("login {login}"), FAILURES_MAX_SHARED),
    ]
}

fn refuse(form: Credentials, status: StatusCode, why: &str) -> Response {
    let page = LoginPage {
        shell: Shell::anonymous("Log in"),
        next: own_path(&form.next),
        login: form.login,
        problem: Some(why.into()),
        nobody_yet: false,
    };
    (status, render(&page)).into_response()
}

/// The caller holds one of the few places for hashing.
async fn check(desk: &Desk, login: String, password: String) -> Result<Option<Person>, PageError> {
    if password.len() > PASSWORD_BYTES_MAX || login.chars().count() > LOGIN_CHARS_MAX {
        return Ok(None);
    }
    desk.with_state(move |state| {
        let found = state.person_by_login(&login)?;
        let hash = found.as_ref().map_or(NOBODY, |(_, hash)| hash);
        let right = verify_password(&password, hash);
        Ok::<_, PageError>(found.map(|(person, _)| person).filter(|_| right))
    })
    .await
}

async fn begin(desk: &Desk, person: &Person, next: &str) -> Result<Response, PageError> {
    let (id, now) = (person.id, desk.app.clock.now());
    let secret = desk.with_state(move |state| state.begin_session(id, now)).await?;
    let cookie = set_cookie(secret.reveal(), sessions::LIFE.as_secs(), desk.app.config.network.tls);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
}

/// Ends the session.
pub(super) async fn log_out(
    State(desk): State<Desk>,
    Signed(visitor, Nothing {}): Signed<Nothing>,
) -> Result<Response, PageError> {
    desk.with_state(move |state| state.end_session(visitor.session)).await?;
    let cookie = set_cookie("", 0, desk.app.config.network.tls);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// The form of the first login.
pub(super) async fn show_first(State(desk): State<Desk>, Path(link): Path<String>) -> Result<Response, PageError> {
    let role = link_role(&desk, &link).await?;
    Ok(welcome(link, String::new(), role, None))
}

fn welcome(link: String, login: String, role: Role, problem: Option<String>) -> Response {
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let shell = Shell::anonymous("Welcome");
    (status, render(&WelcomePage { shell, link, login, role, problem })).into_response()
}

async fn link_role(desk: &Desk, link: &str) -> Result<Role, PageError> {
    let (hash, now) = (SecretHash::of(link), desk.app.clock.now());
    let role = desk.with_state(move |state| state.first_login_role(hash, now)).await?;
    role.ok_or_else(|| {
        let text = "This link was used already, or it is too old. Log in, or ask for a new link.";
        PageError::Plain(StatusCode::GONE, text.into())
    })
}

/// Makes the person that the link is for, and logs them in.
pub(super) async fn first(
    State(desk): State<Desk>,
    Path(link): Path<String>,
    Form(form): Form<Credentials>,
) -> Result<Response, PageError> {
    let role = link_role(&desk, &link).await?;
    let login = form.login.trim().to_owned();
    if let Some(problem) = unusable(&login, &form.password) {
        return Ok(welcome(link, login, role, Some(problem)));
    }
    let one_of_few = desk.hashes.acquire().await.map_err(|closed| PageError::Internal(closed.to_string()))?;
    let (hash, now, wanted) = (SecretHash::of(&link), desk.app.clock.now(), login.clone());
    let added = desk
        .with_state(move |state| {
            let password = hash_password(&form.password)?;
            Ok::<_, PageError>(state.add_person_by_link(hash, &wanted, &password, now))
        })
        .await?;
    drop(one_of_few);
    match added {
        Ok(person) => begin(&desk, &person, "/").await,
        Err(AddPersonError::State(error)) => Err(error.into()),
        Err(refused) => {
            let problem = format!("That cannot be: {refused}.");
            Ok(welcome(link, login, role, Some(problem)))
        }
    }
}

/// Why this login and password cannot be taken.
fn unusable(login: &str, password: &str) -> Option<String> {
    let letters = login.chars().count();
    let plain = |letter: char| letter.is_alphanumeric() || "._-@".contains(letter);
    if letters == 0 || letters > LOGIN_CHARS_MAX || !login.chars().all(plain) {
        return Some(format!("A login has letters, digits, dots, dashes or @, at most {LOGIN_CHARS_MAX} of them."));
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Some(format!("A password has at least {PASSWORD_CHARS_MIN} letters. A few words do well."));
    }
    (password.len() > PASSWORD_BYTES_MAX).then(|| format!("A password has at most {PASSWORD_BYTES_MAX} bytes."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_costs_as_much_as_a_real_one_and_fits_nothing() {
        let real = hash_password("correct horse").unwrap();
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(NOBODY), cost(&real));
        assert!(!verify_password("", NOBODY));
    }

    #[test]
    fn nobody_is_sent_to_another_site_after_the_login() {
        for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nSet-Cookie: x"] {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere}");
        }
        assert_eq!(own_path("/tickets/7?x=1"), "/tickets/7?x=1");
    }

    #[test]
    fn a_weak_password_and_a_strange_login_are_refused() {
        assert!(unusable("rivera", "short").is_some());
        assert!(unusable("", "long enough password").is_some());
        assert!(unusable("<script>", "long enough password").is_some());
        assert!(unusable("m.rivera@school", "long enough password").is_none());
        assert!(unusable("rivera", &"x".repeat(PASSWORD_BYTES_MAX + 1)).is_some());
    }
}
