//! The command line.

mod batch;
mod evaluate;
mod healthcheck;
mod import;
mod operator;
mod recalculate;
mod serve;
mod status;
mod vocabulary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::Config;
use crate::domain::UserId;

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
    Migrate {
        /// On MySQL and MariaDB, also create the tables of other services that do not exist, for demonstrations
        #[arg(long)]
        source_tables: bool,
    },
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
    /// Show which careers of the users the vocabulary lacks
    Vocabulary(vocabulary::Arguments),
    /// Make users due, for the running instances to serve: the active users, as the nightly batch does, unless
    /// an option says otherwise. Joins the running batch, if any
    Batch(batch::Arguments),
    /// Show the queue and the last batch, or the state of one user's list
    Status { user_id: Option<UserId> },
    /// Make a parked or waiting user, or many parked ones, due now
    Retry(operator::Retry),
    /// After a roll-back to an older version (or an older VOCABULARY_FILE): let this version replace the lists
    /// of the newer one. Until then it leaves them alone
    RollBack,
    /// Show the holder of a user's lock in Redis and remove the lock
    Unlock { user_id: UserId },
    /// Ask the service at HOST:PORT whether it is healthy (for containers)
    Healthcheck,
}

impl Cli {
    /// Runs the command.
    pub async fn run(self, config: Config) -> Result {
        match self.command.unwrap_or_default() {
            Command::Serve => serve::serve(&config).await,
            Command::Migrate { source_tables } => {
                let store = app::open_store(&config).await?;
                if source_tables {
                    store.create_source_tables().await?;
                }
                store.close().await;
                Ok(ExitCode::SUCCESS)
            }
            Command::Recalculate { user_id, force } => {
                recalculate::recalculate(&config, user_id, force).await
            }
            Command::Import { file, site_name } => import::import(&config, &file, site_name.as_deref()).await,
            Command::Evaluate(arguments) => evaluate::evaluate(&config, &arguments),
            Command::Vocabulary(arguments) => vocabulary::vocabulary(&config, &arguments).await,
            Command::Batch(arguments) => batch::batch(&config, &arguments).await,
            Command::Status { user_id } => status::status(&config, user_id).await,
            Command::Retry(arguments) => operator::retry(&config, &arguments).await,
            Command::RollBack => operator::roll_back(&config).await,
            Command::Unlock { user_id } => operator::unlock(&config, user_id).await,
            Command::Healthcheck => healthcheck::healthcheck(&config).await,
        }
    }
}
