//! The score of one listing for one career: five components, their weights, and a breakdown that sums to it.
//!
//! `score = 100 · m · Q`, where m is how well the career fits the user and Q the weighted mean of the
//! components that have data. Everything is integer arithmetic: components in 1/10,000, scores in hundredths
//! of a point, so that two machines can never disagree about a tie.

use std::ops::RangeInclusive;

use serde_json::{Map, Number, Value};

use crate::domain::{MatchScore, Score};

/// A component's full value.
pub const FULL: u16 = 10_000;

/// Below this a listing is not recommended at all.
pub const FLOOR: Score = Score(1_500);

/// The five components in 0..=[`FULL`]; `None` has no data and takes no part in the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Components {
    /// How well the listing fits the career: how much of its name the listing shows, above all in its title.
    pub fit: u16,
    /// Share of the user's skills that the listing names.
    pub skills: Option<u16>,
    /// How well the user's years fit the asked ones.
    pub experience: Option<u16>,
    /// Interests and strengths that the listing names.
    pub interests: Option<u16>,
    /// How new the listing is.
    pub freshness: Option<u16>,
}

/// Weights of fit, skills, experience, interests and freshness, in points.
const WEIGHTS: [u32; 5] = [60, 30, 5, 3, 2];
const NAMES: [&str; 5] = ["title", "skills", "experience", "interests", "freshness"];

impl Components {
    fn as_array(&self) -> [Option<u16>; 5] {
        [Some(self.fit), self.skills, self.experience, self.interests, self.freshness]
    }

    /// Weighted sum (≤ 1,000,000) and the weight of what has data (≤ 100).
    fn weighted(&self) -> (u32, u32) {
        let present = self.as_array().into_iter().zip(WEIGHTS);
        present.fold((0, 0), |(sum, weight), (value, w)| match value {
            Some(value) => (sum + w * u32::from(value), weight + w),
            None => (sum, weight),
        })
    }

    /// The score for a career that fits the user as `career` says; rounded half up.
    pub fn score(&self, career: MatchScore) -> Score {
        let (sum, weight) = self.weighted();
        let scaled = u64::from(career.basis_points()) * u64::from(sum);
        let unit = u64::from(weight) * u64::from(FULL);
        Score(((scaled + unit / 2) / unit) as u16)
    }

    /// The least fit with which these components reach `threshold`; more than [`FULL`] when none does.
    pub fn least_fit(&self, threshold: Score, career: MatchScore) -> u16 {
        let (others, weight) = Self { fit: 0, ..*self }.weighted();
        let unit = u64::from(weight) * u64::from(FULL);
        let scaled = (u64::from(threshold.0) * unit).saturating_sub(unit / 2);
        let sum = match u64::from(career.basis_points()) {
            0 if scaled > 0 => return FULL + 1,
            0 => 0,
            m => scaled.div_ceil(m),
        };
        let fit = sum.saturating_sub(u64::from(others)).div_ceil(u64::from(WEIGHTS[0]));
        fit.min(u64::from(FULL) + 1) as u16
    }

    /// Each component's share of `score`, in points with two decimals; the shares sum to it exactly
    /// (largest remainders are rounded up).
    pub fn breakdown(&self, score: Score) -> Map<String, Value> {
        let (sum, _) = self.weighted();
        let values = self.as_array();
        let mut shares: Vec<(usize, u32, u32)> = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                let part = u64::from(WEIGHTS[index] * u32::from(*value)) * u64::from(score.0);
                let (whole, left) = (part / u64::from(sum.max(1)), part % u64::from(sum.max(1)));
                shares.push((index, whole as u32, left as u32));
            }
        }
        let missing = u32::from(score.0) - shares.iter().map(|share| share.1).sum::<u32>();
        shares.sort_by_key(|&(index, _, left)| (std::cmp::Reverse(left), index));
        for share in shares.iter_mut().take(missing as usize) {
            share.1 += 1;
        }
        shares.sort_by_key(|share| share.0);
        shares.into_iter().map(|(index, share, _)| (NAMES[index].to_owned(), points(share))).collect()
    }
}

/// Hundredths as a JSON number that a database's JSON type keeps as it is.
fn points(hundredths: u32) -> Value {
    if hundredths.is_multiple_of(100) {
        return Value::from(hundredths / 100);
    }
    Number::from_f64(f64::from(hundredths) / 100.0).map_or(Value::Null, Value::Number)
}

/// As many skills found as this, or all that the user has, are the full value.
pub const SKILLS_ASKED: usize = 3;

/// Of a listing that names `found` of the user's `known` skills. The first skill found says far more than the next:
/// what is missing counts with its fourth power (of three skills 1 found is 0.80, 2 are 0.99).
pub fn skills_component(found: usize, known: usize) -> Option<u16> {
    let asked = known.min(SKILLS_ASKED) as u64;
    if asked == 0 {
        return None;
    }
    let full = u64::from(FULL);
    let missing = asked.saturating_sub(found as u64) * full / asked;
    Some((full - missing.pow(4) / full.pow(3)) as u16)
}

/// As many interests found as this are the full value.
pub const INTERESTS_ASKED: usize = 2;

/// Of a listing that names `found` of the user's `known` interests.
pub fn interests_component(found: usize, known: usize) -> Option<u16> {
    (known > 0).then(|| found.min(INTERESTS_ASKED) as u16 * (FULL / INTERESTS_ASKED as u16))
}

/// A listing is fresh for this many days …
const FRESH_DAYS: u32 = 3;
/// … and stale from this many on.
const STALE_DAYS: u32 = 90;

/// Freshness of a listing that was seen `age` days before the catalogue's newest.
pub fn freshness_component(age: u32) -> u16 {
    let left = STALE_DAYS.saturating_sub(age.max(FRESH_DAYS));
    (left * u32::from(FULL) / (STALE_DAYS - FRESH_DAYS)) as u16
}

/// What a year too few costs, and a year too many (a senior can do a junior's work).
const MISSING_YEAR: u32 = 2_500;
const SURPLUS_YEAR: u32 = 1_000;

/// The user's years of experience against the years that a listing asks for.
pub fn experience_component(years: u8, asked: RangeInclusive<u8>) -> u16 {
    let missing = u32::from(asked.start().saturating_sub(years));
    let surplus = u32::from(years.saturating_sub(*asked.end()));
    let loss = missing * MISSING_YEAR + surplus * SURPLUS_YEAR;
    u32::from(FULL).saturating_sub(loss) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn components() -> impl Strategy<Value = Components> {
        let part = || proptest::option::of(0..=FULL);
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
            let raise = |value: u16| value.max(more);
            let better = [
                Components { fit: raise(c.fit), ..c },
                Components { skills: c.skills.map(raise), ..c },
                Components { experience: c.experience.map(raise), ..c },
                Components { interests: c.interests.map(raise), ..c },
                Components { freshness: c.freshness.map(raise), ..c },
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
            let present = c.as_array().iter().flatten().count();
            prop_assert_eq!(breakdown.len(), present);
        }

        #[test]
        fn the_least_fit_is_where_the_score_reaches_the_threshold(
            c in components(),
            m in career(),
            threshold in (0..=10_000_u16).prop_map(Score),
        ) {
            let least = c.least_fit(threshold, m);
            let score = |fit| Components { fit, ..c }.score(m);
            prop_assert!(least > FULL || score(least) >= threshold);
            prop_assert!(least == 0 || score(least - 1) < threshold);
        }

        /// What the early stop relies on: a component that is absent cannot do better than a full one.
        #[test]
        fn a_full_component_is_no_worse_than_none(c in components(), m in career()) {
            let full = |value: Option<u16>| value.or(Some(FULL));
            let filled = [
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
    fn all_components_full_give_the_career_match_itself() {
        let full = Some(FULL);
        let all = Components { fit: FULL, skills: full, experience: full, interests: full, freshness: full };
        assert_eq!(all.score(MatchScore::from_fraction(0.95)), Score(9_500));
    }

    #[test]
    fn every_skill_found_helps_and_the_first_most() {
        let found: Vec<_> = (0..=5).map(|found| skills_component(found, 6).unwrap()).collect();
        assert_eq!(found, [0, 8_026, 9_877, FULL, FULL, FULL]);
        assert_eq!(skills_component(0, 0), None);
        assert_eq!(skills_component(1, 1), Some(FULL));
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
