//! Statements that change the user: sent, landed, or orphaned by a sender that no longer waits for them.

use job_agent::domain::{CatalogueVersion, ScoringRevision};
use job_agent::storage::{Basis, StateToken, Written};

use super::transition::Transition;
use super::worker::LeaseEnd;
use super::{Activity, Actor, Inputs, Phase, Violation, now};
use crate::mutants::Mutant;
use crate::spec::{Due, List, Recorded, User};

/// A replacement or a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    pub confirm: bool,
    /// The version that the run has read.
    pub version: u16,
    /// The confirmations that the run has read.
    pub confirmations: u16,
    pub(super) serves_seq: u16,
    /// The list that the run has read. If another writer alters it later, that counts as after the run: no run can tell
    /// the two apart.
    pub(super) read: List,
    pub(super) inputs: Inputs,
    pub(super) era: u8,
    /// The server that the run has read.
    pub server: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentStatement {
    Write(Write),
    Record { profile: u8 },
    GiveBack { attempts: u8, requested_seq: u16, token: u8, lease_end: LeaseEnd },
}

impl Actor {
    /// The newest profile that its trigger stands for. A worker that leaves its user to the queue repeats a trigger
    /// that is recorded already.
    pub(super) fn profile(self) -> u8 {
        match self {
            Self::Request { profile, .. } => profile,
            Self::Worker { .. } => 0,
        }
    }
}

impl Transition<'_> {
    /// The sender no longer waits for the statement that it has sent, if it has sent one.
    pub(super) fn orphan_statement(&mut self, activity: &Activity) {
        self.world.orphans.extend(match &activity.phase {
            Phase::Writing { write, .. } => Some(SentStatement::Write(*write)),
            Phase::Recording => Some(SentStatement::Record { profile: activity.actor.profile() }),
            Phase::GivingBack(lease_end) => Some(activity.actor.give_back(*lease_end)),
            _ => None,
        });
    }

    pub(super) fn land(&mut self, statement: SentStatement) {
        match statement {
            SentStatement::Write(write) => _ = self.write(write),
            SentStatement::Record { profile } => {
                let parked = self.world.server.user.recorded.as_ref().is_some_and(|recorded| recorded.parked);
                self.world.server.user.request_run();
                if parked {
                    self.reset_attempts();
                }
                self.trigger_is_recorded(profile);
            }
            SentStatement::GiveBack { attempts, requested_seq, token, lease_end } => {
                self.end_lease(attempts, requested_seq, token, lease_end);
            }
        }
        self.forget_settled();
    }

    /// Whether the write won.
    pub(super) fn write(&mut self, write: Write) -> bool {
        let is_elsewhere = write.server != self.world.server.number;
        if is_elsewhere && !self.scenario.is(Mutant::StaleServerCounts) {
            return false;
        }
        let before = self.world.server.user.recorded.clone().unwrap_or_default();
        let (basis, list) = (self.basis_of(write, &before), self.scenario.list(write.inputs));
        let user = &mut self.world.server.user;
        let stored = user.list;
        let written = if write.confirm { user.confirm(&basis) } else { user.replace(&basis, list) };
        if written == Written::Lost {
            return false;
        }
        if let Some(recorded) = &mut user.recorded
            && before.parked
            && self.scenario.is(Mutant::UnparksWithoutDue)
        {
            recorded.due = Due::No;
        }
        // Alterations that the run has seen are gone, or nothing is reported.
        let left = if write.confirm { stored.number != list } else { self.world.server.user.list.altered };
        if write.read.altered && (write.confirm || left) || write.confirm && left {
            self.violated(Violation::OtherRowsConfirmed);
        }
        self.reset_attempts();
        self.shows(write);
        self.forget_settled();
        true
    }

    /// The basis that the run has read, unless a mutant takes it from the state at the commit.
    fn basis_of(&self, write: Write, at_commit: &Recorded) -> Basis {
        let scenario = self.scenario;
        let mut expected =
            StateToken { version: write.version.into(), confirmations: write.confirmations.into() };
        if scenario.is(Mutant::NoVersionCompare) {
            expected = at_commit.token();
        }
        if scenario.is(Mutant::ConfirmationsDoNotCount) {
            expected.confirmations = at_commit.token().confirmations;
        }
        let completes_all = scenario.is(Mutant::CompletesAllRequested);
        let serves_seq = if completes_all { at_commit.requested_seq } else { write.serves_seq };
        let altered = write.read.altered && !scenario.is(Mutant::AlteredRowsTrusted);
        let read = User { recorded: None, list: List { altered, ..write.read } };
        Basis {
            is_recorded: true,
            expected,
            serves_seq: serves_seq.into(),
            catalogue_version: CatalogueVersion(write.inputs.catalogue.into()),
            scoring_revision: ScoringRevision(write.inputs.scoring.into()),
            listed: read.state(now(write.era)).listed,
            now: now(write.era),
            server: String::new(),
        }
    }
}
