//! Marking the users of a batch due, chunk by chunk.

use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::types::Json;
use sqlx::{QueryBuilder, query, query_as};
use sqlx_macros::FromRow;

use crate::domain::{BatchId, Lane, UserId};
use crate::storage::batches::{ACTIVE_DAYS, StoredScope};
use crate::storage::queue::lane_number;
use crate::storage::rows::{UserRow, users};
use crate::storage::{Marking, StoreError};

/// Users per chunk: few, so that no row is locked for long.
const CHUNK: u32 = 200;

const OPEN: &str = r"
SELECT scope, users, marked_through
FROM recommendation_batches
WHERE id = ? AND marking_ended_at IS NULL
";

/// A batch whose users are not all marked.
#[derive(FromRow)]
struct Open {
    scope: String,
    users: Option<String>,
    marked_through: i64,
}

/// The instance that moves the mark has marked the chunk; for a slower instance nothing is left to do.
const MOVE_MARK: &str = r"
UPDATE recommendation_batches
SET marked_through = ?, marked = marked + ?, marking_ended_at = CASE WHEN ? THEN UTC_TIMESTAMP(6) END
WHERE id = ? AND marked_through = ? AND marking_ended_at IS NULL
";

pub(super) async fn mark(pool: &MySqlPool, batch: BatchId) -> Result<Marking, StoreError> {
    let mut connection = pool.acquire().await?;
    let open: Option<Open> = query_as(OPEN).bind(batch.0).fetch_optional(&mut *connection).await?;
    let Some(open) = open else { return Ok(Marking::Ended) };
    let (next, users) = next_users(&mut connection, &open).await?;
    drop(connection);
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
    }
    Ok(if next.is_empty() { Marking::Ended } else { Marking::Going })
}

const NEXT_LISTED: &str = r"
SELECT id AS user_id
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS listed
WHERE id > ?
ORDER BY id
LIMIT ?
";

/// The table belongs to another service, which may declare the id unsigned: hence the cast, here and below.
const NEXT_OF_ALL: &str = r"
SELECT CAST(user_id AS SIGNED) AS user_id FROM users WHERE user_id > ? ORDER BY user_id LIMIT ?
";

pub(super) async fn users_after(pool: &MySqlPool, after: i64, most: u32) -> Result<Vec<UserId>, StoreError> {
    let next: Vec<UserRow> = query_as(NEXT_OF_ALL).bind(after).bind(most).fetch_all(pool).await?;
    Ok(users(next))
}

const NEXT_ACTIVE: &str = r"
SELECT CAST(user_id AS SIGNED) AS user_id FROM users WHERE user_id > ? AND is_active ORDER BY user_id LIMIT ?
";

/// The next users in the order of their ids, and those of them that belong to the batch.
async fn next_users(
    connection: &mut MySqlConnection,
    open: &Open,
) -> Result<(Vec<UserId>, Vec<UserId>), StoreError> {
    let scope: StoredScope = open.scope.parse()?;
    let statement = match scope {
        StoredScope::Listed => query_as(NEXT_LISTED).bind(&open.users),
        StoredScope::All => query_as(NEXT_OF_ALL),
        StoredScope::Active => query_as(NEXT_ACTIVE),
    };
    let next: Vec<UserRow> =
        statement.bind(open.marked_through).bind(CHUNK).fetch_all(&mut *connection).await?;
    let next = users(next);
    let members = match scope {
        StoredScope::Active => recently_analysed(connection, &next).await?,
        StoredScope::All | StoredScope::Listed => next.clone(),
    };
    Ok((next, members))
}

/// The users with an analysis of the last days. The tables belong to other services, with ids of different
/// types and collations: ids are bound as values, which every column can be compared with by its index, and
/// cast.
async fn recently_analysed(
    connection: &mut MySqlConnection,
    candidates: &[UserId],
) -> Result<Vec<UserId>, StoreError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let mut sessions = QueryBuilder::new(
        r"SELECT DISTINCT CAST(s.user_id AS CHAR)
          FROM career_sessions AS s
          JOIN career_analyses AS a ON a.session_id = s.id
          WHERE a.analyzed_at >= UTC_TIMESTAMP(6) - INTERVAL ",
    );
    sessions.push_bind(ACTIVE_DAYS).push(" DAY AND s.user_id IN (");
    let mut ids = sessions.separated(", ");
    candidates.iter().for_each(|user| _ = ids.push_bind(user.to_string()));
    sessions.push(")");
    let by_session: Vec<(String,)> = sessions.build_query_as().fetch_all(&mut *connection).await?;

    let mut profiles = QueryBuilder::new(
        "SELECT CAST(user_id AS SIGNED) AS user_id FROM profile_analysis WHERE user_id IN (",
    );
    let mut ids = profiles.separated(", ");
    candidates.iter().for_each(|user| _ = ids.push_bind(user.get()));
    profiles.push(")");
    if let Some(column) = profile_date_column(&mut *connection).await? {
        profiles.push(format!(" AND {column} >= UTC_TIMESTAMP(6) - INTERVAL "));
        profiles.push_bind(ACTIVE_DAYS).push(" DAY");
    }
    let by_profile: Vec<UserRow> = profiles.build_query_as().fetch_all(connection).await?;

    let mut active: Vec<UserId> = by_session.into_iter().filter_map(|(id,)| id.parse().ok()).collect();
    active.extend(users(by_profile));
    active.sort_unstable();
    active.dedup();
    Ok(active)
}

const PROFILE_DATE_COLUMN: &str = r"
SELECT CAST(column_name AS CHAR) AS name
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = 'profile_analysis'
  AND column_name IN ('updated_at', 'created_at')
ORDER BY column_name DESC
LIMIT 1
";

/// The column with a profile's age. Without one, as in some deployments, every profile counts as recent: that
/// costs work and leaves no user out.
async fn profile_date_column(connection: &mut MySqlConnection) -> Result<Option<String>, StoreError> {
    let column: Option<(String,)> = query_as(PROFILE_DATE_COLUMN).fetch_optional(connection).await?;
    Ok(column.map(|(name,)| name))
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
