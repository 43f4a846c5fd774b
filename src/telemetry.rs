//! The log, and, in builds with the feature `otlp`, spans of requests and runs for a collector of OpenTelemetry.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat};

#[cfg(feature = "otlp")]
#[path = "telemetry/otlp.rs"]
mod export;
#[cfg(not(feature = "otlp"))]
#[path = "telemetry/no_export.rs"]
mod export;

pub use self::export::Exporter;

/// Sets up the log on standard error and, if it is configured, the export of spans, for the rest of the process. Spans
/// that wait are sent when the exporter is dropped.
///
/// # Errors
/// The export cannot be set up.
pub fn init(config: &Config) -> Result<Option<Exporter>, Box<dyn std::error::Error>> {
    let exporter =
        config.otlp_endpoint.as_deref().map(|endpoint| Exporter::new(endpoint, config)).transpose()?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(&config.log_filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => begin(logs.finish(), exporter.as_ref()),
        LogFormat::Json => begin(logs.json().flatten_event(true).finish(), exporter.as_ref()),
    }
    Ok(exporter)
}

fn begin<S>(logs: S, exporter: Option<&Exporter>)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    logs.with(exporter.map(Exporter::layer)).init();
}
