//! The id of a request: taken from `x-request-id` or made, and sent back. The request has a span with the id, so that
//! everything that is logged for it, its run included, can be found by it.

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use super::input::User;

/// The header of the id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller, in bytes.
const MAX_BYTES: usize = 100;

/// Runs the request in a span of its own: the id, the template of its path, its user, and the status of the answer.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = sent(request.headers()).unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    let (mut parts, body) = request.into_parts();
    let user = User::from_request_parts(&mut parts, &()).await.ok().map(|User(user)| display(user));
    // A path that does not exist is what a client likes it to be.
    let route = parts.extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span =
        tracing::info_span!("request", request_id = %id, route = %route, user_id = user, outcome = Empty);
    let answer = async {
        let response = next.run(Request::from_parts(parts, body)).await;
        let status = response.status().as_u16();
        tracing::debug!(status, took = ?started.elapsed(), "request answered");
        if cfg!(feature = "otlp") {
            // Too late for the log, where it would cost more than the span.
            Span::current().record("outcome", status);
        }
        response
    };
    let mut response = answer.instrument(span).await;
    response.headers_mut().extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
    response
}

/// The caller's id, if it is fit for a log.
fn sent(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fits = !id.is_empty() && id.len() <= MAX_BYTES;
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte));
    (fits && is_plain).then(|| id.to_owned())
}
