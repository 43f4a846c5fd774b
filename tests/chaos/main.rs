//! The fault campaign: a real database, a real Redis and three instances, with a proxy on every link. Everything
//! that can be killed is killed, and a checker holds the recorded histories to the invariants of
//! `docs/guarantees.md`.
//!
//! ```text
//! campaign      many histories on one cluster; the hunt for mutants; the counts; failovers: their sum
//! play          one history: clients and faults for six seconds or until the primary has changed twice; rest, check
//! ├ clients     triggers, changed profiles and listings, readers; each logs its requests and answers
//! ├ probe       callers that show for how long there is no service
//! ├ faults/     links, processes, interleavings and failovers, at random or at a chosen step
//! └ rest        the system after the faults: nothing pending, nothing open, every pool whole
//! history       the record of one history
//! checker       the invariants, as pure functions of a history; oracle: the rows that inputs must give
//! cluster       three instances, their links and servers
//! ├ instance    a process of the service      ├ server     MySQL, MariaDB and Redis as processes
//! ├ topology/   replicated engines            │
//! ├ proxy/      a link that can be hurt       └ database   the harness's own view, with an audit by triggers
//! mutants       known bugs that the campaign must catch, one patch each
//! ```
//!
//! `scripts/chaos` starts it. The checker's own tests run with all others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod campaign;
mod checker;
mod clients;
mod cluster;
mod database;
mod failovers;
mod faults;
mod history;
mod instance;
mod mutants;
mod oracle;
mod play;
mod probe;
mod proxy;
mod rest;
mod server;
mod topology;

use std::sync::Arc;

use campaign::Campaign;
use cluster::Settings;
use server::Servers;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(value) => value.parse().ok().unwrap_or_else(|| panic!("{name}={value} is not valid")),
        Err(_) => default,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes to hours: run it with scripts/chaos"]
async fn campaign() {
    let settings = Settings {
        database: setting("CHAOS_DATABASE", "mysql".to_owned()),
        topology: std::env::var("CHAOS_TOPOLOGY").ok().map(|name| {
            topology::Kind::named(&name).unwrap_or_else(|| panic!("there is no topology {name}"))
        }),
        with_redis: !setting("CHAOS_WITHOUT_REDIS", false),
        mutant: None,
    };
    let campaign = Campaign {
        servers: Arc::new(Servers::take_over(&settings).await),
        settings,
        seed: setting("CHAOS_SEED", fastrand::u64(..1_000_000)),
        histories: setting("CHAOS_HISTORIES", 10),
    };
    let mutants = mutants::built();
    if mutants.is_empty() {
        campaign.expect_no_violation().await;
    } else {
        campaign.expect_all_caught(mutants).await;
    }
}
