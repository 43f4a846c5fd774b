//! Removing what nobody will see, a few users per transaction.

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, query, query_as};

use super::super::rows::{UserRow, users};
use super::super::{CleanedUp, StoreError};
use super::{NOW, time_text};
use crate::domain::UserId;

/// Users looked at per chunk: the writer's turn is short.
const CHUNK: u32 = 20;

pub(super) async fn next_users(
    pool: &SqlitePool,
    after: Option<UserId>,
    unverified_since: Option<DateTime<Utc>>,
) -> Result<Option<CleanedUp>, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let rows: Vec<UserRow> = query_as(
        "SELECT DISTINCT user_id FROM user_job_recommendations WHERE user_id > ? ORDER BY user_id LIMIT ?",
    )
    .bind(after.map_or(0, UserId::get))
    .bind(CHUNK)
    .fetch_all(&mut *transaction)
    .await?;
    let users = users(rows);
    let Some(&through) = users.last() else { return Ok(None) };
    let mut cleaned = CleanedUp { through, lists: 0, rows: 0 };
    for user in users {
        if let Some(since) = unverified_since {
            cleaned.lists += u64::from(remove_if_unverified(&mut transaction, user, since).await?);
        }
        cleaned.rows += remove_dangling_rows(&mut transaction, user).await?;
    }
    transaction.commit().await?;
    Ok(Some(cleaned))
}

/// A replacement by nothing: it bumps the version, so that a run that has read the state before starts
/// again, and forgets the digest, so that the next run writes the list again.
async fn remove_if_unverified(
    connection: &mut SqliteConnection,
    user: UserId,
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let emptied = query(
        "UPDATE recommendation_state SET version = version + 1, result_digest = NULL, saved_count = 0, \
                rows_updated_at = NULL WHERE user_id = ? AND due_at IS NULL AND verified_at < ?",
    )
    .bind(user.get())
    .bind(time_text(since))
    .execute(&mut *connection)
    .await?;
    if emptied.rows_affected() == 0 {
        return Ok(false);
    }
    query("DELETE FROM user_job_recommendations WHERE user_id = ?")
        .bind(user.get())
        .execute(connection)
        .await?;
    Ok(true)
}

/// The list is short of rows then: the user is due, to have it filled up.
async fn remove_dangling_rows(connection: &mut SqliteConnection, user: UserId) -> Result<u64, StoreError> {
    let deleted = query(
        "DELETE FROM user_job_recommendations WHERE user_id = ? \
           AND NOT EXISTS (SELECT 1 FROM job_listings AS l WHERE l.id = job_listing_id)",
    )
    .bind(user.get())
    .execute(&mut *connection)
    .await?;
    if deleted.rows_affected() > 0 {
        query(AssertSqlSafe(format!(
            "UPDATE recommendation_state SET version = version + 1, result_digest = NULL, \
                    requested_seq = requested_seq + 1, lane = CASE WHEN due_at IS NULL THEN 1 ELSE lane END, \
                    requested_at = COALESCE(requested_at, {NOW}), \
                    due_at = CASE WHEN parked_at IS NULL THEN COALESCE(due_at, {NOW}) END \
             WHERE user_id = ?"
        )))
        .bind(user.get())
        .execute(connection)
        .await?;
    }
    Ok(deleted.rows_affected())
}
