//! Three instances, a database and a Redis, with a proxy on every link.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_agent::domain::JobListing;
use job_agent::listings::sample;
use job_agent::storage::{ListingStore, MysqlAddress, MysqlStore, Store};
use sqlx::{ConnectOptions, Executor};
use tempfile::TempDir;

use super::checker::Invariant;
use super::database::Database;
use super::instance::{CLOCK_OFFSETS, Instance, vocabulary_file};
use super::mutants::Mutant;
use super::oracle::{Ranking, vocabulary};
use super::proxy::{Protocol, Proxy};
use super::server::{RedisServer, Servers};
use super::topology::{Kind, Sentinels, Topology};

pub const INSTANCES: usize = 3;
const DATABASE: &str = "chaos";

/// The settings of a campaign.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `mysql` or `mariadb`.
    pub database: String,
    /// A replicated engine instead of one server.
    pub topology: Option<Kind>,
    pub with_redis: bool,
    /// The build that must be caught; `None`: job-agent as it is, which must violate nothing.
    pub mutant: Option<Mutant>,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redis = if self.with_redis { "with" } else { "without" };
        write!(f, "{}, {redis} Redis", self.engine())?;
        self.mutant.iter().try_for_each(|mutant| write!(f, ", mutant {}", mutant.name))
    }
}

impl Settings {
    /// The topology, or the server.
    pub fn engine(&self) -> String {
        self.topology.map_or_else(|| self.database.clone(), |topology| topology.to_string())
    }

    /// Whether the invariant holds on this engine.
    pub fn promises(&self, invariant: Invariant) -> bool {
        self.topology.is_none_or(|topology| topology.promises(invariant))
    }
}

pub struct Cluster {
    pub settings: Settings,
    pub database: Database,
    pub instances: Vec<Instance>,
    pub ranking: Ranking,
    pub counts: Counts,
    servers: Arc<Servers>,
    redis: Option<tokio::sync::Mutex<RedisServer>>,
    redis_address: Option<SocketAddr>,
    redis_losses: AtomicU64,
    revision: AtomicU32,
    folder: TempDir,
}

/// How often each operation, fault and statement has occurred, by name.
#[derive(Default)]
pub struct Counts(Mutex<BTreeMap<String, u64>>);

impl Counts {
    pub fn add(&self, name: impl Into<String>) {
        self.add_many(name, 1);
    }

    pub fn add_many(&self, name: impl Into<String>, number: u64) {
        *self.0.lock().unwrap().entry(name.into()).or_default() += number;
    }

    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().clone()
    }
}

impl Cluster {
    /// Starts a cluster with a database of its own.
    pub async fn start(settings: Settings, servers: Arc<Servers>) -> Self {
        let (database, listings) = create_database(&servers).await;
        let redis = match settings.with_redis && settings.topology.is_none() {
            true => Some(RedisServer::start().await),
            false => None,
        };
        let sentinels = servers.sentinels().map(Sentinels::settings).unwrap_or_default();
        let folder = tempfile::tempdir().unwrap();
        // A copy: a build in the middle of a campaign must not replace the binary.
        let built = Path::new(env!("CARGO_BIN_EXE_job-agent"));
        let binary = settings.mutant.as_ref().map_or(built, |mutant| &mutant.binary);
        std::fs::copy(binary, folder.path().join("job-agent")).unwrap();
        let mut instances = Vec::new();
        for (number, clock_offset) in CLOCK_OFFSETS.into_iter().enumerate() {
            let (name, links) =
                (format!("instance-{number}"), links(servers.address(number).await, redis.as_ref()).await);
            let more = [sentinels.clone(), background_settings(&settings)].concat();
            instances.push(Instance::new(name, links, DATABASE, more, clock_offset, folder.path()));
        }
        let cluster = Self {
            settings,
            database,
            instances,
            ranking: Ranking::new(listings),
            counts: Counts::default(),
            servers,
            redis_address: redis.as_ref().map(|redis| redis.address),
            redis: redis.map(tokio::sync::Mutex::new),
            redis_losses: AtomicU64::new(0),
            revision: AtomicU32::new(0),
            folder,
        };
        cluster.release();
        futures::future::join_all((0..INSTANCES).map(|number| cluster.restart(number))).await;
        cluster
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Releases a new revision of the scoring, which instances use from their next start on.
    pub fn release(&self) {
        let revision = self.revision.load(Ordering::SeqCst) + 1;
        std::fs::write(vocabulary_file(self.folder(), revision), vocabulary(revision)).unwrap();
        self.revision.store(revision, Ordering::SeqCst);
    }

    /// SIGKILL, and a new start with the newest revision.
    pub async fn restart(&self, instance: usize) {
        if self.instances[instance].restart(self.revision.load(Ordering::SeqCst)).await {
            self.counts.add("fault: SIGKILL");
        }
        if self.instances[instance].clock_offset != 0 {
            self.counts.add("fault: started with a wrong clock");
        }
    }

    /// Restarts the instances with an older revision.
    pub async fn finish_rollout(&self) {
        for (number, instance) in self.instances.iter().enumerate() {
            if instance.revision().await < self.revision.load(Ordering::SeqCst) {
                self.restart(number).await;
            }
        }
    }

    /// Undoes all lasting faults; with `resets`, connections end as well.
    pub fn heal(&self, resets: bool) {
        for instance in &self.instances {
            for proxy in instance.links() {
                proxy.heal();
                if resets {
                    proxy.reset();
                }
            }
        }
    }

    pub async fn restart_database(&self) {
        if self.servers.restart().await {
            self.counts.add(format!("fault: {} killed and restarted", self.settings.database));
        }
    }

    pub fn topology(&self) -> Option<&Topology> {
        self.servers.topology()
    }

    /// Another Redis becomes the primary of its set, without keys that had not reached it.
    pub async fn change_redis_primary(&self, rng: &mut fastrand::Rng) {
        let Some(sentinels) = self.servers.sentinels() else { return };
        self.lose_redis_keys();
        sentinels.change_primary(rng).await;
        self.lose_redis_keys();
        self.counts.add("fault: another Redis has become the primary");
    }

    pub async fn restart_redis(&self, down: Duration) {
        let Some(redis) = &self.redis else { return };
        let mut redis = redis.lock().await;
        self.lose_redis_keys();
        redis.kill_and_restart(down).await;
        self.lose_redis_keys();
        self.counts.add("fault: Redis killed and restarted, empty");
    }

    pub async fn flush_redis(&self) {
        self.lose_redis_keys();
        if self.redis_command(&["FLUSHALL"]).await.is_some() {
            self.counts.add("fault: FLUSHALL");
        }
        self.lose_redis_keys();
    }

    /// Must be called before and after keys are deleted.
    pub fn lose_redis_keys(&self) {
        self.redis_losses.fetch_add(1, Ordering::SeqCst);
    }

    /// Changes whenever keys may have been lost.
    pub fn redis_losses(&self) -> u64 {
        self.redis_losses.load(Ordering::SeqCst)
    }

    /// The answer as text; `None`: there is no Redis, or it does not answer.
    pub async fn redis_command(&self, words: &[&str]) -> Option<String> {
        let address = match self.servers.sentinels() {
            Some(sentinels) => sentinels.primary().await?,
            None => self.redis_address?,
        };
        let answer = redis_command(address, words).await?;
        Some(redis::from_redis_value(answer).unwrap_or_default())
    }

    /// Keeps the logs of the instances' current processes.
    pub fn keep_logs(&self, folder: &Path) {
        for instance in &self.instances {
            let name = PathBuf::from(format!("{}.log", instance.name));
            let _ = std::fs::copy(self.folder().join(&name), folder.join(&name));
        }
        for (name, log) in self.topology().into_iter().flat_map(Topology::logs) {
            let _ = std::fs::copy(log, folder.join(format!("{name}.log")));
        }
    }
}

/// The settings of instances that take part in background work by the clock.
fn background_settings(settings: &Settings) -> Vec<(String, String)> {
    if settings.topology.is_none() {
        return Vec::new();
    }
    [("SCHEDULER_ENABLED", "true"), ("BATCH_CRON", "* * * * *"), ("CLEAN_UP_CRON", "* * * * *")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The answer of a Redis; `None`: it does not answer in time.
pub async fn redis_command(address: SocketAddr, words: &[&str]) -> Option<redis::Value> {
    let client = redis::Client::open(format!("redis://{address}")).unwrap();
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.ok()?;
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(&mut connection).await.ok()
}

/// A new database with the service's schema, the sample's listings and the audit.
async fn create_database(servers: &Servers) -> (Database, Vec<JobListing>) {
    let options = servers.options().await;
    let mut admin = options.connect().await.unwrap();
    admin.execute("DROP DATABASE IF EXISTS chaos").await.unwrap();
    admin.execute("CREATE DATABASE chaos CHARACTER SET utf8mb4").await.unwrap();
    let address = servers.address(0).await;
    let host = address.ip().to_string();
    let store = MysqlStore::new(&MysqlAddress::new(&host, address.port(), "root", None, DATABASE), 4);
    store.migrate().await.unwrap();
    store.create_source_tables().await.unwrap();
    store.import_listings(&sample::listings().unwrap()).await.unwrap();
    let session = servers.topology().map_or("DO 0", |topology| topology.kind.session());
    let database = Database::new(options.database(DATABASE), session);
    database.add_audit().await;
    // Numbers the listings, too: the audit must not miss the first version.
    let mut listings = Vec::new();
    store.read_catalogue(&mut |listing| listings.push(listing)).await.unwrap();
    store.close().await;
    (database, listings)
}

/// The proxies of one instance: from the clients, to the database and to Redis.
async fn links(database: SocketAddr, redis: Option<&RedisServer>) -> (Proxy, Proxy, Option<Proxy>) {
    // Nothing listens there: the instance is not started yet.
    let nowhere = ([127, 0, 0, 1], 9).into();
    let redis = match redis {
        Some(redis) => Some(Proxy::start(Protocol::Bytes, redis.address).await),
        None => None,
    };
    (Proxy::start(Protocol::Bytes, nowhere).await, Proxy::start(Protocol::Mysql, database).await, redis)
}
