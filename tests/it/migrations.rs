//! Migrations on the servers, where DDL commits by itself: cut off anywhere, they go on; and the rights they need.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use sqlx::mysql::MySqlConnectOptions;
use tempfile::TempDir;

use crate::support::{Kind, TestApp, TestDatabase, USER, command, eventually, on_servers};

on_servers!(
    a_migration_that_was_cut_after_any_statement_goes_on,
    a_migration_whose_process_is_killed_goes_on,
    a_database_of_an_earlier_build_starts,
    a_table_of_another_program_is_not_taken_for_ours,
    an_account_that_may_only_read_and_write_rows_runs_everything,
    rights_that_a_migration_needs_are_named,
);

/// A file of migrations/mysql.
struct Migration {
    version: i64,
    statements: Vec<String>,
}

fn migrations() -> Vec<Migration> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/mysql");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            let text = lines.collect::<Vec<_>>().join("\n");
            let statements = text.split(";\n").map(|text| text.trim().trim_end_matches(';').to_owned());
            Migration {
                version: name.split_once('_').unwrap().0.parse().unwrap(),
                statements: statements.filter(|statement| !statement.is_empty()).collect(),
            }
        })
        .collect()
}

/// The bookkeeping as sqlx's migrator, which earlier builds used, makes it.
async fn record(database: &TestDatabase, migration: &Migration, success: bool) {
    database
        .execute(
            "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
             checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
        )
        .await;
    let version = migration.version;
    database
        .execute(&format!(
            "INSERT INTO _sqlx_migrations VALUES ({version}, 'a', NOW(), {success}, 'old', -1)"
        ))
        .await;
}

/// A database with the first `whole` migrations, and some statements of the next one.
async fn cut(kind: Kind, migrations: &[Migration], whole: usize, statements: usize) -> TestDatabase {
    let database = TestDatabase::create_bare(kind).await;
    for migration in &migrations[..whole] {
        for statement in &migration.statements {
            database.execute(statement).await;
        }
        record(&database, migration, true).await;
    }
    if let Some(migration) = migrations.get(whole) {
        record(&database, migration, false).await;
        for statement in &migration.statements[..statements] {
            database.execute(statement).await;
        }
    }
    database
}

/// Tables, columns, keys, and the rows that migrations insert.
async fn schema(database: &TestDatabase) -> Vec<String> {
    let queries = [
        "SELECT CONCAT_WS(' ', table_name, ordinal_position, column_name, column_type, is_nullable, \
                COALESCE(column_default, '-'), extra, COALESCE(collation_name, '-')) \
         FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> '_sqlx_migrations' \
         ORDER BY table_name, ordinal_position",
        "SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique) \
         FROM information_schema.statistics WHERE table_schema = DATABASE() \
         ORDER BY table_name, index_name, seq_in_index",
        "SELECT CONCAT_WS(' ', version, success) FROM _sqlx_migrations ORDER BY version",
        "SELECT name FROM scheduled_jobs ORDER BY name",
    ];
    let mut schema = Vec::new();
    for query in queries {
        schema.extend(database.texts(query).await);
    }
    schema
}

async fn whole_schema(kind: Kind) -> Vec<String> {
    let database = TestDatabase::create_bare(kind).await;
    database.store().migrate().await.unwrap();
    schema(&database).await
}

async fn a_migration_that_was_cut_after_any_statement_goes_on(database: TestDatabase) {
    let (kind, migrations) = (database.kind, migrations());
    let expected = whole_schema(kind).await;
    for (whole, migration) in migrations.iter().enumerate() {
        for statements in 0..=migration.statements.len() {
            let cut = cut(kind, &migrations, whole, statements).await;
            cut.store().migrate().await.unwrap();
            assert_eq!(schema(&cut).await, expected, "{} after {statements}", migration.version);
            cut.store().migrate().await.unwrap();
        }
    }
}

/// The second migration alters recommendation_state and waits for a reader of the table when it is killed.
async fn a_migration_whose_process_is_killed_goes_on(database: TestDatabase) {
    let kind = database.kind;
    let migrations = migrations();
    let cut = cut(kind, &migrations[..1], 1, 0).await;
    let reader = cut.hold_states().await;
    let folder = tempfile::tempdir().unwrap();
    let mut migrate = command(folder.path(), &[("DATABASE_URL", &cut.url)]);
    let mut migrate = migrate.arg("migrate").stderr(Stdio::null()).spawn().unwrap();
    let waiting = match kind {
        Kind::Mysql => {
            "SELECT COUNT(*) FROM performance_schema.threads \
             WHERE processlist_db = DATABASE() AND processlist_state LIKE 'Waiting for table metadata lock%'"
        }
        _ => {
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE db = DATABASE() AND state LIKE 'Waiting for table metadata lock%'"
        }
    };
    eventually("the migration waits", || async { cut.number(waiting).await == 1 }).await;
    migrate.kill().unwrap();
    migrate.wait().unwrap();
    reader.rollback().await.unwrap();
    cut.store().migrate().await.unwrap();
    assert_eq!(schema(&cut).await, whole_schema(kind).await);
}

async fn a_database_of_an_earlier_build_starts(database: TestDatabase) {
    let migrations = migrations();
    let earlier = cut(database.kind, &migrations, migrations.len(), 0).await;
    earlier.execute("INSERT INTO _sqlx_migrations VALUES (9999, 'newer', NOW(), FALSE, 'x', -1)").await;
    let app = TestApp::start(&earlier, &[]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "no_profile_analysis");
}

async fn a_table_of_another_program_is_not_taken_for_ours(database: TestDatabase) {
    let bare = TestDatabase::create_bare(database.kind).await;
    bare.execute("CREATE TABLE scheduled_jobs (id BIGINT PRIMARY KEY)").await;
    let error = bare.store().migrate().await.unwrap_err().to_string();
    assert!(error.contains("CREATE TABLE scheduled_jobs") && error.contains("already exists"), "{error}");
}

/// The address of `database` for a new account with these rights on it.
async fn account(database: &TestDatabase, rights: &str) -> String {
    let options: MySqlConnectOptions = database.url.parse().unwrap();
    let name = options.get_database().unwrap();
    database.execute(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'")).await;
    database.execute(&format!("GRANT {rights} ON {name}.* TO '{name}'@'%'")).await;
    let (host, port) = (options.get_host(), options.get_port());
    format!("mysql://{name}:secret@{host}:{port}/{name}")
}

fn job_agent(folder: &TempDir, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let run = command(folder.path(), &[("DATABASE_URL", url)]).args(arguments).output().unwrap();
    let Output { status, stderr, .. } = run;
    (status.code(), String::from_utf8(stderr).unwrap())
}

async fn an_account_that_may_only_read_and_write_rows_runs_everything(mut database: TestDatabase) {
    database.add_user(USER, true, "간호사", 0).await;
    database.url = account(&database, "SELECT, INSERT, UPDATE, DELETE").await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    assert!(app.fast(USER, "").await.body["totalCount"].as_i64().unwrap() > 0);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("listings.jsonl"), r#"{"id":"1","title":"도선사"}"#).unwrap();
    let user = USER.to_string();
    for arguments in [
        &["migrate"][..],
        &["import", "listings.jsonl", "--site-name", "port"],
        &["recalculate", &user],
        &["batch"],
        &["status"],
        &["status", &user],
        &["retry", &user],
        &["roll-back"],
    ] {
        let (code, log) = job_agent(&folder, &database.url, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {log}");
    }
    let (code, log) = job_agent(&folder, &database.url, &["migrate", "--source-tables"]);
    assert!(code == Some(1) && log.contains("CREATE command denied"), "{log}");
}

async fn rights_that_a_migration_needs_are_named(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let migrations = migrations();
    let bare = TestDatabase::create_bare(database.kind).await;
    let url = account(&bare, "SELECT, INSERT, UPDATE, DELETE").await;
    let (code, log) = job_agent(&folder, &url, &["serve"]);
    let remedy = "Run `job-agent migrate` once with an account that has the rights CREATE, ALTER, SELECT, INSERT \
                  and UPDATE";
    assert!(code == Some(1) && log.contains("migration 1 (tables)") && log.contains(remedy), "{log}");

    let pending = cut(database.kind, &migrations[..1], 1, 0).await;
    let url = account(&pending, "SELECT, INSERT, UPDATE, DELETE, CREATE").await;
    let (code, log) = job_agent(&folder, &url, &["serve"]);
    let named = log.contains("migration 2 (queue), ALTER TABLE recommendation_state") && log.contains(remedy);
    assert!(code == Some(1) && named && log.contains("ALTER command denied"), "{log}");

    let bare = TestDatabase::create_bare(database.kind).await;
    let url = account(&bare, "CREATE, ALTER, SELECT, INSERT, UPDATE").await;
    let (code, log) = job_agent(&folder, &url, &["migrate"]);
    assert_eq!(code, Some(0), "these rights are enough: {log}");
}
