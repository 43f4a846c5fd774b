//! The past, which only the properties look at: no process sees it.

use super::transition::Transition;
use super::{Actor, Phase, Write};

/// The part of the past of a server's data that a property depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// The newest inputs whose result the stored rows are known to be.
    pub shown: Option<Inputs>,
    /// Triggers that are recorded and not completed: number, and the newest profile when they were sent.
    pub triggers: Vec<(u16, u8)>,
    /// Workers whose process ended during a run, since the attempts were last reset.
    pub killed: u8,
    /// The newest trigger that the worker knew when it parked the user.
    pub parked_with: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    OtherRowsConfirmed,
    FromLostInputs,
    WentBack,
    Swallowed,
    Dishonest,
    TriedAgain,
}

/// The versions that a list was calculated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inputs {
    pub profile: u8,
    pub catalogue: u8,
    pub scoring: u8,
}

impl Transition<'_> {
    /// The write has landed: the stored rows are those of its inputs.
    pub(super) fn shows(&mut self, write: Write) {
        let server = &mut self.world.server;
        let (new, history) = (write.inputs, &mut server.history);
        let lost = new.profile > server.profile || new.catalogue > server.catalogue;
        let old = history.shown.unwrap_or(Inputs { profile: 0, catalogue: 0, scoring: 0 });
        let newest = Inputs {
            profile: new.profile.max(old.profile),
            catalogue: new.catalogue.max(old.catalogue),
            scoring: new.scoring.max(old.scoring),
        };
        // A confirmation writes no rows: older inputs that give the same rows are no step back.
        let went_back = !write.confirm && newest != new;
        history.shown = Some(if write.confirm { newest } else { new });
        let (shown, completed) = (
            history.shown.map_or(0, |shown| shown.profile),
            server.user.recorded.as_ref().map_or(0, |recorded| recorded.completed_seq),
        );
        let swallowed =
            history.triggers.iter().any(|(number, profile)| *number <= completed && *profile > shown);
        if lost {
            self.violated(Violation::FromLostInputs);
        }
        if went_back {
            self.violated(Violation::WentBack);
        }
        if swallowed {
            self.violated(Violation::Swallowed);
        }
    }

    pub(super) fn trigger_is_recorded(&mut self, profile: u8) {
        let number = self.world.server.user.recorded.as_ref().map_or(0, |recorded| recorded.requested_seq);
        self.world.server.history.triggers.push((number, profile));
        self.forget_settled();
    }

    /// Attempts count from zero again.
    pub(super) fn reset_attempts(&mut self) {
        self.world.server.history.killed = 0;
        for activity in &mut self.world.activities {
            if let Actor::Worker { counts, .. } = &mut activity.actor
                && activity.phase != Phase::Found
            {
                *counts = false;
            }
        }
    }

    /// Forgets the past that no property depends on any more, so that fewer states differ.
    pub(super) fn forget_settled(&mut self) {
        let Some(recorded) = &self.world.server.user.recorded else { return };
        let (parked, completed) = (recorded.parked, recorded.completed_seq);
        let history = &mut self.world.server.history;
        if !parked {
            history.parked_with = 0;
        }
        history.triggers.retain(|(number, _)| *number > completed);
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        self.world.violation.get_or_insert(violation);
    }
}
