//! What a worker does next: pure functions of what it has seen, so that they can be explored without I/O.

use std::time::Duration;

use crate::calculator::{CalculationError, Outcome};
use crate::storage::{GiveBack, StoreError, WorkError};

/// After the first failure; doubled with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// For whoever was in the way to finish.
const RETRY_UNTRIED: Duration = Duration::from_secs(1);

/// What a worker does with a user it has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterClaim {
    Run,
    /// All attempts were begun and none was ended: the user has killed its process each time.
    Park,
}

/// Decides by the attempts that had been counted before the claim.
pub fn after_claim(attempts: u32, max_attempts: u32) -> AfterClaim {
    if attempts < max_attempts { AfterClaim::Run } else { AfterClaim::Park }
}

/// What a user is parked with who has killed its process each time.
pub fn killer() -> GiveBack {
    let cause = "the process ended during every attempt".to_owned();
    GiveBack::Parked { error: WorkError { code: "process_ended", cause } }
}

/// How the claim ends; `None` if the run has ended it: every committed run does. `attempts` includes this
/// one; `jitter`, in 0..1, keeps users who failed together from coming back together.
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
    if let CalculationError::Store(StoreError::Unavailable(_)) = error {
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
    fn what_is_not_the_users_fault_is_not_counted() {
        type Result = std::result::Result<Outcome, Box<CalculationError>>;
        let unavailable = StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        let outage: Result = Err(Box::new(CalculationError::Store(unavailable)));
        assert!(matches!(after_run(&outage, 5, 5, 0.0), Some(GiveBack::Untried { .. })));
        let busy: Result = Ok(Outcome::Queued(QueuedReason::LockBusy));
        assert!(matches!(after_run(&busy, 5, 5, 0.0), Some(GiveBack::Untried { .. })));
        let done: Result = Ok(Outcome::UpToDate { saved_count: 1 });
        assert_eq!(after_run(&done, 1, 5, 0.0), None);
    }

    #[test]
    fn a_user_who_killed_every_process_is_not_run_again() {
        assert_eq!((after_claim(4, 5), after_claim(5, 5)), (AfterClaim::Run, AfterClaim::Park));
    }
}
