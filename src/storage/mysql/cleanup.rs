//! Removing lists and rows that clients will not see any more: one user per transaction, so that no run waits
//! for a clean-up.

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlConnection;
use sqlx::{query, query_as};

use super::fingerprint::altered_users;
use super::pool::Pool;
use super::replace::ensure_state_rows;
use super::source::if_table_exists;
use crate::domain::{Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::{UserRow, users};
use crate::storage::{CleanedUp, StoreError, StoreErrorKind};

/// Users per step.
const CHUNK: u32 = 200;

/// Users with rows, or with a state that says that there are some.
const NEXT_USERS: &str = r"
(SELECT CAST(user_id AS SIGNED) AS user_id
 FROM user_job_recommendations
 WHERE user_id > ?
 GROUP BY user_id
 ORDER BY user_id
 LIMIT ?)
UNION
(SELECT user_id FROM recommendation_state WHERE user_id > ? AND saved_count > 0 ORDER BY user_id LIMIT ?)
ORDER BY user_id
LIMIT ?
";

pub(super) async fn next_users(
    pool: &Pool,
    after: Option<UserId>,
    unverified_since: Option<DateTime<Utc>>,
) -> Result<Option<CleanedUp>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let next = query_as(NEXT_USERS).bind(after).bind(CHUNK).bind(after).bind(CHUNK).bind(CHUNK);
    let next: Vec<UserRow> =
        pool.with_connection(async |connection| Ok(next.fetch_all(connection).await?)).await?;
    let Some(through) = users(next).last().copied() else { return Ok(None) };
    let mut cleaned = CleanedUp { through, lists: 0, rows: 0, altered: 0 };
    if let Some(since) = unverified_since {
        for user in unverified(pool, after, through, since).await? {
            cleaned.lists += u64::from(unless_locked(user, remove_list(pool, user, since).await)?);
        }
    }
    let dangling = with_dangling_rows(pool, after, through).await?;
    let catalogue_version = if dangling.is_empty() { 0 } else { newest_catalogue(pool).await? };
    for user in dangling {
        cleaned.rows += unless_locked(user, remove_dangling_rows(pool, user, catalogue_version).await)?;
    }
    let altered =
        async |connection: &mut MySqlConnection| altered_users(connection, after, through.get()).await;
    for user in pool.with_connection(altered).await? {
        cleaned.altered += unless_locked(user, mark_altered(pool, user).await)?;
    }
    Ok(Some(cleaned))
}

/// Leaves a user that another transaction has locked to the next night, so that one locked user does not stop
/// the clean-up.
fn unless_locked<T: Default>(user: UserId, cleaned: Result<T, StoreError>) -> Result<T, StoreError> {
    match cleaned {
        Err(error) if error.kind() == StoreErrorKind::Conflict => {
            tracing::warn!(user_id = user.get(), %error, "not cleaned up");
            Ok(T::default())
        }
        cleaned => cleaned,
    }
}

const UNVERIFIED: &str = r"
SELECT CAST(r.user_id AS SIGNED) AS user_id
FROM user_job_recommendations AS r
LEFT JOIN recommendation_state AS s ON s.user_id = r.user_id
WHERE r.user_id > ? AND r.user_id <= ? AND s.due_at IS NULL
GROUP BY r.user_id
-- Lists of the old service have never been verified: they are as old as their newest row.
HAVING COALESCE(MAX(s.verified_at), MAX(r.updated_at)) < ?
";

/// Users whose list no run has found current since.
async fn unverified(
    pool: &Pool,
    after: i64,
    through: UserId,
    since: DateTime<Utc>,
) -> Result<Vec<UserId>, StoreError> {
    let unverified = query_as(UNVERIFIED).bind(after).bind(through.get()).bind(since);
    let rows = pool.with_connection(async |connection| Ok(unverified.fetch_all(connection).await?)).await?;
    Ok(users(rows))
}

const EMPTY_STATE: &str = r"
UPDATE recommendation_state
SET version = version + 1, result_digest = NULL, saved_count = 0, rows_checksum = NULL
WHERE user_id = ? AND due_at IS NULL AND (verified_at IS NULL OR verified_at < ?)
";

const DELETE_LIST: &str = r"
DELETE FROM user_job_recommendations WHERE user_id = ?
";

/// A replacement by no rows. It bumps the version, so that a run that has read the state before starts again,
/// and forgets the digest, so that the next run writes the list again.
async fn remove_list(pool: &Pool, user: UserId, since: DateTime<Utc>) -> Result<bool, StoreError> {
    ensure_state_rows(pool, &[user]).await?;
    let mut transaction = pool.begin().await?;
    let emptied = query(EMPTY_STATE).bind(user.get()).bind(since).execute(&mut *transaction).await?;
    if emptied.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    query(DELETE_LIST).bind(user.get()).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

const WITH_DANGLING_ROWS: &str = r"
SELECT DISTINCT CAST(r.user_id AS SIGNED) AS user_id
FROM user_job_recommendations AS r
LEFT JOIN job_listings AS l ON l.id = r.job_listing_id
WHERE r.user_id > ? AND r.user_id <= ? AND l.id IS NULL
";

/// Users with rows whose listing is gone.
async fn with_dangling_rows(pool: &Pool, after: i64, through: UserId) -> Result<Vec<UserId>, StoreError> {
    let dangling = query_as(WITH_DANGLING_ROWS).bind(after).bind(through.get());
    // A crawler that replaces its table must not empty all lists.
    let rows = pool
        .with_connection(async |connection| if_table_exists(dangling.fetch_all(connection).await))
        .await?;
    Ok(users(rows.unwrap_or_default()))
}

const NEWEST_CATALOGUE: &str = r"
SELECT COALESCE(MAX(version), 0) FROM catalogue_state
";

async fn newest_catalogue(pool: &Pool) -> Result<i64, StoreError> {
    let newest = query_as(NEWEST_CATALOGUE);
    let (version,) = pool.with_connection(async |connection| Ok(newest.fetch_one(connection).await?)).await?;
    Ok(version)
}

const MARK_DUE: &str = r"
INSERT INTO recommendation_state
    (user_id, version, catalogue_version, requested_seq, requested_at, due_at, lane)
VALUES (?, 1, ?, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), ?)
-- MySQL assigns from left to right: lines that read due_at stand above the line that sets it.
ON DUPLICATE KEY UPDATE version = version + 1, result_digest = NULL,
    catalogue_version = GREATEST(catalogue_version, ?), requested_seq = requested_seq + 1,
    lane = CASE WHEN due_at IS NULL THEN ? ELSE lane END,
    requested_at = COALESCE(requested_at, UTC_TIMESTAMP(6)),
    due_at = CASE WHEN parked_at IS NULL THEN COALESCE(due_at, UTC_TIMESTAMP(6)) END
";

const DELETE_DANGLING_ROWS: &str = r"
DELETE r FROM user_job_recommendations AS r
LEFT JOIN job_listings AS l ON l.id = r.job_listing_id
WHERE r.user_id = ? AND l.id IS NULL
";

/// The list is then short of rows: the user is due, to have it filled up. `catalogue_version` makes an instance that
/// has older listings in memory read the newer ones first.
async fn remove_dangling_rows(pool: &Pool, user: UserId, catalogue_version: i64) -> Result<u64, StoreError> {
    let lane = lane_number(Lane::Batch);
    let mut transaction = pool.begin().await?;
    query(MARK_DUE)
        .bind(user.get())
        .bind(catalogue_version)
        .bind(lane)
        .bind(catalogue_version)
        .bind(lane)
        .execute(&mut *transaction)
        .await?;
    let deleted = query(DELETE_DANGLING_ROWS).bind(user.get()).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(deleted.rows_affected())
}

const MARK_ALTERED: &str = r"
UPDATE recommendation_state
SET requested_seq = requested_seq + 1, requested_at = UTC_TIMESTAMP(6), due_at = UTC_TIMESTAMP(6), lane = ?
WHERE user_id = ? AND due_at IS NULL AND parked_at IS NULL
";

/// Whether the user was made due: 0 or 1.
async fn mark_altered(pool: &Pool, user: UserId) -> Result<u64, StoreError> {
    ensure_state_rows(pool, &[user]).await?;
    let mark = query(MARK_ALTERED).bind(lane_number(Lane::Batch)).bind(user.get());
    let marked = pool.with_connection(async |connection| Ok(mark.execute(connection).await?)).await?;
    Ok(marked.rows_affected())
}
