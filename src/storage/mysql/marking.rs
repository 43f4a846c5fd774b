//! Marking the users of a batch due, chunk by chunk.

use sqlx::mysql::MySqlConnection;
use sqlx::types::Json;
use sqlx::{query, query_as};
use sqlx_macros::FromRow;

use super::fingerprint::altered_users;
use super::pool::Pool;
use super::source::{SourceQuery, SourceTables};
use crate::domain::{BatchId, Lane, UserId};
use crate::storage::batches::{ACTIVE_DAYS, StoredScope};
use crate::storage::queue::lane_number;
use crate::storage::rows::{UserRow, users};
use crate::storage::{Marking, StoreError};

/// Users per chunk: few, so that no row is locked for long.
const CHUNK: u32 = 200;

const OPEN: &str = r"
SELECT scope, marked_through
FROM recommendation_batches
WHERE id = ? AND marking_ended_at IS NULL
";

/// A batch whose users are not all marked.
#[derive(FromRow)]
struct Open {
    scope: String,
    marked_through: i64,
}

/// The instance that moves the mark has marked the chunk; for a slower instance nothing is left to do.
const MOVE_MARK: &str = r"
UPDATE recommendation_batches
SET marked_through = ?, marked = marked + ?, marking_ended_at = CASE WHEN ? THEN UTC_TIMESTAMP(6) END
WHERE id = ? AND marked_through = ? AND marking_ended_at IS NULL
";

pub(super) async fn mark(pool: &Pool, source: &SourceTables, batch: BatchId) -> Result<Marking, StoreError> {
    let read = async |connection: &mut MySqlConnection| {
        let open: Option<Open> = query_as(OPEN).bind(batch.0).fetch_optional(&mut *connection).await?;
        let Some(open) = open else { return Ok(None) };
        let (next, users) = next_users(connection, source, batch, &open).await?;
        Ok(Some((open, next, users)))
    };
    let Some((open, next, users)) = pool.with_connection(read).await? else { return Ok(Marking::Ended) };
    let through = next.last().map_or(open.marked_through, |user| user.get());

    let mut transaction = pool.begin().await?;
    let moved = query(MOVE_MARK)
        .bind(through)
        .bind(users.len() as i64)
        .bind(next.is_empty())
        .bind(batch.0)
        .bind(open.marked_through)
        .execute(&mut *transaction)
        .await?;
    if moved.rows_affected() == 1 {
        mark_due(&mut transaction, batch, &users).await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(if next.is_empty() { Marking::Ended } else { Marking::Going })
}

/// Read where they are stored: they may be more than fit into one packet.
const NEXT_LISTED: &str = r"
SELECT listed.id AS user_id
FROM recommendation_batches AS b
JOIN JSON_TABLE(b.users, '$[*]' COLUMNS (id BIGINT PATH '$')) AS listed
WHERE b.id = ? AND listed.id > ?
ORDER BY listed.id
LIMIT ?
";

/// The table belongs to another service, which may declare the id unsigned: hence the cast, here and below.
const NEXT_OF_ALL: &str = r"
SELECT CAST(u.user_id AS SIGNED) AS user_id FROM users AS u WHERE u.user_id > ? ORDER BY u.user_id LIMIT ?
";

pub(super) async fn users_after(
    pool: &Pool,
    source: &SourceTables,
    after: i64,
    most: u32,
) -> Result<Vec<UserId>, StoreError> {
    let bind = |query: SourceQuery<UserRow>| query.bind(after).bind(most);
    let read = async |connection: &mut MySqlConnection| source.rows(connection, NEXT_OF_ALL, bind).await;
    Ok(users(pool.with_connection(read).await?))
}

const NEXT_ACTIVE: &str = r"
SELECT CAST(u.user_id AS SIGNED) AS user_id
FROM users AS u
-- Where the column is absent, all users are active.
WHERE u.user_id > ? AND COALESCE(u.is_active, TRUE)
ORDER BY u.user_id
LIMIT ?
";

/// The next users in the order of their ids, and those of them that belong to the batch.
async fn next_users(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    batch: BatchId,
    open: &Open,
) -> Result<(Vec<UserId>, Vec<UserId>), StoreError> {
    let scope: StoredScope = open.scope.parse()?;
    let next: Vec<UserRow> = match scope {
        StoredScope::Listed => {
            let query = query_as(NEXT_LISTED).bind(batch.0).bind(open.marked_through).bind(CHUNK);
            query.fetch_all(&mut *connection).await?
        }
        StoredScope::All | StoredScope::Active => {
            let statement = if scope == StoredScope::All { NEXT_OF_ALL } else { NEXT_ACTIVE };
            let bind = |query: SourceQuery<UserRow>| query.bind(open.marked_through).bind(CHUNK);
            source.rows(&mut *connection, statement, bind).await?
        }
    };
    let next = users(next);
    let members = match scope {
        StoredScope::Active => {
            let mut members = recently_analysed(&mut *connection, source, &next).await?;
            let through = next.last().map_or(i64::MAX, |user| user.get());
            members.extend(altered_users(connection, open.marked_through, through).await?);
            members.sort_unstable();
            members.dedup();
            members
        }
        StoredScope::All | StoredScope::Listed => next.clone(),
    };
    Ok((next, members))
}

/// A time that is NULL, or whose column is absent, counts as recent: that costs work and leaves no user out. Times are
/// compared as text, which a writer may have stored.
const ANALYSED_IN_SESSION: &str = r"
SELECT DISTINCT CAST(s.user_id AS CHAR)
FROM career_sessions AS s
JOIN career_analyses AS a ON a.session_id = s.id
WHERE COALESCE(CAST(a.analyzed_at AS CHAR) >= CAST(UTC_TIMESTAMP(6) - INTERVAL ? DAY AS CHAR), TRUE)
  AND s.user_id IN (?)
";

/// As [`ANALYSED_IN_SESSION`].
const ANALYSED_IN_PROFILE: &str = r"
SELECT CAST(p.user_id AS SIGNED) AS user_id
FROM profile_analysis AS p
WHERE COALESCE(COALESCE(CAST(p.updated_at AS CHAR), CAST(p.created_at AS CHAR))
                   >= CAST(UTC_TIMESTAMP(6) - INTERVAL ? DAY AS CHAR), TRUE)
  AND p.user_id IN (?)
";

/// The users with an analysis of the last days. The tables belong to other services, with ids of different
/// types and collations: ids are bound as values, which every column can be compared with by its index, and
/// cast.
async fn recently_analysed(
    connection: &mut MySqlConnection,
    source: &SourceTables,
    candidates: &[UserId],
) -> Result<Vec<UserId>, StoreError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let ids = format!("IN ({})", vec!["?"; candidates.len()].join(", "));
    let bind = |query: SourceQuery<(String,)>| {
        candidates.iter().fold(query.bind(ACTIVE_DAYS), |query, user| query.bind(user.to_string()))
    };
    let by_session = source.rows(&mut *connection, ANALYSED_IN_SESSION.replace("IN (?)", &ids), bind).await?;
    let bind = |query: SourceQuery<UserRow>| {
        candidates.iter().fold(query.bind(ACTIVE_DAYS), |query, user| query.bind(user.get()))
    };
    let by_profile = source.rows(connection, ANALYSED_IN_PROFILE.replace("IN (?)", &ids), bind).await?;

    let mut active: Vec<UserId> = by_session.into_iter().filter_map(|(id,)| id.parse().ok()).collect();
    active.extend(users(by_profile));
    active.sort_unstable();
    active.dedup();
    Ok(active)
}

const MARK_DUE: &str = r"
INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane, batch_id)
SELECT u.id, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), ?, ?
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS u
ORDER BY u.id
-- A user that is due already only gets the number of the batch; a parked user gets one more attempt.
-- MySQL assigns from left to right: lines that read due_at and parked_at stand above those that set them.
ON DUPLICATE KEY UPDATE requested_seq = requested_seq + 1, batch_id = ?,
    lane = CASE WHEN due_at IS NULL THEN ? ELSE lane END,
    requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN UTC_TIMESTAMP(6) ELSE requested_at END,
    attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE GREATEST(attempts, 1) - 1 END,
    due_at = COALESCE(due_at, UTC_TIMESTAMP(6)), parked_at = NULL
";

async fn mark_due(
    connection: &mut MySqlConnection,
    batch: BatchId,
    users: &[UserId],
) -> Result<(), StoreError> {
    if !users.is_empty() {
        let lane = lane_number(Lane::Batch);
        query(MARK_DUE)
            .bind(lane)
            .bind(batch.0)
            .bind(Json(users))
            .bind(batch.0)
            .bind(lane)
            .execute(connection)
            .await?;
    }
    Ok(())
}
