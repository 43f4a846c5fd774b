use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use job_agent::listings::sample;
use job_agent::storage::{MysqlAddress, MysqlStore, SqliteStore, Store};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Executor, MySql, Row, Sqlite, Transaction};
use tempfile::TempDir;

use super::evidence::watch_database;
use super::server_variable;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mysql,
    Mariadb,
    Sqlite,
}

/// A fresh database with the schema and the sample listings.
pub struct TestDatabase {
    pub kind: Kind,
    pub url: String,
    pool: Pool,
    /// Holds the SQLite file.
    folder: TempDir,
}

enum Pool {
    Mysql(MySqlPool),
    Sqlite(SqlitePool),
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// While there is one, runs wait with their writes.
pub enum HeldWrites {
    Mysql(Transaction<'static, MySql>),
    Sqlite(Transaction<'static, Sqlite>),
}

impl HeldWrites {
    pub async fn release(self) {
        match self {
            Self::Mysql(holder) => holder.rollback().await.unwrap(),
            Self::Sqlite(holder) => holder.rollback().await.unwrap(),
        }
    }
}

impl TestDatabase {
    /// With the schema and the sample listings.
    pub async fn create(kind: Kind) -> Self {
        let database = Self::create_empty(kind).await;
        database.store().import_listings(&sample::listings().unwrap()).await.unwrap();
        database
    }

    /// With the schema only.
    pub async fn create_empty(kind: Kind) -> Self {
        let database = Self::create_bare(kind).await;
        database.store().migrate().await.unwrap();
        database.store().create_source_tables().await.unwrap();
        database
    }

    /// Without any table.
    pub async fn create_bare(kind: Kind) -> Self {
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let server = match kind {
            Kind::Mysql => server_variable("TEST_MYSQL_URL"),
            Kind::Mariadb => server_variable("TEST_MARIADB_URL"),
            Kind::Sqlite => String::new(),
        };
        Self::create_bare_on(kind, &server, &name).await
    }

    /// The database `name` on another server, with the schema and the sample listings.
    pub async fn create_on(kind: Kind, server: &str, name: &str) -> Self {
        let database = Self::create_bare_on(kind, server, name).await;
        database.store().migrate().await.unwrap();
        database.store().create_source_tables().await.unwrap();
        database.store().import_listings(&sample::listings().unwrap()).await.unwrap();
        database
    }

    async fn create_bare_on(kind: Kind, server: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if kind == Kind::Sqlite {
            let path = folder.path().join("test.db");
            let store = SqliteStore::new(&path);
            let pool = Pool::Sqlite(store.pool().clone());
            let url = format!("sqlite://{}", path.display());
            watch_database(kind, &url);
            return Self { kind, url, pool, folder };
        }
        let options: MySqlConnectOptions = server.parse().unwrap();
        let admin = MySqlPoolOptions::new().max_connections(1).connect_with(options.clone()).await.unwrap();
        let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
        admin.execute(AssertSqlSafe(create)).await.unwrap();
        admin.close().await;
        Self::existing_on(kind, server, name)
    }

    /// A database that is on this server already, such as a replica's.
    pub fn existing_on(kind: Kind, server: &str, name: &str) -> Self {
        let options: MySqlConnectOptions = server.parse().unwrap();
        let options = options.database(name);
        let url = format!("{}/{name}", server.trim_end_matches('/'));
        let pool = Pool::Mysql(MySqlPoolOptions::new().max_connections(8).connect_lazy_with(options));
        watch_database(kind, &url);
        Self { kind, url, pool, folder: tempfile::tempdir().unwrap() }
    }

    /// A store with connections of its own.
    pub fn store(&self) -> Arc<dyn Store> {
        match self.kind {
            Kind::Sqlite => Arc::new(SqliteStore::new(&self.folder.path().join("test.db"))),
            _ => Arc::new(self.mysql_store()),
        }
    }

    /// A store with connections of its own, to look at them.
    pub fn mysql_store(&self) -> MysqlStore {
        MysqlStore::new(&MysqlAddress::from_url(&self.url).unwrap(), 10)
    }

    /// A transaction of another writer.
    pub async fn begin(&self) -> Transaction<'static, MySql> {
        let Pool::Mysql(pool) = &self.pool else { panic!("SQLite has no other service") };
        pool.begin().await.unwrap()
    }

    /// The name of the database on its server.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    /// An account with a password and without any right but those on this database; its address.
    pub async fn add_account(&self) -> String {
        let (name, account) = (self.name(), format!("{}_service", self.name()));
        self.execute(&format!("CREATE USER IF NOT EXISTS '{account}'@'%' IDENTIFIED BY 'secret'")).await;
        self.execute(&format!("GRANT ALL PRIVILEGES ON {name}.* TO '{account}'@'%'")).await;
        let (_, server) = self.url.split_once('@').unwrap();
        format!("mysql://{account}:secret@{server}")
    }

    /// Whether a statement succeeds.
    pub async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.pool {
            Pool::Mysql(pool) => pool.execute(sql).await.map(drop),
            Pool::Sqlite(pool) => pool.execute(sql).await.map(drop),
        }
    }

    /// Executes statements in one transaction.
    pub async fn transaction(&self, statements: &[&str]) {
        macro_rules! execute {
            ($transaction:expr) => {{
                let mut transaction = $transaction.await.unwrap();
                for statement in statements {
                    transaction.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
                }
                transaction.commit().await.unwrap();
            }};
        }
        match &self.pool {
            Pool::Mysql(pool) => execute!(pool.begin()),
            Pool::Sqlite(pool) => execute!(pool.begin_with("BEGIN IMMEDIATE")),
        }
    }

    /// Locks all users' state rows until the transaction ends: runs go on up to their write and wait there.
    pub async fn hold_states(&self) -> Transaction<'static, MySql> {
        let Pool::Mysql(pool) = &self.pool else { panic!("only a server locks rows") };
        let mut holder = pool.begin().await.unwrap();
        sqlx::query("SELECT * FROM recommendation_state FOR UPDATE").fetch_all(&mut *holder).await.unwrap();
        holder
    }

    /// As [`TestDatabase::hold_states`], on any database.
    pub async fn hold_writes(&self) -> HeldWrites {
        match &self.pool {
            Pool::Mysql(_) => HeldWrites::Mysql(self.hold_states().await),
            Pool::Sqlite(pool) => HeldWrites::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await.unwrap()),
        }
    }

    /// Locks the user's state until the transaction ends.
    pub async fn hold_state(&self, user: i64) -> Transaction<'static, MySql> {
        let mut holder = self.begin().await;
        sqlx::query("SELECT 1 FROM recommendation_state WHERE user_id = ? FOR UPDATE")
            .bind(user)
            .fetch_one(&mut *holder)
            .await
            .unwrap();
        holder
    }

    /// Locks one of the user's recommendations until the transaction ends: a run that deletes it waits there,
    /// with the user's state row locked. One row by its whole key, so that no gap is locked in which the rows
    /// of others go.
    pub async fn hold_a_row(&self, user: i64) -> Transaction<'static, MySql> {
        let Pool::Mysql(pool) = &self.pool else { panic!("only a server locks rows") };
        let first =
            format!("SELECT MIN(job_listing_id) FROM user_job_recommendations WHERE user_id = {user}");
        let listing = self.number(&first).await;
        let mut holder = pool.begin().await.unwrap();
        sqlx::query(
            "SELECT 1 FROM user_job_recommendations WHERE user_id = ? AND job_listing_id = ? FOR UPDATE",
        )
        .bind(user)
        .bind(listing)
        .fetch_one(&mut *holder)
        .await
        .unwrap();
        holder
    }

    /// The number of this database's open transactions of which the condition holds.
    pub async fn transactions(&self, condition: &str) -> i64 {
        // InnoDB refreshes its table only if no session has read it for 100 ms: one test at a time.
        static READER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _reader = READER.lock().await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        // MySQL's information_schema.processlist fails if another session's statement has an emoji.
        let sessions = match self.kind {
            Kind::Mysql => {
                "SELECT processlist_id FROM performance_schema.threads WHERE processlist_db = DATABASE()"
            }
            _ => "SELECT id FROM information_schema.processlist WHERE db = DATABASE()",
        };
        self.number(&format!(
            "SELECT COUNT(*) FROM information_schema.innodb_trx \
             WHERE {condition} AND trx_mysql_thread_id IN ({sessions})"
        ))
        .await
    }

    /// Executes one statement.
    pub async fn execute(&self, sql: &str) {
        loop {
            match self.try_execute(sql).await {
                // A deadlock: of several writers at once, the server refuses one.
                Err(sqlx::Error::Database(error))
                    if error.message().contains("try restarting transaction") => {}
                done => return done.unwrap(),
            }
        }
    }

    /// The first column of all rows, as numbers.
    pub async fn numbers(&self, sql: &str) -> Vec<i64> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.pool {
            Pool::Mysql(pool) => pool.fetch_all(sql).await.unwrap().iter().map(|row| row.get(0)).collect(),
            Pool::Sqlite(pool) => pool.fetch_all(sql).await.unwrap().iter().map(|row| row.get(0)).collect(),
        }
    }

    /// The first column of the first row, as a number.
    pub async fn number(&self, sql: &str) -> i64 {
        self.numbers(sql).await[0]
    }

    /// The first column of all rows, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.pool {
            Pool::Mysql(pool) => pool.fetch_all(sql).await.unwrap().iter().map(|row| row.get(0)).collect(),
            Pool::Sqlite(pool) => pool.fetch_all(sql).await.unwrap().iter().map(|row| row.get(0)).collect(),
        }
    }

    /// Makes `careers` the user's recommended careers, in one statement, so that no run sees half of them.
    pub async fn set_career(&self, user: i64, career: &str) {
        let verb = if self.kind == Kind::Sqlite { "INSERT OR REPLACE" } else { "REPLACE" };
        // One row per user: the name is part of the key, so the old one is changed, not replaced.
        if self.number(&format!("SELECT COUNT(*) FROM job_recommendations WHERE user_id = {user}")).await == 1
        {
            self.execute(&format!(
                "UPDATE job_recommendations SET job_name = '{career}' WHERE user_id = {user}"
            ))
            .await;
        } else {
            self.execute(&format!(
                "{verb} INTO job_recommendations (user_id, job_name, match_score, category) \
                 VALUES ({user}, '{career}', 90, '테스트')"
            ))
            .await;
        }
    }

    /// A session with one analysis; a later `day` of October 2026 is newer.
    pub async fn add_analysis(&self, user: i64, careers: &str, interests: &str, day: u8) {
        let id = user * 100 + i64::from(day);
        self.execute(&format!(
            "INSERT INTO career_sessions (id, session_id, user_id) VALUES ({id}, 's{id}', '{user}')"
        ))
        .await;
        let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let quote = |text: &str| {
            if self.kind == Kind::Sqlite { format!("'{}'", text.replace('\'', "''")) } else { quote(text) }
        };
        let (careers, interests) = (quote(careers), quote(interests));
        self.execute(&format!(
            "INSERT INTO career_analyses (session_id, recommended_careers, interest_areas, analyzed_at) \
             VALUES ({id}, {careers}, {interests}, '2026-10-{day:02} 00:00:00')"
        ))
        .await;
    }

    /// A user with one analysis of so many days ago that recommends `career`.
    pub async fn add_user(&self, user: i64, is_active: bool, career: &str, days_ago: u32) {
        self.execute(&format!("INSERT INTO users (user_id, is_active) VALUES ({user}, {is_active})")).await;
        self.execute(&format!(
            "INSERT INTO career_sessions (id, session_id, user_id) VALUES ({user}, 's{user}', '{user}')"
        ))
        .await;
        let analyzed_at = match self.kind {
            Kind::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{days_ago} days')"),
            _ => format!("UTC_TIMESTAMP(6) - INTERVAL {days_ago} DAY"),
        };
        self.execute(&format!(
            "INSERT INTO career_analyses (session_id, recommended_careers, analyzed_at) \
             VALUES ({user}, '[{{\"careerName\":\"{career}\",\"matchScore\":90}}]', {analyzed_at})"
        ))
        .await;
    }

    /// Every write of the user's rows fails from now on.
    pub async fn poison(&self, user: i64) {
        self.execute(&match self.kind {
            Kind::Sqlite => format!(
                "CREATE TRIGGER poison BEFORE INSERT ON user_job_recommendations WHEN NEW.user_id = {user} \
                 BEGIN SELECT RAISE(ABORT, 'poison'); END"
            ),
            _ => format!(
                "CREATE TRIGGER poison BEFORE INSERT ON user_job_recommendations FOR EACH ROW \
                 IF NEW.user_id = {user} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF"
            ),
        })
        .await;
    }

    pub async fn row_count(&self, user: i64) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM user_job_recommendations WHERE user_id = {user}")).await
    }

    /// The careers that the user's stored rows were found for: one, unless runs were mixed.
    pub async fn stored_careers(&self, user: i64) -> Vec<String> {
        let data = self
            .texts(&format!(
                "SELECT CAST(recommendation_data AS CHAR) FROM user_job_recommendations WHERE user_id = {user}"
            ))
            .await;
        let mut careers: Vec<String> = data
            .iter()
            .map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap())
            .map(|data| data["matchedCareer"].as_str().unwrap().to_owned())
            .collect();
        careers.sort();
        careers.dedup();
        careers
    }

    /// A column of the user's state row.
    pub async fn state(&self, user: i64, column: &str) -> i64 {
        self.number(&format!("SELECT {column} FROM recommendation_state WHERE user_id = {user}")).await
    }
}
