//! Why a run failed, and what that means to its caller.

use std::time::Duration;

use crate::storage::{StoreError, StoreErrorKind};

/// Why a run failed. The rows are those of an earlier run, or of this one, never a mixture.
#[derive(Debug, thiserror::Error)]
pub enum CalculationError {
    /// The database failed or refused a step.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A failure that is not the user's fault, as evidence shows.
    #[error("the database is in trouble: {0}")]
    ServerInTrouble(#[source] Box<CalculationError>),
    /// The run took longer than [`super::CalculatorConfig::run_timeout`].
    #[error("the run was ended after {0:?}")]
    TimedOut(Duration),
    /// A bug in the calculation; the panic hook has logged it.
    #[error("the run panicked")]
    Panicked,
    /// [`super::CalculatorConfig::max_runs`] are in flight.
    #[error("too many runs are in flight")]
    Overloaded,
}

/// The meaning of a failure to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The database is away, busy or in trouble: the same request may succeed later.
    Unavailable,
    /// The run took too long.
    TimedOut,
    /// Too many runs are in flight.
    Overloaded,
    /// A defect of the service or of the database's schema.
    Internal,
}

impl CalculationError {
    /// The meaning of the error to a caller.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Store(error) => error.into(),
            Self::ServerInTrouble(_) => Failure::Unavailable,
            Self::TimedOut(_) => Failure::TimedOut,
            Self::Overloaded => Failure::Overloaded,
            Self::Panicked => Failure::Internal,
        }
    }

    /// The stable code of the error, as in answers to requests.
    pub fn code(&self) -> &'static str {
        self.failure().code()
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Unavailable | StoreErrorKind::Conflict => Self::Unavailable,
            StoreErrorKind::ListingGone | StoreErrorKind::Refused | StoreErrorKind::Migration => {
                Self::Internal
            }
        }
    }
}

impl Failure {
    /// The stable code, as in answers to requests.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::TimedOut => "calculation_timed_out",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal_error",
        }
    }
}
