//! The users of the bench: each has two disjoint sets of careers, and a career that can fit them better.
//!
//! All are stored at once in `job_recommendations`, of which the service takes the best ten. Turning all scores around
//! (100 − score) exchanges the sets in one statement, and turning them around again exchanges them back. Another
//! statement raises the score of the one career, and lowers it again. What a row needs for that is in columns that the
//! service does not read.

use std::sync::Arc;

use job_agent::domain::{Career, CareerProfile, CatalogueVersion, MatchScore, Recommendation};
use job_agent::ranking::{Catalogue, CatalogueBuilder, Vocabulary};
use serde_json::json;
use sqlx::{MySql, QueryBuilder};

use super::database::Database;
use super::exchange::{Exchange, difference};
use super::listings::Generator;

/// Rows of a list, as by default.
pub const LIST: usize = 50;
/// Careers that a user has at a time.
const CAREERS: usize = 10;
/// Careers that are tried for the change of a tenth of the list, and scores of each.
const TRIED_CAREERS: usize = 5;
const TRIED_SCORES: usize = 8;
/// Users per statement.
const CHUNK: usize = 500;

/// A change of a user's careers. Done twice, it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// All careers are exchanged: another list.
    All,
    /// One career fits better than before: about a tenth of the list is exchanged.
    Tenth,
    /// Nothing.
    Nothing,
}

/// A row of `job_recommendations`.
struct StoredCareer {
    name: &'static str,
    /// Per cent.
    score: f64,
    /// The better score that [`Change::Tenth`] gives, if it does.
    better: Option<f64>,
}

/// A profile that users share.
pub struct Person {
    careers: Vec<StoredCareer>,
    profile: CareerProfile,
    /// The real rows.
    pub lists: Lists,
}

/// What is written when a person's careers change: there, and back.
pub struct Lists {
    pub all: [Exchange; 2],
    pub tenth: [Exchange; 2],
}

/// The persons; the user with the id `n` is the person `n - 1`, counted in circles.
pub struct Users {
    pub persons: Vec<Person>,
}

impl Users {
    /// Persons of a seed, and their lists among the seeded listings.
    pub fn generate(listings: usize, persons: usize) -> Self {
        let catalogue = catalogue(listings);
        let mut generator = Generator::new(3);
        let mut random = fastrand::Rng::with_seed(4);
        let persons = (0..persons).map(|_| person(&mut generator, &mut random, &catalogue)).collect();
        Self { persons }
    }

    /// The person who a user is.
    pub fn person(&self, user: i64) -> &Person {
        &self.persons[(user - 1) as usize % self.persons.len()]
    }

    /// Stores users with the ids from 1 on, of whom the first are `active`, and a copy of their careers for [`reset`].
    pub async fn insert(&self, database: &Database, count: i64, active: i64) {
        let ids: Vec<i64> = (1..=count).collect();
        for ids in ids.chunks(CHUNK) {
            let mut users = QueryBuilder::<MySql>::new("INSERT INTO users (user_id, is_active) ");
            users.push_values(ids, |mut row, id| {
                row.push_bind(*id).push_bind(*id <= active);
            });
            users.build().execute(&database.pool).await.expect("inserted");
            let mut profiles = QueryBuilder::<MySql>::new(
                "INSERT INTO profile_analysis (user_id, strengths, interests, summary) ",
            );
            profiles.push_values(ids, |mut row, id| {
                let profile = &self.person(*id).profile;
                row.push_bind(*id)
                    .push_bind(json!(profile.strengths).to_string())
                    .push_bind(json!(profile.interests).to_string())
                    .push_bind(format!("경력 {}년", profile.experience_years.unwrap_or_default()));
            });
            profiles.build().execute(&database.pool).await.expect("inserted");
            let mut careers = QueryBuilder::<MySql>::new(
                "INSERT INTO job_recommendations (user_id, job_name, match_score, description) ",
            );
            let rows =
                ids.iter().flat_map(|id| self.person(*id).careers.iter().map(move |career| (id, career)));
            careers.push_values(rows, |mut row, (id, career)| {
                row.push_bind(*id)
                    .push_bind(career.name)
                    .push_bind(career.score)
                    .push_bind(career.better.map(|better| better + career.score));
            });
            careers.build().execute(&database.pool).await.expect("inserted");
        }
        database
            .execute("CREATE TABLE first_careers AS SELECT id, match_score FROM job_recommendations")
            .await;
        database.execute("ALTER TABLE first_careers ADD PRIMARY KEY (id)").await;
    }

    /// The share of the list that a change of a tenth exchanges, on average over the persons.
    pub fn share_of_a_tenth(&self) -> f64 {
        let rows = |of: fn(&Lists) -> &Exchange| -> usize {
            self.persons.iter().map(|person| of(&person.lists).rows).sum()
        };
        rows(|lists| &lists.tenth[0]) as f64 / rows(|lists| &lists.all[1]).max(1) as f64
    }

    /// Bytes of a row as it is sent, on average.
    pub fn bytes_of_a_row(&self) -> f64 {
        let exchanges = || self.persons.iter().map(|person| &person.lists.all[0]);
        let bytes: usize = exchanges().flat_map(|exchange| &exchange.in_records).map(String::len).sum();
        bytes as f64 / exchanges().map(|exchange| exchange.rows).sum::<usize>().max(1) as f64
    }
}

/// Changes the careers of the users with these ids.
pub async fn change(database: &Database, users: std::ops::RangeInclusive<i64>, change: Change) {
    let turn = match change {
        Change::All => "match_score = 100 - match_score WHERE TRUE",
        // The sum of both scores.
        Change::Tenth => "match_score = description - match_score WHERE description IS NOT NULL",
        Change::Nothing => return,
    };
    let (first, last) = (users.start(), users.end());
    database
        .execute(&format!("UPDATE job_recommendations SET {turn} AND user_id BETWEEN {first} AND {last}"))
        .await;
}

/// Gives all users the careers that they had at first.
pub async fn reset(database: &Database) {
    database
        .execute(
            "UPDATE job_recommendations AS now JOIN first_careers AS first USING (id) \
             SET now.match_score = first.match_score",
        )
        .await;
}

/// The catalogue of the seeded listings, as the service has it.
fn catalogue(listings: usize) -> Catalogue {
    let mut generator = Generator::new(1);
    let mut builder = CatalogueBuilder::new(Arc::new(Vocabulary::builtin()));
    (1..).take(listings).for_each(|id| builder.push(&generator.listing(id)));
    builder.finish(CatalogueVersion(1))
}

fn person(generator: &mut Generator, random: &mut fastrand::Rng, catalogue: &Catalogue) -> Person {
    let mut profile = generator.profile();
    // As `profile_analysis` states them: what the service does not know as a skill is an interest.
    profile.strengths = std::mem::take(&mut profile.skills);
    let names: Vec<&'static str> = Generator::careers().collect();
    let known = |name: &str| names.iter().copied().find(|known| *known == name).expect("of the generator");
    let own: Vec<&'static str> = profile.careers.iter().map(|career| known(&career.name)).collect();
    let mut others: Vec<&'static str> = names.iter().copied().filter(|name| !own.contains(name)).collect();
    random.shuffle(&mut others);
    let other = &others[..CAREERS];
    let with = |careers: &[(&str, f64)]| CareerProfile {
        careers: careers.iter().map(|(name, score)| career(name, *score)).collect(),
        ..profile.clone()
    };
    let scored = |names: &[&'static str]| -> Vec<(&'static str, f64)> {
        names.iter().enumerate().map(|(rank, name)| (*name, score(rank))).collect()
    };
    let recommend = |careers: &[(&str, f64)]| catalogue.recommend(&with(careers), LIST);
    let (base, changed) = (recommend(&scored(&own)), recommend(&scored(other)));
    let (rank, better, tenth) = tenth(&scored(&own), &base, recommend);
    let both = |list: &[Recommendation]| [Exchange::between(&base, list), Exchange::between(list, &base)];
    let lists = Lists { all: both(&changed), tenth: both(&tenth) };
    let mut careers: Vec<StoredCareer> =
        scored(&own).into_iter().map(|(name, score)| StoredCareer { name, score, better: None }).collect();
    careers[rank].better = Some(better);
    careers.extend(scored(other).into_iter().map(|(name, score)| StoredCareer {
        name,
        score: 100.0 - score,
        better: None,
    }));
    Person { careers, profile, lists }
}

/// The career, and its better score, that come nearest to exchanging a tenth of the list, and the list.
fn tenth(
    own: &[(&'static str, f64)],
    base: &[Recommendation],
    recommend: impl Fn(&[(&str, f64)]) -> Vec<Recommendation>,
) -> (usize, f64, Vec<Recommendation>) {
    let wanted = LIST / 10;
    let mut nearest = (usize::MAX, 0, 0.0, Vec::new());
    for rank in (0..TRIED_CAREERS).rev() {
        // The better it fits, the more of its listings are in the list.
        let (mut low, mut high) = (own[rank].1, 100.0);
        for _ in 0..TRIED_SCORES {
            let better = ((low + high) / 2.0_f64 * 100.0).round() / 100.0;
            let mut careers = own.to_vec();
            careers[rank].1 = better;
            careers.sort_by(|one, other| other.1.total_cmp(&one.1));
            let list = recommend(&careers);
            let exchanged = difference(base, &list).1.len();
            // A change without an effect would leave a run nothing to write.
            if exchanged > 0 && exchanged.abs_diff(wanted) < nearest.0 {
                nearest = (exchanged.abs_diff(wanted), rank, better, list);
            }
            if exchanged > wanted {
                high = better;
            } else {
                low = better;
            }
        }
        if nearest.0 == 0 {
            break;
        }
    }
    (nearest.1, nearest.2, nearest.3)
}

/// Per cent: 95, 92, … 68.
fn score(rank: usize) -> f64 {
    95.0 - 3.0 * rank as f64
}

fn career(name: &str, score: f64) -> Career {
    let match_score = MatchScore::from_fraction(score / 100.0);
    Career { name: name.to_owned(), category: None, match_score }
}
