//! `job-agent serve`

use std::io::Write;
use std::process::ExitCode;

use tokio::net::TcpListener;

use super::Result;
use crate::app::App;
use crate::config::{Config, DatabaseConfig};
use crate::lifecycle;

pub(super) async fn serve(config: &Config) -> Result {
    tracing::info!(?config, "starting");
    let stop = lifecycle::stop_on_signals()?;
    let Some(app) = stop.run_until_cancelled(App::build(config)).await else { return Ok(ExitCode::SUCCESS) };
    let app = app?;
    let listener = TcpListener::bind((config.host, config.port))
        .await
        .map_err(|error| format!("cannot listen on {}:{}: {error}", config.host, config.port))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    if !address.ip().is_loopback() && config.access.auth.is_off() {
        tracing::warn!(
            "callers need no token: set AUTH_MODE, or let only trusted networks reach this address"
        );
    }
    if matches!(config.database, DatabaseConfig::Sqlite { .. }) {
        let api = format!("http://{address}/api/job-agent/recommendations");
        let console =
            if config.access.console { format!("\nor open http://{address}/\n") } else { String::new() };
        writeln!(
            std::io::stdout(),
            "job-agent listens on http://{address}. Try:\n\n  \
             curl -X POST '{api}/calculate/1'\n  curl '{api}/fast/1?limit=3'\n{console}"
        )?;
    }
    app.serve(listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}
