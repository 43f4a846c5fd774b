//! Scenarios with several servers: those that keep every promise, and counterexamples on the others.

use crate::properties::{DURABLE, FORWARD, HONEST, KNOWN};
use crate::scenarios::{CALM, NONE};
use crate::world::{Budget, OldPrimary, Replication, Scenario};

/// Nothing that any client has seen is lost: group replication, or AFTER_SYNC with the most advanced replica promoted.
const NOTHING_LOST: Replication =
    Replication::OnePrimary { loses: false, old: OldPrimary::Gone, returns: false };
const ASYNCHRONOUS: Replication =
    Replication::OnePrimary { loses: true, old: OldPrimary::Gone, returns: false };
/// The old primary can still be read.
const READABLE: Replication =
    Replication::OnePrimary { loses: false, old: OldPrimary::ReadOnly, returns: false };
const CERTIFIED: Replication = Replication::EveryNode { reads_wait: true, certifies: true };

/// A trigger in the background while the primary is lost.
pub const FAILOVER: Scenario = Scenario {
    profiles: &[1, 2],
    replication: NOTHING_LOST,
    budget: Budget { background: 1, failovers: 1, ..NONE },
    ..CALM
};
/// A trigger in the background, and a primary that others replace and that still answers reads.
pub const DEMOTED: Scenario = Scenario { replication: READABLE, ..FAILOVER };
/// A request while the inputs change back, and a primary that still answers reads.
pub const DEMOTED_REQUEST: Scenario =
    Scenario { profiles: &[1, 2, 1], budget: Budget { requests: 1, failovers: 1, ..NONE }, ..DEMOTED };
/// A request while the inputs change back, and two primaries in turn that still answer reads.
pub const DEMOTED_TWICE: Scenario =
    Scenario { budget: Budget { requests: 1, failovers: 2, ..NONE }, ..DEMOTED_REQUEST };
/// A trigger in the background, and a primary whose last commits are lost. Acknowledged triggers may be among these; all
/// else is promised. The claim of a run whose commit is lost counts as an attempt.
pub const SURVIVORS: Scenario =
    Scenario { max_attempts: 2, replication: ASYNCHRONOUS, keeps_acknowledged: false, ..FAILOVER };
/// A request and a trigger in the background on nodes that all take writes, one of which is behind.
pub const EVERY_NODE: Scenario = Scenario {
    replication: CERTIFIED,
    budget: Budget { requests: 1, background: 1, lags: 1, ..NONE },
    ..FAILOVER
};

/// Explored on demand: a request and a trigger in the background while the primary is lost.
pub const FAILOVER_AT_WORK: Scenario =
    Scenario { budget: Budget { requests: 1, background: 1, failovers: 1, ..NONE }, ..FAILOVER };
/// Explored on demand: two requests while the inputs change back, and a primary that still answers reads.
pub const DEMOTED_REQUESTS: Scenario =
    Scenario { budget: Budget { requests: 2, failovers: 1, ..NONE }, ..DEMOTED_REQUEST };
/// Explored on demand: a request and a trigger in the background, and a primary that still answers reads.
pub const DEMOTED_AT_WORK: Scenario =
    Scenario { budget: Budget { requests: 1, background: 1, failovers: 1, ..NONE }, ..DEMOTED };
/// Explored on demand: a request and a batch, and a primary whose last commits are lost.
pub const SURVIVORS_AT_NIGHT: Scenario =
    Scenario { budget: Budget { requests: 1, batches: 1, failovers: 1, ..NONE }, ..SURVIVORS };
/// Explored on demand: the same triggers while the inputs change back, on nodes one of which is behind twice.
pub const EVERY_NODE_AT_WORK: Scenario = Scenario {
    profiles: &[1, 2, 1],
    budget: Budget { requests: 1, background: 1, lags: 2, ..NONE },
    ..EVERY_NODE
};

/// A request, and a primary whose last commits are lost.
const LOST_REQUEST: Scenario =
    Scenario { keeps_acknowledged: true, budget: Budget { requests: 1, failovers: 1, ..NONE }, ..SURVIVORS };
const LOST_TRIGGER: Scenario = Scenario {
    keeps_acknowledged: true,
    budget: Budget { background: 1, failovers: 1, ..NONE },
    ..SURVIVORS
};
const LOST_LISTINGS: Scenario = Scenario { profiles: &[1], catalogues: &[0, 1], ..LOST_REQUEST };
const UNFENCED: Scenario = Scenario {
    replication: Replication::OnePrimary { loses: false, old: OldPrimary::Writable, returns: false },
    budget: Budget { requests: 1, failovers: 1, ..NONE },
    ..FAILOVER
};
const UNFENCED_TRIGGER: Scenario =
    Scenario { budget: Budget { background: 1, failovers: 1, ..NONE }, ..UNFENCED };
const THERE_AND_BACK: Scenario = Scenario {
    replication: Replication::OnePrimary { loses: false, old: OldPrimary::ReadOnly, returns: true },
    budget: Budget { requests: 1, failovers: 2, ..NONE },
    ..FAILOVER
};
const READS_DO_NOT_WAIT: Scenario = Scenario {
    replication: Replication::EveryNode { reads_wait: false, certifies: true },
    budget: Budget { requests: 1, lags: 1, ..NONE },
    ..FAILOVER
};
const NOT_CERTIFIED: Scenario = Scenario {
    profiles: &[1, 2, 3],
    replication: Replication::EveryNode { reads_wait: true, certifies: false },
    budget: Budget { requests: 2, lags: 1, ..NONE },
    ..FAILOVER
};

/// Servers that cannot keep a promise: the property, and the fewest steps to break it. The names and the numbers
/// of steps are those of docs/model.md.
pub const NOT_PROMISED: [(&str, Scenario, &str, usize); 8] = [
    ("asynchronous, a trigger", LOST_TRIGGER, DURABLE, 5),
    ("asynchronous, a request", LOST_REQUEST, HONEST, 5),
    ("asynchronous, the listings", LOST_LISTINGS, KNOWN, 6),
    ("an old primary that takes writes, a trigger", UNFENCED_TRIGGER, DURABLE, 6),
    ("an old primary that takes writes, a request", UNFENCED, HONEST, 5),
    ("back to the first server during a run", THERE_AND_BACK, HONEST, 7),
    ("a node behind, reads that do not wait", READS_DO_NOT_WAIT, HONEST, 6),
    ("a node behind, commits that are not certified", NOT_CERTIFIED, FORWARD, 9),
];
