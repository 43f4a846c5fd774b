//! What the scenarios have in common: the servers, a database full of listings and users, and the service on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::bare::{Bare, BareCaller, Style};
use super::client::Client;
use super::counters::Servers;
use super::database::{Database, server};
use super::instance::{self, Instance};
use super::load::{Caller, Order, Turn, closed};
use super::options::Options;
use super::users::{self, Change, Users};

/// The stage of all scenarios.
pub struct Stage {
    pub options: Options,
    pub database: Database,
    pub redis: String,
    pub servers: Servers,
    pub users: Arc<Users>,
    /// Another database, for scenarios about size.
    pub many_listings: OnceCell<Database>,
    folder: TempDir,
    logs: AtomicUsize,
}

/// How an instance reaches its servers, and with how many connections.
#[derive(Clone)]
pub struct Link {
    pub mysql: String,
    pub redis: String,
    pub connections: u32,
}

/// A request of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A run that has to write, or one that finds the list current.
    Calculate(Change),
    /// Any run.
    Settle,
    Fast,
    Background,
}

/// Answers that were wrong and have been shown.
static SHOWN: AtomicUsize = AtomicUsize::new(0);
const MOST_SHOWN: usize = 10;

/// A caller of the service.
pub struct ServiceCaller {
    client: Client,
    request: Request,
}

impl Stage {
    /// Loads the database.
    pub async fn create(options: Options, scenarios: &[&str]) -> Self {
        let redis = server("TEST_REDIS_URL");
        let database = Database::create("main").await;
        // The users of batches are the others as well.
        let stored_users =
            if scenarios.contains(&"batch") { options.batch_users.max(options.users) } else { options.users };
        say(&format!("bench: {} listings, {stored_users} users\n", options.listings));
        database.insert_listings(1, options.listings).await;
        let users = Arc::new(Users::generate(options.listings, options.persons));
        users.insert(&database, stored_users, options.batch_users).await;
        let servers = Servers { mysql: database.pool.clone(), redis: redis_connection(&redis).await };
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            options,
            database,
            redis,
            servers,
            users,
            many_listings: OnceCell::new(),
            folder,
            logs: AtomicUsize::new(0),
        }
    }

    /// The servers themselves, and connections for all callers.
    pub fn link(&self) -> Link {
        Link { mysql: self.database.url.clone(), redis: self.redis.clone(), connections: 40 }
    }

    /// Starts the service with these environment variables, among others.
    pub async fn start(&self, link: &Link, settings: &[(&str, &str)]) -> Instance {
        self.start_binary(&instance::binary(), link, settings).await
    }

    /// Starts the service, and an earlier version of it if there is one to be compared: `JOB_AGENT_BEFORE`.
    pub async fn start_versions(&self, link: &Link) -> Vec<(&'static str, Instance)> {
        let mut versions = vec![("service", self.start(link, &[]).await)];
        if let Some(binary) = std::env::var_os("JOB_AGENT_BEFORE") {
            versions.push(("before", self.start_binary(binary.as_ref(), link, &[]).await));
        }
        versions
    }

    async fn start_binary(&self, binary: &Path, link: &Link, settings: &[(&str, &str)]) -> Instance {
        let connections = link.connections.to_string();
        let mut all = vec![
            ("DATABASE_URL", link.mysql.as_str()),
            ("REDIS_URL", link.redis.as_str()),
            ("DB_MAX_CONNECTIONS", connections.as_str()),
            // Only what is measured.
            ("SCHEDULER_ENABLED", "false"),
        ];
        all.extend_from_slice(settings);
        Instance::start(binary, self.folder.path(), self.next_log(), &all).await
    }

    /// A file for the log of another instance.
    fn next_log(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.logs.fetch_add(1, Ordering::Relaxed)))
    }

    /// Gives all users their first careers, and those from 1 to `users` the lists for them.
    pub async fn settle(&self, service: &Instance, users: i64) {
        // An instance that was stopped while it had lost Redis, under too much load, leaves locks behind.
        let () = redis::cmd("FLUSHALL").query_async(&mut self.servers.redis.clone()).await.expect("flushed");
        users::reset(&self.database).await;
        let mut callers = self.callers(service, Request::Settle, 8).await;
        let turn = Turn::new(users, Order::Once);
        let calls = closed(&mut callers, &turn, Duration::from_secs(3_600)).await;
        assert_eq!(calls.failed, 0, "users cannot be calculated");
    }

    /// Connections to an instance.
    pub async fn callers(&self, service: &Instance, request: Request, count: usize) -> Vec<Box<dyn Caller>> {
        let mut callers: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..count {
            let client = Client::connect(&service.address).await;
            callers.push(Box::new(ServiceCaller { client, request }));
        }
        callers
    }

    /// The bare statements, on copies of the tables.
    pub async fn bare(&self, link: &Link) -> Bare {
        let redis = Some(redis_connection(&link.redis).await);
        Bare::create(&self.database, &link.mysql, redis, self.users.clone(), link.connections).await
    }
}

/// Callers of bare statements.
pub fn bare_callers(bare: &Bare, style: Style, change: Change, count: usize) -> Vec<Box<dyn Caller>> {
    (0..count)
        .map(|_| Box::new(BareCaller { bare: bare.clone(), style, change }) as Box<dyn Caller>)
        .collect()
}

/// A link to Redis.
pub async fn redis_connection(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("Redis answers")
}

/// Progress goes to standard error, so that the table is all of the output.
pub fn say(text: &str) {
    use std::io::Write as _;
    // A bench without a terminal goes on.
    let _ = write!(std::io::stderr(), "{text}");
}

#[async_trait]
impl Caller for ServiceCaller {
    async fn call(&mut self, user: i64) -> bool {
        let base = "/api/job-agent/recommendations";
        let (method, path) = match self.request {
            Request::Fast => (Method::GET, format!("{base}/fast/{user}?limit=20")),
            Request::Background => (Method::POST, format!("{base}/calculate/{user}?background=true")),
            Request::Calculate(_) | Request::Settle => (Method::POST, format!("{base}/calculate/{user}")),
        };
        let Ok(answer) = self.client.send(method, &path).await else { return false };
        let holds = |text: &str| answer.body.windows(text.len()).any(|part| part == text.as_bytes());
        let skipped = match self.request {
            Request::Calculate(Change::Nothing) => "\"skipped\":true",
            Request::Calculate(_) => "\"skipped\":false",
            Request::Fast => "\"cached\":true",
            Request::Settle | Request::Background => "",
        };
        let is_right =
            answer.status < 300 && holds("\"success\":true") && (skipped.is_empty() || holds(skipped));
        if !is_right && SHOWN.fetch_add(1, Ordering::Relaxed) < MOST_SHOWN {
            let body = String::from_utf8_lossy(&answer.body);
            say(&format!("bench: user {user}: not {skipped}: {} {body}\n", answer.status));
        }
        is_right
    }
}
