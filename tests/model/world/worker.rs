//! Claims and leases.

use std::time::Duration;

use job_agent::background::decision::{self, AfterClaim};
use job_agent::domain::ScoringRevision;
use job_agent::storage::{GiveBack, WorkError};

use super::transition::Transition;
use super::{Activity, Actor, Phase, SentStatement, Violation, World, due, seq, small, user};
use crate::mutants::Mutant;

/// How a worker ends its lease, without production's durations and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseEnd {
    Untried,
    Failed(&'static str),
    Parked(&'static str),
}

impl LeaseEnd {
    pub(super) fn of(give_back: &GiveBack) -> Self {
        match give_back {
            GiveBack::Untried { .. } => Self::Untried,
            GiveBack::Failed { error, .. } => Self::Failed(error.code),
            GiveBack::Parked { error } => Self::Parked(error.code),
        }
    }

    fn to_give_back(self) -> GiveBack {
        let error = |code| WorkError { code, cause: String::new() };
        let after = Duration::from_secs(1);
        match self {
            Self::Untried => GiveBack::Untried { after },
            Self::Failed(code) => GiveBack::Failed { after, error: error(code) },
            Self::Parked(code) => GiveBack::Parked { error: error(code) },
        }
    }
}

impl Actor {
    /// The statement that ends a worker's lease.
    pub(super) fn give_back(self, lease_end: LeaseEnd) -> SentStatement {
        let Self::Worker { attempts, requested_seq, token, .. } = self else {
            unreachable!("only workers have leases")
        };
        SentStatement::GiveBack { attempts, requested_seq, token, lease_end }
    }
}

impl Transition<'_> {
    pub(super) fn find(&mut self, instance: u8) {
        let scoring = self.scenario.scorings[usize::from(instance)];
        let Some(due) = self.world.server.user.due(user(), ScoringRevision(scoring.into())) else {
            unreachable!("the user is due")
        };
        let actor = Actor::Worker {
            attempts: small(due.attempts),
            requested_seq: seq(due.requested_seq),
            token: 0,
            counts: true,
        };
        self.begin(Activity { slot: instance, instance, actor, phase: Phase::Found, unsure: false });
    }

    pub(super) fn claim_and_begin(&mut self, mut activity: Activity) {
        if !self.claim(&mut activity) {
            return;
        }
        let Actor::Worker { attempts, .. } = activity.actor else { unreachable!("only workers claim") };
        match decision::after_claim(attempts.into(), self.scenario.max_attempts.into()) {
            AfterClaim::Run => {
                if self.world.server.history.killed >= self.scenario.max_attempts {
                    self.violated(Violation::TriedAgain);
                }
                activity.phase = Phase::Begin { attempt: 0 };
            }
            AfterClaim::Park => {
                activity.phase = Phase::GivingBack(LeaseEnd::of(&decision::parked_for_crashing()));
            }
        }
        self.begin(activity);
    }

    /// Whether the user is this worker's now.
    pub(super) fn claim(&mut self, activity: &mut Activity) -> bool {
        let Actor::Worker { attempts, requested_seq, token, .. } = &mut activity.actor else {
            unreachable!("only workers claim")
        };
        // Unique among the tokens that may still be used.
        *token = (0..).find(|token| !self.world.knows(*token)).unwrap_or_default();
        let scoring = self.scenario.scorings[usize::from(activity.instance)];
        let claimed = self.world.server.user.claim(
            &due(*attempts, *requested_seq),
            *token,
            ScoringRevision(scoring.into()),
        );
        if let Some(recorded) = &mut self.world.server.user.recorded
            && claimed
            && self.scenario.is(Mutant::AttemptsCountedOnFailure)
        {
            recorded.attempts -= 1;
        }
        claimed
    }

    /// The statement of [`Actor::give_back`] lands.
    pub(super) fn end_lease(&mut self, attempts: u8, requested_seq: u16, token: u8, lease_end: LeaseEnd) {
        let user = &mut self.world.server.user;
        let before = user.recorded.clone().unwrap_or_default();
        let mut claimed = due(attempts, requested_seq);
        if self.scenario.is(Mutant::ParksWhatIsNew) {
            claimed.requested_seq = before.requested_seq.into();
        }
        user.give_back(&claimed, token, &lease_end.to_give_back());
        let Some(recorded) = &mut user.recorded else { return };
        let ended = before.lease.is_some() && recorded.lease.is_none();
        if ended && self.scenario.is(Mutant::AttemptsCountedOnFailure) {
            recorded.attempts = before.attempts + u8::from(lease_end != LeaseEnd::Untried);
        }
        if ended && matches!(lease_end, LeaseEnd::Parked(_)) {
            if recorded.parked {
                self.world.server.history.parked_with = requested_seq;
            } else {
                self.reset_attempts();
            }
        }
    }
}

impl World {
    /// Whether the lease, if it ended now, would end before its worker; `None`: no lease can end.
    pub(super) fn lease_ends_early(&self) -> Option<bool> {
        let lease = self.server.user.recorded.as_ref()?.lease.filter(|lease| !lease.over)?;
        Some(self.activities.iter().any(|activity| activity.holds(lease.token)))
    }

    /// Whether the token of a lease may still be used.
    fn knows(&self, token: u8) -> bool {
        let held = self.server.user.recorded.as_ref().and_then(|recorded| recorded.lease);
        held.is_some_and(|lease| lease.token == token)
            || self.activities.iter().any(|activity| activity.holds(token))
            || self.orphans.iter().any(
                |orphan| matches!(orphan, SentStatement::GiveBack { token: other, .. } if *other == token),
            )
    }
}

impl Activity {
    fn holds(&self, token: u8) -> bool {
        self.phase != Phase::Found
            && matches!(self.actor, Actor::Worker { token: other, .. } if other == token)
    }
}
