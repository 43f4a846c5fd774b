//! Histories one after the other on one cluster, and their sum.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checker::Invariant;
use super::cluster::{Cluster, Settings};
use super::failovers::Failovers;
use super::faults;
use super::mutants::Mutant;
use super::play::{self, Played};
use super::proxy::Step;
use super::server::Servers;

/// A campaign of this many histories must have had every fault.
const LONG: u64 = 50;
/// A campaign of this many histories must have recognised every statement of the protocol.
const SHORT: u64 = 10;

/// So many violations of an invariant are told per history; the kept history has all.
const TOLD: usize = 5;

pub struct Campaign {
    pub servers: Arc<Servers>,
    pub settings: Settings,
    /// The seed of the first history; the next ones count up from it.
    pub seed: u64,
    pub histories: u64,
}

/// The result of a campaign.
#[derive(Default)]
struct Findings {
    /// Faults that did not happen, and statements that were not recognised.
    missing: Vec<String>,
    /// How often each invariant was violated.
    violated: BTreeMap<Invariant, u64>,
    /// Histories that were played.
    histories: u64,
    took: Duration,
    failovers: Failovers,
}

impl Findings {
    fn catch(&self, mutant: &Mutant) -> bool {
        mutant.caught_by.iter().any(|invariant| self.violated.contains_key(invariant))
    }
}

impl Campaign {
    pub async fn expect_no_violation(&self) {
        let mut found = self.run(self.settings.clone()).await;
        found.violated.retain(|invariant, _| self.settings.promises(*invariant));
        assert!(found.violated.is_empty(), "violations: {:?}", found.violated);
        assert!(found.missing.is_empty(), "a campaign without {:?}", found.missing);
    }

    pub async fn expect_all_caught(&self, mutants: Vec<Mutant>) {
        let mut alive = Vec::new();
        for mutant in mutants {
            let settings = Settings { mutant: Some(mutant.clone()), ..self.settings.clone() };
            let found = self.run(settings).await;
            let (name, violated, seconds) = (&mutant.name, &found.violated, found.took.as_secs_f64());
            say(&format!("MUTANT {name}: {violated:?} in history {}, {seconds:.1} s", found.histories));
            if !found.catch(&mutant) {
                alive.push(mutant.name);
            }
        }
        assert!(alive.is_empty(), "mutants that were not caught: {alive:?}");
    }

    /// Plays all histories; with a mutant, only until it is caught.
    async fn run(&self, settings: Settings) -> Findings {
        say(&format!("up to {} histories from seed {} on: {settings}", self.histories, self.seed));
        let cluster = Arc::new(Cluster::start(settings, self.servers.clone()).await);
        let started = Instant::now();
        let mut found = Findings::default();
        while found.histories < self.histories {
            let played = play::history(&cluster, found.histories, self.seed + found.histories).await;
            found.histories += 1;
            tell(&cluster, &played);
            found.failovers.add(&played);
            for violation in &played.violations {
                *found.violated.entry(violation.invariant).or_default() += 1;
            }
            if cluster.settings.mutant.as_ref().is_some_and(|mutant| found.catch(mutant)) {
                break;
            }
        }
        found.took = started.elapsed();
        count_statements(&cluster);
        report(&cluster, found.took);
        if cluster.topology().is_some() {
            say(&found.failovers.table());
        }
        found.missing = self.missing(&cluster);
        found
    }

    /// Faults that should have happened in a campaign of this length, and did not. A fault at a statement that
    /// production words differently now would be among them, or hide behind another statement's: hence the
    /// statements, too.
    fn missing(&self, cluster: &Cluster) -> Vec<String> {
        let mut expected = Vec::new();
        if self.histories >= SHORT {
            expected.extend(Step::all().map(statement));
        }
        if self.histories >= LONG {
            expected.extend(faults::names(&cluster.settings).iter().map(|name| format!("fault: {name}")));
        }
        let counts = cluster.counts.all();
        expected.retain(|name| !counts.contains_key(name));
        expected
    }
}

/// Printed at once, even if the output of tests is captured.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a history's result, and keeps the history if it violates an invariant.
fn tell(cluster: &Cluster, played: &Played) {
    let history = &played.history;
    let triggers: usize = history.users.values().map(|user| user.triggers.len()).sum();
    let without_service: Vec<_> = history
        .changes
        .iter()
        .map(|change| format!(", {} ({:.1} s)", change.name, change.without_service_millis as f64 / 1e3))
        .collect();
    say(&format!(
        "seed {}: {triggers} triggers, {:.1} s, at rest after {:.1} s, checked in {:.1} s{}{}",
        history.seed,
        played.took.as_secs_f64(),
        history.at_rest.seconds_to_converge,
        played.checked_in.as_secs_f64(),
        if history.fault_free { ", without faults" } else { "" },
        without_service.concat(),
    ));
    let mut told: BTreeMap<Invariant, usize> = BTreeMap::new();
    for violation in &played.violations {
        let number = told.entry(violation.invariant).or_default();
        *number += 1;
        if *number <= TOLD {
            let promised = cluster.settings.promises(violation.invariant);
            say(&format!("  {} {violation}", if promised { "VIOLATION" } else { "not promised:" }));
        }
    }
    for (invariant, number) in told.iter().filter(|(_, number)| **number > TOLD) {
        say(&format!("  … {number} of {invariant}"));
    }
    if !played.violations.is_empty() {
        say(&format!("  kept in {}", play::keep(cluster, played).display()));
    }
}

fn count_statements(cluster: &Cluster) {
    for instance in &cluster.instances {
        for (step, number) in instance.database.seen() {
            cluster.counts.add_many(statement(step), number);
        }
    }
}

fn statement(step: Step) -> String {
    format!("statement: {step:?}")
}

/// Prints the counts.
fn report(cluster: &Cluster, took: Duration) {
    let counts = cluster.counts.all();
    let of =
        |kind: &str| counts.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, n)| n).sum::<u64>();
    let (operations, faults) = (of("operation"), of("fault"));
    say(&format!("{operations} operations and {faults} faults in {:.0} s", took.as_secs_f64()));
    for (name, number) in &counts {
        say(&format!("{number:>8} {name}"));
    }
}
