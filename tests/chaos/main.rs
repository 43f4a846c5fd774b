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
mod mutants;
mod oracle;
mod proxy;
mod server;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{Cluster, Settings, database_server};
use server::DatabaseServer;
use tokio::sync::Mutex;

/// From so many histories on, every fault must have come about.
const LONG: u64 = 50;

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
        mutant: None,
    };
    let server = database_server(&settings).await;
    match std::env::var("CHAOS_MUTANT").ok() {
        None => {
            let found = run(settings, server, seed, histories).await;
            assert!(found.violated.is_empty(), "violations: {:?}", found.violated);
            let never = found.never;
            assert!(histories < LONG || never.is_empty(), "a long campaign without {never:?}");
        }
        Some(wanted) => {
            let mutants = mutants::named(&wanted);
            assert!(!mutants.is_empty(), "{wanted} is no mutant");
            let mut alive = Vec::new();
            for mutant in mutants {
                let settings = Settings { mutant: Some(mutant.clone()), ..settings.clone() };
                let caught = run(settings, server.clone(), seed, histories).await;
                if caught.violated.is_empty() {
                    alive.push(mutant.clone());
                }
                let (histories, seconds) = (caught.histories, caught.took.as_secs_f64());
                say(&format!(
                    "MUTANT {mutant}: {:?} in history {histories}, {seconds:.1} s",
                    caught.violated
                ));
            }
            assert!(alive.is_empty(), "mutants that live: {alive:?}");
        }
    }
}

/// What a campaign has found.
struct Findings {
    /// Faults that did not come about.
    never: Vec<String>,
    violated: BTreeMap<checker::Invariant, u64>,
    /// Histories that were run.
    histories: u64,
    took: Duration,
}

/// Runs so many histories, or, with a mutant, until it is caught.
async fn run(settings: Settings, server: Arc<Mutex<DatabaseServer>>, seed: u64, histories: u64) -> Findings {
    say(&format!("up to {histories} histories from seed {seed} on: {settings:?}"));
    let cluster = Arc::new(Cluster::start(settings, server).await);
    let started = Instant::now();
    let mut violated = BTreeMap::new();
    let mut number = 0;
    while number < histories && (cluster.settings.mutant.is_none() || violated.is_empty()) {
        let outcome = campaign::run(&cluster, number, seed + number).await;
        number += 1;
        let history = &outcome.history;
        let triggers: usize = history.users.values().map(|user| user.triggers.len()).sum();
        say(&format!(
            "seed {}: {triggers} triggers, {:.1} s, at rest after {:.1} s, checked in {:.1} s{}",
            history.seed,
            outcome.took.as_secs_f64(),
            history.at_rest.seconds_to_converge,
            outcome.checked_in.as_secs_f64(),
            if history.fault_free { ", without faults" } else { "" },
        ));
        if !outcome.violations.is_empty() {
            for violation in outcome.violations.iter().take(20) {
                say(&format!("  VIOLATION {violation}"));
            }
            for violation in &outcome.violations {
                *violated.entry(violation.invariant).or_default() += 1;
            }
            say(&format!("  kept in {}", campaign::keep(&cluster, &outcome).display()));
        }
    }
    let took = started.elapsed();
    let never = report(&cluster, took);
    Findings { never, violated, histories: number, took }
}

/// Prints what happened and returns the faults that did not.
fn report(cluster: &Cluster, took: Duration) -> Vec<String> {
    let counts = cluster.counts.all();
    let of =
        |kind: &str| counts.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, n)| n).sum::<u64>();
    let (operations, faults) = (of("operation"), of("fault"));
    say(&format!("{operations} operations and {faults} faults in {:.0} s", took.as_secs_f64()));
    for (name, number) in &counts {
        say(&format!("{number:>8} {name}"));
    }
    let mut never = faults::names(&cluster.settings);
    never.retain(|name| !counts.contains_key(&format!("fault: {name}")));
    never
}
