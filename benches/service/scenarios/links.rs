//! The same over other links to MySQL and Redis.

use super::calculate::{self, Runs};
use super::fast::Reads;
use crate::bare::WITHOUT_TLS;
use crate::delay::Delay;
use crate::report::Case;
use crate::stage::{Link, Stage};

/// Each way; there and back it is a millisecond.
const DELAY: std::time::Duration = std::time::Duration::from_micros(500);

/// The default of DB_MAX_CONNECTIONS.
pub async fn ten_connections(stage: &Stage, scenario: &str) -> Vec<Case> {
    measure(stage, scenario, &Link { connections: 10, ..stage.link() }).await
}

/// MySQL without TLS.
pub async fn without_tls(stage: &Stage, scenario: &str) -> Vec<Case> {
    let link = stage.link();
    measure(stage, scenario, &Link { mysql: format!("{}?{WITHOUT_TLS}", link.mysql), ..link }).await
}

/// A network instead of the same machine.
pub async fn delay(stage: &Stage, scenario: &str) -> Vec<Case> {
    let link = stage.link();
    let (mysql, redis) = (Delay::of_url(&link.mysql, DELAY), Delay::of_url(&link.redis, DELAY));
    measure(stage, scenario, &Link { mysql: mysql.url, redis: redis.url, ..link }).await
}

async fn measure(stage: &Stage, scenario: &str, link: &Link) -> Vec<Case> {
    let course = stage.options.course;
    let versions = stage.start_versions(link).await;
    let mut cases = Vec::new();
    for &(what, change) in calculate::changes(stage) {
        let runs = Runs::prepare(stage, link, &versions, change).await;
        let changes = runs.changes();
        for callers in [1, 32] {
            let sides = runs.alternate(&changes, callers, course).await;
            cases.push(Case::new(scenario, format!("{what}, {}", super::callers(callers)), "/s", sides));
        }
        runs.end().await;
    }
    let reads = Reads::prepare(stage, link, &versions).await;
    for callers in [1, 32] {
        let mut sides = reads.alternate(callers, course).await;
        sides.iter_mut().for_each(|side| side.wanted.clear());
        cases.push(Case::new(scenario, format!("fast, {}", super::callers(callers)), "/s", sides));
    }
    cases
}
