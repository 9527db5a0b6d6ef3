//! The style sheet, the script and the icon, built into the program.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Name, type and content.
const ASSETS: &[(&str, &str, &[u8])] = &[
    ("desk.css", "text/css; charset=utf-8", include_bytes!("../../assets/desk.css")),
    ("desk.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/desk.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
];

/// A browser may keep an asset this long; pages name them with the program's version, so an update shows at once.
const CACHE: &str = "public, max-age=86400";

/// One asset.
pub(super) async fn get(Path(name): Path<String>) -> Response {
    ASSETS.iter().find(|(known, ..)| *known == name).map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |(_, kind, content)| {
            ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, CACHE)], *content).into_response()
        },
    )
}
