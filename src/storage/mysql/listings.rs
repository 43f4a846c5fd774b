//! Reading all listings, and importing some.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde_json::{Value, json};
use sqlx::mysql::MySqlConnection;
use sqlx::types::Json;
use sqlx::{MySqlExecutor, query, query_as};
// A million rows that are there already are read without a pause, unless one is made for other work.
use tokio::task::coop::consume_budget;

use super::{MysqlStore, changes};
use crate::domain::JobListing;
use crate::storage::known_listings::ListingHashes;
use crate::storage::rows::ListingRow;
use crate::storage::{CatalogueChanges, KnownListings, ListingRecord, ListingStore, StoreError};

/// One statement, hence one snapshot.
const ALL: &str = r"
SELECT id, title, company, description, experience, tech_stack,
       CAST(required_skills AS CHAR) AS required_skills, CAST(crawled_at AS CHAR) AS crawled_at,
       CAST(updated_at AS CHAR) AS updated_at
FROM job_listings
";

/// All listings are one JSON parameter. `ON DUPLICATE KEY UPDATE` takes the new values from the selected row,
/// a form that both MySQL and MariaDB know (`VALUES()` is deprecated in MySQL, a row alias unknown to
/// MariaDB).
const IMPORT: &str = r"
INSERT INTO job_listings
    (site_name, job_id, title, site_url, company, location, description, url, reward, experience,
     search_keyword, crawled_at, tech_stack, required_skills, created_at, updated_at)
SELECT n.site_name, n.job_id, n.title, n.site_url, n.company, n.location, n.description, n.url, n.reward,
       n.experience, n.search_keyword, n.crawled_at, n.tech_stack, n.required_skills,
       UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
FROM JSON_TABLE(?, '$[*]' COLUMNS (
    site_name VARCHAR(100) PATH '$.site_name',
    job_id VARCHAR(255) PATH '$.job_id',
    title VARCHAR(500) PATH '$.title',
    site_url VARCHAR(500) PATH '$.site_url',
    company VARCHAR(255) PATH '$.company',
    location VARCHAR(255) PATH '$.location',
    description LONGTEXT PATH '$.description',
    url VARCHAR(1000) PATH '$.url',
    reward VARCHAR(255) PATH '$.reward',
    experience VARCHAR(255) PATH '$.experience',
    search_keyword VARCHAR(255) PATH '$.search_keyword',
    crawled_at DATETIME(6) PATH '$.crawled_at',
    tech_stack LONGTEXT PATH '$.tech_stack',
    required_skills LONGTEXT PATH '$.required_skills'
)) AS n
ON DUPLICATE KEY UPDATE title = n.title, site_url = n.site_url, company = n.company, location = n.location,
    description = n.description, url = n.url, reward = n.reward, experience = n.experience,
    search_keyword = n.search_keyword, crawled_at = n.crawled_at, tech_stack = n.tech_stack,
    required_skills = n.required_skills
";

#[async_trait]
impl ListingStore for MysqlStore {
    async fn read_catalogue(
        &self,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut hashes = read_all(&mut connection, sink).await?;
        drop(connection);
        let changes = changes::read(&self.pool, &mut hashes, None).await?;
        Ok(changes.map(|changes| (KnownListings { version: changes.version, hashes }, changes)))
    }

    async fn read_catalogue_changes(
        &self,
        known: &mut KnownListings,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        let changes = changes::read(&self.pool, &mut known.hashes, Some(known.version)).await?;
        known.version = changes.as_ref().map_or(known.version, |changes| changes.version);
        Ok(changes)
    }

    async fn import_listings(&self, listings: &[ListingRecord]) -> Result<(), StoreError> {
        import(&mut *self.pool.acquire().await?, listings).await
    }
}

pub(super) async fn import(
    executor: impl MySqlExecutor<'_>,
    listings: &[ListingRecord],
) -> Result<(), StoreError> {
    let rows: Vec<_> = listings.iter().map(sent).collect();
    query(IMPORT).bind(Json(rows)).execute(executor).await?;
    Ok(())
}

async fn read_all(
    connection: &mut MySqlConnection,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<ListingHashes, StoreError> {
    let (now,): (DateTime<Utc>,) = query_as("SELECT UTC_TIMESTAMP(6)").fetch_one(&mut *connection).await?;
    let mut hashes = ListingHashes::starting(now);
    let mut rows = query_as::<_, ListingRow>(ALL).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        consume_budget().await;
        let (listing, updated_at) = row.into_listing();
        hashes.insert(&listing, updated_at);
        sink(listing);
    }
    Ok(hashes)
}

/// A listing as [`IMPORT`] reads it.
fn sent(listing: &ListingRecord) -> Value {
    json!({
        "site_name": listing.site_name,
        "job_id": listing.job_id,
        "title": listing.title,
        "site_url": listing.site_url,
        "company": listing.company,
        "location": listing.location,
        "description": listing.description,
        "url": listing.url,
        "reward": listing.reward,
        "experience": listing.experience,
        "search_keyword": listing.search_keyword,
        "crawled_at": listing.crawled_at.map(|at| at.naive_utc().format("%F %T%.6f").to_string()),
        "tech_stack": listing.tech_stack,
        "required_skills": listing.required_skills,
    })
}
