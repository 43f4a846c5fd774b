//! The tables of other services: their owners make, extend and replace them whenever they like, also while this service
//! runs. It never creates or alters them.
//!
//! A table that does not exist is an empty one. Of its columns, few are needed; the others are only read for ranking or
//! display, and absent means NULL. Statements are constants with all columns; [`SourceColumns::statement`] puts NULL for
//! those that are absent. The columns are looked up at each refresh of the catalogue, and when a statement meets a
//! column that is gone: a run needs no round trip for them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlDatabaseError, MySqlQueryResult, MySqlRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{AssertSqlSafe, FromRow, MySql, SqlSafeStr, SqlStr, query, query_as};

use crate::storage::StoreError;

/// A table of another service, with the columns that this service reads.
struct SourceTable {
    name: &'static str,
    needed: &'static [&'static str],
    optional: &'static [&'static str],
}

impl SourceTable {
    /// A table without rows, as SQL.
    fn as_empty(&self) -> String {
        let columns = self.needed.iter().chain(self.optional).map(|column| format!("NULL AS {column}"));
        format!("(SELECT {} FROM DUAL WHERE FALSE)", columns.collect::<Vec<_>>().join(", "))
    }
}

/// The table that the catalogue is made of.
pub(super) const JOB_LISTINGS: &str = "job_listings";

const SOURCE_TABLES: [SourceTable; 6] = [
    SourceTable { name: "users", needed: &["user_id"], optional: &["is_active"] },
    SourceTable { name: "career_sessions", needed: &["id", "user_id"], optional: &[] },
    SourceTable {
        name: "career_analyses",
        needed: &["session_id", "recommended_careers"],
        optional: &["id", "interest_areas", "analyzed_at"],
    },
    SourceTable {
        name: "profile_analysis",
        needed: &["user_id"],
        optional: &["id", "interests", "strengths", "goals", "summary", "created_at", "updated_at"],
    },
    SourceTable {
        name: "job_recommendations",
        needed: &["user_id", "job_name"],
        optional: &["match_score", "category"],
    },
    SourceTable {
        name: JOB_LISTINGS,
        needed: &["id", "title"],
        optional: &[
            "site_name",
            "site_url",
            "job_id",
            "company",
            "location",
            "description",
            "url",
            "reward",
            "experience",
            "search_keyword",
            "crawled_at",
            "created_at",
            "updated_at",
            "tech_stack",
            "required_skills",
        ],
    },
];

/// The names of the tables of other services.
pub(super) fn source_table_names() -> impl Iterator<Item = &'static str> {
    SOURCE_TABLES.iter().map(|table| table.name)
}

/// A table does not exist.
const NO_SUCH_TABLE: u16 = 1146;
/// A column does not exist.
const NO_SUCH_COLUMN: u16 = 1054;
/// A table has been altered since the transaction's snapshot.
const TABLE_CHANGED: u16 = 1412;
/// A table has been altered since the statement was prepared.
const PREPARED_BEFORE: u16 = 1615;

/// The server's number of an error.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Whether a table was dropped, made or altered after its columns were looked up.
pub(super) fn is_outdated(error: &sqlx::Error) -> bool {
    let outdated = [NO_SUCH_TABLE, NO_SUCH_COLUMN, TABLE_CHANGED, PREPARED_BEFORE];
    number(error).is_some_and(|number| outdated.contains(&number))
}

/// Whether a table of another service is missing. A missing table of ours is a defect.
fn is_missing(error: &sqlx::Error) -> bool {
    let text = error.to_string();
    number(error) == Some(NO_SUCH_TABLE)
        && source_table_names().any(|table| text.contains(&format!(".{table}'")))
}

/// `None` if the statement's table of another service does not exist.
pub(super) fn if_table_exists<T>(result: Result<T, sqlx::Error>) -> Result<Option<T>, StoreError> {
    match result {
        Err(error) if is_missing(&error) => Ok(None),
        result => Ok(Some(result?)),
    }
}

/// A column as its table declares it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub(super) struct Column {
    table_name: String,
    column_name: String,
    /// `None`: the column holds no text.
    pub character_set: Option<String>,
    pub collation: Option<String>,
    pub data_type: String,
}

impl Column {
    /// Whether the column is read as text without a cast.
    fn is_text(&self) -> bool {
        let text = ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"];
        self.character_set.is_some() && text.contains(&self.data_type.as_str())
    }
}

const COLUMNS: &str = r"
SELECT LOWER(CAST(table_name AS CHAR)) AS table_name, LOWER(CAST(column_name AS CHAR)) AS column_name,
       CAST(character_set_name AS CHAR) AS character_set, CAST(collation_name AS CHAR) AS collation,
       LOWER(CAST(data_type AS CHAR)) AS data_type
FROM information_schema.columns
WHERE table_schema = DATABASE()
  AND table_name IN ('users', 'career_sessions', 'career_analyses', 'profile_analysis', 'job_recommendations',
                     'job_listings')
";

/// The columns that the tables have.
#[derive(Debug, Default)]
pub(super) struct SourceColumns {
    tables: HashMap<String, HashMap<String, Column>>,
    /// Optional columns that existing tables do not have.
    absent: Vec<(&'static str, &'static str)>,
    /// Constant statements as they are for these columns.
    rendered: Mutex<HashMap<&'static str, SqlStr>>,
}

impl PartialEq for SourceColumns {
    fn eq(&self, other: &Self) -> bool {
        self.tables == other.tables
    }
}

impl SourceColumns {
    /// # Errors
    /// An existing table lacks a needed column.
    fn new(columns: Vec<Column>) -> Result<Self, StoreError> {
        let mut tables: HashMap<String, HashMap<String, Column>> = HashMap::new();
        for column in columns {
            let table = tables.entry(column.table_name.clone()).or_default();
            table.insert(column.column_name.clone(), column);
        }
        let (mut missing, mut absent) = (Vec::new(), Vec::new());
        for SourceTable { name, needed, optional } in &SOURCE_TABLES {
            let Some(table) = tables.get(*name) else { continue };
            let lacks = |column: &&&str| !table.contains_key(**column);
            let needs: Vec<_> = needed.iter().filter(lacks).copied().collect();
            if !needs.is_empty() {
                missing.push(format!("{name} lacks {}", needs.join(", ")));
            }
            absent.extend(optional.iter().filter(lacks).map(|column| (*name, *column)));
        }
        if missing.is_empty() {
            Ok(Self { tables, absent, rendered: Mutex::default() })
        } else {
            Err(StoreError::refused(format!("needed columns are missing: {}", missing.join("; "))))
        }
    }

    /// Whether the table exists.
    pub(super) fn exists(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    fn missing(&self) -> impl Iterator<Item = &'static SourceTable> {
        SOURCE_TABLES.iter().filter(|table| !self.exists(table.name))
    }

    /// Whether all tables exist that the statement names.
    fn has_tables_of(&self, statement: &str) -> bool {
        self.missing().all(|table| alias(statement, table.name).is_none())
    }

    /// A column of an existing table.
    pub(super) fn column(&self, table: &str, column: &str) -> Option<&Column> {
        self.tables.get(table)?.get(column)
    }

    /// The optional columns that an existing table lacks; `None` if it does not exist.
    pub(super) fn absent(&self, table: &str) -> Option<Vec<&'static str>> {
        let of_table = self.absent.iter().filter(|(name, _)| *name == table);
        self.exists(table).then(|| of_table.map(|(_, column)| *column).collect())
    }

    /// The statement with empty tables in place of those that do not exist, and NULL in place of absent columns. It names
    /// each table of another service once, as `table AS alias`, and each of their columns as `alias.column`.
    pub(super) fn statement(&self, statement: impl Into<Cow<'static, str>>) -> SqlStr {
        match statement.into() {
            Cow::Borrowed(constant) => {
                let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
                rendered.entry(constant).or_insert_with(|| self.render(constant.into())).clone()
            }
            owned => self.render(owned),
        }
    }

    fn render(&self, mut statement: Cow<'static, str>) -> SqlStr {
        for table in self.missing() {
            if let Some(alias) = alias(&statement, table.name) {
                let named = format!(" {} AS {alias}", table.name);
                statement = statement.replace(&named, &format!(" {} AS {alias}", table.as_empty())).into();
            }
        }
        for (table, column) in &self.absent {
            if let Some(alias) = alias(&statement, table) {
                statement = replace_word(&statement, &format!("{alias}.{column}"), "NULL").into();
            }
        }
        statement = self.without_idle_casts(statement);
        match statement {
            Cow::Borrowed(constant) => constant.into_sql_str(),
            Cow::Owned(rendered) => AssertSqlSafe(Arc::<str>::from(rendered)).into_sql_str(),
        }
    }

    /// Selects columns that are text as they are: a cast costs the server 0.2 µs per value even then. Casts inside
    /// expressions stay, as they give texts of different tables one character set and collation.
    fn without_idle_casts(&self, mut statement: Cow<'static, str>) -> Cow<'static, str> {
        for (table, columns) in &self.tables {
            let Some(alias) = alias(&statement, table) else { continue };
            for (name, _) in columns.iter().filter(|(_, column)| column.is_text()) {
                let cast = format!("CAST({alias}.{name} AS CHAR) AS ");
                statement = statement.replace(&cast, &format!("{alias}.{name} AS ")).into();
            }
        }
        statement
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The alias of `table` in the statement.
fn alias(statement: &str, table: &str) -> Option<String> {
    let (_, after) = statement.split_once(&format!(" {table} AS "))?;
    Some(after.chars().take_while(|character| is_word(*character)).collect())
}

fn replace_word(text: &str, word: &str, with: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        replaced.push_str(before);
        replaced.push_str(if whole { with } else { word });
        rest = after;
    }
    replaced + rest
}

/// A query whose parameters are to be bound.
pub(super) type SourceQuery<T> = QueryAs<'static, MySql, T, MySqlArguments>;
/// Likewise, of a statement without rows.
pub(super) type StatementQuery = Query<'static, MySql, MySqlArguments>;

/// The columns as they were looked up last.
#[derive(Debug, Default)]
pub(super) struct SourceTables {
    known: ArcSwapOption<SourceColumns>,
}

impl SourceTables {
    /// Looks the columns up, and logs which tables and columns have come or gone.
    pub(super) async fn look(
        &self,
        connection: &mut MySqlConnection,
    ) -> Result<Arc<SourceColumns>, StoreError> {
        let columns = SourceColumns::new(query_as(COLUMNS).fetch_all(connection).await?)?;
        let now = Arc::new(columns);
        let before = self.known.swap(Some(now.clone()));
        if before.as_ref() != Some(&now) {
            log_changes(before.as_deref(), &now);
        }
        Ok(now)
    }

    /// The columns for a statement: looked up if one of its tables was missing, so that a table counts from the moment
    /// it is there.
    async fn known(
        &self,
        connection: &mut MySqlConnection,
        statement: &str,
    ) -> Result<Arc<SourceColumns>, StoreError> {
        match self.known.load_full().filter(|known| known.has_tables_of(statement)) {
            Some(known) => Ok(known),
            None => self.look(connection).await,
        }
    }

    /// The rows that a statement selects from tables of other services; those that do not exist are empty.
    pub(super) async fn rows<T>(
        &self,
        connection: &mut MySqlConnection,
        statement: impl Into<Cow<'static, str>>,
        bind: impl Fn(SourceQuery<T>) -> SourceQuery<T>,
    ) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, MySqlRow> + Send + Unpin + 'static,
    {
        let statement = statement.into();
        let columns = self.known(connection, &statement).await?;
        let rows = bind(query_as(columns.statement(statement.clone()))).fetch_all(&mut *connection).await;
        match rows {
            Err(error) if is_outdated(&error) => {
                let columns = self.look(connection).await?;
                Ok(bind(query_as(columns.statement(statement))).fetch_all(connection).await?)
            }
            rows => Ok(rows?),
        }
    }

    /// [`SourceTables::rows`] for a statement that returns none.
    pub(super) async fn execute(
        &self,
        connection: &mut MySqlConnection,
        statement: &'static str,
        bind: impl Fn(StatementQuery) -> StatementQuery,
    ) -> Result<MySqlQueryResult, StoreError> {
        let columns = self.known(connection, statement).await?;
        match bind(query(columns.statement(statement))).execute(&mut *connection).await {
            Err(error) if is_outdated(&error) => {
                let columns = self.look(connection).await?;
                Ok(bind(query(columns.statement(statement))).execute(connection).await?)
            }
            done => Ok(done?),
        }
    }
}

fn log_changes(before: Option<&SourceColumns>, now: &SourceColumns) {
    for table in source_table_names() {
        let existed = before.map(|before| before.exists(table));
        match (existed, now.exists(table)) {
            (None | Some(true), false) => {
                tracing::warn!(
                    table,
                    "a table of another service does not exist: it is read as an empty one"
                );
            }
            (Some(false), true) => tracing::info!(table, "a table of another service exists now"),
            _ => {}
        }
        let absent = now.absent(table).unwrap_or_default();
        if !absent.is_empty() && before.and_then(|before| before.absent(table)).as_ref() != Some(&absent) {
            tracing::info!(
                table,
                columns = absent.join(", "),
                "columns do not exist: they are read as empty"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StoreErrorKind;

    fn columns(of: &[(&str, &[&str])]) -> Vec<Column> {
        let column = |table: &str, column: &str| Column {
            table_name: table.to_owned(),
            column_name: column.to_owned(),
            character_set: None,
            collation: None,
            data_type: "int".to_owned(),
        };
        of.iter().flat_map(|(table, names)| names.iter().map(move |name| column(table, name))).collect()
    }

    #[test]
    fn absent_columns_become_null_and_longer_words_stay() {
        let columns = columns(&[("users", &["user_id"]), ("job_recommendations", &["user_id", "job_name"])]);
        let columns = SourceColumns::new(columns).unwrap();
        let rendered = |statement: &'static str| columns.statement(statement).as_str().to_owned();
        assert_eq!(
            rendered("SELECT u.user_id, u.is_active, u.is_active_since FROM users AS u WHERE u.is_active"),
            "SELECT u.user_id, NULL, u.is_active_since FROM users AS u WHERE NULL"
        );
        assert_eq!(
            rendered("SELECT j.category FROM career_analyses AS j"),
            "SELECT j.category FROM (SELECT NULL AS session_id, NULL AS recommended_careers, NULL AS id, \
             NULL AS interest_areas, NULL AS analyzed_at FROM DUAL WHERE FALSE) AS j"
        );
        assert_eq!(columns.absent("users"), Some(vec!["is_active"]));
        assert_eq!(columns.absent("job_listings"), None, "there is no such table");
    }

    #[test]
    fn columns_that_are_text_are_selected_without_a_cast_and_casts_inside_expressions_stay() {
        let mut columns = columns(&[("job_listings", &["id", "title", "company"])]);
        for (column, data_type, character_set) in [(1, "varchar", Some("utf8mb4")), (2, "blob", None)] {
            columns[column].data_type = data_type.to_owned();
            columns[column].character_set = character_set.map(str::to_owned);
        }
        let columns = SourceColumns::new(columns).unwrap();
        let statement = "SELECT CAST(l.id AS CHAR) AS id, CAST(l.title AS CHAR) AS title, \
                         CAST(l.company AS CHAR) AS company, CRC32(CAST(l.title AS CHAR)) FROM job_listings AS l";
        for _ in 0..2 {
            assert_eq!(
                columns.statement(statement).as_str(),
                "SELECT CAST(l.id AS CHAR) AS id, l.title AS title, CAST(l.company AS CHAR) AS company, \
                 CRC32(CAST(l.title AS CHAR)) FROM job_listings AS l"
            );
        }
    }

    #[test]
    fn needed_columns_that_are_missing_are_named_at_once() {
        let broken =
            [("users", &["id"][..]), ("job_listings", &["id"]), ("career_sessions", &["id", "user_id"])];
        let error = SourceColumns::new(columns(&broken)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        let text = error.to_string();
        assert!(
            text.ends_with("columns are missing: users lacks user_id; job_listings lacks title"),
            "{text}"
        );
    }
}
