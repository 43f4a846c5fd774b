//! `POST /api/scheduler/trigger` starts the batch now; `GET /api/scheduler/status` shows its progress.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::input::EmptyBody;
use super::{ApiState, openapi, read, timestamp};
use crate::domain::BatchId;
use crate::storage::{BatchScope, BatchStatus, QueueCounts};

const STARTED: &str = "배치 계산이 시작되었습니다.";
const JOINED: &str = "이미 실행 중인 배치에 합류했습니다.";

/// The batch that runs now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BatchTriggered)]
pub(super) struct Triggered {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    /// Korean, for users.
    message: &'static str,
    #[schema(value_type = i64)]
    batch_id: BatchId,
    /// The batch was running already.
    joined: bool,
}

/// Starts the batch now.
///
/// Every active user with an analysis of the last 30 days is recalculated in the background. A call during a batch
/// joins that batch.
#[utoipa::path(
    post,
    path = "/trigger",
    tag = "scheduler",
    request_body(content = EmptyBody, description = "Empty, or any JSON object. The content type does not matter."),
    responses((
        status = 202, body = Triggered, description = "The batch is recorded and will be served.",
        example = json!({"success": true, "message": STARTED, "batchId": 1, "joined": false}),
    )),
)]
pub(super) async fn trigger(
    State(api): State<ApiState>,
    _: EmptyBody,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let opened = read(&api, api.batches.open(&BatchScope::Active)).await?;
    let message = if opened.joined { JOINED } else { STARTED };
    let body = Triggered { success: true, message, batch_id: opened.id, joined: opened.joined };
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// The batches and the queue of all instances.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SchedulerStatus)]
pub(super) struct Status {
    #[schema(schema_with = openapi::succeeded)]
    success: bool,
    /// Whether this instance starts batches by the clock.
    enabled: bool,
    /// `null` when the scheduler is disabled.
    #[schema(format = DateTime, required)]
    next_run: Option<String>,
    /// `null` when the scheduler is disabled.
    #[schema(format = DateTime, required)]
    next_clean_up: Option<String>,
    /// The running batch, or the last one.
    #[schema(required)]
    batch: Option<Batch>,
    queue: Queue,
}

/// A batch and its users.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[schema(value_type = i64)]
    id: BatchId,
    /// Which users it is for, such as `active`.
    scope: String,
    running: bool,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime, required)]
    finished_at: Option<String>,
    /// Whether instances are still making its users due.
    marking: bool,
    /// Its users; grows while `marking` is true.
    total: i64,
    due: i64,
    in_progress: i64,
    /// Users whose list was written.
    done: i64,
    /// Users whose list was current.
    skipped: i64,
    parked: i64,
}

/// Due, running and parked users, whatever made them due.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Queue {
    due_in_real_time: i64,
    due_in_batch: i64,
    running: i64,
    parked: i64,
}

/// The state of the batch and of the queue.
#[utoipa::path(
    get,
    path = "/status",
    tag = "scheduler",
    responses((
        status = 200, body = Status, description = "The state.",
        example = json!({
            "success": true, "enabled": true,
            "nextRun": "2026-11-22T18:00:00Z", "nextCleanUp": "2026-11-22T19:00:00Z",
            "batch": {
                "id": 1, "scope": "active", "running": false, "startedAt": "2026-11-22T16:52:25Z",
                "finishedAt": "2026-11-22T16:52:26Z", "marking": false, "total": 12, "due": 0, "inProgress": 0,
                "done": 11, "skipped": 1, "parked": 0,
            },
            "queue": {"dueInRealTime": 0, "dueInBatch": 0, "running": 0, "parked": 0},
        }),
    )),
)]
pub(super) async fn scheduler_status(State(api): State<ApiState>) -> Result<Json<Status>, ApiError> {
    let (now, batch, counts) = read(&api, async {
        let now = api.store.now().await?;
        Ok((now, api.store.latest_batch().await?, api.store.queue_counts().await?))
    })
    .await?;
    let config = api.scheduler.config();
    let next = |time: Option<_>| time.filter(|_| config.enabled).map(timestamp);
    Ok(Json(Status {
        success: true,
        enabled: config.enabled,
        next_run: next(config.batch.next(now)),
        next_clean_up: next(config.clean_up.next(now)),
        batch: batch.map(Batch::from),
        queue: Queue::from(counts),
    }))
}

impl From<BatchStatus> for Batch {
    fn from(batch: BatchStatus) -> Self {
        Self {
            id: batch.id,
            scope: batch.scope,
            running: batch.finished_at.is_none(),
            started_at: timestamp(batch.opened_at),
            finished_at: batch.finished_at.map(timestamp),
            marking: batch.marking_ended_at.is_none(),
            total: batch.marked,
            due: batch.due,
            in_progress: batch.running,
            done: batch.computed,
            skipped: batch.unchanged,
            parked: batch.parked,
        }
    }
}

impl From<QueueCounts> for Queue {
    fn from(counts: QueueCounts) -> Self {
        Self {
            due_in_real_time: counts.due_in_real_time,
            due_in_batch: counts.due_in_batch,
            running: counts.running,
            parked: counts.parked,
        }
    }
}
