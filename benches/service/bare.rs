//! The work of a run as bare statements over sqlx and redis-rs, one connection for each run: no ranking, no HTTP. The
//! *floor* has a statement for each step of the protocol, the *limit* as few as can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;
use redis::aio::MultiplexedConnection;
use sqlx::mysql::{MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::{Connection, Executor, query};

use super::database::Database;
use super::exchange::Exchange;
use super::load::Caller;
use super::users::{Change, Users};

/// In the URL of a database.
pub const WITHOUT_TLS: &str = "ssl-mode=DISABLED";

/// What both read and write.
#[derive(Clone)]
pub struct Bare {
    pub pool: MySqlPool,
    redis: Option<MultiplexedConnection>,
    release: Script,
    tls: bool,
    users: Arc<Users>,
    /// By user: whether the changed list is stored.
    turned: Arc<[AtomicBool]>,
}

/// How many statements are made of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The state and each table of analyses have a statement.
    Floor,
    /// One statement reads all.
    Limit,
}

/// A caller that does runs with bare statements.
pub struct BareCaller {
    pub bare: Bare,
    pub style: Style,
    pub change: Change,
}

impl Bare {
    /// Copies the tables of the lists, with all rows and indexes. `redis: None`: runs without a lock.
    pub async fn create(
        database: &Database,
        url: &str,
        redis: Option<MultiplexedConnection>,
        users: Arc<Users>,
        connections: u32,
    ) -> Self {
        for (copy, table) in
            [("bare_rows", "user_job_recommendations"), ("bare_state", "recommendation_state")]
        {
            database.execute(&format!("DROP TABLE IF EXISTS {copy}")).await;
            database.execute(&format!("CREATE TABLE {copy} LIKE {table}")).await;
            database.execute(&format!("INSERT INTO {copy} SELECT * FROM {table}")).await;
        }
        let count: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(user_id), 0) FROM bare_state")
            .fetch_one(&database.pool)
            .await
            .expect("readable");
        let release = Script::new(include_str!("../../src/coordination/lock/release.lua"));
        let tls = !url.contains(WITHOUT_TLS);
        let turned = (0..=count).map(|_| AtomicBool::new(false)).collect();
        Self { pool: pool(url, connections), redis, release, tls, users, turned }
    }

    /// The same, whose runs take no locks.
    pub fn without_locks(&self) -> Self {
        Self { redis: None, ..self.clone() }
    }

    async fn lock(&mut self, user: i64) {
        let Some(redis) = &mut self.redis else { return };
        let mut set = redis::cmd("SET");
        set.arg(key(user)).arg("bench").arg("NX").arg("EX").arg(300);
        let held: Option<String> = set.query_async(redis).await.expect("Redis answers");
        assert!(held.is_some(), "one call for a user at a time");
    }

    async fn unlock(&mut self, user: i64) {
        let Some(redis) = &mut self.redis else { return };
        let mut script = self.release.prepare_invoke();
        script.key(key(user)).arg("bench").arg("bare_lock:released").arg(user);
        let deleted: i64 = script.invoke_async(redis).await.expect("Redis answers");
        assert_eq!(deleted, 1);
    }

    /// The rows to exchange, and from now on those to exchange back.
    fn exchange(&self, user: i64, change: Change) -> &Exchange {
        let lists = &self.users.person(user).lists;
        let turned = usize::from(self.turned[user as usize].fetch_xor(true, Ordering::Relaxed));
        if change == Change::All { &lists.all[turned] } else { &lists.tenth[turned] }
    }
}

fn key(user: i64) -> String {
    format!("bare_lock:user:{user}")
}

/// A pool whose connections are as those of the service: READ COMMITTED, and not tested before each use.
pub fn pool(url: &str, connections: u32) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.map(drop)
            })
        })
        .connect_lazy(url)
        .expect("a URL")
}

const REQUEST_RUN: &str = r"
INSERT INTO bare_state (user_id, requested_seq, requested_at, due_at, lane)
VALUES (?, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 0)
ON DUPLICATE KEY UPDATE requested_seq = LAST_INSERT_ID(requested_seq + 1),
    requested_at = COALESCE(requested_at, UTC_TIMESTAMP(6)), lane = 0, due_at = UTC_TIMESTAMP(6), parked_at = NULL
";

/// A caller that records triggers with one statement each.
pub struct TriggerCaller(pub MySqlPool);

#[async_trait]
impl Caller for TriggerCaller {
    async fn call(&mut self, user: i64) -> bool {
        query(REQUEST_RUN).bind(user).execute(&self.0).await.is_ok()
    }
}

#[async_trait]
impl Caller for BareCaller {
    async fn call(&mut self, user: i64) -> bool {
        let (style, change) = (self.style, self.change);
        self.bare.lock(user).await;
        let mut connection = self.bare.pool.acquire().await.expect("connected");
        match style {
            Style::Floor => read_in_steps(&mut connection, user).await,
            Style::Limit => read_at_once(&mut connection, user).await,
        }
        match change {
            Change::Nothing => confirm(&mut connection, user).await,
            change => {
                let Exchange { gone, in_records, at_once, .. } = self.bare.exchange(user, change);
                let gone = (change == Change::Tenth).then_some(gone.as_str());
                let new = if self.bare.tls { in_records } else { at_once };
                replace(&mut connection, user, gone, new).await;
            }
        }
        drop(connection);
        self.bare.unlock(user).await;
        true
    }
}

const READ_AT_ONCE: &str = r"
SELECT s.version, s.confirmations, s.result_digest, s.requested_seq, UTC_TIMESTAMP(6),
       (SELECT COUNT(*) FROM bare_rows AS r WHERE r.user_id = s.user_id),
       (SELECT JSON_ARRAYAGG(JSON_OBJECT('name', j.job_name, 'score', j.match_score))
        FROM job_recommendations AS j WHERE j.user_id = s.user_id AND j.match_score >= 50),
       (SELECT p.interests FROM profile_analysis AS p WHERE p.user_id = s.user_id),
       (SELECT p.strengths FROM profile_analysis AS p WHERE p.user_id = s.user_id)
FROM bare_state AS s
WHERE s.user_id = ?
";

async fn read_at_once(connection: &mut MySqlConnection, user: i64) {
    query(READ_AT_ONCE).bind(user).fetch_one(connection).await.expect("read");
}

const STATE: &str = r"
SELECT held.row_count, held.newest, UTC_TIMESTAMP(6), s.*
FROM (SELECT COUNT(*) AS row_count, MAX(updated_at) AS newest FROM bare_rows WHERE user_id = ?) AS held
LEFT JOIN bare_state AS s ON s.user_id = ?
";
const CAREERS: &str = r"
SELECT job_name, match_score, category FROM job_recommendations
WHERE user_id = ? ORDER BY match_score DESC, job_name LIMIT 10
";
const CAREER_ANALYSIS: &str = r"
SELECT a.recommended_careers, a.interest_areas
FROM career_analyses AS a JOIN career_sessions AS s ON s.id = a.session_id
WHERE s.user_id = ? ORDER BY a.analyzed_at DESC, a.id DESC LIMIT 1
";
const PROFILE_ANALYSIS: &str = r"
SELECT interests, strengths, goals, summary FROM profile_analysis WHERE user_id = ? LIMIT 1
";

async fn read_in_steps(connection: &mut MySqlConnection, user: i64) {
    query(STATE).bind(user).bind(user).fetch_one(&mut *connection).await.expect("read");
    query(CAREERS).bind(user).fetch_all(&mut *connection).await.expect("read");
    query(CAREER_ANALYSIS).bind(user.to_string()).fetch_all(&mut *connection).await.expect("read");
    query(PROFILE_ANALYSIS).bind(user).fetch_all(connection).await.expect("read");
}

const CONFIRM: &str = r"
UPDATE bare_state SET confirmations = confirmations + 1, verified_at = UTC_TIMESTAMP(6)
WHERE user_id = ? AND version >= 0
";

async fn confirm(connection: &mut MySqlConnection, user: i64) {
    let confirmed = query(CONFIRM).bind(user).execute(connection).await.expect("written");
    assert_eq!(confirmed.rows_affected(), 1);
}

const COMPARE_AND_SET: &str = r"
UPDATE bare_state
SET version = version + 1, result_digest = ?, calculated_at = UTC_TIMESTAMP(6), verified_at = UTC_TIMESTAMP(6)
WHERE user_id = ? AND version >= 0 AND confirmations >= 0
";
const DELETE_ALL: &str = "DELETE FROM bare_rows WHERE user_id = ?";
const DELETE: &str = r"
DELETE r FROM bare_rows AS r
JOIN JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS gone ON r.job_listing_id = gone.id
WHERE r.user_id = ?
";
const INSERT: &str = r"
INSERT INTO bare_rows
    (user_id, job_listing_id, match_score, match_reason, recommendation_data, calculated_at, created_at, updated_at)
SELECT ?, n.id, n.hundredths / 100, n.reason, n.data, UTC_TIMESTAMP(), UTC_TIMESTAMP(), UTC_TIMESTAMP()
FROM JSON_TABLE(?, '$[*]' COLUMNS (
    id BIGINT PATH '$.id',
    hundredths INT PATH '$.hundredths',
    reason TEXT CHARACTER SET utf8mb4 PATH '$.reason',
    data LONGTEXT CHARACTER SET utf8mb4 PATH '$.data'
)) AS n
";

/// `gone: None`: the whole list.
async fn replace(connection: &mut MySqlConnection, user: i64, gone: Option<&str>, new: &[String]) {
    let mut transaction = connection.begin().await.expect("begun");
    let digest = "0".repeat(64);
    let set =
        query(COMPARE_AND_SET).bind(digest).bind(user).execute(&mut *transaction).await.expect("written");
    assert_eq!(set.rows_affected(), 1);
    let delete = match gone {
        None => query(DELETE_ALL).bind(user),
        Some(gone) => query(DELETE).bind(gone).bind(user),
    };
    delete.execute(&mut *transaction).await.expect("deleted");
    for rows in new {
        query(INSERT).bind(user).bind(rows).execute(&mut *transaction).await.expect("inserted");
    }
    transaction.commit().await.expect("committed");
}
