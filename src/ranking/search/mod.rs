//! From a user's profile to the best listings: candidates of all careers merged, with an early stop.

pub mod top_hits;

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::domain::{Career, CareerProfile, ListingId, MatchScore, Recommendation, Score};
use crate::ranking::career::candidates::{Candidate, Candidates};
use crate::ranking::catalogue::{CareerIndex, Catalogue, LiveSegment, TermIndex};
use crate::ranking::index::segment::{Facts, ListingSet};
use crate::ranking::index::terms::{MOST_TERMS, TermCounts};
use crate::ranking::reason::explain;
use crate::ranking::score::{
    Components, FLOOR, FULL, experience_component, freshness_component, interests_component, skills_component,
};
use crate::ranking::search::top_hits::{Hit, TopHits};
use crate::ranking::text::compact;

/// A skill or interest of the user.
pub(in crate::ranking) struct Term {
    /// As the profile spells it.
    pub spelling: String,
    pub index: Arc<TermIndex>,
}

/// A profile with everything the catalogue knows about it.
pub(in crate::ranking) struct Query<'a> {
    catalogue: &'a Catalogue,
    pub careers: Vec<(&'a Career, Arc<CareerIndex>)>,
    pub skills: Vec<Term>,
    pub interests: Vec<Term>,
    pub years: Option<u8>,
}

/// What is selected from all that scores.
#[derive(Clone, Copy)]
struct SearchOptions {
    /// The least score.
    floor: Score,
    /// The least fit.
    least_fit: u16,
    /// Whether copies of a posting count once.
    copies_count_once: bool,
}

/// For users. A listing that shows next to nothing of the career is not recommended for its skills alone.
const RECOMMEND: SearchOptions =
    SearchOptions { floor: FLOOR, least_fit: FULL / 10, copies_count_once: true };

/// For measuring: graded sets judge every listing by itself, however weak.
const EVALUATE: SearchOptions = SearchOptions { floor: Score(0), least_fit: 1, copies_count_once: false };

impl Catalogue {
    /// The best listings for a user, at most `limit`, best first; copies of a posting count once, and what
    /// scores below 15 or shows next to nothing of a career is not recommended.
    pub fn recommend(&self, profile: &CareerProfile, limit: usize) -> Vec<Recommendation> {
        let query = Query::new(self, profile);
        let segments = query.segments();
        let hits = query.select(&segments, limit, RECOMMEND);
        hits.iter().map(|hit| query.recommendation(&segments, hit)).collect()
    }

    /// The same scores in the same order for measuring: without the floors, and with every copy in its own
    /// right. What shows nothing of a career follows with score 0 as far as it names a skill.
    pub fn rank(&self, profile: &CareerProfile, limit: usize) -> Vec<(ListingId, Score)> {
        let query = Query::new(self, profile);
        let segments = query.segments();
        let hits = query.select(&segments, limit, EVALUATE);
        let mut ranked: Vec<_> = hits.into_iter().map(|hit| (ListingId(hit.id), hit.score)).collect();
        if ranked.len() < limit {
            let shown: FxHashSet<ListingId> = ranked.iter().map(|(id, _)| *id).collect();
            let others = naming_skills(&segments).into_iter().filter(|id| !shown.contains(id));
            ranked.extend(others.take(limit - shown.len()).map(|id| (id, Score(0))));
        }
        ranked
    }
}

impl<'a> Query<'a> {
    fn new(catalogue: &'a Catalogue, profile: &'a CareerProfile) -> Self {
        let term = |spelling: &String| Term {
            spelling: spelling.trim().to_owned(),
            index: catalogue.term(spelling),
        };
        let (asked, interests): (Vec<_>, Vec<_>) =
            distinct(&profile.interests).into_iter().partition(|interest| catalogue.knows_skill(interest));
        let skills: Vec<&String> = distinct(profile.skills.iter().chain(asked));
        Self {
            catalogue,
            careers: profile.careers.iter().map(|career| (career, catalogue.career(&career.name))).collect(),
            skills: skills.into_iter().map(term).collect(),
            interests: interests.into_iter().map(term).collect(),
            years: profile.experience_years,
        }
    }

    fn segments(&self) -> Vec<SegmentQuery<'_>> {
        (0..self.catalogue.segments().len()).map(|number| SegmentQuery::new(self, number)).collect()
    }

    fn select(&self, segments: &[SegmentQuery<'_>], limit: usize, options: SearchOptions) -> Vec<Hit> {
        let mut top = TopHits::new(limit, options.floor);
        if limit == 0 {
            return Vec::new();
        }
        for (career, (of_user, index)) in self.careers.iter().enumerate() {
            let mut bound = ScoreBound::new(self, of_user.match_score, &top);
            for ((_, candidates), segment) in index.segments.iter().zip(segments) {
                self.scan(&mut top, career, segment, candidates, &mut bound, options);
            }
            top.prune();
        }
        self.scan_dropped(&mut top, segments, options);
        top.into_hits()
    }

    /// Where a list was cut and what was cut could still matter, the whole list is searched.
    fn scan_dropped(&self, top: &mut TopHits, segments: &[SegmentQuery<'_>], options: SearchOptions) {
        for (career, (of_user, index)) in self.careers.iter().enumerate() {
            for ((_, candidates), segment) in index.segments.iter().zip(segments) {
                let mut bound = ScoreBound::new(self, of_user.match_score, top);
                if candidates
                    .dropped_fit
                    .is_some_and(|fit| fit >= bound.fits[MOST_TERMS].max(options.least_fit))
                {
                    let all = Candidates::find(&segment.live.segment, &index.plan, usize::MAX);
                    self.scan(top, career, segment, &all, &mut bound, options);
                    top.prune();
                }
            }
        }
    }

    /// Offers a career's candidates of one segment until the rest cannot reach the threshold.
    fn scan(
        &self,
        top: &mut TopHits,
        career: usize,
        segment: &SegmentQuery<'_>,
        list: &Candidates,
        bound: &mut ScoreBound,
        options: SearchOptions,
    ) {
        let mut rest = list.best.as_slice();
        let newest_day = self.catalogue.newest_day();
        while let Some((candidate, others)) = rest.split_first() {
            if candidate.fit < bound.fits[MOST_TERMS].max(options.least_fit) {
                break;
            }
            if !bound.may_be_among_the_best(candidate, newest_day) {
                // Neither can older ones with the same fit.
                let is_skipped = |other: &&Candidate| other.fit == candidate.fit && other.day > 0;
                rest = &others[others.iter().take_while(is_skipped).count()..];
                continue;
            }
            rest = others;
            let listing = candidate.listing;
            let skills = segment.skill_counts.count(listing);
            // The cheap bounds first: most candidates of a common career end at one of them.
            if candidate.fit < bound.fits[skills] {
                continue;
            }
            let components = segment.components(candidate, bound.skills[skills]);
            let score = components.score(bound.career);
            if !bound.may_matter(score, candidate.day) || !segment.live.is_live(listing) {
                continue;
            }
            let facts = segment.facts(listing);
            let group = if options.copies_count_once { facts.duplicate_key } else { facts.id as u64 };
            let (crawled_at, id, segment) = (facts.crawled_at, facts.id, segment.number);
            if top.offer(group, Hit { score, crawled_at, id, career, segment, candidate: *candidate }) {
                *bound = ScoreBound::new(self, bound.career, top);
            }
        }
    }

    fn recommendation(&self, segments: &[SegmentQuery<'_>], hit: &Hit) -> Recommendation {
        let segment = &segments[hit.segment];
        let found = segment.skill_counts.count(hit.candidate.listing);
        let components = segment.components(&hit.candidate, skills_component(found, self.skills.len()));
        let (reason, mut data) = explain(self, segment, hit, &components);
        data.insert("breakdown".to_owned(), components.breakdown(hit.score).into());
        Recommendation { listing_id: ListingId(hit.id), score: hit.score, reason, data }
    }
}

/// The least fits with which listings can reach a threshold for a career.
struct ScoreBound {
    career: MatchScore,
    threshold: Score,
    threshold_day: u16,
    /// The most that each component can be.
    full: Components,
    /// By how many of the user's skills the listing names.
    fits: [u16; MOST_TERMS + 1],
    /// The skills component with so many.
    skills: [Option<u16>; MOST_TERMS + 1],
}

impl ScoreBound {
    fn new(query: &Query<'_>, career: MatchScore, top: &TopHits) -> Self {
        let (threshold, threshold_day) = (top.threshold(), top.threshold_day());
        let skills = std::array::from_fn(|found| skills_component(found, query.skills.len()));
        // Components that lack data cannot lift a listing: each is counted as full, and a full component never
        // lowers a mean.
        let full = Components {
            fit: 0,
            skills: skills[MOST_TERMS],
            experience: query.years.map(|_| FULL),
            interests: (!query.interests.is_empty()).then_some(FULL),
            freshness: Some(FULL),
        };
        let fits = skills.map(|skills| Components { skills, ..full }.least_fit(threshold, career));
        Self { career, threshold, threshold_day, full, fits, skills }
    }

    /// Whether a listing of at most this score, last seen on this day, could be among the best.
    fn may_matter(&self, score: Score, day: u16) -> bool {
        score > self.threshold || (score == self.threshold && (day == 0 || day >= self.threshold_day))
    }

    /// Whether a candidate could be among the best if all that is not known of it yet were full.
    fn may_be_among_the_best(&self, candidate: &Candidate, newest_day: u16) -> bool {
        let age = u32::from(newest_day.saturating_sub(candidate.day));
        let freshness = if candidate.day > 0 { freshness_component(age) } else { FULL };
        let best = Components { fit: candidate.fit, freshness: Some(freshness), ..self.full };
        self.may_matter(best.score(self.career), candidate.day)
    }
}

/// The query narrowed to one segment.
pub(in crate::ranking) struct SegmentQuery<'q> {
    pub query: &'q Query<'q>,
    pub live: &'q LiveSegment,
    number: usize,
    pub skills: Vec<&'q ListingSet>,
    pub interests: Vec<&'q ListingSet>,
    skill_counts: TermCounts,
}

impl<'q> SegmentQuery<'q> {
    fn new(query: &'q Query<'_>, number: usize) -> Self {
        let hits =
            |terms: &'q [Term]| terms.iter().map(|term| term.index.segments[number].1.as_ref()).collect();
        let (skills, interests): (Vec<&ListingSet>, Vec<&ListingSet>) =
            (hits(&query.skills), hits(&query.interests));
        let live = &query.catalogue.segments()[number];
        let skill_counts = TermCounts::new(live.segment.len(), &skills);
        Self { query, live, number, skills, interests, skill_counts }
    }

    fn facts(&self, listing: u16) -> &Facts {
        &self.live.segment.facts()[usize::from(listing)]
    }

    fn components(&self, candidate: &Candidate, skills: Option<u16>) -> Components {
        // A dead listing may be newer than the catalogue.
        let age = u32::from(self.query.catalogue.newest_day().saturating_sub(candidate.day));
        let interests = self.interests.iter().filter(|naming| naming.contains(candidate.listing)).count();
        Components {
            fit: candidate.fit,
            skills,
            experience: self
                .query
                .years
                .zip(candidate.years)
                .map(|(years, asked)| experience_component(years, asked.range())),
            interests: interests_component(interests, self.interests.len()),
            freshness: (candidate.day > 0).then(|| freshness_component(age)),
        }
    }
}

/// The listings that name skills, those that name most first.
fn naming_skills(segments: &[SegmentQuery<'_>]) -> Vec<ListingId> {
    let mut naming = Vec::new();
    for segment in segments {
        for (listing, facts) in
            (0..).zip(segment.live.segment.facts()).filter(|(listing, _)| segment.live.is_live(*listing))
        {
            let skills = segment.skill_counts.count(listing);
            if skills > 0 {
                naming.push((Reverse(skills), Reverse(facts.crawled_at), ListingId(facts.id)));
            }
        }
    }
    naming.sort_unstable();
    naming.into_iter().map(|(_, _, id)| id).collect()
}

/// Without empty terms and second spellings of a term.
fn distinct<'t>(terms: impl IntoIterator<Item = &'t String>) -> Vec<&'t String> {
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    for term in terms {
        let spelled = compact(term);
        if !spelled.is_empty() && !seen.contains(&spelled) {
            seen.push(spelled);
            kept.push(term);
        }
    }
    kept
}
