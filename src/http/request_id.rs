//! The id of a request: taken from `x-request-id` or made, logged with everything that happens for the request, and
//! sent back.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

/// The header of the id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller, in bytes.
const MAX_BYTES: usize = 100;

/// Runs the request in a span with its id.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let id = sent(request.headers()).unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next.run(request).instrument(span).await;
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
