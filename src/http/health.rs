//! `GET /health`: the process answers. It does not query the database: an outage there must not make an
//! orchestrator restart a healthy process.

use axum::Json;
use serde_json::{Value, json};

pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "healthy"}))
}
