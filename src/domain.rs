//! The terms of the field: users, listings, careers and recommendations.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A user of DreamPath: a positive 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserId(i64);

/// Why a text or number is not a [`UserId`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a user id is an integer from 1 to 9223372036854775807")]
pub struct InvalidUserId;

impl UserId {
    /// The id as the database stores it.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for UserId {
    type Error = InvalidUserId;

    fn try_from(id: i64) -> Result<Self, InvalidUserId> {
        if id > 0 { Ok(Self(id)) } else { Err(InvalidUserId) }
    }
}

impl FromStr for UserId {
    type Err = InvalidUserId;

    /// Decimal digits only: `+1`, ` 1` and `0x1` are refused, so that one user has one spelling.
    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        if text.is_empty() || text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidUserId);
        }
        text.parse::<i64>().map_err(|_| InvalidUserId)?.try_into()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The primary key of a row of `job_listings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListingId(pub i64);

impl fmt::Display for ListingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The primary key of a row of `recommendation_batches`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct BatchId(pub i64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a state of `job_listings`, from 1 on. On one database a higher version stands for listings
/// that were read later, and equal listings have one version on all instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CatalogueVersion(pub i64);

/// The revision of the scoring: the code's, and the vocabulary's. Of two releases the newer one has the
/// higher revision; instances leave the lists of a higher revision alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScoringRevision(pub i64);

/// Which workers serve a due user. A trigger moves a user from the batch to real time, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A client has asked for this user's list.
    RealTime,
    /// The user is one of a batch.
    Batch,
}

/// The columns of a crawled job listing that ranking reads. NULL is an empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobListing {
    /// The primary key.
    pub id: ListingId,
    /// The job title as posted.
    pub title: String,
    /// The employer.
    pub company: String,
    /// The text of the posting.
    pub description: String,
    /// The required experience in the site's own words, such as `신입` or `경력 3~5년`.
    pub experience: String,
    /// Comma- or line-separated.
    pub tech_stack: String,
    /// Free text or JSON.
    pub required_skills: String,
    /// When a crawler last saw the posting.
    pub crawled_at: Option<DateTime<Utc>>,
}

/// How well a career fits a user, from 0 to 10,000 (hundredths of a per cent).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MatchScore(u16);

impl MatchScore {
    /// A perfect match, and the score of a career whose analysis states none.
    pub const FULL: Self = Self(10_000);

    /// From a fraction; values outside 0..=1 are clamped, NaN is 0.
    pub fn from_fraction(fraction: f64) -> Self {
        // A float-to-integer cast saturates and maps NaN to 0.
        Self(((fraction * 10_000.0).round() as u16).min(10_000))
    }

    /// 0..=10,000.
    pub fn basis_points(self) -> u16 {
        self.0
    }
}

/// A career that the user's analysis recommends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Career {
    /// The name as the analysis spells it.
    pub name: String,
    /// The category that the analysis states, if any.
    pub category: Option<String>,
    /// How well it fits the user.
    pub match_score: MatchScore,
}

/// All properties of a user that a calculation depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CareerProfile {
    /// Best first; equal scores in the order in which the analysis names them.
    pub careers: Vec<Career>,
    /// Skills the user is known to have.
    pub skills: Vec<String>,
    /// Strengths. Those that listings ask for as a skill count as skills, the others as interests.
    pub strengths: Vec<String>,
    /// Interests: likes, not abilities.
    pub interests: Vec<String>,
    /// Years of work experience; `None` is unknown, 0 is a newcomer.
    pub experience_years: Option<u8>,
}

/// A listing's score for a user in hundredths of a point, 0..=10,000 (0.00 to 100.00).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(pub u16);

impl Score {
    /// In points, 0.0 to 100.0.
    pub fn points(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// One row of a user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// The recommended listing.
    pub listing_id: ListingId,
    /// Its score for the user.
    pub score: Score,
    /// Korean, shown to the user; states only evidence.
    pub reason: String,
    /// The stored `recommendation_data`, a JSON object as text: matched career, evidence and a breakdown that sums to the
    /// score.
    pub data: String,
}

impl Recommendation {
    /// The data as an object; empty if the text is none.
    pub fn parsed_data(&self) -> Map<String, Value> {
        serde_json::from_str(&self.data).unwrap_or_default()
    }
}
