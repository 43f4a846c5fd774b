//! Reading `job_listings` as versioned snapshots.
//!
//! The table belongs to the crawler and carries no version, so ours is made here: whoever finds that the
//! content differs from what the newest version stood for, gives it the next number. The row of
//! `catalogue_state` is locked while the snapshot is opened; snapshots are therefore opened in the order
//! of their versions, and a higher version never stands for older content.

use futures::TryStreamExt;
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{FromRow, query, query_as};

use super::super::StoreError;
use super::super::rows::ListingRow;
use crate::domain::JobListing;

pub(super) async fn read(
    pool: &MySqlPool,
    known: Option<i64>,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<Option<i64>, StoreError> {
    let mut versions = pool.begin().await?;
    let newest = lock_newest_version(&mut versions).await?;

    let mut reader = pool.acquire().await?;
    query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *reader).await?;
    let mut snapshot =
        sqlx::Connection::begin_with(&mut *reader, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            .await?;
    let fingerprint = fingerprint(&mut snapshot).await?;
    let version = match newest {
        Some(newest) if newest.fingerprint == fingerprint => newest.version,
        newest => register(&mut versions, newest, &fingerprint).await?,
    };
    versions.commit().await?;

    if known == Some(version) {
        snapshot.rollback().await?;
        return Ok(None);
    }
    {
        let mut rows = query_as::<_, ListingRow>(
            "SELECT id, title, company, description, experience, tech_stack, \
                    CAST(required_skills AS CHAR) AS required_skills, CAST(crawled_at AS CHAR) AS crawled_at \
             FROM job_listings",
        )
        .fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            sink(row.into());
        }
    }
    snapshot.rollback().await?;
    Ok(Some(version))
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

/// The number of rows and a sum over their content: any change of a column that ranking looks at changes
/// it, whether or not the writer maintains `updated_at`.
async fn fingerprint(connection: &mut MySqlConnection) -> Result<String, StoreError> {
    let (fingerprint,): (String,) = query_as(
        "SELECT CONCAT(COUNT(*), '-', COALESCE(SUM(CRC32(CONCAT_WS('\\n', id, title, \
                IFNULL(company, '\\0'), IFNULL(description, '\\0'), IFNULL(experience, '\\0'), \
                IFNULL(tech_stack, '\\0'), IFNULL(required_skills, '\\0'), \
                IFNULL(crawled_at, '\\0')))), 0)) \
         FROM job_listings",
    )
    .fetch_one(connection)
    .await?;
    Ok(fingerprint)
}

/// The next number; at first one above all that users' states mention, in case this table was lost.
async fn register(
    connection: &mut MySqlConnection,
    newest: Option<NewestVersion>,
    fingerprint: &str,
) -> Result<i64, StoreError> {
    let version = match newest {
        Some(newest) => newest.version + 1,
        None => {
            let (highest,): (i64,) =
                query_as("SELECT COALESCE(MAX(catalogue_version), 0) FROM recommendation_state")
                    .fetch_one(&mut *connection)
                    .await?;
            highest + 1
        }
    };
    query(
        "INSERT INTO catalogue_state (id, version, fingerprint) VALUES (1, ?, ?) \
         ON DUPLICATE KEY UPDATE version = ?, fingerprint = ?",
    )
    .bind(version)
    .bind(fingerprint)
    .bind(version)
    .bind(fingerprint)
    .execute(connection)
    .await?;
    Ok(version)
}
