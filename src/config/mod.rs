//! The configuration: one typed struct, read from the environment (and `.env`).
//!
//! `.env.example` documents every variable; a test holds the two against each other.

mod access;
mod env;
mod services;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;

use self::env::{Env, refused};
use crate::background::{Schedule, SchedulerConfig, time_zone};
use crate::coordination::RedisAddress;
use crate::http::AccessConfig;
use crate::http::server::ServerConfig;
use crate::storage::MysqlAddress;

/// All settings of the service.
#[derive(Clone)]
pub struct Config {
    /// DATABASE_URL, or DB_HOST and its like, and DATABASE_READ_URL.
    pub database: DatabaseConfig,
    /// SAMPLE_DATA: load sample listings and users into empty tables. By default into the embedded file only.
    pub sample_data: bool,
    /// REDIS_URL, or REDIS_HOST and its like, or REDIS_SENTINELS. `None`: locks hold within this process only.
    pub redis: Option<RedisAddress>,
    /// HOST: the address to listen on.
    pub host: IpAddr,
    /// PORT; 0 lets the system choose.
    pub port: u16,
    /// LOCK_TTL_SECS: how long a crashed holder blocks its user. Longer than `run_timeout`.
    pub lock_ttl: Duration,
    /// LOCK_WAIT_SECS: how long a run waits for the user's lock.
    pub lock_wait: Duration,
    /// RUN_TIMEOUT_SECS: time limit of a run.
    pub run_timeout: Duration,
    /// MAX_RECOMMENDATIONS: rows kept per user, 1 to 100.
    pub max_recommendations: usize,
    /// MAX_RUNS: runs that requests may have in flight.
    pub max_runs: usize,
    /// SLOW_RUN_MS: the time from which on a run is logged with its phases; `None`: never.
    pub slow_run: Option<Duration>,
    /// QUEUE_WORKERS: workers for real-time triggers.
    pub queue_workers: usize,
    /// BATCH_WORKERS: workers for batches.
    pub batch_workers: usize,
    /// QUEUE_LEASE_SECS: how long other workers leave a claimed user alone. Longer than `run_timeout` and
    /// `lock_wait` together.
    pub queue_lease: Duration,
    /// QUEUE_MAX_ATTEMPTS: failures after which a user is parked.
    pub queue_max_attempts: u32,
    /// SCHEDULER_ENABLED, BATCH_CRON, CLEAN_UP_CRON, SCHEDULER_TIME_ZONE, SECOND_PASS_QUIET_SECS and RETENTION_DAYS.
    pub scheduler: SchedulerConfig,
    /// DRAIN_TIMEOUT_SECS: how long a stop waits for runs and requests in flight.
    pub drain_timeout: Duration,
    /// SHUTDOWN_DELAY_SECS: how long a stop goes on to accept connections, not ready, before it drains.
    pub shutdown_delay: Duration,
    /// Time limits of connections, and MAX_CONNECTIONS.
    pub server: ServerConfig,
    /// CATALOGUE_REFRESH_SECS: how often changed listings are read.
    pub catalogue_refresh: Duration,
    /// CATALOGUE_RELOAD_SECS: how often all listings are read again, should a change have escaped the refreshes.
    pub catalogue_reload: Duration,
    /// DATABASE_START_TIMEOUT_SECS: how long the start waits for the database.
    pub database_start_timeout: Duration,
    /// VOCABULARY_FILE: replaces the built-in career vocabulary.
    pub vocabulary_file: Option<PathBuf>,
    /// AUTH_MODE and its like, USER_REQUESTS_PER_MINUTE, CONSOLE, and CORS_ALLOWED_ORIGINS.
    pub access: AccessConfig,
    /// LOG_FORMAT.
    pub log_format: LogFormat,
    /// RUST_LOG: directives of `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// OTEL_EXPORTER_OTLP_ENDPOINT: the collector that gets spans; `None`: they are not exported.
    pub otlp_endpoint: Option<String>,
    /// INSTANCE_NAME: names this instance in lock tokens and logs.
    pub instance: String,
}

/// The database.
#[derive(Clone)]
pub enum DatabaseConfig {
    /// MySQL or MariaDB.
    Mysql {
        /// Where it is, and how to log in.
        address: MysqlAddress,
        /// DB_MAX_CONNECTIONS: the size of the connection pool.
        max_connections: u32,
        /// DATABASE_READ_URL: where lists and states are read. `None`: at `address`.
        replica: Option<ReplicaConfig>,
    },
    /// A file that is created when it does not exist.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

impl DatabaseConfig {
    /// Most descriptors that its connections may hold.
    pub fn descriptors(&self) -> u64 {
        match self {
            Self::Mysql { max_connections, replica: None, .. } => (*max_connections).into(),
            Self::Mysql { max_connections, .. } => 2 * u64::from(*max_connections),
            // A few connections of three files each.
            Self::Sqlite { .. } => 16,
        }
    }
}

/// A replica of the database.
#[derive(Clone)]
pub struct ReplicaConfig {
    /// Where it is, and how to log in.
    pub address: MysqlAddress,
    /// DATABASE_READ_WAIT_MS: how long a read waits for a replica that is behind before it goes to the primary.
    pub wait: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// An invalid setting; displays as one line with the variable, its value and the permitted values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable}={value:?} is not valid: {allowed}")]
pub struct ConfigError {
    /// The name of the environment variable.
    pub variable: &'static str,
    /// The value, or `***` where it may hold a secret.
    pub value: String,
    /// The permitted values.
    pub allowed: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads settings from `lookup`; an empty value counts as not set.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env(lookup);
        let database = services::database(&env)?;
        let embedded = matches!(database, DatabaseConfig::Sqlite { .. });
        let config = Self {
            database,
            sample_data: env.flag("SAMPLE_DATA", embedded)?,
            redis: services::redis(&env)?,
            host: host(&env)?,
            port: env.port("PORT", 8000, 0)?,
            lock_ttl: env.seconds("LOCK_TTL_SECS", 300, 1, 86_400)?,
            lock_wait: env.seconds("LOCK_WAIT_SECS", 10, 0, 60)?,
            run_timeout: env.seconds("RUN_TIMEOUT_SECS", 60, 1, 3_600)?,
            max_recommendations: env.integer("MAX_RECOMMENDATIONS", 50, 1, 100)? as usize,
            max_runs: env.integer("MAX_RUNS", 256, 1, 100_000)? as usize,
            slow_run: slow_run(&env)?,
            queue_workers: env.integer("QUEUE_WORKERS", 2, 0, 100)? as usize,
            batch_workers: env.integer("BATCH_WORKERS", 1, 0, 100)? as usize,
            queue_lease: env.seconds("QUEUE_LEASE_SECS", 90, 1, 1_800)?,
            queue_max_attempts: env.integer("QUEUE_MAX_ATTEMPTS", 5, 1, 100)? as u32,
            scheduler: scheduler(&env)?,
            drain_timeout: env.seconds("DRAIN_TIMEOUT_SECS", 30, 0, 3_600)?,
            shutdown_delay: env.seconds("SHUTDOWN_DELAY_SECS", 0, 0, 3_600)?,
            server: server(&env)?,
            catalogue_refresh: env.seconds("CATALOGUE_REFRESH_SECS", 60, 1, 86_400)?,
            catalogue_reload: env.seconds("CATALOGUE_RELOAD_SECS", 21_600, 60, 604_800)?,
            database_start_timeout: env.seconds("DATABASE_START_TIMEOUT_SECS", 60, 0, 3_600)?,
            vocabulary_file: env.get("VOCABULARY_FILE").map(PathBuf::from),
            access: access::access(&env)?,
            log_format: log_format(&env)?,
            log_filter: log_filter(&env)?,
            otlp_endpoint: otlp_endpoint(&env)?,
            instance: env.get("INSTANCE_NAME").unwrap_or_else(host_name),
        };
        if config.lock_ttl <= config.run_timeout {
            let value = config.lock_ttl.as_secs().to_string();
            let allowed = format!("more than RUN_TIMEOUT_SECS ({})", config.run_timeout.as_secs());
            return Err(refused("LOCK_TTL_SECS", &value, &allowed));
        }
        let longest_run = config.run_timeout + config.lock_wait;
        if config.queue_lease <= longest_run {
            let value = config.queue_lease.as_secs().to_string();
            let allowed =
                format!("more than RUN_TIMEOUT_SECS and LOCK_WAIT_SECS together ({})", longest_run.as_secs());
            return Err(refused("QUEUE_LEASE_SECS", &value, &allowed));
        }
        Ok(config)
    }
}

/// Secrets are redacted, so that a configuration can be logged.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = match &self.database {
            DatabaseConfig::Mysql { address, .. } => address.to_string(),
            DatabaseConfig::Sqlite { path } => format!("sqlite://{}", path.display()),
        };
        let replica = match &self.database {
            DatabaseConfig::Mysql { replica, .. } => {
                replica.as_ref().map(|replica| replica.address.to_string())
            }
            DatabaseConfig::Sqlite { .. } => None,
        };
        f.debug_struct("Config")
            .field("database", &database)
            .field("read_replica", &replica)
            .field("sample_data", &self.sample_data)
            .field("redis", &self.redis)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("lock_ttl", &self.lock_ttl)
            .field("lock_wait", &self.lock_wait)
            .field("auth", &self.access.auth)
            .field("run_timeout", &self.run_timeout)
            .field("max_recommendations", &self.max_recommendations)
            .field("queue_workers", &self.queue_workers)
            .field("batch_workers", &self.batch_workers)
            .field("queue_lease", &self.queue_lease)
            .field("scheduler", &self.scheduler.enabled)
            .field("catalogue_refresh", &self.catalogue_refresh)
            .field("vocabulary_file", &self.vocabulary_file)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// An IP address, or `localhost`.
fn host(env: &Env<'_>) -> Result<IpAddr, ConfigError> {
    let Some(value) = env.word("HOST") else { return Ok(Ipv4Addr::LOCALHOST.into()) };
    if value.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let address = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or(&value);
    address.parse().map_err(|_| refused("HOST", &value, "an IP address to listen on, or localhost"))
}

fn slow_run(env: &Env<'_>) -> Result<Option<Duration>, ConfigError> {
    let limit = env.integer("SLOW_RUN_MS", 1_000, 0, 3_600_000)?;
    Ok((limit > 0).then(|| Duration::from_millis(limit)))
}

fn scheduler(env: &Env<'_>) -> Result<SchedulerConfig, ConfigError> {
    let zone = env.get("SCHEDULER_TIME_ZONE").unwrap_or_else(|| "Asia/Seoul".to_owned());
    let zone = time_zone(&zone)
        .ok_or_else(|| refused("SCHEDULER_TIME_ZONE", &zone, "a time zone such as Asia/Seoul or UTC"))?;
    let schedule = |variable, default: &str| {
        let expression = env.get(variable).unwrap_or_else(|| default.to_owned());
        Schedule::new(&expression, zone)
            .map_err(|_| refused(variable, &expression, "minute, hour, day of month, month and day of week"))
    };
    let retention = env.integer("RETENTION_DAYS", 10, 0, 36_500)?;
    Ok(SchedulerConfig {
        enabled: env.flag("SCHEDULER_ENABLED", true)?,
        batch: schedule("BATCH_CRON", "0 3 * * *")?,
        clean_up: schedule("CLEAN_UP_CRON", "0 4 * * *")?,
        quiet: env.seconds("SECOND_PASS_QUIET_SECS", 180, 0, 86_400)?,
        retention: (retention > 0).then(|| TimeDelta::days(retention as i64)),
    })
}

fn server(env: &Env<'_>) -> Result<ServerConfig, ConfigError> {
    Ok(ServerConfig {
        head_timeout: env.seconds("HEAD_TIMEOUT_SECS", 10, 1, 3_600)?,
        body_timeout: env.seconds("BODY_TIMEOUT_SECS", 10, 1, 3_600)?,
        response_timeout: env.seconds("RESPONSE_TIMEOUT_SECS", 30, 1, 3_600)?,
        keep_alive_timeout: env.seconds("KEEP_ALIVE_TIMEOUT_SECS", 75, 1, 3_600)?,
        max_connections: env.integer("MAX_CONNECTIONS", 1_000, 8, 100_000)? as usize,
    })
}

fn log_format(env: &Env<'_>) -> Result<LogFormat, ConfigError> {
    let Some(value) = env.word("LOG_FORMAT") else { return Ok(LogFormat::Text) };
    match value.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(refused("LOG_FORMAT", &value, "text or json")),
    }
}

fn log_filter(env: &Env<'_>) -> Result<String, ConfigError> {
    let filter = env.get("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(_) => Err(refused("RUST_LOG", &filter, "directives such as info or job_agent=debug,sqlx=warn")),
    }
}

/// Without its value where it is refused: it may hold a password.
fn otlp_endpoint(env: &Env<'_>) -> Result<Option<String>, ConfigError> {
    let endpoint = env.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    if endpoint.as_deref().is_some_and(|endpoint| !endpoint.starts_with("http://")) {
        return Err(refused(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "***",
            "a collector such as http://localhost:4318",
        ));
    }
    Ok(endpoint)
}

fn host_name() -> String {
    hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|_| "job-agent".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn error(variables: &[(&str, &str)]) -> String {
        config(variables).expect_err("refused").to_string()
    }

    #[test]
    fn nothing_set_is_the_embedded_default_without_redis() {
        let config = config(&[]).unwrap();
        assert!(
            matches!(&config.database, DatabaseConfig::Sqlite { path } if path.ends_with("data/job-agent.db"))
        );
        assert!(config.redis.is_none());
        assert_eq!((config.host.to_string(), config.port), ("127.0.0.1".to_owned(), 8000));
        assert_eq!(config.lock_ttl, Duration::from_secs(300));
        assert_eq!(config.lock_wait, Duration::from_secs(10));
    }

    #[test]
    fn a_wrong_value_is_refused_in_one_line_with_its_name_and_what_is_allowed() {
        assert_eq!(error(&[("PORT", "80x")]), "PORT=\"80x\" is not valid: an integer from 0 to 65535");
        assert!(error(&[("HOST", "here")]).contains("HOST=\"here\""));
        assert!(error(&[("MAX_RECOMMENDATIONS", "0")]).contains("1 to 100"));
        assert!(error(&[("LOG_FORMAT", "xml")]).contains("text or json"));
        assert!(error(&[("RUST_LOG", "a=b=c")]).contains("RUST_LOG"));
        assert!(
            error(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]).contains("http://localhost:4318")
        );
        assert!(error(&[("CORS_ALLOWED_ORIGINS", "example.com")]).contains("CORS_ALLOWED_ORIGINS"));
        assert!(error(&[("LOCK_TTL_SECS", "60")]).contains("more than RUN_TIMEOUT_SECS (60)"));
        assert!(error(&[("QUEUE_LEASE_SECS", "70")]).contains("together (70)"));
        assert!(error(&[("BATCH_CRON", "at night")]).contains("BATCH_CRON=\"at night\""));
        assert!(error(&[("SCHEDULER_TIME_ZONE", "Seoul")]).contains("Asia/Seoul"));
    }

    #[test]
    fn secrets_are_neither_in_errors_nor_in_debug_output() {
        let refused = error(&[("DATABASE_URL", "postgres://u:hunter2@h/db")]);
        assert!(refused.contains("DATABASE_URL=\"***\"") && !refused.contains("hunter2"), "{refused}");
        let refused = error(&[("REDIS_URL", "ftp://:hunter2@h")]);
        assert!(!refused.contains("hunter2"), "{refused}");
        let config = config(&[
            ("DATABASE_URL", "mysql://u:hunter2@h:3307/db"),
            ("DATABASE_READ_URL", "mysql://u:hunter2@replica/db"),
            ("REDIS_URL", "redis://:hunter2@r:6380/2"),
        ]);
        let shown = format!("{:?}", config.unwrap());
        assert!(shown.contains("mysql://u@h:3307/db") && shown.contains("r:6380/2"), "{shown}");
        assert!(shown.contains("mysql://u@replica:3306/db"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn host_variables_make_a_mysql_and_a_redis_address() {
        let shown = format!(
            "{:?}",
            config(&[
                ("DB_HOST", "mysql"),
                ("DB_PASSWORD", "p@/ss"),
                ("REDIS_HOST", "redis"),
                ("REDIS_DB", "3")
            ])
            .unwrap()
        );
        assert!(
            shown.contains("mysql://root@mysql:3306/dreampath") && shown.contains("redis:6379/3"),
            "{shown}"
        );
    }

    #[test]
    fn a_replica_is_one_of_mysql() {
        let replica = ("DATABASE_READ_URL", "mysql+pymysql://u:p@replica/db");
        let read = config(&[("DB_HOST", "h"), replica, ("DATABASE_READ_WAIT_MS", "0")]).unwrap();
        assert!(matches!(
            read.database,
            DatabaseConfig::Mysql { replica: Some(ReplicaConfig { wait: Duration::ZERO, .. }), .. }
        ));
        assert_eq!(read.database.descriptors(), 20);
        assert!(error(&[replica]).contains("beside DATABASE_URL"), "an embedded file has none");
        let refused = error(&[("DB_HOST", "h"), ("DATABASE_READ_URL", "postgres://u:hunter2@h/db")]);
        assert!(refused.contains("DATABASE_READ_URL=\"***\""), "{refused}");
        assert!(error(&[("DB_HOST", "h"), replica, ("DATABASE_READ_WAIT_MS", "9999")]).contains("0 to 2000"));
    }

    #[test]
    fn sentinels_tell_the_host_and_the_other_settings_of_redis_stay() {
        let redis = |variables: &[_]| config(variables).map(|config| format!("{:?}", config.redis.unwrap()));
        let sentinels = ("REDIS_SENTINELS", "one:26380,two");
        let alone = redis(&[sentinels, ("REDIS_SENTINEL_MASTER", "lists"), ("REDIS_DB", "3")]).unwrap();
        assert_eq!(alone, "RedisAddress(lists of the sentinels one:26380,two:26379/3)");
        let with_url = redis(&[sentinels, ("REDIS_URL", "rediss://:hunter2@h/2")]).unwrap();
        assert_eq!(with_url, "RedisAddress(mymaster of the sentinels one:26380,two:26379/2)");
        let refused = error(&[("REDIS_SENTINELS", "redis://:hunter2@one")]);
        assert!(refused.contains("REDIS_SENTINELS=") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn values_are_taken_as_platforms_hand_them_over() {
        let port = |value| config(&[("PORT", value)]).map(|config| config.port);
        for value in ["9000", " 9000 ", "\"9000\"", "'9000'", "9000\r", "9000 # the port", "9e3", "9000.0"] {
            assert_eq!(port(value), Ok(9000), "{value:?}");
        }
        for value in ["\"\"", "''", " ", "\"  \""] {
            assert_eq!(port(value), Ok(8000), "{value:?} counts as not set");
        }
        for value in ["-1", "9000.5", "nan", "65536", "1e+06", "inf"] {
            assert!(port(value).is_err(), "{value:?}");
        }
        let scheduler =
            |value| config(&[("SCHEDULER_ENABLED", value)]).map(|config| config.scheduler.enabled);
        for (value, enabled) in
            [("True", true), ("\"true\"", true), ("1", true), ("False", false), ("no", false)]
        {
            assert_eq!(scheduler(value), Ok(enabled), "{value:?}");
        }
        assert!(scheduler("perhaps").is_err());
        let host = |value| config(&[("HOST", value)]).map(|config| config.host.to_string()).ok();
        assert_eq!(host("localhost").as_deref(), Some("127.0.0.1"));
        assert_eq!(host("[::1]").as_deref(), Some("::1"));
        assert!(config(&[("BATCH_CRON", "\"0 3 * * *\""), ("LOG_FORMAT", "JSON")]).is_ok());
    }

    #[test]
    fn addresses_that_kubernetes_injects_do_not_stop_the_start() {
        let config = config(&[
            ("DB_HOST", "db"),
            ("DB_PORT", "tcp://10.96.0.11:3307"),
            ("DB_SERVICE_HOST", "10.96.0.11"),
            ("REDIS_HOST", "redis"),
            ("REDIS_PORT", "tcp://10.96.0.10:6380"),
            ("REDIS_PORT_6380_TCP", "tcp://10.96.0.10:6380"),
        ]);
        let shown = format!("{:?}", config.unwrap());
        assert!(shown.contains("db:3307/dreampath") && shown.contains("redis:6380/0"), "{shown}");
    }

    #[test]
    fn sample_data_is_the_default_in_the_embedded_file_only() {
        let sample_data = |variables: &[_]| config(variables).unwrap().sample_data;
        assert!(sample_data(&[]));
        assert!(!sample_data(&[("SAMPLE_DATA", "false")]));
        assert!(!sample_data(&[("DB_HOST", "mysql")]));
        assert!(!sample_data(&[("DB_HOST", "mysql"), ("SAMPLE_DATA", "")]));
        assert!(sample_data(&[("DB_HOST", "mysql"), ("SAMPLE_DATA", "true")]));
    }

    #[test]
    fn other_databases_are_refused_in_one_line() {
        let refused = error(&[("DB_TYPE", "postgres"), ("DB_HOST", "h")]);
        assert_eq!(refused, "DB_TYPE=\"postgres\" is not valid: this service needs MySQL or MariaDB");
        for url in [
            "postgresql://u:hunter2@h/db",
            "postgres://u:hunter2@h/db",
            "postgresql+asyncpg://u:hunter2@h/db",
        ] {
            let refused = error(&[("DATABASE_URL", url)]);
            assert!(refused.contains("needs MySQL or MariaDB") && !refused.contains("hunter2"), "{refused}");
        }
        assert!(config(&[("DB_TYPE", "MySQL"), ("DB_HOST", "h")]).is_ok());
        assert!(config(&[("DATABASE_URL", "mysql+pymysql://u:p@h/db?charset=utf8mb4")]).is_ok());
    }

    #[test]
    fn every_variable_is_documented_in_the_example() {
        let example = include_str!("../../.env.example");
        let asked = std::cell::RefCell::new(Vec::new());
        let lookup = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            match name {
                "DB_HOST" | "REDIS_HOST" | "REDIS_SENTINELS" => Some("h".to_owned()),
                "DATABASE_READ_URL" => Some("mysql://h/db".to_owned()),
                _ => None,
            }
        };
        Config::from_lookup(&lookup).unwrap();
        for name in asked.into_inner() {
            assert!(
                example.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{name}="))),
                "{name}"
            );
        }
    }
}
