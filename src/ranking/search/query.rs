//! A user's profile with everything that the catalogue knows about it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::term_counts::TermCounts;
use crate::domain::{Career, CareerProfile, ListingId};
use crate::ranking::career::candidates::Candidate;
use crate::ranking::catalogue::{CareerIndex, Catalogue, TermIndex};
use crate::ranking::index::listing_set::ListingSet;
use crate::ranking::index::live_segment::LiveSegment;
use crate::ranking::score::{
    Component, Components, NO_LICENCE, experience_component, freshness_component, interests_component,
    skills_component,
};
use crate::ranking::text::compact;
use crate::ranking::text::licence::{Licence, Licences};

/// A profile, ready to be searched for.
pub struct Query<'a> {
    /// The user's careers, best first, with their candidates.
    pub careers: Vec<(&'a Career, Arc<CareerIndex>)>,
    /// The user's skills, including the strengths that some listing asks for as a skill.
    pub skills: Vec<Term>,
    /// The user's interests, and the other strengths.
    pub interests: Vec<Term>,
    /// The user's years of experience, if known.
    pub years: Option<u8>,
    /// The licences that the user has, by own words or by a career that implies one.
    pub licences: Licences,
    /// The newest day on which a listing of the catalogue was seen.
    pub newest_day: u16,
    /// The query narrowed to each segment of the catalogue.
    pub segments: Vec<SegmentQuery<'a>>,
}

/// A skill or interest of the user.
pub struct Term {
    /// As the profile spells it.
    pub spelling: String,
    index: Arc<TermIndex>,
}

/// A query narrowed to one segment.
pub struct SegmentQuery<'a> {
    /// The segment.
    pub live: &'a LiveSegment,
    /// The listings that name each of the query's skills.
    pub skills: Vec<Arc<ListingSet>>,
    /// The listings that name each of the query's interests.
    pub interests: Vec<Arc<ListingSet>>,
    /// The number of skills that each listing names.
    pub skill_counts: TermCounts,
}

impl<'a> Query<'a> {
    /// Looks up a profile's careers, skills and interests.
    pub fn new(catalogue: &'a Catalogue, profile: &'a CareerProfile) -> Self {
        let (asked, others): (Vec<_>, Vec<_>) =
            distinct(&profile.strengths).into_iter().partition(|strength| catalogue.knows_skill(strength));
        let skills = distinct(profile.skills.iter().chain(asked));
        let interests = distinct(profile.interests.iter().chain(others));
        let terms = |terms: Vec<&String>| -> Vec<Term> {
            terms.into_iter().map(|term| Term::new(catalogue, term)).collect()
        };
        let (skills, interests) = (terms(skills), terms(interests));
        let segments = catalogue.segments().iter().enumerate();
        let segments = segments.map(|(at, live)| SegmentQuery::new(live, at, &skills, &interests));
        Self {
            careers: profile.careers.iter().map(|career| (career, catalogue.career(&career.name))).collect(),
            years: profile.experience_years,
            licences: Licences::of_person(own_words(profile)),
            newest_day: catalogue.newest_day(),
            segments: segments.collect(),
            skills,
            interests,
        }
    }

    /// A candidate's components, of which the caller knows those of the skills and the interests.
    pub fn components(
        &self,
        segment: &SegmentQuery<'_>,
        candidate: &Candidate,
        skills: Component,
        interests: Component,
    ) -> Components {
        let experience = match (self.years, candidate.years) {
            _ if self.missing_licence(segment, candidate.listing).is_some() => Component::Known(NO_LICENCE),
            (None, _) => Component::Absent,
            (Some(_), None) => Component::Unsaid,
            (Some(years), Some(asked)) => Component::Known(experience_component(years, asked.range())),
        };
        let freshness = match candidate.day {
            0 => Component::Unsaid,
            _ => Component::Known(freshness_component(self.age(candidate))),
        };
        Components { fit: candidate.fit, skills, experience, interests, freshness }
    }

    /// The interests component of a listing.
    pub fn interests_component(&self, segment: &SegmentQuery<'_>, listing: u16) -> Component {
        let found = segment.interests.iter().filter(|naming| naming.contains(listing)).count();
        interests_component(found, self.interests.len())
    }

    /// The licence that a listing requires and the user does not have.
    pub fn missing_licence(&self, segment: &SegmentQuery<'_>, listing: u16) -> Option<Licence> {
        segment.live.segment.licence(listing).filter(|&licence| !self.licences.has(licence))
    }

    /// The skills component of a listing that names `found` of the user's skills; one without a list of skills may
    /// leave them unsaid.
    pub fn skills_component(&self, segment: &SegmentQuery<'_>, listing: u16, found: usize) -> Component {
        match skills_component(found, self.skills.len()) {
            Component::Known(0) if segment.live.segment.is_silent(listing) => Component::Unsaid,
            component => component,
        }
    }

    /// Days from when the candidate was last seen to the catalogue's newest day.
    pub fn age(&self, candidate: &Candidate) -> u32 {
        // A deleted listing may be newer than the catalogue.
        u32::from(self.newest_day.saturating_sub(candidate.day))
    }

    /// The listings that name skills: most skills first, then the newest, then by id.
    pub fn listings_naming_skills(&self) -> Vec<ListingId> {
        let mut naming = Vec::new();
        for segment in &self.segments {
            for (listing, facts) in segment.live.facts() {
                let skills = segment.skill_counts.count(listing);
                if skills > 0 {
                    naming.push((Reverse(skills), Reverse(facts.crawled_at), ListingId(facts.id)));
                }
            }
        }
        naming.sort_unstable();
        naming.into_iter().map(|(_, _, id)| id).collect()
    }
}

impl Term {
    fn new(catalogue: &Catalogue, spelling: &str) -> Self {
        Self { spelling: spelling.trim().to_owned(), index: catalogue.term(spelling) }
    }
}

impl<'a> SegmentQuery<'a> {
    fn new(live: &'a LiveSegment, position: usize, skills: &[Term], interests: &[Term]) -> Self {
        let naming = |terms: &[Term]| -> Vec<Arc<ListingSet>> {
            terms.iter().map(|term| Arc::clone(term.index.get(position))).collect()
        };
        let skills = naming(skills);
        let skill_counts = TermCounts::new(live.segment.len(), &skills);
        Self { live, skills, interests: naming(interests), skill_counts }
    }

    /// Which of at most 64 candidates name at least `needed` of the user's skills, or may leave them unsaid, as bits. This
    /// rules out most candidates of a common career, and no branch depends on any of them.
    pub fn reaching(&self, candidates: &[Candidate], needed: usize, may_be_unsaid: bool) -> u64 {
        let mut reaching = 0;
        for (at, candidate) in candidates.iter().enumerate() {
            let found = self.skill_counts.count(candidate.listing);
            let is_unsaid = may_be_unsaid & (found == 0) & self.live.segment.is_silent(candidate.listing);
            reaching |= u64::from((found >= needed) | is_unsaid) << at;
        }
        reaching
    }
}

/// The texts of a profile that may name a licence.
fn own_words(profile: &CareerProfile) -> impl Iterator<Item = &str> {
    let careers = profile.careers.iter().map(|career| career.name.as_str());
    let terms = profile.skills.iter().chain(&profile.strengths).map(String::as_str);
    careers.chain(terms).chain([profile.summary.as_str()])
}

/// Drops empty terms, and of several spellings of a term all but the first.
fn distinct<'t>(terms: impl IntoIterator<Item = &'t String>) -> Vec<&'t String> {
    let mut seen = Vec::new();
    let mut kept = Vec::new();
    for term in terms {
        let compact = compact(term);
        if !compact.is_empty() && !seen.contains(&compact) {
            seen.push(compact);
            kept.push(term);
        }
    }
    kept
}
