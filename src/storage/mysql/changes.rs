//! Reading the changes of `job_listings`, and numbering the result.
//!
//! The table belongs to the crawler and carries no version, so this service makes one: `catalogue_state`
//! holds the fingerprint of the newest known listings and their number. An instance that finds other listings
//! gives them the next number, while it holds that row and reads a snapshot that was opened under it.
//! Snapshots are therefore opened in the order of their numbers, and a higher number never stands for older
//! listings.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::mysql::MySqlConnection;
use sqlx::types::Json;
use sqlx::{Connection, query, query_as};
use sqlx_macros::FromRow;
use tokio::task::coop::consume_budget;

use super::checksums::Checked;
use super::pool::Pool;
use super::session::this_server;
use super::source::{JOB_LISTINGS, SourceColumns, is_outdated};
use crate::domain::{CatalogueVersion, ListingId};
use crate::storage::known_listings::{BLOCK, Delta, ListingHashes};
use crate::storage::rows::{ListingRow, time};
use crate::storage::{CatalogueChanges, StoreError};

/// Changed listings per statement: between two statements, other tasks of the process can run.
const ROWS_PER_READ: usize = 1_000;

/// Reads the changes since `known` was read, and applies them: those that `updated_at` or the number of rows shows, and
/// those of `checked`. `version` is that of `known`, if it has one. `None`: the changes cannot be found.
pub(super) async fn read(
    pool: &Pool,
    columns: &SourceColumns,
    known: &mut ListingHashes,
    checked: &Checked,
    version: Option<CatalogueVersion>,
) -> Result<Option<CatalogueChanges>, StoreError> {
    let mut versions = pool.begin().await?;
    let newest = lock_newest_version(&mut versions).await?;
    let (server,): (String,) = query_as(SERVER).fetch_one(&mut *versions).await?;
    let Some(delta) = read_delta(pool, &server, columns, known, checked).await? else {
        versions.rollback().await?;
        return Ok(None);
    };
    let fingerprint = delta.fingerprint();
    let version = match newest {
        Some(newest) if newest.fingerprint == fingerprint => newest.version,
        // Another instance knows other listings, but no change can be seen here: some writer does not
        // maintain updated_at. Unless all listings have been compared, a new number for these listings would
        // send the two instances back and forth.
        Some(_) if delta.is_empty() && version.is_some() && !checked.all => {
            versions.rollback().await?;
            return Ok(None);
        }
        newest => {
            let counts = counts(&delta, newest.is_some(), version.is_some());
            register(&mut versions, newest.map(|newest| newest.version), &fingerprint, counts).await?
        }
    };
    versions.commit().await?;
    Ok(Some(known.apply(delta, CatalogueVersion(version))))
}

const SERVER: &str = concat!("SELECT ", this_server!());

/// `None` if the table was dropped, made or altered meanwhile, or if reading all listings is cheaper.
async fn read_delta(
    pool: &Pool,
    server: &str,
    columns: &SourceColumns,
    known: &ListingHashes,
    checked: &Checked,
) -> Result<Option<Delta>, StoreError> {
    if !columns.exists(JOB_LISTINGS) {
        return Ok(Some(known.delta(None)));
    }
    let mut reader = pool.acquire().await?;
    query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *reader).await?;
    let mut snapshot = reader.begin_with("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
    let read = read_snapshot(&mut snapshot, server, columns, known, checked).await;
    snapshot.rollback().await?;
    reader.give_back();
    match read {
        Err(error) if is_outdated(&error) => Ok(None),
        read => Ok(read?),
    }
}

/// The server, its clock, and the number of listings without those whose ids are too large for this service.
const CLOCK_AND_COUNT: &str = concat!(
    r"
SELECT ",
    this_server!(),
    r", UTC_TIMESTAMP(6),
       COUNT(id) - (SELECT COUNT(*) FROM job_listings WHERE id > 9223372036854775807)
FROM job_listings
"
);

async fn read_snapshot(
    snapshot: &mut MySqlConnection,
    server: &str,
    columns: &SourceColumns,
    known: &ListingHashes,
    checked: &Checked,
) -> Result<Option<Delta>, sqlx::Error> {
    let (reads, now, count): (String, DateTime<Utc>, i64) =
        query_as(CLOCK_AND_COUNT).fetch_one(&mut *snapshot).await?;
    if reads != server {
        // Around a failover: the other one may have newer listings.
        return Err(sqlx::Error::Protocol(format!("{reads} has the listings, {server} numbers them")));
    }
    let since = known.changed_since(now).unwrap_or(DateTime::UNIX_EPOCH);
    let mut delta = known.delta(Some(now));
    let mut candidates = candidates(&mut *snapshot, columns, known, since).await?;
    candidates.extend(&checked.suspects);
    candidates.sort_unstable();
    candidates.dedup();
    compare(&mut *snapshot, columns, known, &mut delta, &candidates).await?;
    let complete = |delta: &Delta| i64::try_from(delta.len()).ok() == Some(count);
    if !complete(&delta) {
        let blocks = known.blocks_that_differ(&delta, &count_by_block(&mut *snapshot).await?);
        let ids = ids_in(&mut *snapshot, &blocks).await?;
        known.delete_missing(&mut delta, &blocks, &ids);
        let unknown = known.unknown(&delta, &ids);
        if are_too_many(unknown.len(), known) {
            return Ok(None);
        }
        compare(snapshot, columns, known, &mut delta, &unknown).await?;
    }
    Ok(complete(&delta).then_some(delta))
}

/// Whether it is cheaper to read all listings, which also locks nothing.
pub(super) fn are_too_many(to_read: usize, known: &ListingHashes) -> bool {
    to_read > ROWS_PER_READ.max(known.len() / 4)
}

const CHANGED_SINCE: &str = r"
SELECT CAST(l.id AS SIGNED), CAST(l.updated_at AS CHAR)
FROM job_listings AS l
WHERE l.updated_at >= ? AND l.id <= 9223372036854775807
";

/// Listings whose `updated_at` is new. With an index on the column, no other rows are read.
async fn candidates(
    snapshot: &mut MySqlConnection,
    columns: &SourceColumns,
    known: &ListingHashes,
    since: DateTime<Utc>,
) -> Result<Vec<ListingId>, sqlx::Error> {
    let mut candidates = Vec::new();
    let statement = columns.statement(CHANGED_SINCE);
    let mut rows = query_as::<_, (i64, Option<String>)>(statement).bind(since).fetch(snapshot);
    while let Some((id, updated_at)) = rows.try_next().await? {
        consume_budget().await;
        if updated_at.as_deref().and_then(time).is_none_or(|at| known.may_have_changed(ListingId(id), at)) {
            candidates.push(ListingId(id));
        }
    }
    Ok(candidates)
}

const LISTINGS: &str = r"
SELECT CAST(l.id AS SIGNED) AS id, CAST(l.title AS CHAR) AS title, CAST(l.company AS CHAR) AS company,
       CAST(l.description AS CHAR) AS description, CAST(l.experience AS CHAR) AS experience,
       CAST(l.tech_stack AS CHAR) AS tech_stack, CAST(l.required_skills AS CHAR) AS required_skills,
       CAST(l.crawled_at AS CHAR) AS crawled_at, CAST(l.updated_at AS CHAR) AS updated_at
FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS c
JOIN job_listings AS l ON l.id = c.id
";

/// Reads listings into the delta.
async fn compare(
    snapshot: &mut MySqlConnection,
    columns: &SourceColumns,
    known: &ListingHashes,
    delta: &mut Delta,
    ids: &[ListingId],
) -> Result<(), sqlx::Error> {
    for ids in ids.chunks(ROWS_PER_READ) {
        let rows = query_as::<_, ListingRow>(columns.statement(LISTINGS)).bind(Json(ids));
        for row in rows.fetch_all(&mut *snapshot).await? {
            known.compare(delta, row.into_listing());
        }
    }
    Ok(())
}

const COUNT_BY_BLOCK: &str = r"
SELECT CAST(id DIV ? AS SIGNED) AS block, COUNT(*)
FROM job_listings
GROUP BY block
";

/// The number of listings in each block of ids. Blocks of ids that are too large for this service are among them.
async fn count_by_block(snapshot: &mut MySqlConnection) -> Result<FxHashMap<i64, i64>, sqlx::Error> {
    let counts: Vec<(i64, i64)> = query_as(COUNT_BY_BLOCK).bind(BLOCK).fetch_all(snapshot).await?;
    Ok(counts.into_iter().collect())
}

const IDS_OF_BLOCK: &str = r"
SELECT CAST(id AS SIGNED) FROM job_listings WHERE id >= ? AND id < ?
";

async fn ids_in(
    snapshot: &mut MySqlConnection,
    blocks: &FxHashSet<i64>,
) -> Result<FxHashSet<ListingId>, sqlx::Error> {
    let mut ids = FxHashSet::default();
    for block in blocks {
        let rows: Vec<(i64,)> = query_as(IDS_OF_BLOCK)
            .bind(block * BLOCK)
            .bind((block + 1) * BLOCK)
            .fetch_all(&mut *snapshot)
            .await?;
        ids.extend(rows.into_iter().map(|(id,)| ListingId(id)));
    }
    Ok(ids)
}

#[derive(FromRow)]
struct NewestVersion {
    version: i64,
    fingerprint: String,
}

const LOCK_NEWEST_VERSION: &str = r"
SELECT version, fingerprint FROM catalogue_state WHERE id = 1 FOR UPDATE
";

async fn lock_newest_version(connection: &mut MySqlConnection) -> Result<Option<NewestVersion>, StoreError> {
    Ok(query_as(LOCK_NEWEST_VERSION).fetch_optional(connection).await?)
}

/// Listings, and how many of them have changed and been deleted.
struct Counts {
    listings: i64,
    changed: i64,
    deleted: i64,
}

/// The first version is no change. After a full read it is not known what has changed: all listings may have.
fn counts(delta: &Delta, has_version: bool, changes_are_known: bool) -> Counts {
    let listings = delta.len() as i64;
    let (changed, deleted) = match (has_version, changes_are_known) {
        (false, _) => (0, 0),
        (true, false) => (listings, listings),
        (true, true) => delta.change_counts(),
    };
    Counts { listings, changed, deleted }
}

const HIGHEST_OF_USERS: &str = r"
SELECT COALESCE(MAX(catalogue_version), 0) FROM recommendation_state
";

const SET_VERSION: &str = r"
INSERT INTO catalogue_state (id, version, fingerprint, listings) VALUES (1, ?, ?, ?)
ON DUPLICATE KEY UPDATE version = ?, fingerprint = ?, listings = ?, changed = changed + ?, deleted = deleted + ?
";

/// Gives the listings the next number. The first number is above all numbers in users' states, in case the
/// table was lost.
async fn register(
    connection: &mut MySqlConnection,
    newest: Option<i64>,
    fingerprint: &str,
    counts: Counts,
) -> Result<i64, StoreError> {
    let newest = match newest {
        Some(newest) => newest,
        None => {
            let (highest,): (i64,) = query_as(HIGHEST_OF_USERS).fetch_one(&mut *connection).await?;
            highest
        }
    };
    let next = newest + 1;
    query(SET_VERSION)
        .bind(next)
        .bind(fingerprint)
        .bind(counts.listings)
        .bind(next)
        .bind(fingerprint)
        .bind(counts.listings)
        .bind(counts.changed)
        .bind(counts.deleted)
        .execute(connection)
        .await?;
    Ok(next)
}
