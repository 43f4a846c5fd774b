//! A request, and a run on behalf of a request or a worker.

use std::time::Duration;

use job_agent::background::decision::after_run;
use job_agent::calculator::decision::{self, Action, AfterWrite, BeforeRanking, Calculated};
use job_agent::calculator::{CalculationError, Outcome};
use job_agent::domain::{CatalogueVersion, ScoringRevision};
use job_agent::storage::{StoreError, StoreErrorKind, UserState, Written};

use super::transition::Transition;
use super::worker::LeaseEnd;
use super::{Activity, Actor, Inputs, Phase, Violation, Write, now, seq};
use crate::mutants::Mutant;
use crate::spec::{self, Recorded, User};

/// The attempts of a run, numbered for production's functions: fewer than in production, with the last one.
const ATTEMPTS: [u32; 3] = [1, 2, decision::MAX_ATTEMPTS];
pub(super) const TIMED_OUT: CalculationError = CalculationError::TimedOut(Duration::from_secs(60));

type RunResult = Result<Outcome, Box<CalculationError>>;

impl Transition<'_> {
    pub(super) fn request_in_background(&mut self, instance: u8) {
        let world = &mut self.world;
        world.left.background -= 1;
        // Without careers there is nothing to record: a run answers.
        let can_run = self.scenario.profiles[usize::from(world.server.profile)] > 0;
        let phase = if can_run { Phase::Recording } else { Phase::Begin { attempt: 0 } };
        if can_run && self.scenario.is(Mutant::AcceptBeforeCommit) {
            world.promised = world.promised.max(world.server.profile);
        }
        self.request(instance, phase);
    }

    pub(super) fn request(&mut self, instance: u8, phase: Phase) {
        let begun = self.scenario.budget.requests + self.scenario.budget.background
            - self.world.left.requests
            - self.world.left.background;
        let remembers = self.scenario.is(Mutant::VersionMovedSoSkip);
        let version = self
            .world
            .server
            .user
            .recorded
            .as_ref()
            .filter(|_| remembers)
            .map_or(0, |recorded| recorded.version);
        let actor = Actor::Request { profile: self.world.server.profile, version };
        self.begin(Activity { slot: 1 + begun, instance, actor, phase, unsure: false });
    }

    /// Reads the state and the inputs at one moment, and decides.
    pub(super) fn read(&mut self, mut activity: Activity, attempt: u8) {
        let (world, instance) = (&self.world, usize::from(activity.instance));
        let (catalogue, scoring) = (world.snapshots[instance], self.scenario.scorings[instance]);
        let state = world.server.user.state(now(world.era));
        if let Actor::Request { version, .. } = activity.actor
            && self.scenario.is(Mutant::VersionMovedSoSkip)
            && state.token().version > version.into()
        {
            return self.finish(activity, Ok(Outcome::UpToDate { saved_count: 0 }));
        }
        match self.before_ranking(&state, catalogue, scoring) {
            BeforeRanking::Proceed if self.scenario.is(Mutant::InputsBeforeState) => {
                activity.phase = Phase::InputsRead { attempt, profile: world.server.profile, catalogue };
                self.begin(activity);
            }
            BeforeRanking::Proceed => {
                let (state, profile) = (self.state_for_decision(), world.server.profile);
                self.decide(activity, attempt, &state, profile, catalogue);
            }
            BeforeRanking::RefreshCatalogue => {
                self.refresh(activity.instance);
                self.start_again(activity, attempt);
            }
            BeforeRanking::LeaveToNewerScoring => {
                activity.phase = Phase::Recording;
                self.begin(activity);
            }
        }
    }

    fn before_ranking(&self, state: &UserState, catalogue: u8, scoring: u8) -> BeforeRanking {
        let decided = decision::before_ranking(
            state,
            CatalogueVersion(catalogue.into()),
            ScoringRevision(scoring.into()),
        );
        match decided {
            BeforeRanking::RefreshCatalogue if self.scenario.is(Mutant::CatalogueUnordered) => {
                BeforeRanking::Proceed
            }
            BeforeRanking::LeaveToNewerScoring if self.scenario.is(Mutant::ScoringUnordered) => {
                BeforeRanking::Proceed
            }
            _ => decided,
        }
    }

    /// The parts of the state that a run remembers until it decides.
    pub(super) fn state_for_decision(&self) -> User {
        let user = &self.world.server.user;
        let recorded = user.recorded.as_ref().map(|recorded| Recorded {
            version: recorded.version,
            confirmations: recorded.confirmations,
            digest: recorded.digest,
            requested_seq: recorded.requested_seq,
            ..Recorded::default()
        });
        User { recorded, list: user.list }
    }

    /// Calculates, and sends the write.
    pub(super) fn decide(
        &mut self,
        mut activity: Activity,
        attempt: u8,
        state: &User,
        profile: u8,
        catalogue: u8,
    ) {
        let scoring = self.scenario.scorings[usize::from(activity.instance)];
        let inputs = Inputs { profile, catalogue, scoring };
        let read = state.list;
        let (list, mut state) = (self.scenario.list(inputs), state.state(now(self.world.era)));
        if self.scenario.is(Mutant::RowsAreOnlyCounted) {
            state.rows.checksum =
                state.recorded.as_ref().and_then(|recorded| recorded.rows).map_or(0, |rows| rows.checksum);
        }
        let digest = spec::digest(list);
        let calculated = Calculated { digest: &digest, has_careers: list > 0 };
        let action = decision::action(&state, calculated, false);
        if action == Action::LeaveNoTrace {
            return self.finish(activity, Ok(Outcome::NoProfileAnalysis));
        }
        let token = state.token();
        let write = Write {
            confirm: action == Action::Confirm,
            version: seq(token.version),
            confirmations: seq(token.confirmations),
            serves_seq: seq(state.requested_seq()),
            read,
            inputs,
            era: self.world.era,
            server: self.world.server.number,
        };
        activity.phase = Phase::Writing { attempt, write };
        self.begin(activity);
    }

    pub(super) fn after_write(
        &mut self,
        mut activity: Activity,
        attempt: u8,
        confirm: bool,
        answer: Result<Written, StoreError>,
    ) {
        let lost = matches!(answer, Ok(Written::Lost));
        let unsure = answer.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unavailable);
        let mut decided = decision::after_write(answer, ATTEMPTS[usize::from(attempt)]);
        if lost && self.scenario.is(Mutant::LoserAnswersSuccess)
            || unsure && self.scenario.is(Mutant::LostAnswerIsSuccess)
        {
            decided = AfterWrite::Done;
        }
        match decided {
            AfterWrite::Done => {
                let outcome = if confirm {
                    Outcome::UpToDate { saved_count: 0 }
                } else {
                    Outcome::Computed { saved_count: 0 }
                };
                self.finish(activity, Ok(outcome));
            }
            AfterWrite::StartAgain(_) => self.start_again(activity, attempt),
            AfterWrite::RefreshCatalogue(_) => {
                self.refresh(activity.instance);
                self.start_again(activity, attempt);
            }
            AfterWrite::GiveUp => {
                activity.phase = Phase::Recording;
                self.begin(activity);
            }
            AfterWrite::Fail(error) => self.finish(activity, Err(Box::new(CalculationError::Store(error)))),
        }
    }

    fn start_again(&mut self, mut activity: Activity, attempt: u8) {
        let another = usize::from(attempt) + 1 < ATTEMPTS.len();
        activity.phase = if another { Phase::Begin { attempt: attempt + 1 } } else { Phase::Recording };
        self.begin(activity);
    }

    /// The run is over: the worker ends its lease, the request gets its answer.
    pub(super) fn finish(&mut self, mut activity: Activity, result: RunResult) {
        match activity.actor {
            Actor::Worker { attempts, .. } => {
                let max_attempts = self.scenario.max_attempts.into();
                if let Some(give_back) = after_run(&result, u32::from(attempts) + 1, max_attempts, 0.5) {
                    activity.phase = Phase::GivingBack(LeaseEnd::of(&give_back));
                    activity.unsure = false;
                    self.begin(activity);
                }
            }
            Actor::Request { profile, .. } => match result {
                Ok(Outcome::Computed { .. } | Outcome::UpToDate { .. }) => {
                    let is_older =
                        self.world.server.history.shown.is_none_or(|shown| shown.profile < profile);
                    if is_older && self.scenario.keeps_acknowledged {
                        self.violated(Violation::Dishonest);
                    }
                }
                Ok(Outcome::Queued(_)) => {
                    let promised = &mut self.world.promised;
                    *promised = (*promised).max(profile);
                }
                Ok(Outcome::NoProfileAnalysis | Outcome::NoJobRecommendations) | Err(_) => {}
            },
        }
    }
}
