//! The HTTP interface: the router, and one file per resource. Only this module knows axum.

mod auth;
mod by_careers;
mod calculate;
mod connection;
mod console;
mod docs;
mod error;
mod fast;
mod health;
mod input;
mod limits;
mod metrics;
mod openapi;
mod operator;
mod origin;
mod rate_limit;
mod request_id;
mod scheduler;
pub mod server;
mod status;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowMethods, CorsLayer};
use tower_http::normalize_path::NormalizePath;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::background::{Batches, Scheduler, Triggers};
use crate::calculator::{Calculator, Failure};
use crate::catalogue::CurrentCatalogue;
use crate::coordination::RedisLink;
use crate::metrics::Metrics;
use crate::storage::{self, Store, StoreError};
use error::ApiError;
use metrics::QueueReader;
use rate_limit::RateLimit;
use server::ServerConfig;

pub use self::auth::{ApiTokens, AuthConfig, AuthMode, InvalidApiToken, JwtKey, TokenFileError, WeakSecret};
pub use self::origin::{InvalidOrigin, Origin};

/// How long a browser may keep the answer to a preflight request.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3_600);
/// Time limit of a read, after which the database counts as unreachable.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// What handlers share.
pub type ApiState = Arc<Services>;

/// The services that handlers call.
pub struct Services {
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
    /// The snapshot of the listings.
    pub catalogue: Arc<CurrentCatalogue>,
    /// Whether Redis answers.
    pub redis: Option<RedisLink>,
    /// The name of this instance.
    pub instance: Arc<str>,
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// Cancelled when a stop begins; the service takes requests for some time after that.
    pub stop: CancellationToken,
    /// Tracks requests, which go on when their client disconnects.
    pub tasks: TaskTracker,
}

/// Which requests are served.
#[derive(Clone, Debug)]
pub struct AccessConfig {
    /// What callers have to show.
    pub auth: AuthConfig,
    /// Requests a minute for one user. `None`: any number.
    pub user_requests_per_minute: Option<NonZeroU32>,
    /// Whether the page for operators is served.
    pub console: bool,
    /// The origins of pages that may call the service from a browser.
    pub cors_origins: Vec<Origin>,
}

/// The service's router. A path is routed as if it had no slash at its end, and one at its beginning.
pub fn router(api: ApiState, config: &ServerConfig, access: &AccessConfig) -> NormalizePath<Router> {
    let auth = Arc::new(access.auth.clone());
    let rate_limit = access.user_requests_per_minute.map(|limit| Arc::new(RateLimit::new(limit)));
    // Routes are added by `routes!`, so that the document has them all.
    let recommendations = OpenApiRouter::new()
        .routes(routes!(calculate::calculate))
        .routes(routes!(by_careers::by_careers))
        .routes(routes!(fast::fast))
        .routes(routes!(status::status))
        .layer(middleware::from_fn_with_state(rate_limit, rate_limit::per_user))
        .layer(middleware::from_fn_with_state(auth.clone(), auth::of_user));
    let mut scheduler =
        OpenApiRouter::new().routes(routes!(scheduler::trigger)).routes(routes!(scheduler::scheduler_status));
    let operator = OpenApiRouter::new()
        .routes(routes!(operator::runs))
        .routes(routes!(operator::parked))
        .routes(routes!(operator::retry));
    let mut metrics = OpenApiRouter::new().routes(routes!(metrics::metrics));
    let for_operators = middleware::from_fn_with_state(auth.clone(), auth::of_operators);
    let operator = operator.layer(for_operators.clone());
    if !auth.scheduler_is_open {
        scheduler = scheduler.layer(for_operators.clone());
    }
    if !auth.metrics_are_open {
        metrics = metrics.layer(for_operators);
    }
    // A quarter of the connections is left to requests that are answered at once.
    let permits = Arc::new(Semaphore::new(config.max_connections * 3 / 4));
    let (router, document) = OpenApiRouter::with_openapi(openapi::begin())
        .nest("/api/job-agent/recommendations", recommendations)
        .nest("/api/scheduler", scheduler)
        .nest("/api/job-agent/operator", operator)
        .layer(middleware::from_fn_with_state(api.clone(), detach))
        .layer(middleware::from_fn_with_state(permits, limits::shed))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .merge(metrics.with_state((api.clone(), QueueReader::default())))
        .split_for_parts();
    let router = router
        .merge(docs::router(openapi::complete(document)))
        .merge(if access.console { console::router() } else { Router::new() })
        .fallback(|| async { ApiError::UnknownPath })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(config.body_timeout, limits::receive))
        .layer(cors(&access.cors_origins))
        .layer(middleware::from_fn_with_state(api.metrics.clone(), metrics::record))
        .layer(middleware::from_fn(request_id::identify))
        .with_state(api);
    NormalizePath::trim_trailing_slash(router)
}

/// Runs each request in a task of its own: a client that disconnects cancels nothing. A cancelled database
/// call could leave a transaction open or a trigger half recorded.
async fn detach(State(api): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    api.tasks.spawn(next.run(request).in_current_span()).await.map_err(|_| ApiError::Internal)
}

/// Runs a read with a time limit: a database that accepts connections but never answers must not block it.
/// If it fails and the database takes no trivial write either, the database is in trouble, not the request.
async fn read<T>(api: &ApiState, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, ApiError> {
    match storage::within(READ_TIMEOUT, read).await {
        Err(error) if Failure::from(&error) == Failure::Internal && api.store.probe().await.is_err() => {
            Err(StoreError::unavailable(error).into())
        }
        answer => answer.map_err(Into::into),
    }
}

/// A time as clients read it.
fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Like the service that this one replaces: any method and header, with credentials, for the origins given.
fn cors(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.iter().map(HeaderValue::from).collect::<Vec<_>>())
        .allow_credentials(true)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER, request_id::REQUEST_ID, calculate::RUN_ID, calculate::RUN_ROLE])
        .max_age(PREFLIGHT_AGE)
}
