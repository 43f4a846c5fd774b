//! Batches and schedules.

use chrono::{DateTime, Utc};
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, MySqlExecutor, QueryBuilder, query, query_as};
use sqlx_macros::FromRow;

use super::super::work::ACTIVE_DAYS;
use super::super::{BatchScope, BatchStatus, Marking, Occurrence, OpenedBatch, ScheduledJob, StoreError};

/// Users looked at per chunk: small, so that no row is locked for long.
const CHUNK: u32 = 200;

pub(super) async fn open(pool: &MySqlPool, scope: &BatchScope) -> Result<OpenedBatch, StoreError> {
    let mut transaction = pool.begin().await?;
    lock_schedule(&mut transaction, ScheduledJob::Batch).await?;
    let opened = open_or_join(&mut transaction, scope).await?;
    transaction.commit().await?;
    Ok(opened)
}

pub(super) async fn begin_occurrence(
    pool: &MySqlPool,
    job: ScheduledJob,
    occurrence: DateTime<Utc>,
) -> Result<Occurrence, StoreError> {
    let mut transaction = pool.begin().await?;
    let last = lock_schedule(&mut transaction, job).await?;
    if last.is_some_and(|last| last >= occurrence) {
        return Ok(Occurrence::Past);
    }
    query("UPDATE scheduled_jobs SET last_occurrence = ? WHERE name = ?")
        .bind(occurrence)
        .bind(job.name())
        .execute(&mut *transaction)
        .await?;
    if last.is_some() && job == ScheduledJob::Batch && !open_nightly(&mut transaction).await? {
        return Ok(Occurrence::Waits);
    }
    transaction.commit().await?;
    Ok(if last.is_some() { Occurrence::Begun } else { Occurrence::Past })
}

async fn lock_schedule(
    connection: &mut MySqlConnection,
    job: ScheduledJob,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let (last,): (Option<DateTime<Utc>>,) =
        query_as("SELECT last_occurrence FROM scheduled_jobs WHERE name = ? FOR UPDATE")
            .bind(job.name())
            .fetch_one(connection)
            .await?;
    Ok(last)
}

/// The schedule's row is locked: nobody else opens one meanwhile.
async fn open_or_join(
    connection: &mut MySqlConnection,
    scope: &BatchScope,
) -> Result<OpenedBatch, StoreError> {
    let running: Option<(i64,)> =
        query_as("SELECT id FROM recommendation_batches WHERE finished_at IS NULL ORDER BY id LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((id,)) = running {
        return Ok(OpenedBatch { id, joined: true });
    }
    let inserted =
        query("INSERT INTO recommendation_batches (scope, users, opened_at) VALUES (?, ?, UTC_TIMESTAMP(6))")
            .bind(scope.name())
            .bind(scope.users_json())
            .execute(connection)
            .await?;
    Ok(OpenedBatch { id: i64::try_from(inserted.last_insert_id()).unwrap_or(i64::MAX), joined: false })
}

/// A batch that is only waiting for its users ends here: they stay due, and one of them whom nobody can
/// serve would otherwise keep every night to come from being begun. `false`: a batch for others is still
/// being marked.
async fn open_nightly(connection: &mut MySqlConnection) -> Result<bool, StoreError> {
    let running: Option<(i64, String, bool)> = query_as(
        "SELECT id, scope, marking_ended_at IS NOT NULL FROM recommendation_batches \
         WHERE finished_at IS NULL ORDER BY id LIMIT 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    match running {
        Some((id, _, true)) => _ = end(&mut *connection, id).await?,
        Some((_, scope, false)) => return Ok(scope == BatchScope::Active.name()),
        None => {}
    }
    open_or_join(connection, &BatchScope::Active).await?;
    Ok(true)
}

#[derive(FromRow)]
struct Open {
    scope: String,
    users: Option<String>,
    marked_through: i64,
    marking_ended: bool,
}

pub(super) async fn mark(pool: &MySqlPool, batch: i64) -> Result<Marking, StoreError> {
    let open: Option<Open> = query_as(
        "SELECT scope, users, marked_through, marking_ended_at IS NOT NULL AS marking_ended \
         FROM recommendation_batches WHERE id = ?",
    )
    .bind(batch)
    .fetch_optional(pool)
    .await?;
    let Some(open) = open.filter(|open| !open.marking_ended) else { return Ok(Marking::Ended) };
    let next = next_users(pool, &open).await?;
    let through = next.last().copied().unwrap_or(open.marked_through);
    let users = if open.scope == "active" { active_among(pool, &next).await? } else { next.clone() };

    let mut transaction = pool.begin().await?;
    // Whoever moves the mark has marked the chunk; an instance that was slower has nothing to add.
    let moved = query(
        "UPDATE recommendation_batches SET marked_through = ?, marked = marked + ?, \
                marking_ended_at = CASE WHEN ? THEN UTC_TIMESTAMP(6) END \
         WHERE id = ? AND marked_through = ? AND marking_ended_at IS NULL",
    )
    .bind(through)
    .bind(users.len() as i64)
    .bind(next.is_empty())
    .bind(batch)
    .bind(open.marked_through)
    .execute(&mut *transaction)
    .await?;
    if moved.rows_affected() == 1 {
        mark_due(&mut transaction, batch, &users).await?;
        transaction.commit().await?;
    }
    Ok(if next.is_empty() { Marking::Ended } else { Marking::Going })
}

/// Ids are cast: in others' tables they may be unsigned.
async fn next_users(pool: &MySqlPool, open: &Open) -> Result<Vec<i64>, StoreError> {
    let ids: Vec<(i64,)> = match &open.users {
        Some(users) => {
            query_as(
                "SELECT id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS listed \
                 WHERE id > ? ORDER BY id LIMIT ?",
            )
            .bind(users)
            .bind(open.marked_through)
            .bind(CHUNK)
            .fetch_all(pool)
            .await?
        }
        None => {
            let active = if open.scope == "active" { "AND is_active" } else { "" };
            query_as(AssertSqlSafe(format!(
                "SELECT CAST(user_id AS SIGNED) FROM users WHERE user_id > ? {active} ORDER BY user_id LIMIT ?"
            )))
            .bind(open.marked_through)
            .bind(CHUNK)
            .fetch_all(pool)
            .await?
        }
    };
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// Those with an analysis of the last days. The tables are others', with ids of different types and
/// collations: ids are bound as values, which every column can be compared with by its index, and cast.
async fn active_among(pool: &MySqlPool, users: &[i64]) -> Result<Vec<i64>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let mut sessions = QueryBuilder::new(
        "SELECT DISTINCT CAST(s.user_id AS CHAR) FROM career_sessions AS s \
         JOIN career_analyses AS a ON a.session_id = s.id WHERE s.user_id IN (",
    );
    let mut ids = sessions.separated(", ");
    users.iter().for_each(|user| _ = ids.push_bind(user.to_string()));
    sessions.push(format!(") AND a.analyzed_at >= UTC_TIMESTAMP(6) - INTERVAL {ACTIVE_DAYS} DAY"));
    let by_session: Vec<(String,)> = sessions.build_query_as().fetch_all(pool).await?;

    let mut profiles =
        QueryBuilder::new("SELECT CAST(user_id AS SIGNED) FROM profile_analysis WHERE user_id IN (");
    let mut ids = profiles.separated(", ");
    users.iter().for_each(|user| _ = ids.push_bind(*user));
    profiles.push(")");
    if let Some(column) = profile_date_column(pool).await? {
        profiles.push(format!(" AND {column} >= UTC_TIMESTAMP(6) - INTERVAL {ACTIVE_DAYS} DAY"));
    }
    let by_profile: Vec<(i64,)> = profiles.build_query_as().fetch_all(pool).await?;

    let mut active: Vec<i64> = by_session.into_iter().filter_map(|(id,)| id.parse().ok()).collect();
    active.extend(by_profile.into_iter().map(|(id,)| id));
    active.sort_unstable();
    active.dedup();
    Ok(active)
}

/// What tells a profile's age. Not every deployment has it; without it every profile counts as recent,
/// which costs work and loses nobody.
async fn profile_date_column(pool: &MySqlPool) -> Result<Option<String>, StoreError> {
    let column: Option<(String,)> = query_as(
        "SELECT CAST(column_name AS CHAR) AS name FROM information_schema.columns \
         WHERE table_schema = DATABASE() AND table_name = 'profile_analysis' \
           AND column_name IN ('updated_at', 'created_at') ORDER BY column_name DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    Ok(column.map(|(name,)| name))
}

/// Users who are due already stay as they are, but for the number of the batch; one who is parked gets one
/// more try.
async fn mark_due(connection: &mut MySqlConnection, batch: i64, users: &[i64]) -> Result<(), StoreError> {
    if users.is_empty() {
        return Ok(());
    }
    query(
        "INSERT INTO recommendation_state (user_id, requested_seq, requested_at, due_at, lane, batch_id) \
         SELECT u.id, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 1, ? \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS u ORDER BY u.id \
         ON DUPLICATE KEY UPDATE requested_seq = requested_seq + 1, batch_id = ?, \
            lane = CASE WHEN due_at IS NULL THEN 1 ELSE lane END, \
            requested_at = CASE WHEN due_at IS NULL AND parked_at IS NULL THEN UTC_TIMESTAMP(6) \
                                ELSE requested_at END, \
            attempts = CASE WHEN parked_at IS NULL THEN attempts ELSE GREATEST(attempts, 1) - 1 END, \
            due_at = COALESCE(due_at, UTC_TIMESTAMP(6)), parked_at = NULL",
    )
    .bind(batch)
    .bind(Json(users))
    .bind(batch)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn running(pool: &MySqlPool) -> Result<Option<i64>, StoreError> {
    let running: Option<(i64,)> =
        query_as("SELECT id FROM recommendation_batches WHERE finished_at IS NULL ORDER BY id LIMIT 1")
            .fetch_optional(pool)
            .await?;
    Ok(running.map(|(id,)| id))
}

pub(super) async fn finish(pool: &MySqlPool, batch: i64) -> Result<bool, StoreError> {
    // One batch at a time: whoever waits in the lane belongs to it.
    let (ready,): (bool,) = query_as(
        "SELECT EXISTS (SELECT 1 FROM recommendation_batches WHERE id = ? AND marking_ended_at IS NOT NULL) \
            AND NOT EXISTS (SELECT 1 FROM recommendation_state WHERE lane = 1 AND due_at IS NOT NULL)",
    )
    .bind(batch)
    .fetch_one(pool)
    .await?;
    Ok(ready && end(pool, batch).await?)
}

/// Ends the batch with the result as it is; `false` if somebody else has ended it.
async fn end(executor: impl MySqlExecutor<'_>, batch: i64) -> Result<bool, StoreError> {
    let ended = query(AssertSqlSafe(format!(
        "UPDATE recommendation_batches AS b JOIN ({COUNTS}) AS c \
         SET b.finished_at = UTC_TIMESTAMP(6), b.computed = c.computed, b.unchanged = c.unchanged, \
             b.parked = c.parked \
         WHERE b.id = ? AND b.finished_at IS NULL"
    )))
    .bind(batch)
    .bind(batch)
    .execute(executor)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// What has become of a batch's users; the batch is bound once.
const COUNTS: &str = "\
    SELECT CAST(COALESCE(SUM(pending AND NOT leased), 0) AS SIGNED) AS due, \
           CAST(COALESCE(SUM(pending AND leased), 0) AS SIGNED) AS running, \
           CAST(COALESCE(SUM(NOT pending AND NOT is_parked AND written), 0) AS SIGNED) AS computed, \
           CAST(COALESCE(SUM(NOT pending AND NOT is_parked AND NOT written), 0) AS SIGNED) AS unchanged, \
           CAST(COALESCE(SUM(is_parked), 0) AS SIGNED) AS parked \
    FROM (SELECT s.due_at IS NOT NULL AS pending, s.parked_at IS NOT NULL AS is_parked, \
                 COALESCE(s.lease_until > UTC_TIMESTAMP(6), FALSE) AS leased, \
                 COALESCE(s.calculated_at >= o.opened_at, FALSE) AS written \
          FROM recommendation_batches AS o JOIN recommendation_state AS s ON s.batch_id = o.id \
          WHERE o.id = ?) AS marked_users";

pub(super) async fn latest(pool: &MySqlPool) -> Result<Option<BatchStatus>, StoreError> {
    let latest: Option<(i64,)> = query_as("SELECT id FROM recommendation_batches ORDER BY id DESC LIMIT 1")
        .fetch_optional(pool)
        .await?;
    let Some((id,)) = latest else { return Ok(None) };
    Ok(query_as(AssertSqlSafe(format!(
        "SELECT b.id, b.scope, b.opened_at, b.marked, b.marking_ended_at, b.finished_at, \
                CASE WHEN b.finished_at IS NULL THEN c.due ELSE 0 END AS due, \
                CASE WHEN b.finished_at IS NULL THEN c.running ELSE 0 END AS running, \
                COALESCE(b.computed, c.computed) AS computed, \
                COALESCE(b.unchanged, c.unchanged) AS unchanged, COALESCE(b.parked, c.parked) AS parked \
         FROM recommendation_batches AS b JOIN ({COUNTS}) AS c WHERE b.id = ?"
    )))
    .bind(id)
    .bind(id)
    .fetch_optional(pool)
    .await?)
}
