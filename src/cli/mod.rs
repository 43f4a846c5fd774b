//! The command line.

mod batch;
mod evaluate;
mod import;
mod status;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::app::{self, App};
use crate::calculator::Outcome;
use crate::config::{Config, DatabaseConfig};
use crate::domain::UserId;
use crate::lifecycle;
use crate::coordination::Wakeups;
use crate::ranking;
use crate::storage::Lane;

type Result<T = ExitCode> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Keeps every user's job recommendations right and fresh.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Default, Subcommand)]
enum Command {
    /// Serve HTTP and background triggers (the default)
    #[default]
    Serve,
    /// Bring the database schema up to date
    Migrate,
    /// Recalculate one user's list
    Recalculate {
        user_id: UserId,
        /// Write even if nothing has changed
        #[arg(long)]
        force: bool,
    },
    /// Import job listings from a JSONL or CSV file, updating those that exist.
    /// Exits with status 2 if lines were skipped
    Import {
        file: PathBuf,
        /// The site of lines that do not name one
        #[arg(long)]
        site_name: Option<String>,
    },
    /// Rank listings for graded queries as in production, write the run to standard output, best first,
    /// and, given grades, nDCG@10, MRR and P@5 to standard error. Needs no database
    Evaluate(evaluate::Arguments),
    /// Mark users due, for the running instances to serve: active users, as the nightly batch does, unless
    /// told otherwise. Joins the batch that is running, if any
    Batch(batch::Arguments),
    /// Show the queue and the last batch, or how current one user's list is
    Status { user_id: Option<UserId> },
    /// Mark a user due who is parked, or waits for another attempt
    Retry { user_id: UserId },
    /// After going back to an older version (or an older VOCABULARY_FILE): let this one replace the lists that
    /// the newer one has calculated. Until then it leaves them alone
    RollBack,
    /// Show who holds a user's lock in Redis and remove it
    Unlock { user_id: UserId },
    /// Ask the service at HOST:PORT whether it is healthy (for containers)
    Healthcheck,
}

impl Cli {
    /// Runs the command.
    pub async fn run(self, config: Config) -> Result {
        match self.command.unwrap_or_default() {
            Command::Serve => serve(&config).await,
            Command::Migrate => {
                app::open_store(&config).await?.close().await;
                Ok(ExitCode::SUCCESS)
            }
            Command::Recalculate { user_id, force } => recalculate(&config, user_id, force).await,
            Command::Import { file, site_name } => import::import(&config, &file, site_name.as_deref()).await,
            Command::Evaluate(arguments) => evaluate::evaluate(&config, &arguments),
            Command::Batch(arguments) => batch::batch(&config, &arguments).await,
            Command::Status { user_id } => status::status(&config, user_id).await,
            Command::Retry { user_id } => retry(&config, user_id).await,
            Command::RollBack => roll_back(&config).await,
            Command::Unlock { user_id } => unlock(&config, user_id).await,
            Command::Healthcheck => healthcheck(&config).await,
        }
    }
}

async fn serve(config: &Config) -> Result {
    tracing::info!(?config, "starting");
    let stop = lifecycle::stop_on_signals()?;
    let Some(app) = stop.run_until_cancelled(App::build(config)).await else { return Ok(ExitCode::SUCCESS) };
    let app = app?;
    let listener = TcpListener::bind((config.host, config.port))
        .await
        .map_err(|error| format!("cannot listen on {}:{}: {error}", config.host, config.port))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    if matches!(config.database, DatabaseConfig::Sqlite { .. }) {
        let api = format!("http://{address}/api/job-agent/recommendations");
        writeln!(
            std::io::stdout(),
            "job-agent listens on http://{address}. Try:\n\n  \
             curl -X POST '{api}/calculate/1'\n  curl '{api}/fast/1?limit=3'\n"
        )?;
    }
    app.serve(listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

async fn recalculate(config: &Config, user: UserId, force: bool) -> Result {
    let app = App::build(config).await?;
    let outcome = app.calculator.calculate(user, force).await;
    app.close().await;
    let (line, code) = match outcome? {
        Outcome::Computed { saved_count } => (format!("computed: {saved_count} stored"), ExitCode::SUCCESS),
        Outcome::UpToDate { saved_count } => (format!("up to date: {saved_count} stored"), ExitCode::SUCCESS),
        Outcome::Queued => ("already in progress: the trigger is queued".to_owned(), ExitCode::from(2)),
        Outcome::NoProfileAnalysis => ("the user has no analysis".to_owned(), ExitCode::from(2)),
        Outcome::NoJobRecommendations => {
            ("the user has no recommended careers".to_owned(), ExitCode::from(2))
        }
    };
    writeln!(std::io::stdout(), "user {user}: {line}")?;
    Ok(code)
}

async fn retry(config: &Config, user: UserId) -> Result {
    let store = app::open_store(config).await?;
    let wakeups = Wakeups::new(app::connect_redis(config).await?, TaskTracker::new());
    let known = store.user_status(user).await?.is_some();
    if known {
        store.request_run(user).await?;
        wakeups.due(Lane::RealTime);
        wakeups.close().await;
    }
    store.close().await;
    if !known {
        return Err(format!("user {user} is not known").into());
    }
    writeln!(std::io::stdout(), "user {user} is due")?;
    Ok(ExitCode::SUCCESS)
}

async fn roll_back(config: &Config) -> Result {
    let store = app::open_store(config).await?;
    let scoring = ranking::scoring_revision(&*app::vocabulary(config)?);
    let mut after = 0;
    while let Some(through) = store.lower_scoring(scoring, after).await? {
        after = through;
    }
    store.close().await;
    writeln!(std::io::stdout(), "lists of newer versions are replaced when their users are calculated next")?;
    Ok(ExitCode::SUCCESS)
}

async fn unlock(config: &Config, user: UserId) -> Result {
    let Some(redis) = app::connect_redis(config).await?.map(|link| app::redis_lock(config, link)) else {
        return Err("no Redis is configured: there are no locks to remove".into());
    };
    let line = match redis.holder(user).await? {
        None => format!("user {user} is not locked"),
        Some(holder) if redis.remove(user, &holder).await? => {
            format!("user {user}: removed the lock of {holder}")
        }
        Some(holder) => format!("user {user}: {holder} has just released the lock"),
    };
    writeln!(std::io::stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}

async fn healthcheck(config: &Config) -> Result {
    // A service that listens everywhere is reached on the loopback address.
    let host = match config.host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let answer =
        tokio::time::timeout(Duration::from_secs(3), get_health((host, config.port).into())).await??;
    let healthy = answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200");
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn get_health(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
