//! Reading `job_listings`: triggers on the table number its changes and note the latest one of each listing.

use futures::TryStreamExt;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, query_as};

use super::super::StoreError;
use super::super::contents::{CatalogueChanges, CatalogueContents};
use super::super::rows::ListingRow;
use crate::domain::{CatalogueVersion, JobListing, ListingId};

const COLUMNS: &str = "l.id, l.title, l.company, l.description, l.experience, l.tech_stack, \
    CAST(l.required_skills AS TEXT) AS required_skills, CAST(l.crawled_at AS TEXT) AS crawled_at, \
    CAST(l.updated_at AS TEXT) AS updated_at";

/// All listings, in one read transaction with the number of the newest change.
pub(super) async fn read_all(
    pool: &SqlitePool,
    contents: &mut CatalogueContents,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<(), StoreError> {
    let mut snapshot = pool.begin().await?;
    let (version,): (i64,) =
        query_as("SELECT version FROM catalogue_state").fetch_one(&mut *snapshot).await?;
    {
        let all = AssertSqlSafe(format!("SELECT {COLUMNS} FROM job_listings AS l"));
        let mut rows = query_as::<_, ListingRow>(all).fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            let (listing, updated_at) = row.into_listing();
            contents.insert(&listing, updated_at);
            sink(listing);
        }
    }
    contents.version = Some(CatalogueVersion(version));
    snapshot.rollback().await?;
    Ok(())
}

/// What has changed since; `None` if the contents must be read anew.
pub(super) async fn read_changes(
    pool: &SqlitePool,
    contents: &mut CatalogueContents,
) -> Result<Option<CatalogueChanges>, StoreError> {
    let Some(known) = contents.version else { return Ok(None) };
    let mut snapshot = pool.begin().await?;
    let (version,): (i64,) =
        query_as("SELECT version FROM catalogue_state").fetch_one(&mut *snapshot).await?;
    let changed = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM listing_changes AS c JOIN job_listings AS l ON l.id = c.listing_id \
         WHERE c.version > ?"
    ));
    let changed: Vec<ListingRow> = query_as(changed).bind(known.0).fetch_all(&mut *snapshot).await?;
    let deleted: Vec<(i64,)> = query_as(
        "SELECT c.listing_id FROM listing_changes AS c LEFT JOIN job_listings AS l ON l.id = c.listing_id \
         WHERE c.version > ? AND l.id IS NULL",
    )
    .bind(known.0)
    .fetch_all(&mut *snapshot)
    .await?;
    snapshot.rollback().await?;
    let mut delta = contents.delta(None);
    for (listing, updated_at) in changed.into_iter().map(ListingRow::into_listing) {
        contents.compare(&mut delta, listing, updated_at);
    }
    contents.delete(&mut delta, deleted.into_iter().map(|(id,)| ListingId(id)));
    Ok(Some(contents.apply(delta, CatalogueVersion(version))))
}
