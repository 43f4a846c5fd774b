//! Marking the users of a batch due, chunk by chunk.

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{query, query_as};

use super::fingerprint::altered_users;
use crate::domain::{BatchId, Lane, UserId};
use crate::storage::batches::{ACTIVE_DAYS, StoredScope};
use crate::storage::queue::lane_number;
use crate::storage::rows::{UserRow, users};
use crate::storage::{Marking, StoreError};

/// Users per chunk: few, so that other writers need not wait for long.
const CHUNK: u32 = 200;

const OPEN: &str = r"
SELECT scope, marked_through FROM recommendation_batches WHERE id = ? AND marking_ended_at IS NULL
";

const MOVE_MARK: &str = r"
UPDATE recommendation_batches
SET marked_through = ?, marked = marked + ?,
    marking_ended_at = CASE WHEN ? THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END
WHERE id = ?
";

pub(super) async fn mark(pool: &SqlitePool, batch: BatchId) -> Result<Marking, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let open: Option<(String, i64)> = query_as(OPEN).bind(batch.0).fetch_optional(&mut *transaction).await?;
    let Some((scope, marked_through)) = open else { return Ok(Marking::Ended) };
    let next = next_users(&mut transaction, batch, scope.parse()?, marked_through).await?;
    query(MOVE_MARK)
        .bind(next.last().map_or(marked_through, |user| user.get()))
        .bind(next.len() as i64)
        .bind(next.is_empty())
        .bind(batch.0)
        .execute(&mut *transaction)
        .await?;
    for user in &next {
        mark_due(&mut transaction, batch, *user).await?;
    }
    transaction.commit().await?;
    Ok(if next.is_empty() { Marking::Ended } else { Marking::Going })
}

const NEXT_LISTED: &str = r"
SELECT value AS user_id
FROM recommendation_batches AS b, json_each(b.users)
WHERE b.id = ? AND value > ?
ORDER BY value
LIMIT ?
";

const NEXT_OF_ALL: &str = r"
SELECT user_id FROM users WHERE user_id > ? ORDER BY user_id LIMIT ?
";

pub(super) async fn users_after(pool: &SqlitePool, after: i64, most: u32) -> Result<Vec<UserId>, StoreError> {
    let next: Vec<UserRow> = query_as(NEXT_OF_ALL).bind(after).bind(most).fetch_all(pool).await?;
    Ok(users(next))
}

const NEXT_ACTIVE: &str = r"
SELECT user_id
FROM users AS u
WHERE is_active
  AND (
      -- Profiles carry no date in this database: each counts as recent.
      EXISTS (SELECT 1 FROM profile_analysis AS p WHERE p.user_id = u.user_id)
      OR EXISTS (
          SELECT 1
          FROM career_sessions AS s
          JOIN career_analyses AS a ON a.session_id = s.id
          WHERE s.user_id = CAST(u.user_id AS TEXT) AND a.analyzed_at >= datetime('now', ?)
      )
  )
  AND user_id > ?
ORDER BY user_id
LIMIT ?
";

/// The next users of the batch, in the order of their ids.
async fn next_users(
    connection: &mut SqliteConnection,
    batch: BatchId,
    scope: StoredScope,
    marked_through: i64,
) -> Result<Vec<UserId>, StoreError> {
    let statement = match scope {
        StoredScope::Listed => query_as(NEXT_LISTED).bind(batch.0),
        StoredScope::All => query_as(NEXT_OF_ALL),
        StoredScope::Active => query_as(NEXT_ACTIVE).bind(format!("-{ACTIVE_DAYS} days")),
    };
    let next: Vec<UserRow> = statement.bind(marked_through).bind(CHUNK).fetch_all(&mut *connection).await?;
    let mut next = users(next);
    if scope == StoredScope::Active {
        let is_last = next.len() < CHUNK as usize;
        let through = next.last().filter(|_| !is_last).map_or(i64::MAX, |user| user.get());
        next.extend(altered_users(connection, marked_through, through).await?);
        next.sort_unstable();
        next.dedup();
    }
    Ok(next)
}

const MARK_DUE: &str = r"
INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane, batch_id)
VALUES (?1, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?2, ?3)
-- A user that is due already only gets the number of the batch; a parked user gets one more attempt.
ON CONFLICT (user_id) DO UPDATE SET requested_seq = requested_seq + 1, batch_id = ?3,
    lane = CASE WHEN due_at IS NULL THEN ?2 ELSE lane END,
    requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                        ELSE requested_at END,
    attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE MAX(attempts, 1) - 1 END,
    due_at = COALESCE(due_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), parked_at = NULL
";

async fn mark_due(connection: &mut SqliteConnection, batch: BatchId, user: UserId) -> Result<(), StoreError> {
    query(MARK_DUE).bind(user.get()).bind(lane_number(Lane::Batch)).bind(batch.0).execute(connection).await?;
    Ok(())
}
