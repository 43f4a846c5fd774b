//! Bounds on the score, by which a search stops early.

use super::query::Query;
use super::term_counts::MOST_TERMS;
use super::top_hits::TopHits;
use crate::domain::{MatchScore, Score};
use crate::ranking::career::candidates::Candidate;
use crate::ranking::score::{
    Component, Components, FULL, INTERESTS_ASKED, freshness_component, interests_component, skills_component,
};

/// The score and the fit that a listing must reach, for one of the user's careers, to be among the best hits so far.
pub struct ScoreBound {
    /// How well the career fits the user.
    pub career: MatchScore,
    threshold: Score,
    threshold_day: u16,
    /// Each component at its maximum, except the fit.
    pub full: Components,
    /// The least fit, by the number of skills that the listing names.
    least_fits: [u16; MOST_TERMS + 1],
    /// The least fit of a listing that leaves the skills unsaid.
    least_fit_unsaid: u16,
}

impl ScoreBound {
    /// The bound after the hits in `top`.
    pub fn new(query: &Query<'_>, career: MatchScore, top: &TopHits) -> Self {
        let (threshold, threshold_day) = (top.threshold(), top.threshold_day());
        let skills = std::array::from_fn(|found| skills_component(found, query.skills.len()));
        // A component without data counts as full here: a full component never lowers the mean.
        let full = Components {
            fit: 0,
            skills: skills[MOST_TERMS],
            experience: if query.years.is_some() { Component::Known(FULL) } else { Component::Absent },
            interests: interests_component(INTERESTS_ASKED, query.interests.len()),
            freshness: Component::Known(FULL),
        };
        let least_fit = |skills| Components { skills, ..full }.least_fit(threshold, career);
        let unsaid = if query.skills.is_empty() { Component::Absent } else { Component::Unsaid };
        let (least_fits, least_fit_unsaid) = (skills.map(least_fit), least_fit(unsaid));
        Self { career, threshold, threshold_day, full, least_fits, least_fit_unsaid }
    }

    /// The least fit of a listing that names all skills; a lower fit cannot reach the threshold.
    pub fn least_fit(&self) -> u16 {
        self.least_fits[MOST_TERMS]
    }

    /// The skills that a listing with this fit must name.
    pub fn skills_needed(&self, fit: u16) -> usize {
        self.least_fits.iter().take_while(|&&least| fit < least).count()
    }

    /// The least fit of a listing that leaves the skills unsaid.
    pub fn least_fit_unsaid(&self) -> u16 {
        self.least_fit_unsaid
    }

    /// The score of a listing that was last seen on this day; `None` if it cannot be among the best.
    pub fn score(&self, components: &Components, day: u16) -> Option<Score> {
        if self.falls_short(components) {
            return None;
        }
        let score = components.score(self.career);
        self.allows(score, day).then_some(score)
    }

    /// Whether the score is too low; cheaper than the score itself.
    pub fn falls_short(&self, components: &Components) -> bool {
        components.falls_short(self.threshold, self.career)
    }

    fn allows(&self, score: Score, day: u16) -> bool {
        score > self.threshold || (score == self.threshold && (day == 0 || day >= self.threshold_day))
    }

    /// Whether a candidate could be among the best, judged by its fit and its day alone.
    pub fn allows_candidate(&self, query: &Query<'_>, candidate: &Candidate) -> bool {
        let freshness = if candidate.day > 0 { freshness_component(query.age(candidate)) } else { FULL };
        let best = Components { fit: candidate.fit, freshness: Component::Known(freshness), ..self.full };
        self.score(&best, candidate.day).is_some()
    }
}
