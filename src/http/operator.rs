//! `/api/job-agent/operator`: the last runs of this instance and the parked users, for people who look after the
//! service. The console shows them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::error::ApiError;
use super::input::{EmptyBody, Parameters, User};
use super::{ApiState, openapi, read, timestamp};
use crate::calculator::{Phase, RunRecord};
use crate::storage::ParkedUser;

/// The last runs of this instance, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecentRuns)]
pub(super) struct Runs {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    /// The name of the instance that answers.
    instance: String,
    runs: Vec<Run>,
}

/// A run that has ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Run {
    /// As in the log, and in `x-run-id` of the answers to its callers.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    run_id: String,
    #[schema(minimum = 1)]
    user_id: i64,
    #[schema(schema_with = began)]
    began: &'static str,
    /// It had to write even if nothing had changed.
    force: bool,
    /// As in metrics: `computed`, `up_to_date`, `queued`, … or the code of a failure.
    outcome: &'static str,
    /// How often it read the state.
    attempts: u32,
    /// Milliseconds since its end.
    #[schema(minimum = 0)]
    ended_ago_ms: f64,
    /// Milliseconds from its call to its end.
    #[schema(minimum = 0)]
    took_ms: f64,
    phases: Phases,
}

fn began() -> Object {
    openapi::one_of("The kind of caller that began it.", &["request", "worker"])
}

/// Milliseconds per phase.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RunPhases)]
struct Phases {
    /// Waiting for the user's lock.
    lock_wait: f64,
    /// Refreshing the snapshot of the listings.
    listings: f64,
    /// Reading the user's state and analysis.
    read: f64,
    rank: f64,
    /// Writing or confirming the list, or recording the trigger.
    write: f64,
    /// Releasing the lock.
    release: f64,
}

impl From<&RunRecord> for Run {
    fn from(run: &RunRecord) -> Self {
        let phase = |phase| millis(run.phases.of(phase));
        Self {
            run_id: run.id.to_string(),
            user_id: run.user.get(),
            began: if run.by_worker { "worker" } else { "request" },
            force: run.force,
            outcome: run.outcome,
            attempts: run.attempts,
            ended_ago_ms: millis(run.age()),
            took_ms: millis(run.took),
            phases: Phases {
                lock_wait: phase(Phase::LockWait),
                listings: phase(Phase::Listings),
                read: phase(Phase::Read),
                rank: phase(Phase::Rank),
                write: phase(Phase::Write),
                release: phase(Phase::Release),
            },
        }
    }
}

/// With two decimals.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

/// The last runs of this instance.
///
/// At most 100, newest first, each with the time of its phases. Other instances have runs of their own.
#[utoipa::path(
    get,
    path = "/runs",
    tag = "operator",
    responses((
        status = 200, body = Runs, description = "The runs.",
        example = json!({
            "success": true, "instance": "job-agent-1",
            "runs": [{
                "runId": "5f1d7c3a90b2e846", "userId": 1, "began": "request", "force": false, "outcome": "computed",
                "attempts": 1, "endedAgoMs": 1520.25, "tookMs": 12.31,
                "phases": {
                    "lockWait": 0.41, "listings": 0.0, "read": 2.87, "rank": 2.2, "write": 6.4,
                    "release": 0.35,
                },
            }],
        }),
    )),
)]
pub(super) async fn runs(State(api): State<ApiState>) -> Json<Runs> {
    let runs = api.calculator.recent_runs().iter().map(Run::from).collect();
    Json(Runs { success: true, instance: api.instance.to_string(), runs })
}

/// The users whose runs failed too often.
#[derive(Serialize, ToSchema)]
#[schema(as = ParkedUsers)]
pub(super) struct Parked {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    users: Vec<OneParked>,
}

/// A user who is left alone until the next trigger.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ParkedUser)]
struct OneParked {
    #[schema(minimum = 1)]
    user_id: i64,
    #[schema(format = DateTime)]
    parked_at: String,
    /// Failed or unfinished attempts.
    attempts: u32,
    /// The code of the last failure; `job-agent status USER_ID` shows the cause.
    #[schema(required)]
    last_error: Option<String>,
}

impl From<ParkedUser> for OneParked {
    fn from(user: ParkedUser) -> Self {
        Self {
            user_id: user.user_id,
            parked_at: timestamp(user.parked_at),
            attempts: user.attempts,
            last_error: user.last_error_code,
        }
    }
}

/// The parked users.
///
/// Latest first, of all instances.
#[utoipa::path(
    get,
    path = "/parked",
    tag = "operator",
    params(("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Most users; 50 if absent.")),
    responses((
        status = 200, body = Parked, description = "The users; empty if none is parked.",
        example = json!({
            "success": true,
            "users": [{
                "userId": 7, "parkedAt": "2026-11-22T16:52:25Z", "attempts": 5, "lastError": "internal_error",
            }],
        }),
    )),
)]
pub(super) async fn parked(
    State(api): State<ApiState>,
    parameters: Parameters,
) -> Result<Json<Parked>, ApiError> {
    let limit = parameters.integer("limit", 1..=100, 50, "1–100")?;
    let users = read(&api, api.store.parked_users(limit.into())).await?;
    Ok(Json(Parked { success: true, users: users.into_iter().map(OneParked::from).collect() }))
}

/// The answer to a retry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Retried {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    #[schema(minimum = 1)]
    user_id: i64,
    /// Whether the user is due now. `false`: no run and no trigger of this user is recorded.
    due: bool,
}

/// Makes a user due.
///
/// For a parked or waiting user: a worker begins a run now, with all attempts left. An unknown user is left unknown.
#[utoipa::path(
    post,
    path = "/retry/{user_id}",
    tag = "operator",
    params(User),
    request_body(content = EmptyBody, description = "Empty, or any JSON object. The content type does not matter."),
    responses((
        status = 200, body = Retried, description = "The user is due, or unknown.",
        example = json!({"success": true, "userId": 7, "due": true}),
    )),
)]
pub(super) async fn retry(
    State(api): State<ApiState>,
    User(user): User,
    _: EmptyBody,
) -> Result<Json<Retried>, ApiError> {
    let due = read(&api, api.triggers.retry(user)).await?;
    Ok(Json(Retried { success: true, user_id: user.get(), due }))
}
