//! A database full of users, and instances of the real binary on it.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use sqlx::{query, query_as, query_scalar};
use tempfile::TempDir;

use super::database::{Database, server};
use super::instance::{Instance, binary};

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
    database: Database,
    redis: String,
    client: Client,
    folder: TempDir,
    logs: Mutex<Vec<PathBuf>>,
    changes: AtomicUsize,
}

/// An instance, and a client for it.
pub struct Node {
    instance: Instance,
    client: Client,
}

impl Cluster {
    /// A fresh database with so many listings and users.
    pub async fn create(listings: i64, users: i64) -> Self {
        let database = Database::create("batch").await;
        database.insert_listings(1, listings as usize).await;
        let cluster = Self {
            users,
            database,
            redis: server("TEST_REDIS_URL"),
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

    async fn execute(&self, sql: String) {
        self.database.execute(&sql).await;
    }

    /// Starts instances; `settings` are environment variables.
    pub async fn start(&self, count: usize, settings: &[(&str, &str)]) -> Vec<Node> {
        let mut all = vec![("DATABASE_URL", self.database.url.as_str()), ("REDIS_URL", self.redis.as_str())];
        all.extend_from_slice(settings);
        let mut nodes = Vec::new();
        for _ in 0..count {
            let instance = Instance::start(&binary(), self.folder.path(), self.next_log(), &all).await;
            nodes.push(Node { instance, client: self.client.clone() });
        }
        nodes
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

    pub async fn trigger(&self, instance: &Node) -> i64 {
        let answer = instance.post("/api/scheduler/trigger").await;
        assert_eq!(answer["joined"], false, "{answer}");
        answer["batchId"].as_i64().expect("a number")
    }

    pub async fn status(&self, instance: &Node) -> Value {
        let url = format!("{}/api/scheduler/status", instance.instance.address);
        self.client.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub async fn is_running(&self, instance: &Node, batch: i64) -> bool {
        let status = self.status(instance).await;
        assert_eq!(status["batch"]["id"], batch, "{status}");
        status["batch"]["running"] == true
    }

    pub async fn finished(&self, instance: &Node, batch: i64) {
        while self.is_running(instance, batch).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn wait_until_done(&self, instance: &Node, batch: i64, users: i64) {
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
            .fetch_all(&self.database.pool)
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
            .execute(&self.database.pool)
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
        .fetch_one(&self.database.pool)
        .await
        .expect("readable");
        all - i64::from(self.database.pool.size())
    }

    /// Changes the texts of so many listings from an id on, or changes them back; returns the id to go on with.
    pub async fn touch_listings(&self, first: i64, count: i64) -> i64 {
        let next: Option<i64> =
            query_scalar("SELECT id FROM job_listings WHERE id >= ? ORDER BY id LIMIT ?, 1")
                .bind(first)
                .bind(count)
                .fetch_optional(&self.database.pool)
                .await
                .expect("readable");
        query(
            "UPDATE job_listings SET description = IF(description LIKE '% NEW', LEFT(description, \
             CHAR_LENGTH(description) - 4), CONCAT(description, ' NEW')), updated_at = NOW(6) \
             WHERE id >= ? ORDER BY id LIMIT ?",
        )
        .bind(first)
        .bind(count)
        .execute(&self.database.pool)
        .await
        .expect("changed");
        next.unwrap_or(1)
    }

    pub async fn is_pending(&self, user: i64) -> bool {
        let pending: Option<bool> =
            query_scalar("SELECT completed_seq < requested_seq FROM recommendation_state WHERE user_id = ?")
                .bind(user)
                .fetch_optional(&self.database.pool)
                .await
                .expect("readable");
        pending.unwrap_or(true)
    }
}

impl Node {
    /// A trigger in real time.
    pub async fn calculate(&self, user: i64, background: bool) -> Value {
        self.post(&format!("/api/job-agent/recommendations/calculate/{user}?background={background}")).await
    }

    async fn post(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.instance.address);
        let answer = self.client.post(url).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.expect("JSON")
    }

    /// `http://…`
    pub fn address(&self) -> &str {
        &self.instance.address
    }

    /// The id of the process.
    pub fn process(&self) -> u32 {
        self.instance.id()
    }

    /// SIGKILL.
    pub fn kill(self) {
        self.instance.kill();
    }

    /// Any signal, by its name.
    pub fn signal(&mut self, name: &str) {
        self.instance.signal(name);
    }
}
