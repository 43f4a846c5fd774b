//! Beginning the occurrences of scheduled jobs.

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlConnection;
use sqlx::{query, query_as};

use super::batches::{finish, open_or_join};
use super::session::Pool;
use crate::domain::BatchId;
use crate::storage::batches::StoredScope;
use crate::storage::{BatchScope, Occurrence, ScheduledJob, StoreError};

const LOCK: &str = r"
SELECT last_occurrence FROM scheduled_jobs WHERE name = ? FOR UPDATE
";

const SET_LAST_OCCURRENCE: &str = r"
UPDATE scheduled_jobs SET last_occurrence = ? WHERE name = ?
";

const RUNNING: &str = r"
SELECT id, scope, marking_ended_at IS NOT NULL
FROM recommendation_batches
WHERE finished_at IS NULL
ORDER BY id
LIMIT 1
";

pub(super) async fn begin_occurrence(
    pool: &Pool,
    job: ScheduledJob,
    occurrence: DateTime<Utc>,
) -> Result<Occurrence, StoreError> {
    let mut transaction = pool.begin().await?;
    let last = lock(&mut transaction, job).await?;
    if last.is_some_and(|last| last >= occurrence) {
        return Ok(Occurrence::Past);
    }
    query(SET_LAST_OCCURRENCE).bind(occurrence).bind(job.name()).execute(&mut *transaction).await?;
    if last.is_some() && job == ScheduledJob::Batch && !open_nightly(&mut transaction).await? {
        return Ok(Occurrence::Waits);
    }
    transaction.commit().await?;
    Ok(if last.is_some() { Occurrence::Begun } else { Occurrence::Past })
}

/// Locks the job's row until the end of the transaction, and returns its latest occurrence.
pub(super) async fn lock(
    connection: &mut MySqlConnection,
    job: ScheduledJob,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let (last,): (Option<DateTime<Utc>>,) = query_as(LOCK).bind(job.name()).fetch_one(connection).await?;
    Ok(last)
}

/// Opens a batch of active users. A running batch whose users are all marked is finished first, and its users
/// stay due: otherwise one user that no instance can serve would block every later batch. `false`: a batch
/// for other users is still being marked.
async fn open_nightly(connection: &mut MySqlConnection) -> Result<bool, StoreError> {
    let running: Option<(i64, String, bool)> = query_as(RUNNING).fetch_optional(&mut *connection).await?;
    match running {
        None => {}
        Some((id, _, true)) => _ = finish(&mut *connection, BatchId(id)).await?,
        Some((_, scope, false)) => match scope.parse()? {
            StoredScope::Active => return Ok(true),
            StoredScope::All | StoredScope::Listed => return Ok(false),
        },
    }
    open_or_join(connection, &BatchScope::Active).await?;
    Ok(true)
}
