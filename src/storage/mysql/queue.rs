//! Durable triggers and the leases of workers. Each operation is one statement on one row, by the clock of
//! the database: the clocks of instances need not agree.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlPool;
use sqlx::{AssertSqlSafe, query, query_as};

use super::super::rows::DueRow;
use super::super::work::{ABSURD_DELAY, ABSURD_LEASE, lane_number};
use super::super::{DueUser, GiveBack, Lease, QueueCounts, StoreError, UserStatus};
use crate::domain::{Lane, ScoringRevision, UserId};

/// Commits by itself: when this returns, the trigger is durable.
pub(super) async fn request_run(pool: &MySqlPool, user: UserId) -> Result<i64, StoreError> {
    // MySQL assigns from left to right: what depends on due_at and parked_at comes before them.
    let recorded = query(
        "INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at) \
         VALUES (?, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)) \
         ON DUPLICATE KEY UPDATE requested_seq = LAST_INSERT_ID(requested_seq + 1), \
            requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN UTC_TIMESTAMP(6) \
                                ELSE requested_at END, \
            attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE 0 END, \
            lane = 0, due_at = UTC_TIMESTAMP(6), parked_at = NULL",
    )
    .bind(user.get())
    .execute(pool)
    .await?;
    // A row that was inserted has no LAST_INSERT_ID.
    Ok(i64::try_from(recorded.last_insert_id()).unwrap_or(i64::MAX).max(1))
}

/// A due user whom nobody holds.
fn free_and_due() -> String {
    let (delay, lease) = (ABSURD_DELAY.as_secs(), ABSURD_LEASE.as_secs());
    format!(
        "(due_at <= UTC_TIMESTAMP(6) OR due_at > UTC_TIMESTAMP(6) + INTERVAL {delay} SECOND) \
         AND (lease_until IS NULL OR lease_until <= UTC_TIMESTAMP(6) \
              OR lease_until > UTC_TIMESTAMP(6) + INTERVAL {lease} SECOND) \
         AND scoring_revision <= ?"
    )
}

pub(super) async fn due_users(
    pool: &MySqlPool,
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
    pool: &MySqlPool,
    due: &DueUser,
    lease: &Lease,
    scoring_revision: ScoringRevision,
) -> Result<bool, StoreError> {
    let free_and_due = free_and_due();
    let claimed = query(AssertSqlSafe(format!(
        "UPDATE recommendation_state SET lease_token = ?, \
                lease_until = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, attempts = attempts + 1 \
         WHERE user_id = ? AND attempts = ? AND requested_seq = ? AND {free_and_due}"
    )))
    .bind(&lease.token)
    .bind(i64::try_from(lease.duration.as_micros()).unwrap_or(i64::MAX))
    .bind(due.user.get())
    .bind(due.attempts)
    .bind(due.requested_seq)
    .bind(scoring_revision.0)
    .execute(pool)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

pub(super) async fn give_back(
    pool: &MySqlPool,
    due: &DueUser,
    token: &str,
    how: &GiveBack,
) -> Result<(), StoreError> {
    // A trigger that has come in since the claim is no reason to hurry where the user's lock was taken or the
    // database away; it is one after a failure, which it may have put right.
    let seq = due.requested_seq;
    let later = |after: &Duration| i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
    let (changes, arguments, error) = match how {
        GiveBack::Untried { after } => (
            "attempts = GREATEST(attempts, 1) - 1, due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND",
            vec![later(after)],
            None,
        ),
        GiveBack::Failed { after, error } => (
            "due_at = CASE WHEN requested_seq > ? THEN due_at \
                           ELSE UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND END",
            vec![seq, later(after)],
            Some(error),
        ),
        GiveBack::Parked { error } => (
            "attempts = CASE WHEN requested_seq > ? THEN 0 ELSE attempts END, \
             parked_at = CASE WHEN requested_seq > ? THEN NULL ELSE UTC_TIMESTAMP(6) END, \
             due_at = CASE WHEN requested_seq > ? THEN due_at ELSE NULL END",
            vec![seq; 3],
            Some(error),
        ),
    };
    let mut update = query(AssertSqlSafe(format!(
        "UPDATE recommendation_state SET {changes}, last_error_code = COALESCE(?, last_error_code), \
                last_error = COALESCE(?, last_error), lease_token = NULL, lease_until = NULL \
         WHERE user_id = ? AND lease_token = ?"
    )));
    for argument in arguments {
        update = update.bind(argument);
    }
    update
        .bind(error.map(|error| error.code))
        .bind(error.map(|error| error.cause.chars().take(500).collect::<String>()))
        .bind(due.user.get())
        .bind(token)
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn user_status(pool: &MySqlPool, user: UserId) -> Result<Option<UserStatus>, StoreError> {
    Ok(query_as(
        "SELECT due_at IS NOT NULL AS pending, \
                due_at IS NOT NULL AND COALESCE(lease_until > UTC_TIMESTAMP(6), FALSE) AS running, requested_at, \
                due_at, parked_at, CAST(attempts AS UNSIGNED) AS attempts, last_error_code, last_error, \
                calculated_at, verified_at, saved_count \
         FROM recommendation_state WHERE user_id = ?",
    )
    .bind(user.get())
    .fetch_optional(pool)
    .await?)
}

pub(super) async fn counts(pool: &MySqlPool) -> Result<QueueCounts, StoreError> {
    Ok(query_as(
        "SELECT CAST(COALESCE(SUM(lane = 0 AND NOT leased), 0) AS SIGNED) AS due_in_real_time, \
                CAST(COALESCE(SUM(lane = 1 AND NOT leased), 0) AS SIGNED) AS due_in_batch, \
                CAST(COALESCE(SUM(leased), 0) AS SIGNED) AS running, \
                (SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL) AS parked \
         FROM (SELECT lane, COALESCE(lease_until > UTC_TIMESTAMP(6), FALSE) AS leased \
               FROM recommendation_state WHERE lane IN (0, 1) AND due_at IS NOT NULL) AS pending",
    )
    .fetch_one(pool)
    .await?)
}

pub(super) async fn now(pool: &MySqlPool) -> Result<DateTime<Utc>, StoreError> {
    let (now,) = query_as("SELECT UTC_TIMESTAMP(6)").fetch_one(pool).await?;
    Ok(now)
}
