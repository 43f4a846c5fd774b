//! Removing lists and rows that clients will not see any more, a few users per transaction.

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_as};

use super::fingerprint::altered_users;
use super::time_text;
use crate::domain::{Lane, UserId};
use crate::storage::queue::lane_number;
use crate::storage::rows::{UserRow, users};
use crate::storage::{CleanedUp, StoreError};

/// Users per step: few, so that other writers need not wait for long.
const CHUNK: u32 = 20;

/// Users with rows, or with a state that says that there are some.
const NEXT_USERS: &str = r"
SELECT user_id FROM user_job_recommendations WHERE user_id > ?1
UNION
SELECT user_id FROM recommendation_state WHERE user_id > ?1 AND saved_count > 0
ORDER BY user_id
LIMIT ?2
";

pub(super) async fn next_users(
    pool: &SqlitePool,
    after: Option<UserId>,
    unverified_since: Option<DateTime<Utc>>,
) -> Result<Option<CleanedUp>, StoreError> {
    let after = after.map_or(0, UserId::get);
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let next: Vec<UserRow> =
        query_as(NEXT_USERS).bind(after).bind(CHUNK).fetch_all(&mut *transaction).await?;
    let next = users(next);
    let Some(through) = next.last().copied() else { return Ok(None) };
    let mut cleaned = CleanedUp { through, lists: 0, rows: 0, altered: 0 };
    for user in next {
        if let Some(since) = unverified_since {
            cleaned.lists += u64::from(remove_if_unverified(&mut transaction, user, since).await?);
        }
        cleaned.rows += remove_dangling_rows(&mut transaction, user).await?;
    }
    for user in altered_users(&mut transaction, after, through.get()).await? {
        mark_altered(&mut transaction, user).await?;
        cleaned.altered += 1;
    }
    transaction.commit().await?;
    Ok(Some(cleaned))
}

const EMPTY_STATE: &str = r"
UPDATE recommendation_state
SET version = version + 1, result_digest = NULL, saved_count = 0, rows_checksum = NULL
WHERE user_id = ? AND due_at IS NULL AND verified_at < ?
";

const DELETE_LIST: &str = r"
DELETE FROM user_job_recommendations WHERE user_id = ?
";

/// A replacement by no rows. It bumps the version, so that a run that has read the state before starts again,
/// and forgets the digest, so that the next run writes the list again.
async fn remove_if_unverified(
    connection: &mut SqliteConnection,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let emptied =
        query(EMPTY_STATE).bind(user.get()).bind(time_text(since)).execute(&mut *connection).await?;
    if emptied.rows_affected() == 0 {
        return Ok(false);
    }
    query(DELETE_LIST).bind(user.get()).execute(connection).await?;
    Ok(true)
}

const DELETE_DANGLING_ROWS: &str = r"
DELETE FROM user_job_recommendations
WHERE user_id = ? AND NOT EXISTS (SELECT 1 FROM job_listings AS l WHERE l.id = job_listing_id)
";

const MARK_DUE: &str = r"
UPDATE recommendation_state
SET version = version + 1, result_digest = NULL,
    catalogue_version = MAX(catalogue_version, (SELECT version FROM catalogue_state)),
    requested_seq = requested_seq + 1,
    lane = CASE WHEN due_at IS NULL THEN ? ELSE lane END,
    requested_at = COALESCE(requested_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    due_at = CASE WHEN parked_at IS NULL THEN COALESCE(due_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) END
WHERE user_id = ?
";

/// The list is then short of rows: the user is due, to have it filled up. The catalogue's version makes a process that
/// has older listings in memory read the newer ones first.
async fn remove_dangling_rows(connection: &mut SqliteConnection, user: UserId) -> Result<u64, StoreError> {
    let deleted = query(DELETE_DANGLING_ROWS).bind(user.get()).execute(&mut *connection).await?;
    if deleted.rows_affected() > 0 {
        query(MARK_DUE).bind(lane_number(Lane::Batch)).bind(user.get()).execute(connection).await?;
    }
    Ok(deleted.rows_affected())
}

const MARK_ALTERED: &str = r"
INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane)
VALUES (?1, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?2)
ON CONFLICT (user_id) DO UPDATE SET requested_seq = requested_seq + 1, requested_at = excluded.requested_at,
    due_at = excluded.due_at, lane = ?2
";

/// Makes a user due who is neither due nor parked.
async fn mark_altered(connection: &mut SqliteConnection, user: UserId) -> Result<(), StoreError> {
    query(MARK_ALTERED).bind(user.get()).bind(lane_number(Lane::Batch)).execute(connection).await?;
    Ok(())
}
