//! Conditions that hold in every world, and situations that occur in some.

use stateright::Property;

use crate::spec::Due;
use crate::world::{Actor, Budget, Phase, Replication, Scenario, Violation, World};

pub const KNOWN: &str = "I1 atomic: the inputs of every commit are in the database";
pub const FORWARD: &str = "I2 forward: no commit has older inputs, listings or scoring than one before";
pub const CONFIRMED: &str = "I2 forward: a run confirms only rows that are stored";
pub const NOT_SWALLOWED: &str = "I3 not swallowed: a completed trigger's inputs are in the stored rows";
pub const HONEST: &str = "I4 honest: success is answered when the stored rows are at least as new";
pub const DURABLE: &str = "I5 durable: at rest, every promise is kept, or the user is parked";
pub const CONVERGES: &str = "I6 converges: at rest, only a parked user has pending triggers";
pub const OURS: &str = "I6 converges: at rest, the stored rows are those of a run, or the user is parked";
pub const NO_LEASE: &str = "I9 clean: at rest no lease is held";
pub const ENDS: &str = "a user whose runs end their process is parked after max_attempts";
pub const PARKS_WHAT_FAILED: &str = "a worker parks only triggers that it knew of";
pub const NOT_CHARGED: &str = "a server in trouble parks no user";

pub fn all() -> Vec<Property<Scenario>> {
    let mut properties = vec![
        Property::always(KNOWN, |_, world| !violated(world, Violation::FromLostInputs)),
        Property::always(FORWARD, |_, world| !violated(world, Violation::WentBack)),
        Property::always(CONFIRMED, |_, world| !violated(world, Violation::OtherRowsConfirmed)),
        Property::always(NOT_SWALLOWED, |_, world| !violated(world, Violation::Swallowed)),
        Property::always(HONEST, |_, world| !violated(world, Violation::Dishonest)),
        Property::always(ENDS, |_, world| !violated(world, Violation::TriedAgain)),
        Property::always(PARKS_WHAT_FAILED, |_, world: &World| {
            world.server.user.recorded.as_ref().is_none_or(|recorded| {
                !recorded.parked || recorded.requested_seq <= world.server.history.parked_with
            })
        }),
        Property::always(NOT_CHARGED, |scenario: &Scenario, world: &World| {
            let Budget { crashes, lost, timeouts, pauses, .. } = scenario.budget;
            crashes + lost + timeouts + pauses > 0 || !is_parked(world)
        }),
        Property::always(DURABLE, |scenario: &Scenario, world: &World| {
            let shown = world.server.history.shown.map_or(0, |shown| shown.profile);
            !scenario.keeps_acknowledged
                || shown >= world.promised
                || is_parked(world)
                || !scenario.is_at_rest(world)
        }),
        Property::always(CONVERGES, |scenario: &Scenario, world: &World| {
            is_settled(world) || is_parked(world) || !scenario.is_at_rest(world)
        }),
        Property::always(OURS, |scenario: &Scenario, world: &World| {
            !world.server.user.list.altered || is_parked(world) || !scenario.is_at_rest(world)
        }),
        Property::always(NO_LEASE, |scenario: &Scenario, world: &World| {
            world.server.user.recorded.as_ref().is_none_or(|recorded| recorded.lease.is_none())
                || !scenario.is_at_rest(world)
        }),
    ];
    properties.extend(POSSIBLE.map(|(name, condition)| Property::sometimes(name, condition)));
    properties
}

type Condition = fn(&Scenario, &World) -> bool;

/// Situations that must occur: a model in which they never do shows nothing about them.
pub const POSSIBLE: [(&str, Condition); 11] = [
    ("a write loses the compare", |_, world| {
        any_phase(world, |phase| matches!(phase, Phase::Written { won: false, .. }))
    }),
    ("a lost answer is settled by finding the own rows", |_, world| {
        world.activities.iter().any(|activity| {
            activity.unsure && matches!(activity.phase, Phase::Written { confirm: true, won: true, .. })
        })
    }),
    ("a user is parked", |_, world| is_parked(world)),
    ("two workers serve the user at once", |_, world| {
        let runs = world.activities.iter().filter(|activity| {
            matches!(activity.actor, Actor::Worker { .. }) && activity.phase != Phase::Found
        });
        runs.count() == 2
    }),
    ("only a confirmation keeps older inputs from replacing the rows", |_, world| {
        let token =
            world.server.user.recorded.as_ref().map(|recorded| (recorded.version, recorded.confirmations));
        any_phase(world, |phase| match phase {
            Phase::Writing { write, .. } if !write.confirm => {
                token.is_some_and(|(version, confirmations)| {
                    version == write.version && confirmations > write.confirmations
                })
            }
            _ => false,
        })
    }),
    ("a trigger comes in while a run is on its way", |_, world| {
        world.server.user.recorded.as_ref().is_some_and(|recorded| {
            recorded.completed_seq > 0 && recorded.requested_seq > recorded.completed_seq
        })
    }),
    ("a worker leaves its user to the queue", |_, world| {
        world.activities.iter().any(|activity| {
            matches!((&activity.phase, activity.actor), (Phase::Recording, Actor::Worker { .. }))
        })
    }),
    ("a list that another writer has altered is replaced", |scenario, world| {
        scenario.budget.other_writers > world.left.other_writers
            && !world.server.user.list.altered
            && is_settled(world)
    }),
    ("a run that has read one server is about to write another", |_, world| {
        any_phase(
            world,
            |phase| matches!(phase, Phase::Writing { write, .. } if write.server != world.server.number),
        )
    }),
    ("a node that has missed a commit to the user is about to write", |scenario, world| {
        matches!(scenario.replication, Replication::EveryNode { .. })
            && world.other.as_ref().is_some_and(|node| node.user != world.server.user)
            && world
                .activities
                .iter()
                .any(|activity| activity.instance == 1 && matches!(activity.phase, Phase::Writing { .. }))
    }),
    ("all is well at rest", |scenario, world| {
        world.server.history.shown.is_some() && is_settled(world) && scenario.is_at_rest(world)
    }),
];

fn violated(world: &World, violation: Violation) -> bool {
    world.violation == Some(violation)
}

fn is_parked(world: &World) -> bool {
    world.server.user.recorded.as_ref().is_some_and(|recorded| recorded.parked)
}

fn is_settled(world: &World) -> bool {
    world
        .server
        .user
        .recorded
        .as_ref()
        .is_none_or(|recorded| recorded.due == Due::No && recorded.completed_seq == recorded.requested_seq)
}

fn any_phase(world: &World, is: impl Fn(&Phase) -> bool) -> bool {
    world.activities.iter().any(|activity| is(&activity.phase))
}
