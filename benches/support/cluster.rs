//! A database full of users, and instances of the real binary on it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use job_agent::domain::{JobListing, UserId};
use job_agent::storage::{ListingRecord, ListingStore, MysqlAddress, MysqlStore, Store};
use reqwest::Client;
use serde_json::Value;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, query, query_as, query_scalar, raw_sql};
use tempfile::TempDir;

use super::listings::Generator;

/// Careers of the users; each is known to the vocabulary and to some listings.
const CAREERS: [&str; 20] = [
    "백엔드 개발자",
    "프론트엔드 개발자",
    "영업 관리자",
    "마케터",
    "간호사",
    "회계 담당자",
    "데이터 분석가",
    "UX/UI 디자이너",
    "데이터 엔지니어",
    "생산관리 담당자",
    "물류 관리자",
    "인사 담당자",
    "안드로이드 개발자",
    "iOS 개발자",
    "품질관리원",
    "고객상담원",
    "기계설계 엔지니어",
    "물리치료사",
    "변호사",
    "사회복지사",
];
/// Users who are no part of batches: real-time triggers are for them.
const REAL_TIME_USERS: i64 = 50;

/// The database, with everything that instances need.
pub struct Cluster {
    pub users: i64,
    url: String,
    redis: String,
    pool: MySqlPool,
    client: Client,
    folder: TempDir,
    logs: Mutex<Vec<PathBuf>>,
    changes: AtomicUsize,
}

/// A process of the real binary, killed when it is dropped.
pub struct Instance {
    child: Child,
    address: String,
    client: Client,
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run with scripts/with-servers"))
}

impl Cluster {
    /// A fresh database with so many listings and users.
    pub async fn create(listings: i64, users: i64) -> Self {
        let name = format!("bench_{}", std::process::id());
        let url = format!("{}/{name}", server("TEST_MYSQL_URL"));
        let options: MySqlConnectOptions = url.parse().expect("a URL");
        let root = MySqlPool::connect_lazy_with(options.clone().database("mysql"));
        query(AssertSqlSafe(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")))
            .execute(&root)
            .await
            .expect("created");
        let store = MysqlStore::new(&MysqlAddress::from_url(&url).expect("a URL"), 4);
        store.migrate().await.expect("migrated");
        store.create_source_tables().await.expect("created");
        let mut generator = Generator::new(1);
        let records: Vec<ListingRecord> = (1..=listings).map(|id| record(generator.listing(id))).collect();
        for chunk in records.chunks(500) {
            store.import_listings(chunk).await.expect("imported");
        }
        store.close().await;
        let pool = MySqlPoolOptions::new().max_connections(4).connect_lazy_with(options);
        let cluster = Self {
            users,
            url,
            redis: server("TEST_REDIS_URL"),
            pool,
            client: Client::new(),
            folder: tempfile::tempdir().expect("a folder"),
            logs: Mutex::default(),
            changes: AtomicUsize::new(0),
        };
        cluster.insert_users().await;
        cluster
    }

    async fn insert_users(&self) {
        let ids: Vec<i64> = (1..=self.users + REAL_TIME_USERS).collect();
        for ids in ids.chunks(1_000) {
            let users =
                ids.iter().map(|id| format!("({id}, {})", *id <= self.users)).collect::<Vec<_>>().join(",");
            self.execute(format!("INSERT INTO users (user_id, is_active) VALUES {users}")).await;
            let profiles =
                ids.iter().map(|id| format!("({id}, '[\"Java\",\"Excel\"]')")).collect::<Vec<_>>().join(",");
            self.execute(format!("INSERT INTO profile_analysis (user_id, strengths) VALUES {profiles}"))
                .await;
            let career = |id: &i64| CAREERS[*id as usize % CAREERS.len()];
            let careers =
                ids.iter().map(|id| format!("({id}, '{}', 90)", career(id))).collect::<Vec<_>>().join(",");
            self.execute(format!(
                "INSERT INTO job_recommendations (user_id, job_name, match_score) VALUES {careers}"
            ))
            .await;
        }
    }

    /// Has the server count every row of recommendations that is inserted, updated or deleted from now on.
    pub async fn count_row_changes(&self) {
        self.execute("CREATE TABLE row_changes (id BIGINT AUTO_INCREMENT PRIMARY KEY)".to_owned()).await;
        for event in ["INSERT", "UPDATE", "DELETE"] {
            self.execute(format!(
                "CREATE TRIGGER count_{event} AFTER {event} ON user_job_recommendations FOR EACH ROW \
                 INSERT INTO row_changes VALUES (NULL)"
            ))
            .await;
        }
    }

    /// Ends the counting, and returns the count.
    pub async fn row_changes(&self) -> i64 {
        let changes = query_scalar("SELECT COUNT(*) FROM row_changes").fetch_one(&self.pool).await;
        for event in ["INSERT", "UPDATE", "DELETE"] {
            self.execute(format!("DROP TRIGGER count_{event}")).await;
        }
        self.execute("DROP TABLE row_changes".to_owned()).await;
        changes.expect("readable")
    }

    async fn execute(&self, sql: String) {
        raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.expect("executed");
    }

    pub fn store(&self) -> MysqlStore {
        MysqlStore::new(&MysqlAddress::from_url(&self.url).expect("a URL"), 10)
    }

    /// Users of the batches.
    pub fn user_ids(&self) -> impl Iterator<Item = UserId> {
        (1..=self.users).map(|id| UserId::try_from(id).expect("positive"))
    }

    /// Starts instances; `settings` are environment variables.
    pub async fn start(&self, count: usize, settings: &[(&str, &str)]) -> Vec<Instance> {
        let mut instances = Vec::new();
        for _ in 0..count {
            let log = self.next_log();
            let child = Command::new(env!("CARGO_BIN_EXE_job-agent"))
                .current_dir(self.folder.path())
                .env_clear()
                .envs([
                    ("LOG_FORMAT", "json"),
                    ("PORT", "0"),
                    ("DATABASE_URL", &self.url),
                    ("REDIS_URL", &self.redis),
                ])
                .envs(settings.iter().copied())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(&log).expect("a log"))
                .spawn()
                .expect("started");
            instances.push(Instance { child, address: listening(&log).await, client: self.client.clone() });
        }
        instances
    }

    fn next_log(&self) -> PathBuf {
        let mut logs = self.logs.lock().expect("not poisoned");
        let log = self.folder.path().join(format!("{}.log", logs.len()));
        logs.push(log.clone());
        log
    }

    /// As before the first calculation.
    pub async fn forget_lists(&self) {
        self.execute("TRUNCATE TABLE user_job_recommendations".to_owned()).await;
        self.execute("TRUNCATE TABLE recommendation_state".to_owned()).await;
        for log in self.logs.lock().expect("not poisoned").iter() {
            // Written in append mode or not, what is counted is counted from here.
            let _ = fs::File::options().write(true).open(log).and_then(|log| log.set_len(0));
        }
    }

    /// A batch from its trigger to its end.
    pub async fn batch(&self, instance: &Instance) -> Duration {
        let started = Instant::now();
        let batch = self.trigger(instance).await;
        self.finished(instance, batch).await;
        started.elapsed()
    }

    pub async fn trigger(&self, instance: &Instance) -> i64 {
        let answer = instance.post("/api/scheduler/trigger").await;
        assert_eq!(answer["joined"], false, "{answer}");
        answer["batchId"].as_i64().expect("a number")
    }

    pub async fn status(&self, instance: &Instance) -> Value {
        let url = format!("{}/api/scheduler/status", instance.address);
        self.client.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub async fn is_running(&self, instance: &Instance, batch: i64) -> bool {
        let status = self.status(instance).await;
        assert_eq!(status["batch"]["id"], batch, "{status}");
        status["batch"]["running"] == true
    }

    pub async fn finished(&self, instance: &Instance, batch: i64) {
        while self.is_running(instance, batch).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn wait_until_done(&self, instance: &Instance, batch: i64, users: i64) {
        loop {
            let status = self.status(instance).await;
            assert_eq!(status["batch"]["id"], batch, "{status}");
            if status["batch"]["done"].as_i64().expect("a number") >= users {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many users have been replaced how often.
    pub async fn versions(&self) -> Vec<(i64, i64)> {
        query_as("SELECT version, COUNT(*) FROM recommendation_state GROUP BY version ORDER BY version")
            .fetch_all(&self.pool)
            .await
            .expect("readable")
    }

    /// Users whose calculation was started more than once, by the logs.
    pub fn repeated_runs(&self) -> usize {
        let mut starts = std::collections::HashMap::<String, usize>::new();
        for log in self.logs.lock().expect("not poisoned").iter() {
            for line in fs::read_to_string(log).expect("a log").lines() {
                let Ok(event) = serde_json::from_str::<Value>(line.trim_start_matches('\0')) else {
                    continue;
                };
                if event["message"] == "calculation started" {
                    *starts.entry(event["user_id"].to_string()).or_default() += 1;
                }
            }
        }
        starts.values().filter(|starts| **starts > 1).count()
    }

    /// One of the users who are no part of batches.
    pub fn real_time_user(&self, sample: usize) -> i64 {
        self.users + 1 + sample as i64 % REAL_TIME_USERS
    }

    pub async fn change_career(&self, user: i64) {
        let change = self.changes.fetch_add(1, Ordering::Relaxed);
        let career = CAREERS[(change + change / CAREERS.len() / REAL_TIME_USERS as usize) % CAREERS.len()];
        // Not the one that the user has: the sequence has another period than the users.
        query("UPDATE job_recommendations SET job_name = IF(job_name = ?, ?, ?) WHERE user_id = ?")
            .bind(career)
            .bind(CAREERS[(change + 7) % CAREERS.len()])
            .bind(career)
            .bind(user)
            .execute(&self.pool)
            .await
            .expect("changed");
    }

    /// The address of Redis.
    pub fn redis(&self) -> &str {
        &self.redis
    }

    /// Connections to the database, without those of this process.
    pub async fn foreign_connections(&self) -> i64 {
        let all: i64 = query_scalar(
            "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_db = DATABASE() AND type = 'FOREGROUND'",
        )
        .fetch_one(&self.pool)
        .await
        .expect("readable");
        all - i64::from(self.pool.size())
    }

    /// Changes the texts of so many listings from an id on, or changes them back; returns the id to go on with.
    pub async fn touch_listings(&self, first: i64, count: i64) -> i64 {
        let next: Option<i64> =
            query_scalar("SELECT id FROM job_listings WHERE id >= ? ORDER BY id LIMIT ?, 1")
                .bind(first)
                .bind(count)
                .fetch_optional(&self.pool)
                .await
                .expect("readable");
        query(
            "UPDATE job_listings SET description = IF(description LIKE '% NEW', LEFT(description, \
             CHAR_LENGTH(description) - 4), CONCAT(description, ' NEW')), updated_at = NOW(6) \
             WHERE id >= ? ORDER BY id LIMIT ?",
        )
        .bind(first)
        .bind(count)
        .execute(&self.pool)
        .await
        .expect("changed");
        next.unwrap_or(1)
    }

    pub async fn is_pending(&self, user: i64) -> bool {
        let pending: Option<bool> =
            query_scalar("SELECT completed_seq < requested_seq FROM recommendation_state WHERE user_id = ?")
                .bind(user)
                .fetch_optional(&self.pool)
                .await
                .expect("readable");
        pending.unwrap_or(true)
    }
}

impl Instance {
    /// A trigger in real time.
    pub async fn calculate(&self, user: i64, background: bool) -> Value {
        self.post(&format!("/api/job-agent/recommendations/calculate/{user}?background={background}")).await
    }

    async fn post(&self, path: &str) -> Value {
        let answer = self.client.post(format!("{}{path}", self.address)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.expect("JSON")
    }

    /// `http://…`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The id of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Any signal, by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn listening(log: &std::path::Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(log).expect("a log");
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(event) = events.into_iter().find(|event| event["message"] == "listening") {
            return format!("http://{}", event["address"].as_str().expect("an address"));
        }
        assert!(Instant::now() < deadline, "does not listen: {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn record(listing: JobListing) -> ListingRecord {
    let set = |text: String| Some(text).filter(|text| !text.is_empty());
    ListingRecord {
        site_name: "bench".to_owned(),
        job_id: listing.id.to_string(),
        title: listing.title,
        company: set(listing.company),
        description: set(listing.description),
        experience: set(listing.experience),
        tech_stack: set(listing.tech_stack),
        required_skills: set(listing.required_skills),
        crawled_at: listing.crawled_at,
        ..ListingRecord::default()
    }
}
