//! Which listings fit a user, how well, and why: pure and synchronous.
//!
//! A [`Catalogue`] is an immutable snapshot of all listings. Its [`CatalogueBuilder`] cuts titles, skills and
//! texts into tokens (`text`, `title`) and inverts them (`segment`, `segment_builder`; `merge` joins the small
//! segments that refreshes leave). A career becomes weighted phrases (`vocabulary`, `phrase`, `plan`), its
//! candidates are found once per catalogue (`candidates`, `coverage`, `cache`), and a user's careers are merged
//! (`recommend`, `select`) by a score with its breakdown (`score`) and reasons (`explain`, `korean`).

mod cache;
mod candidates;
mod catalogue;
mod coverage;
#[cfg(test)]
mod examples;
mod experience;
mod explain;
mod korean;
mod lint;
mod merge;
mod phrase;
mod plan;
#[cfg(test)]
mod properties;
mod rarity;
mod recommend;
mod score;
mod segment;
mod segment_builder;
mod select;
mod skills;
mod text;
mod title;
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
