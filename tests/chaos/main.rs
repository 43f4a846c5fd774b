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
use mutants::Mutant;
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
    let mutants = mutants::built();
    if mutants.is_empty() {
        let found = run(settings, server, seed, histories).await;
        assert!(found.violated.is_empty(), "violations: {:?}", found.violated);
        let never = found.never;
        assert!(histories < LONG || never.is_empty(), "a long campaign without {never:?}");
    } else {
        let alive = hunt(mutants, &settings, &server, seed, histories).await;
        assert!(alive.is_empty(), "mutants that were not caught: {alive:?}");
    }
}

/// Runs a campaign on each mutant until it is caught; returns the names of those that were not.
async fn hunt(
    mutants: Vec<Mutant>,
    settings: &Settings,
    server: &Arc<Mutex<DatabaseServer>>,
    seed: u64,
    histories: u64,
) -> Vec<String> {
    let mut alive = Vec::new();
    for mutant in mutants {
        let settings = Settings { mutant: Some(mutant.clone()), ..settings.clone() };
        let found = run(settings, server.clone(), seed, histories).await;
        let (name, violated, seconds) = (&mutant.name, &found.violated, found.took.as_secs_f64());
        say(&format!("MUTANT {name}: {violated:?} in history {}, {seconds:.1} s", found.histories));
        if !found.catches(&mutant) {
            alive.push(mutant.name);
        }
    }
    alive
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

impl Findings {
    fn catches(&self, mutant: &Mutant) -> bool {
        mutant.caught_by.iter().any(|invariant| self.violated.contains_key(invariant))
    }
}

/// Runs this many histories; with a mutant, only until it is caught.
async fn run(settings: Settings, server: Arc<Mutex<DatabaseServer>>, seed: u64, histories: u64) -> Findings {
    say(&format!("up to {histories} histories from seed {seed} on: {settings:?}"));
    let cluster = Arc::new(Cluster::start(settings, server).await);
    let started = Instant::now();
    let mut found =
        Findings { never: Vec::new(), violated: BTreeMap::new(), histories: 0, took: Duration::ZERO };
    while found.histories < histories {
        let outcome = campaign::run(&cluster, found.histories, seed + found.histories).await;
        found.histories += 1;
        tell(&cluster, &outcome);
        for violation in &outcome.violations {
            *found.violated.entry(violation.invariant).or_default() += 1;
        }
        if cluster.settings.mutant.as_ref().is_some_and(|mutant| found.catches(mutant)) {
            break;
        }
    }
    found.took = started.elapsed();
    found.never = report(&cluster, found.took);
    found
}

/// Prints what became of a history, and keeps it if it violates something.
fn tell(cluster: &Cluster, outcome: &campaign::Outcome) {
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
    for violation in outcome.violations.iter().take(20) {
        say(&format!("  VIOLATION {violation}"));
    }
    if !outcome.violations.is_empty() {
        say(&format!("  kept in {}", campaign::keep(cluster, outcome).display()));
    }
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
