//! Where the database and Redis are.

use std::path::PathBuf;
use std::time::Duration;

use super::env::{Env, refused};
use super::{ConfigError, DatabaseConfig, ReplicaConfig};
use crate::coordination::{RedisAddress, Sentinels};
use crate::storage::MysqlAddress;

/// `DATABASE_URL`, else `DB_HOST` and the like, else the embedded default.
pub(super) fn database(env: &Env<'_>) -> Result<DatabaseConfig, ConfigError> {
    if let Some(kind) = env.word("DB_TYPE")
        && !matches!(kind.to_ascii_lowercase().as_str(), "mysql" | "mariadb" | "sqlite")
    {
        return Err(refused("DB_TYPE", &kind, "this service needs MySQL or MariaDB"));
    }
    const ALLOWED: &str = "mysql://user:password@host:port/database or sqlite://path/to/file.db";
    let max_connections = env.integer("DB_MAX_CONNECTIONS", 10, 2, 1_000)? as u32;
    let replica = replica(env)?;
    let is_read = replica.is_some();
    let embedded = |path| match is_read {
        true => Err(refused(
            "DATABASE_READ_URL",
            "***",
            "only beside DATABASE_URL of MySQL or MariaDB, or DB_HOST",
        )),
        false => Ok(DatabaseConfig::Sqlite { path }),
    };
    let mysql = |address| DatabaseConfig::Mysql { address, max_connections, replica };
    if let Some(url) = env.get("DATABASE_URL").map(without_driver) {
        if url.starts_with("postgres") {
            return Err(refused("DATABASE_URL", "***", "this service needs MySQL or MariaDB"));
        }
        if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            return embedded(PathBuf::from(path));
        }
        return MysqlAddress::from_url(&url).map(mysql).map_err(|_| refused("DATABASE_URL", "***", ALLOWED));
    }
    let Some(host) = env.get("DB_HOST") else {
        return embedded(PathBuf::from("data/job-agent.db"));
    };
    let port = env.port("DB_PORT", 3306, 1)?;
    let user = env.get("DB_USER").unwrap_or_else(|| "root".to_owned());
    let password = env.get("DB_PASSWORD");
    let name = env.get("DB_NAME").unwrap_or_else(|| "dreampath".to_owned());
    Ok(mysql(MysqlAddress::new(&host, port, &user, password.as_deref(), &name)))
}

/// `DATABASE_READ_URL` and how long it is waited for.
fn replica(env: &Env<'_>) -> Result<Option<ReplicaConfig>, ConfigError> {
    let Some(url) = env.get("DATABASE_READ_URL").map(without_driver) else { return Ok(None) };
    let address = MysqlAddress::from_url(&url)
        .map_err(|_| refused("DATABASE_READ_URL", "***", "mysql://user:password@host:port/database"))?;
    let wait = Duration::from_millis(env.integer("DATABASE_READ_WAIT_MS", 50, 0, 2_000)?);
    Ok(Some(ReplicaConfig { address, wait }))
}

/// SQLAlchemy names its driver in the scheme: mysql+pymysql://.
fn without_driver(url: String) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.split('+').next().unwrap_or_default()),
        None => url,
    }
}

/// `REDIS_URL`, else `REDIS_HOST` and the like, else none. With `REDIS_SENTINELS`, hosts are those of the sentinels.
pub(super) fn redis(env: &Env<'_>) -> Result<Option<RedisAddress>, ConfigError> {
    let sentinels = sentinels(env)?;
    // Sentinels tell the host.
    let host = || env.get("REDIS_HOST").or_else(|| sentinels.is_some().then(|| "localhost".to_owned()));
    let address = if let Some(url) = env.get("REDIS_URL") {
        // Refused without its value: the URL may hold a password.
        RedisAddress::from_url(&url)
            .map_err(|_| refused("REDIS_URL", "***", "redis[s]://[user:password@]host[:port][/db]"))?
    } else if let Some(host) = host() {
        let (port, tls) = (env.port("REDIS_PORT", 6379, 1)?, env.flag("REDIS_TLS", false)?);
        let address = RedisAddress::new(&host, port, tls)
            .map_err(|_| refused("REDIS_HOST", &host, "a host name"))?
            .database(env.integer("REDIS_DB", 0, 0, 1_000_000)? as i64);
        match (env.get("REDIS_USERNAME"), env.get("REDIS_PASSWORD")) {
            (username, Some(password)) => address.login(username.as_deref(), &password),
            (_, None) => address,
        }
    } else {
        return Ok(None);
    };
    let address = match sentinels {
        Some(sentinels) => address.found_by(sentinels),
        None => address,
    };
    Ok(Some(match env.get("REDIS_TLS_CA_FILE") {
        Some(path) => address.trusting(read_file("REDIS_TLS_CA_FILE", &path)?),
        None => address,
    }))
}

fn sentinels(env: &Env<'_>) -> Result<Option<Sentinels>, ConfigError> {
    let Some(hosts) = env.get("REDIS_SENTINELS") else { return Ok(None) };
    let group = env.get("REDIS_SENTINEL_MASTER").unwrap_or_else(|| "mymaster".to_owned());
    let sentinels = Sentinels::parse(&hosts, &group)
        .map_err(|_| refused("REDIS_SENTINELS", "***", "host:port of each sentinel, separated by commas"))?;
    Ok(Some(match (env.get("REDIS_SENTINEL_USERNAME"), env.get("REDIS_SENTINEL_PASSWORD")) {
        (username, Some(password)) => sentinels.login(username.as_deref(), &password),
        (_, None) => sentinels,
    }))
}

/// The content of a file that a setting names. Errors name variable and path.
fn read_file(variable: &'static str, path: &str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| refused(variable, path, &format!("a readable file ({error})")))
}
