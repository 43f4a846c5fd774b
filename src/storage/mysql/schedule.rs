//! Beginning the occurrences of scheduled jobs.

use chrono::{DateTime, Utc};
use sqlx::mysql::MySqlConnection;
use sqlx::{query, query_as};

use super::batches::{finish, open_or_join};
use super::pool::Pool;
use crate::domain::BatchId;
use crate::storage::batches::StoredScope;
use crate::storage::{BatchScope, ListingJob, Occurrence, ScheduledJob, StoreError, UnseenListings};

const LOCK: &str = r"
SELECT last_occurrence FROM scheduled_jobs WHERE name = ? FOR UPDATE
";

/// A batch takes into account all listings that have changed until now.
const SET_LAST_OCCURRENCE: &str = r"
UPDATE scheduled_jobs
SET last_occurrence = ?, listings_seen = COALESCE((SELECT changed FROM catalogue_state WHERE id = 1), 0)
WHERE name = ?
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
        transaction.rollback().await?;
        return Ok(Occurrence::Past);
    }
    query(SET_LAST_OCCURRENCE).bind(occurrence).bind(job.name()).execute(&mut *transaction).await?;
    if last.is_some() && job == ScheduledJob::Batch && !open_nightly(&mut transaction).await? {
        transaction.rollback().await?;
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

const UNSEEN_LISTINGS: &str = r"
SELECT through - listings_seen AS count, listings, through
FROM (
    SELECT j.listings_seen, c.listings, CASE j.name WHEN 'refill' THEN c.deleted ELSE c.changed END AS through
    FROM scheduled_jobs AS j
    JOIN catalogue_state AS c ON c.id = 1
    WHERE j.name = ?
) AS counted
";

pub(super) async fn unseen_listings(pool: &Pool, job: ListingJob) -> Result<UnseenListings, StoreError> {
    let unseen = query_as(UNSEEN_LISTINGS).bind(job.name());
    let unseen =
        pool.with_connection(async |connection| Ok(unseen.fetch_optional(connection).await?)).await?;
    Ok(unseen.unwrap_or_default())
}

const LISTINGS_SEEN: &str = r"
SELECT listings_seen FROM scheduled_jobs WHERE name = ? FOR UPDATE
";

const SET_LISTINGS_SEEN: &str = r"
UPDATE scheduled_jobs SET listings_seen = ? WHERE name = ?
";

/// The instance that moves `listings_seen` begins the job.
pub(super) async fn begin_for_listings(
    pool: &Pool,
    job: ListingJob,
    unseen: UnseenListings,
) -> Result<Occurrence, StoreError> {
    let mut transaction = pool.begin().await?;
    let (seen,): (i64,) = query_as(LISTINGS_SEEN).bind(job.name()).fetch_one(&mut *transaction).await?;
    if seen >= unseen.through {
        transaction.rollback().await?;
        return Ok(Occurrence::Past);
    }
    query(SET_LISTINGS_SEEN).bind(unseen.through).bind(job.name()).execute(&mut *transaction).await?;
    if job == ListingJob::SecondPass && !open_nightly(&mut transaction).await? {
        transaction.rollback().await?;
        return Ok(Occurrence::Waits);
    }
    transaction.commit().await?;
    Ok(Occurrence::Begun)
}
