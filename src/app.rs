//! Wires everything; the only place that names concrete backends. `main` and the tests build the same.

use std::sync::Arc;
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
    DUE_CHANNEL, Instance, RELEASED_CHANNEL, RedisError, RedisLink, RedisLockConfig, RedisUserLock,
    UserLocks, Wakeups,
};
use crate::http::server::{self, ServerConfig};
use crate::http::{self, ApiState, Origin};
use crate::listings::sample::{self, SampleError};
use crate::ranking::{Vocabulary, VocabularyError};
use crate::storage::{MysqlStore, SqliteStore, Store, StoreError};

/// How long the shutdown takes to hand over what it could not finish.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the service cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the database at {address} was not reachable for {waited:?}: {cause}")]
    DatabaseUnreachable { address: String, waited: Duration, cause: StoreError },
    #[error("the sample data could not be stored: {0}")]
    Sample(#[from] SampleError),
    #[error("the Redis settings cannot be used: {0}")]
    Redis(#[from] RedisError),
    #[error("VOCABULARY_FILE cannot be read: {0}")]
    VocabularyFile(std::io::Error),
    #[error("VOCABULARY_FILE is not valid: {0}")]
    Vocabulary(#[from] VocabularyError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("a background task ended unexpectedly")]
    TaskEnded,
}

/// The service, ready to serve.
pub struct App {
    pub store: Arc<dyn Store>,
    pub calculator: Calculator,
    pub catalogue: Arc<CurrentCatalogue>,
    pub batches: Batches,
    pub scheduler: Scheduler,
    triggers: Triggers,
    wakeups: Arc<Wakeups>,
    workers: Workers,
    locks: UserLocks,
    catalogue_refresh: Duration,
    shutdown_delay: Duration,
    drain_timeout: Duration,
    redis: Option<RedisLink>,
    server: ServerConfig,
    cors_origins: Vec<Origin>,
    /// Runs and requests that have begun.
    tasks: TaskTracker,
}

impl App {
    /// Connects to everything, brings the schema up to date, and reads the first catalogue.
    pub async fn build(config: &Config) -> Result<Self, AppError> {
        let store = open_store(config).await?;
        let redis = connect_redis(config).await?;
        let lock = redis.clone().map(|link| redis_lock(config, link));
        let locks = UserLocks::new(lock, config.lock_wait);
        let vocabulary = vocabulary(config)?;
        let catalogue = CurrentCatalogue::load(store.clone(), vocabulary, config.catalogue_reload).await?;
        let catalogue = Arc::new(catalogue);
        let tasks = TaskTracker::new();
        let limits = CalculatorConfig {
            run_timeout: config.run_timeout,
            max_recommendations: config.max_recommendations,
            max_runs: config.max_runs,
        };
        let calculator =
            Calculator::new(store.clone(), locks.clone(), catalogue.clone(), limits, tasks.clone());
        let wakeups = Arc::new(Wakeups::new(redis.clone(), tasks.clone()));
        let work = WorkerConfig {
            real_time_workers: config.queue_workers,
            batch_workers: config.batch_workers,
            lease: config.queue_lease,
            max_attempts: config.queue_max_attempts,
            instance: Instance::new(&config.instance),
        };
        let workers =
            Workers::new(store.clone(), calculator.clone(), catalogue.clone(), wakeups.clone(), work);
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
            server: config.server.clone().within_descriptors(config.database.descriptors()),
            cors_origins: config.cors_allowed_origins.clone(),
            tasks,
        })
    }

    /// The HTTP interface. It is not ready for load balancers from `stop` on.
    fn router(&self, stop: CancellationToken) -> NormalizePath<Router> {
        let state = ApiState {
            calculator: self.calculator.clone(),
            triggers: self.triggers.clone(),
            batches: self.batches.clone(),
            scheduler: self.scheduler.clone(),
            store: self.store.clone(),
            catalogue: self.catalogue.clone(),
            redis: self.redis.clone(),
            stop,
            tasks: self.tasks.clone(),
        };
        http::router(state, &self.server, &self.cors_origins)
    }

    /// Requests and runs that have begun and not ended.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Serves HTTP, due users and schedules until `stop`, then finishes what has begun, for a bounded time,
    /// and hands the rest over to other instances. HTTP is served for `SHUTDOWN_DELAY_SECS` more.
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
        let (router, server, token) = (self.router(stop.clone()), self.server.clone(), closing.clone());
        parts.spawn(server::serve(listener, router, server, token));

        tokio::select! {
            () = stop.cancelled() => {}
            _ = parts.join_next() => {}
        }
        // Parts end when they are told to; one that ended untold has failed, and the process with it.
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

    /// Waits for runs that have begun, releases locks and closes connections.
    pub async fn close(self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.locks.close().await;
        self.store.close().await;
    }
}

/// The configured database, reachable and with its schema up to date.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, AppError> {
    match &config.database {
        DatabaseConfig::Mysql { options, max_connections, shown } => {
            let store = MysqlStore::new((**options).clone(), *max_connections);
            wait_until_reachable(&store, shown, config.database_start_timeout).await?;
            store.migrate().await?;
            tracing::info!(database = shown, "database ready");
            Ok(Arc::new(store))
        }
        DatabaseConfig::Sqlite { path } => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let store = SqliteStore::new(path);
            store.migrate().await?;
            let filled = sample::fill_if_empty(&store).await?;
            tracing::info!(database = %path.display(), sample_data = filled, "embedded database ready");
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
    Ok(Some(RedisLink::connect(address, &[RELEASED_CHANNEL, DUE_CHANNEL]).await?))
}

/// Locks on the configured Redis.
pub fn redis_lock(config: &Config, link: RedisLink) -> RedisUserLock {
    let settings = RedisLockConfig { ttl: config.lock_ttl, instance: Instance::new(&config.instance) };
    RedisUserLock::new(link, settings)
}

/// The configured vocabulary, else the built-in one.
pub fn vocabulary(config: &Config) -> Result<Arc<Vocabulary>, AppError> {
    Ok(Arc::new(match &config.vocabulary_file {
        Some(path) => Vocabulary::parse(&std::fs::read_to_string(path).map_err(AppError::VocabularyFile)?)?,
        None => Vocabulary::builtin(),
    }))
}

async fn wait_until_reachable(store: &MysqlStore, shown: &str, limit: Duration) -> Result<(), AppError> {
    let deadline = Instant::now() + limit;
    let mut delay = Duration::from_millis(200);
    loop {
        match store.ping().await {
            Err(error @ StoreError::Unavailable(_)) if Instant::now() < deadline => {
                tracing::warn!(database = shown, %error, "waiting for the database");
                tokio::time::sleep(delay).await;
                delay = (2 * delay).min(Duration::from_secs(5));
            }
            Err(cause @ StoreError::Unavailable(_)) => {
                return Err(AppError::DatabaseUnreachable {
                    address: shown.to_owned(),
                    waited: limit,
                    cause,
                });
            }
            answer => return Ok(answer?),
        }
    }
}
