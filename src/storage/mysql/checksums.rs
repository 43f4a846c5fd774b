//! Finding listings that have changed without a new `updated_at`.
//!
//! The server computes the sum of the checksums of a span of listings. Only where it differs from the sum of the known
//! listings are the single checksums read, and only where these differ, [`changes`](super::changes) reads the listings.
//! Nothing is locked meanwhile.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::query_as;
use tokio::task::coop::consume_budget;

use super::changes::are_too_many;
use super::source::{JOB_LISTINGS, SourceColumns, is_outdated};
use crate::domain::ListingId;
use crate::storage::StoreError;
use crate::storage::known_listings::{ListingHashes, Span};
use crate::storage::rows::time;

/// Listings whose checksum is not that of the known ones.
#[derive(Default)]
struct Found {
    ids: Vec<ListingId>,
    /// How many of them have the `updated_at` of the known ones.
    silent: usize,
}

impl Found {
    /// `None` if it is cheaper to read all listings.
    fn if_few(self, known: &ListingHashes) -> Option<Vec<ListingId>> {
        (!are_too_many(self.ids.len(), known)).then_some(self.ids)
    }
}

/// Checks the listings whose turn it is, and returns those that may have changed. If one of them has changed without a
/// new `updated_at`, then some writer does not maintain it: all listings are checked. `None`: all must be read again.
pub(super) async fn check_next(
    pool: &MySqlPool,
    columns: &SourceColumns,
    known: &mut ListingHashes,
) -> Result<Option<Vec<ListingId>>, StoreError> {
    let spans = known.next_spans();
    let found = check(pool, columns, known, spans).await?;
    if let Some(Found { silent: listings @ 1.., .. }) = found {
        tracing::info!(listings, "listings have changed without a new updated_at: checking all");
        return check_all(pool, columns, known).await;
    }
    Ok(found.and_then(|found| found.if_few(known)))
}

/// Checks all listings, and returns those that may have changed. `None`: all must be read again.
pub(super) async fn check_all(
    pool: &MySqlPool,
    columns: &SourceColumns,
    known: &ListingHashes,
) -> Result<Option<Vec<ListingId>>, StoreError> {
    let found = check(pool, columns, known, known.all_spans()).await?;
    Ok(found.and_then(|found| found.if_few(known)))
}

/// `None` if the table was dropped, made or altered meanwhile.
async fn check(
    pool: &MySqlPool,
    columns: &SourceColumns,
    known: &ListingHashes,
    spans: Vec<Span>,
) -> Result<Option<Found>, StoreError> {
    if !columns.exists(JOB_LISTINGS) {
        return Ok(Some(Found::default()));
    }
    match find(&mut *pool.acquire().await?, columns, known, spans).await {
        Err(error) if is_outdated(&error) => Ok(None),
        found => Ok(Some(found?)),
    }
}

const SUM: &str = r"
SELECT COUNT(*), CAST(COALESCE(SUM(c.checksum * (c.id MOD 65536 + 1)), 0) AS SIGNED)
FROM (
    SELECT CAST(l.id AS SIGNED) AS id,
           CAST(CRC32(CONCAT_WS(
               ' ', CAST(l.id AS SIGNED),
               CRC32(COALESCE(CAST(l.title AS CHAR), '')), CRC32(COALESCE(CAST(l.company AS CHAR), '')),
               CRC32(COALESCE(CAST(l.description AS CHAR), '')), CRC32(COALESCE(CAST(l.experience AS CHAR), '')),
               CRC32(COALESCE(CAST(l.tech_stack AS CHAR), '')),
               CRC32(COALESCE(CAST(l.required_skills AS CHAR), '')),
               CRC32(COALESCE(CAST(l.crawled_at AS CHAR), ''))
           )) AS SIGNED) AS checksum
    FROM job_listings AS l
    WHERE l.id BETWEEN ? AND ?
) AS c
";

async fn find(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    known: &ListingHashes,
    spans: Vec<Span>,
) -> Result<Found, sqlx::Error> {
    let mut found = Found::default();
    for span in spans {
        let (first, last) = (*span.ids.start(), *span.ids.end());
        let sum: (i64, i64) =
            query_as(columns.statement(SUM)).bind(first).bind(last).fetch_one(&mut *connection).await?;
        if sum != (span.count, span.sum) {
            compare(connection, columns, known, &span, &mut found).await?;
        }
    }
    Ok(found)
}

const CHECKSUMS: &str = r"
SELECT CAST(l.id AS SIGNED),
       CAST(CRC32(CONCAT_WS(
           ' ', CAST(l.id AS SIGNED),
           CRC32(COALESCE(CAST(l.title AS CHAR), '')), CRC32(COALESCE(CAST(l.company AS CHAR), '')),
           CRC32(COALESCE(CAST(l.description AS CHAR), '')), CRC32(COALESCE(CAST(l.experience AS CHAR), '')),
           CRC32(COALESCE(CAST(l.tech_stack AS CHAR), '')),
           CRC32(COALESCE(CAST(l.required_skills AS CHAR), '')),
           CRC32(COALESCE(CAST(l.crawled_at AS CHAR), ''))
       )) AS UNSIGNED),
       CAST(l.updated_at AS CHAR)
FROM job_listings AS l
WHERE l.id BETWEEN ? AND ?
";

async fn compare(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    known: &ListingHashes,
    span: &Span,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    let statement = query_as::<_, (i64, u64, Option<String>)>(columns.statement(CHECKSUMS));
    let mut rows = statement.bind(*span.ids.start()).bind(*span.ids.end()).fetch(connection);
    while let Some((id, checksum, updated_at)) = rows.try_next().await? {
        consume_budget().await;
        let id = ListingId(id);
        if !u32::try_from(checksum).is_ok_and(|checksum| known.has_checksum(id, checksum)) {
            found.ids.push(id);
            let updated_at: Option<DateTime<Utc>> = updated_at.as_deref().and_then(time);
            found.silent += usize::from(known.has_time(id, updated_at));
        }
    }
    Ok(())
}
