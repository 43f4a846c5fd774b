//! Known bugs that a test build can switch on, to see that the fault campaign catches them
//! (`scripts/chaos --mutant`). Without the feature `chaos` there are none, and nothing of this is compiled in.

/// A bug. Its name, as `JOB_AGENT_MUTANT` has it, is the variant's in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A replacement does not compare the token.
    NoVersionCompare,
    /// The inputs are read before the state.
    InputsBeforeState,
    /// A replacement that lost the comparison is taken for one that was made.
    LoserAnswersSuccess,
    /// A run that was in somebody's way does not start again: somebody else was faster, so the rows must be
    /// right.
    VersionMovedSoSkip,
    /// A run serves all triggers there are at its commit, not those it had read before its inputs.
    CompletesAllRequested,
    /// Old rows are deleted in a transaction of their own.
    TwoTransactions,
    /// A lock wait time-out in the middle of a replacement is passed over.
    GoOnAfterLockTimeout,
    /// A background trigger is acknowledged before it is committed.
    AcceptBeforeCommit,
    /// Connections are handed out as they came back.
    NoRollbackOnCheckOut,
    /// A lease counts for ever.
    LeaseNeverFreed,
    /// Attempts are counted when they have failed, not when they begin.
    AttemptsCountedOnFailure,
    /// An older scoring replaces the results of a newer one.
    ScoringUnordered,
    /// Idle workers rely on being told.
    NoPoll,
    /// A lock is deleted whoever has it.
    ReleaseWithoutCompare,
    /// A replacement does not mind that others have found the stored rows current.
    ConfirmationsDoNotCount,
}

/// Whether this process has the bug.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub const fn active(_: Mutant) -> bool {
    false
}

/// Whether this process has the bug.
#[cfg(feature = "chaos")]
pub fn active(mutant: Mutant) -> bool {
    static ACTIVE: std::sync::LazyLock<Option<Mutant>> = std::sync::LazyLock::new(|| {
        let name = std::env::var("JOB_AGENT_MUTANT").ok()?;
        let found = Mutant::ALL.into_iter().find(|mutant| mutant.name() == name);
        Some(found.unwrap_or_else(|| panic!("JOB_AGENT_MUTANT={name} is no mutant")))
    });
    *ACTIVE == Some(mutant)
}

#[cfg(feature = "chaos")]
impl Mutant {
    pub const ALL: [Self; 15] = [
        Self::NoVersionCompare,
        Self::InputsBeforeState,
        Self::LoserAnswersSuccess,
        Self::VersionMovedSoSkip,
        Self::CompletesAllRequested,
        Self::TwoTransactions,
        Self::GoOnAfterLockTimeout,
        Self::AcceptBeforeCommit,
        Self::NoRollbackOnCheckOut,
        Self::LeaseNeverFreed,
        Self::AttemptsCountedOnFailure,
        Self::ScoringUnordered,
        Self::NoPoll,
        Self::ReleaseWithoutCompare,
        Self::ConfirmationsDoNotCount,
    ];

    /// `no-version-compare` and so on.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}
