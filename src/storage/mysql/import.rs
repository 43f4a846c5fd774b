//! Importing listings into the crawler's table, in whatever form it is.
//!
//! The listings of a statement are one JSON parameter. Its texts are converted to the character set of their column, so
//! that the statements can use the table's keys and compare texts by their bytes. Characters that a column cannot hold are
//! replaced by '?' before: the servers would refuse the whole statement. For the usual columns the statements are
//!
//! ```sql
//! UPDATE job_listings AS l JOIN JSON_TABLE(?, …) AS n
//!     ON l.site_name = CONVERT(n.site_name USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND l.job_id = …
//! SET l.title = n.title, …, l.updated_at = UTC_TIMESTAMP(6)
//! WHERE NOT (CAST(l.title AS BINARY) <=> CAST(n.title AS BINARY) AND …);
//! INSERT INTO job_listings (site_name, job_id, title, …, created_at, updated_at)
//! SELECT n.site_name, n.job_id, n.title, …, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
//! FROM JSON_TABLE(?, …) AS n
//! WHERE NOT EXISTS (SELECT 1 FROM job_listings AS l WHERE l.site_name = … AND l.job_id = …)
//! ON DUPLICATE KEY UPDATE title = n.title, …, updated_at = UTC_TIMESTAMP(6);
//! ```

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, query, query_as, query_scalar};

use super::source::{Column, JOB_LISTINGS, SourceColumns};
use crate::storage::{ListingRecord, StoreError};

/// The most bytes of listings in a statement.
const MAX_STATEMENT_BYTES: usize = 1_000_000;
/// Room in a packet for what is not listings.
const PACKET_HEADER_BYTES: usize = 1_024;

/// The columns that an import sets, the key first, and the type as which each is sent.
const COLUMNS: [(&str, &str); 14] = [
    ("site_name", "VARCHAR(100)"),
    ("job_id", "VARCHAR(255)"),
    ("title", "VARCHAR(500)"),
    ("site_url", "VARCHAR(500)"),
    ("company", "VARCHAR(255)"),
    ("location", "VARCHAR(255)"),
    ("description", "LONGTEXT"),
    ("url", "VARCHAR(1000)"),
    ("reward", "VARCHAR(255)"),
    ("experience", "VARCHAR(255)"),
    ("search_keyword", "VARCHAR(255)"),
    ("crawled_at", "DATETIME(6)"),
    ("tech_stack", "LONGTEXT"),
    ("required_skills", "LONGTEXT"),
];
const KEY: [&str; 2] = ["site_name", "job_id"];

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
    let import = Import::into(columns)?;
    let packet: i64 =
        query_scalar("SELECT CAST(@@max_allowed_packet AS SIGNED)").fetch_one(&mut *connection).await?;
    let statements = statements(listings, usize::try_from(packet).unwrap_or(usize::MAX))?;
    let mut transaction = connection.begin().await?;
    for mut listings in statements {
        if let Some(fit) = import.fit() {
            listings = fit_listings(&mut transaction, fit, &listings).await?;
        }
        for statement in [import.update(), import.insert()] {
            query(AssertSqlSafe(statement)).bind(&listings).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// The listings with '?' for characters that their columns cannot hold.
async fn fit_listings(
    connection: &mut MySqlConnection,
    statement: String,
    listings: &str,
) -> Result<String, StoreError> {
    let rows: Vec<(String, bool)> =
        query_as(AssertSqlSafe(statement)).bind(listings).fetch_all(connection).await?;
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
    for listing in
        listings.iter().rev().filter(|listing| sent_keys.insert((&listing.site_name, &listing.job_id)))
    {
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

/// A listing as [`COLUMNS`] reads it.
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

/// The statements for a table with these columns.
struct Import<'a> {
    columns: Vec<(&'static str, &'a Column)>,
    has_created_at: bool,
    has_updated_at: bool,
}

impl<'a> Import<'a> {
    fn into(columns: &'a SourceColumns) -> Result<Self, StoreError> {
        if !columns.exists(JOB_LISTINGS) {
            return Err(StoreError::refused(
                "the table job_listings does not exist: the crawler creates it, or, for a demonstration, \
                 `job-agent migrate --source-tables`",
            ));
        }
        let column = |name: &'static str| Some((name, columns.column(JOB_LISTINGS, name)?));
        if let Some(missing) = KEY.iter().find(|name| column(name).is_none()) {
            return Err(StoreError::refused(format!("the table job_listings has no column {missing}")));
        }
        Ok(Self {
            columns: COLUMNS.iter().filter_map(|(name, _)| column(name)).collect(),
            has_created_at: column("created_at").is_some(),
            has_updated_at: column("updated_at").is_some(),
        })
    }

    fn content(&self) -> impl Iterator<Item = &(&'static str, &'a Column)> {
        self.columns.iter().filter(|(name, _)| !KEY.contains(name))
    }

    fn update(&self) -> String {
        let mut set: Vec<_> =
            self.content().map(|(name, column)| format!("l.{name} = {}", value(name, column))).collect();
        let same: Vec<_> = self.content().map(|(name, column)| same(name, column)).collect();
        if self.has_updated_at {
            set.push("l.updated_at = UTC_TIMESTAMP(6)".to_owned());
        }
        format!(
            "UPDATE job_listings AS l JOIN {} ON {} SET {} WHERE NOT ({})",
            listings_table(),
            self.same_key(),
            set.join(", "),
            same.join(" AND ")
        )
    }

    /// A new listing meets a duplicate key only if another program has just inserted it.
    fn insert(&self) -> String {
        let mut names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut values: Vec<_> = self.columns.iter().map(|(name, column)| value(name, column)).collect();
        let mut update: Vec<_> =
            self.content().map(|(name, column)| format!("{name} = {}", value(name, column))).collect();
        let now = "UTC_TIMESTAMP(6)";
        for name in [("created_at", self.has_created_at), ("updated_at", self.has_updated_at)]
            .into_iter()
            .filter_map(|(name, exists)| exists.then_some(name))
        {
            names.push(name);
            values.push(now.to_owned());
        }
        if self.has_updated_at {
            update.push(format!("updated_at = {now}"));
        }
        format!(
            "INSERT INTO job_listings ({}) SELECT {} FROM {} \
             WHERE NOT EXISTS (SELECT 1 FROM job_listings AS l WHERE {}) ON DUPLICATE KEY UPDATE {}",
            names.join(", "),
            values.join(", "),
            listings_table(),
            self.same_key(),
            update.join(", ")
        )
    }

    /// Selects the listings with '?' for characters that their columns cannot hold, and whether there were none. In the
    /// writing statements MariaDB refuses such characters even where they are converted. `None`: the columns hold all.
    fn fit(&self) -> Option<String> {
        let held = |name: &&str| {
            let set =
                self.columns.iter().find(|(column, _)| column == name).and_then(|(_, column)| narrow(column));
            set.map(|set| format!("CONVERT(CONVERT(n.{name} USING {set}) USING utf8mb4)"))
        };
        let whole =
            |name: &&str| Some(format!("CAST({} AS BINARY) <=> CAST(n.{name} AS BINARY)", held(name)?));
        let names = || COLUMNS.iter().map(|(name, _)| name);
        let whole: Vec<_> = names().filter_map(whole).collect();
        let values: Vec<_> = names()
            .map(|name| format!("'{name}', {}", held(&name).unwrap_or_else(|| format!("n.{name}"))))
            .collect();
        (!whole.is_empty()).then(|| {
            format!(
                "SELECT CAST(JSON_OBJECT({}) AS CHAR), {} FROM {}",
                values.join(", "),
                whole.join(" AND "),
                listings_table()
            )
        })
    }

    /// With the collation of the column, so that the table's key can be used.
    fn same_key(&self) -> String {
        let same = |(name, column): &(&'static str, &Column)| match (&column.character_set, &column.collation)
        {
            (Some(set), Some(collation)) => {
                format!("l.{name} = CONVERT(n.{name} USING {set}) COLLATE {collation}")
            }
            _ => format!("l.{name} = n.{name}"),
        };
        let keys = self.columns.iter().filter(|(name, _)| KEY.contains(name));
        keys.map(same).collect::<Vec<_>>().join(" AND ")
    }
}

/// The listings of a statement as a table. The character set is named because MariaDB takes that of the database.
fn listings_table() -> String {
    let column = |(name, sent_as): &(&str, &str)| match *sent_as {
        "DATETIME(6)" => format!("{name} {sent_as} PATH '$.{name}'"),
        _ => format!("{name} {sent_as} CHARACTER SET utf8mb4 PATH '$.{name}'"),
    };
    let columns = COLUMNS.iter().map(column).collect::<Vec<_>>().join(", ");
    format!("JSON_TABLE(?, '$[*]' COLUMNS ({columns})) AS n")
}

/// The character set of a column that cannot hold all characters.
fn narrow(column: &Column) -> Option<&str> {
    column.character_set.as_deref().filter(|set| *set != "utf8mb4")
}

/// A sent value as the column stores it.
fn value(name: &str, column: &Column) -> String {
    match narrow(column) {
        _ if column.data_type == "json" => {
            format!("CASE WHEN JSON_VALID(n.{name}) THEN n.{name} ELSE JSON_QUOTE(n.{name}) END")
        }
        Some(set) => format!("CONVERT(n.{name} USING {set})"),
        None => format!("n.{name}"),
    }
}

/// Whether the stored value is the sent one. A time is compared without its fraction, which not every table keeps.
fn same(name: &str, column: &Column) -> String {
    let sent = value(name, column);
    match column.data_type.as_str() {
        "json" => format!("CAST(l.{name} AS CHAR) <=> CAST(CAST({sent} AS JSON) AS CHAR)"),
        "datetime" | "timestamp" => format!("CAST(l.{name} AS DATETIME) <=> CAST({sent} AS DATETIME)"),
        "date" => format!("l.{name} <=> CAST({sent} AS DATE)"),
        _ if column.character_set.is_some() => {
            format!("CAST(l.{name} AS BINARY) <=> CAST({sent} AS BINARY)")
        }
        _ => format!("l.{name} <=> {sent}"),
    }
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
