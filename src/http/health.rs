//! `GET /health`: the process answers. It asks nothing of the database, so that an outage there does not
//! make an orchestrator restart a service that is fine.

use axum::Json;
use serde_json::{Value, json};

pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "healthy"}))
}
