//! `GET /`: a page for people who demonstrate or look after the service. It shows what the API answers: its files are
//! embedded and hold no data. Its policy forbids the browser to ask any other server, to run any other script, and to
//! make markup of the texts of listings.

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::ApiError;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const PAGE: &str = include_str!("console/index.html");

/// The files that the page loads: name, type, content.
const FILES: [(&str, &str, &str); 8] = [
    ("console.css", CSS, include_str!("console/console.css")),
    ("console.js", SCRIPT, include_str!("console/console.js")),
    ("api.js", SCRIPT, include_str!("console/api.js")),
    ("dom.js", SCRIPT, include_str!("console/dom.js")),
    ("list.js", SCRIPT, include_str!("console/list.js")),
    ("operation.js", SCRIPT, include_str!("console/operation.js")),
    ("race.js", SCRIPT, include_str!("console/race.js")),
    ("texts.js", SCRIPT, include_str!("console/texts.js")),
];

/// The routes of the page and of its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| async { answer(HTML, PAGE) }))
        .route("/console/{file}", get(|Path(name): Path<String>| async move { file(&name) }))
}

fn file(name: &str) -> Result<Response, ApiError> {
    let file = FILES.iter().find(|(known, ..)| *known == name).ok_or(ApiError::UnknownPath)?;
    Ok(answer(file.1, file.2))
}

fn answer(content_type: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // A new version of the service may have other files under the same names.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
