//! `GET /health`: the process answers. It does not query the database: an outage there must not make an
//! orchestrator restart a healthy process.
//!
//! `GET /health/ready`: for load balancers. 503 during a stop, and while the database does not answer. Without
//! Redis the service works, and the answer says so.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use super::ApiState;
use super::error::ApiError;
use crate::storage;

/// How long the database may take to answer. Below the second that probes of Kubernetes allow by default.
const PING_TIMEOUT: Duration = Duration::from_millis(800);

pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "healthy"}))
}

/// The answer of a ready instance: the services that it uses.
#[derive(Serialize)]
pub(super) struct Readiness {
    status: &'static str,
    database: &'static str,
    redis: &'static str,
    /// Job listings in the catalogue.
    listings: usize,
}

pub(super) async fn ready(State(api): State<ApiState>) -> Result<Json<Readiness>, ApiError> {
    if api.stop.is_cancelled() {
        return Err(ApiError::Stopping);
    }
    // Not logged: probes are many, and calculations and refreshes log the cause.
    storage::within(PING_TIMEOUT, api.store.ping()).await.map_err(|_| ApiError::Unavailable)?;
    let redis = match &api.redis {
        None => "not configured",
        Some(redis) if redis.is_available() => "available",
        Some(_) => "unavailable",
    };
    let listings = api.catalogue.current().len();
    Ok(Json(Readiness { status: "ready", database: "available", redis, listings }))
}
