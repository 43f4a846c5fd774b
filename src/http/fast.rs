//! `GET /api/job-agent/recommendations/fast/{user_id}?limit=20&min_score=0`: the stored list.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::input::{Parameters, User};
use super::{ApiState, read, timestamp};
use crate::storage::{StoredList, StoredRecommendation};

/// The stored list, best first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    success: bool,
    recommendations: Vec<Map<String, Value>>,
    /// The recommendations in this answer.
    total_count: usize,
    /// All that are stored, regardless of `limit` and `min_score`.
    stored_count: i64,
    /// Whether the user has a stored list.
    cached: bool,
    calculated_at: Option<String>,
    error: Option<String>,
}

pub(super) async fn fast(
    State(api): State<ApiState>,
    User(user): User,
    parameters: Parameters,
) -> Result<Json<List>, ApiError> {
    let limit = parameters.integer("limit", 1..=100, 20, "1–100")?;
    let min_score = parameters.integer("min_score", 0..=100, 0, "0–100")?;
    let list = read(api.store.stored_list(user, limit.into(), min_score)).await?;
    let StoredList { rows, stored_count, calculated_at } = list;
    Ok(Json(List {
        success: true,
        total_count: rows.len(),
        stored_count,
        recommendations: rows.into_iter().map(recommendation).collect(),
        cached: stored_count > 0,
        calculated_at: calculated_at.map(timestamp),
        error: None,
    }))
}

/// The listing's columns, the score, and every other key of the stored data.
fn recommendation(row: StoredRecommendation) -> Map<String, Value> {
    let listing = json!({
        "id": row.listing_id,
        "title": row.title,
        "company": row.company,
        "location": row.location,
        "url": row.url,
        "description": row.description,
        "siteName": row.site_name,
        "techStack": row.tech_stack,
        "requiredSkills": row.required_skills,
        "matchScore": row.match_score,
        "matchReason": row.match_reason,
        "experience": row.experience,
        "matchedCareer": row.data.get("matchedCareer"),
        "careerCategory": row.data.get("careerCategory"),
    });
    let mut fields = row.data;
    if let Value::Object(listing) = listing {
        fields.extend(listing);
    }
    fields
}
