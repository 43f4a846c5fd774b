//! Batches and schedules.

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, SqliteExecutor, query, query_as};

use super::super::rows::{UserRow, users};
use super::super::work::ACTIVE_DAYS;
use super::super::{BatchScope, BatchStatus, Marking, Occurrence, OpenedBatch, ScheduledJob, StoreError};
use super::{NOW, time_text};
use crate::domain::{BatchId, UserId};

/// Users looked at per chunk: the writer's turn is short.
const CHUNK: u32 = 200;

pub(super) async fn open(pool: &SqlitePool, scope: &BatchScope) -> Result<OpenedBatch, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let opened = open_or_join(&mut transaction, scope).await?;
    transaction.commit().await?;
    Ok(opened)
}

pub(super) async fn begin_occurrence(
    pool: &SqlitePool,
    job: ScheduledJob,
    occurrence: DateTime<Utc>,
) -> Result<Occurrence, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let (last,): (Option<DateTime<Utc>>,) =
        query_as("SELECT last_occurrence FROM scheduled_jobs WHERE name = ?")
            .bind(job.name())
            .fetch_one(&mut *transaction)
            .await?;
    if last.is_some_and(|last| last >= occurrence) {
        return Ok(Occurrence::Past);
    }
    query("UPDATE scheduled_jobs SET last_occurrence = ? WHERE name = ?")
        .bind(time_text(occurrence))
        .bind(job.name())
        .execute(&mut *transaction)
        .await?;
    if last.is_some() && job == ScheduledJob::Batch && !open_nightly(&mut transaction).await? {
        return Ok(Occurrence::Waits);
    }
    transaction.commit().await?;
    Ok(if last.is_some() { Occurrence::Begun } else { Occurrence::Past })
}

/// The transaction is the only writer.
async fn open_or_join(
    connection: &mut SqliteConnection,
    scope: &BatchScope,
) -> Result<OpenedBatch, StoreError> {
    let running: Option<(i64,)> =
        query_as("SELECT id FROM recommendation_batches WHERE finished_at IS NULL ORDER BY id LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((id,)) = running {
        return Ok(OpenedBatch { id: BatchId(id), joined: true });
    }
    let inserted = query(AssertSqlSafe(format!(
        "INSERT INTO recommendation_batches (scope, users, opened_at) VALUES (?, ?, {NOW})"
    )))
    .bind(scope.name())
    .bind(scope.users_json())
    .execute(connection)
    .await?;
    Ok(OpenedBatch { id: BatchId(inserted.last_insert_rowid()), joined: false })
}

/// A batch that is only waiting for its users ends here: they stay due, and one of them whom nobody can
/// serve would otherwise keep every night to come from being begun. `false`: a batch for others is still
/// being marked.
async fn open_nightly(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let running: Option<(i64, String, bool)> = query_as(
        "SELECT id, scope, marking_ended_at IS NOT NULL FROM recommendation_batches \
         WHERE finished_at IS NULL ORDER BY id LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    match running {
        Some((id, _, true)) => _ = end(&mut *connection, BatchId(id), "TRUE").await?,
        Some((_, scope, false)) => return Ok(scope == BatchScope::Active.name()),
        None => {}
    }
    open_or_join(connection, &BatchScope::Active).await?;
    Ok(true)
}

pub(super) async fn mark(pool: &SqlitePool, batch: BatchId) -> Result<Marking, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let open: Option<(String, i64)> = query_as(
        "SELECT scope, marked_through FROM recommendation_batches WHERE id = ? AND marking_ended_at IS NULL",
    )
    .bind(batch.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((scope, marked_through)) = open else { return Ok(Marking::Ended) };
    let candidates = match scope.as_str() {
        "listed" => "SELECT value AS user_id FROM recommendation_batches AS b, json_each(b.users) \
             WHERE b.id = ?1 AND value > ?2 ORDER BY value LIMIT ?3"
            .to_owned(),
        "all" => "SELECT user_id FROM users WHERE ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3".to_owned(),
        // Profiles carry no date here: each counts as recent.
        _ => format!(
            "SELECT user_id FROM users AS u WHERE ?1 AND user_id > ?2 AND is_active \
               AND (EXISTS (SELECT 1 FROM profile_analysis AS p WHERE p.user_id = u.user_id) \
                    OR EXISTS (SELECT 1 FROM career_sessions AS s \
                               JOIN career_analyses AS a ON a.session_id = s.id \
                               WHERE s.user_id = CAST(u.user_id AS TEXT) \
                                 AND a.analyzed_at >= datetime('now', '-{ACTIVE_DAYS} days'))) \
             ORDER BY user_id LIMIT ?3"
        ),
    };
    let next: Vec<UserRow> = query_as(AssertSqlSafe(candidates))
        .bind(batch.0)
        .bind(marked_through)
        .bind(CHUNK)
        .fetch_all(&mut *transaction)
        .await?;
    let users = users(next);
    query(AssertSqlSafe(format!(
        "UPDATE recommendation_batches SET marked_through = ?, marked = marked + ?, \
                marking_ended_at = CASE WHEN ? THEN {NOW} END WHERE id = ?"
    )))
    .bind(users.last().map_or(marked_through, |user| user.get()))
    .bind(users.len() as i64)
    .bind(users.is_empty())
    .bind(batch.0)
    .execute(&mut *transaction)
    .await?;
    for user in &users {
        mark_due(&mut transaction, batch, *user).await?;
    }
    transaction.commit().await?;
    Ok(if users.is_empty() { Marking::Ended } else { Marking::Going })
}

/// A user who is due already stays as he is, but for the number of the batch; one who is parked gets one
/// more try.
async fn mark_due(connection: &mut SqliteConnection, batch: BatchId, user: UserId) -> Result<(), StoreError> {
    query(AssertSqlSafe(format!(
        "INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane, batch_id) \
         VALUES (?1, 1, {NOW}, {NOW}, 1, ?2) \
         ON CONFLICT (user_id) DO UPDATE SET requested_seq = requested_seq + 1, batch_id = ?2, \
            lane = CASE WHEN due_at IS NULL THEN 1 ELSE lane END, \
            requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN {NOW} ELSE requested_at END, \
            attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE MAX(attempts, 1) - 1 END, \
            due_at = COALESCE(due_at, {NOW}), parked_at = NULL"
    )))
    .bind(user.get())
    .bind(batch.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn running(pool: &SqlitePool) -> Result<Option<BatchId>, StoreError> {
    let running: Option<(i64,)> =
        query_as("SELECT id FROM recommendation_batches WHERE finished_at IS NULL ORDER BY id LIMIT 1")
            .fetch_optional(pool)
            .await?;
    Ok(running.map(|(id,)| BatchId(id)))
}

pub(super) async fn finish(pool: &SqlitePool, batch: BatchId) -> Result<bool, StoreError> {
    // One batch at a time: whoever waits in the lane belongs to it.
    let nobody_waits = "marking_ended_at IS NOT NULL \
        AND NOT EXISTS (SELECT 1 FROM recommendation_state WHERE lane = 1 AND due_at IS NOT NULL)";
    end(pool, batch, nobody_waits).await
}

/// Ends the batch with the result as it is; `false` if the condition does not hold, or somebody else has
/// ended it.
async fn end(executor: impl SqliteExecutor<'_>, batch: BatchId, condition: &str) -> Result<bool, StoreError> {
    let counts = counts();
    let ended = query(AssertSqlSafe(format!(
        "UPDATE recommendation_batches SET finished_at = {NOW}, \
                (computed, unchanged, parked) = (SELECT computed, unchanged, parked FROM ({counts})) \
         WHERE id = ?1 AND finished_at IS NULL AND {condition}"
    )))
    .bind(batch.0)
    .execute(executor)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// What has become of a batch's users; the batch is ?1.
fn counts() -> String {
    format!(
        "SELECT COALESCE(SUM(pending AND NOT leased), 0) AS due, \
                COALESCE(SUM(pending AND leased), 0) AS running, \
                COALESCE(SUM(NOT pending AND NOT is_parked AND written), 0) AS computed, \
                COALESCE(SUM(NOT pending AND NOT is_parked AND NOT written), 0) AS unchanged, \
                COALESCE(SUM(is_parked), 0) AS parked \
         FROM (SELECT s.due_at IS NOT NULL AS pending, s.parked_at IS NOT NULL AS is_parked, \
                      COALESCE(s.lease_until > {NOW}, FALSE) AS leased, \
                      COALESCE(s.calculated_at >= o.opened_at, FALSE) AS written \
               FROM recommendation_batches AS o JOIN recommendation_state AS s ON s.batch_id = o.id \
               WHERE o.id = ?1)"
    )
}

pub(super) async fn latest(pool: &SqlitePool) -> Result<Option<BatchStatus>, StoreError> {
    let latest: Option<(i64,)> = query_as("SELECT id FROM recommendation_batches ORDER BY id DESC LIMIT 1")
        .fetch_optional(pool)
        .await?;
    let Some((id,)) = latest else { return Ok(None) };
    let counts = counts();
    Ok(query_as(AssertSqlSafe(format!(
        "SELECT b.id, b.scope, b.opened_at, b.marked, b.marking_ended_at, b.finished_at, \
                CASE WHEN b.finished_at IS NULL THEN c.due ELSE 0 END AS due, \
                CASE WHEN b.finished_at IS NULL THEN c.running ELSE 0 END AS running, \
                COALESCE(b.computed, c.computed) AS computed, \
                COALESCE(b.unchanged, c.unchanged) AS unchanged, COALESCE(b.parked, c.parked) AS parked \
         FROM recommendation_batches AS b JOIN ({counts}) AS c WHERE b.id = ?1"
    )))
    .bind(id)
    .fetch_optional(pool)
    .await?)
}
