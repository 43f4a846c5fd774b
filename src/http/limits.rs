//! Limits of a request: its head, its body, and how many may be in hand.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::{Connection, Phase};
use super::error::ApiError;

/// Longest path and query, in bytes.
const MAX_URI_BYTES: usize = 8 * 1024;
/// Largest header, names and values, in bytes. hyper itself refuses more than 100 fields.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Largest request body. The only bodies are empty or `{}`.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How much of a body that is too large is read all the same: a client that is still sending when its
/// connection is closed may not see the answer.
const MAX_DISCARDED_BYTES: usize = 1024 * 1024;

/// Receives the request as a whole, within limits, before anything else is done for it.
pub(super) async fn receive(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI_BYTES) {
        return closing(ApiError::UriTooLong);
    }
    let bytes = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    if bytes.sum::<usize>() > MAX_HEADER_BYTES {
        return closing(ApiError::HeaderTooLarge);
    }
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let body = match timeout(limit, whole_body(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return closing(error),
        Err(_) => return closing(ApiError::RequestTimedOut),
    };
    if let Some(connection) = parts.extensions.get::<Arc<Connection>>()
        && !connection.enter(Phase::Handling)
    {
        return closing(ApiError::RequestTimedOut);
    }
    next.run(Request::from_parts(parts, body.into())).await
}

async fn whole_body(body: Body) -> Result<Vec<u8>, ApiError> {
    if body.size_hint().lower() > MAX_DISCARDED_BYTES as u64 {
        return Err(ApiError::BodyTooLarge);
    }
    let (mut received, mut size) = (Vec::new(), 0);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(|_| ApiError::MalformedBody)? {
        size += chunk.len();
        match size {
            ..=MAX_BODY_BYTES => received.extend_from_slice(&chunk),
            ..=MAX_DISCARDED_BYTES => {}
            _ => break,
        }
    }
    if size > MAX_BODY_BYTES { Err(ApiError::BodyTooLarge) } else { Ok(received) }
}

/// An answer before the end of the request: the connection cannot be used for another.
fn closing(error: ApiError) -> Response {
    let mut response = error.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Refuses a request that would leave too few connections to those that cost nothing, such as health checks.
pub(super) async fn shed(
    State(permits): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let _permit = permits.try_acquire().map_err(|_| ApiError::Overloaded)?;
    Ok(next.run(request).await)
}
