//! Wires everything; the only place that names concrete databases. `main` and the tests build the same app.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::normalize_path::NormalizePath;

use crate::background::{Batches, Scheduler, Triggers, WorkerConfig, Workers};
use crate::calculator::{Calculator, CalculatorConfig};
use crate::catalogue::CurrentCatalogue;
use crate::config::{Config, DatabaseConfig};
use crate::coordination::{
    Instance, RedisError, RedisLink, RedisLockConfig, RedisUserLock, UserLocks, Wakeups,
};
use crate::http::server::{self, ServerConfig};
use crate::http::{self, AccessConfig, Services};
use crate::listings::sample::{self, SampleError};
use crate::metrics::Metrics;
use crate::ranking::{Vocabulary, VocabularyError};
use crate::storage::{MysqlAddress, MysqlStore, RunStore, SqliteStore, Store, StoreError};

/// Time limit of handing unfinished work over at the shutdown.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the service cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database failed or refused a step.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The database was away, or in trouble, for DATABASE_START_TIMEOUT_SECS.
    #[error("the database at {address} was not usable for {waited:?}: {cause}")]
    DatabaseUnreachable {
        /// The address, without the password.
        address: String,
        /// How long the start waited.
        waited: Duration,
        /// The last failure.
        cause: StoreError,
    },
    /// The sample data cannot be read.
    #[error("{0}")]
    Sample(#[from] SampleError),
    /// The Redis address cannot be used.
    #[error("the Redis settings cannot be used: {0}")]
    Redis(#[from] RedisError),
    /// The vocabulary file cannot be read.
    #[error("VOCABULARY_FILE cannot be read: {}: {cause}", path.display())]
    VocabularyFile {
        /// The file.
        path: PathBuf,
        /// The failure.
        cause: std::io::Error,
    },
    /// The vocabulary file is not valid.
    #[error("VOCABULARY_FILE is not valid: {}: {cause}", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// The first error in it.
        cause: VocabularyError,
    },
    /// The folder of the embedded database cannot be made.
    #[error("the folder of the database cannot be made: {}: {cause}", path.display())]
    DatabaseFolder {
        /// The folder.
        path: PathBuf,
        /// The failure.
        cause: std::io::Error,
    },
    /// The file of the embedded database cannot be used.
    #[error("the database cannot be used: {}: {cause}", path.display())]
    DatabaseFile {
        /// The file.
        path: PathBuf,
        /// The failure.
        cause: StoreError,
    },
    /// A file or socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A background task of the process has panicked.
    #[error("a background task ended unexpectedly")]
    TaskEnded,
}

/// The service, ready to serve.
pub struct App {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Recalculates lists.
    pub calculator: Calculator,
    /// The snapshot of the listings.
    pub catalogue: Arc<CurrentCatalogue>,
    /// Opens batches and keeps them going.
    pub batches: Batches,
    /// Begins scheduled jobs.
    pub scheduler: Scheduler,
    triggers: Triggers,
    wakeups: Arc<Wakeups>,
    workers: Workers,
    locks: UserLocks,
    catalogue_refresh: Duration,
    shutdown_delay: Duration,
    drain_timeout: Duration,
    redis: Option<RedisLink>,
    metrics: Arc<Metrics>,
    instance: Arc<str>,
    server: ServerConfig,
    access: AccessConfig,
    /// Runs and requests in flight.
    tasks: TaskTracker,
}

impl App {
    /// Connects to everything, brings the schema up to date, and reads the first catalogue.
    pub async fn build(config: &Config) -> Result<Self, AppError> {
        let store = open(config, true).await?;
        let redis = connect_redis(config).await?;
        let lock = redis.clone().map(|link| redis_lock(config, link));
        let locks = UserLocks::new(lock, config.lock_wait);
        let vocabulary = vocabulary(config)?;
        let names = vocabulary.clone();
        let catalogue = CurrentCatalogue::load(store.clone(), vocabulary, config.catalogue_reload).await?;
        // Without listings no name is resolved.
        if !catalogue.current().is_empty() {
            tokio::task::spawn_blocking(move || names.prepare());
        }
        let catalogue = Arc::new(catalogue);
        let tasks = TaskTracker::new();
        let metrics = Arc::new(Metrics::default());
        let limits = CalculatorConfig {
            run_timeout: config.run_timeout,
            max_recommendations: config.max_recommendations,
            max_runs: config.max_runs,
            slow_run: config.slow_run,
        };
        let calculator = Calculator::new(
            store.clone(),
            store.clone(),
            locks.clone(),
            catalogue.clone(),
            limits,
            tasks.clone(),
            metrics.clone(),
        );
        let wakeups = Arc::new(Wakeups::new(redis.clone(), tasks.clone()));
        let work = WorkerConfig {
            real_time_workers: config.queue_workers,
            batch_workers: config.batch_workers,
            lease: config.queue_lease,
            max_attempts: config.queue_max_attempts,
            scoring_revision: catalogue.scoring_revision(),
            instance: Instance::new(&config.instance),
        };
        let workers = Workers::new(store.clone(), calculator.clone(), wakeups.clone(), work);
        Ok(Self {
            batches: Batches::new(store.clone(), wakeups.clone()),
            scheduler: Scheduler::new(store.clone(), wakeups.clone(), config.scheduler.clone()),
            triggers: Triggers::new(store.clone(), wakeups.clone()),
            store,
            calculator,
            catalogue,
            wakeups,
            workers,
            locks,
            catalogue_refresh: config.catalogue_refresh,
            shutdown_delay: config.shutdown_delay,
            drain_timeout: config.drain_timeout,
            redis,
            metrics,
            instance: config.instance.as_str().into(),
            server: config.server.clone().within_descriptors(config.database.descriptors()),
            access: config.access.clone(),
            tasks,
        })
    }

    /// The HTTP interface. It is not ready for load balancers from `stop` on.
    fn router(&self, stop: CancellationToken) -> NormalizePath<Router> {
        let state = Services {
            calculator: self.calculator.clone(),
            triggers: self.triggers.clone(),
            batches: self.batches.clone(),
            scheduler: self.scheduler.clone(),
            store: self.store.clone(),
            catalogue: self.catalogue.clone(),
            redis: self.redis.clone(),
            instance: self.instance.clone(),
            metrics: self.metrics.clone(),
            stop,
            tasks: self.tasks.clone(),
        };
        http::router(Arc::new(state), &self.server, &self.access)
    }

    /// The requests and runs in flight.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Serves HTTP, due users and schedules until `stop`. Then serves HTTP for SHUTDOWN_DELAY_SECS more, finishes
    /// runs and requests in flight, for a limited time, and hands unfinished users over to other instances.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), AppError> {
        let mut parts = JoinSet::new();
        let (workers, token) = (self.workers.clone(), stop.clone());
        parts.spawn(async move { workers.work(token).await });
        let (wakeups, token) = (self.wakeups.clone(), stop.clone());
        parts.spawn(async move { wakeups.listen(token).await });
        let (batches, token) = (self.batches.clone(), stop.clone());
        parts.spawn(async move { batches.keep(token).await });
        let (scheduler, token) = (self.scheduler.clone(), stop.clone());
        parts.spawn(async move { scheduler.run(token).await });
        let closing = CancellationToken::new();
        let (catalogue, token) = (self.catalogue.clone(), closing.clone());
        let interval = self.catalogue_refresh;
        parts.spawn(async move { catalogue.keep_fresh(interval, token).await });
        let (api_tokens, token) = (self.access.auth.api_tokens.clone(), closing.clone());
        parts.spawn(async move { api_tokens.keep_fresh(token).await });
        let (router, server, token) = (self.router(stop.clone()), self.server.clone(), closing.clone());
        parts.spawn(server::serve(listener, router, server, token));

        tokio::select! {
            () = stop.cancelled() => {}
            _ = parts.join_next() => {}
        }
        // A part that ends before `stop` has failed, and the process must end with it.
        let told = stop.is_cancelled();
        stop.cancel();
        if told {
            sleep(self.shutdown_delay).await;
        }
        closing.cancel();
        let (workers, drain_timeout) = (self.workers.clone(), self.drain_timeout);
        let drain = async {
            while parts.join_next().await.is_some() {}
            self.close().await;
        };
        if timeout(drain_timeout, drain).await.is_err() {
            tracing::warn!("not everything was finished within {drain_timeout:?}: handing it over");
            if timeout(HAND_OVER_TIMEOUT, workers.give_back_all()).await.is_err() {
                tracing::warn!("leases could not be ended: they expire");
            }
        }
        if told { Ok(()) } else { Err(AppError::TaskEnded) }
    }

    /// Waits for the runs in flight, releases locks and closes connections.
    pub async fn close(self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.locks.close().await;
        self.store.close().await;
    }
}

/// The configured database, reachable and with its schema up to date.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, AppError> {
    open(config, false).await
}

/// As [`open_store`]; a database that must be `writable` is waited for until it takes writes.
async fn open(config: &Config, writable: bool) -> Result<Arc<dyn Store>, AppError> {
    match &config.database {
        DatabaseConfig::Mysql { address, max_connections, replica } => {
            let store = MysqlStore::new(address, *max_connections);
            let store = match replica {
                Some(replica) => store.reading_from(&replica.address, replica.wait),
                None => store,
            };
            let ready = async || {
                store.ping().await?;
                store.migrate().await?;
                if writable { store.probe().await } else { Ok(()) }
            };
            wait_for_database(ready, address, config.database_start_timeout).await?;
            let sample_data =
                config.sample_data && store.load_sample(&sample::users()?, &sample::listings()?).await?;
            tracing::info!(database = %address, sample_data, "database ready");
            if writable {
                store.check_replica().await;
            }
            Ok(Arc::new(store))
        }
        DatabaseConfig::Sqlite { path } => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|cause| AppError::DatabaseFolder { path: folder.to_owned(), cause })?;
            }
            let store = SqliteStore::new(path);
            let unusable = |cause| AppError::DatabaseFile { path: path.clone(), cause };
            store.migrate().await.map_err(unusable)?;
            let sample_data =
                config.sample_data && store.load_sample(&sample::users()?, &sample::listings()?).await?;
            tracing::info!(database = %path.display(), sample_data, "embedded database ready");
            Ok(Arc::new(store))
        }
    }
}

/// The configured Redis, if any, reachable or not.
pub async fn connect_redis(config: &Config) -> Result<Option<RedisLink>, AppError> {
    let Some(address) = &config.redis else {
        tracing::info!("no Redis configured: locks hold within this process only");
        return Ok(None);
    };
    Ok(Some(RedisLink::connect(address).await?))
}

/// Locks on the configured Redis.
pub fn redis_lock(config: &Config, link: RedisLink) -> RedisUserLock {
    let settings = RedisLockConfig { ttl: config.lock_ttl, instance: Instance::new(&config.instance) };
    RedisUserLock::new(link, settings)
}

/// Read once per process: tests start many services in one.
static BUILTIN: LazyLock<Arc<Vocabulary>> = LazyLock::new(|| Arc::new(Vocabulary::builtin()));

/// The configured vocabulary, else the built-in one.
pub fn vocabulary(config: &Config) -> Result<Arc<Vocabulary>, AppError> {
    let Some(path) = &config.vocabulary_file else { return Ok(BUILTIN.clone()) };
    let text = std::fs::read_to_string(path)
        .map_err(|cause| AppError::VocabularyFile { path: path.clone(), cause })?;
    Vocabulary::parse(&text).map(Arc::new).map_err(|cause| AppError::Vocabulary { path: path.clone(), cause })
}

/// Waits for a step that fails because the database is away, or in trouble: read-only, full, offline, not ready, or
/// it does not take the password yet.
async fn wait_for_database(
    step: impl AsyncFn() -> Result<(), StoreError>,
    address: &MysqlAddress,
    limit: Duration,
) -> Result<(), AppError> {
    let deadline = Instant::now() + limit;
    let mut delay = Duration::from_millis(200);
    loop {
        match step().await {
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(database = %address, %error, "waiting for the database");
                tokio::time::sleep(delay).await;
                delay = (2 * delay).min(Duration::from_secs(5));
            }
            Err(cause) => {
                return Err(AppError::DatabaseUnreachable {
                    address: address.to_string(),
                    waited: limit,
                    cause,
                });
            }
            Ok(()) => return Ok(()),
        }
    }
}
