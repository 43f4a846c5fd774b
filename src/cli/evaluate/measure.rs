//! Measures ranking on graded sets: JSON Lines of listings and of queries in, a ranked run out, and with
//! grades the usual metrics.
//!
//! Production code tokenises, indexes, scores and orders the listings: a listing's score here is the score that a
//! user with that career and those skills would see. Three things differ, because the grades need them. Copies of a
//! posting are all ranked (the sets grade every copy). Listings that users do not see (a score below 15, or hardly
//! any of the career) follow at the end of the list. Lists are longer than a user's, and filled up to the length that
//! graders expect with listings of score 0, those that name most of the skills first.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::{
    Career, CareerProfile, CatalogueVersion, JobListing, ListingId, MatchScore, Recommendation, Score,
};
use crate::ranking::{Catalogue, CatalogueBuilder, Vocabulary};

/// Results per query; sets that judge only some sources need more than they count.
pub const RESULTS_PER_QUERY: usize = 1_000;

/// Graders expect at least this many results. If fewer listings match the career or a skill, others follow with score
/// 0.
const LEAST_RESULTS: usize = 100;

/// Why a file of a graded set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
    #[error("line {line}: {source}")]
    Json { line: usize, source: serde_json::Error },
    #[error("line {line}: expected {expected}")]
    Columns { line: usize, expected: &'static str },
    #[error("judged pools: {0}")]
    Pools(#[from] serde_json::Error),
}

/// A line of the corpus.
#[derive(Debug, Deserialize)]
struct CorpusLine {
    #[serde(deserialize_with = "text")]
    id: String,
    #[serde(default, deserialize_with = "text")]
    title: String,
    #[serde(default, deserialize_with = "text")]
    company: String,
    #[serde(default, deserialize_with = "text")]
    description: String,
    #[serde(default, deserialize_with = "text")]
    experience: String,
    #[serde(default, deserialize_with = "text")]
    tech_stack: String,
    #[serde(default, deserialize_with = "text")]
    required_skills: String,
    /// A date or an RFC 3339 time.
    crawled_at: Option<String>,
}

/// Reads a text. Null is an empty text; other values (lists of skills, numbers as ids) become their JSON text.
fn text<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(value)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// A line of the queries: one career of one user.
#[derive(Debug, Deserialize)]
pub struct Query {
    pub qid: String,
    pub career: String,
    #[serde(default)]
    pub category: Option<String>,
    #[serde(default)]
    pub skills: Vec<String>,
    #[serde(default = "full_match")]
    pub match_score: f64,
    /// Queries of one kind are averaged on their own as well.
    #[serde(default)]
    pub granularity: Option<String>,
}

fn full_match() -> f64 {
    1.0
}

/// A catalogue whose listings have texts as ids.
pub struct Corpus {
    catalogue: Catalogue,
    /// Position is the listing's number in the catalogue.
    ids: Vec<String>,
    titles: Vec<String>,
}

impl Corpus {
    /// Reads a corpus, one JSON object a line.
    pub fn read(corpus: impl BufRead, vocabulary: Arc<Vocabulary>) -> Result<Self, EvaluateError> {
        let mut builder = CatalogueBuilder::new(vocabulary);
        let (mut ids, mut titles) = (Vec::new(), Vec::new());
        for line in json_lines::<CorpusLine>(corpus) {
            let line = line?;
            builder.push(&JobListing {
                id: ListingId(ids.len() as i64),
                title: line.title.clone(),
                company: line.company,
                description: line.description,
                experience: line.experience,
                tech_stack: line.tech_stack,
                required_skills: line.required_skills,
                crawled_at: line.crawled_at.as_deref().and_then(parse_time),
            });
            ids.push(line.id);
            titles.push(line.title);
        }
        Ok(Self { catalogue: builder.finish(CatalogueVersion(1)), ids, titles })
    }

    /// The id of a listing as the corpus spells it.
    pub fn id(&self, listing: ListingId) -> &str {
        &self.ids[listing.0 as usize]
    }

    /// The title of a listing.
    pub fn title(&self, listing: ListingId) -> &str {
        &self.titles[listing.0 as usize]
    }

    /// A user's list, exactly as it would be stored.
    pub fn recommend(&self, profile: &CareerProfile, limit: usize) -> Vec<Recommendation> {
        self.catalogue.recommend(profile, limit)
    }

    /// The ids of the best listings for a query with their scores in points, best first.
    pub fn rank(&self, query: &Query) -> Vec<(&str, f64)> {
        let career = Career {
            name: query.career.clone(),
            category: query.category.clone(),
            match_score: MatchScore::from_fraction(query.match_score),
        };
        let profile =
            CareerProfile { careers: vec![career], skills: query.skills.clone(), ..Default::default() };
        let mut ranked = self.catalogue.rank(&profile, RESULTS_PER_QUERY);
        if ranked.len() < LEAST_RESULTS {
            let found: HashSet<ListingId> = ranked.iter().map(|(id, _)| *id).collect();
            let others = (0..self.ids.len() as i64).map(ListingId).filter(|id| !found.contains(id));
            ranked.extend(others.take(LEAST_RESULTS - found.len()).map(|id| (id, Score(0))));
        }
        ranked.into_iter().map(|(id, score)| (self.id(id), score.points())).collect()
    }
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).ok().or_else(day)
}

/// Reads queries, one JSON object a line.
pub fn read_queries(queries: impl BufRead) -> Result<Vec<Query>, EvaluateError> {
    json_lines(queries).collect()
}

pub fn json_lines<T: for<'de> Deserialize<'de>>(
    reader: impl BufRead,
) -> impl Iterator<Item = Result<T, EvaluateError>> {
    reader.lines().enumerate().filter_map(|(index, line)| match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some(
            serde_json::from_str(&line).map_err(|source| EvaluateError::Json { line: index + 1, source }),
        ),
        Err(error) => Some(Err(error.into())),
    })
}

/// Writes one query's results as `qid<TAB>id`, best first.
pub fn write_run(mut out: impl Write, qid: &str, ranked: &[(&str, f64)]) -> std::io::Result<()> {
    ranked.iter().try_for_each(|(id, _)| writeln!(out, "{qid}\t{id}"))
}

/// The grades of the judges.
#[derive(Debug, Default)]
pub struct Grades {
    by_query: HashMap<String, HashMap<String, u32>>,
    pools: Option<Pools>,
}

/// Which listings a query's grades say anything about.
#[derive(Debug)]
struct Pools {
    of_listing: HashMap<String, String>,
    judged: HashMap<String, HashSet<String>>,
}

impl Grades {
    /// Reads `qid<TAB>id<TAB>grade` lines.
    pub fn read(qrels: impl BufRead) -> Result<Self, EvaluateError> {
        let mut grades = Self::default();
        for (index, line) in qrels.lines().enumerate() {
            let line = line?;
            let expected = || EvaluateError::Columns { line: index + 1, expected: "qid, id and grade" };
            let columns: Vec<&str> = line.split('\t').collect();
            let &[qid, id, grade] = columns.as_slice() else { return Err(expected()) };
            let grade = grade.trim().parse().map_err(|_| expected())?;
            grades.by_query.entry(qid.to_owned()).or_default().insert(id.to_owned(), grade);
        }
        Ok(grades)
    }

    /// Adds which pool each listing belongs to (`id<TAB>pool` lines) and which pools were judged for each
    /// query (a JSON object of arrays). Results from other pools are dropped before scoring.
    pub fn with_pools(mut self, pools: impl BufRead, judged: impl BufRead) -> Result<Self, EvaluateError> {
        let mut of_listing = HashMap::new();
        for (index, line) in pools.lines().enumerate() {
            let line = line?;
            let columns = line.split_once('\t');
            let (id, pool) =
                columns.ok_or(EvaluateError::Columns { line: index + 1, expected: "id and pool" })?;
            of_listing.insert(id.to_owned(), pool.to_owned());
        }
        self.pools = Some(Pools { of_listing, judged: serde_json::from_reader(judged)? });
        Ok(self)
    }

    /// The grade of a result; `None` if its pool is not judged.
    pub fn grade(&self, qid: &str, id: &str) -> Option<u32> {
        if let Some(pools) = &self.pools {
            let pool = pools.of_listing.get(id)?;
            if !pools.judged.get(qid)?.contains(pool) {
                return None;
            }
        }
        Some(self.by_query.get(qid).and_then(|grades| grades.get(id)).copied().unwrap_or(0))
    }

    /// All grades of a query or user.
    pub fn of_query(&self, qid: &str) -> Option<&HashMap<String, u32>> {
        self.by_query.get(qid)
    }

    /// The grade that the file states; `None` if it states none.
    pub fn judged(&self, qid: &str, id: &str) -> Option<u32> {
        self.of_query(qid)?.get(id).copied()
    }

    /// The metrics of one query's results.
    pub fn measure(&self, qid: &str, ranked: &[(&str, f64)]) -> Metrics {
        let grades: Vec<u32> = ranked.iter().filter_map(|(id, _)| self.grade(qid, id)).collect();
        let mut ideal: Vec<u32> =
            self.by_query.get(qid).into_iter().flat_map(HashMap::values).copied().collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let best = discounted_gain(&ideal);
        Metrics {
            ndcg: if best > 0.0 { discounted_gain(&grades) / best } else { 0.0 },
            reciprocal_rank: grades
                .iter()
                .position(|&grade| grade > 0)
                .map_or(0.0, |at| 1.0 / (at + 1) as f64),
            precision: grades.iter().take(5).filter(|&&grade| grade > 0).count() as f64 / 5.0,
        }
    }
}

/// Linear gain of the first ten.
fn discounted_gain(grades: &[u32]) -> f64 {
    let gains = grades.iter().take(10).enumerate();
    gains.map(|(index, &grade)| f64::from(grade) / (index as f64 + 2.0).log2()).sum()
}

/// How good a ranking is, each in 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// nDCG@10 with linear gain.
    pub ndcg: f64,
    /// 1 / rank of the first relevant result.
    pub reciprocal_rank: f64,
    /// Share of relevant results among the first five.
    pub precision: f64,
}

/// Means by kind of query, kinds in alphabetical order, all queries last.
pub fn summarise(measured: &[(Option<&str>, Metrics)]) -> Vec<(String, usize, Metrics)> {
    let mut kinds: Vec<&str> = measured.iter().filter_map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let groups = kinds.into_iter().map(Some).chain([None]);
    groups
        .map(|kind| {
            let of_kind = measured.iter().filter(|(other, _)| kind.is_none() || *other == kind);
            let metrics: Vec<Metrics> = of_kind.map(|(_, metrics)| *metrics).collect();
            (kind.unwrap_or("ALL").to_owned(), metrics.len(), mean(&metrics))
        })
        .collect()
}

fn mean(metrics: &[Metrics]) -> Metrics {
    let count = metrics.len().max(1) as f64;
    let of = |value: fn(&Metrics) -> f64| metrics.iter().map(value).sum::<f64>() / count;
    Metrics {
        ndcg: of(|m| m.ndcg),
        reciprocal_rank: of(|m| m.reciprocal_rank),
        precision: of(|m| m.precision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &str = r#"{"id":"a","title":"백엔드 개발자","crawled_at":"2026-01-02"}
{"id":"b","title":"[하늘] 서버 개발자 (3년 이상)"}

{"id":"c","title":"간호사"}
"#;

    #[test]
    fn a_run_is_ranked_and_measured() {
        let corpus = Corpus::read(CORPUS.as_bytes(), Arc::new(Vocabulary::builtin())).unwrap();
        let queries = read_queries(r#"{"qid":"q","career":"백엔드 개발자"}"#.as_bytes()).unwrap();
        let ranked = corpus.rank(&queries[0]);
        assert_eq!(ranked[0].0, "a");
        assert_eq!(ranked[2], ("c", 0.0));
        let mut run = Vec::new();
        write_run(&mut run, "q", &ranked).unwrap();
        assert!(String::from_utf8(run).unwrap().starts_with("q\ta\nq\tb\n"));
        let grades = Grades::read("q\ta\t1\nq\tz\t2\n".as_bytes()).unwrap();
        let metrics = grades.measure("q", &ranked);
        assert_eq!((metrics.reciprocal_rank, metrics.precision), (1.0, 0.2));
        assert!((metrics.ndcg - 1.0 / (2.0 + 1.0 / 3_f64.log2())).abs() < 1e-12);
    }

    #[test]
    fn unjudged_pools_are_left_out() {
        let grades = Grades::read("q\tb\t1\n".as_bytes()).unwrap();
        let grades = grades.with_pools("a\tx\nb\ty\n".as_bytes(), r#"{"q":["y"]}"#.as_bytes()).unwrap();
        assert_eq!(
            (grades.grade("q", "a"), grades.grade("q", "b"), grades.grade("q", "c")),
            (None, Some(1), None)
        );
        assert_eq!(grades.measure("q", &[("a", 9.0), ("b", 8.0)]).ndcg, 1.0);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read_queries("{\"qid\":\"q\",\"career\":\"c\"}\n{".as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("line 2:"), "{error}");
        let error = Grades::read("q\ta\n".as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "line 1: expected qid, id and grade");
    }

    #[test]
    fn means_are_taken_by_kind() {
        let metrics = |ndcg| Metrics { ndcg, ..Metrics::default() };
        let summary = summarise(&[(Some("fine"), metrics(1.0)), (Some("coarse"), metrics(0.0))]);
        let ndcg: Vec<_> = summary.iter().map(|(kind, n, m)| (kind.as_str(), *n, m.ndcg)).collect();
        assert_eq!(ndcg, [("coarse", 1, 0.0), ("fine", 1, 1.0), ("ALL", 2, 0.5)]);
    }
}
