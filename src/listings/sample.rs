//! Sample listings and users, written for this project, that the embedded database starts with.

use serde::Deserialize;

use super::file::{ImportError, listing_from_json};
use crate::storage::sqlite::SampleUser;
use crate::storage::{ListingRecord, ListingStore, SqliteStore, StoreError};

const LISTINGS: &str = include_str!("../../sample/listings.jsonl");
const USERS: &str = include_str!("../../sample/users.json");

/// Why the sample data could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A line of the sample is not a listing.
    #[error("the sample listings are broken: {0}")]
    Listing(#[from] ImportError),
    /// The sample users are not valid JSON.
    #[error("the sample users are broken: {0}")]
    User(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Fills an embedded database that has no listings with the sample data. Returns whether it did.
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
