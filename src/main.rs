//! The command `job-agent`: reads the environment, sets up logging and runs one command of [`job_agent::cli`].

use std::process::ExitCode;

use clap::Parser;
use job_agent::cli::Cli;
use job_agent::config::Config;
use job_agent::telemetry;
use tikv_jemallocator::Jemalloc;

/// A run makes thousands of small allocations on several threads, where the system's allocator spends a sixth of the
/// service's time. mimalloc is as fast, but keeps three times as much memory as is in use, and now and then more.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            // The one line an operator needs; logging may not be set up yet.
            #[expect(clippy::print_stderr)]
            {
                eprintln!("job-agent: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => return Err(format!(".env cannot be read: {error}").into()),
        _ => {}
    }
    let config = Config::from_env()?;
    let _exporter = telemetry::init(&config)?;
    tokio::runtime::Runtime::new()?.block_on(cli.run(config))
}
