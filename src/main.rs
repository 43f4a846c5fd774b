//! The command `job-agent`: reads the environment, sets up logging and runs one command of [`job_agent::cli`].

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use job_agent::cli::Cli;
use job_agent::config::{Config, LogFormat};

/// A run makes thousands of small allocations on several threads, where the system's allocator spends a sixth of the
/// service's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    init_logging(&config);
    tokio::runtime::Runtime::new()?.block_on(cli.run(config))
}

fn init_logging(config: &Config) {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(&config.log_filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
