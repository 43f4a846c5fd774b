//! Commands with which an operator steps in: `job-agent retry`, `roll-back` and `unlock`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::Result;
use crate::app;
use crate::background::Triggers;
use crate::config::Config;
use crate::coordination::Wakeups;
use crate::domain::UserId;
use crate::ranking;

/// The users that `job-agent retry` makes due.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Retry {
    /// This user, parked or waiting
    user_id: Option<UserId>,
    /// All parked users
    #[arg(long)]
    all: bool,
    /// The parked users whose last failure has this code, such as internal_error
    #[arg(long)]
    code: Option<String>,
}

pub(super) async fn retry(config: &Config, arguments: &Retry) -> Result {
    let store = app::open_store(config).await?;
    let wakeups = Arc::new(Wakeups::new(app::connect_redis(config).await?, TaskTracker::new()));
    let triggers = Triggers::new(store.clone(), wakeups.clone());
    let line = match arguments.user_id {
        Some(user) if triggers.retry(user).await? => Ok(format!("user {user} is due")),
        Some(user) => Err(format!("user {user} is not known")),
        None => {
            let users = triggers.retry_parked(arguments.code.as_deref()).await?;
            Ok(format!("{users} parked users are due"))
        }
    };
    wakeups.close().await;
    store.close().await;
    writeln!(std::io::stdout(), "{}", line?)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn roll_back(config: &Config) -> Result {
    let store = app::open_store(config).await?;
    let scoring = ranking::scoring_revision(&*app::vocabulary(config)?);
    let mut after = None;
    while let Some(through) = store.lower_scoring(scoring, after).await? {
        after = Some(through);
    }
    store.close().await;
    writeln!(std::io::stdout(), "lists of newer versions are replaced when their users are calculated next")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn unlock(config: &Config, user: UserId) -> Result {
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
