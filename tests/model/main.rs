//! Explores the protocol exhaustively, under every order of events (docs/model.md).
//!
//! ```text
//! world/      one user, the processes that work on it, and every event that is possible
//! properties  conditions that hold in every state, and situations that occur in some
//! scenarios   how often each event may happen, and the resulting number of states
//! failovers   the same with several servers, and counterexamples to promises that these cannot keep
//! mutants     changes to the protocol that must break a property
//! ../spec/    the effect of every statement on the user, shared with the tests on real databases
//! ```
//!
//! `cargo test --test model` explores small scenarios, counterexamples and the mutants, in seconds. The large scenarios take
//! minutes: `cargo test --test model -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod failovers;
mod mutants;
mod properties;
mod scenarios;
#[path = "../spec/state.rs"]
mod spec;
mod world;

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use self::failovers::NOT_PROMISED;
use self::mutants::MUTANTS;
use self::properties::POSSIBLE;
use self::scenarios::{LARGE, SMALL};
use self::world::{Event, Scenario, World};

struct Explored {
    states: usize,
    /// The situations that occurred.
    possible: BTreeSet<&'static str>,
}

/// Explores a scenario completely; panics with the counterexample if a property does not hold.
fn explore(name: &str, scenario: Scenario) -> Explored {
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let all = HasDiscoveries::AnyFailures;
    let checker = scenario.checker().threads(threads).finish_when(all).spawn_bfs().join();
    let discoveries = checker.discoveries();
    for (property, path) in &discoveries {
        if !is_possible(property) {
            let end = path.last_state().clone();
            panic!("{name}: {property} does not hold: {:#?}\n{end:#?}", path.clone().into_actions());
        }
    }
    let states = checker.unique_state_count();
    println!(
        "{name}: {states} states, {} steps, {} deep, {:.1?}",
        checker.state_count(),
        checker.max_depth(),
        started.elapsed()
    );
    Explored { states, possible: discoveries.into_keys().collect() }
}

fn is_possible(property: &str) -> bool {
    POSSIBLE.iter().any(|(name, _)| *name == property)
}

/// A shortest way to break the property.
fn counterexample(scenario: &Scenario, property: &'static str) -> Option<Vec<Event>> {
    let mut shortest: Option<Vec<Event>> = None;
    // When the checker stops it reports the counterexample that it found last, not the shortest: search again
    // for one with fewer steps, until there is none.
    loop {
        let fewer_steps = shortest.as_ref().map_or(usize::MAX, |events| events.len() + 1);
        let search = scenario.clone().checker().target_max_depth(fewer_steps);
        let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
        match search.finish_when(found).spawn_bfs().join().discovery(property) {
            Some(path) => shortest = Some(path.into_actions()),
            None => return shortest,
        }
    }
}

/// Visits every world once, depth first, and panics if a world can return: without a way back, every sequence of
/// events comes to rest.
fn count_worlds_without_return(scenario: &Scenario) -> usize {
    let mut path: Vec<(World, Vec<World>)> = Vec::new();
    let mut on_path = HashSet::new();
    let mut done = HashSet::new();
    for start in scenario.init_states() {
        on_path.insert(start.clone());
        path.push((start.clone(), scenario.next_states(&start)));
        while let Some((world, next)) = path.last_mut() {
            match next.pop() {
                Some(next) if done.contains(&next) => {}
                Some(next) => {
                    assert!(on_path.insert(next.clone()), "returns: {next:#?}");
                    let following = scenario.next_states(&next);
                    path.push((next, following));
                }
                None => {
                    on_path.remove(world);
                    done.insert(world.clone());
                    path.pop();
                }
            }
        }
    }
    done.len()
}

#[test]
fn every_promise_is_kept_in_small_scenarios() {
    keep_every_promise(&SMALL);
}

#[test]
#[ignore = "takes minutes"]
fn every_promise_is_kept_in_large_scenarios() {
    keep_every_promise(&LARGE);
}

/// Explores scenarios completely. Together they must reach every situation that is possible.
fn keep_every_promise(scenarios: &[(&str, Scenario, usize)]) {
    let (mut seen, mut counted) = (BTreeSet::new(), Vec::new());
    for (name, scenario, _) in scenarios {
        let explored = explore(name, scenario.clone());
        counted.push((*name, explored.states));
        seen.extend(explored.possible);
    }
    assert_eq!(counted, scenarios.iter().map(|(name, _, states)| (*name, *states)).collect::<Vec<_>>());
    assert_eq!(seen, POSSIBLE.iter().map(|(name, _)| *name).collect());
}

#[test]
fn every_sequence_of_events_comes_to_rest() {
    for (name, scenario, states) in SMALL {
        assert_eq!(count_worlds_without_return(&scenario), states, "{name}");
    }
}

#[test]
fn every_mutant_is_caught() {
    let mut shortest = Vec::new();
    for (mutant, scenario, property, _) in MUTANTS {
        let mutated = Scenario { mutant: Some(mutant), ..scenario };
        let Some(events) = counterexample(&mutated, property) else { panic!("{mutant:?} is not caught") };
        println!("{mutant:?}: after {} steps, {property} does not hold: {events:?}", events.len());
        shortest.push((mutant, events.len()));
    }
    assert_eq!(shortest, MUTANTS.map(|(mutant, _, _, steps)| (mutant, steps)));
}

#[test]
fn every_promise_that_some_servers_cannot_keep_has_a_counterexample() {
    let mut shortest = Vec::new();
    for (name, scenario, property, _) in NOT_PROMISED {
        let Some(events) = counterexample(&scenario, property) else { panic!("{name}: {property} holds") };
        println!("{name}: after {} steps, {property} does not hold: {events:#?}", events.len());
        shortest.push((name, events.len()));
    }
    assert_eq!(shortest, NOT_PROMISED.map(|(name, _, _, steps)| (name, steps)));
}

#[test]
fn the_document_has_every_counterexample() {
    let document = include_str!("../../docs/model.md");
    for (place, (name, _, property, steps)) in NOT_PROMISED.iter().enumerate() {
        let promise = property.split(' ').next().unwrap();
        let row = format!("\n| {} | {name} | {promise} | {steps} |", place + 1);
        assert!(document.contains(&row), "missing in docs/model.md: {row}");
    }
}
