//! Measures the lists of whole users: JSON Lines of analyses in, and the rows that a user would see out.

use std::collections::HashMap;
use std::io::{BufRead, Write};

use serde::Deserialize;
use serde_json::Value;

use super::measure::{Corpus, EvaluateError, Grades, json_lines};
use crate::domain::Recommendation;
use crate::profile::Inputs;
use crate::storage::{CareerAnalysis, ProfileAnalysis, StoredAnalysis};

/// A line of the users: the columns of the analyses as other services store them.
#[derive(Debug, Deserialize)]
pub struct User {
    pub uid: String,
    careers: Value,
    #[serde(default)]
    interest_areas: Value,
    #[serde(default)]
    strengths: Value,
    #[serde(default)]
    interests: Value,
    #[serde(default)]
    goals: Value,
    #[serde(default)]
    summary: Value,
}

/// Reads users, one JSON object a line.
pub fn read_users(users: impl BufRead) -> Result<Vec<User>, EvaluateError> {
    json_lines(users).collect()
}

impl User {
    /// The inputs of a calculation for the user.
    pub fn inputs(&self) -> Inputs {
        Inputs::parse(&StoredAnalysis {
            job_recommendations: Vec::new(),
            career_analysis: Some(CareerAnalysis {
                recommended_careers: column(&self.careers),
                interest_areas: column(&self.interest_areas),
            }),
            profile: Some(ProfileAnalysis {
                interests: column(&self.interests),
                strengths: column(&self.strengths),
                goals: column(&self.goals),
                summary: column(&self.summary),
            }),
        })
    }
}

/// A column's text: JSON, but texts as they are.
fn column(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Writes a user's list as lines of uid, listing and score.
pub fn write_list(
    run: &mut impl Write,
    corpus: &Corpus,
    user: &User,
    list: &[Recommendation],
) -> std::io::Result<()> {
    for row in list {
        writeln!(run, "{}\t{}\t{}", user.uid, corpus.id(row.listing_id), row.score.points())?;
    }
    Ok(())
}

/// Writes a user's careers, and the rows with grade, score, title and reason, for a person to read.
pub fn write_explained(
    text: &mut impl Write,
    corpus: &Corpus,
    user: &User,
    list: &[Recommendation],
    grades: Option<&Grades>,
) -> std::io::Result<()> {
    let careers = user.inputs().profile.careers.into_iter();
    let careers: Vec<_> = careers
        .map(|career| format!("{} {}", career.name, career.match_score.basis_points() / 100))
        .collect();
    writeln!(text, "{}: {}", user.uid, careers.join(" / "))?;
    for row in list {
        let id = corpus.id(row.listing_id);
        let grade = grades.and_then(|grades| grades.judged(&user.uid, id));
        let grade = grade.map_or_else(|| "-".to_owned(), |grade| grade.to_string());
        let data = row.parsed_data();
        let tier = data.get("tier").and_then(Value::as_str).unwrap_or_default();
        let title = corpus.title(row.listing_id);
        writeln!(text, "  {grade} {:>6.2} {tier:7} {title} | {}", row.score.points(), row.reason)?;
    }
    Ok(())
}

/// A user's list compared with the grades: 2 right, 1 near, 0 wrong. Rows without a grade are left out.
#[derive(Debug, Default)]
pub struct ListMetrics {
    shown: usize,
    /// Score in points and grade of the judged rows.
    judged: Vec<(f64, u32)>,
    /// Listings of the corpus that are right.
    right: usize,
    ideal: f64,
}

impl ListMetrics {
    /// Compares a list, best first, with the grades.
    pub fn new(uid: &str, list: &[(&str, f64)], grades: &Grades) -> Self {
        let judged = list.iter().filter_map(|&(id, score)| Some((score, grades.judged(uid, id)?)));
        let mut all: Vec<u32> =
            grades.of_query(uid).map(HashMap::values).into_iter().flatten().copied().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            shown: list.len(),
            judged: judged.collect(),
            right: all.iter().filter(|&&grade| grade == 2).count(),
            ideal: gain(&all),
        }
    }

    fn share(&self, rows: usize, grade: u32) -> Option<f64> {
        let rows = &self.judged[..rows.min(self.judged.len())];
        let having = rows.iter().filter(|(_, other)| *other == grade).count();
        (!rows.is_empty()).then(|| having as f64 / rows.len() as f64)
    }

    /// The figures by name. Those of right listings are `None` for a user without any.
    fn figures(&self) -> [(&'static str, Option<f64>); 6] {
        let ten: Vec<u32> = self.judged.iter().take(10).map(|(_, grade)| *grade).collect();
        let of = |grade: u32| ten.iter().filter(|&&other| other == grade).count() as f64;
        let right = (self.right > 0).then_some(());
        [
            ("right@10", right.map(|()| of(2) / self.right.min(10) as f64)),
            ("wrong@10", Some(of(0) / 10.0)),
            ("nDCG@10", right.map(|()| gain(&ten) / self.ideal)),
            ("right", right.and_then(|()| self.share(usize::MAX, 2))),
            ("wrong", Some(self.share(usize::MAX, 0).unwrap_or(0.0))),
            ("shown", Some(self.shown as f64)),
        ]
    }
}

/// Gain 2^grade - 1 of the first ten, discounted.
fn gain(grades: &[u32]) -> f64 {
    let gains = grades.iter().take(10).enumerate();
    gains.map(|(at, &grade)| (2_f64.powi(grade as i32) - 1.0) / (at as f64 + 2.0).log2()).sum()
}

/// The means over users, each over those users that have the figure.
pub fn means(lists: &[ListMetrics]) -> Vec<(&'static str, f64)> {
    let figures: Vec<_> = lists.iter().map(ListMetrics::figures).collect();
    let mean = |at: usize| {
        let values: Vec<f64> = figures.iter().filter_map(|list| list[at].1).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let names = ListMetrics::default().figures().map(|(name, _)| name);
    names.into_iter().enumerate().map(|(at, name)| (name, mean(at))).collect()
}

/// The number of wrong, near and right rows by tens of points, the highest first.
pub fn bands(lists: &[ListMetrics]) -> Vec<(usize, [usize; 3])> {
    let mut bands = [[0; 3]; 10];
    for &(score, grade) in lists.iter().flat_map(|list| &list.judged) {
        bands[((score / 10.0) as usize).min(9)][grade.min(2) as usize] += 1;
    }
    let bands = bands.into_iter().enumerate().rev().map(|(ten, counts)| (10 * ten, counts));
    bands.filter(|(_, counts)| counts.iter().sum::<usize>() > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_measured_as_its_reader_sees_it() {
        let grades = Grades::read("u\ta\t2\nu\tb\t0\nu\tc\t1\nu\td\t2\nv\ta\t0\n".as_bytes()).unwrap();
        let one = ListMetrics::new("u", &[("a", 81.0), ("x", 70.0), ("b", 55.0)], &grades);
        let ideal = 3.0 + 3.0 / 3_f64.log2() + 1.0 / 4_f64.log2();
        let figures = one.figures().map(|(_, value)| value);
        assert_eq!(figures, [Some(0.5), Some(0.1), Some(3.0 / ideal), Some(0.5), Some(0.5), Some(3.0)]);
        let thin = ListMetrics::new("v", &[], &grades);
        assert_eq!(
            thin.figures().map(|(_, value)| value),
            [None, Some(0.0), None, None, Some(0.0), Some(0.0)]
        );
        let both = [one, thin];
        assert_eq!(means(&both)[1], ("wrong@10", 0.05));
        assert_eq!(bands(&both), [(80, [0, 0, 1]), (50, [1, 0, 0])]);
    }

    #[test]
    fn a_user_is_read_as_other_services_store_analyses() {
        let line = r#"{"uid":"u","careers":[{"careerName":"약사","matchScore":90}],"strengths":["Excel"],"summary":"신입"}"#;
        let users = read_users(line.as_bytes()).unwrap();
        let profile = users[0].inputs().profile;
        assert_eq!((profile.careers[0].name.as_str(), profile.experience_years), ("약사", Some(0)));
    }
}
