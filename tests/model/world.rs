//! One user, the processes that work on it, and everything that can happen next.
//!
//! Steps are as fine as the I/O of the service: a run reads the state, reads the inputs, sends its write;
//! the write lands or does not; its answer arrives or does not. What a run or a worker does next is decided
//! by the production's own functions, and what a statement does to the user by `tests/spec/state.rs`. There
//! are no locks: they only save work.

use chrono::{DateTime, TimeDelta, Utc};
use job_agent::background::decision::{self as worker, AfterClaim};
use job_agent::calculator::decision::{self as run, Action as RunAction, AfterWrite, BeforeInputs};
use job_agent::calculator::{CalculationError, Outcome, QueuedReason};
use job_agent::domain::UserId;
use job_agent::storage::{
    Basis, DueUser, GiveBack, RowChanges, StateToken, StoreError, UserState, WorkError, Written,
};
use stateright::Model;

use crate::Mutant;
use crate::spec::{self, Due, Recorded, User};

/// The numbers of a run's attempts, for the production's functions: fewer than there, and the last one.
const ATTEMPTS: [u32; 3] = [1, 2, run::MAX_ATTEMPTS];
const TIMED_OUT: CalculationError = CalculationError::TimedOut(std::time::Duration::from_secs(60));

/// What may happen, and how often.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What the versions of the user's inputs say; equal numbers are equal inputs, 0 is no career.
    pub profiles: &'static [u8],
    /// What the versions of the listings contain.
    pub catalogues: &'static [u8],
    /// The scoring revision of each instance.
    pub scorings: [u8; 2],
    /// After so many failures a user is parked.
    pub max_attempts: u8,
    pub budget: Budget,
    pub mutant: Option<Mutant>,
}

/// LeaseEnd often something may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Requests that wait for their answer.
    pub requests: u8,
    /// Requests in the background.
    pub background: u8,
    pub batches: u8,
    /// Clean-ups that remove rows whose listing is gone.
    pub dangling: u8,
    /// Passages of the time after which the clean-up removes a list.
    pub retentions: u8,
    pub crashes: u8,
    /// Answers of the database that are lost, or say that another transaction was in the way.
    pub lost: u8,
    pub timeouts: u8,
    /// Leases that end before the worker that holds them.
    pub pauses: u8,
}

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub user: User,
    /// The newest versions, by their number.
    pub profile: u8,
    pub catalogue: u8,
    /// The listings that each instance has in memory.
    pub snapshots: [u8; 2],
    /// What goes on in the instances, by slot: a worker in each, then one per request.
    pub activities: Vec<Activity>,
    /// Statements that are on their way though nobody waits for them any more.
    pub orphans: Vec<SentStatement>,
    /// Retention times that have passed.
    pub era: u8,
    pub left: Budget,
    pub history: History,
}

/// What the properties are about, and no process sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// The newest inputs that the stored rows are known to be the result of.
    pub shown: Option<Inputs>,
    /// Triggers that are recorded and not completed: number, and the profile they were sent after.
    pub triggers: Vec<(u16, u8)>,
    /// The newest profile that somebody was promised to see: 202, or queued.
    pub promised: u8,
    /// Workers whose process ended during a run, since the attempts were last forgiven.
    pub killed: u8,
    /// The newest trigger that was known to whoever parked the user.
    pub parked_with: u16,
    pub violation: Option<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    OtherRowsConfirmed,
    WentBack,
    Swallowed,
    Dishonest,
    TriedAgain,
}

/// Versions that a list was calculated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inputs {
    pub profile: u8,
    pub catalogue: u8,
    pub scoring: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Activity {
    pub slot: u8,
    pub instance: u8,
    pub actor: Actor,
    pub phase: Phase,
    /// The answer to one of its writes was lost.
    pub unsure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    Worker {
        attempts: u8,
        requested_seq: u16,
        token: u8,
        /// The claim counts: the attempts have not been forgiven since.
        counts: bool,
    },
    Request {
        /// The newest profile when the request was sent.
        profile: u8,
        /// Of the stored rows at that time, for [`Mutant::VersionMovedSoSkip`].
        version: u16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A worker has read that the user is due.
    Found,
    /// Transition: reads the state.
    Begin { attempt: u8 },
    /// Has read one part; next: reads the other and decides.
    HalfRead { attempt: u8, first_read: FirstRead, catalogue: u8 },
    /// Waits for the answer to its write, which has not landed.
    Writing { attempt: u8, write: Write },
    /// The write has landed or lost; the answer is on its way.
    Written { attempt: u8, confirm: bool, won: bool },
    /// Waits for its trigger to be recorded.
    Recording,
    /// Waits for its lease to be ended.
    GivingBack(LeaseEnd),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FirstRead {
    State(User),
    /// The wrong order: [`Mutant::InputsBeforeState`].
    Inputs(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    pub confirm: bool,
    pub version: u16,
    pub confirmations: u16,
    serves_seq: u16,
    inputs: Inputs,
    era: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseEnd {
    Untried,
    Failed(&'static str),
    Parked(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentStatement {
    Write(Write),
    Record { profile: u8 },
    GiveBack { attempts: u8, requested_seq: u16, token: u8, lease_end: LeaseEnd },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    // The world outside.
    ChangeProfile,
    ChangeListings,
    Refresh { instance: u8 },
    Request { instance: u8 },
    RequestInBackground { instance: u8 },
    MarkByBatch,
    RemoveDanglingRows,
    PassRetention,
    RemoveOldList,
    // Faults.
    Crash { instance: u8 },
    LoseAnswer { slot: u8 },
    Conflict { slot: u8 },
    TimeOut { slot: u8 },
    // What the service does, sooner or later.
    Find { instance: u8 },
    Continue { slot: u8 },
    Land { nth: usize },
    Vanish { nth: usize },
    ExpireLease,
    EndPause,
}

impl Model for Protocol {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let unknown = World {
            user: User::default(),
            profile: 0,
            catalogue: 0,
            snapshots: [0; 2],
            activities: Vec::new(),
            orphans: Vec::new(),
            era: 0,
            left: self.budget,
            history: History::default(),
        };
        let mut known = unknown.clone();
        let inputs = Inputs { profile: 0, catalogue: 0, scoring: self.scorings[0] };
        _ = known.user.replace(&unknown.basis(inputs), self.list(inputs));
        known.history.shown = Some(inputs);
        vec![unknown, known]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Event>) {
        if world.history.violation.is_some() {
            return;
        }
        self.outside(world, actions);
        self.faults(world, actions);
        self.service(world, actions);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = Transition { protocol: self, world: world.clone() };
        next.take(event);
        Some(next.world)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        crate::properties::all()
    }
}

impl Protocol {
    fn outside(&self, world: &World, actions: &mut Vec<Event>) {
        if usize::from(world.profile) + 1 < self.profiles.len() {
            actions.push(Event::ChangeProfile);
        }
        if usize::from(world.catalogue) + 1 < self.catalogues.len() {
            actions.push(Event::ChangeListings);
        }
        for instance in 0..2 {
            if world.snapshots[usize::from(instance)] < world.catalogue {
                actions.push(Event::Refresh { instance });
            }
            if world.left.requests > 0 {
                actions.push(Event::Request { instance });
            }
            if world.left.background > 0 {
                actions.push(Event::RequestInBackground { instance });
            }
        }
        if world.left.batches > 0 {
            actions.push(Event::MarkByBatch);
        }
        if world.left.dangling > 0 && world.user.list.number > 0 {
            actions.push(Event::RemoveDanglingRows);
        }
        // Runs and the sessions of dead ones end long before that.
        if world.left.retentions > 0 && world.activities.is_empty() && world.orphans.is_empty() {
            actions.push(Event::PassRetention);
        }
        if world.user.clone().remove_list(now(world.era)) {
            actions.push(Event::RemoveOldList);
        }
    }

    fn faults(&self, world: &World, actions: &mut Vec<Event>) {
        for instance in 0..2 {
            if world.left.crashes > 0 && world.activities.iter().any(|activity| activity.instance == instance)
            {
                actions.push(Event::Crash { instance });
            }
        }
        if world.left.pauses > 0 && world.lease_ends_early() == Some(true) {
            actions.push(Event::ExpireLease);
        }
        for Activity { slot, phase, .. } in &world.activities {
            let slot = *slot;
            let waits = !matches!(phase, Phase::Begin { .. } | Phase::HalfRead { .. });
            if world.left.lost > 0 && waits {
                actions.push(Event::LoseAnswer { slot });
            }
            if world.left.lost > 0 && matches!(phase, Phase::Writing { .. }) {
                actions.push(Event::Conflict { slot });
            }
            if world.left.timeouts > 0 && !matches!(phase, Phase::Found | Phase::GivingBack(_)) {
                actions.push(Event::TimeOut { slot });
            }
        }
    }

    /// Whether nothing happens any more unless something comes from outside.
    pub fn is_at_rest(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        if world.activities.is_empty() && world.orphans.is_empty() {
            self.service(world, &mut actions);
        }
        actions.is_empty() && world.activities.is_empty() && world.orphans.is_empty()
    }

    fn service(&self, world: &World, actions: &mut Vec<Event>) {
        for instance in 0..2 {
            let idle = world.activities.iter().all(|activity| activity.slot != instance);
            let scoring = self.scorings[usize::from(instance)];
            if idle && world.user.due(user(), scoring.into()).is_some() {
                actions.push(Event::Find { instance });
            }
        }
        actions.extend(world.activities.iter().map(|activity| Event::Continue { slot: activity.slot }));
        for nth in 0..world.orphans.len() {
            actions.extend([Event::Land { nth }, Event::Vanish { nth }]);
        }
        let Some(recorded) = &world.user.recorded else { return };
        if world.lease_ends_early() == Some(false) && !self.is(Mutant::LeaseNeverFreed) {
            actions.push(Event::ExpireLease);
        }
        if recorded.due == Due::Later {
            actions.push(Event::EndPause);
        }
    }

    /// The number of the list that inputs give.
    pub fn list(&self, inputs: Inputs) -> u8 {
        match self.profiles[usize::from(inputs.profile)] {
            0 => 0,
            profile => profile + 4 * self.catalogues[usize::from(inputs.catalogue)] + 16 * inputs.scoring,
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// The next world, in the making.
struct Transition<'a> {
    protocol: &'a Protocol,
    world: World,
}

type RunResult = Result<Outcome, Box<CalculationError>>;

impl Transition<'_> {
    fn take(&mut self, event: Event) {
        let world = &mut self.world;
        match event {
            Event::ChangeProfile => world.profile += 1,
            Event::ChangeListings => world.catalogue += 1,
            Event::Refresh { instance } => self.refresh(instance),
            Event::Request { instance } => {
                world.left.requests -= 1;
                self.request(instance, Phase::Begin { attempt: 0 });
            }
            Event::RequestInBackground { instance } => {
                world.left.background -= 1;
                // Without careers there is nothing to record: a run answers.
                let can_run = self.protocol.profiles[usize::from(world.profile)] > 0;
                let phase = if can_run { Phase::Recording } else { Phase::Begin { attempt: 0 } };
                if can_run && self.protocol.is(Mutant::AcceptBeforeCommit) {
                    world.history.promised = world.history.promised.max(world.profile);
                }
                self.request(instance, phase);
            }
            Event::MarkByBatch => {
                world.left.batches -= 1;
                let parked = world.user.recorded.as_ref().is_some_and(|recorded| recorded.parked);
                world.user.mark_due(1);
                if parked {
                    world.history.killed = world.history.killed.min(self.protocol.max_attempts - 1);
                }
                self.trigger_is_recorded(self.world.profile);
            }
            Event::RemoveDanglingRows => {
                world.left.dangling -= 1;
                world.user.remove_dangling_rows();
                // Left to the next trigger if the user is parked.
                world.history.parked_with += u16::from(world.history.parked_with > 0);
                self.trigger_is_recorded(self.world.profile);
            }
            Event::PassRetention => {
                world.left.retentions -= 1;
                world.era += 1;
            }
            Event::RemoveOldList => {
                let version = world.user.recorded.as_ref().map_or(0, |recorded| recorded.version);
                world.user.remove_list(now(world.era));
                if let Some(recorded) = &mut world.user.recorded
                    && self.protocol.is(Mutant::CleanUpDoesNotCount)
                {
                    recorded.version = version;
                }
            }
            Event::Crash { instance } => self.crash(instance),
            Event::LoseAnswer { slot } => {
                world.left.lost -= 1;
                self.lose_answer(slot);
            }
            Event::Conflict { slot } => {
                world.left.lost -= 1;
                let activity = self.end(slot);
                let Phase::Writing { attempt, write } = activity.phase else {
                    unreachable!("nothing else conflicts")
                };
                let conflict = Err(StoreError::Conflict(sqlx::Error::RowNotFound));
                self.after_write(activity, attempt, write.confirm, conflict);
            }
            Event::TimeOut { slot } => {
                world.left.timeouts -= 1;
                let activity = self.end(slot);
                self.orphan_statement(&activity);
                self.finish(activity, Err(Box::new(TIMED_OUT)));
            }
            Event::Find { instance } => {
                let scoring = self.protocol.scorings[usize::from(instance)];
                let Some(due) = world.user.due(user(), scoring.into()) else {
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
            Event::Continue { slot } => {
                let activity = self.end(slot);
                self.go_on(activity);
            }
            Event::Land { nth } => {
                let statement = world.orphans.remove(nth);
                self.land(statement);
            }
            Event::Vanish { nth } => _ = world.orphans.remove(nth),
            Event::ExpireLease => {
                world.left.pauses -= u8::from(world.lease_ends_early() == Some(true));
                world.user.expire_lease();
            }
            Event::EndPause => world.user.end_pause(),
        }
    }

    fn request(&mut self, instance: u8, phase: Phase) {
        let begun = self.protocol.budget.requests + self.protocol.budget.background
            - self.world.left.requests
            - self.world.left.background;
        let remembers = self.protocol.is(Mutant::VersionMovedSoSkip);
        let version =
            self.world.user.recorded.as_ref().filter(|_| remembers).map_or(0, |recorded| recorded.version);
        let actor = Actor::Request { profile: self.world.profile, version };
        self.begin(Activity { slot: 1 + begun, instance, actor, phase, unsure: false });
    }

    fn begin(&mut self, activity: Activity) {
        let place = self.world.activities.partition_point(|other| other.slot < activity.slot);
        self.world.activities.insert(place, activity);
    }

    fn end(&mut self, slot: u8) -> Activity {
        let place = self.world.activities.iter().position(|activity| activity.slot == slot);
        let Some(place) = place else { unreachable!("nothing goes on in slot {slot}") };
        self.world.activities.remove(place)
    }

    fn refresh(&mut self, instance: u8) {
        self.world.snapshots[usize::from(instance)] = self.world.catalogue;
    }

    /// The process is gone, and what it sent may land all the same; a new one has the newest listings.
    fn crash(&mut self, instance: u8) {
        self.world.left.crashes -= 1;
        for activity in std::mem::take(&mut self.world.activities) {
            if activity.instance != instance {
                self.world.activities.push(activity);
                continue;
            }
            self.orphan_statement(&activity);
            let runs = !matches!(activity.phase, Phase::Found | Phase::GivingBack(_));
            if runs && matches!(activity.actor, Actor::Worker { counts: true, .. }) {
                self.world.history.killed += 1;
            }
        }
        self.refresh(instance);
    }

    fn orphan_statement(&mut self, activity: &Activity) {
        self.world.orphans.extend(match (&activity.phase, activity.actor) {
            (Phase::Writing { write, .. }, _) => Some(SentStatement::Write(*write)),
            (Phase::Recording, actor) => Some(SentStatement::Record { profile: self.trigger_of(actor) }),
            (Phase::GivingBack(lease_end), Actor::Worker { attempts, requested_seq, token, .. }) => {
                Some(SentStatement::GiveBack { attempts, requested_seq, token, lease_end: *lease_end })
            }
            _ => None,
        });
    }

    /// A worker that leaves its user to others repeats a trigger; the newest profile is what it stands for.
    fn trigger_of(&self, actor: Actor) -> u8 {
        match actor {
            Actor::Request { profile, .. } => profile,
            Actor::Worker { .. } => 0,
        }
    }

    fn lose_answer(&mut self, slot: u8) {
        let mut activity = self.end(slot);
        self.orphan_statement(&activity);
        let unavailable = StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        match activity.phase {
            // The claim lands, and nobody knows.
            Phase::Found => _ = self.claim(&mut activity),
            Phase::Writing { attempt, write: Write { confirm, .. } }
            | Phase::Written { attempt, confirm, .. } => {
                activity.unsure = true;
                self.after_write(activity, attempt, confirm, Err(unavailable));
            }
            Phase::Recording => self.finish(activity, Err(Box::new(CalculationError::Store(unavailable)))),
            Phase::GivingBack(_) => {}
            Phase::Begin { .. } | Phase::HalfRead { .. } => unreachable!("nothing is waited for"),
        }
    }

    /// The next step of whoever is not disturbed.
    fn go_on(&mut self, mut activity: Activity) {
        match activity.phase {
            Phase::Found => {
                if !self.claim(&mut activity) {
                    return;
                }
                let Actor::Worker { attempts, .. } = activity.actor else {
                    unreachable!("only workers claim")
                };
                match worker::after_claim(attempts.into(), self.protocol.max_attempts.into()) {
                    AfterClaim::Run => {
                        if self.world.history.killed >= self.protocol.max_attempts {
                            self.violated(Violation::TriedAgain);
                        }
                        activity.phase = Phase::Begin { attempt: 0 };
                    }
                    AfterClaim::Park => {
                        activity.phase = Phase::GivingBack(lease_end(&worker::parked_for_crashing()))
                    }
                }
                self.begin(activity);
            }
            Phase::Begin { attempt } => self.read_first(activity, attempt),
            Phase::HalfRead { attempt, ref first_read, catalogue } => {
                let (seen, profile) = match first_read {
                    FirstRead::State(seen) => (seen.clone(), self.world.profile),
                    FirstRead::Inputs(profile) => (remembered(&self.world.user), *profile),
                };
                self.decide(activity, attempt, &seen, profile, catalogue);
            }
            Phase::Writing { attempt, write } => {
                let won = self.write(write);
                if let Actor::Worker { counts, .. } = &mut activity.actor {
                    *counts &= !won;
                }
                activity.phase = Phase::Written { attempt, confirm: write.confirm, won };
                self.begin(activity);
            }
            Phase::Written { attempt, confirm, won } => {
                let answer = if won { Written::Committed(RowChanges::default()) } else { Written::Lost };
                self.after_write(activity, attempt, confirm, Ok(answer));
            }
            Phase::Recording => {
                self.land(SentStatement::Record { profile: self.trigger_of(activity.actor) });
                self.finish(activity, Ok(Outcome::Queued(QueuedReason::LostToOtherRuns)));
            }
            Phase::GivingBack(lease_end) => {
                let Actor::Worker { attempts, requested_seq, token, .. } = activity.actor else {
                    unreachable!("only workers have leases")
                };
                self.land(SentStatement::GiveBack { attempts, requested_seq, token, lease_end });
            }
        }
    }

    fn claim(&mut self, activity: &mut Activity) -> bool {
        let Actor::Worker { attempts, requested_seq, token, .. } = &mut activity.actor else {
            unreachable!("only workers claim")
        };
        // Unique among those that somebody may still use.
        *token = (0..).find(|token| !self.world.knows(*token)).unwrap_or_default();
        let scoring = self.protocol.scorings[usize::from(activity.instance)];
        let claimed = self.world.user.claim(&due(*attempts, *requested_seq), *token, scoring.into());
        if let Some(recorded) = &mut self.world.user.recorded
            && claimed
            && self.protocol.is(Mutant::AttemptsCountedOnFailure)
        {
            recorded.attempts -= 1;
        }
        claimed
    }

    /// Reads the state, and decides whether to go on.
    fn read_first(&mut self, mut activity: Activity, attempt: u8) {
        let (world, instance) = (&self.world, usize::from(activity.instance));
        let (catalogue, scoring) = (world.snapshots[instance], self.protocol.scorings[instance]);
        let state = world.user.state(now(world.era));
        if let Actor::Request { version, .. } = activity.actor
            && self.protocol.is(Mutant::VersionMovedSoSkip)
            && state.token().version > version.into()
        {
            return self.finish(activity, Ok(Outcome::UpToDate { saved_count: 0 }));
        }
        match self.before_inputs(&state, catalogue, scoring) {
            BeforeInputs::Proceed => {
                let wrong_order = self.protocol.is(Mutant::InputsBeforeState);
                let first_read = if wrong_order {
                    FirstRead::Inputs(world.profile)
                } else {
                    FirstRead::State(remembered(&world.user))
                };
                activity.phase = Phase::HalfRead { attempt, first_read, catalogue };
                self.begin(activity);
            }
            BeforeInputs::RefreshCatalogue => {
                self.refresh(activity.instance);
                self.start_again(activity, attempt);
            }
            BeforeInputs::LeaveToNewerScoring => {
                activity.phase = Phase::Recording;
                self.begin(activity);
            }
        }
    }

    fn before_inputs(&self, state: &UserState, catalogue: u8, scoring: u8) -> BeforeInputs {
        let decided = run::before_inputs(state, catalogue.into(), scoring.into());
        match decided {
            BeforeInputs::RefreshCatalogue if self.protocol.is(Mutant::CatalogueUnordered) => {
                BeforeInputs::Proceed
            }
            BeforeInputs::LeaveToNewerScoring if self.protocol.is(Mutant::ScoringUnordered) => {
                BeforeInputs::Proceed
            }
            _ => decided,
        }
    }

    /// Calculates, and sends what is to be written.
    fn decide(&mut self, mut activity: Activity, attempt: u8, seen: &User, profile: u8, catalogue: u8) {
        let scoring = self.protocol.scorings[usize::from(activity.instance)];
        let inputs = Inputs { profile, catalogue, scoring };
        let (list, state) = (self.protocol.list(inputs), seen.state(now(self.world.era)));
        let digest = spec::digest(list);
        let result = run::Calculated { digest: &digest, has_careers: list > 0 };
        let decided = run::action(&state, result, false);
        if decided == RunAction::LeaveNoTrace {
            return self.finish(activity, Ok(Outcome::NoProfileAnalysis));
        }
        let token = state.token();
        let write = Write {
            confirm: decided == RunAction::Confirm,
            version: seq(token.version),
            confirmations: seq(token.confirmations),
            serves_seq: seq(state.requested_seq()),
            inputs,
            era: self.world.era,
        };
        activity.phase = Phase::Writing { attempt, write };
        self.begin(activity);
    }

    fn after_write(
        &mut self,
        mut activity: Activity,
        attempt: u8,
        confirm: bool,
        answer: Result<Written, StoreError>,
    ) {
        let lost = matches!(answer, Ok(Written::Lost));
        let unsure = matches!(answer, Err(StoreError::Unavailable(_)));
        let mut decided = run::after_write(answer, ATTEMPTS[usize::from(attempt)]);
        if lost && self.protocol.is(Mutant::LoserAnswersSuccess)
            || unsure && self.protocol.is(Mutant::LostAnswerIsSuccess)
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
    fn finish(&mut self, mut activity: Activity, result: RunResult) {
        match activity.actor {
            Actor::Worker { attempts, .. } => {
                let max_attempts = self.protocol.max_attempts.into();
                let ended = worker::after_run(&result, u32::from(attempts) + 1, max_attempts, 0.5);
                if let Some(give_back) = ended {
                    activity.phase = Phase::GivingBack(lease_end(&give_back));
                    activity.unsure = false;
                    self.begin(activity);
                }
            }
            Actor::Request { profile, .. } => match result {
                Ok(Outcome::Computed { .. } | Outcome::UpToDate { .. }) => {
                    if self.world.history.shown.is_none_or(|shown| shown.profile < profile) {
                        self.violated(Violation::Dishonest);
                    }
                }
                Ok(Outcome::Queued(_)) => {
                    let promised = &mut self.world.history.promised;
                    *promised = (*promised).max(profile);
                }
                Ok(Outcome::NoProfileAnalysis | Outcome::NoJobRecommendations) | Err(_) => {}
            },
        }
    }

    fn land(&mut self, statement: SentStatement) {
        match statement {
            SentStatement::Write(write) => _ = self.write(write),
            SentStatement::Record { profile } => {
                let parked = self.world.user.recorded.as_ref().is_some_and(|recorded| recorded.parked);
                self.world.user.request_run();
                if parked {
                    self.forgive();
                }
                self.trigger_is_recorded(profile);
            }
            SentStatement::GiveBack { attempts, requested_seq, token, lease_end } => {
                self.give_back(attempts, requested_seq, token, lease_end);
            }
        }
        self.tidy();
    }

    /// Whether the write won.
    fn write(&mut self, write: Write) -> bool {
        let world = &mut self.world;
        let before = world.user.recorded.clone().unwrap_or_default();
        let (protocol, list) = (self.protocol, self.protocol.list(write.inputs));
        let current = before.token();
        let mut expected =
            StateToken { version: write.version.into(), confirmations: write.confirmations.into() };
        if protocol.is(Mutant::NoVersionCompare) {
            expected = current;
        }
        if protocol.is(Mutant::ConfirmationsDoNotCount) {
            expected.confirmations = current.confirmations;
        }
        let at_commit = protocol.is(Mutant::CompletesAllRequested);
        let serves_seq = if at_commit { before.requested_seq } else { write.serves_seq };
        let basis = Basis {
            user: user(),
            expected,
            serves_seq: serves_seq.into(),
            catalogue_version: write.inputs.catalogue.into(),
            scoring_revision: write.inputs.scoring.into(),
            now: now(write.era),
        };
        let stored = world.user.list;
        let written =
            if write.confirm { world.user.confirm(&basis) } else { world.user.replace(&basis, list) };
        if written == Written::Lost {
            return false;
        }
        if let Some(recorded) = &mut world.user.recorded
            && before.parked
            && protocol.is(Mutant::UnparksWithoutDue)
        {
            recorded.due = Due::No;
        }
        if write.confirm && stored != (spec::List { number: list, altered: false }) {
            self.violated(Violation::OtherRowsConfirmed);
        }
        self.forgive();
        self.shows(write);
        self.tidy();
        true
    }

    fn shows(&mut self, write: Write) {
        let (new, history) = (write.inputs, &mut self.world.history);
        let old = history.shown.unwrap_or(Inputs { profile: 0, catalogue: 0, scoring: 0 });
        let newest = Inputs {
            profile: new.profile.max(old.profile),
            catalogue: new.catalogue.max(old.catalogue),
            scoring: new.scoring.max(old.scoring),
        };
        // A confirmation writes no rows: older inputs that give them are no step back.
        let went_back = !write.confirm && newest != new;
        history.shown = Some(if write.confirm { newest } else { new });
        let (shown, completed) = (
            history.shown.map_or(0, |shown| shown.profile),
            self.world.user.recorded.as_ref().map_or(0, |recorded| recorded.completed_seq),
        );
        let swallowed =
            history.triggers.iter().any(|(number, profile)| *number <= completed && *profile > shown);
        if went_back {
            self.violated(Violation::WentBack);
        }
        if swallowed {
            self.violated(Violation::Swallowed);
        }
    }

    fn give_back(&mut self, attempts: u8, requested_seq: u16, token: u8, lease_end: LeaseEnd) {
        let error = |code| WorkError { code, cause: String::new() };
        let after = std::time::Duration::from_secs(1);
        let give_back = match lease_end {
            LeaseEnd::Untried => GiveBack::Untried { after },
            LeaseEnd::Failed(code) => GiveBack::Failed { after, error: error(code) },
            LeaseEnd::Parked(code) => GiveBack::Parked { error: error(code) },
        };
        let user = &mut self.world.user;
        let before = user.recorded.clone().unwrap_or_default();
        let mut claimed = due(attempts, requested_seq);
        if self.protocol.is(Mutant::ParksWhatIsNew) {
            claimed.requested_seq = before.requested_seq.into();
        }
        user.give_back(&claimed, token, &give_back);
        let Some(recorded) = &mut user.recorded else { return };
        let ended = before.lease.is_some() && recorded.lease.is_none();
        if ended && self.protocol.is(Mutant::AttemptsCountedOnFailure) {
            recorded.attempts = before.attempts + u8::from(lease_end != LeaseEnd::Untried);
        }
        if ended && matches!(lease_end, LeaseEnd::Parked(_)) {
            if recorded.parked {
                self.world.history.parked_with = requested_seq;
            } else {
                self.forgive();
            }
        }
    }

    fn trigger_is_recorded(&mut self, profile: u8) {
        let number = self.world.user.recorded.as_ref().map_or(0, |recorded| recorded.requested_seq);
        self.world.history.triggers.push((number, profile));
        self.tidy();
    }

    /// The attempts are counted anew.
    fn forgive(&mut self) {
        self.world.history.killed = 0;
        for activity in &mut self.world.activities {
            if let Actor::Worker { counts, .. } = &mut activity.actor
                && activity.phase != Phase::Found
            {
                *counts = false;
            }
        }
    }

    /// Forgets what no property asks for any more.
    fn tidy(&mut self) {
        let Some(recorded) = &self.world.user.recorded else { return };
        let (parked, completed) = (recorded.parked, recorded.completed_seq);
        let history = &mut self.world.history;
        if !parked {
            history.parked_with = 0;
        }
        history.triggers.retain(|(number, _)| *number > completed);
    }

    fn violated(&mut self, violation: Violation) {
        self.world.history.violation.get_or_insert(violation);
    }
}

impl World {
    /// What a run that starts now would write on.
    fn basis(&self, inputs: Inputs) -> Basis {
        let state = self.user.state(now(self.era));
        Basis {
            user: user(),
            expected: state.token(),
            serves_seq: state.requested_seq(),
            catalogue_version: inputs.catalogue.into(),
            scoring_revision: inputs.scoring.into(),
            now: state.now,
        }
    }

    /// Whether a lease that ended now would end before its worker; `None`: there is none that could end.
    fn lease_ends_early(&self) -> Option<bool> {
        let lease = self.user.recorded.as_ref()?.lease.filter(|lease| !lease.over)?;
        Some(self.activities.iter().any(|activity| holds(activity, lease.token)))
    }

    /// Whether somebody may still use the token of a lease.
    fn knows(&self, token: u8) -> bool {
        let held = self.user.recorded.as_ref().and_then(|recorded| recorded.lease);
        held.is_some_and(|lease| lease.token == token)
            || self.activities.iter().any(|activity| holds(activity, token))
            || self.orphans.iter().any(
                |statement| matches!(statement, SentStatement::GiveBack { token: other, .. } if *other == token),
            )
    }
}

fn holds(activity: &Activity, token: u8) -> bool {
    activity.phase != Phase::Found
        && matches!(activity.actor, Actor::Worker { token: other, .. } if other == token)
}

/// What a run remembers of the state until it decides.
fn remembered(user: &User) -> User {
    let recorded = user.recorded.as_ref().map(|recorded| Recorded {
        version: recorded.version,
        confirmations: recorded.confirmations,
        digest: recorded.digest,
        requested_seq: recorded.requested_seq,
        ..Recorded::default()
    });
    User { recorded, list: user.list }
}

fn lease_end(give_back: &GiveBack) -> LeaseEnd {
    match give_back {
        GiveBack::Untried { .. } => LeaseEnd::Untried,
        GiveBack::Failed { error, .. } => LeaseEnd::Failed(error.code),
        GiveBack::Parked { error } => LeaseEnd::Parked(error.code),
    }
}

fn user() -> UserId {
    UserId::try_from(1).unwrap()
}

fn due(attempts: u8, requested_seq: u16) -> DueUser {
    DueUser { user: user(), attempts: attempts.into(), requested_seq: requested_seq.into() }
}

/// The database's clock: what happens between two passages of the retention time is at one time.
fn now(era: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(100 * i64::from(era))
}

fn seq(number: i64) -> u16 {
    u16::try_from(number).unwrap()
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap()
}
