//! `GET /api/job-agent/recommendations/status/{user_id}`: whether the user's list is current.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::input::User;
use super::{ApiState, openapi, read, timestamp};
use crate::storage::UserStatus;

/// The answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserStatus)]
pub(super) struct Status {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    #[schema(minimum = 1)]
    user_id: i64,
    state: UserListState,
    /// When the oldest unserved trigger was recorded.
    #[schema(format = DateTime, required)]
    pending_since: Option<String>,
    /// When a worker tries again after a failed run.
    #[schema(format = DateTime, required)]
    next_attempt_at: Option<String>,
    /// Failed or unfinished attempts since the last success.
    attempts: u32,
    /// The code of the last failure, until a run succeeds.
    #[schema(required)]
    last_error: Option<String>,
    /// When a run last wrote the list.
    #[schema(format = DateTime, required)]
    calculated_at: Option<String>,
    /// When a run last found the list current.
    #[schema(format = DateTime, required)]
    verified_at: Option<String>,
    /// Stored recommendations.
    saved_count: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum UserListState {
    /// Workers have served every recorded trigger, and the stored rows are those of the last run.
    Current,
    /// No trigger waits, but the stored rows are not those of the last run: another writer has changed them, or
    /// their listings are gone. The next trigger, batch or clean-up calculates the list again.
    Outdated,
    /// A trigger waits for a worker.
    Pending,
    /// A worker is running.
    Running,
    /// The runs failed too often; the next trigger starts again.
    Parked,
    /// No run and no trigger is recorded.
    Unknown,
}

fn state(status: &UserStatus) -> UserListState {
    if status.parked_at.is_some() {
        UserListState::Parked
    } else if status.running {
        UserListState::Running
    } else if status.pending {
        UserListState::Pending
    } else if status.calculated_at.is_some() {
        if status.intact { UserListState::Current } else { UserListState::Outdated }
    } else {
        UserListState::Unknown
    }
}

/// The state of the user's list.
#[utoipa::path(
    get,
    path = "/status/{user_id}",
    tag = "recommendations",
    params(User),
    responses((
        status = 200, body = Status, description = "The state; `unknown` if the user has none.",
        example = json!({
            "success": true, "userId": 1, "state": "current", "pendingSince": null, "nextAttemptAt": null,
            "attempts": 0, "lastError": null, "calculatedAt": "2026-11-22T16:52:25Z",
            "verifiedAt": "2026-11-22T16:52:25Z", "savedCount": 50,
        }),
    )),
)]
pub(super) async fn status(State(api): State<ApiState>, User(user): User) -> Result<Json<Status>, ApiError> {
    let status = read(&api, api.store.user_status(user)).await?;
    let known = status.as_ref().map_or(UserListState::Unknown, state);
    let waits = known == UserListState::Pending;
    let time = |time: fn(&UserStatus) -> Option<_>| status.as_ref().and_then(time).map(timestamp);
    Ok(Json(Status {
        success: true,
        user_id: user.get(),
        state: known,
        pending_since: time(|status| status.requested_at),
        next_attempt_at: time(|status| status.due_at).filter(|_| waits),
        attempts: status.as_ref().map_or(0, |status| status.attempts),
        calculated_at: time(|status| status.calculated_at),
        verified_at: time(|status| status.verified_at),
        saved_count: status.as_ref().map_or(0, |status| status.saved_count),
        last_error: status.and_then(|status| status.last_error_code),
    }))
}
