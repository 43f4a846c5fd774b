//! Explores the protocol exhaustively: what `world` describes, under every order of events.
//!
//! `cargo test --test model` explores small scenarios and the mutants, in seconds. The large scenarios, in
//! minutes: `cargo test --test model -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod properties;
#[path = "../spec/state.rs"]
mod spec;
mod world;

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use self::properties::{
    CONFIRMED, CONVERGES, DURABLE, ENDS, FORWARD, HONEST, NO_LEASE, NOT_SWALLOWED, PARKS_WHAT_FAILED,
    POSSIBLE,
};
use self::world::{Budget, Event, Protocol, World};

/// A change to the protocol that must not go unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A write does not compare the version.
    NoVersionCompare,
    /// A run reads its inputs before the state.
    InputsBeforeState,
    /// A run that loses the compare answers success.
    LoserAnswersSuccess,
    /// A run that finds the version moved since its request answers that the rows are current.
    VersionMovedSoSkip,
    /// A write whose answer is lost counts as committed.
    LostAnswerIsSuccess,
    /// A commit completes what is requested by then, not what was requested when the run began.
    CompletesAllRequested,
    /// 202 is sent before the trigger is recorded.
    AcceptBeforeCommit,
    /// A lease does not end with its time.
    LeaseNeverFreed,
    /// An attempt is counted when it fails, not when it begins.
    AttemptsCountedOnFailure,
    /// Rows of a newer scoring are replaced by an older one's.
    ScoringUnordered,
    /// Rows of newer listings are replaced by those of older ones.
    CatalogueUnordered,
    /// A replacement compares the version only, not the confirmations.
    ConfirmationsDoNotCount,
    /// A run that ends well un-parks a user, and forgets the trigger that was parked.
    UnparksWithoutDue,
    /// A worker that fails parks a trigger that came in after its claim.
    ParksWhatIsNew,
    /// The clean-up removes a list without moving the version.
    CleanUpDoesNotCount,
}

/// One user who is never asked for.
const CALM: Protocol = Protocol {
    profiles: &[1],
    catalogues: &[0],
    scorings: [0, 0],
    max_attempts: 1,
    budget: Budget {
        requests: 0,
        background: 0,
        batches: 0,
        dangling: 0,
        retentions: 0,
        crashes: 0,
        lost: 0,
        timeouts: 0,
        pauses: 0,
    },
    mutant: None,
};
const NONE: Budget = CALM.budget;

/// Two requests while the inputs change and change back.
const REQUESTS: Protocol = Protocol { profiles: &[1, 2, 1], budget: Budget { requests: 2, ..NONE }, ..CALM };
/// Two requests while the listings change and a newer scoring is rolled out.
const ROLLOUT: Protocol =
    Protocol { catalogues: &[0, 1], scorings: [0, 1], budget: Budget { requests: 2, ..NONE }, ..CALM };
/// A request whose career is gone and comes back, and an answer that is lost.
const LOST_ANSWER: Protocol =
    Protocol { profiles: &[1, 0, 1], budget: Budget { requests: 1, lost: 1, ..NONE }, ..CALM };
/// A trigger in the background, and a process that dies.
const CRASH: Protocol =
    Protocol { profiles: &[1, 2], budget: Budget { background: 1, crashes: 1, ..NONE }, ..CALM };
/// A request, a trigger in the background, and a run that takes too long.
const FAILURE: Protocol = Protocol {
    profiles: &[1, 2],
    budget: Budget { requests: 1, background: 1, timeouts: 1, ..NONE },
    ..CALM
};
/// Two triggers in the background, a run that takes too long, and a lease that ends before its worker.
const TAKE_OVER: Protocol =
    Protocol { budget: Budget { background: 2, timeouts: 1, pauses: 1, ..NONE }, ..CALM };
/// A batch, a listing that is gone, and a list that is removed because it is old.
const NIGHT: Protocol =
    Protocol { budget: Budget { requests: 1, batches: 1, retentions: 1, ..NONE }, ..CALM };

const SMALL: [(&str, Protocol, usize); 8] = [
    ("requests", REQUESTS, 6_038),
    ("rollout", ROLLOUT, 3_762),
    ("lost answer", LOST_ANSWER, 872),
    ("crash", CRASH, 774),
    ("failure", FAILURE, 74_880),
    ("take-over", TAKE_OVER, 8_658),
    ("night", NIGHT, 5_933),
    ("rollout at work", ROLLOUT_AT_WORK, 37_971),
];

/// A request and a trigger in the background, while the inputs change and change back, and an answer of the
/// database is lost.
const LOST_ANSWERS: Protocol = Protocol {
    profiles: &[1, 2, 1],
    max_attempts: 2,
    budget: Budget { requests: 1, background: 1, lost: 1, ..NONE },
    ..CALM
};
/// The same with a process that dies.
const CRASHES: Protocol =
    Protocol { budget: Budget { requests: 1, background: 1, crashes: 1, ..NONE }, ..LOST_ANSWERS };
/// The same with a process that dies and one that is paused.
const PAUSES: Protocol = Protocol {
    profiles: &[1, 2],
    budget: Budget { requests: 1, background: 1, crashes: 1, pauses: 1, ..NONE },
    ..LOST_ANSWERS
};
/// Three triggers, and a run that takes too long.
const FAILURES: Protocol =
    Protocol { budget: Budget { requests: 1, background: 2, timeouts: 1, ..NONE }, ..CALM };
/// A night with everything that a night has.
const LONG_NIGHT: Protocol = Protocol {
    budget: Budget { requests: 1, batches: 1, dangling: 1, retentions: 1, timeouts: 1, ..NONE },
    ..CALM
};
/// A request and a trigger in the background during a rollout.
const ROLLOUT_AT_WORK: Protocol =
    Protocol { budget: Budget { requests: 1, background: 1, ..NONE }, ..ROLLOUT };

const LARGE: [(&str, Protocol, usize); 5] = [
    ("lost answers", LOST_ANSWERS, 2_820_098),
    ("crashes", CRASHES, 873_014),
    ("pauses", PAUSES, 914_481),
    ("failures", FAILURES, 306_311),
    ("long night", LONG_NIGHT, 341_351),
];

/// Each with the property that fails, and the fewest steps to it.
const MUTANTS: [(Mutant, Protocol, &str, usize); 15] = [
    (Mutant::NoVersionCompare, REQUESTS, FORWARD, 9),
    (Mutant::InputsBeforeState, REQUESTS, FORWARD, 9),
    (Mutant::LoserAnswersSuccess, REQUESTS, HONEST, 10),
    (Mutant::VersionMovedSoSkip, REQUESTS, HONEST, 7),
    (Mutant::LostAnswerIsSuccess, LOST_ANSWER, HONEST, 4),
    (Mutant::CompletesAllRequested, FAILURE, NOT_SWALLOWED, 7),
    (Mutant::AcceptBeforeCommit, CRASH, DURABLE, 4),
    (Mutant::LeaseNeverFreed, CRASH, NO_LEASE, 5),
    (Mutant::AttemptsCountedOnFailure, CRASH, ENDS, 8),
    (Mutant::ScoringUnordered, ROLLOUT, FORWARD, 8),
    (Mutant::CatalogueUnordered, ROLLOUT, FORWARD, 10),
    (Mutant::ConfirmationsDoNotCount, REQUESTS, FORWARD, 10),
    (Mutant::UnparksWithoutDue, FAILURE, CONVERGES, 11),
    (Mutant::ParksWhatIsNew, TAKE_OVER, PARKS_WHAT_FAILED, 8),
    (Mutant::CleanUpDoesNotCount, NIGHT, CONFIRMED, 6),
];

struct Explored {
    states: usize,
    possible: BTreeSet<&'static str>,
}

/// Explores a protocol completely; panics with the counterexample if a property does not hold.
fn explore(name: &str, protocol: Protocol) -> Explored {
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let all = HasDiscoveries::AnyFailures;
    let checker = protocol.checker().threads(threads).finish_when(all).spawn_bfs().join();
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
fn counterexample(protocol: &Protocol, property: &'static str) -> Option<Vec<Event>> {
    let mut shortest: Option<Vec<Event>> = None;
    // The checker reports the last one it has found when it stops: once more, for one with fewer steps.
    loop {
        let fewer_steps = shortest.as_ref().map_or(usize::MAX, |actions| actions.len() + 1);
        let search = protocol.clone().checker().target_max_depth(fewer_steps);
        let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
        match search.finish_when(found).spawn_bfs().join().discovery(property) {
            Some(path) => shortest = Some(path.into_actions()),
            None => return shortest,
        }
    }
}

/// Visits every world once more, depth first, and panics if one can come back: whatever happens, it comes
/// to rest.
fn count_worlds_without_return(protocol: &Protocol) -> usize {
    let mut path: Vec<(World, Vec<World>)> = Vec::new();
    let mut on_path = HashSet::new();
    let mut done = HashSet::new();
    for start in protocol.init_states() {
        on_path.insert(start.clone());
        path.push((start.clone(), protocol.next_states(&start)));
        while let Some((world, next)) = path.last_mut() {
            match next.pop() {
                Some(next) if done.contains(&next) => {}
                Some(next) => {
                    assert!(on_path.insert(next.clone()), "comes back: {next:#?}");
                    let following = protocol.next_states(&next);
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

/// Explores scenarios completely; among them, everything possible must have been seen.
fn keep_every_promise(scenarios: &[(&str, Protocol, usize)]) {
    let (mut seen, mut counted) = (BTreeSet::new(), Vec::new());
    for (name, protocol, _) in scenarios {
        let explored = explore(name, protocol.clone());
        counted.push((*name, explored.states));
        seen.extend(explored.possible);
    }
    assert_eq!(counted, scenarios.iter().map(|(name, _, states)| (*name, *states)).collect::<Vec<_>>());
    assert_eq!(seen, POSSIBLE.iter().map(|(name, _)| *name).collect());
}

#[test]
fn whatever_happens_comes_to_rest() {
    for (name, protocol, states) in SMALL {
        assert_eq!(count_worlds_without_return(&protocol), states, "{name}");
    }
}

#[test]
fn every_mutant_is_caught() {
    for (mutant, protocol, property, steps) in MUTANTS {
        let mutated = Protocol { mutant: Some(mutant), ..protocol };
        let Some(actions) = counterexample(&mutated, property) else { panic!("{mutant:?} is not caught") };
        println!("{mutant:?}: after {} steps, {property} does not hold: {actions:?}", actions.len());
        assert_eq!(actions.len(), steps, "{mutant:?}: {actions:?}");
    }
}
