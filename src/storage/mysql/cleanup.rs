//! Removing what nobody will see: one user per transaction, so that nobody waits for a clean-up.

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlPool;
use sqlx::{query, query_as};

use super::super::rows::{UserRow, users};
use super::super::{CleanedUp, StoreError, StoreErrorKind};
use crate::domain::UserId;

/// Users looked at per chunk.
const CHUNK: u32 = 200;

pub(super) async fn next_users(
    pool: &MySqlPool,
    after: Option<UserId>,
    unverified_since: Option<DateTime<Utc>>,
) -> Result<Option<CleanedUp>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let rows: Vec<UserRow> = query_as(
        "SELECT CAST(user_id AS SIGNED) AS user_id FROM user_job_recommendations WHERE user_id > ? \
         GROUP BY user_id ORDER BY user_id LIMIT ?",
    )
    .bind(after)
    .bind(CHUNK)
    .fetch_all(pool)
    .await?;
    let Some(&through) = users(rows).last() else { return Ok(None) };
    let mut cleaned = CleanedUp { through, lists: 0, rows: 0 };
    if let Some(since) = unverified_since {
        for user in unverified(pool, after, through, since).await? {
            cleaned.lists += u64::from(unless_locked(user, remove_list(pool, user, since).await)?);
        }
    }
    for user in with_dangling_rows(pool, after, through).await? {
        cleaned.rows += unless_locked(user, remove_dangling_rows(pool, user).await)?;
    }
    Ok(Some(cleaned))
}

/// A user whom another transaction holds is left to the next night, for the sake of those who follow.
fn unless_locked<T: Default>(user: UserId, cleaned: Result<T, StoreError>) -> Result<T, StoreError> {
    match cleaned {
        Err(error) if error.kind() == StoreErrorKind::Conflict => {
            tracing::warn!(user_id = user.get(), %error, "not cleaned up");
            Ok(T::default())
        }
        cleaned => cleaned,
    }
}

/// Users whose list nobody has found current since. Lists of the old service, which no run of ours has
/// looked at, are as old as their newest row.
async fn unverified(
    pool: &MySqlPool,
    after: i64,
    through: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<UserId>, StoreError> {
    let rows: Vec<UserRow> = query_as(
        "SELECT CAST(r.user_id AS SIGNED) AS user_id FROM user_job_recommendations AS r \
         LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id \
         WHERE r.user_id > ? AND r.user_id <= ? AND s.due_at IS NULL \
         GROUP BY r.user_id HAVING COALESCE(MAX(s.verified_at), MAX(r.updated_at)) < ?",
    )
    .bind(after)
    .bind(through.get())
    .bind(since)
    .fetch_all(pool)
    .await?;
    Ok(users(rows))
}

/// A replacement by nothing: it bumps the version, so that a run that has read the state before starts
/// again, and forgets the digest, so that the next run writes the list again.
async fn remove_list(pool: &MySqlPool, user: UserId, since: DateTime<Utc>) -> Result<bool, StoreError> {
    query("INSERT INTO recommendation_state (user_id) VALUES (?) ON DUPLICATE KEY UPDATE user_id = user_id")
        .bind(user.get())
        .execute(pool)
        .await?;
    let mut transaction = pool.begin().await?;
    let emptied = query(
        "UPDATE recommendation_state SET version = version + 1, result_digest = NULL, saved_count = 0, \
                rows_updated_at = NULL \
         WHERE user_id = ? AND due_at IS NULL AND (verified_at IS NULL OR verified_at < ?)",
    )
    .bind(user.get())
    .bind(since)
    .execute(&mut *transaction)
    .await?;
    if emptied.rows_affected() == 0 {
        return Ok(false);
    }
    query("DELETE FROM user_job_recommendations WHERE user_id = ?")
        .bind(user.get())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

async fn with_dangling_rows(
    pool: &MySqlPool,
    after: i64,
    through: UserId,
) -> Result<Vec<UserId>, StoreError> {
    let rows: Vec<UserRow> = query_as(
        "SELECT DISTINCT CAST(r.user_id AS SIGNED) AS user_id FROM user_job_recommendations AS r \
         LEFT JOIN job_listings AS l ON l.id = r.job_listing_id \
         WHERE r.user_id > ? AND r.user_id <= ? AND l.id IS NULL",
    )
    .bind(after)
    .bind(through.get())
    .fetch_all(pool)
    .await?;
    Ok(users(rows))
}

/// The list is short of rows then: the user is due, to have it filled up.
async fn remove_dangling_rows(pool: &MySqlPool, user: UserId) -> Result<u64, StoreError> {
    let mut transaction = pool.begin().await?;
    // MySQL assigns from left to right: what depends on due_at comes before it.
    query(
        "INSERT INTO recommendation_state (user_id, version, requested_seq, requested_at, due_at, lane) \
         VALUES (?, 1, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 1) \
         ON DUPLICATE KEY UPDATE version = version + 1, result_digest = NULL, \
            requested_seq = requested_seq + 1, lane = CASE WHEN due_at IS NULL THEN 1 ELSE lane END, \
            requested_at = COALESCE(requested_at, UTC_TIMESTAMP(6)), \
            due_at = CASE WHEN parked_at IS NULL THEN COALESCE(due_at, UTC_TIMESTAMP(6)) END",
    )
    .bind(user.get())
    .execute(&mut *transaction)
    .await?;
    let deleted = query(
        "DELETE r FROM user_job_recommendations AS r LEFT JOIN job_listings AS l ON l.id = r.job_listing_id \
         WHERE r.user_id = ? AND l.id IS NULL",
    )
    .bind(user.get())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(deleted.rows_affected())
}
