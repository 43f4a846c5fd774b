//! The fault campaign: real servers, three instances, proxies on every link, everything that can be killed is
//! killed, and a checker that holds what happened to the invariants of `docs/guarantees.md`.
//!
//! `scripts/chaos` starts it. The checker's own tests run with all others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod campaign;
mod checker;
mod clients;
mod cluster;
mod database;
mod faults;
mod history;
mod instance;
mod oracle;
mod proxy;
mod server;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{Cluster, Settings};

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(value) => value.parse().ok().unwrap_or_else(|| panic!("{name}={value} is not valid")),
        Err(_) => default,
    }
}

/// Printed at once, whatever captures the output of tests.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes to hours: run it with scripts/chaos"]
async fn campaign() {
    let histories: u64 = setting("CHAOS_HISTORIES", 10);
    let seed: u64 = setting("CHAOS_SEED", fastrand::u64(..1_000_000));
    let settings = Settings {
        database: setting("CHAOS_DATABASE", "mysql".to_owned()),
        with_redis: !setting("CHAOS_WITHOUT_REDIS", false),
        mutant: std::env::var("CHAOS_MUTANT").ok(),
    };
    say(&format!("{histories} histories from seed {seed} on: {settings:?}"));
    let started = Instant::now();
    let cluster = Arc::new(Cluster::start(settings).await);
    let mut violated: BTreeMap<checker::Invariant, u64> = BTreeMap::new();
    let mut bad = 0;
    for number in 0..histories {
        let outcome = campaign::run(&cluster, number, seed + number).await;
        let triggers: usize = outcome.history.users.values().map(|user| user.triggers.len()).sum();
        let snapshots: usize = outcome.history.users.values().map(|user| user.snapshots.len()).sum();
        say(&format!(
            "seed {}: {triggers} triggers, {snapshots} snapshots, {:.1} s, converged in {:.1} s, checked in {:.1} s{}",
            seed + number,
            outcome.took.as_secs_f64(),
            outcome.history.at_rest.seconds_to_converge,
            outcome.checked_in.as_secs_f64(),
            if outcome.history.fault_free { ", without faults" } else { "" },
        ));
        if !outcome.violations.is_empty() {
            bad += 1;
            for violation in outcome.violations.iter().take(20) {
                say(&format!("  VIOLATION {violation}"));
            }
            for violation in &outcome.violations {
                *violated.entry(violation.invariant).or_default() += 1;
            }
            say(&format!("  kept in {}", campaign::keep(&cluster, &outcome).display()));
            if cluster.settings.mutant.is_some() {
                break;
            }
        }
    }
    report(&cluster, started.elapsed());
    match &cluster.settings.mutant {
        None => assert_eq!(bad, 0, "histories with violations: {violated:?}"),
        Some(mutant) => {
            assert!(bad > 0, "the mutant {mutant} lives");
            say(&format!("mutant {mutant}: {violated:?} after {:.1} s", started.elapsed().as_secs_f64()));
        }
    }
}

fn report(cluster: &Cluster, took: Duration) {
    let counts = cluster.counts.all();
    let sum =
        |kind: &str| counts.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, n)| n).sum::<u64>();
    say(&format!("{} operations, {} faults in {:.0} s", sum("operation"), sum("fault"), took.as_secs_f64()));
    for (name, number) in &counts {
        say(&format!("{number:>8} {name}"));
    }
}
