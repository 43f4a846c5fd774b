//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::contest::Course;
use super::scenarios;

/// Measures the service beside the work of its databases. `scripts/bench` starts the servers.
#[derive(Clone, Parser)]
#[command(name = "scripts/bench")]
pub struct Arguments {
    /// Scenarios by name; all if there is none.
    #[arg(value_parser = scenarios::names())]
    pub scenarios: Vec<String>,
    /// Shows the scenarios.
    #[arg(long)]
    pub list: bool,
    /// Small and short: whether the bench works, not how fast the service is.
    #[arg(long)]
    pub quick: bool,
    /// Rounds in which the sides alternate.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds for each side in each round.
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
    /// Users of the batches.
    #[arg(long, default_value_t = 10_000)]
    pub batch_users: i64,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draws the ratios as SVG.
    #[arg(long, value_name = "FILE")]
    pub chart: Option<PathBuf>,
    /// Figures that an earlier run has written with --json, shown beside the new ones.
    #[arg(long, value_name = "FILE")]
    pub before: Option<PathBuf>,
    /// Measures nothing, but shows the figures that --json has written; several times: all of them.
    #[arg(long, value_name = "FILE")]
    pub from: Vec<PathBuf>,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
    /// Serves the bare handler of `fast` on this database, with so many connections.
    #[arg(long, hide = true, num_args = 2)]
    pub serve_handler: Option<Vec<String>>,
}

/// Sizes and times.
#[derive(Clone, Copy)]
pub struct Options {
    pub quick: bool,
    pub course: Course,
    /// Listings in the database.
    pub listings: usize,
    /// Listings of the scenarios about size.
    pub many_listings: usize,
    pub users: i64,
    /// Different users: the others are as one of these.
    pub persons: usize,
    pub batch_users: i64,
    /// Users with the most callers at once.
    pub crowd: usize,
}

impl Arguments {
    /// The sizes and times that these arguments stand for.
    pub fn options(&self) -> Options {
        let course = Course { rounds: self.rounds, time: Duration::from_secs_f64(self.seconds), rate: None };
        if self.quick {
            let course = Course { rounds: 1, time: Duration::from_millis(100), rate: None };
            return Options {
                quick: true,
                course,
                listings: 2_000,
                many_listings: 4_000,
                users: 80,
                persons: 20,
                batch_users: 80,
                crowd: 50,
            };
        }
        Options {
            quick: false,
            course,
            listings: 100_000,
            many_listings: 1_000_000,
            users: 2_000,
            persons: 500,
            batch_users: self.batch_users,
            crowd: 1_000,
        }
    }
}
