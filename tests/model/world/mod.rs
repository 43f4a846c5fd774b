//! One user, the processes that work on it, and everything that can happen next.
//!
//! Steps are as fine as the service's I/O: a run reads the state and the inputs, of one moment, and sends its
//! write; the write lands or does not; its answer arrives or does not. Production's own functions decide the next step of a run and
//! of a worker, and `tests/spec/state.rs` defines the effect of each statement on the user. The model has no locks:
//! they only save work.
//!
//! ```text
//! mod         the state of the world, and the model for stateright
//! events      the events that are possible in a state
//! transition  the effect of an event
//! run         a request, and a run on behalf of a request or a worker
//! worker      claims and leases
//! write       statements: sent, landed, or orphaned by their sender
//! servers     several servers: replication, failovers, nodes that are behind
//! history     the past, which only the properties look at
//! ```

mod events;
mod history;
mod run;
mod servers;
mod transition;
mod worker;
mod write;

use chrono::{DateTime, TimeDelta, Utc};
use job_agent::domain::{CatalogueVersion, ScoringRevision, UserId};
use job_agent::storage::{Basis, DueUser};
use stateright::Model;

pub use self::events::Event;
pub use self::history::{History, Inputs, Violation};
pub use self::servers::{OldPrimary, Replication, Server};
use self::transition::Transition;
use self::worker::LeaseEnd;
use self::write::SentStatement;
pub use self::write::Write;
use crate::mutants::Mutant;

/// The possible events, and how often each may happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The content of each version of the user's inputs: equal numbers are equal inputs, 0 is no career.
    pub profiles: &'static [u8],
    /// The content of each version of the listings.
    pub catalogues: &'static [u8],
    /// The scoring revision of each instance.
    pub scorings: [u8; 2],
    /// The number of failed attempts after which a user is parked.
    pub max_attempts: u8,
    /// The servers of the database.
    pub replication: Replication,
    /// Whether acknowledged triggers must survive (I4 and I5). Some servers cannot promise it; then the rest is asked.
    pub keeps_acknowledged: bool,
    pub budget: Budget,
    /// The protocol's known bug; `None`: the protocol as it is.
    pub mutant: Option<Mutant>,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Requests that wait for their answer.
    pub requests: u8,
    /// Requests in the background.
    pub background: u8,
    pub batches: u8,
    /// Clean-ups that remove rows whose listing is gone.
    pub dangling: u8,
    /// Changes of the stored rows by another writer, such as the service that this one replaces.
    pub other_writers: u8,
    /// Times that an operator makes parked users due.
    pub retries: u8,
    /// Retention times that pass: after one, the clean-up removes an old list.
    pub retentions: u8,
    pub crashes: u8,
    /// Answers of the database that are lost, or report a conflict with another transaction.
    pub lost: u8,
    pub timeouts: u8,
    /// Runs that fail because the server is in trouble: evidence has told.
    pub outages: u8,
    /// Leases that end before the worker that holds them.
    pub pauses: u8,
    /// Times that another server becomes the primary.
    pub failovers: u8,
    /// Times that a node falls behind the others.
    pub lags: u8,
}

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The server that takes writes: the primary, or the node that has all commits.
    pub server: Server,
    /// Another server, with an earlier moment of the data.
    pub other: Option<Server>,
    /// The instances that still have connections to the old primary.
    pub old_connections: [bool; 2],
    /// The listings that each instance has in memory.
    pub snapshots: [u8; 2],
    /// The activities of the instances, by slot: a worker in each, then one per request.
    pub activities: Vec<Activity>,
    /// Statements that may still land although their sender no longer waits for them.
    pub orphans: Vec<SentStatement>,
    /// The number of retention times that have passed.
    pub era: u8,
    pub left: Budget,
    /// The newest profile that a caller was promised to see, by 202 or `queued`.
    pub promised: u8,
    pub violation: Option<Violation>,
}

/// A worker with a user, or a request with its run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Activity {
    pub slot: u8,
    pub instance: u8,
    pub actor: Actor,
    pub phase: Phase,
    /// The answer to one of its writes was lost.
    pub unsure: bool,
}

/// On whose behalf a run works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    Worker {
        /// As read before the claim.
        attempts: u8,
        /// As read before the claim.
        requested_seq: u16,
        token: u8,
        /// The claim counts as an attempt: the attempts have not been reset since.
        counts: bool,
    },
    Request {
        /// The newest profile when the request was sent.
        profile: u8,
        /// The version of the stored rows at that time, for [`Mutant::VersionMovedSoSkip`].
        version: u16,
    },
}

/// The progress of an activity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A worker has read that the user is due.
    Found,
    /// The next step reads the state and the inputs.
    Begin { attempt: u8 },
    /// Only the inputs are read, before the state: [`Mutant::InputsBeforeState`].
    InputsRead { attempt: u8, profile: u8, catalogue: u8 },
    /// Waits for the answer to its write, which has not landed.
    Writing { attempt: u8, write: Write },
    /// The write has landed or lost; the answer is on its way.
    Written { attempt: u8, confirm: bool, won: bool },
    /// Waits for its trigger to be recorded.
    Recording,
    /// Waits for its lease to be ended.
    GivingBack(LeaseEnd),
}

impl Model for Scenario {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let unknown = World {
            server: Server::default(),
            other: None,
            old_connections: [false; 2],
            snapshots: [0; 2],
            activities: Vec::new(),
            orphans: Vec::new(),
            era: 0,
            left: self.budget,
            promised: 0,
            violation: None,
        };
        let mut known = unknown.clone();
        let inputs = Inputs { profile: 0, catalogue: 0, scoring: self.scorings[0] };
        _ = known.server.user.replace(&unknown.basis(inputs), self.list(inputs));
        known.server.history.shown = Some(inputs);
        vec![self.replicated(unknown), self.replicated(known)]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        self.possible(world, events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = Transition { scenario: self, world: world.clone() };
        next.apply(event);
        Some(next.world)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        crate::properties::all()
    }
}

impl Scenario {
    /// The number of the list that these inputs give.
    fn list(&self, inputs: Inputs) -> u8 {
        match self.profiles[usize::from(inputs.profile)] {
            0 => 0,
            profile => profile + 4 * self.catalogues[usize::from(inputs.catalogue)] + 16 * inputs.scoring,
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

impl World {
    /// The basis of a write by a run that starts now.
    fn basis(&self, inputs: Inputs) -> Basis {
        let state = self.server.user.state(now(self.era));
        state.basis(CatalogueVersion(inputs.catalogue.into()), ScoringRevision(inputs.scoring.into()))
    }
}

fn user() -> UserId {
    UserId::try_from(1).unwrap()
}

fn due(attempts: u8, requested_seq: u16) -> DueUser {
    DueUser { user: user(), attempts: attempts.into(), requested_seq: requested_seq.into() }
}

/// The database's clock. It only moves when a retention time passes.
fn now(era: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(100 * i64::from(era))
}

fn seq(number: i64) -> u16 {
    u16::try_from(number).unwrap()
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap()
}
