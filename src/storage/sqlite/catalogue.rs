//! Reading `job_listings`: triggers on the table number its changes and note the latest one of each listing.

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, query_as};

use super::super::StoreError;
use super::super::known_listings::{CatalogueChanges, KnownListings, ListingHashes};
use super::super::rows::ListingRow;
use crate::domain::{CatalogueVersion, JobListing, ListingId};

const COLUMNS: &str = "l.id, l.title, l.company, l.description, l.experience, l.tech_stack, \
    CAST(l.required_skills AS TEXT) AS required_skills, CAST(l.crawled_at AS TEXT) AS crawled_at, \
    CAST(l.updated_at AS TEXT) AS updated_at";

/// All listings, in one read transaction with the number of the newest change: nothing changes meanwhile.
pub(super) async fn read_all(
    pool: &SqlitePool,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError> {
    let mut snapshot = pool.begin().await?;
    let version = newest_version(&mut snapshot).await?;
    let mut hashes = ListingHashes::default();
    {
        let all = AssertSqlSafe(format!("SELECT {COLUMNS} FROM job_listings AS l"));
        let mut rows = query_as::<_, ListingRow>(all).fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            let (listing, updated_at) = row.into_listing();
            hashes.insert(&listing, updated_at);
            sink(listing);
        }
    }
    snapshot.rollback().await?;
    let no_changes = CatalogueChanges { version, changed: Vec::new(), deleted: Vec::new() };
    Ok(Some((KnownListings { version, hashes }, no_changes)))
}

/// The changes since `known` was read. Every change is numbered, so they can always be found.
pub(super) async fn read_changes(
    pool: &SqlitePool,
    known: &mut KnownListings,
) -> Result<Option<CatalogueChanges>, StoreError> {
    let mut snapshot = pool.begin().await?;
    let version = newest_version(&mut snapshot).await?;
    let changed = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM listing_changes AS c JOIN job_listings AS l ON l.id = c.listing_id \
         WHERE c.version > ?"
    ));
    let changed: Vec<ListingRow> = query_as(changed).bind(known.version.0).fetch_all(&mut *snapshot).await?;
    let deleted: Vec<(i64,)> = query_as(
        "SELECT c.listing_id FROM listing_changes AS c LEFT JOIN job_listings AS l ON l.id = c.listing_id \
         WHERE c.version > ? AND l.id IS NULL",
    )
    .bind(known.version.0)
    .fetch_all(&mut *snapshot)
    .await?;
    snapshot.rollback().await?;
    let mut delta = known.hashes.delta(None);
    for (listing, updated_at) in changed.into_iter().map(ListingRow::into_listing) {
        known.hashes.compare(&mut delta, listing, updated_at);
    }
    known.hashes.delete(&mut delta, deleted.into_iter().map(|(id,)| ListingId(id)));
    known.version = version;
    Ok(Some(known.hashes.apply(delta, version)))
}

async fn newest_version(snapshot: &mut SqliteConnection) -> Result<CatalogueVersion, StoreError> {
    let (version,): (i64,) = query_as("SELECT version FROM catalogue_state").fetch_one(snapshot).await?;
    Ok(CatalogueVersion(version))
}
