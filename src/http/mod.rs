//! The HTTP interface: the router, and one file per resource. Only this module knows axum.

mod calculate;
mod error;
mod fast;
mod health;
mod input;
mod origin;
mod scheduler;
mod status;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, SecondsFormat, Utc};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::trace::TraceLayer;

use crate::background::{Batches, Scheduler, Triggers};
use crate::calculator::Calculator;
use crate::storage::{self, Store, StoreError};
use error::ApiError;
use tokio_util::task::TaskTracker;

pub use self::origin::{InvalidOrigin, Origin};

/// Largest request body. The only bodies are empty or `{}`.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Time limit of a read, after which the database counts as unreachable.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The services that handlers call.
#[derive(Clone)]
pub struct ApiState {
    /// Runs calculations that the caller waits for.
    pub calculator: Calculator,
    /// Takes triggers whose caller does not wait.
    pub triggers: Triggers,
    /// Opens batches.
    pub batches: Batches,
    /// Knows when the next batch begins.
    pub scheduler: Scheduler,
    /// Reads stored lists and states.
    pub store: Arc<dyn Store>,
    /// Tracks requests, which go on when their client disconnects.
    pub tasks: TaskTracker,
}

/// The service's router. `cors_origins` are the origins of pages that may call it from a browser.
pub fn router(api: ApiState, cors_origins: &[Origin]) -> Router {
    let recommendations = Router::new()
        .route("/calculate/{user_id}", post(calculate::calculate))
        .route("/fast/{user_id}", get(fast::fast))
        .route("/status/{user_id}", get(status::status));
    let scheduler =
        Router::new().route("/trigger", post(scheduler::trigger)).route("/status", get(scheduler::status));
    Router::new()
        .nest("/api/job-agent/recommendations", recommendations)
        .nest("/api/scheduler", scheduler)
        .route("/health", get(health::health))
        .fallback(|| async { ApiError::UnknownPath })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(api.clone(), detach))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(cors(cors_origins))
        .layer(TraceLayer::new_for_http())
        .with_state(api)
}

/// Runs each request in a task of its own: a client that disconnects cancels nothing. A cancelled database
/// call could leave a transaction open or a trigger half recorded.
async fn detach(State(api): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    api.tasks.spawn(next.run(request)).await.map_err(|_| ApiError::Internal)
}

/// Runs a read with a time limit: a database that accepts connections but never answers must not block it.
async fn read<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, ApiError> {
    storage::within(READ_TIMEOUT, read).await.map_err(Into::into)
}

/// A time as clients read it.
fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn cors(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.iter().map(HeaderValue::from).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
}
