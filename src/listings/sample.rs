//! Sample listings and users, written for this project, to try the service with.

use serde::Deserialize;

use super::file::{ImportError, listing_from_json};
use crate::storage::{ListingRecord, SampleUser};

const LISTINGS: &str = include_str!("../../sample/listings.jsonl");
const USERS: &str = include_str!("../../sample/users.json");

/// Why the sample data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A line of the sample is not a listing.
    #[error("the sample listings are broken: {0}")]
    Listing(#[from] ImportError),
    /// The sample users are not valid JSON.
    #[error("the sample users are broken: {0}")]
    User(#[from] serde_json::Error),
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
