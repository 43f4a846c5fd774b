//! Several servers: replication, failovers, and nodes that are behind. The environment of the protocol; with
//! [`Replication::OnePrimary`] and no failover, there is one server.

use job_agent::calculator::{Outcome, QueuedReason};
use job_agent::storage::{RowChanges, StoreError, Written};

use super::transition::Transition;
use super::{Activity, Actor, Event, History, Phase, Scenario, World};
use crate::mutants::Mutant;
use crate::spec::User;

/// The servers of the database, and their promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// One server takes writes, and a failover gives that to another one.
    OnePrimary {
        /// The next primary may lack commits that were acknowledged: asynchronous replication. Otherwise it has
        /// everything that was visible to any client: group replication, semi-synchronous replication with AFTER_SYNC.
        loses: bool,
        old: OldPrimary,
        /// The second failover leads back to the first server.
        returns: bool,
    },
    /// Every instance has a node of its own, and each node takes writes: Galera. That of the second instance may be
    /// behind; the callers of the service write to the other one.
    EveryNode {
        /// A read waits until its node has all commits: `wsrep_sync_wait`.
        reads_wait: bool,
        /// A commit is refused if its node has not seen all commits to the same rows.
        certifies: bool,
    },
}

/// The old primary, for clients that are still connected to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldPrimary {
    /// Every connection ends.
    Gone,
    /// It answers reads, with the data of the failover, and takes no writes.
    ReadOnly,
    /// It is not fenced.
    Writable,
}

/// The data of a server at one moment, with their past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its identity, such as `@@server_uuid`.
    pub number: u8,
    pub user: User,
    /// The number of the user's newest inputs.
    pub profile: u8,
    /// The number of the newest listings.
    pub catalogue: u8,
    pub history: History,
}

impl Scenario {
    /// The world, with a replica if there is one.
    pub(super) fn replicated(&self, world: World) -> World {
        World { other: self.replica(&world), ..world }
    }

    /// A copy of the primary's data that the next failover may lead to. Without losses, that is the primary's own.
    fn replica(&self, world: &World) -> Option<Server> {
        let loses = matches!(self.replication, Replication::OnePrimary { loses: true, .. });
        (loses && world.left.failovers > 0).then(|| world.server.clone())
    }

    fn old_primary(&self) -> OldPrimary {
        match self.replication {
            Replication::OnePrimary { old, .. } => old,
            Replication::EveryNode { .. } => OldPrimary::Gone,
        }
    }

    /// Whether the instance uses the old primary only, as far as it can tell.
    pub(super) fn is_stuck(&self, world: &World, instance: u8) -> bool {
        self.is(Mutant::OldPrimaryKept) && world.old_connections[usize::from(instance)]
    }

    pub(super) fn faults_of_servers(&self, world: &World, events: &mut Vec<Event>) {
        if world.left.failovers > 0 {
            let mut broken = vec![Vec::new()];
            for Activity { slot, .. } in world.activities.iter().filter(|activity| activity.waits()) {
                let with = broken.clone().into_iter().map(|slots| [slots, vec![*slot]].concat());
                broken.extend(with.collect::<Vec<_>>());
            }
            events.extend(broken.into_iter().map(|broken| Event::FailOver { broken }));
        }
        if world.left.lags > 0 && world.other.is_none() {
            events.push(Event::FallBehind);
        }
    }

    /// The next steps of all activities, over any connection that their instances have.
    pub(super) fn steps(&self, world: &World, events: &mut Vec<Event>) {
        for Activity { slot, instance, phase, .. } in &world.activities {
            let is_answered = matches!(phase, Phase::Written { .. });
            if world.old_connections[usize::from(*instance)] && !is_answered {
                events.push(Event::ContinueOnOldPrimary { slot: *slot });
            }
            if is_answered || !self.is_stuck(world, *instance) {
                events.push(Event::Continue { slot: *slot });
            }
        }
    }

    pub(super) fn repairs_of_servers(&self, world: &World, events: &mut Vec<Event>) {
        for instance in 0..2 {
            // Connections live for a limited time.
            if world.old_connections[usize::from(instance)] && !self.is_stuck(world, instance) {
                events.push(Event::Reconnect { instance });
            }
        }
        match self.replication {
            Replication::OnePrimary { .. } => {
                let replica = world.other.as_ref().filter(|_| world.old_connections == [false; 2]);
                if replica.is_some_and(|replica| *replica != world.server) {
                    events.push(Event::Replicate);
                }
            }
            Replication::EveryNode { .. } if world.other.is_some() => events.push(Event::CatchUp),
            Replication::EveryNode { .. } => {}
        }
    }
}

impl Activity {
    /// Whether it has sent a statement, or is about to.
    fn waits(&self) -> bool {
        !matches!(self.phase, Phase::Begin { .. } | Phase::InputsRead { .. })
    }
}

impl Transition<'_> {
    /// Statements on the old primary have landed by now, or never will. Activities that are not `broken` have not sent
    /// theirs yet, or have their answers.
    pub(super) fn fail_over(&mut self, broken: &[u8]) {
        let Replication::OnePrimary { loses, returns, .. } = self.scenario.replication else {
            unreachable!("every node takes writes")
        };
        let world = &mut self.world;
        world.left.failovers -= 1;
        let next = world.other.take().filter(|_| loses).unwrap_or_else(|| world.server.clone());
        let number = if returns { 1 - world.server.number } else { world.server.number + 1 };
        let old = std::mem::replace(&mut world.server, Server { number, ..next });
        world.orphans.clear();
        // No promise is about inputs that are lost: their next version has the same number.
        world.promised = world.promised.min(world.server.profile);
        for activity in &mut world.activities {
            if let Actor::Request { profile, .. } = &mut activity.actor {
                *profile = world.server.profile.min(*profile);
            }
        }
        let lives_on = self.scenario.old_primary() != OldPrimary::Gone;
        world.old_connections = [lives_on; 2];
        world.other = if lives_on { Some(old) } else { self.scenario.replica(world) };
        for slot in broken {
            let activity = self.end(*slot);
            self.refuse(activity);
        }
    }

    /// The next step over a connection to the primary, or to the node of the instance.
    pub(super) fn continue_on_primary(&mut self, activity: Activity) {
        if self.is_behind(&activity) {
            return self.go_on_behind(activity);
        }
        if let Phase::Writing { attempt, write } = &activity.phase
            && *attempt > 0
            && write.server != self.world.server.number
        {
            // Lost again, though no other run has written: production gives up its connections before this write.
            self.reconnect(activity.instance);
        }
        self.go_on(activity);
    }

    /// The next step over a connection to the old primary.
    pub(super) fn go_on_at_old_primary(&mut self, activity: Activity) {
        if activity.waits() && self.scenario.old_primary() == OldPrimary::ReadOnly {
            self.refuse(activity);
        } else {
            self.on_the_other(|transition| transition.go_on(activity));
        }
    }

    /// An instance whose statement is refused, or breaks off, gives up its connections.
    fn refuse(&mut self, activity: Activity) {
        if !self.scenario.is(Mutant::OldPrimaryKept) {
            self.reconnect(activity.instance);
        }
        match activity.phase {
            // A worker tries on until its lease is ended.
            Phase::GivingBack(_) => self.begin(activity),
            _ => self.fail(activity, StoreError::unavailable("not the primary")),
        }
    }

    pub(super) fn reconnect(&mut self, instance: u8) {
        let world = &mut self.world;
        let was_connected = std::mem::take(&mut world.old_connections[usize::from(instance)]);
        if was_connected && world.old_connections == [false; 2] {
            world.other = self.scenario.replica(world);
        }
    }

    /// A step whose statements reach the other server.
    fn on_the_other(&mut self, step: impl FnOnce(&mut Self)) {
        self.swap_servers();
        step(self);
        self.swap_servers();
    }

    fn swap_servers(&mut self) {
        let Some(other) = &mut self.world.other else { unreachable!("there is no other server") };
        std::mem::swap(&mut self.world.server, other);
    }

    /// Whether the next step is on a node that is behind.
    fn is_behind(&self, activity: &Activity) -> bool {
        matches!(self.scenario.replication, Replication::EveryNode { .. })
            && self.world.other.is_some()
            && activity.instance == 1
            && !matches!(activity.phase, Phase::Written { .. })
    }

    /// The next step on a node that is behind. A commit comes after all others: with it, the node has caught up.
    fn go_on_behind(&mut self, mut activity: Activity) {
        let Replication::EveryNode { reads_wait, certifies } = self.scenario.replication else {
            unreachable!("only nodes are behind")
        };
        if !activity.waits() && !reads_wait {
            return self.on_the_other(|transition| transition.go_on(activity));
        }
        let Some(node) = self.world.other.take() else { unreachable!("the node is behind") };
        if !activity.waits() || node.user == self.world.server.user {
            return self.go_on(activity);
        }
        if certifies {
            return self.lose_certification(activity);
        }
        // The comparison held on the node, and that was all.
        if let (Phase::Writing { write, .. }, Some(seen), Some(recorded)) =
            (&mut activity.phase, &node.user.recorded, &self.world.server.user.recorded)
            && (write.version, write.confirmations) == (seen.version, seen.confirmations)
        {
            (write.version, write.confirmations) = (recorded.version, recorded.confirmations);
        }
        self.go_on(activity);
    }

    fn lose_certification(&mut self, activity: Activity) {
        let takes_it_for_success = self.scenario.is(Mutant::LostCertificationIsSuccess);
        match activity.phase {
            Phase::Writing { attempt, write } if takes_it_for_success => {
                let written = Written::Committed(RowChanges::default());
                self.after_write(activity, attempt, write.confirm, Ok(written));
            }
            Phase::Recording if takes_it_for_success => {
                self.finish(activity, Ok(Outcome::Queued(QueuedReason::LostToOtherRuns)));
            }
            _ => self.fail(activity, StoreError::conflict("lost at certification")),
        }
    }
}
