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
use crate::domain::{Career, Score};
use crate::ranking::career::candidates::{Candidate, Candidates};
use crate::ranking::career::fit::LEAST_FIT;
use crate::ranking::catalogue::CareerIndex;
use crate::ranking::score::{FLOOR, RIGHT};

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
    let mut search = Search { query, options, top: TopHits::new(limit, options.floor) };
    search.scan_kept();
    search.scan_dropped();
    search.top.into_hits()
}

struct Search<'s> {
    query: &'s Query<'s>,
    options: SearchOptions,
    top: TopHits,
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
            let mut bound = ScoreBound::new(self.query, of_user.match_score, &self.top);
            for (position, candidates) in index.candidates.iter().enumerate() {
                self.scan(career, position, candidates, &mut bound);
                // The next segment begins with candidates as good as these: a search for few hits must know its threshold.
                if self.top.has_spare() && self.top.prune() {
                    bound = ScoreBound::new(self.query, of_user.match_score, &self.top);
                }
            }
            self.top.prune();
        }
    }

    /// Finds all candidates of a career in a segment where those that were dropped could still be among the best.
    fn scan_dropped(&mut self) {
        for (career, (of_user, index)) in self.careers() {
            for (position, candidates) in index.candidates.iter().enumerate() {
                let mut bound = ScoreBound::new(self.query, of_user.match_score, &self.top);
                if candidates.dropped_fit.is_some_and(|fit| fit >= self.least_fit(&bound)) {
                    let segment = &self.query.segments[position].live.segment;
                    let all = Candidates::find(segment, &index.plan, usize::MAX);
                    self.scan(career, position, &all, &mut bound);
                    self.top.prune();
                }
            }
        }
    }

    /// Offers a career's candidates of one segment until the rest cannot reach the threshold.
    fn scan(&mut self, career: usize, position: usize, list: &Candidates, bound: &mut ScoreBound) {
        let segment = &self.query.segments[position];
        let mut rest = list.best.as_slice();
        while let Some((candidate, others)) = rest.split_first() {
            if candidate.fit < self.least_fit(bound) {
                break;
            }
            if !bound.allows_candidate(self.query, candidate) {
                // Candidates with the same fit follow from the newest to the oldest: an older one is not allowed
                // either.
                let is_skipped = |other: &&Candidate| other.fit == candidate.fit && other.day > 0;
                rest = &others[others.iter().take_while(is_skipped).count()..];
                continue;
            }
            rest = others;
            if self.options.needs_evidence && !candidate.shown.is_evidence(candidate.fit) {
                continue;
            }
            let Some(score) = self.score(segment, candidate, bound) else { continue };
            let facts = &segment.live.segment.facts()[usize::from(candidate.listing)];
            let group = if self.options.copies_count_once { facts.duplicate_key } else { facts.id as u64 };
            let (crawled_at, id) = (facts.crawled_at, facts.id);
            let hit = Hit { score, crawled_at, id, career, segment: position, candidate: *candidate };
            if self.top.offer(group, hit) {
                *bound = ScoreBound::new(self.query, bound.career, &self.top);
            }
        }
    }

    /// A candidate with a lower fit is not returned.
    fn least_fit(&self, bound: &ScoreBound) -> u16 {
        bound.least_fit().max(if self.options.needs_evidence { LEAST_FIT } else { 1 })
    }

    /// A candidate's score; `None` if the candidate cannot be among the best.
    fn score(&self, segment: &SegmentQuery<'_>, candidate: &Candidate, bound: &ScoreBound) -> Option<Score> {
        // The cheap bound first: it rules out most candidates of a common career.
        let found = segment.skill_counts.count(candidate.listing);
        let is_unsaid = found == 0 && segment.live.segment.is_silent(candidate.listing);
        let least_fit = if is_unsaid { bound.least_fit_unsaid() } else { bound.least_fit_with(found) };
        if candidate.fit < least_fit {
            return None;
        }
        let skills = self.query.skills_component(segment, candidate.listing, found);
        let components = self.query.components(segment, candidate, skills);
        let score = bound.score(&components, candidate.day)?;
        segment.live.is_live(candidate.listing).then_some(score)
    }
}
