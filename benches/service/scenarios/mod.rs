//! The scenarios, by name.

mod background;
mod batch;
mod calculate;
mod crowd;
mod fast;
mod links;
mod size;
mod wakeup;

use super::report::Case;
use super::stage::Stage;
use super::users::Change;

/// The names, as on the command line, and what they measure.
pub const ALL: &[(&str, &str)] = &[
    ("all", "runs whose whole list changes: 1, 8 and 32 callers, and at a fixed rate"),
    ("tenth", "runs that change a tenth of the list"),
    ("nothing", "runs that find the list current"),
    ("fast", "reading lists: 1, 32 and 256 callers, beside a bare handler"),
    ("background", "triggers for the background, beside the statement that records one"),
    ("crowd", "a thousand callers of one user at once, on two instances"),
    ("wakeup", "from a release in another process until a waiter has the lock"),
    (
        "batch",
        "10,000 users, changed, a tenth changed and unchanged: 1 and 2 instances, beside a commit per user",
    ),
    ("start", "from the start of the process until it is ready, by the number of listings"),
    ("memory", "resident memory: idle without, with few and with many listings, and under load"),
    ("refresh", "10,000 changed listings, scattered over a million"),
    ("ten-connections", "all, nothing and fast with 10 connections to MySQL, the default, instead of 40"),
    ("without-tls", "all, nothing and fast without TLS"),
    (
        "delay",
        "all, nothing and fast over a link to MySQL and Redis that delays each way by half a millisecond",
    ),
];

/// For the command line.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// The scenarios with these names, or all.
pub fn wanted(names: &[String]) -> Vec<&'static str> {
    let is_wanted = |name: &&'static str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    self::names().into_iter().filter(is_wanted).collect()
}

/// As the name of a case.
fn callers(count: usize) -> String {
    if count == 1 { "1 caller".to_owned() } else { format!("{count} callers") }
}

/// Measures one scenario.
pub async fn measure(stage: &Stage, name: &str) -> Vec<Case> {
    match name {
        "all" => calculate::measure(stage, name, Change::All).await,
        "tenth" => calculate::measure(stage, name, Change::Tenth).await,
        "nothing" => calculate::measure(stage, name, Change::Nothing).await,
        "fast" => fast::measure(stage, name).await,
        "background" => background::measure(stage, name).await,
        "crowd" => crowd::measure(stage, name).await,
        "wakeup" => wakeup::measure(stage, name).await,
        "batch" => batch::measure(stage, name).await,
        "start" => size::start(stage, name).await,
        "memory" => size::memory(stage, name).await,
        "refresh" => size::refresh(stage, name).await,
        "ten-connections" => links::ten_connections(stage, name).await,
        "without-tls" => links::without_tls(stage, name).await,
        "delay" => links::delay(stage, name).await,
        name => unreachable!("{name} is no scenario"),
    }
}
