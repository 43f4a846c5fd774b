//! Decisions of a run: pure functions, so that the model explores the code that runs in production.

use crate::domain::{CatalogueVersion, ScoringRevision};
use crate::storage::{StoreError, StoreErrorKind, UserState, Written};

/// How often a run may lose the compare-and-set before it leaves its trigger to the queue.
pub const MAX_ATTEMPTS: u32 = 5;
/// The attempt at which a failing database fails the run. The first one may have met an old primary that takes no
/// writes any more: the second one uses connections of its own.
const MAX_FAILURES: u32 = 2;

/// The next step of a run that has read the user's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeRanking {
    /// Go on with the inputs.
    Proceed,
    /// The stored rows come from newer listings than this instance has read: refresh, then start again.
    RefreshCatalogue,
    /// The stored rows come from a newer version of the scoring (a rolling deploy): an instance that has
    /// it must do the run, or the older one would overwrite newer results.
    LeaveToNewerScoring,
}

/// Decides by the state and by the versions that this instance would calculate with.
pub fn before_ranking(
    state: &UserState,
    catalogue_version: CatalogueVersion,
    scoring_revision: ScoringRevision,
) -> BeforeRanking {
    match &state.recorded {
        Some(recorded) if recorded.scoring_revision > scoring_revision => BeforeRanking::LeaveToNewerScoring,
        Some(recorded) if recorded.catalogue_version > catalogue_version => BeforeRanking::RefreshCatalogue,
        _ => BeforeRanking::Proceed,
    }
}

/// The next step of a run that has its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The user is unknown, and nothing is or needs to be stored.
    LeaveNoTrace,
    /// Record that the stored rows are those that the inputs give.
    Confirm,
    /// Replace the stored rows: they differ, or the caller forces it.
    Replace,
}

/// The part of a run's result that [`action`] depends on.
#[derive(Clone, Copy, Debug)]
pub struct Calculated<'a> {
    /// The digest of the calculated rows.
    pub digest: &'a str,
    /// Whether the inputs recommend any career.
    pub has_careers: bool,
}

/// Decides by comparing the result with the state. If the fingerprint of the stored rows differs from the state's,
/// another writer has changed them.
pub fn action(state: &UserState, calculated: Calculated<'_>, force: bool) -> Action {
    match &state.recorded {
        None if !calculated.has_careers && state.rows.count == 0 => Action::LeaveNoTrace,
        Some(recorded)
            if !force
                && recorded.result_digest.as_deref() == Some(calculated.digest)
                && state.is_intact() =>
        {
            Action::Confirm
        }
        _ => Action::Replace,
    }
}

/// The next step of a run after its write.
#[derive(Debug)]
pub enum AfterWrite {
    /// The stored rows are right.
    Done,
    /// Read the state again: the write lost the comparison (`None`), or its fate is unknown. If an ambiguous
    /// commit landed, the digest is now equal.
    StartAgain(Option<StoreError>),
    /// A calculated listing is gone: refresh the catalogue, then start again.
    RefreshCatalogue(StoreError),
    /// The write lost too often: leave the trigger to the queue.
    GiveUp,
    /// The database failed or refused the write.
    Fail(StoreError),
}

/// Decides by the answer of the write; `attempt` counts from 1.
pub fn after_write(answer: Result<Written, StoreError>, attempt: u32) -> AfterWrite {
    match answer {
        Ok(Written::Committed(_)) => AfterWrite::Done,
        Ok(Written::Lost) if attempt >= MAX_ATTEMPTS => AfterWrite::GiveUp,
        Ok(Written::Lost) => AfterWrite::StartAgain(None),
        Err(error) => match error.kind() {
            StoreErrorKind::Conflict if attempt >= MAX_ATTEMPTS => AfterWrite::GiveUp,
            StoreErrorKind::Conflict => AfterWrite::StartAgain(Some(error)),
            StoreErrorKind::ListingGone if attempt < MAX_ATTEMPTS => AfterWrite::RefreshCatalogue(error),
            StoreErrorKind::Unavailable | StoreErrorKind::Refused if attempt < MAX_FAILURES => {
                AfterWrite::StartAgain(Some(error))
            }
            _ => AfterWrite::Fail(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{RecordedState, RowChanges, RowsFingerprint};

    const ROWS: RowsFingerprint = RowsFingerprint { count: 10, checksum: 77 };

    fn state() -> UserState {
        UserState {
            recorded: Some(RecordedState {
                result_digest: Some("d".into()),
                catalogue_version: CatalogueVersion(5),
                scoring_revision: ScoringRevision(2),
                rows: Some(ROWS),
                ..RecordedState::default()
            }),
            rows: ROWS,
            ..UserState::default()
        }
    }

    const SAME: Calculated<'_> = Calculated { digest: "d", has_careers: true };

    #[test]
    fn newer_stored_versions_stop_a_run_and_older_ones_do_not() {
        let decide = |state: &UserState, catalogue, scoring| {
            before_ranking(state, CatalogueVersion(catalogue), ScoringRevision(scoring))
        };
        assert_eq!(decide(&UserState::default(), 0, 0), BeforeRanking::Proceed);
        assert_eq!(decide(&state(), 5, 2), BeforeRanking::Proceed);
        assert_eq!(decide(&state(), 6, 3), BeforeRanking::Proceed);
        assert_eq!(decide(&state(), 4, 2), BeforeRanking::RefreshCatalogue);
        assert_eq!(decide(&state(), 4, 1), BeforeRanking::LeaveToNewerScoring);
    }

    #[test]
    fn only_an_equal_digest_over_untouched_rows_is_confirmed() {
        assert_eq!(action(&state(), SAME, false), Action::Confirm);
        assert_eq!(action(&state(), SAME, true), Action::Replace);
        assert_eq!(action(&state(), Calculated { digest: "e", ..SAME }, false), Action::Replace);
        let fewer = UserState { rows: RowsFingerprint { count: 9, ..ROWS }, ..state() };
        assert_eq!(action(&fewer, SAME, false), Action::Replace);
        let other = UserState { rows: RowsFingerprint { checksum: 78, ..ROWS }, ..state() };
        assert_eq!(action(&other, SAME, false), Action::Replace);
    }

    #[test]
    fn an_unknown_user_leaves_no_trace_but_stale_rows_are_cleared() {
        let nothing = Calculated { digest: "empty", has_careers: false };
        assert_eq!(action(&UserState::default(), nothing, false), Action::LeaveNoTrace);
        assert_eq!(action(&UserState::default(), nothing, true), Action::LeaveNoTrace);
        let old_rows = UserState { rows: RowsFingerprint { count: 50, checksum: 1 }, ..UserState::default() };
        assert_eq!(action(&old_rows, nothing, false), Action::Replace);
        assert_eq!(action(&state(), nothing, false), Action::Replace);
    }

    #[test]
    fn a_lost_write_starts_again_and_in_the_end_gives_up() {
        let unavailable = || Err(StoreError::unavailable("no answer"));
        let refused = || Err(StoreError::refused("read-only"));
        assert!(matches!(after_write(Ok(Written::Committed(RowChanges::default())), 5), AfterWrite::Done));
        assert!(matches!(after_write(Ok(Written::Lost), 1), AfterWrite::StartAgain(None)));
        assert!(matches!(after_write(Ok(Written::Lost), MAX_ATTEMPTS), AfterWrite::GiveUp));
        assert!(matches!(after_write(unavailable(), 1), AfterWrite::StartAgain(Some(_))));
        assert!(matches!(after_write(unavailable(), 2), AfterWrite::Fail(_)));
        assert!(matches!(after_write(refused(), 1), AfterWrite::StartAgain(Some(_))));
        assert!(matches!(after_write(refused(), 2), AfterWrite::Fail(_)));
    }

    #[test]
    fn a_listing_that_is_gone_refreshes_the_catalogue_a_few_times() {
        let gone = || Err(StoreError::listing_gone("foreign key"));
        assert!(matches!(after_write(gone(), 1), AfterWrite::RefreshCatalogue(_)));
        assert!(matches!(after_write(gone(), MAX_ATTEMPTS - 1), AfterWrite::RefreshCatalogue(_)));
        assert!(matches!(after_write(gone(), MAX_ATTEMPTS), AfterWrite::Fail(_)));
    }
}
