//! `job-agent status`: the queue, the last batch or one user, with the causes of failures.

use std::io::Write;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};

use super::Result;
use crate::app;
use crate::config::Config;
use crate::domain::UserId;
use crate::storage::Store;

pub(super) async fn status(config: &Config, user: Option<UserId>) -> Result {
    let store = app::open_store(config).await?;
    let text = match user {
        Some(user) => of_user(store.as_ref(), user).await?,
        None => of_queue(store.as_ref()).await?,
    };
    store.close().await;
    write!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

async fn of_queue(store: &dyn Store) -> Result<String> {
    let counts = store.queue_counts().await?;
    let mut text = format!(
        "queue: {} due in real time, {} due in a batch, {} running, {} parked\n",
        counts.due_in_real_time, counts.due_in_batch, counts.running, counts.parked
    );
    match store.latest_batch().await? {
        None => text.push_str("no batch yet\n"),
        Some(batch) => {
            let ended =
                batch.finished_at.map_or("is running".to_owned(), |at| format!("finished {}", time(at)));
            text.push_str(&format!(
                "batch {} ({} users) opened {}, {ended}: {} marked, {} due, {} running, {} calculated, \
                 {} current, {} parked\n",
                batch.id,
                batch.scope,
                time(batch.opened_at),
                batch.marked,
                batch.due,
                batch.running,
                batch.computed,
                batch.unchanged,
                batch.parked
            ));
        }
    }
    Ok(text)
}

async fn of_user(store: &dyn Store, user: UserId) -> Result<String> {
    let Some(status) = store.user_status(user).await? else {
        return Ok(format!("user {user}: nothing is recorded\n"));
    };
    let at = |time_of: Option<DateTime<Utc>>| time_of.map_or("never".to_owned(), time);
    let mut text = format!(
        "user {user}: {} rows, calculated {}, last found current {}\n",
        status.saved_count,
        at(status.calculated_at),
        at(status.verified_at)
    );
    if let Some(parked) = status.parked_at {
        text.push_str(&format!("parked since {} after {} attempts\n", time(parked), status.attempts));
    } else if status.running {
        text.push_str(&format!("running, attempt {}\n", status.attempts));
    } else if status.pending {
        text.push_str(&format!(
            "due {} (asked for {}), {} attempts so far\n",
            at(status.due_at),
            at(status.requested_at),
            status.attempts
        ));
    }
    if let (Some(code), Some(cause)) = (status.last_error_code, status.last_error) {
        text.push_str(&format!("last error: {code}: {cause}\n"));
    }
    Ok(text)
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
