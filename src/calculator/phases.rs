//! The time that a run spends in each of its phases, so that a slow run explains itself.

use std::time::{Duration, Instant};

const PHASES: usize = 6;

/// A phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the user's lock.
    LockWait,
    /// Refreshing the snapshot of the listings, when the user's rows come from a newer one.
    Listings,
    /// Reading the user's state and analysis.
    Read,
    /// Ranking the listings.
    Rank,
    /// Writing the list, confirming it, or leaving the trigger to the queue.
    Write,
    /// Releasing the user's lock.
    Release,
}

/// The time per phase. A run that starts again adds to the phases that it repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([Duration; PHASES]);

impl Phases {
    /// The time spent in the phase.
    pub fn of(&self, phase: Phase) -> Duration {
        self.0[phase as usize]
    }

    /// Counts a time for the phase.
    pub(super) fn add(&mut self, phase: Phase, time: Duration) {
        self.0[phase as usize] += time;
    }

    /// Counts the time until `step` ends, or is given up, for the phase.
    pub(super) async fn time<T>(&mut self, phase: Phase, step: impl Future<Output = T>) -> T {
        let _timer = Timer { spent: &mut self.0[phase as usize], since: Instant::now() };
        step.await
    }
}

/// Adds the time until it is dropped.
struct Timer<'a> {
    spent: &'a mut Duration,
    since: Instant,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        *self.spent += self.since.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn spend_a_moment() {
        let begun = Instant::now();
        while begun.elapsed() < MOMENT {}
    }

    #[tokio::test]
    async fn time_counts_for_its_phase_also_when_the_step_is_given_up() {
        let mut phases = Phases::default();
        for _ in 0..2 {
            phases.time(Phase::Read, async { spend_a_moment() }).await;
        }
        let stuck = async {
            spend_a_moment();
            std::future::pending::<()>().await
        };
        assert!(tokio::time::timeout(MOMENT, phases.time(Phase::Write, stuck)).await.is_err());
        assert!(phases.of(Phase::Read) >= 2 * MOMENT && phases.of(Phase::Write) >= MOMENT);
        for phase in [Phase::LockWait, Phase::Listings, Phase::Rank, Phase::Release] {
            assert!(phases.of(phase).is_zero(), "{phase:?}");
        }
    }
}
