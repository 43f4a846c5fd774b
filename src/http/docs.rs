//! `GET /openapi.json`: the OpenAPI document. `GET /docs`: a page that shows it and sends requests. Its files are
//! embedded, and its policy forbids the browser to ask any other server.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::error::ApiError;

/// Only this service, and the style attributes and embedded images of the page itself.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'";

/// The routes of the document and of the page.
pub(super) fn router<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let document = Arc::new(document);
    // Relative, for proxies that serve the service under a path of their own. Without `none`, the page would ask
    // a validator on the internet.
    let page = Arc::new(Config::new(["../openapi.json"]).validator_url("none").use_base_layout());
    Router::new()
        .route("/openapi.json", get(|| async move { Json(&*document).into_response() }))
        .route("/docs", get(|| async { Redirect::to("/docs/index.html") }))
        .route("/docs/{*file}", get(|Path(name): Path<String>| async move { file(&name, page) }))
}

fn file(name: &str, page: Arc<Config<'static>>) -> Result<Response, ApiError> {
    let file = utoipa_swagger_ui::serve(name, page).map_err(|error| {
        tracing::error!(%error, name, "a file of the API page cannot be made");
        ApiError::Internal
    })?;
    let file = file.ok_or(ApiError::UnknownPath)?;
    // A new version of the service may have other files under the same names.
    let headers = [
        (CONTENT_TYPE, file.content_type.as_str()),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    let mut response = (headers, file.bytes.into_owned()).into_response();
    if file.gzpipped {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
