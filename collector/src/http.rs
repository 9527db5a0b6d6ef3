//! The people's port: pages and API, the InfluxDB-compatible endpoints, `/metrics` and `/healthz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Router, serve};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::accept::Accepted;
use crate::calendar::CALENDAR;
use crate::health::Health;
use crate::influx::compare::COMPARISON;
use crate::readers::INFLUX;
use crate::rules::RULES;

/// How long open requests may take once the collector stops; a page is there sooner.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// `/healthz` and `/metrics`: for machines, without a secret, since they say nothing about anyone.
pub fn own_routes(health: Arc<Health>, figures: PrometheusHandle) -> Router {
    Router::new().route("/healthz", get(healthz).with_state(health)).route("/metrics", get(metrics).with_state(figures))
}

/// 200 while everything of ours works, else 503; and a line for each part in trouble. Whoever restarts the collector because
/// of a 503 would neither bring an InfluxDB back nor mend a calendar or a rule.
async fn healthz(State(health): State<Arc<Health>>) -> Response {
    let troubles = health.troubles();
    if troubles.is_empty() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let elsewhere = troubles.iter().all(|(part, _)| [INFLUX, COMPARISON, CALENDAR, RULES].contains(part));
    let status = if elsewhere { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // The reasons name paths and addresses: they are for the log and the admin's page.
    let lines: String = troubles.iter().map(|(part, _)| format!("{part}: in trouble, trying again\n")).collect();
    (status, lines).into_response()
}

async fn metrics(State(figures): State<PrometheusHandle>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], figures.render()).into_response()
}

/// Serves accepted connections until `stop` turns true.
///
/// # Errors
/// When the server fails as a whole.
pub async fn run(routes: Router, connections: Accepted, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let mut stopped = stop.clone();
    // Tapping gives the address of each connection to the handlers, which count failed logins by it.
    let connections = connections.tap_io(|_| {});
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server = serve(connections, service).with_graceful_shutdown(async move {
        // An error means that whoever could stop us is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    tokio::select! {
        ended = server => ended,
        // Browsers keep connections open that nobody will use again.
        () = async {
            let _ = stopped.wait_for(|stop| *stop).await;
            tokio::time::sleep(LAST_REQUESTS).await;
        } => Ok(()),
    }
}
