//! Decisions of a worker: pure functions, so that the model explores the code that runs in production.

use std::time::Duration;

use crate::calculator::{CalculationError, Failure, Outcome};
use crate::storage::{GiveBack, WorkError};

/// Delay after the first failure; each further failure doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest delay after a failure.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Delay when the run never started, or failed by no fault of the user's, so that the other run or the outage can end.
const RETRY_UNTRIED: Duration = Duration::from_secs(1);

/// The next step of a worker that has claimed a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterClaim {
    /// Start a run.
    Run,
    /// Park the user: every attempt began and none ended, so each one ended its process.
    Park,
}

/// Decides by the number of attempts before this claim.
pub fn after_claim(attempts: u32, max_attempts: u32) -> AfterClaim {
    if attempts < max_attempts { AfterClaim::Run } else { AfterClaim::Park }
}

/// The parking reason for a user whose every attempt ended the process.
pub fn parked_for_crashing() -> GiveBack {
    let cause = "the process ended during every attempt".to_owned();
    GiveBack::Parked { error: WorkError { code: "process_ended", cause } }
}

/// How the worker ends its claim after a run; `None` if the run has ended it, as every committed run does.
/// `attempts` includes this one. `jitter`, in 0..1, spreads users that failed at the same time.
pub fn after_run<E: AsRef<CalculationError>>(
    result: &Result<Outcome, E>,
    attempts: u32,
    max_attempts: u32,
    jitter: f64,
) -> Option<GiveBack> {
    let jittered = |delay: Duration| delay.mul_f64(0.5 + jitter);
    let error = match result {
        Ok(Outcome::Queued(_)) => return Some(GiveBack::Untried { after: jittered(RETRY_UNTRIED) }),
        Ok(_) => return None,
        Err(error) => error.as_ref(),
    };
    if error.failure() == Failure::Unavailable {
        return Some(GiveBack::Untried { after: jittered(RETRY_UNTRIED) });
    }
    let error = WorkError { code: error.code(), cause: error.to_string() };
    Some(if attempts >= max_attempts {
        GiveBack::Parked { error }
    } else {
        let doubled = FIRST_RETRY * 2u32.saturating_pow(attempts.saturating_sub(1).min(16));
        GiveBack::Failed { after: jittered(doubled.min(LONGEST_RETRY)), error }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calculator::QueuedReason;
    use crate::storage::StoreError;

    fn failed(attempts: u32, jitter: f64) -> Option<GiveBack> {
        after_run(&Err(Box::new(CalculationError::Panicked)), attempts, 5, jitter)
    }

    #[test]
    fn failures_are_retried_later_and_later_and_then_parked() {
        let after = |attempts, jitter| match failed(attempts, jitter) {
            Some(GiveBack::Failed { after, error }) => {
                assert_eq!(error.code, "internal_error");
                after.as_millis()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((after(1, 0.0), after(1, 0.5), after(4, 0.5)), (500, 1_000, 8_000));
        assert!(matches!(failed(5, 0.0), Some(GiveBack::Parked { .. })));
        let Some(GiveBack::Failed { after, .. }) =
            after_run(&Err(Box::new(CalculationError::Panicked)), 50, 100, 0.5)
        else {
            panic!("retried")
        };
        assert_eq!(after, LONGEST_RETRY);
    }

    #[test]
    fn an_attempt_that_never_ran_or_failed_with_the_server_is_not_counted() {
        type Result = std::result::Result<Outcome, Box<CalculationError>>;
        let unavailable = StoreError::unavailable("no answer");
        let outage: Result = Err(Box::new(CalculationError::Store(unavailable)));
        assert!(matches!(after_run(&outage, 5, 5, 0.0), Some(GiveBack::Untried { .. })));
        let full = CalculationError::Store(StoreError::refused("the table is full"));
        let in_trouble: Result = Err(Box::new(CalculationError::ServerInTrouble(Box::new(full))));
        assert!(matches!(after_run(&in_trouble, 5, 5, 0.0), Some(GiveBack::Untried { .. })));
        let busy: Result = Ok(Outcome::Queued(QueuedReason::LockBusy));
        assert!(matches!(after_run(&busy, 5, 5, 0.0), Some(GiveBack::Untried { .. })));
        let done: Result = Ok(Outcome::UpToDate { saved_count: 1 });
        assert_eq!(after_run(&done, 1, 5, 0.0), None);
    }

    #[test]
    fn a_user_whose_every_attempt_ended_the_process_is_not_run_again() {
        assert_eq!((after_claim(4, 5), after_claim(5, 5)), (AfterClaim::Run, AfterClaim::Park));
    }
}
