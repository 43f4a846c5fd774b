//! The scenarios that are explored, each with the number of its states.

use crate::failovers::{
    DEMOTED, DEMOTED_AT_WORK, DEMOTED_REQUEST, DEMOTED_REQUESTS, DEMOTED_TWICE, EVERY_NODE,
    EVERY_NODE_AT_WORK, FAILOVER, FAILOVER_AT_WORK, SURVIVORS, SURVIVORS_AT_NIGHT,
};
use crate::world::{Budget, OldPrimary, Replication, Scenario};

/// One user, and no trigger.
pub const CALM: Scenario = Scenario {
    profiles: &[1],
    catalogues: &[0],
    scorings: [0, 0],
    max_attempts: 1,
    replication: Replication::OnePrimary { loses: false, old: OldPrimary::Gone, returns: false },
    keeps_acknowledged: true,
    budget: Budget {
        requests: 0,
        background: 0,
        batches: 0,
        dangling: 0,
        other_writers: 0,
        retries: 0,
        retentions: 0,
        crashes: 0,
        lost: 0,
        timeouts: 0,
        outages: 0,
        pauses: 0,
        failovers: 0,
        lags: 0,
    },
    mutant: None,
};
/// Nothing happens.
pub const NONE: Budget = CALM.budget;

/// Two requests while the inputs change and change back.
pub const REQUESTS: Scenario =
    Scenario { profiles: &[1, 2, 1], budget: Budget { requests: 2, ..NONE }, ..CALM };
/// Two requests while the listings change and a newer scoring is rolled out.
pub const ROLLOUT: Scenario =
    Scenario { catalogues: &[0, 1], scorings: [0, 1], budget: Budget { requests: 2, ..NONE }, ..CALM };
/// A request whose career disappears and returns, and an answer that is lost.
pub const LOST_ANSWER: Scenario =
    Scenario { profiles: &[1, 0, 1], budget: Budget { requests: 1, lost: 1, ..NONE }, ..CALM };
/// A trigger in the background, and a process that dies.
pub const CRASH: Scenario =
    Scenario { profiles: &[1, 2], budget: Budget { background: 1, crashes: 1, ..NONE }, ..CALM };
/// A request, a trigger in the background, and a run that takes too long.
pub const FAILURE: Scenario = Scenario {
    profiles: &[1, 2],
    budget: Budget { requests: 1, background: 1, timeouts: 1, ..NONE },
    ..CALM
};
/// Two triggers in the background, a run that takes too long, and a lease that ends before its worker.
pub const TAKE_OVER: Scenario =
    Scenario { budget: Budget { background: 2, timeouts: 1, pauses: 1, ..NONE }, ..CALM };
/// A batch, a listing that is deleted, and a list that is removed because it is old.
pub const NIGHT: Scenario =
    Scenario { budget: Budget { requests: 1, batches: 1, retentions: 1, ..NONE }, ..CALM };
/// A request and another writer, while the inputs change.
pub const OTHER_WRITER: Scenario =
    Scenario { profiles: &[1, 2], budget: Budget { requests: 1, other_writers: 1, ..NONE }, ..CALM };
/// Two triggers in the background, a run that takes too long, and an operator who tries parked users again.
pub const RETRY: Scenario =
    Scenario { budget: Budget { background: 2, timeouts: 1, retries: 1, ..NONE }, ..CALM };
/// A trigger in the background, and a server that is in trouble for longer than the user has attempts.
pub const OUTAGE: Scenario =
    Scenario { profiles: &[1, 2], budget: Budget { background: 1, outages: 2, ..NONE }, ..CALM };
/// A request and a trigger in the background during a rollout.
const ROLLOUT_AT_WORK: Scenario =
    Scenario { budget: Budget { requests: 1, background: 1, ..NONE }, ..ROLLOUT };

/// Explored with every `cargo test`.
pub const SMALL: [(&str, Scenario, usize); 17] = [
    ("requests", REQUESTS, 4_404),
    ("rollout", ROLLOUT, 2_576),
    ("lost answer", LOST_ANSWER, 690),
    ("crash", CRASH, 718),
    ("failure", FAILURE, 51_261),
    ("take-over", TAKE_OVER, 6_656),
    ("night", NIGHT, 3_649),
    ("outage", OUTAGE, 2_695),
    ("retry", RETRY, 3_579),
    ("rollout at work", ROLLOUT_AT_WORK, 24_857),
    ("other writer", OTHER_WRITER, 10_622),
    ("failover", FAILOVER, 574),
    ("demoted", DEMOTED, 5_708),
    ("demoted, a request", DEMOTED_REQUEST, 3_487),
    ("demoted twice", DEMOTED_TWICE, 12_559),
    ("survivors", SURVIVORS, 3_322),
    ("every node", EVERY_NODE, 73_568),
];

/// A request and a trigger in the background, while the inputs change and change back, and an answer of the
/// database is lost.
const LOST_ANSWERS: Scenario = Scenario {
    profiles: &[1, 2, 1],
    max_attempts: 2,
    budget: Budget { requests: 1, background: 1, lost: 1, ..NONE },
    ..CALM
};
/// The same triggers, and a process that dies.
const CRASHES: Scenario =
    Scenario { budget: Budget { requests: 1, background: 1, crashes: 1, ..NONE }, ..LOST_ANSWERS };
/// The same triggers, a process that dies, and a lease that ends before its worker.
const PAUSES: Scenario = Scenario {
    profiles: &[1, 2],
    budget: Budget { requests: 1, background: 1, crashes: 1, pauses: 1, ..NONE },
    ..LOST_ANSWERS
};
/// Three triggers, and a run that takes too long.
const FAILURES: Scenario =
    Scenario { budget: Budget { requests: 1, background: 2, timeouts: 1, ..NONE }, ..CALM };
/// A batch, deleted listings, a list that is removed because it is old, a request, and a run that takes too long.
const LONG_NIGHT: Scenario = Scenario {
    budget: Budget { requests: 1, batches: 1, dangling: 1, retentions: 1, timeouts: 1, ..NONE },
    ..CALM
};

/// A request, another writer, and a run that takes too long.
const LONG_SWITCH: Scenario = Scenario {
    profiles: &[1, 2],
    budget: Budget { requests: 1, other_writers: 1, timeouts: 1, ..NONE },
    ..CALM
};

/// Explored on demand.
pub const LARGE: [(&str, Scenario, usize); 11] = [
    ("lost answers", LOST_ANSWERS, 1_622_226),
    ("crashes", CRASHES, 551_639),
    ("pauses", PAUSES, 532_058),
    ("failures", FAILURES, 178_467),
    ("long night", LONG_NIGHT, 216_144),
    ("long switch", LONG_SWITCH, 30_146),
    ("failover at work", FAILOVER_AT_WORK, 442_916),
    ("demoted, two requests", DEMOTED_REQUESTS, 378_864),
    ("demoted at work", DEMOTED_AT_WORK, 2_622_593),
    ("survivors at night", SURVIVORS_AT_NIGHT, 1_211_218),
    ("every node at work", EVERY_NODE_AT_WORK, 577_337),
];
