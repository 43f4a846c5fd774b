//! Reading `job_listings`, and numbering what was read.
//!
//! The table belongs to the crawler and carries no version, so ours is made here: `catalogue_state` holds
//! the fingerprint of the newest known contents and their number. Whoever finds other contents gives them
//! the next number, while holding that row and reading a snapshot that was opened under it. Snapshots are
//! therefore opened in the order of their numbers, and a higher number never stands for older contents.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::types::Json;
use sqlx::{Connection, query, query_as};
use sqlx_macros::FromRow;
// A million rows that are there already are read without a pause, unless one is made for other work.
use tokio::task::coop::consume_budget;

use super::super::StoreError;
use super::super::contents::{BLOCK, CatalogueChanges, CatalogueContents, Delta};
use super::super::rows::ListingRow;
use crate::domain::{JobListing, ListingId};

/// Changed listings read per statement: between two of them, other work gets its turn.
const ROWS_PER_READ: usize = 1_000;

/// All listings. One statement, hence one snapshot.
pub(super) async fn read_all(
    pool: &MySqlPool,
    contents: &mut CatalogueContents,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let (now,): (DateTime<Utc>,) = query_as("SELECT UTC_TIMESTAMP(6)").fetch_one(&mut *connection).await?;
    contents.start(now);
    let mut rows = query_as::<_, ListingRow>(
        "SELECT id, title, company, description, experience, tech_stack, \
                CAST(required_skills AS CHAR) AS required_skills, CAST(crawled_at AS CHAR) AS crawled_at, \
                CAST(updated_at AS CHAR) AS updated_at \
         FROM job_listings",
    )
    .fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        consume_budget().await;
        let (listing, updated_at) = row.into_listing();
        contents.insert(&listing, updated_at);
        sink(listing);
    }
    Ok(())
}

/// What has changed since, numbered; `None` if the contents must be read anew.
pub(super) async fn read_changes(
    pool: &MySqlPool,
    contents: &mut CatalogueContents,
) -> Result<Option<CatalogueChanges>, StoreError> {
    let mut versions = pool.begin().await?;
    let newest = lock_newest_version(&mut versions).await?;
    let Some(delta) = read_delta(pool, contents).await? else { return Ok(None) };
    let fingerprint = delta.fingerprint();
    let version = match newest {
        Some(newest) if newest.fingerprint == fingerprint => newest.version,
        // Another instance knows contents that cannot be seen as changes here: a writer that does not
        // maintain updated_at. Giving ours a number now would send the two instances back and forth.
        Some(_) if delta.is_empty() && contents.version.is_some() => return Ok(None),
        newest => register(&mut versions, newest.map(|newest| newest.version), &fingerprint).await?,
    };
    versions.commit().await?;
    Ok(Some(contents.apply(delta, version)))
}

/// `None` if rows are there that `updated_at` does not show.
async fn read_delta(pool: &MySqlPool, contents: &CatalogueContents) -> Result<Option<Delta>, StoreError> {
    let mut reader = pool.acquire().await?;
    query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *reader).await?;
    let mut snapshot = reader.begin_with("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
    let (now, count): (DateTime<Utc>, i64) =
        query_as("SELECT UTC_TIMESTAMP(6), COUNT(*) FROM job_listings").fetch_one(&mut *snapshot).await?;
    let since = contents.changed_since(now).unwrap_or(DateTime::UNIX_EPOCH);
    let mut delta = contents.delta(Some(now));
    for ids in candidates(&mut snapshot, contents, since).await?.chunks(ROWS_PER_READ) {
        compare(&mut snapshot, contents, &mut delta, ids).await?;
    }
    let complete = |delta: &Delta| i64::try_from(delta.len()).ok() == Some(count);
    if !complete(&delta) {
        let blocks = contents.blocks_that_differ(&delta, &count_by_block(&mut snapshot).await?);
        let ids = ids_in(&mut snapshot, &blocks).await?;
        contents.delete_missing(&mut delta, &blocks, &ids);
    }
    snapshot.rollback().await?;
    Ok(complete(&delta).then_some(delta))
}

/// Listings whose `updated_at` is new to us. With an index on it, this reads nothing else.
async fn candidates(
    snapshot: &mut MySqlConnection,
    contents: &CatalogueContents,
    since: DateTime<Utc>,
) -> Result<Vec<ListingId>, StoreError> {
    let mut candidates = Vec::new();
    let mut rows =
        query_as::<_, (i64, DateTime<Utc>)>("SELECT id, updated_at FROM job_listings WHERE updated_at >= ?")
            .bind(since)
            .fetch(snapshot);
    while let Some((id, updated_at)) = rows.try_next().await? {
        consume_budget().await;
        if contents.may_have_changed(ListingId(id), updated_at) {
            candidates.push(ListingId(id));
        }
    }
    Ok(candidates)
}

async fn compare(
    snapshot: &mut MySqlConnection,
    contents: &CatalogueContents,
    delta: &mut Delta,
    ids: &[ListingId],
) -> Result<(), StoreError> {
    let rows: Vec<ListingRow> = query_as(
        "SELECT l.id, l.title, l.company, l.description, l.experience, l.tech_stack, \
                CAST(l.required_skills AS CHAR) AS required_skills, CAST(l.crawled_at AS CHAR) AS crawled_at, \
                CAST(l.updated_at AS CHAR) AS updated_at \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS c JOIN job_listings AS l ON l.id = c.id",
    )
    .bind(Json(ids))
    .fetch_all(snapshot)
    .await?;
    for (listing, updated_at) in rows.into_iter().map(ListingRow::into_listing) {
        contents.compare(delta, listing, updated_at);
    }
    Ok(())
}

/// How many listings each block of ids holds.
async fn count_by_block(snapshot: &mut MySqlConnection) -> Result<FxHashMap<i64, i64>, StoreError> {
    let counts: Vec<(i64, i64)> =
        query_as("SELECT id DIV ? AS block, COUNT(*) FROM job_listings GROUP BY block")
            .bind(BLOCK)
            .fetch_all(snapshot)
            .await?;
    Ok(counts.into_iter().collect())
}

async fn ids_in(
    snapshot: &mut MySqlConnection,
    blocks: &FxHashSet<i64>,
) -> Result<FxHashSet<ListingId>, StoreError> {
    let mut ids = FxHashSet::default();
    for block in blocks {
        let rows: Vec<(i64,)> = query_as("SELECT id FROM job_listings WHERE id >= ? AND id < ?")
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

async fn lock_newest_version(connection: &mut MySqlConnection) -> Result<Option<NewestVersion>, StoreError> {
    Ok(query_as("SELECT version, fingerprint FROM catalogue_state WHERE id = 1 FOR UPDATE")
        .fetch_optional(connection)
        .await?)
}

/// The next number; at first one above all that users' states mention, in case this table was lost.
async fn register(
    connection: &mut MySqlConnection,
    newest: Option<i64>,
    fingerprint: &str,
) -> Result<i64, StoreError> {
    let newest = match newest {
        Some(newest) => newest,
        None => {
            let (highest,): (i64,) =
                query_as("SELECT COALESCE(MAX(catalogue_version), 0) FROM recommendation_state")
                    .fetch_one(&mut *connection)
                    .await?;
            highest
        }
    };
    query(
        "INSERT INTO catalogue_state (id, version, fingerprint) VALUES (1, ?, ?) \
         ON DUPLICATE KEY UPDATE version = ?, fingerprint = ?",
    )
    .bind(newest + 1)
    .bind(fingerprint)
    .bind(newest + 1)
    .bind(fingerprint)
    .execute(connection)
    .await?;
    Ok(newest + 1)
}
