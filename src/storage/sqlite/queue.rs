//! Durable triggers and the leases of workers. Each operation is one statement on one row.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, query, query_as};

use super::super::rows::DueRow;
use super::super::work::{ABSURD_DELAY, ABSURD_LEASE, lane_number};
use super::super::{DueUser, GiveBack, Lease, QueueCounts, StoreError, UserStatus};
use super::NOW;
use crate::domain::{Lane, ScoringRevision, UserId};

/// Commits by itself: when this returns, the trigger is durable.
pub(super) async fn request_run(pool: &SqlitePool, user: UserId) -> Result<i64, StoreError> {
    let (sequence,): (i64,) = query_as(AssertSqlSafe(format!(
        "INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at) \
         VALUES (?, 1, {NOW}, {NOW}) \
         ON CONFLICT (user_id) DO UPDATE SET requested_seq = requested_seq + 1, \
            requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN {NOW} ELSE requested_at END, \
            attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE 0 END, \
            lane = 0, due_at = {NOW}, parked_at = NULL \
         RETURNING requested_seq"
    )))
    .bind(user.get())
    .fetch_one(pool)
    .await?;
    Ok(sequence)
}

/// The database's time, this much later.
fn later(by: Duration) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+{:.3} seconds')", by.as_secs_f64())
}

/// A due user whom nobody holds; the scoring revision is bound.
fn free_and_due() -> String {
    format!(
        "(due_at <= {NOW} OR due_at > {}) \
         AND (lease_until IS NULL OR lease_until <= {NOW} OR lease_until > {}) AND scoring_revision <= ?",
        later(ABSURD_DELAY),
        later(ABSURD_LEASE)
    )
}

pub(super) async fn due_users(
    pool: &SqlitePool,
    lane: Lane,
    scoring_revision: ScoringRevision,
    limit: u32,
) -> Result<Vec<DueUser>, StoreError> {
    let free_and_due = free_and_due();
    let rows: Vec<DueRow> = query_as(AssertSqlSafe(format!(
        "SELECT user_id, attempts, requested_seq FROM recommendation_state \
         WHERE lane = ? AND {free_and_due} ORDER BY due_at, user_id LIMIT ?"
    )))
    .bind(lane_number(lane))
    .bind(scoring_revision.0)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(DueRow::into_due_user).collect())
}

pub(super) async fn claim(
    pool: &SqlitePool,
    due: &DueUser,
    lease: &Lease,
    scoring_revision: ScoringRevision,
) -> Result<bool, StoreError> {
    let (free_and_due, lease_until) = (free_and_due(), later(lease.duration));
    let claimed = query(AssertSqlSafe(format!(
        "UPDATE recommendation_state SET lease_token = ?, lease_until = {lease_until}, attempts = attempts + 1 \
         WHERE user_id = ? AND attempts = ? AND requested_seq = ? AND {free_and_due}"
    )))
    .bind(&lease.token)
    .bind(due.user.get())
    .bind(due.attempts)
    .bind(due.requested_seq)
    .bind(scoring_revision.0)
    .execute(pool)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

pub(super) async fn give_back(
    pool: &SqlitePool,
    due: &DueUser,
    token: &str,
    how: &GiveBack,
) -> Result<(), StoreError> {
    // A trigger that has come in since the claim is no reason to hurry where the user's lock was taken or the
    // database away; it is one after a failure, which it may have put right.
    let (changes, error) = match how {
        GiveBack::Untried { after } => {
            (format!("attempts = MAX(attempts, 1) - 1, due_at = {}", later(*after)), None)
        }
        GiveBack::Failed { after, error } => (
            format!("due_at = CASE WHEN requested_seq > ?1 THEN due_at ELSE {} END", later(*after)),
            Some(error),
        ),
        GiveBack::Parked { error } => (
            format!(
                "attempts = CASE WHEN requested_seq > ?1 THEN 0 ELSE attempts END, \
                 parked_at = CASE WHEN requested_seq > ?1 THEN NULL ELSE {NOW} END, \
                 due_at = CASE WHEN requested_seq > ?1 THEN due_at ELSE NULL END"
            ),
            Some(error),
        ),
    };
    query(AssertSqlSafe(format!(
        "UPDATE recommendation_state SET {changes}, last_error_code = COALESCE(?2, last_error_code), \
                last_error = COALESCE(?3, last_error), lease_token = NULL, lease_until = NULL \
         WHERE user_id = ?4 AND lease_token = ?5"
    )))
    .bind(due.requested_seq)
    .bind(error.map(|error| error.code))
    .bind(error.map(|error| error.cause.chars().take(500).collect::<String>()))
    .bind(due.user.get())
    .bind(token)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn user_status(pool: &SqlitePool, user: UserId) -> Result<Option<UserStatus>, StoreError> {
    Ok(query_as(AssertSqlSafe(format!(
        "SELECT due_at IS NOT NULL AS pending, \
                due_at IS NOT NULL AND COALESCE(lease_until > {NOW}, FALSE) AS running, requested_at, due_at, \
                parked_at, attempts, last_error_code, last_error, calculated_at, verified_at, saved_count \
         FROM recommendation_state WHERE user_id = ?"
    )))
    .bind(user.get())
    .fetch_optional(pool)
    .await?)
}

pub(super) async fn counts(pool: &SqlitePool) -> Result<QueueCounts, StoreError> {
    Ok(query_as(AssertSqlSafe(format!(
        "SELECT COALESCE(SUM(lane = 0 AND NOT leased), 0) AS due_in_real_time, \
                COALESCE(SUM(lane = 1 AND NOT leased), 0) AS due_in_batch, \
                COALESCE(SUM(leased), 0) AS running, \
                (SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL) AS parked \
         FROM (SELECT lane, COALESCE(lease_until > {NOW}, FALSE) AS leased \
               FROM recommendation_state WHERE due_at IS NOT NULL) AS pending"
    )))
    .fetch_one(pool)
    .await?)
}

pub(super) async fn now(pool: &SqlitePool) -> Result<DateTime<Utc>, StoreError> {
    let (now,) = query_as(AssertSqlSafe(format!("SELECT {NOW}"))).fetch_one(pool).await?;
    Ok(now)
}
