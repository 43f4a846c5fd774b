//! `GET /health`: the process answers. It does not query the database: an outage there must not make an
//! orchestrator restart a healthy process.
//!
//! `GET /health/ready`: for load balancers. 503 during a stop, and while the database does not answer. Without
//! Redis, and without its read replica, the service works, and the answer says so.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::error::ApiError;
use crate::storage;

/// How long the database may take to answer. Below the second that probes of Kubernetes allow by default.
const PING_TIMEOUT: Duration = Duration::from_millis(800);

/// The answer of a process that lives.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(pattern = "^healthy$")]
    status: &'static str,
}

/// Whether the process answers.
///
/// Needs no database.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses((status = 200, body = Health, description = "It does.", example = json!({"status": "healthy"}))),
)]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "healthy" })
}

/// The answer of a ready instance: the services that it uses.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    #[schema(pattern = "^ready$")]
    status: &'static str,
    #[schema(pattern = "^available$")]
    database: &'static str,
    redis: RedisState,
    /// Whether lists are read from the replica; absent without one.
    #[serde(rename = "readReplica", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    read_replica: Option<ReplicaState>,
    /// Job listings in the catalogue.
    #[schema(minimum = 0)]
    listings: usize,
}

/// Without Redis, an instance works alone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RedisState {
    Available,
    Unavailable,
    #[serde(rename = "not configured")]
    NotConfigured,
}

/// While it is unavailable, the primary is read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReplicaState {
    Available,
    Unavailable,
}

/// Whether the instance should be sent requests.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses((
        status = 200, body = Readiness, description = "The instance is ready.",
        example = json!({"status": "ready", "database": "available", "redis": "available", "listings": 60}),
    )),
)]
pub(super) async fn ready(State(api): State<ApiState>) -> Result<Json<Readiness>, ApiError> {
    if api.stop.is_cancelled() {
        return Err(ApiError::Stopping);
    }
    // Not logged: probes are many, and calculations and refreshes log the cause.
    storage::within(PING_TIMEOUT, api.store.ping()).await.map_err(|_| ApiError::Unavailable)?;
    let redis = match &api.redis {
        None => RedisState::NotConfigured,
        Some(redis) if redis.check().await => RedisState::Available,
        Some(_) => RedisState::Unavailable,
    };
    let read_replica = api.store.read_replica().map(|replica| match replica.available {
        true => ReplicaState::Available,
        false => ReplicaState::Unavailable,
    });
    let listings = api.catalogue.current().len();
    Ok(Json(Readiness { status: "ready", database: "available", redis, read_replica, listings }))
}
