//! The storage of listings: `job_listings` is read into the catalogue, and written by imports.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{CatalogueChanges, KnownListings, StoreError};
use crate::domain::JobListing;

/// Storage for the catalogue and for imports.
#[async_trait]
pub trait ListingStore: Send + Sync {
    /// Reads all listings into `sink`, and then the changes that were made during this read, which also give
    /// the version. `None`: these changes cannot be followed, and all listings must be read again.
    async fn read_catalogue(
        &self,
        sink: &mut (dyn FnMut(JobListing) + Send),
    ) -> Result<Option<(KnownListings, CatalogueChanges)>, StoreError>;

    /// Reads the changes since the listings were last read, and applies them to `known`. Versions are
    /// ordered: a higher version stands for listings that were read later from the same database, and equal
    /// listings have one version on all instances. Changes that neither `updated_at` nor the number of listings
    /// shows are left to [`ListingStore::check_listings`]. `None`: the changes cannot be found, or are so many that it is
    /// cheaper to read all listings again. After an error `known` is as before.
    async fn read_catalogue_changes(
        &self,
        known: &mut KnownListings,
    ) -> Result<Option<CatalogueChanges>, StoreError>;

    /// [`ListingStore::read_catalogue_changes`] for changes that only the contents show, among the listings whose turn it
    /// is: after five calls, all have been checked. For use right after it: listings whose changes are known already
    /// cost little. If it meets many changes all the same, it ends early, and [`KnownListings::is_behind`].
    async fn check_listings(&self, known: &mut KnownListings)
    -> Result<Option<CatalogueChanges>, StoreError>;

    /// Inserts listings in one transaction; updates those whose site and job id exist.
    async fn import_listings(&self, listings: &[ListingRecord]) -> Result<(), StoreError>;
}

/// A listing with the columns of `job_listings` that an import may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListingRecord {
    /// The site; with `job_id` the key of the listing.
    pub site_name: String,
    /// The site's own id of the listing.
    pub job_id: String,
    /// The job title as posted.
    pub title: String,
    /// The address of the site.
    pub site_url: Option<String>,
    /// The employer.
    pub company: Option<String>,
    /// The place of work.
    pub location: Option<String>,
    /// The text of the posting.
    pub description: Option<String>,
    /// The address of the posting.
    pub url: Option<String>,
    /// A bonus for an applicant who is hired.
    pub reward: Option<String>,
    /// The required experience in the site's own words.
    pub experience: Option<String>,
    /// The search with which the crawler found the listing.
    pub search_keyword: Option<String>,
    /// When the listing was crawled.
    pub crawled_at: Option<DateTime<Utc>>,
    /// Comma- or line-separated.
    pub tech_stack: Option<String>,
    /// Free text or JSON.
    pub required_skills: Option<String>,
}
