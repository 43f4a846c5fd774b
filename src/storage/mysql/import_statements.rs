//! The statements of an import, for the columns that the table has.
//!
//! The listings of a statement are one JSON text. Its texts are converted to the character set of their column, so
//! that the statements can use the table's keys and compare texts by their bytes. For the usual columns the statements are
//!
//! ```sql
//! UPDATE job_listings AS l JOIN JSON_TABLE(@listings, …) AS n
//!     ON l.site_name = CONVERT(n.site_name USING utf8mb4) COLLATE utf8mb4_0900_ai_ci AND l.job_id = …
//! SET l.title = n.title, …, l.updated_at = UTC_TIMESTAMP(6)
//! WHERE NOT (CAST(l.title AS BINARY) <=> CAST(n.title AS BINARY) AND …);
//! INSERT INTO job_listings (site_name, job_id, title, …, created_at, updated_at)
//! SELECT n.site_name, n.job_id, n.title, …, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
//! FROM JSON_TABLE(@listings, …) AS n
//! WHERE NOT EXISTS (SELECT 1 FROM job_listings AS l WHERE l.site_name = … AND l.job_id = …)
//! ON DUPLICATE KEY UPDATE title = n.title, …, updated_at = UTC_TIMESTAMP(6);
//! ```

use super::source::{Column, JOB_LISTINGS, SourceColumns};
use crate::storage::StoreError;

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

/// A column of the table that an import sets.
struct Target<'a> {
    name: &'static str,
    declared: &'a Column,
    /// The column is a text that must be JSON.
    checks_json: bool,
}

impl Target<'_> {
    fn is_key(&self) -> bool {
        KEY.contains(&self.name)
    }

    /// The character set of a column that cannot hold all characters.
    fn narrow(&self) -> Option<&str> {
        self.declared.character_set.as_deref().filter(|set| *set != "utf8mb4")
    }

    /// The sent value as the column stores it.
    fn value(&self) -> String {
        let name = self.name;
        match self.narrow() {
            _ if self.checks_json || self.declared.data_type == "json" => {
                format!("CASE WHEN JSON_VALID(n.{name}) THEN n.{name} ELSE JSON_QUOTE(n.{name}) END")
            }
            Some(set) => format!("CONVERT(n.{name} USING {set})"),
            None => format!("n.{name}"),
        }
    }

    fn assignment(&self) -> String {
        format!("{} = {}", self.name, self.value())
    }

    /// Whether the stored value is the sent one. A time is compared without its fraction, which not every table keeps.
    fn is_same(&self) -> String {
        let (name, value) = (self.name, self.value());
        match self.declared.data_type.as_str() {
            "json" => format!("CAST(l.{name} AS CHAR) <=> CAST(CAST({value} AS JSON) AS CHAR)"),
            "datetime" | "timestamp" => format!("CAST(l.{name} AS DATETIME) <=> CAST({value} AS DATETIME)"),
            "date" => format!("l.{name} <=> CAST({value} AS DATE)"),
            _ if self.declared.character_set.is_some() => {
                format!("CAST(l.{name} AS BINARY) <=> CAST({value} AS BINARY)")
            }
            _ => format!("l.{name} <=> {value}"),
        }
    }

    /// Whether the row has the sent key, with the collation of the column, so that the table's key can be used.
    fn is_same_key(&self) -> String {
        let name = self.name;
        match (&self.declared.character_set, &self.declared.collation) {
            (Some(set), Some(collation)) => {
                format!("l.{name} = CONVERT(n.{name} USING {set}) COLLATE {collation}")
            }
            _ => format!("l.{name} = n.{name}"),
        }
    }
}

/// The statements for a table with these columns.
pub(super) struct Import<'a> {
    columns: Vec<Target<'a>>,
    has_created_at: bool,
    has_updated_at: bool,
}

impl<'a> Import<'a> {
    pub(super) fn into(columns: &'a SourceColumns, json_checks: &[String]) -> Result<Self, StoreError> {
        if !columns.exists(JOB_LISTINGS) {
            return Err(StoreError::refused(
                "the table job_listings does not exist: the crawler creates it, or, for a demonstration, \
                 `job-agent migrate --source-tables`",
            ));
        }
        let column = |name| columns.column(JOB_LISTINGS, name);
        if let Some(missing) = KEY.iter().find(|name| column(name).is_none()) {
            return Err(StoreError::refused(format!("the table job_listings has no column {missing}")));
        }
        let target = |(name, _): &(&'static str, &str)| {
            let (declared, checks_json) = (column(name)?, json_checks.iter().any(|check| check == name));
            Some(Target { name, declared, checks_json })
        };
        Ok(Self {
            columns: COLUMNS.iter().filter_map(target).collect(),
            has_created_at: column("created_at").is_some(),
            has_updated_at: column("updated_at").is_some(),
        })
    }

    fn content(&self) -> impl Iterator<Item = &Target<'a>> {
        self.columns.iter().filter(|column| !column.is_key())
    }

    fn is_same_listing(&self) -> String {
        join(" AND ", self.columns.iter().filter(|column| column.is_key()).map(Target::is_same_key))
    }

    pub(super) fn update(&self) -> String {
        let now = self.has_updated_at.then(|| "updated_at = UTC_TIMESTAMP(6)".to_owned());
        let set = self.content().map(Target::assignment).chain(now).map(|set| format!("l.{set}"));
        format!(
            "UPDATE job_listings AS l JOIN {} ON {} SET {} WHERE NOT ({})",
            listings_table(),
            self.is_same_listing(),
            join(", ", set),
            join(" AND ", self.content().map(Target::is_same))
        )
    }

    /// A new listing meets a duplicate key only if another program has just inserted it.
    pub(super) fn insert(&self) -> String {
        let times = [("created_at", self.has_created_at), ("updated_at", self.has_updated_at)];
        let times = times.into_iter().filter_map(|(name, exists)| exists.then_some(name));
        let names = self.columns.iter().map(|column| column.name).chain(times.clone());
        let now = || "UTC_TIMESTAMP(6)".to_owned();
        let values = self.columns.iter().map(Target::value).chain(times.map(|_| now()));
        let updated_at = self.has_updated_at.then(|| format!("updated_at = {}", now()));
        format!(
            "INSERT INTO job_listings ({}) SELECT {} FROM {} \
             WHERE NOT EXISTS (SELECT 1 FROM job_listings AS l WHERE {}) ON DUPLICATE KEY UPDATE {}",
            join(", ", names.map(str::to_owned)),
            join(", ", values),
            listings_table(),
            self.is_same_listing(),
            join(", ", self.content().map(Target::assignment).chain(updated_at))
        )
    }

    /// Selects the listings with '?' for characters that their columns cannot hold, and whether there were none. In the
    /// writing statements MariaDB refuses such characters even where they are converted. `None`: the columns hold all.
    pub(super) fn fit(&self) -> Option<String> {
        let held = |name: &str| {
            let set = self.columns.iter().find(|column| column.name == name)?.narrow()?;
            Some(format!("CONVERT(CONVERT(n.{name} USING {set}) USING utf8mb4)"))
        };
        let is_whole = |name| Some(format!("CAST({} AS BINARY) <=> CAST(n.{name} AS BINARY)", held(name)?));
        let value = |name| format!("'{name}', {}", held(name).unwrap_or_else(|| format!("n.{name}")));
        let names = || COLUMNS.iter().map(|(name, _)| *name);
        let is_whole = join(" AND ", names().filter_map(is_whole));
        (!is_whole.is_empty()).then(|| {
            let values = join(", ", names().map(value));
            format!("SELECT CAST(JSON_OBJECT({values}) AS CHAR), {is_whole} FROM {}", listings_table())
        })
    }
}

fn join(separator: &str, parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

/// The sent listings as a table. The character set is named because MariaDB takes that of the database.
fn listings_table() -> String {
    let column = |(name, sent_as): &(&str, &str)| match *sent_as {
        "DATETIME(6)" => format!("{name} {sent_as} PATH '$.{name}'"),
        _ => format!("{name} {sent_as} CHARACTER SET utf8mb4 PATH '$.{name}'"),
    };
    format!("JSON_TABLE(@listings, '$[*]' COLUMNS ({})) AS n", join(", ", COLUMNS.iter().map(column)))
}
