//! Finding listings that have changed without a new `updated_at`.
//!
//! The server computes the sum of the checksums of a span of listings. Only where it differs from the sum of the known
//! listings are the single checksums read, and only where these differ, [`changes`](super::changes) reads the listings.
//! Nothing is locked meanwhile.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
use tokio::task::coop::consume_budget;

use super::changes::are_too_many;
use super::pool::Pool;
use super::source::{JOB_LISTINGS, SourceColumns, is_outdated};
use crate::domain::ListingId;
use crate::storage::StoreError;
use crate::storage::known_listings::{ListingHashes, Span};
use crate::storage::rows::time;

/// A check that meets more changes than these that `updated_at` shows ends there: to compare the listings of all spans one
/// by one costs more than to read the changes.
const MANY_SHOWN: usize = 100;

/// What a check has found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Listings whose checksum is not that of the known ones.
    pub suspects: Vec<ListingId>,
    /// Whether all listings were compared.
    pub all: bool,
    /// Spans that were compared.
    spans: usize,
    /// How many of the suspects have an `updated_at` that does not show it.
    silent: usize,
}

impl Checked {
    /// Listings that an earlier check has found.
    pub(super) fn of(suspects: Vec<ListingId>) -> Self {
        Self { suspects, ..Self::default() }
    }

    /// Whether many listings have been changed since their changes were read, none of them silently.
    pub(super) fn is_behind(&self) -> bool {
        self.silent == 0 && self.suspects.len() > MANY_SHOWN
    }
}

/// Checks the listings whose turn it is. If one of them has changed without a new `updated_at`, then some writer does
/// not maintain it: all listings are checked. `None`: all must be read again.
pub(super) async fn check_next(
    pool: &Pool,
    columns: &SourceColumns,
    known: &mut ListingHashes,
) -> Result<Option<Checked>, StoreError> {
    let spans = known.next_spans();
    let checked = check(pool, columns, known, &spans, Checked::is_behind).await?;
    if let Some(last) = checked.as_ref().and_then(|checked| spans.get(..checked.spans)?.last()) {
        known.end_turn(last);
    }
    if let Some(Checked { silent: listings @ 1.., all, .. }) = checked {
        tracing::info!(listings, "listings have changed without a new updated_at");
        if !all {
            return check_all(pool, columns, known).await;
        }
    }
    Ok(checked.filter(|checked| !are_too_many(checked.suspects.len(), known)))
}

/// Checks all listings. `None`: all must be read again.
pub(super) async fn check_all(
    pool: &Pool,
    columns: &SourceColumns,
    known: &ListingHashes,
) -> Result<Option<Checked>, StoreError> {
    let checked = check(pool, columns, known, &known.all_spans(), |_| false).await?;
    Ok(checked.filter(|checked| !are_too_many(checked.suspects.len(), known)))
}

/// Checks these spans, until what it has found is enough. `None` if the table was dropped, made or altered meanwhile.
async fn check(
    pool: &Pool,
    columns: &SourceColumns,
    known: &ListingHashes,
    spans: &[Span],
    is_enough: fn(&Checked) -> bool,
) -> Result<Option<Checked>, StoreError> {
    if !columns.exists(JOB_LISTINGS) {
        return Ok(Some(Checked { all: true, ..Checked::default() }));
    }
    let check =
        async |connection: &mut MySqlConnection| match find(connection, columns, known, spans, is_enough)
            .await
        {
            Err(error) if is_outdated(&error) => Ok(None),
            checked => Ok(Some(checked?)),
        };
    pool.with_connection(check).await
}

/// The checksum of a listing, as `checksum::of_listing` computes it of a listing that was read.
macro_rules! listing_checksum {
    () => {
        "CRC32(CONCAT_WS( \
         ' ', CAST(l.id AS SIGNED), \
         CRC32(COALESCE(CAST(l.title AS CHAR), '')), CRC32(COALESCE(CAST(l.company AS CHAR), '')), \
         CRC32(COALESCE(CAST(l.description AS CHAR), '')), CRC32(COALESCE(CAST(l.experience AS CHAR), '')), \
         CRC32(COALESCE(CAST(l.tech_stack AS CHAR), '')), CRC32(COALESCE(CAST(l.required_skills AS CHAR), '')), \
         CRC32(COALESCE(CAST(l.crawled_at AS CHAR), ''))))"
    };
}

const SUM: &str = concat!(
    r"
SELECT COUNT(*), CAST(COALESCE(SUM(c.checksum * (c.id MOD 65536 + 1)), 0) AS SIGNED)
FROM (
    SELECT CAST(l.id AS SIGNED) AS id, CAST(",
    listing_checksum!(),
    r" AS SIGNED) AS checksum
    FROM job_listings AS l
    WHERE l.id BETWEEN ? AND ?
) AS c
"
);

async fn find(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    known: &ListingHashes,
    spans: &[Span],
    is_enough: fn(&Checked) -> bool,
) -> Result<Checked, sqlx::Error> {
    let mut checked = Checked::default();
    for span in spans {
        let (first, last) = (*span.ids.start(), *span.ids.end());
        let sum: (i64, i64) =
            query_as(columns.statement(SUM)).bind(first).bind(last).fetch_one(&mut *connection).await?;
        if sum != (span.count, span.sum) {
            compare(connection, columns, known, span, &mut checked).await?;
        }
        checked.spans += 1;
        checked.all = *spans[0].ids.start() == i64::MIN && *span.ids.end() == i64::MAX;
        if is_enough(&checked) {
            break;
        }
    }
    Ok(checked)
}

const CHECKSUMS: &str = concat!(
    r"
SELECT CAST(l.id AS SIGNED), CAST(",
    listing_checksum!(),
    r" AS UNSIGNED), CAST(l.updated_at AS CHAR)
FROM job_listings AS l
WHERE l.id BETWEEN ? AND ?
"
);

async fn compare(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    known: &ListingHashes,
    span: &Span,
    checked: &mut Checked,
) -> Result<(), sqlx::Error> {
    let statement = query_as::<_, (i64, u64, Option<String>)>(columns.statement(CHECKSUMS));
    let mut rows = statement.bind(*span.ids.start()).bind(*span.ids.end()).fetch(connection);
    while let Some((id, checksum, updated_at)) = rows.try_next().await? {
        consume_budget().await;
        let id = ListingId(id);
        if !u32::try_from(checksum).is_ok_and(|checksum| known.has_checksum(id, checksum)) {
            checked.suspects.push(id);
            let updated_at: Option<DateTime<Utc>> = updated_at.as_deref().and_then(time);
            checked.silent += usize::from(!known.is_shown(id, updated_at));
        }
    }
    Ok(())
}
