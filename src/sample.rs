//! Sample listings and users, written for this project, that the embedded database starts with.

use serde::Deserialize;

use crate::import::{ImportError, listing_from_json};
use crate::storage::{ListingRecord, SqliteStore, Store, StoreError};

const LISTINGS: &str = include_str!("../sample/listings.jsonl");
const USERS: &str = include_str!("../sample/users.json");

/// A user with all that other services would have stored of him. Texts are as the columns hold them.
#[derive(Debug, Deserialize)]
pub struct SampleUser {
    pub user_id: i64,
    pub is_active: bool,
    #[serde(default)]
    pub profile_analysis: Option<SampleProfile>,
    #[serde(default)]
    pub career_analyses: Vec<SampleAnalysis>,
    #[serde(default)]
    pub job_recommendations: Vec<SampleCareer>,
}

/// A row of `profile_analysis`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SampleProfile {
    pub personality: Option<String>,
    pub values: Option<String>,
    pub interests: Option<String>,
    pub strengths: Option<String>,
    pub goals: Option<String>,
    pub values_list: Option<String>,
    pub mbti: Option<String>,
    pub summary: Option<String>,
}

/// A row of `career_analyses` with its session.
#[derive(Debug, Deserialize)]
pub struct SampleAnalysis {
    pub session_id: String,
    pub recommended_careers: Option<String>,
    pub interest_areas: Option<String>,
    pub personality_type: Option<String>,
    pub emotion_score: Option<f64>,
    pub analyzed_at: String,
}

/// A row of `job_recommendations`.
#[derive(Debug, Deserialize)]
pub struct SampleCareer {
    pub job_name: String,
    pub job_code: Option<String>,
    pub match_score: Option<f64>,
    pub category: Option<String>,
    pub description: Option<String>,
}

/// Why the sample data could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error("the sample listings are broken: {0}")]
    Listing(#[from] ImportError),
    #[error("the sample users are broken: {0}")]
    User(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Fills an empty embedded database with the sample data; does nothing to one that has listings.
/// Returns whether it did.
pub async fn fill_if_empty(store: &SqliteStore) -> Result<bool, SampleError> {
    if !store.is_empty().await? {
        return Ok(false);
    }
    store.insert_sample_users(&users()?).await?;
    store.import_listings(&listings()?).await?;
    Ok(true)
}

#[derive(Deserialize)]
struct Users {
    users: Vec<SampleUser>,
}

/// The sample users.
pub fn users() -> Result<Vec<SampleUser>, SampleError> {
    Ok(serde_json::from_str::<Users>(USERS)?.users)
}

/// The sample listings.
pub fn listings() -> Result<Vec<ListingRecord>, SampleError> {
    Ok(LISTINGS.lines().map(listing_from_json).collect::<Result<_, _>>()?)
}
