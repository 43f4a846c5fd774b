//! A stand-in for the service that this one replaces, as a writer of lists: the same lock, polled twice a second, and in
//! one transaction a DELETE of the user's rows and an INSERT per row. Both services run during a switch.

use std::time::{Duration, SystemTime};

use super::{RedisServer, TestDatabase};

/// How long it waits for the lock.
const WAIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(500);

pub struct OldService<'a> {
    pub database: &'a TestDatabase,
    pub redis: Option<&'a RedisServer>,
}

/// The lock, held by the old service.
pub struct OldLock {
    key: String,
    value: String,
}

impl OldService<'_> {
    /// Gives a table its shape: a surrogate key, and times of whole seconds.
    pub async fn create_table(database: &TestDatabase) {
        database.execute("DROP TABLE user_job_recommendations").await;
        database
            .execute(
                "CREATE TABLE user_job_recommendations (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id BIGINT NOT NULL, \
                 job_listing_id BIGINT NOT NULL, match_score DECIMAL(5,2) NOT NULL, match_reason TEXT, \
                 recommendation_data JSON, calculated_at TIMESTAMP NULL, \
                 created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
                 updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
                 UNIQUE KEY uq_user_job (user_id, job_listing_id))",
            )
            .await;
    }

    /// Takes the lock if it is free.
    #[expect(clippy::disallowed_methods, reason = "its lock holds this machine's time")]
    pub async fn try_lock(&self, user: i64) -> Option<OldLock> {
        let key = format!("job_recommendation_lock:user:{user}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let value = format!("{}:{}", now.as_secs_f64(), std::process::id());
        let Some(redis) = self.redis else { return Some(OldLock { key, value }) };
        let taken = redis.command(&["SET", &key, &value, "NX", "EX", "300"]).await.is_some();
        taken.then_some(OldLock { key, value })
    }

    /// No notification: waiters of the other service find the lock free when they look.
    pub async fn unlock(&self, lock: OldLock) {
        const RELEASE: &str =
            "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end return nil";
        if let Some(redis) = self.redis {
            redis.command(&["EVAL", RELEASE, "1", &lock.key, &lock.value]).await;
        }
    }

    /// Calculates `rows` rows for the career. `false`: another run held the lock for too long.
    pub async fn calculate(&self, user: i64, career: &str, rows: i64) -> bool {
        let mut waited = Duration::ZERO;
        let lock = loop {
            match self.try_lock(user).await {
                Some(lock) => break lock,
                None if waited >= WAIT => return false,
                None => tokio::time::sleep(POLL).await,
            }
            waited += POLL;
        };
        self.replace(user, career, rows).await;
        self.unlock(lock).await;
        true
    }

    /// Deadlocks are swallowed, as it does.
    pub async fn replace(&self, user: i64, career: &str, rows: i64) {
        let listings =
            self.database.numbers(&format!("SELECT id FROM job_listings ORDER BY id LIMIT {rows}")).await;
        let mut transaction = self.database.begin().await;
        let delete = format!("DELETE FROM user_job_recommendations WHERE user_id = {user}");
        _ = sqlx::query(sqlx::AssertSqlSafe(delete)).execute(&mut *transaction).await;
        for listing in listings {
            let insert = format!(
                "INSERT INTO user_job_recommendations \
                 (user_id, job_listing_id, match_score, match_reason, recommendation_data, calculated_at) \
                 VALUES ({user}, {listing}, 61.5, 'AI 추천', '{{\"matchedCareer\": \"{career}\"}}', NOW())"
            );
            _ = sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&mut *transaction).await;
        }
        transaction.commit().await.unwrap();
    }
}
