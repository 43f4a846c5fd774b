//! `job-agent batch`: makes users due and, with `--watch`, shows how the instances serve them.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Result;
use crate::app;
use crate::background::Batches;
use crate::config::Config;
use crate::coordination::Wakeups;
use crate::domain::{BatchId, UserId};
use crate::storage::{BatchScope, BatchStatus, BatchStore};

/// How often the progress is read.
const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The users in this file, one id per line, instead of the active ones
    #[arg(long, conflicts_with = "all")]
    users: Option<PathBuf>,
    /// Every user in the table of users
    #[arg(long)]
    all: bool,
    /// Show the progress until the batch is finished; exits with status 2 if users were parked
    #[arg(long)]
    watch: bool,
}

pub(super) async fn batch(config: &Config, arguments: &Arguments) -> Result {
    let scope = match &arguments.users {
        Some(file) => BatchScope::Listed(read_users(file)?),
        None if arguments.all => BatchScope::All,
        None => BatchScope::Active,
    };
    let store = app::open_store(config).await?;
    let wakeups = Arc::new(Wakeups::new(app::connect_redis(config).await?, TaskTracker::new()));
    let batches = Batches::new(store.clone(), wakeups.clone());
    let opened = batches.open(&scope).await?;
    if opened.joined && scope != BatchScope::Active {
        store.close().await;
        let id = opened.id;
        return Err(format!("batch {id} is running, for its own users: try again when it is finished").into());
    }
    let how = if opened.joined { "is running already: joined" } else { "opened" };
    writeln!(std::io::stdout(), "batch {} {how}", opened.id)?;
    // This process makes the users due itself: no instance may be running yet.
    let stop = CancellationToken::new();
    let keeping = tokio::spawn({
        let (batches, stop) = (batches.clone(), stop.clone());
        async move { batches.keep(stop).await }
    });
    let finished = if arguments.watch {
        Some(watch(store.as_ref(), opened.id).await?)
    } else {
        marked(store.as_ref(), opened.id).await?;
        None
    };
    stop.cancel();
    keeping.await?;
    wakeups.close().await;
    store.close().await;
    let Some(batch) = finished else { return Ok(ExitCode::SUCCESS) };
    writeln!(
        std::io::stdout(),
        "{} users: {} calculated, {} current, {} parked",
        batch.marked,
        batch.computed,
        batch.unchanged,
        batch.parked
    )?;
    Ok(if batch.parked == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// One id per line; empty lines and what follows a # are ignored.
fn read_users(file: &Path) -> Result<Vec<UserId>> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let users = lines.enumerate().filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
        line.parse().map_err(|error| format!("{shown}, line {}: {line:?}: {error}", number + 1).into())
    });
    users.collect()
}

/// Waits until all users are due, and prints their number.
async fn marked(store: &dyn BatchStore, id: BatchId) -> Result<()> {
    loop {
        let batch = status(store, id).await?;
        if batch.marking_ended_at.is_some() {
            writeln!(std::io::stdout(), "{} users are due", batch.marked)?;
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn status(store: &dyn BatchStore, id: BatchId) -> Result<BatchStatus> {
    // The store opens a later batch only when this one is finished.
    let batch = store.latest_batch().await?.filter(|batch| batch.id == id);
    batch.ok_or_else(|| format!("batch {id} is finished, and a later one has been opened").into())
}

async fn watch(store: &dyn BatchStore, id: BatchId) -> Result<BatchStatus> {
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} users, {per_sec}, {eta} left, {msg}",
    )?);
    let mut said = Instant::now();
    loop {
        let asked = Instant::now();
        let batch = status(store, id).await?;
        let done = batch.computed + batch.unchanged + batch.parked;
        bar.set_length(batch.marked.max(0).unsigned_abs());
        bar.set_position(done.max(0).unsigned_abs());
        bar.set_message(format!("{} running, {} parked", batch.running, batch.parked));
        if batch.finished_at.is_some() {
            bar.finish_and_clear();
            return Ok(batch);
        }
        // A progress bar needs a terminal; a log gets a line now and then.
        if !std::io::stderr().is_terminal() && said.elapsed() >= 10 * POLL {
            said = Instant::now();
            tracing::info!(
                done,
                total = batch.marked,
                running = batch.running,
                parked = batch.parked,
                "batch"
            );
        }
        // Counting a million users takes long: leave the database time for other work.
        tokio::time::sleep(POLL.max(10 * asked.elapsed())).await;
    }
}
