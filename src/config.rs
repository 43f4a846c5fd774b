//! The configuration: one typed struct, read from the environment (and `.env`).
//!
//! `.env.example` documents every variable; a test holds the two against each other.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::mysql::MySqlConnectOptions;

use crate::background::{Schedule, SchedulerConfig, time_zone};
use crate::coordination::RedisAddress;
use crate::http::Origin;
use crate::http::server::ServerConfig;

/// All settings of the service.
#[derive(Clone)]
pub struct Config {
    pub database: DatabaseConfig,
    /// `None`: locks hold within this process only.
    pub redis: Option<RedisAddress>,
    pub host: IpAddr,
    pub port: u16,
    pub lock_ttl: Duration,
    pub lock_wait: Duration,
    pub run_timeout: Duration,
    pub max_recommendations: usize,
    /// Runs that requests may have in flight.
    pub max_runs: usize,
    /// Background runs in real time at the same time, …
    pub queue_workers: usize,
    /// … and runs of a batch.
    pub batch_workers: usize,
    pub queue_lease: Duration,
    pub queue_max_attempts: u32,
    pub scheduler: SchedulerConfig,
    /// How long a stop waits for what has begun.
    pub drain_timeout: Duration,
    /// How long a stop goes on to accept connections, not ready, before it begins to drain.
    pub shutdown_delay: Duration,
    pub server: ServerConfig,
    pub catalogue_refresh: Duration,
    /// How often all listings are read again, for changes that no `updated_at` gives away.
    pub catalogue_reload: Duration,
    /// How long the start waits for a database that is not reachable yet.
    pub database_start_timeout: Duration,
    /// Replaces the built-in career vocabulary.
    pub vocabulary_file: Option<PathBuf>,
    pub cors_allowed_origins: Vec<Origin>,
    pub log_format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// Names this instance in lock tokens and logs.
    pub instance: String,
}

/// Where the data is.
#[derive(Clone)]
pub enum DatabaseConfig {
    /// MySQL or MariaDB; `shown` is the address without the password.
    Mysql { options: Box<MySqlConnectOptions>, max_connections: u32, shown: String },
    /// A file that is created, with sample data, when it does not exist.
    Sqlite { path: PathBuf },
}

impl DatabaseConfig {
    /// Most descriptors that its connections may hold.
    pub fn descriptors(&self) -> u64 {
        match self {
            Self::Mysql { max_connections, .. } => (*max_connections).into(),
            // A few connections of three files each.
            Self::Sqlite { .. } => 16,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A setting that cannot be used; one line that says which, what it is and what it may be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable}={value:?} is not valid: {allowed}")]
pub struct ConfigError {
    pub variable: &'static str,
    /// The value, or `***` where it may hold a secret.
    pub value: String,
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
        let config = Self {
            database: database(&env)?,
            redis: redis(&env)?,
            host: env.parse("HOST", "127.0.0.1", "an IP address to listen on")?,
            port: env.integer("PORT", 8000, 0, 65_535)? as u16,
            lock_ttl: env.seconds("LOCK_TTL_SECS", 300, 1, 86_400)?,
            lock_wait: env.seconds("LOCK_WAIT_SECS", 10, 0, 60)?,
            run_timeout: env.seconds("RUN_TIMEOUT_SECS", 60, 1, 3_600)?,
            max_recommendations: env.integer("MAX_RECOMMENDATIONS", 50, 1, 100)? as usize,
            max_runs: env.integer("MAX_RUNS", 256, 1, 100_000)? as usize,
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
            cors_allowed_origins: origins(&env)?,
            log_format: match env.get("LOG_FORMAT").as_deref() {
                None | Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                Some(other) => return Err(refused("LOG_FORMAT", other, "text or json")),
            },
            log_filter: log_filter(&env)?,
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
            DatabaseConfig::Mysql { shown, .. } => shown.clone(),
            DatabaseConfig::Sqlite { path } => format!("sqlite://{}", path.display()),
        };
        f.debug_struct("Config")
            .field("database", &database)
            .field("redis", &self.redis)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("lock_ttl", &self.lock_ttl)
            .field("lock_wait", &self.lock_wait)
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

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn get(&self, variable: &str) -> Option<String> {
        (self.0)(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parse<T: FromStr>(
        &self,
        variable: &'static str,
        default: &str,
        allowed: &str,
    ) -> Result<T, ConfigError> {
        let value = self.get(variable).unwrap_or_else(|| default.to_owned());
        value.parse().map_err(|_| refused(variable, &value, allowed))
    }

    fn integer(&self, variable: &'static str, default: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        let allowed = format!("an integer from {min} to {max}");
        let value: u64 = self.parse(variable, &default.to_string(), &allowed)?;
        if (min..=max).contains(&value) {
            Ok(value)
        } else {
            Err(refused(variable, &value.to_string(), &allowed))
        }
    }

    fn seconds(
        &self,
        variable: &'static str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<Duration, ConfigError> {
        self.integer(variable, default, min, max).map(Duration::from_secs)
    }
}

fn refused(variable: &'static str, value: &str, allowed: &str) -> ConfigError {
    ConfigError { variable, value: value.to_owned(), allowed: allowed.to_owned() }
}

/// `DATABASE_URL`, else `DB_HOST` and the like, else the embedded default.
fn database(env: &Env<'_>) -> Result<DatabaseConfig, ConfigError> {
    const ALLOWED: &str = "mysql://user:password@host:port/database or sqlite://path/to/file.db";
    let max_connections = env.integer("DB_MAX_CONNECTIONS", 10, 2, 1_000)? as u32;
    let mysql = |options: MySqlConnectOptions| {
        let shown = format!(
            "mysql://{}@{}:{}/{}",
            options.get_username(),
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default(),
        );
        DatabaseConfig::Mysql { options: Box::new(options), max_connections, shown }
    };
    if let Some(url) = env.get("DATABASE_URL") {
        if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            return Ok(DatabaseConfig::Sqlite { path: PathBuf::from(path) });
        }
        let options = (url.starts_with("mysql://") || url.starts_with("mariadb://"))
            .then(|| MySqlConnectOptions::from_str(&url).ok())
            .flatten()
            .filter(|options| options.get_database().is_some_and(|name| !name.is_empty()));
        return options.map(mysql).ok_or_else(|| refused("DATABASE_URL", "***", ALLOWED));
    }
    let Some(host) = env.get("DB_HOST") else {
        return Ok(DatabaseConfig::Sqlite { path: PathBuf::from("data/job-agent.db") });
    };
    let mut options = MySqlConnectOptions::new()
        .host(&host)
        .port(env.integer("DB_PORT", 3306, 1, 65_535)? as u16)
        .username(&env.get("DB_USER").unwrap_or_else(|| "root".to_owned()))
        .database(&env.get("DB_NAME").unwrap_or_else(|| "dreampath".to_owned()));
    if let Some(password) = env.get("DB_PASSWORD") {
        options = options.password(&password);
    }
    Ok(mysql(options))
}

/// `REDIS_URL`, else `REDIS_HOST` and the like, else none.
fn redis(env: &Env<'_>) -> Result<Option<RedisAddress>, ConfigError> {
    if let Some(url) = env.get("REDIS_URL") {
        // Refused without its value: the URL may hold a password.
        let refused = |_| refused("REDIS_URL", "***", "redis://[user:password@]host[:port][/db]");
        return RedisAddress::from_url(&url).map(Some).map_err(refused);
    }
    let Some(host) = env.get("REDIS_HOST") else { return Ok(None) };
    let port = env.integer("REDIS_PORT", 6379, 1, 65_535)? as u16;
    let db = env.integer("REDIS_DB", 0, 0, 1_000_000)? as i64;
    let password = env.get("REDIS_PASSWORD");
    RedisAddress::new(&host, port, db, password.as_deref())
        .map(Some)
        .map_err(|_| refused("REDIS_HOST", &host, "a host name"))
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
        enabled: env.parse("SCHEDULER_ENABLED", "true", "true or false")?,
        batch: schedule("BATCH_CRON", "0 3 * * *")?,
        clean_up: schedule("CLEAN_UP_CRON", "0 4 * * *")?,
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

fn origins(env: &Env<'_>) -> Result<Vec<Origin>, ConfigError> {
    let default = "http://localhost:3000,http://localhost:3002,http://localhost:5173,\
                   https://dreampathai.link,https://www.dreampathai.link";
    let value = env.get("CORS_ALLOWED_ORIGINS").unwrap_or_else(|| default.to_owned());
    let allowed = "origins such as https://example.com, separated by commas";
    let parse = |origin: &str| origin.parse().map_err(|_| refused("CORS_ALLOWED_ORIGINS", &value, allowed));
    value.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(parse).collect()
}

fn log_filter(env: &Env<'_>) -> Result<String, ConfigError> {
    let filter = env.get("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(_) => Err(refused("RUST_LOG", &filter, "directives such as info or job_agent=debug,sqlx=warn")),
    }
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
            ("REDIS_URL", "redis://:hunter2@r:6380/2"),
        ]);
        let shown = format!("{:?}", config.unwrap());
        assert!(shown.contains("mysql://u@h:3307/db") && shown.contains("r:6380/2"), "{shown}");
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
    fn every_variable_is_documented_in_the_example() {
        let example = include_str!("../.env.example");
        let asked = std::cell::RefCell::new(Vec::new());
        let lookup = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            (name == "DB_HOST" || name == "REDIS_HOST").then(|| "h".to_owned())
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
