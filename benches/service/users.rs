//! The users of the bench: each has two disjoint sets of careers, and a career that can take the place of another.
//!
//! All are stored at once in `job_recommendations`, of which the service takes the best ten. Turning their scores around
//! (100 − score) changes a user's careers in one statement, and turning them around again changes them back.

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
/// Careers that are tried for the change of a tenth of the list.
const TRIES: usize = 12;
/// Users per statement.
const CHUNK: usize = 500;

/// A change of a user's careers. Done twice, it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// All careers are exchanged: another list.
    All,
    /// One career is exchanged: about a tenth of the list.
    Tenth,
    /// Nothing.
    Nothing,
}

/// A row of `job_recommendations`.
struct StoredCareer {
    name: &'static str,
    /// Per cent.
    score: u8,
    /// Which changes turn the score around; stored as `job_code`, which the service does not read.
    turned_by: &'static str,
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

    /// Stores users with the ids from 1 on, and a copy of their careers for [`reset`].
    pub async fn insert(&self, database: &Database, count: i64) {
        let ids: Vec<i64> = (1..=count).collect();
        for ids in ids.chunks(CHUNK) {
            let mut users = QueryBuilder::<MySql>::new("INSERT INTO users (user_id, is_active) ");
            users.push_values(ids, |mut row, id| {
                row.push_bind(*id).push_bind(true);
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
                "INSERT INTO job_recommendations (user_id, job_name, match_score, job_code) ",
            );
            let rows =
                ids.iter().flat_map(|id| self.person(*id).careers.iter().map(move |career| (id, career)));
            careers.push_values(rows, |mut row, (id, career)| {
                row.push_bind(*id)
                    .push_bind(career.name)
                    .push_bind(f64::from(career.score))
                    .push_bind(career.turned_by);
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
    let codes = match change {
        Change::All => "'all', 'both'",
        Change::Tenth => "'tenth', 'both'",
        Change::Nothing => return,
    };
    database
        .execute(&format!(
            "UPDATE job_recommendations SET match_score = 100 - match_score \
             WHERE user_id BETWEEN {} AND {} AND job_code IN ({codes})",
            users.start(),
            users.end()
        ))
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
    let (other, spare) = others.split_at(CAREERS);
    let with = |careers: &[&'static str]| CareerProfile {
        careers: careers.iter().enumerate().map(|(rank, name)| career(name, rank)).collect(),
        ..profile.clone()
    };
    let base = catalogue.recommend(&with(&own), LIST);
    let (rank, substitute, tenth) =
        tenth(&own, spare, &base, |careers| catalogue.recommend(&with(careers), LIST));
    let changed = catalogue.recommend(&with(other), LIST);
    let both = |list: &[Recommendation]| [Exchange::between(&base, list), Exchange::between(list, &base)];
    let lists = Lists { all: both(&changed), tenth: both(&tenth) };
    let mut careers = Vec::new();
    for (place, name) in own.iter().enumerate() {
        let turned_by = if place == rank { "both" } else { "all" };
        careers.push(StoredCareer { name, score: score(place), turned_by });
    }
    careers.extend(other.iter().enumerate().map(|(place, name)| StoredCareer {
        name,
        score: 100 - score(place),
        turned_by: "all",
    }));
    careers.push(StoredCareer { name: substitute, score: 100 - score(rank), turned_by: "tenth" });
    Person { careers, profile, lists }
}

/// The career whose exchange comes nearest to a tenth of the list: its rank, the one in its place, and the list.
fn tenth(
    own: &[&'static str],
    spare: &[&'static str],
    base: &[Recommendation],
    recommend: impl Fn(&[&'static str]) -> Vec<Recommendation>,
) -> (usize, &'static str, Vec<Recommendation>) {
    let mut nearest = (usize::MAX, 0, spare[0], Vec::new());
    for (number, substitute) in spare.iter().enumerate().take(TRIES) {
        let rank = CAREERS - 1 - number % CAREERS;
        let mut careers = own.to_vec();
        careers[rank] = substitute;
        let list = recommend(&careers);
        let distance = difference(base, &list).1.len().abs_diff(LIST / 10);
        if distance < nearest.0 {
            nearest = (distance, rank, substitute, list);
        }
        if distance <= 1 {
            break;
        }
    }
    (nearest.1, nearest.2, nearest.3)
}

/// Per cent: 95, 92, … 68.
fn score(rank: usize) -> u8 {
    95 - 3 * rank as u8
}

fn career(name: &str, rank: usize) -> Career {
    let match_score = MatchScore::from_fraction(f64::from(score(rank)) / 100.0);
    Career { name: name.to_owned(), category: None, match_score }
}
