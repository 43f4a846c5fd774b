//! Which listings, in which order: the candidates of all of a user's careers, merged with an early stop.

mod bound;
pub mod query;
mod term_counts;
pub mod top_hits;
pub mod variety;

use std::sync::Arc;

use self::bound::ScoreBound;
use self::query::{Query, SegmentQuery};
use self::top_hits::{Hit, TopHits};
use crate::domain::{Career, MatchScore, Score};
use crate::ranking::career::candidates::{Candidate, Candidates};
use crate::ranking::catalogue::CareerIndex;
use crate::ranking::score::{FLOOR, FULL, RIGHT};

/// Candidates that are looked at together.
const AT_ONCE: usize = 64;

/// Which hits a search returns.
#[derive(Clone, Copy)]
pub struct SearchOptions {
    /// The least score.
    floor: Score,
    /// Whether only listings count that show enough of a career.
    needs_evidence: bool,
    /// Whether copies of a posting count once.
    copies_count_once: bool,
    /// The position of the only career that counts; `None`: all do.
    only: Option<usize>,
}

impl SearchOptions {
    /// For users. The evidence gate: a listing whose title does not show a career is not recommended.
    pub const RECOMMEND: Self =
        Self { floor: FLOOR, needs_evidence: true, copies_count_once: true, only: None };

    /// For measuring: graded sets judge every listing for itself, however low its score.
    pub const EVALUATE: Self =
        Self { floor: Score(0), needs_evidence: false, copies_count_once: false, only: None };

    /// For users: what is right for one of their careers.
    pub fn right_for(career: usize) -> Self {
        Self { floor: RIGHT, only: Some(career), ..Self::RECOMMEND }
    }

    fn counts(&self, career: usize) -> bool {
        self.only.is_none_or(|only| only == career)
    }
}

/// The best hits, at most `limit`, best first.
pub fn select(query: &Query<'_>, limit: usize, options: SearchOptions) -> Vec<Hit> {
    if limit == 0 {
        return Vec::new();
    }
    let top = TopHits::new(limit, options.floor);
    let mut search = Search { query, options, top, found: Vec::with_capacity(2 * AT_ONCE) };
    if options.needs_evidence {
        search.scan_kept();
        search.scan_dropped();
    } else {
        search.scan_all();
    }
    search.top.into_hits()
}

struct Search<'s> {
    query: &'s Query<'s>,
    options: SearchOptions,
    top: TopHits,
    /// Candidates of the segment that is being scanned, with their scores, which are not yet offered.
    found: Vec<(Score, Candidate)>,
}

impl<'s> Search<'s> {
    /// The careers that count, with their positions.
    fn careers(&self) -> impl Iterator<Item = (usize, &'s (&'s Career, Arc<CareerIndex>))> + use<'s> {
        let (query, options) = (self.query, self.options);
        query.careers.iter().enumerate().filter(move |(career, _)| options.counts(*career))
    }

    /// Scans the candidates that the catalogue keeps for each career.
    fn scan_kept(&mut self) {
        for (career, (of_user, index)) in self.careers() {
            let mut bound = self.bound(of_user.match_score);
            if bound.least_fit() > FULL {
                continue;
            }
            for (position, candidates) in index.candidates.iter().enumerate() {
                self.scan(career, position, candidates, &mut bound);
                // The next segment begins with candidates as good as these: a search for few hits must know its threshold.
                if self.top.has_spare() && self.top.prune() {
                    bound = self.bound(of_user.match_score);
                }
            }
            self.top.prune();
        }
    }

    /// Finds all candidates of a career in a segment where those that were dropped could still be among the best.
    fn scan_dropped(&mut self) {
        for (career, (of_user, index)) in self.careers() {
            let mut bound = self.bound(of_user.match_score);
            for (position, candidates) in index.candidates.iter().enumerate() {
                if candidates.dropped_fit.is_some_and(|fit| fit >= bound.least_fit()) {
                    let segment = &self.query.segments[position].live.segment;
                    let all = Candidates::find(segment, &index.plan, usize::MAX);
                    self.scan(career, position, &all, &mut bound);
                    self.top.prune();
                    bound = self.bound(of_user.match_score);
                }
            }
        }
    }

    /// Finds and scans everything that shows something of a career, evidence or not.
    fn scan_all(&mut self) {
        for (career, (of_user, index)) in self.careers() {
            for (position, segment) in self.query.segments.iter().enumerate() {
                let mut bound = self.bound(of_user.match_score);
                let all = Candidates::find_all(&segment.live.segment, &index.plan);
                self.scan(career, position, &all, &mut bound);
                self.top.prune();
            }
        }
    }

    /// The bound for a career after the hits so far.
    fn bound(&self, career: MatchScore) -> ScoreBound {
        ScoreBound::new(self.query, career, &self.top)
    }

    /// Offers a career's candidates of one segment until the rest cannot reach the threshold.
    fn scan(&mut self, career: usize, position: usize, list: &Candidates, bound: &mut ScoreBound) {
        let segment = &self.query.segments[position];
        let mut rest = list.best.as_slice();
        while let Some(first) = rest.first() {
            if first.fit < bound.least_fit() {
                break;
            }
            if !bound.allows_candidate(self.query, first) {
                // Candidates with the same fit follow from the newest to the oldest: an older one is not allowed
                // either.
                let is_skipped = |other: &Candidate| other.fit == first.fit && other.day > 0;
                rest = &rest[count_leading(rest, is_skipped).max(1)..];
                continue;
            }
            let (next, others) = rest.split_at(rest.len().min(AT_ONCE));
            rest = others;
            let needed = bound.skills_needed(first.fit);
            let mut reaching = segment.reaching(next, needed, first.fit >= bound.least_fit_unsaid());
            while reaching != 0 {
                let candidate = &next[reaching.trailing_zeros() as usize];
                if let Some(score) = self.score(segment, candidate, bound) {
                    self.found.push((score, *candidate));
                }
                reaching &= reaching - 1;
            }
            if self.found.len() >= AT_ONCE && self.offer_found(career, position) {
                *bound = self.bound(bound.career);
            }
        }
        if self.offer_found(career, position) {
            *bound = self.bound(bound.career);
        }
    }

    /// Offers what was found; true if the threshold has risen.
    fn offer_found(&mut self, career: usize, position: usize) -> bool {
        let live = self.query.segments[position].live;
        let hits = self.found.drain(..).map(|(score, candidate)| {
            let facts = &live.segment.facts()[usize::from(candidate.listing)];
            let group = if self.options.copies_count_once { facts.duplicate_key } else { facts.id as u64 };
            let (crawled_at, id) = (facts.crawled_at, facts.id);
            (group, Hit { score, crawled_at, id, career, segment: position, candidate })
        });
        // All facts are read before the first is used, so that the processor waits for the memory once, not for each.
        let hits: Vec<(u64, Hit)> = hits.collect();
        hits.into_iter().fold(false, |has_risen, (group, hit)| self.top.offer(group, hit) || has_risen)
    }

    /// A candidate's score; `None` if the candidate cannot be among the best.
    fn score(&self, segment: &SegmentQuery<'_>, candidate: &Candidate, bound: &ScoreBound) -> Option<Score> {
        let found = segment.skill_counts.count(candidate.listing);
        let skills = self.query.skills_component(segment, candidate.listing, found);
        let mut components = self.query.components(segment, candidate, skills, bound.full.interests);
        if bound.falls_short(&components) {
            return None;
        }
        components.interests = self.query.interests_component(segment, candidate.listing);
        let score = bound.score(&components, candidate.day)?;
        segment.live.is_live(candidate.listing).then_some(score)
    }
}

/// The number of candidates before the first that does not satisfy a condition, of candidates that are partitioned by it.
/// Near the beginning, this reads less memory than a binary search.
fn count_leading(candidates: &[Candidate], condition: impl Fn(&Candidate) -> bool) -> usize {
    let mut satisfied = 0;
    let mut ahead = 1;
    while candidates.get(satisfied + ahead).is_some_and(&condition) {
        satisfied += ahead;
        ahead *= 2;
    }
    let end = candidates.len().min(satisfied + ahead);
    satisfied + candidates[satisfied..end].partition_point(condition)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ranking::career::fit::Shown;

    proptest! {
        #[test]
        fn leading_candidates_are_counted_as_by_looking_at_each(leading in 0_usize..200, others in 0_usize..200) {
            let candidate = |fit| Candidate { fit, listing: 0, shown: Shown::Nothing, day: 0, years: None };
            let candidates: Vec<Candidate> =
                (0..leading + others).map(|at| candidate(u16::from(at < leading))).collect();
            prop_assert_eq!(count_leading(&candidates, |candidate| candidate.fit == 1), leading);
        }
    }
}
