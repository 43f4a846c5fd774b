//! The best hits, one per group of duplicates.

use std::cmp::{Ordering, Reverse};

use rustc_hash::FxHashMap;

use crate::domain::Score;
use crate::ranking::career::candidates::Candidate;

/// A scored listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The score for the career.
    pub score: Score,
    /// When the listing was last seen, in seconds since 1970; `i64::MIN` is unknown.
    pub crawled_at: i64,
    /// The listing's primary key.
    pub id: i64,
    /// Position of the career in the profile.
    pub career: usize,
    /// Position of the segment in the catalogue.
    pub segment: usize,
    /// The listing as the career's candidate.
    pub candidate: Candidate,
}

impl Hit {
    /// The sort key, best first: score, then the newest, then the smaller id, then the user's better career.
    fn rank(&self) -> (Reverse<Score>, Reverse<i64>, i64, usize) {
        (Reverse(self.score), Reverse(self.crawled_at), self.id, self.career)
    }

    /// Best first.
    pub fn order(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// Keeps the best hit of every group, and the best `limit` groups.
pub struct TopHits {
    limit: usize,
    /// A hit with a lower score cannot be among the best.
    threshold: Score,
    /// A hit with exactly the threshold score must have been seen on this day or later.
    threshold_day: u16,
    groups: FxHashMap<u64, Hit>,
}

impl TopHits {
    /// At most `limit` groups, of hits with a score of at least `floor`.
    pub fn new(limit: usize, floor: Score) -> Self {
        Self { limit, threshold: floor, threshold_day: 0, groups: FxHashMap::default() }
    }

    /// The score that a hit must reach to be among the best. An equal score may suffice: the newer hit, or the smaller
    /// id, wins.
    pub fn threshold(&self) -> Score {
        self.threshold
    }

    /// The day, as [`Candidate::day`], that a hit with exactly the threshold score must reach to be among the best.
    pub fn threshold_day(&self) -> u16 {
        self.threshold_day
    }

    /// Takes a hit of a group; true if the threshold has risen.
    pub fn offer(&mut self, group: u64, hit: Hit) -> bool {
        if hit.score < self.threshold {
            return false;
        }
        self.groups
            .entry(group)
            .and_modify(|best| {
                if hit.order(best).is_lt() {
                    *best = hit;
                }
            })
            .or_insert(hit);
        // Occasional pruning is cheaper than a heap whose members can improve.
        self.groups.len() >= 2 * self.limit + 8 && self.prune()
    }

    /// Whether there are more groups than will be returned.
    pub fn has_spare(&self) -> bool {
        self.groups.len() > self.limit
    }

    /// Drops all groups but the best `limit`; true if the threshold has risen. A dropped group may return with a better
    /// hit. The result is exact, because the groups that displaced it can only improve.
    pub fn prune(&mut self) -> bool {
        if self.groups.len() < self.limit || self.limit == 0 {
            return false;
        }
        let mut hits: Vec<(u64, Hit)> = self.groups.drain().collect();
        let (_, last, _) = hits.select_nth_unstable_by(self.limit - 1, |a, b| a.1.order(&b.1));
        let (score, day) = (last.1.score, last.1.candidate.day);
        let risen = (score, day) > (self.threshold, self.threshold_day);
        (self.threshold, self.threshold_day) = (score, day);
        hits.truncate(self.limit);
        self.groups.extend(hits);
        risen
    }

    /// The best hits, best first.
    pub fn into_hits(self) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.groups.into_values().collect();
        hits.sort_unstable_by(Hit::order);
        hits.truncate(self.limit);
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::career::fit::Shown;
    use proptest::prelude::*;

    fn hit(score: u16, crawled_at: i64, id: i64) -> Hit {
        let candidate = Candidate { fit: 0, listing: 0, shown: Shown::Nothing, day: 0, years: None };
        Hit { score: Score(score), crawled_at, id, career: 0, segment: 0, candidate }
    }

    proptest! {
        /// Against the definition: sort everything, keep the first of every group, cut.
        #[test]
        fn selects_what_sorting_would(
            offers in proptest::collection::vec((0_u64..300, 0_u16..40, 0_i64..3, 0_i64..500), 0..800),
            limit in 1_usize..20,
        ) {
            let mut top = TopHits::new(limit, Score(5));
            let mut all = Vec::new();
            for (group, score, crawled_at, id) in offers {
                let hit = hit(score, crawled_at, id);
                top.offer(group, hit);
                all.push((group, hit));
            }
            all.sort_by(|a, b| a.1.order(&b.1));
            let mut seen = std::collections::HashSet::new();
            let expected: Vec<_> = all
                .into_iter()
                .filter(|(group, hit)| hit.score >= Score(5) && seen.insert(*group))
                .map(|(_, hit)| hit)
                .take(limit)
                .collect();
            prop_assert_eq!(top.into_hits(), expected);
        }
    }
}
