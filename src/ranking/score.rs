//! The score of one listing for one career: five components, their weights, and a breakdown that sums to it.
//!
//! `score = 100 · m · Q`, where m says how well the career fits the user and Q is the weighted mean of the components
//! that have data. All arithmetic is on integers, components in 1/10,000 and scores in hundredths of a point, so that
//! all machines agree about ties.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Number, Value};

use crate::domain::{MatchScore, Score};

/// A component's maximum.
pub const FULL: u16 = 10_000;

/// A listing with a lower score is not recommended.
pub const FLOOR: Score = Score(2_500);

/// From this score on, a listing is more likely right than not. Below it, it is related.
pub const RIGHT: Score = Score(4_000);

/// The knowledge about a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Component {
    /// The profile says nothing about it: it does not count.
    #[default]
    Absent,
    /// The listing says nothing about it: it counts as [`UNSAID`].
    Unsaid,
    /// 0..=[`FULL`].
    Known(u16),
}

/// The value of a component about which the listing says nothing: between that of a listing that says the right and of
/// one that says the wrong.
pub const UNSAID: u16 = 6_000;

/// The fit in 0..=[`FULL`], and the components that modulate it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Components {
    /// How well the listing fits the career: how much of the career's name it shows, above all in its title. The stored
    /// breakdown calls it `title`.
    pub fit: u16,
    /// Share of the user's skills that the listing names.
    pub skills: Component,
    /// How well the user's years of experience fit those that the listing asks for.
    pub experience: Component,
    /// Share of the user's interests and strengths that the listing names.
    pub interests: Component,
    /// How new the listing is.
    pub freshness: Component,
}

/// Weights of fit, skills, experience, interests and freshness, in points.
const WEIGHTS: [u32; 5] = [40, 35, 20, 2, 3];
/// Their names in the stored breakdown.
const NAMES: [&str; 5] = ["title", "skills", "experience", "interests", "freshness"];

impl Component {
    /// The value; `None` if it does not count.
    fn value(self) -> Option<u16> {
        match self {
            Self::Absent => None,
            Self::Unsaid => Some(UNSAID),
            Self::Known(value) => Some(value),
        }
    }
}

impl Components {
    fn as_array(&self) -> [Component; 5] {
        [Component::Known(FULL), self.skills, self.experience, self.interests, self.freshness]
    }

    /// The weighted sum (≤ 1,000,000) and the weight (≤ 100) of the components that count, the fit as full.
    fn weighted(&self) -> (u32, u32) {
        let counting = self.as_array().into_iter().zip(WEIGHTS);
        counting.fold((0, 0), |(sum, weight), (component, w)| match component.value() {
            Some(value) => (sum + w * u32::from(value), weight + w),
            None => (sum, weight),
        })
    }

    /// The score for a career with the match score `career`, rounded half up: the fit is multiplied with the mean of the
    /// other components, so that none of them makes up for a title that shows little.
    pub fn score(&self, career: MatchScore) -> Score {
        let (sum, weight) = self.weighted();
        let scaled = u64::from(career.basis_points()) * u64::from(self.fit) * u64::from(sum);
        let unit = unit(weight);
        Score(((scaled + unit / 2) / unit) as u16)
    }

    /// Whether the score is below `threshold`; cheaper than the score itself, because it divides nothing.
    pub fn falls_short(&self, threshold: Score, career: MatchScore) -> bool {
        let (sum, weight) = self.weighted();
        let scaled = u64::from(career.basis_points()) * u64::from(self.fit) * u64::from(sum);
        let unit = unit(weight);
        scaled + unit / 2 < u64::from(threshold.0) * unit
    }

    /// The least fit with which the other components reach `threshold`; more than [`FULL`] if no fit suffices.
    pub fn least_fit(&self, threshold: Score, career: MatchScore) -> u16 {
        let (sum, weight) = self.weighted();
        let unit = unit(weight);
        let scaled = (u64::from(threshold.0) * unit).saturating_sub(unit / 2);
        match u64::from(career.basis_points()) * u64::from(sum) {
            0 if scaled > 0 => FULL + 1,
            0 => 0,
            of_full => scaled.div_ceil(of_full).min(u64::from(FULL) + 1) as u16,
        }
    }

    /// Each component's share of `score`, in points with two decimals. The shares sum to the score exactly: those with the
    /// largest remainders are rounded up. Components that the listing leaves unsaid count with the title.
    pub fn breakdown(&self, score: Score) -> BTreeMap<&'static str, Value> {
        let (sum, _) = self.weighted();
        let mut parts: Vec<(usize, u32)> = Vec::with_capacity(WEIGHTS.len());
        for (index, (component, weight)) in self.as_array().into_iter().zip(WEIGHTS).enumerate() {
            match component {
                Component::Absent => {}
                Component::Unsaid => parts[0].1 += weight * u32::from(UNSAID),
                Component::Known(value) => parts.push((index, weight * u32::from(value))),
            }
        }
        let mut shares: Vec<(usize, u32, u32)> = Vec::with_capacity(parts.len());
        for (index, part) in parts {
            let part = u64::from(part) * u64::from(score.0);
            let (whole, left) = (part / u64::from(sum), part % u64::from(sum));
            shares.push((index, whole as u32, left as u32));
        }
        let missing = u32::from(score.0) - shares.iter().map(|share| share.1).sum::<u32>();
        shares.sort_by_key(|&(index, _, left)| (std::cmp::Reverse(left), index));
        for share in shares.iter_mut().take(missing as usize) {
            share.1 += 1;
        }
        shares.sort_by_key(|share| share.0);
        shares.into_iter().map(|(index, share, _)| (NAMES[index], points(share))).collect()
    }
}

/// The scaled score of a hundredth of a point.
fn unit(weight: u32) -> u64 {
    u64::from(weight) * u64::from(FULL) * u64::from(FULL)
}

/// Hundredths as a JSON number that the JSON type of a database stores unchanged.
fn points(hundredths: u32) -> Value {
    if hundredths.is_multiple_of(100) {
        return Value::from(hundredths / 100);
    }
    Number::from_f64(f64::from(hundredths) / 100.0).map_or(Value::Null, Value::Number)
}

/// A listing that names this many of the user's skills, or all if there are fewer, has the full value.
pub const SKILLS_ASKED: usize = 3;

/// The value of a listing that names one of two skills.
const ONE_OF_TWO: u16 = 7_500;
/// The value of a listing that names one of at least three skills: that one is often common (`MySQL`), and the listing
/// says more against the user than one that lists none ([`UNSAID`]).
const ONE_OF_THREE: u16 = 4_000;
/// The value of a listing that names two of at least three skills.
const TWO_OF_THREE: u16 = 9_000;

/// The component of a listing that names `found` of the user's `known` skills; absent if none are known.
pub fn skills_component(found: usize, known: usize) -> Component {
    let asked = known.min(SKILLS_ASKED);
    Component::Known(match (found.min(asked), asked) {
        (_, 0) => return Component::Absent,
        (0, _) => 0,
        (1, 2) => ONE_OF_TWO,
        (1, 3) => ONE_OF_THREE,
        (2, 3) => TWO_OF_THREE,
        _ => FULL,
    })
}

/// A listing that names this many interests has the full value.
pub const INTERESTS_ASKED: usize = 2;

/// The component of a listing that names `found` of the user's `known` interests; absent if none are known.
pub fn interests_component(found: usize, known: usize) -> Component {
    match known {
        0 => Component::Absent,
        _ => Component::Known(found.min(INTERESTS_ASKED) as u16 * (FULL / INTERESTS_ASKED as u16)),
    }
}

/// Up to this age in days, a listing is fresh: full value.
const FRESH_DAYS: u32 = 3;
/// From this age in days on, a listing is stale: 0.
const STALE_DAYS: u32 = 90;

/// The component of a listing that was last seen `age` days before the newest one of the catalogue.
pub fn freshness_component(age: u32) -> u16 {
    let left = STALE_DAYS.saturating_sub(age.max(FRESH_DAYS));
    (left * u32::from(FULL) / (STALE_DAYS - FRESH_DAYS)) as u16
}

/// Loss for each year of experience that the user lacks.
const MISSING_YEAR: u32 = 2_500;
/// Loss for each year above the range; smaller, because a senior can do a junior's work.
const SURPLUS_YEAR: u32 = 1_000;

/// The component of a listing that asks for `asked` years of experience, for a user who has `years`.
pub fn experience_component(years: u8, asked: RangeInclusive<u8>) -> u16 {
    let missing = u32::from(asked.start().saturating_sub(years));
    let surplus = u32::from(years.saturating_sub(*asked.end()));
    let loss = missing * MISSING_YEAR + surplus * SURPLUS_YEAR;
    u32::from(FULL).saturating_sub(loss) as u16
}

/// The experience component of a listing that requires a licence which the user does not have: that of three missing
/// years, whatever the listing says about years.
pub const NO_LICENCE: u16 = FULL - 3 * MISSING_YEAR as u16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = Component> {
        prop_oneof![Just(Component::Absent), Just(Component::Unsaid), (0..=FULL).prop_map(Component::Known)]
    }

    fn components() -> impl Strategy<Value = Components> {
        (0..=FULL, part(), part(), part(), part()).prop_map(
            |(fit, skills, experience, interests, freshness)| Components {
                fit,
                skills,
                experience,
                interests,
                freshness,
            },
        )
    }

    fn career() -> impl Strategy<Value = MatchScore> {
        (0.0..=1.0).prop_map(MatchScore::from_fraction)
    }

    proptest! {
        #[test]
        fn a_score_never_exceeds_the_career_match(c in components(), m in career()) {
            prop_assert!(c.score(m).0 <= m.basis_points());
        }

        #[test]
        fn more_of_a_component_never_lowers_the_score(c in components(), m in career(), more in 0..=FULL) {
            let raise = |part: Component| match part {
                Component::Known(value) => Component::Known(value.max(more)),
                unknown => unknown,
            };
            let better = [
                Components { fit: c.fit.max(more), ..c },
                Components { skills: raise(c.skills), ..c },
                Components { experience: raise(c.experience), ..c },
                Components { interests: raise(c.interests), ..c },
                Components { freshness: raise(c.freshness), ..c },
            ];
            for raised in better {
                prop_assert!(raised.score(m) >= c.score(m));
            }
        }

        #[test]
        fn the_breakdown_sums_to_the_score(c in components(), m in career()) {
            let score = c.score(m);
            let breakdown = c.breakdown(score);
            let sum: u32 = breakdown.values().map(|v| (v.as_f64().unwrap() * 100.0).round() as u32).sum();
            prop_assert_eq!(sum, u32::from(score.0));
            let known = c.as_array().iter().filter(|part| matches!(part, Component::Known(_))).count();
            prop_assert_eq!(breakdown.len(), known);
        }

        #[test]
        fn the_least_fit_is_where_the_score_reaches_the_threshold(
            c in components(),
            m in career(),
            threshold in (0..=10_000_u16).prop_map(Score),
        ) {
            let least = c.least_fit(threshold, m);
            let score = |fit| Components { fit, ..c }.score(m);
            prop_assert_eq!(c.falls_short(threshold, m), c.score(m) < threshold);
            prop_assert!(least > FULL || score(least) >= threshold);
            prop_assert!(least == 0 || score(least - 1) < threshold);
        }

        /// The early stop relies on this: an absent component never gives a higher score than a full one.
        #[test]
        fn a_full_component_is_no_worse_than_none(c in components(), m in career()) {
            let full = |part: Component| if part == Component::Absent { Component::Known(FULL) } else { part };
            let said = |part: Component| if part == Component::Unsaid { Component::Known(FULL) } else { part };
            let filled = [
                Components { skills: said(c.skills), ..c },
                Components { experience: full(c.experience), ..c },
                Components { interests: full(c.interests), ..c },
                Components { freshness: full(c.freshness), ..c },
            ];
            for filled in filled {
                prop_assert!(filled.score(m) >= c.score(m));
            }
        }
    }

    #[test]
    fn with_all_components_full_the_score_is_the_match_score() {
        let full = Component::Known(FULL);
        let all = Components { fit: FULL, skills: full, experience: full, interests: full, freshness: full };
        assert_eq!(all.score(MatchScore::from_fraction(0.95)), Score(9_500));
    }

    #[test]
    fn every_skill_found_helps() {
        let found: Vec<_> = (0..=5).map(|found| skills_component(found, 6)).collect();
        assert_eq!(found, [0, ONE_OF_THREE, TWO_OF_THREE, FULL, FULL, FULL].map(Component::Known));
        assert_eq!(skills_component(0, 0), Component::Absent);
        assert_eq!(skills_component(1, 1), Component::Known(FULL));
    }

    #[test]
    fn freshness_runs_from_three_days_to_ninety() {
        assert_eq!(freshness_component(0), FULL);
        assert_eq!(freshness_component(3), FULL);
        assert!(freshness_component(4) < FULL);
        assert_eq!(freshness_component(90), 0);
        assert_eq!(freshness_component(u32::MAX), 0);
    }

    #[test]
    fn years_inside_the_asked_range_are_a_full_match() {
        assert_eq!(experience_component(3, 3..=5), FULL);
        assert_eq!(experience_component(5, 3..=5), FULL);
        assert!(experience_component(2, 3..=5) < experience_component(6, 3..=5));
        assert_eq!(experience_component(0, 9..=12), 0);
    }
}
