//! Importing listings into the crawler's table, in whatever form it is.
//!
//! Characters that a column cannot hold are replaced by '?' first: the servers would refuse the whole statement. Then the
//! listings whose content has changed are updated, and those that are new inserted.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, query, query_as, query_scalar};

use super::import_statements::Import;
use super::source::SourceColumns;
use crate::storage::{ListingRecord, StoreError};

/// The most bytes of listings in a statement.
const MAX_STATEMENT_BYTES: usize = 1_000_000;
/// Room in a packet for what is not listings.
const PACKET_HEADER_BYTES: usize = 1_024;

/// MariaDB's JSON columns are texts with a check that has the column's name.
const JSON_CHECKS: &str = r"
SELECT LOWER(CAST(constraint_name AS CHAR))
FROM information_schema.check_constraints
WHERE constraint_schema = DATABASE() AND check_clause LIKE 'json\_valid(%'
";

/// Inserts listings and updates those whose content has changed, in one transaction. `updated_at` moves with the content,
/// whether or not the table maintains it: it shows the catalogues what has changed. Columns that the table does not
/// have are left out.
///
/// # Errors
/// [`StoreErrorKind::Refused`](crate::storage::StoreErrorKind::Refused) if there is no table that can hold listings, or
/// a listing is larger than a packet of the server may be.
pub(super) async fn import(
    connection: &mut MySqlConnection,
    columns: &SourceColumns,
    listings: &[ListingRecord],
) -> Result<(), StoreError> {
    let json_checks: Vec<String> = query_scalar(JSON_CHECKS).fetch_all(&mut *connection).await?;
    let import = Import::into(columns, &json_checks)?;
    let packet: i64 =
        query_scalar("SELECT CAST(@@max_allowed_packet AS SIGNED)").fetch_one(&mut *connection).await?;
    let statements = statements(listings, usize::try_from(packet).unwrap_or(usize::MAX))?;
    let mut transaction = connection.begin().await?;
    for mut listings in statements {
        if let Some(fit) = import.fit() {
            listings = fit_listings(&mut transaction, fit, &listings).await?;
        }
        send(&mut transaction, &listings).await?;
        for statement in [import.update(), import.insert()] {
            query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
        }
    }
    send(&mut transaction, "[]").await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes these listings those of the following statements of the session, so that they travel once.
async fn send(connection: &mut MySqlConnection, listings: &str) -> Result<(), StoreError> {
    query("SET @listings = ?").bind(listings).execute(connection).await?;
    Ok(())
}

/// The listings with '?' for characters that their columns cannot hold.
async fn fit_listings(
    connection: &mut MySqlConnection,
    statement: String,
    listings: &str,
) -> Result<String, StoreError> {
    send(connection, listings).await?;
    let rows: Vec<(String, bool)> = query_as(AssertSqlSafe(statement)).fetch_all(connection).await?;
    let replaced = rows.iter().filter(|(_, is_whole)| !is_whole).count();
    if replaced > 0 {
        let listings = replaced;
        tracing::warn!(listings, "characters that the character set of a column lacks are stored as '?'");
    }
    Ok(format!("[{}]", rows.into_iter().map(|(listing, _)| listing).collect::<Vec<_>>().join(",")))
}

/// The parameters of the statements: JSON arrays of listings, each as large as a packet of `max_packet` bytes allows. Of
/// two listings with one key, the later one is sent.
fn statements(listings: &[ListingRecord], max_packet: usize) -> Result<Vec<String>, StoreError> {
    let limit = MAX_STATEMENT_BYTES.min(max_packet / 2);
    let mut statements = Vec::new();
    let mut statement = String::new();
    let mut sent_keys = HashSet::new();
    let latest = listings.iter().rev();
    let mut latest: Vec<_> =
        latest.filter(|listing| sent_keys.insert((&listing.site_name, &listing.job_id))).collect();
    latest.reverse();
    for listing in latest {
        let listing_json = sent(listing).to_string();
        if listing_json.len() + PACKET_HEADER_BYTES > max_packet {
            return Err(StoreError::refused(format!(
                "the listing {} of {} has {} bytes: more than max_allowed_packet of the server ({max_packet}) allows",
                listing.job_id,
                listing.site_name,
                listing_json.len(),
            )));
        }
        if !statement.is_empty() && statement.len() + listing_json.len() > limit {
            statements.push(format!("[{statement}]"));
            statement.clear();
        }
        if !statement.is_empty() {
            statement.push(',');
        }
        statement.push_str(&listing_json);
    }
    if !statement.is_empty() {
        statements.push(format!("[{statement}]"));
    }
    Ok(statements)
}

/// A listing as the statements read it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(job_id: &str, description_bytes: usize) -> ListingRecord {
        ListingRecord {
            site_name: "site".to_owned(),
            job_id: job_id.to_owned(),
            description: Some("x".repeat(description_bytes)),
            ..ListingRecord::default()
        }
    }

    #[test]
    fn statements_stay_within_half_a_packet_and_a_megabyte() {
        let listings: Vec<_> = (0..1_000).map(|n| listing(&n.to_string(), 5_000)).collect();
        for (packet, limit) in [(1 << 20, 1 << 19), (64 << 20, MAX_STATEMENT_BYTES)] {
            let statements = statements(&listings, packet).unwrap();
            assert!(statements.iter().all(|statement| statement.len() <= limit + 2));
            let sent: usize = statements
                .iter()
                .map(|statement| serde_json::from_str::<Vec<Value>>(statement).unwrap().len())
                .sum();
            assert_eq!(sent, 1_000);
        }
    }

    #[test]
    fn a_listing_that_fits_into_no_packet_is_named() {
        assert_eq!(
            statements(&[listing("1", 700_000)], 1 << 20).unwrap().len(),
            1,
            "more than half a packet"
        );
        let error = statements(&[listing("1", 10), listing("77", 1 << 20)], 1 << 20).unwrap_err().to_string();
        assert!(error.contains("the listing 77 of site") && error.contains("max_allowed_packet"), "{error}");
    }

    #[test]
    fn of_two_listings_with_one_key_the_later_one_is_sent() {
        let statements = statements(&[listing("1", 10), listing("1", 3)], 1 << 20).unwrap();
        let sent: Vec<Value> = serde_json::from_str(&statements[0]).unwrap();
        assert_eq!((sent.len(), &sent[0]["description"]), (1, &"xxx".into()));
    }
}
