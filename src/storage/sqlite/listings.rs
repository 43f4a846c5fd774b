//! Reading listings, and importing some. Triggers on `job_listings` number its changes, and note the latest
//! change of each listing.

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as};

use super::{SqliteStore, time_text};
use crate::domain::{CatalogueVersion, JobListing, ListingId};
use crate::storage::known_listings::ListingHashes;
use crate::storage::rows::ListingRow;
use crate::storage::{CatalogueChanges, KnownListings, ListingRecord, ListingStore, StoreError};

const ALL: &str = r"
SELECT id, title, company, description, experience, tech_stack,
       CAST(required_skills AS TEXT) AS required_skills, CAST(crawled_at AS TEXT) AS crawled_at,
       CAST(updated_at AS TEXT) AS updated_at
FROM job_listings
";

const CHANGED: &str = r"
SELECT l.id, l.title, l.company, l.description, l.experience, l.tech_stack,
       CAST(l.required_skills AS TEXT) AS required_skills, CAST(l.crawled_at AS TEXT) AS crawled_at,
       CAST(l.updated_at AS TEXT) AS updated_at
FROM listing_changes AS c
JOIN job_listings AS l ON l.id = c.listing_id
WHERE c.version > ?
";

const DELETED: &str = r"
SELECT c.listing_id
FROM listing_changes AS c
LEFT JOIN job_listings AS l ON l.id = c.listing_id
WHERE c.version > ? AND l.id IS NULL
";

const NEWEST_VERSION: &str = r"
SELECT version FROM catalogue_state
";

/// A listing that is there already with the same content is not touched: no change is numbered for it.
const IMPORT: &str = r"
INSERT INTO job_listings
    (site_name, job_id, title, site_url, company, location, description, url, reward, experience,
     search_keyword, crawled_at, tech_stack, required_skills)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (site_name, job_id) DO UPDATE SET title = excluded.title, site_url = excluded.site_url,
    company = excluded.company, location = excluded.location, description = excluded.description,
    url = excluded.url, reward = excluded.reward, experience = excluded.experience,
    search_keyword = excluded.search_keyword, crawled_at = excluded.crawled_at,
    tech_stack = excluded.tech_stack, required_skills = excluded.required_skills,
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE (title, site_url, company, location, description, url, reward, experience, search_keyword, crawled_at,
       tech_stack, required_skills)
    IS NOT (excluded.title, excluded.site_url, excluded.company, excluded.location, excluded.description,
            excluded.url, excluded.reward, excluded.experience, excluded.search_keyword, excluded.crawled_at,
            excluded.tech_stack, excluded.required_skills)
";

#[async_trait]
impl ListingStore for SqliteStore {
    /// All listings and the number of the newest change are one snapshot: there are no changes meanwhile.
    async fn read_catalogue(
        &self,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let version = newest_version(&mut snapshot).await?;
        let hashes = read_all(&mut snapshot, sink).await?;
        snapshot.rollback().await?;
        let no_changes = CatalogueChanges { version, changed: Vec::new(), deleted: Vec::new() };
        Ok(Some((KnownListings { version, hashes, absent: None, left: Vec::new() }, no_changes)))
    }

    /// Every change is numbered, so the changes can always be found.
    async fn read_catalogue_changes(
        &self,
        known: &mut KnownListings,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        let mut snapshot = self.pool.begin().await?;
        let version = newest_version(&mut snapshot).await?;
        let changed: Vec<ListingRow> =
            query_as(CHANGED).bind(known.version.0).fetch_all(&mut *snapshot).await?;
        let deleted: Vec<(i64,)> = query_as(DELETED).bind(known.version.0).fetch_all(&mut *snapshot).await?;
        snapshot.rollback().await?;
        let mut delta = known.hashes.delta(None);
        for read in changed.into_iter().map(ListingRow::into_listing) {
            known.hashes.compare(&mut delta, read);
        }
        known.hashes.delete(&mut delta, deleted.into_iter().map(|(id,)| ListingId(id)));
        known.version = version;
        Ok(Some(known.hashes.apply(delta, version)))
    }

    /// Triggers of the database number every change.
    async fn check_listings(
        &self,
        known: &mut KnownListings,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        Ok(Some(CatalogueChanges::none(known.version)))
    }

    async fn import_listings(&self, listings: &[ListingRecord]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for listing in listings {
            import(&mut transaction, listing).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn newest_version(snapshot: &mut SqliteConnection) -> Result<CatalogueVersion, StoreError> {
    let (version,): (i64,) = query_as(NEWEST_VERSION).fetch_one(snapshot).await?;
    Ok(CatalogueVersion(version))
}

async fn read_all(
    snapshot: &mut SqliteConnection,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<ListingHashes, StoreError> {
    let mut hashes = ListingHashes::default();
    let mut rows = query_as::<_, ListingRow>(ALL).fetch(snapshot);
    while let Some(row) = rows.try_next().await? {
        let read = row.into_listing();
        hashes.insert(&read);
        sink(read.listing);
    }
    Ok(hashes)
}

pub(super) async fn import(
    connection: &mut SqliteConnection,
    listing: &ListingRecord,
) -> Result<(), StoreError> {
    query(IMPORT)
        .bind(&listing.site_name)
        .bind(&listing.job_id)
        .bind(&listing.title)
        .bind(&listing.site_url)
        .bind(&listing.company)
        .bind(&listing.location)
        .bind(&listing.description)
        .bind(&listing.url)
        .bind(&listing.reward)
        .bind(&listing.experience)
        .bind(&listing.search_keyword)
        .bind(listing.crawled_at.map(time_text))
        .bind(&listing.tech_stack)
        .bind(&listing.required_skills)
        .execute(connection)
        .await?;
    Ok(())
}
