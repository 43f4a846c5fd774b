//! Reading all listings.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
// A million rows that are there already are read without a pause, unless one is made for other work.
use tokio::task::coop::consume_budget;

use super::checksums::Checked;
use super::source::{JOB_LISTINGS, SourceColumns, is_outdated};
use super::{MysqlStore, changes, checksums, import};
use crate::domain::JobListing;
use crate::storage::known_listings::{ListingHashes, ReadListing};
use crate::storage::rows::ListingRow;
use crate::storage::{CatalogueChanges, KnownListings, ListingRecord, ListingStore, StoreError};

/// Time limit of reading all listings: a link that hangs must not end the refreshes for good. A million take seconds.
const READ_ALL_LIMIT: Duration = Duration::from_secs(300);

/// Likewise, of reading what has changed.
const REFRESH_LIMIT: Duration = Duration::from_secs(60);

/// One statement, hence one snapshot.
const ALL: &str = r"
SELECT CAST(l.id AS SIGNED) AS id, CAST(l.title AS CHAR) AS title, CAST(l.company AS CHAR) AS company,
       CAST(l.description AS CHAR) AS description, CAST(l.experience AS CHAR) AS experience,
       CAST(l.tech_stack AS CHAR) AS tech_stack, CAST(l.required_skills AS CHAR) AS required_skills,
       CAST(l.crawled_at AS CHAR) AS crawled_at, CAST(l.updated_at AS CHAR) AS updated_at
FROM job_listings AS l
WHERE l.id <= 9223372036854775807
";

/// Ids of BIGINT UNSIGNED that this service cannot store.
const COUNT_TOO_LARGE: &str = r"
SELECT COUNT(*) FROM job_listings WHERE id > 9223372036854775807
";

#[async_trait]
impl ListingStore for MysqlStore {
    async fn read_catalogue(
        &self,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError> {
        self.pool.within(READ_ALL_LIMIT, self.read_all(sink)).await
    }

    async fn read_catalogue_changes(
        &self,
        known: &mut KnownListings,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        self.pool.within(REFRESH_LIMIT, self.read_changes(known)).await
    }

    async fn check_listings(
        &self,
        known: &mut KnownListings,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        self.pool.within(REFRESH_LIMIT, self.check_next(known)).await
    }

    async fn import_listings(&self, listings: &[ListingRecord]) -> Result<(), StoreError> {
        let import = async |connection: &mut MySqlConnection| {
            let columns = self.source.look(connection).await?;
            import::import(connection, &columns, listings).await
        };
        self.pool.with_connection(import).await
    }
}

impl MysqlStore {
    /// The columns that other services' tables have now.
    pub(super) async fn columns(&self) -> Result<Arc<SourceColumns>, StoreError> {
        self.pool.with_connection(async |connection| self.source.look(connection).await).await
    }

    async fn read_all(
        &self,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError> {
        let columns = self.columns().await?;
        let read = async |connection: &mut MySqlConnection| read_all(connection, &columns, sink).await;
        let Some(mut hashes) = self.pool.with_connection(read).await? else { return Ok(None) };
        let changes = changes::read(&self.pool, &columns, &mut hashes, &Checked::default(), None).await?;
        Ok(changes.map(|changes| {
            let (version, absent) = (changes.version, columns.absent(JOB_LISTINGS));
            (KnownListings { version, hashes, absent, left: Vec::new() }, changes)
        }))
    }

    async fn read_changes(&self, known: &mut KnownListings) -> Result<Option<CatalogueChanges>, StoreError> {
        let columns = self.columns().await?;
        if columns.absent(JOB_LISTINGS) != known.absent {
            tracing::info!("job_listings has other columns than before: reading all listings again");
            return Ok(None);
        }
        let (pool, hashes, version) = (&self.pool, &mut known.hashes, Some(known.version));
        let left = Checked::of(known.left.clone());
        let mut changes = changes::read(pool, &columns, hashes, &left, version).await?;
        if changes.is_none() {
            // Perhaps another instance has found changes that cannot be seen here.
            let Some(checked) = checksums::check_all(pool, &columns, hashes).await? else { return Ok(None) };
            changes = changes::read(pool, &columns, hashes, &checked, version).await?;
        }
        known.version = changes.as_ref().map_or(known.version, |changes| changes.version);
        known.left.clear();
        Ok(changes)
    }

    async fn check_next(&self, known: &mut KnownListings) -> Result<Option<CatalogueChanges>, StoreError> {
        let columns = self.columns().await?;
        let (pool, hashes, version) = (&self.pool, &mut known.hashes, Some(known.version));
        let Some(checked) = checksums::check_next(pool, &columns, hashes).await? else { return Ok(None) };
        if checked.is_behind() {
            known.left = checked.suspects;
            return Ok(Some(CatalogueChanges::none(known.version)));
        }
        if checked.suspects.is_empty() {
            return Ok(Some(CatalogueChanges::none(known.version)));
        }
        let changes = changes::read(pool, &columns, hashes, &checked, version).await?;
        known.version = changes.as_ref().map_or(known.version, |changes| changes.version);
        Ok(changes)
    }
}

/// `None`: the table was dropped, made or altered meanwhile.
async fn read_all(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    sink: &mut (dyn FnMut(JobListing) + Send),
) -> Result<Option<ListingHashes>, StoreError> {
    let (now,): (DateTime<Utc>,) = query_as("SELECT UTC_TIMESTAMP(6)").fetch_one(&mut *connection).await?;
    let mut hashes = ListingHashes::starting(now);
    if !columns.exists(JOB_LISTINGS) {
        return Ok(Some(hashes));
    }
    let read = read_rows(connection, columns, |read| {
        hashes.insert(&read);
        sink(read.listing);
    });
    match read.await {
        Err(error) if is_outdated(&error) => Ok(None),
        read => Ok(read.map(|()| Some(hashes))?),
    }
}

async fn read_rows(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    mut sink: impl FnMut(ReadListing) + Send,
) -> Result<(), sqlx::Error> {
    let (too_large,): (i64,) = query_as(COUNT_TOO_LARGE).fetch_one(&mut *connection).await?;
    if too_large > 0 {
        tracing::warn!(
            listings = too_large,
            "listings are left out: their ids are above 9223372036854775807"
        );
    }
    let mut rows = query_as::<_, ListingRow>(columns.statement(ALL)).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        consume_budget().await;
        sink(row.into_listing());
    }
    Ok(())
}
