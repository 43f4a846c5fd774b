//! The ranking of listings for a user, with scores and reasons: pure and synchronous.
//!
//! [`Catalogue::recommend`] is a sentence: a profile becomes a *query*, the query *selects* hits, and each hit is
//! *explained*. The rooms below it, each of which imports only rooms that stand before it:
//!
//! | room | what it knows |
//! |---|---|
//! | `score` | five components, their weights, the score and its breakdown |
//! | `text` | normalising, words, tokens, phrases |
//! | `vocabulary` | careers, their sectors and other names |
//! | `index` | which listing has which token: segments, merged and searchable |
//! | `career` | one career as weighted phrases, and its candidates |
//! | `catalogue` | the snapshot of all listings, refreshed and cached |
//! | `search` | which listings, in which order |
//! | `reason` | why |
//!
//! `tests/it/architecture.rs` checks this order.

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

use rustc_hash::FxHashSet;

pub use self::catalogue::{Catalogue, CatalogueBuilder};
use self::reason::explain;
use self::score::RIGHT;
use self::search::query::Query;
use self::search::variety::varied_list;
use self::search::{SearchOptions, select};
pub use self::vocabulary::{Vocabulary, VocabularyError};
use crate::domain::{CareerProfile, ListingId, Recommendation, Score, ScoringRevision};

/// Raised whenever the same profile and listings could get another score, order or text than before; results
/// of an older revision are then recalculated.
const SCORING_CODE_REVISION: u32 = 7;

/// Most listings of a list that are related and not right.
const MOST_RELATED: usize = 10;

/// The revision of the scoring, code and vocabulary together. Of two instances, the one with the higher revision has
/// the newer scoring; the code's revision counts before the vocabulary's.
pub fn scoring_revision(vocabulary: &Vocabulary) -> ScoringRevision {
    ScoringRevision(i64::from(SCORING_CODE_REVISION) << 32 | i64::from(vocabulary.revision()))
}

impl Catalogue {
    /// The best listings for a user, at most `limit`, best first. Copies of a posting count once. After the listings
    /// that are more likely right than not, at most ten related ones follow. A listing that shows no evidence of a career
    /// is not recommended, whatever else it has.
    pub fn recommend(&self, profile: &CareerProfile, limit: usize) -> Vec<Recommendation> {
        let query = Query::new(self, profile);
        let hits = varied_list(&query, limit);
        let right = hits.iter().take_while(|hit| hit.score >= RIGHT).count();
        hits.iter().take(right + MOST_RELATED).map(|hit| explain(&query, hit)).collect()
    }

    /// The same scores in the same order for measuring: low scores are not left out, and every copy of a posting
    /// counts. Listings that show nothing of a career but name a skill follow with score 0.
    pub fn rank(&self, profile: &CareerProfile, limit: usize) -> Vec<(ListingId, Score)> {
        let query = Query::new(self, profile);
        let hits = select(&query, limit, SearchOptions::EVALUATE);
        let mut ranked: Vec<_> = hits.into_iter().map(|hit| (ListingId(hit.id), hit.score)).collect();
        if ranked.len() < limit {
            let shown: FxHashSet<ListingId> = ranked.iter().map(|(id, _)| *id).collect();
            let others = query.listings_naming_skills().into_iter().filter(|id| !shown.contains(id));
            ranked.extend(others.take(limit - shown.len()).map(|id| (id, Score(0))));
        }
        ranked
    }
}
