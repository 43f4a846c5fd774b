//! Changes to the protocol that the model must catch.
//!
//! The files of `tests/chaos/mutants` are the list of known bugs: the fault campaign catches each in the real
//! binary, and the model catches the same ones under the same names. The exceptions are written down: a patch says
//! in its head why the model has no such bug, and [`ONLY_IN_THE_MODEL`] says why there is no patch.

use crate::failovers::{DEMOTED, DEMOTED_REQUEST, EVERY_NODE};
use crate::properties::{
    CONFIRMED, CONVERGES, DURABLE, ENDS, FORWARD, HONEST, NO_LEASE, NOT_CHARGED, NOT_SWALLOWED, OURS,
    PARKS_WHAT_FAILED,
};
use crate::scenarios::{
    CRASH, FAILURE, LOST_ANSWER, NIGHT, OTHER_WRITER, OUTAGE, REQUESTS, ROLLOUT, TAKE_OVER,
};
use crate::world::Scenario;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A write does not compare the version.
    NoVersionCompare,
    /// A run reads its inputs before the state.
    InputsBeforeState,
    /// A run that loses the comparison answers success.
    LoserAnswersSuccess,
    /// A run that finds the version moved since its request answers that the rows are current.
    VersionMovedSoSkip,
    /// A write whose answer is lost counts as committed.
    LostAnswerIsSuccess,
    /// A commit completes every trigger recorded by then, not only those recorded before the run read the state.
    CompletesAllRequested,
    /// 202 is sent before the trigger is recorded.
    AcceptBeforeCommit,
    /// A lease does not end with its time.
    LeaseNeverFreed,
    /// An attempt is counted when it fails, not when it begins.
    AttemptsCountedOnFailure,
    /// A run with an older scoring replaces the rows of a newer one.
    ScoringUnordered,
    /// A run with older listings replaces the rows of newer ones.
    CatalogueUnordered,
    /// A replacement compares the version only, not the confirmations.
    ConfirmationsDoNotCount,
    /// A run that succeeds un-parks a user, and forgets the trigger that was parked.
    UnparksWithoutDue,
    /// A worker that fails parks a trigger that came in after its claim.
    ParksWhatIsNew,
    /// The clean-up removes a list without moving the version.
    CleanUpDoesNotCount,
    /// A run compares the number of rows, not their contents.
    RowsAreOnlyCounted,
    /// A replacement leaves rows alone that another writer had altered when the run read them.
    AlteredRowsTrusted,
    /// The clean-up does not look for lists that another writer has altered.
    AlteredRowsUnnoticed,
    /// A failure that is the server's fault counts against the user.
    OutagesAreCharged,
    /// An instance keeps connections whose statements the old primary refuses.
    OldPrimaryKept,
    /// A commit that is refused at its certification counts as committed.
    LostCertificationIsSuccess,
    /// A state that was read on another server than the one that is written counts as the newest.
    StaleServerCounts,
}

/// Each with the property that it breaks, and the fewest steps to do so.
pub const MUTANTS: [(Mutant, Scenario, &str, usize); 22] = [
    (Mutant::NoVersionCompare, REQUESTS, FORWARD, 7),
    (Mutant::InputsBeforeState, REQUESTS, FORWARD, 9),
    (Mutant::LoserAnswersSuccess, REQUESTS, HONEST, 8),
    (Mutant::VersionMovedSoSkip, REQUESTS, HONEST, 6),
    (Mutant::LostAnswerIsSuccess, LOST_ANSWER, HONEST, 3),
    (Mutant::CompletesAllRequested, FAILURE, NOT_SWALLOWED, 6),
    (Mutant::AcceptBeforeCommit, CRASH, DURABLE, 4),
    (Mutant::LeaseNeverFreed, CRASH, NO_LEASE, 5),
    (Mutant::AttemptsCountedOnFailure, CRASH, ENDS, 8),
    (Mutant::ScoringUnordered, ROLLOUT, FORWARD, 6),
    (Mutant::CatalogueUnordered, ROLLOUT, FORWARD, 8),
    (Mutant::OutagesAreCharged, OUTAGE, NOT_CHARGED, 6),
    (Mutant::ConfirmationsDoNotCount, REQUESTS, FORWARD, 8),
    (Mutant::UnparksWithoutDue, FAILURE, CONVERGES, 10),
    (Mutant::ParksWhatIsNew, TAKE_OVER, PARKS_WHAT_FAILED, 8),
    (Mutant::CleanUpDoesNotCount, NIGHT, CONFIRMED, 5),
    (Mutant::RowsAreOnlyCounted, OTHER_WRITER, CONFIRMED, 4),
    (Mutant::AlteredRowsTrusted, OTHER_WRITER, CONFIRMED, 4),
    (Mutant::AlteredRowsUnnoticed, OTHER_WRITER, OURS, 1),
    (Mutant::OldPrimaryKept, DEMOTED, CONVERGES, 3),
    (Mutant::LostCertificationIsSuccess, EVERY_NODE, HONEST, 6),
    (Mutant::StaleServerCounts, DEMOTED_REQUEST, HONEST, 6),
];

/// Bugs that need no patch, and why.
pub const ONLY_IN_THE_MODEL: [(Mutant, &str); 9] = [
    (Mutant::LostAnswerIsSuccess, "the campaign's loser-answers-success breaks the same decision"),
    (Mutant::CatalogueUnordered, "the campaign's scoring-unordered breaks the same decision"),
    (Mutant::UnparksWithoutDue, "a parked user with a newer trigger is too rare in a campaign"),
    (Mutant::ParksWhatIsNew, "a parked user with a newer trigger is too rare in a campaign"),
    (Mutant::OutagesAreCharged, "tests/it/servers_in_trouble.rs shows it on real servers"),
    (Mutant::CleanUpDoesNotCount, "a clean-up that meets a run of the same user is too rare in a campaign"),
    (Mutant::RowsAreOnlyCounted, "the campaign has no other writer; tests/it/other_writers.rs has one"),
    (Mutant::AlteredRowsTrusted, "the campaign has no other writer; tests/it/other_writers.rs has one"),
    (Mutant::AlteredRowsUnnoticed, "a clean-up that meets a run of the same user is too rare in a campaign"),
];

#[test]
fn the_model_and_the_patches_of_the_campaign_name_the_same_bugs() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/mutants");
    let mut in_both = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let patch = std::fs::read_to_string(&path).unwrap();
        let model = patch.lines().find_map(|line| line.strip_prefix("Model: "));
        let model = model.unwrap_or_else(|| panic!("{path:?} does not say how the model names it"));
        match model.strip_prefix("none, ") {
            Some(reason) => assert!(!reason.is_empty(), "{path:?}"),
            None => {
                assert_eq!(path.file_stem().unwrap().to_str(), Some(&*kebab_case(model)), "{path:?}");
                in_both.push(model.to_owned());
            }
        }
    }
    in_both.extend(ONLY_IN_THE_MODEL.map(|(mutant, _)| format!("{mutant:?}")));
    in_both.sort();
    let mut modelled = MUTANTS.map(|(mutant, ..)| format!("{mutant:?}"));
    modelled.sort();
    assert_eq!(in_both, modelled);
}

/// `NoVersionCompare` as `no-version-compare`.
fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}
