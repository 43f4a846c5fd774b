//! The harness's own access to the database, past the proxies. It waits while the server restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use job_agent::domain::{ListingId, Recommendation, Score};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, Executor, Row, query};
use tokio::time::sleep;

use super::history::{Profile, Seen, Snapshot, State, UserHistory};
use super::oracle::{Generation, moving_listing, rows_digest};

#[derive(Clone)]
pub struct Database {
    pool: MySqlPool,
}

/// Repeats an idempotent attempt until it succeeds.
async fn until_ok<T, F: Future<Output = sqlx::Result<T>>>(mut attempt: impl FnMut() -> F) -> T {
    for _ in 0..1_200 {
        match attempt().await {
            Ok(value) => return value,
            Err(error @ (sqlx::Error::ColumnNotFound(_) | sqlx::Error::ColumnDecode { .. })) => {
                panic!("{error}")
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    attempt().await.unwrap_or_else(|error| panic!("the database has been unreachable for a minute: {error}"))
}

async fn takes_writes(connection: &mut MySqlConnection) -> sqlx::Result<bool> {
    let is_read_only = connection.fetch_one("SELECT CAST(@@global.read_only AS CHAR) IN ('1', 'ON')").await?;
    Ok(!is_read_only.get::<bool, _>(0))
}

impl Database {
    /// `session` is executed on every new connection.
    pub fn new(options: MySqlConnectOptions, session: &'static str) -> Self {
        let pool = MySqlPoolOptions::new()
            .max_connections(24)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(session).await?;
                    // A balancer may lead to a replica for a moment, or to a member that is still joining.
                    match takes_writes(connection).await? {
                        true => Ok(()),
                        false => {
                            Err(sqlx::Error::Protocol("connected to a server that is read only".to_owned()))
                        }
                    }
                })
            })
            .before_acquire(|connection, _| Box::pin(takes_writes(connection)))
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Adds the audit to a database that has the service's schema.
    pub async fn add_audit(&self) {
        let script = include_str!("schema.sql");
        for statement in
            script.split("\n\n").filter(|text| text.contains("CREATE") || text.contains("INSERT"))
        {
            self.pool.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        }
    }

    /// Adds a user with a first profile.
    pub async fn add_user(&self, user: i64, career: &str, category: &str) {
        until_ok(|| {
            query(
                "INSERT INTO job_recommendations (user_id, job_name, match_score, category) \
                 VALUES (?, ?, 90, ?) ON DUPLICATE KEY UPDATE category = category",
            )
            .bind(user)
            .bind(career)
            .bind(category)
            .execute(&self.pool)
        })
        .await;
    }

    /// Whether the change is known to be committed.
    pub async fn change_profile(&self, user: i64, career: &str, category: &str) -> bool {
        query("UPDATE job_recommendations SET job_name = ?, category = ? WHERE user_id = ?")
            .bind(career)
            .bind(category)
            .bind(user)
            .execute(&self.pool)
            .await
            .is_ok()
    }

    /// Repeats the change until it is known to be committed.
    pub async fn change_listings(&self, number: u32, new: &Generation) {
        until_ok(|| async {
            let mut transaction = self.pool.begin().await?;
            query("UPDATE chaos_generation SET generation = ?")
                .bind(number)
                .execute(&mut *transaction)
                .await?;
            // All of them: an earlier change may be lost with its server.
            for (slot, variant) in new.iter().enumerate() {
                let listing = moving_listing(slot, variant.unwrap_or_default());
                let statement = match variant {
                    None => query("DELETE FROM job_listings WHERE id = ?").bind(listing.id.0),
                    Some(_) => query(
                        "INSERT INTO job_listings (id, site_name, job_id, title, company, description) \
                         VALUES (?, 'moving', ?, ?, ?, ?) \
                         ON DUPLICATE KEY UPDATE title = ?, description = ?",
                    )
                    .bind(listing.id.0)
                    .bind(slot as i64)
                    .bind(listing.title.clone())
                    .bind(listing.company)
                    .bind(listing.description.clone())
                    .bind(listing.title)
                    .bind(listing.description),
                };
                statement.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
        .await;
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let row = until_ok(|| self.pool.fetch_one(AssertSqlSafe(sql.to_owned()))).await;
        row.get(0)
    }

    /// How many of these users have a lease, or pending triggers without being parked; and open batches, which may
    /// trigger more.
    pub async fn pending(&self, users: &std::ops::Range<i64>) -> i64 {
        let (first, end) = (users.start, users.end);
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM recommendation_batches WHERE finished_at IS NULL) + COUNT(*) \
             FROM recommendation_state WHERE user_id >= {first} AND user_id < {end} \
             AND (lease_token IS NOT NULL \
                  OR (parked_at IS NULL AND (due_at IS NOT NULL OR completed_seq < requested_seq)))"
        );
        self.number(&sql).await
    }

    pub async fn open_transactions(&self) -> Vec<String> {
        let sql = "SELECT CONCAT_WS(', ', t.trx_started, t.trx_state, t.trx_isolation_level, p.host, p.command, \
                                    p.time, t.trx_query, p.info) \
                   FROM information_schema.innodb_trx AS t \
                   LEFT JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id";
        let rows = until_ok(|| self.pool.fetch_all(sql)).await;
        rows.iter()
            .map(|row| String::from_utf8_lossy(row.get_unchecked::<&[u8], _>(0)).into_owned())
            .collect()
    }

    /// The part of the user's state that a client logs before and after a trigger. Of states and profiles, their number:
    /// [`History::number`](super::history::History::number) finds their ids in the audit.
    pub async fn seen(&self, user: i64) -> Seen {
        let row = until_ok(|| {
            query(
                "SELECT (SELECT COUNT(*) FROM chaos_audit WHERE user_id = ? AND version IS NOT NULL), \
                        (SELECT COUNT(*) FROM chaos_audit WHERE user_id = ? AND version IS NULL), \
                        COALESCE((SELECT requested_seq FROM recommendation_state WHERE user_id = ?), 0), \
                        COALESCE((SELECT CAST(mark AS SIGNED) FROM chaos_audit \
                                  WHERE user_id = ? AND version IS NOT NULL ORDER BY id DESC LIMIT 1), 0)",
            )
            .bind(user)
            .bind(user)
            .bind(user)
            .bind(user)
            .fetch_one(&self.pool)
        })
        .await;
        Seen { state: row.get(0), profile: row.get(1), requested_seq: row.get(2), mark: row.get(3) }
    }

    /// The user's rows and the number of state changes, read by one statement.
    pub async fn snapshot(&self, user: i64) -> Snapshot {
        let rows = until_ok(|| {
            query(
                "SELECT CAST(s.id AS SIGNED) AS state, r.job_listing_id, \
                        CAST(ROUND(r.match_score * 100) AS SIGNED) AS hundredths, r.match_reason, \
                        CAST(r.recommendation_data AS CHAR) AS data \
                 FROM (SELECT COUNT(*) AS id FROM chaos_audit \
                       WHERE user_id = ? AND version IS NOT NULL) AS s \
                 LEFT JOIN user_job_recommendations AS r ON r.user_id = ?",
            )
            .bind(user)
            .bind(user)
            .fetch_all(&self.pool)
        })
        .await;
        let stored: Vec<Recommendation> = rows.iter().filter_map(recommendation).collect();
        Snapshot { state: rows[0].get("state"), row_count: stored.len(), rows: rows_digest(stored) }
    }

    /// The audit of users in this range.
    pub async fn audit(&self, users: std::ops::Range<i64>) -> BTreeMap<i64, UserHistory> {
        let rows = until_ok(|| {
            let sql = "SELECT a.*, CAST(mark AS SIGNED) AS signed_mark FROM chaos_audit AS a \
                       WHERE user_id >= ? AND user_id < ? ORDER BY user_id, id";
            query(sql).bind(users.start).bind(users.end).fetch_all(&self.pool)
        })
        .await;
        let mut histories: BTreeMap<i64, UserHistory> = BTreeMap::new();
        for row in rows {
            let user = histories.entry(row.get("user_id")).or_default();
            let id = row.get("id");
            match row.get::<Option<String>, _>("profile") {
                Some(key) => user.profiles.push(Profile { id, key }),
                None => user.states.push(State {
                    id,
                    mark: row.get("signed_mark"),
                    version: row.get("version"),
                    confirmations: row.get("confirmations"),
                    digest: row.get("result_digest"),
                    saved_count: row.get("saved_count"),
                    catalogue_version: row.get("catalogue_version"),
                    scoring_revision: row.get("scoring_revision"),
                    requested_seq: row.get("requested_seq"),
                    completed_seq: row.get("completed_seq"),
                    due: row.get("due"),
                    leased: row.get("leased"),
                    parked: row.get("parked"),
                }),
            }
        }
        histories
    }

    /// The generations of the listings that each catalogue version may stand for: the instance read them after the
    /// previous version was registered, and before this one was.
    pub async fn catalogues(&self) -> BTreeMap<i64, (u32, u32)> {
        let sql = "SELECT version, generation FROM chaos_catalogue ORDER BY version";
        let rows = until_ok(|| self.pool.fetch_all(sql)).await;
        let mut first = 0;
        let mut catalogues = BTreeMap::new();
        for row in rows {
            let last = row.get::<i64, _>("generation") as u32;
            catalogues.insert(row.get("version"), (first, last));
            first = last;
        }
        catalogues
    }

    /// Makes these users active, and no others: batches are for them.
    pub async fn activate(&self, users: std::ops::Range<i64>) {
        until_ok(|| async {
            let mut transaction = self.pool.begin().await?;
            query("DELETE FROM users").execute(&mut *transaction).await?;
            query("DELETE FROM profile_analysis").execute(&mut *transaction).await?;
            for user in users.clone() {
                query("INSERT INTO users (user_id) VALUES (?)").bind(user).execute(&mut *transaction).await?;
                query("INSERT INTO profile_analysis (user_id) VALUES (?)")
                    .bind(user)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
        })
        .await;
    }

    /// Makes the user's list so old that the next clean-up removes it. A run that finds it current makes it new.
    pub async fn age(&self, user: i64) {
        let sql =
            "UPDATE recommendation_state SET verified_at = verified_at - INTERVAL 30 DAY WHERE user_id = ?";
        // Whether it was committed does not matter.
        let _ = query(sql).bind(user).execute(&self.pool).await;
    }

    /// Occurrences of scheduled jobs that have begun more than once.
    pub async fn begun_twice(&self) -> Vec<String> {
        let sql = "SELECT CONCAT(name, ' ', occurrence) FROM chaos_jobs GROUP BY name, occurrence HAVING COUNT(*) > 1";
        let rows = until_ok(|| self.pool.fetch_all(sql)).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Locks the user's rows of a table for a while, as an operator's transaction might.
    pub async fn hold_rows(&self, user: i64, table: &str, duration: Duration) {
        let hold = async {
            let mut connection = self.pool.acquire().await?;
            // Locks rows, but not the gaps between them.
            connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            let mut holder = connection.begin().await?;
            let sql = format!("SELECT user_id FROM {table} WHERE user_id = {user} FOR UPDATE");
            holder.fetch_all(AssertSqlSafe(sql)).await?;
            sleep(duration).await;
            holder.rollback().await
        };
        // A restart of the server ends the lock early.
        let _ = hold.await;
    }

    /// Ends the lease of a dead process now, not only seconds later.
    pub async fn end_lease(&self, user: i64) {
        let sql = "UPDATE recommendation_state SET lease_until = UTC_TIMESTAMP(6) \
                   WHERE user_id = ? AND lease_until IS NOT NULL";
        until_ok(|| query(sql).bind(user).execute(&self.pool)).await;
    }
}

fn recommendation(row: &MySqlRow) -> Option<Recommendation> {
    let id: Option<i64> = row.get("job_listing_id");
    Some(Recommendation {
        listing_id: ListingId(id?),
        score: Score(row.get::<i64, _>("hundredths") as u16),
        reason: row.get("match_reason"),
        // The server orders the keys in its own way.
        data: serde_json::from_str::<serde_json::Value>(row.get("data")).unwrap().to_string(),
    })
}
