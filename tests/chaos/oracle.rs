//! The rows that inputs must give, by the library's own ranking: scoring is a pure function.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use job_agent::calculator::digest;
use job_agent::domain::{CatalogueVersion, JobListing, ListingId, Recommendation};
use job_agent::ranking::{Catalogue, CatalogueBuilder, Vocabulary};
use job_agent::storage::{StoredAnalysis, StoredCareer};

use super::checker::{Expected, Oracle};

/// Careers that users change between, with synonyms; the sample has listings for each.
pub const CAREERS: [(&str, [&str; 4]); 5] = [
    ("백엔드 개발자", ["서버 개발자", "Backend Developer", "백엔드 엔지니어", "API 개발자"]),
    ("프론트엔드 개발자", ["Frontend Developer", "React 개발자", "UI 개발자", "프론트 개발자"]),
    ("간호사", ["외래간호사", "병동간호사", "Registered Nurse", "RN"]),
    ("회계 담당자", ["Accountant", "재무회계 담당자", "회계 사무원", "회계팀장"]),
    ("데이터 분석가", ["Data Analyst", "빅데이터 분석가", "Product Analyst", "데이터 애널리스트"]),
];

/// The number of listings that are inserted, changed and deleted.
pub const MOVING: usize = 10;
const MOVING_IDS: i64 = 5_000_000;
/// The service's default, which the instances keep.
const MAX_RECOMMENDATIONS: usize = 50;

/// The variant of each moving listing; `None`: it does not exist.
pub type Generation = [Option<u8>; MOVING];

pub fn moving_listing(slot: usize, variant: u8) -> JobListing {
    let (career, synonyms) = CAREERS[slot % CAREERS.len()];
    let title = synonyms.get(usize::from(variant % 5)).unwrap_or(&career);
    JobListing {
        id: ListingId(MOVING_IDS + slot as i64),
        title: format!("{title} {slot}-{variant}"),
        company: format!("Moving {slot}"),
        description: format!("{career}, variant {variant}"),
        experience: String::new(),
        tech_stack: String::new(),
        required_skills: String::new(),
        crawled_at: None,
    }
}

/// A vocabulary of the careers. Odd revisions know more synonyms, so that revisions rank differently.
pub fn vocabulary(revision: u32) -> String {
    let known = if revision % 2 == 1 { 4 } else { 1 };
    let careers =
        CAREERS.map(|(career, synonyms)| format!("{career:?} = {:?}\n", &synonyms[..known])).concat();
    format!("revision = {revision}\njob_nouns = []\nknown_titles = []\n[fields.\"테스트\"]\n{careers}")
}

/// The digest of rows in the order of their listings.
pub fn rows_digest(mut rows: Vec<Recommendation>) -> String {
    rows.sort_by_key(|row| row.listing_id);
    digest::of(&rows)
}

type Inputs = (String, Generation, u32);

pub struct Ranking {
    /// The listings that do not move.
    listings: Vec<JobListing>,
    generations: Mutex<Vec<Generation>>,
    catalogues: Mutex<HashMap<(Generation, u32), Arc<Catalogue>>>,
    known: Mutex<HashMap<Inputs, Expected>>,
}

impl Ranking {
    /// Generation 0 has no moving listings.
    pub fn new(listings: Vec<JobListing>) -> Self {
        let generations = Mutex::new(vec![Generation::default()]);
        Self { listings, generations, catalogues: Mutex::default(), known: Mutex::default() }
    }

    pub fn push_generation(&self, generation: Generation) {
        self.generations.lock().unwrap().push(generation);
    }

    pub fn newest_generation(&self) -> (u32, Generation) {
        let generations = self.generations.lock().unwrap();
        (generations.len() as u32 - 1, *generations.last().unwrap())
    }

    /// All generations, for a history that is kept.
    pub fn generations(&self) -> Vec<Generation> {
        self.generations.lock().unwrap().clone()
    }

    /// Forgets results that later histories do not need.
    pub fn forget(&self) {
        self.catalogues.lock().unwrap().clear();
        self.known.lock().unwrap().clear();
    }

    fn catalogue(&self, generation: Generation, revision: u32) -> Arc<Catalogue> {
        let mut catalogues = self.catalogues.lock().unwrap();
        let build = || {
            let vocabulary = Vocabulary::parse(&vocabulary(revision)).unwrap();
            let mut builder = CatalogueBuilder::new(Arc::new(vocabulary));
            self.listings.iter().for_each(|listing| builder.push(listing));
            for (slot, variant) in generation.iter().enumerate() {
                if let Some(variant) = variant {
                    builder.push(&moving_listing(slot, *variant));
                }
            }
            Arc::new(builder.finish(CatalogueVersion(0)))
        };
        catalogues.entry((generation, revision)).or_insert_with(build).clone()
    }
}

impl Oracle for Ranking {
    fn expected(&self, key: &str, generation: u32, scoring_revision: i64) -> Expected {
        // The high half is the revision of the code, the same for all.
        let revision = (scoring_revision & i64::from(u32::MAX)) as u32;
        let generation = self.generations.lock().unwrap()[generation as usize];
        let inputs = (key.to_owned(), generation, revision);
        if let Some(expected) = self.known.lock().unwrap().get(&inputs) {
            return expected.clone();
        }
        let (career, category) = key.split_once('|').unwrap();
        let career = StoredCareer {
            job_name: Some(career.to_owned()),
            match_score: Some("90".to_owned()),
            category: Some(category.to_owned()),
        };
        let stored = StoredAnalysis { job_recommendations: vec![career], ..StoredAnalysis::default() };
        let profile = job_agent::profile::Inputs::parse(&stored).profile;
        let rows = self.catalogue(generation, revision).recommend(&profile, MAX_RECOMMENDATIONS);
        let expected = Expected { digest: digest::of(&rows), rows: rows_digest(rows) };
        self.known.lock().unwrap().insert(inputs, expected.clone());
        expected
    }
}
