//! `POST /api/scheduler/trigger` starts the batch now; `GET /api/scheduler/status` shows its progress.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::error::ApiError;
use super::input::EmptyBody;
use super::{ApiState, read, timestamp};
use crate::domain::BatchId;
use crate::storage::{BatchScope, BatchStatus, QueueCounts};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Triggered {
    success: bool,
    message: &'static str,
    batch_id: BatchId,
    /// The batch was running already.
    joined: bool,
}

pub(super) async fn trigger(
    State(api): State<ApiState>,
    _: EmptyBody,
) -> Result<(StatusCode, Json<Triggered>), ApiError> {
    let opened = read(&api, api.batches.open(&BatchScope::Active)).await?;
    let message = if opened.joined {
        "이미 실행 중인 배치에 합류했습니다."
    } else {
        "배치 계산이 시작되었습니다."
    };
    let body = Triggered { success: true, message, batch_id: opened.id, joined: opened.joined };
    Ok((StatusCode::ACCEPTED, Json(body)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    success: bool,
    enabled: bool,
    /// `null` when the scheduler is disabled.
    next_run: Option<String>,
    next_clean_up: Option<String>,
    /// The running batch, or the last one.
    batch: Option<Batch>,
    queue: Queue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    id: BatchId,
    scope: String,
    running: bool,
    started_at: String,
    finished_at: Option<String>,
    /// Whether instances are still making its users due.
    marking: bool,
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    due_in_real_time: i64,
    due_in_batch: i64,
    running: i64,
    parked: i64,
}

pub(super) async fn status(State(api): State<ApiState>) -> Result<Json<Status>, ApiError> {
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
