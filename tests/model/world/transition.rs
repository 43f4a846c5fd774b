//! The effect of an event: the dispatch, events from outside, and faults.

use job_agent::calculator::{CalculationError, Outcome, QueuedReason};
use job_agent::storage::{RowChanges, StoreError, Written};

use super::run::TIMED_OUT;
use super::{Activity, Actor, Event, Phase, Scenario, SentStatement, World, Write, now};
use crate::mutants::Mutant;

/// The next world, in the making.
pub(super) struct Transition<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: World,
}

impl Transition<'_> {
    pub(super) fn apply(&mut self, event: Event) {
        let world = &mut self.world;
        match event {
            Event::ChangeProfile => world.server.profile += 1,
            Event::ChangeListings => world.server.catalogue += 1,
            Event::Refresh { instance } => self.refresh(instance),
            Event::Request { instance } => {
                world.left.requests -= 1;
                self.request(instance, Phase::Begin { attempt: 0 });
            }
            Event::RequestInBackground { instance } => self.request_in_background(instance),
            Event::MarkByBatch => self.mark_by_batch(),
            Event::RemoveDanglingRows => self.remove_dangling_rows(),
            Event::AlterRows => {
                world.left.other_writers -= 1;
                world.server.user.list.altered = true;
            }
            Event::RetryParked => {
                world.left.retries -= 1;
                world.server.user.retry_parked();
                self.reset_attempts();
                self.forget_settled();
            }
            Event::PassRetention => {
                world.left.retentions -= 1;
                world.era += 1;
            }
            Event::RemoveOldList => self.remove_old_list(),
            Event::Crash { instance } => self.crash(instance),
            Event::LoseAnswer { slot } => self.lose_answer(slot),
            Event::Conflict { slot } => self.conflict(slot),
            Event::TimeOut { slot } => {
                world.left.timeouts -= 1;
                let activity = self.end(slot);
                self.orphan_statement(&activity);
                self.finish(activity, Err(Box::new(TIMED_OUT)));
            }
            Event::Outage { slot } => {
                world.left.outages -= 1;
                let activity = self.end(slot);
                // A commit that hangs lands when there is room again.
                self.orphan_statement(&activity);
                let error = CalculationError::Store(StoreError::refused("the table is full"));
                let error = match self.scenario.is(Mutant::OutagesAreCharged) {
                    true => error,
                    false => CalculationError::ServerInTrouble(Box::new(error)),
                };
                self.finish(activity, Err(Box::new(error)));
            }
            Event::Find { instance } => self.find(instance),
            Event::FailOver { broken } => self.fail_over(&broken),
            Event::FallBehind => {
                world.left.lags -= 1;
                world.other = Some(world.server.clone());
            }
            Event::Continue { slot } => {
                let activity = self.end(slot);
                self.continue_on_primary(activity);
            }
            Event::ContinueOnOldPrimary { slot } => {
                let activity = self.end(slot);
                self.go_on_at_old_primary(activity);
            }
            Event::Reconnect { instance } => self.reconnect(instance),
            Event::Replicate => world.other = Some(world.server.clone()),
            Event::CatchUp => world.other = None,
            Event::Land { nth } => {
                let statement = world.orphans.remove(nth);
                self.land(statement);
            }
            Event::Vanish { nth } => _ = world.orphans.remove(nth),
            Event::ExpireLease => {
                world.left.pauses -= u8::from(world.lease_ends_early() == Some(true));
                world.server.user.expire_lease();
            }
            Event::EndPause => world.server.user.end_pause(),
            Event::NoticeAlteredRows => {
                world.server.user.notice_altered();
                self.trigger_is_recorded(self.world.server.profile);
            }
        }
    }

    pub(super) fn begin(&mut self, activity: Activity) {
        let place = self.world.activities.partition_point(|other| other.slot < activity.slot);
        self.world.activities.insert(place, activity);
    }

    pub(super) fn end(&mut self, slot: u8) -> Activity {
        let place = self.world.activities.iter().position(|activity| activity.slot == slot);
        let Some(place) = place else { unreachable!("slot {slot} has no activity") };
        self.world.activities.remove(place)
    }

    /// The next step of an activity that is not disturbed.
    pub(super) fn go_on(&mut self, mut activity: Activity) {
        match activity.phase {
            Phase::Found => self.claim_and_begin(activity),
            Phase::Begin { attempt } => self.read(activity, attempt),
            Phase::InputsRead { attempt, profile, catalogue } => {
                let state = self.state_for_decision();
                self.decide(activity, attempt, &state, profile, catalogue);
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
                self.land(SentStatement::Record { profile: activity.actor.profile() });
                self.finish(activity, Ok(Outcome::Queued(QueuedReason::LostToOtherRuns)));
            }
            Phase::GivingBack(lease_end) => self.land(activity.actor.give_back(lease_end)),
        }
    }

    pub(super) fn refresh(&mut self, instance: u8) {
        self.world.snapshots[usize::from(instance)] = self.world.server.catalogue;
    }

    fn mark_by_batch(&mut self) {
        let world = &mut self.world;
        world.left.batches -= 1;
        let parked = world.server.user.recorded.as_ref().is_some_and(|recorded| recorded.parked);
        world.server.user.mark_due(1);
        if parked {
            world.server.history.killed = world.server.history.killed.min(self.scenario.max_attempts - 1);
        }
        self.trigger_is_recorded(self.world.server.profile);
    }

    fn remove_dangling_rows(&mut self) {
        let world = &mut self.world;
        world.left.dangling -= 1;
        world.server.user.remove_dangling_rows(world.server.catalogue);
        // A parked user stays parked until the next trigger.
        world.server.history.parked_with += u16::from(world.server.history.parked_with > 0);
        self.trigger_is_recorded(self.world.server.profile);
    }

    fn remove_old_list(&mut self) {
        let world = &mut self.world;
        let version = world.server.user.recorded.as_ref().map_or(0, |recorded| recorded.version);
        world.server.user.remove_list(now(world.era));
        if let Some(recorded) = &mut world.server.user.recorded
            && self.scenario.is(Mutant::CleanUpDoesNotCount)
        {
            recorded.version = version;
        }
    }

    /// The process is gone; a statement that it sent may land all the same. Its successor has the newest listings.
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
                self.world.server.history.killed += 1;
            }
        }
        self.refresh(instance);
        self.reconnect(instance);
    }

    fn lose_answer(&mut self, slot: u8) {
        self.world.left.lost -= 1;
        let mut activity = self.end(slot);
        self.orphan_statement(&activity);
        if activity.phase == Phase::Found {
            // The claim lands, and the worker does not know.
            self.claim(&mut activity);
        }
        activity.unsure = matches!(activity.phase, Phase::Writing { .. } | Phase::Written { .. });
        self.fail(activity, StoreError::unavailable("no answer"));
    }

    fn conflict(&mut self, slot: u8) {
        self.world.left.lost -= 1;
        let activity = self.end(slot);
        self.fail(activity, StoreError::conflict("another transaction"));
    }

    /// The statement of the activity is answered by an error.
    pub(super) fn fail(&mut self, activity: Activity, error: StoreError) {
        match activity.phase {
            Phase::Writing { attempt, write: Write { confirm, .. } }
            | Phase::Written { attempt, confirm, .. } => {
                self.after_write(activity, attempt, confirm, Err(error));
            }
            Phase::Recording => self.finish(activity, Err(Box::new(CalculationError::Store(error)))),
            Phase::Found | Phase::GivingBack(_) => {}
            Phase::Begin { .. } | Phase::InputsRead { .. } => {
                unreachable!("the activity waits for no answer")
            }
        }
    }
}
