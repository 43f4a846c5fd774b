//! Reading `job_listings` as versioned snapshots: triggers on the table count its changes.

use futures::TryStreamExt;
use sqlx::sqlite::SqlitePool;

use super::super::StoreError;
use super::super::rows::ListingRow;
use crate::domain::JobListing;

pub(super) async fn read(
    pool: &SqlitePool,
    known: Option<i64>,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<Option<i64>, StoreError> {
    // One read transaction, hence one snapshot: the version belongs to the listings read after it.
    let mut snapshot = pool.begin().await?;
    let (version,): (i64,) =
        sqlx::query_as("SELECT version FROM catalogue_state").fetch_one(&mut *snapshot).await?;
    if known != Some(version) {
        let mut rows = sqlx::query_as::<_, ListingRow>(
            "SELECT id, title, company, description, experience, tech_stack, \
                    CAST(required_skills AS TEXT) AS required_skills, CAST(crawled_at AS TEXT) AS crawled_at \
             FROM job_listings",
        )
        .fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            sink(row.into());
        }
    }
    snapshot.rollback().await?;
    Ok((known != Some(version)).then_some(version))
}
