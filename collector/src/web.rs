//! What people and tools see: pages, the JSON API, and who may ask the stores.
//!
//! Pages are rendered here, work without JavaScript, and change nothing themselves: a form becomes a journal record
//! by way of [`Clicks`](crate::app::Clicks), and the browser is sent on once its effect can be seen. Everything that
//! came from outside (names of devices, what people write) is text to the templates, which escape it.

mod access;
mod api;
mod api_calendar;
mod api_map;
mod api_ticket;
mod assets;
pub mod authorizer;
mod calendar;
mod changes;
mod chart;
mod configuration;
mod connect;
mod decision;
mod device;
mod discovered;
mod findings;
mod fleet;
mod gist;
mod guard;
mod handling;
mod hangs;
mod hardware;
mod life;
mod limiter;
mod login;
mod network;
mod page;
mod plan;
pub mod readings;
mod responsibilities;
mod rules;
mod ticket;
mod tickets;
mod upload;
mod watched;
mod when;
mod words;

use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use jiff::tz::TimeZone;
use tokio::sync::Semaphore;

use crate::app::App;
use limiter::Limiter;
use readings::{Latest, Series};

/// The largest form that is read. The longest text is 4,000 letters, each at most 12 bytes once encoded.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// The largest form with a list: the list, and what a browser puts around it.
const UPLOAD_BYTES_MAX: usize = crate::life::import::BYTES_MAX + 64 * 1024;
/// Passwords that are hashed at once: 19 MiB and a core each.
const HASHES_MAX: usize = 2;

/// What every page handler is given.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

/// Behind [`Desk`].
pub(crate) struct Inner {
    app: Arc<App>,
    series: Arc<dyn Series>,
    zone: TimeZone,
    logins: Mutex<Limiter>,
    hashes: Semaphore,
    latest: Mutex<Option<Latest>>,
    gists: Mutex<gist::Kept>,
    lists: Mutex<life::Lists>,
}

impl std::ops::Deref for Desk {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

/// Pages and API. The caller adds TLS and merges the InfluxDB-compatible routes.
///
/// Times are shown in `zone`. With [`axum::extract::ConnectInfo`] of a socket address in the requests, failed logins
/// are also counted by where they come from.
pub fn router(app: Arc<App>, series: Arc<dyn Series>, zone: TimeZone) -> Router {
    let desk = Desk(Arc::new(Inner {
        app,
        series,
        zone,
        logins: Mutex::default(),
        hashes: Semaphore::new(HASHES_MAX),
        latest: Mutex::default(),
        gists: Mutex::default(),
        lists: Mutex::default(),
    }));
    pages()
        .merge(api::routes())
        .fallback(page::not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn(guard::refuse_foreign_forms))
        .layer(from_fn_with_state(desk.clone(), guard::add_headers))
        .with_state(desk)
}

fn pages() -> Router<Desk> {
    Router::new()
        .route("/", get(fleet::show))
        .route("/devices/{id}", get(device::show).post(device::edit))
        .route("/devices/{id}/life", post(life::edit))
        .route("/devices/{id}/link", post(hangs::link))
        .route("/discovered", get(discovered::show).post(discovered::decide))
        .route("/findings", get(findings::show).post(findings::raise))
        .route("/changes", get(changes::show).post(changes::make))
        .route("/changes/{number}/end", post(changes::end))
        .route("/network", get(network::show))
        .route("/calendar", get(calendar::show).post(calendar::change))
        .route("/rules", get(rules::show))
        .route("/plan", get(plan::show))
        .route("/plan.csv", get(plan::csv))
        .route("/plan/import", get(life::show_import).post(life::check).layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX)))
        .route("/plan/import/confirm", post(life::confirm))
        .route("/responsibilities", get(responsibilities::show))
        .route("/tickets", get(tickets::show))
        .route("/tickets/{number}", get(ticket::show))
        .route("/tickets/{number}/take", post(ticket::take))
        .route("/tickets/{number}/take-off", post(ticket::take_off))
        .route("/tickets/{number}/comment", post(ticket::comment))
        .route("/tickets/{number}/decide", post(decision::decide))
        .route("/tickets/{number}/close", post(ticket::close))
        .route("/tickets/{number}/reopen", post(ticket::reopen))
        .route("/tickets/{number}/assign", post(handling::assign))
        .route("/tickets/{number}/start", post(handling::start))
        .route("/tickets/{number}/wait", post(handling::wait))
        .route("/tickets/{number}/resume", post(handling::resume))
        .route("/tickets/{number}/priority", post(handling::prioritize))
        .route("/tickets/{number}/merge", post(handling::merge))
        .route("/tickets/{number}/split", post(handling::split))
        .route("/connect", get(connect::show).post(connect::make_token))
        .route("/connect/arrivals", get(connect::arrivals))
        .route("/login", get(login::show).post(login::log_in))
        .route("/welcome/{link}", get(login::show_first).post(login::first))
        .route("/logout", post(login::log_out))
        .route("/assets/{name}", get(assets::get))
}

#[cfg(test)]
mod tests;
