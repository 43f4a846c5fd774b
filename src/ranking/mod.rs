//! Which listings fit a user, how well, and why: pure and synchronous.
//!
//! A [`Catalogue`] is an immutable snapshot of all listings. Its [`CatalogueBuilder`] cuts titles, skills and
//! texts into tokens (`text`, `title`) and inverts them (`segment`, `segment_builder`; `merge` joins the small
//! segments that refreshes leave). A career becomes weighted phrases (`vocabulary`, `phrase`, `plan`), its
//! candidates are found once per catalogue (`candidates`, `coverage`, `cache`), and a user's careers are merged
//! (`recommend`, `select`) by a score with its breakdown (`score`) and reasons (`explain`, `korean`).

mod career;
mod catalogue;
mod index;
mod reason;
mod score;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod vocabulary;

pub use catalogue::{Catalogue, CatalogueBuilder};
pub use vocabulary::{Vocabulary, VocabularyError};

/// Raised whenever the same profile and listings could get another score, order or text than before; results
/// of an older revision are then computed anew.
const SCORING_CODE_REVISION: u32 = 2;

/// Ordered: of two instances, the one with the higher revision has the newer scoring. The code's revision
/// counts before the vocabulary's.
pub fn scoring_revision(vocabulary: &Vocabulary) -> i64 {
    i64::from(SCORING_CODE_REVISION) << 32 | i64::from(vocabulary.revision())
}
