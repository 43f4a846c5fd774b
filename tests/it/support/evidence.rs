//! What a test shows when it gives up waiting: the users' state in its databases and its last log events.
//!
//! Kept by runtime. Each test has a runtime of its own, so that tests that run at the same time do not mix.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, Once};
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ColumnIndex, Connection, Database, Decode, Executor, Row};
use tokio::runtime::{Handle, Id};
use tracing_subscriber::EnvFilter;

use super::Kind;

/// Log events that are kept per test, and shown per process.
const EVENTS: usize = 20;

#[derive(Default)]
struct Evidence {
    databases: Vec<(Kind, String)>,
    logs: Vec<PathBuf>,
    events: VecDeque<String>,
}

static EVIDENCE: LazyLock<Mutex<HashMap<Id, Evidence>>> = LazyLock::new(Mutex::default);

fn of_this_test<T>(change: impl FnOnce(&mut Evidence) -> T) -> Option<T> {
    let runtime = Handle::try_current().ok()?.id();
    Some(change(EVIDENCE.lock().unwrap().entry(runtime).or_default()))
}

/// Shows the users' state in this database.
pub fn watch_database(kind: Kind, url: &str) {
    of_this_test(|evidence| evidence.databases.push((kind, url.to_owned())));
}

/// Shows the last events of a process that logs into this file.
pub fn watch_log(path: &Path) {
    of_this_test(|evidence| evidence.logs.push(path.to_owned()));
}

/// Keeps the log events of services that run inside the test.
pub fn watch_events() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("info"))
            .with_ansi(false)
            .with_writer(|| Event)
            .init();
    });
}

/// Takes one event, written at once, for the test on whose runtime it happens.
struct Event;

impl io::Write for Event {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        of_this_test(|evidence| {
            evidence.events.push_back(String::from_utf8_lossy(line).into_owned());
            if evidence.events.len() > EVENTS {
                evidence.events.pop_front();
            }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that is known about this test, to be read by a person.
pub async fn report() -> String {
    let Some((databases, logs, events)) = of_this_test(|evidence| {
        (evidence.databases.clone(), evidence.logs.clone(), Vec::from(evidence.events.clone()))
    }) else {
        return String::new();
    };
    let mut report = String::new();
    for (kind, url) in databases {
        let states = match tokio::time::timeout(Duration::from_secs(5), states(kind, &url)).await {
            Ok(states) => states.unwrap_or_else(|error| format!("cannot be read: {error}\n")),
            Err(_) => "no answer within 5 s\n".to_owned(),
        };
        let _ = write!(report, "--- the first users' state in {kind:?}:\n{states}");
    }
    for log in logs {
        let text = std::fs::read_to_string(&log).unwrap_or_else(|error| error.to_string());
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(EVENTS)..].join("\n");
        let _ = writeln!(report, "--- the process's last log events:\n{last}");
    }
    if !events.is_empty() {
        let _ = write!(report, "--- the service's last log events:\n{}", events.concat());
    }
    report
}

const STATES: &str = "SELECT recommendation_state.*, (SELECT COUNT(*) FROM user_job_recommendations AS list \
                      WHERE list.user_id = recommendation_state.user_id) AS row_count \
                      FROM recommendation_state ORDER BY user_id LIMIT 5";

async fn states(kind: Kind, url: &str) -> sqlx::Result<String> {
    if kind == Kind::Sqlite {
        let options = url.parse::<SqliteConnectOptions>()?.read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        Ok(table(&connection.fetch_all(sqlx::raw_sql(STATES)).await?))
    } else {
        let mut connection = MySqlConnection::connect(url).await?;
        Ok(table(&connection.fetch_all(sqlx::raw_sql(STATES)).await?))
    }
}

/// One line per row. Both databases give values as text when they are asked to.
fn table<R: Row>(rows: &[R]) -> String
where
    usize: ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database> + sqlx::Type<R::Database>,
    R::Database: Database,
{
    use sqlx::Column;
    if rows.is_empty() {
        return "no row\n".to_owned();
    }
    let mut text = String::new();
    for row in rows {
        for column in row.columns() {
            match row.try_get_unchecked::<Option<String>, _>(column.ordinal()) {
                Ok(value) => {
                    let _ = write!(text, "{}={} ", column.name(), value.as_deref().unwrap_or("NULL"));
                }
                Err(error) => {
                    let _ = write!(text, "{}: {error} ", column.name());
                }
            }
        }
        text.push('\n');
    }
    text
}
