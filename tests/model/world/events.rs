//! The events that are possible in a state of the world.

use super::{Activity, Phase, Scenario, World, now, user};
use crate::mutants::Mutant;
use crate::spec::Due;
use job_agent::domain::ScoringRevision;

/// One step of the world. `slot` names an activity, `nth` an orphaned statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    // From outside.
    ChangeProfile,
    ChangeListings,
    Refresh {
        instance: u8,
    },
    Request {
        instance: u8,
    },
    RequestInBackground {
        instance: u8,
    },
    MarkByBatch,
    RemoveDanglingRows,
    AlterRows,
    RetryParked,
    PassRetention,
    RemoveOldList,
    // Faults.
    Crash {
        instance: u8,
    },
    LoseAnswer {
        slot: u8,
    },
    Conflict {
        slot: u8,
    },
    TimeOut {
        slot: u8,
    },
    Outage {
        slot: u8,
    },
    /// Another server becomes the primary. The connections on which these activities wait for an answer break.
    FailOver {
        broken: Vec<u8>,
    },
    /// The node of the second instance applies commits of the others no more.
    FallBehind,
    // By the service, sooner or later.
    Find {
        instance: u8,
    },
    Continue {
        slot: u8,
    },
    Land {
        nth: usize,
    },
    Vanish {
        nth: usize,
    },
    ExpireLease,
    EndPause,
    NoticeAlteredRows,
    /// [`Event::Continue`], over a connection to the old primary.
    ContinueOnOldPrimary {
        slot: u8,
    },
    /// The instance has no connection to the old primary any more.
    Reconnect {
        instance: u8,
    },
    /// The replica has all commits.
    Replicate,
    /// The node that was behind has all commits.
    CatchUp,
}

impl Scenario {
    /// All possible next events. A violation ends the exploration of its path.
    pub(super) fn possible(&self, world: &World, events: &mut Vec<Event>) {
        if world.violation.is_some() {
            return;
        }
        self.outside(world, events);
        self.faults(world, events);
        self.service(world, events);
    }

    /// Whether nothing happens any more unless something comes from outside.
    pub fn is_at_rest(&self, world: &World) -> bool {
        let mut events = Vec::new();
        if world.activities.is_empty() && world.orphans.is_empty() {
            self.service(world, &mut events);
        }
        events.is_empty() && world.activities.is_empty() && world.orphans.is_empty()
    }

    fn outside(&self, world: &World, events: &mut Vec<Event>) {
        if usize::from(world.server.profile) + 1 < self.profiles.len() {
            events.push(Event::ChangeProfile);
        }
        if usize::from(world.server.catalogue) + 1 < self.catalogues.len() {
            events.push(Event::ChangeListings);
        }
        for instance in 0..2 {
            if world.snapshots[usize::from(instance)] != world.server.catalogue {
                events.push(Event::Refresh { instance });
            }
            if world.left.requests > 0 {
                events.push(Event::Request { instance });
            }
            if world.left.background > 0 {
                events.push(Event::RequestInBackground { instance });
            }
        }
        if world.left.batches > 0 {
            events.push(Event::MarkByBatch);
        }
        if world.left.dangling > 0 && world.server.user.list.number > 0 {
            events.push(Event::RemoveDanglingRows);
        }
        if world.left.other_writers > 0 && !world.server.user.list.altered {
            events.push(Event::AlterRows);
        }
        if world.left.retries > 0
            && world.server.user.recorded.as_ref().is_some_and(|recorded| recorded.parked)
        {
            events.push(Event::RetryParked);
        }
        // Runs, and the sessions of processes that died, end long before a retention time does.
        if world.left.retentions > 0 && world.activities.is_empty() && world.orphans.is_empty() {
            events.push(Event::PassRetention);
        }
        if world.server.user.clone().remove_list(now(world.era)) {
            events.push(Event::RemoveOldList);
        }
    }

    fn faults(&self, world: &World, events: &mut Vec<Event>) {
        for instance in 0..2 {
            let busy = world.activities.iter().any(|activity| activity.instance == instance);
            if world.left.crashes > 0 && busy {
                events.push(Event::Crash { instance });
            }
        }
        if world.left.pauses > 0 && world.lease_ends_early() == Some(true) {
            events.push(Event::ExpireLease);
        }
        for Activity { slot, phase, .. } in &world.activities {
            let slot = *slot;
            let waits = !matches!(phase, Phase::Begin { .. } | Phase::InputsRead { .. });
            if world.left.lost > 0 && waits {
                events.push(Event::LoseAnswer { slot });
            }
            if world.left.lost > 0 && matches!(phase, Phase::Writing { .. }) {
                events.push(Event::Conflict { slot });
            }
            let runs = !matches!(phase, Phase::Found | Phase::GivingBack(_));
            if world.left.timeouts > 0 && runs {
                events.push(Event::TimeOut { slot });
            }
            if world.left.outages > 0 && runs {
                events.push(Event::Outage { slot });
            }
        }
        self.faults_of_servers(world, events);
    }

    fn service(&self, world: &World, events: &mut Vec<Event>) {
        for instance in 0..2 {
            let idle = world.activities.iter().all(|activity| activity.slot != instance);
            let scoring = self.scorings[usize::from(instance)];
            if idle
                && !self.is_stuck(world, instance)
                && world.server.user.due(user(), ScoringRevision(scoring.into())).is_some()
            {
                events.push(Event::Find { instance });
            }
        }
        self.steps(world, events);
        self.repairs_of_servers(world, events);
        for nth in 0..world.orphans.len() {
            events.extend([Event::Land { nth }, Event::Vanish { nth }]);
        }
        if world.server.user.is_altered_unnoticed() && !self.is(Mutant::AlteredRowsUnnoticed) {
            events.push(Event::NoticeAlteredRows);
        }
        let Some(recorded) = &world.server.user.recorded else { return };
        if world.lease_ends_early() == Some(false) && !self.is(Mutant::LeaseNeverFreed) {
            events.push(Event::ExpireLease);
        }
        if recorded.due == Due::Later {
            events.push(Event::EndPause);
        }
    }
}
