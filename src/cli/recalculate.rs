//! `job-agent recalculate`

use std::io::Write;
use std::process::ExitCode;

use super::Result;
use crate::app::App;
use crate::calculator::Outcome;
use crate::config::Config;
use crate::domain::UserId;

pub(super) async fn recalculate(config: &Config, user: UserId, force: bool) -> Result {
    let app = App::build(config).await?;
    let outcome = app.calculator.calculate(user, force).await;
    app.close().await;
    let (line, code) = match outcome? {
        Outcome::Computed { saved_count } => (format!("computed: {saved_count} stored"), ExitCode::SUCCESS),
        Outcome::UpToDate { saved_count } => (format!("up to date: {saved_count} stored"), ExitCode::SUCCESS),
        Outcome::Queued(_) => ("already in progress: the trigger is queued".to_owned(), ExitCode::from(2)),
        Outcome::NoProfileAnalysis => ("the user has no analysis".to_owned(), ExitCode::from(2)),
        Outcome::NoJobRecommendations => {
            ("the user has no recommended careers".to_owned(), ExitCode::from(2))
        }
    };
    writeln!(std::io::stdout(), "user {user}: {line}")?;
    Ok(code)
}
