//! What all pages share: the frame, and what is shown instead of a page.

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::access::Visitor;
use crate::app::SubmitError;
use crate::state::StateError;
use crate::state::people::{Deed, Person, Role};

/// The frame of a page: its title, who looks, and which menu entry is lit.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) title: String,
    pub(super) tab: &'static str,
    pub(super) visitor: Option<ShellVisitor>,
    /// Behind `?v=` of the assets, so that a new version is not shown with an old style.
    pub(super) version: &'static str,
}

/// Who looks.
#[derive(Clone, Debug)]
pub(super) struct ShellVisitor {
    pub(super) login: String,
    pub(super) role: Role,
    pub(super) csrf: String,
}

impl Shell {
    /// For someone who is logged in.
    pub(super) fn new(title: impl Into<String>, tab: &'static str, visitor: &Visitor) -> Self {
        let Person { login, role, .. } = visitor.person.clone();
        let visitor = ShellVisitor { login, role, csrf: visitor.csrf.clone() };
        Self { visitor: Some(visitor), tab, ..Self::anonymous(title) }
    }

    /// For anyone.
    pub(super) fn anonymous(title: impl Into<String>) -> Self {
        Self { title: title.into(), tab: "", visitor: None, version: env!("CARGO_PKG_VERSION") }
    }

    /// The form token; empty when nobody is logged in.
    pub(super) fn csrf(&self) -> &str {
        self.visitor.as_ref().map_or("", |visitor| &visitor.csrf)
    }

    /// Whether whoever looks may see what has to be bought.
    pub(super) fn may_see_plan(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.role.may(Deed::SeePlan))
    }

    /// Whether whoever looks may connect machines.
    pub(super) fn may_connect(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.role.may(Deed::ConnectMachines))
    }
}

/// Why a page is not shown.
#[derive(Debug)]
pub(super) enum PageError {
    /// Nobody is logged in; where they wanted to go.
    LogIn(String),
    /// There is no such thing.
    NotFound,
    /// Their role does not allow it.
    Forbidden,
    /// Any other reason that the visitor can do something about.
    Plain(StatusCode, String),
    /// Our own fault: logged, and not explained.
    Internal(String),
}

impl From<StateError> for PageError {
    fn from(error: StateError) -> Self {
        Self::Internal(chain(&error))
    }
}

impl From<SubmitError> for PageError {
    fn from(error: SubmitError) -> Self {
        let status = match error {
            SubmitError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::Plain(status, format!("{}.", capital(&error.to_string())))
    }
}

impl From<tokio::task::JoinError> for PageError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Internal(error.to_string())
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The whole chain of an error, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    text: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::LogIn(wanted) => return to_login(&wanted).into_response(),
            Self::NotFound => {
                let text = "There is no such page, device or ticket. It may have been removed, or the address is cut.";
                (StatusCode::NOT_FOUND, "Not found", text.into())
            }
            Self::Forbidden => {
                let text = "Your role does not allow this. Ask an administrator if you need it.";
                (StatusCode::FORBIDDEN, "Not allowed", text.into())
            }
            Self::Plain(status, text) => (status, "That did not work", text),
            Self::Internal(why) => {
                tracing::error!(why, "a page failed");
                let text = "Bellwether could not make this page. The reason is in the collector's log.";
                (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", text.into())
            }
        };
        (status, render(&ErrorPage { shell: Shell::anonymous(title), text })).into_response()
    }
}

fn to_login(wanted: &str) -> Redirect {
    if wanted == "/" {
        return Redirect::to("/login");
    }
    let wanted: String = wanted.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    });
    Redirect::to(&format!("/login?next={wanted}"))
}

/// Renders a template. The templates are checked when the program is built; writing to memory does not fail.
pub(super) fn render(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What no route knows.
pub(super) async fn not_found(uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return super::api::Problem::new(StatusCode::NOT_FOUND, "there is no such resource").into_response();
    }
    PageError::NotFound.into_response()
}

/// Page numbers under a long list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pager {
    pub(super) page: u32,
    pub(super) pages: u32,
    /// The other parameters of the address, ready for `&page=`.
    pub(super) query: String,
}

impl Pager {
    pub(super) fn new(page: u32, rows: usize, per_page: usize, query: String) -> Self {
        let pages = u32::try_from(rows.div_ceil(per_page)).unwrap_or(u32::MAX).max(1);
        Self { page: page.clamp(1, pages), pages, query }
    }

    /// How many rows come before this page.
    pub(super) fn skip(&self, per_page: usize) -> usize {
        usize::try_from(self.page - 1).unwrap_or(usize::MAX).saturating_mul(per_page)
    }
}

/// Encodes one value for the query part of an address.
pub(super) fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}
