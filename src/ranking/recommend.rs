//! From a user's profile to the best listings: candidates of all careers merged, with an early stop.

use std::sync::Arc;

use super::candidates::{Candidate, Candidates};
use super::catalogue::{CareerIndex, Catalogue, Part, TermIndex};
use super::explain::explain;
use super::score::{
    Components, FLOOR, FULL, experience_component, freshness_component, interests_component, skills_component,
    upper_bound,
};
use super::segment::Facts;
use super::select::{Hit, Selection};
use super::skills::TermHits;
use super::text::compact;
use crate::domain::{Career, CareerProfile, ListingId, MatchScore, Recommendation, Score};

/// A skill or interest of the user.
pub(super) struct Term {
    /// As the profile spells it.
    pub spelling: String,
    pub index: Arc<TermIndex>,
}

/// A profile with everything the catalogue knows about it.
pub(super) struct Query<'a> {
    catalogue: &'a Catalogue,
    pub careers: Vec<(&'a Career, Arc<CareerIndex>)>,
    pub skills: Vec<Term>,
    pub interests: Vec<Term>,
    pub years: Option<u8>,
}

/// Whether copies of a posting count once or each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    Once,
    Each,
}

impl Catalogue {
    /// The best listings for a user, at most `limit`, best first; copies of a posting count once, and what
    /// scores below 15 is not recommended.
    pub fn recommend(&self, profile: &CareerProfile, limit: usize) -> Vec<Recommendation> {
        let query = Query::new(self, profile);
        let hits = query.select(limit, FLOOR, Copies::Once);
        hits.iter().map(|hit| query.recommendation(hit)).collect()
    }

    /// The same scores for measuring: without the floor, and with every copy in its own right, as graded sets
    /// judge each listing by itself.
    pub fn rank(&self, profile: &CareerProfile, limit: usize) -> Vec<(ListingId, Score)> {
        let hits = Query::new(self, profile).select(limit, Score(0), Copies::Each);
        hits.into_iter().map(|hit| (ListingId(hit.id), hit.score)).collect()
    }
}

impl<'a> Query<'a> {
    fn new(catalogue: &'a Catalogue, profile: &'a CareerProfile) -> Self {
        let term = |spelling: &String| Term { spelling: spelling.trim().to_owned(), index: catalogue.term(spelling) };
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

    fn select(&self, limit: usize, floor: Score, copies: Copies) -> Vec<Hit> {
        let mut selection = Selection::new(limit, floor);
        if limit == 0 {
            return Vec::new();
        }
        for (career, (_, index)) in self.careers.iter().enumerate() {
            for (part, (_, candidates)) in index.parts.iter().enumerate() {
                self.scan(&mut selection, career, part, candidates, copies);
            }
        }
        self.scan_dropped(&mut selection, copies);
        selection.into_hits()
    }

    /// Where a list was cut and what was cut could still matter, the whole list is searched.
    fn scan_dropped(&self, selection: &mut Selection, copies: Copies) {
        selection.prune();
        for (career, (of_user, index)) in self.careers.iter().enumerate() {
            for (part, (_, candidates)) in index.parts.iter().enumerate() {
                let could_matter = |title| self.bound(title, FULL, of_user.match_score) >= selection.threshold();
                if candidates.dropped.is_some_and(could_matter) {
                    let segment = &self.catalogue.parts()[part].segment;
                    let all = Candidates::find(segment, &index.plan, usize::MAX);
                    self.scan(selection, career, part, &all, copies);
                    selection.prune();
                }
            }
        }
    }

    /// Offers a career's candidates of one part until the rest cannot reach the threshold.
    fn scan(&self, selection: &mut Selection, career: usize, part: usize, list: &Candidates, copies: Copies) {
        let match_score = self.careers[career].0.match_score;
        let scope = Scope::new(self, part);
        let mut needed = self.least_titles(selection.threshold(), match_score);
        for candidate in &list.best {
            if candidate.title < needed[MOST_SKILLS] {
                break;
            }
            if candidate.title < needed[scope.skills_found(candidate.listing)] || !scope.is_live(candidate.listing) {
                continue;
            }
            let facts = scope.facts(candidate.listing);
            let score = scope.components(candidate).score(match_score);
            let group = if copies == Copies::Once { facts.duplicate_key } else { facts.id as u64 };
            let hit =
                Hit { score, crawled_at: facts.crawled_at, id: facts.id, career, part, candidate: *candidate };
            if selection.offer(group, hit) {
                needed = self.least_titles(selection.threshold(), match_score);
            }
        }
    }

    /// The least title component with which a listing can reach `threshold`, by how many of the user's skills
    /// it names.
    fn least_titles(&self, threshold: Score, career: MatchScore) -> [u16; MOST_SKILLS + 1] {
        std::array::from_fn(|found| {
            let skills = skills_component(found as u32 * u32::from(FULL), self.skills.len()).unwrap_or(0);
            let (mut low, mut high) = (0, FULL + 1);
            while low < high {
                let middle = (low + high) / 2;
                if self.bound(middle, skills, career) >= threshold { high = middle } else { low = middle + 1 }
            }
            low
        })
    }

    fn bound(&self, title: u16, skills: u16, career: MatchScore) -> Score {
        let skills = (!self.skills.is_empty()).then_some(skills);
        upper_bound(title, skills, career, self.years.is_some(), !self.interests.is_empty())
    }

    fn recommendation(&self, hit: &Hit) -> Recommendation {
        let scope = Scope::new(self, hit.part);
        let components = scope.components(&hit.candidate);
        let (reason, mut data) = explain(self, &scope, hit, &components);
        data.insert("breakdown".to_owned(), components.breakdown(hit.score).into());
        Recommendation { listing_id: ListingId(hit.id), score: hit.score, reason, data }
    }
}

/// More skills found than this make no difference.
const MOST_SKILLS: usize = 4;

/// The query narrowed to one part of the catalogue.
pub(super) struct Scope<'q> {
    pub query: &'q Query<'q>,
    pub part: &'q Part,
    pub skills: Vec<&'q TermHits>,
    pub interests: Vec<&'q TermHits>,
}

impl<'q> Scope<'q> {
    fn new(query: &'q Query<'_>, part: usize) -> Self {
        let hits = |terms: &'q [Term]| terms.iter().map(|term| term.index.parts[part].1.as_ref()).collect();
        let skills = hits(&query.skills);
        Self { query, part: &query.catalogue.parts()[part], skills, interests: hits(&query.interests) }
    }

    fn is_live(&self, listing: u16) -> bool {
        self.part.is_live(listing)
    }

    pub fn facts(&self, listing: u16) -> &Facts {
        &self.part.segment.facts()[usize::from(listing)]
    }

    fn skills_found(&self, listing: u16) -> usize {
        self.skills.iter().filter(|hits| hits.any.contains(listing)).count().min(MOST_SKILLS)
    }

    fn components(&self, candidate: &Candidate) -> Components {
        let listing = candidate.listing;
        let facts = self.facts(listing);
        let skills = self.skills.iter().map(|hits| hits.value(listing)).sum();
        let interests = self.interests.iter().filter(|hits| hits.any.contains(listing)).count();
        let age = u32::from(self.query.catalogue.newest_day() - candidate.day);
        Components {
            title: candidate.title,
            skills: skills_component(skills, self.skills.len()),
            experience: self.query.years.zip(facts.years).map(|(years, asked)| experience_component(years, asked)),
            interests: interests_component(interests as u32, self.interests.len()),
            freshness: (candidate.day > 0).then(|| freshness_component(age)),
        }
    }
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
