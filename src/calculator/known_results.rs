//! Results that were calculated lately. Most triggers find the inputs as they were: then the digest of the result is
//! enough, and neither ranking nor hashing has to be done again.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lru::LruCache;

use crate::domain::{CareerProfile, UserId};
use crate::ranking::Catalogue;

/// Users whose result is kept: about 1 KiB each, most of it the profile.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).expect("positive");

/// The result of ranking, without its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The digest of the rows.
    pub digest: Arc<str>,
    /// The number of rows.
    pub count: usize,
}

/// The latest result of each user, with everything that it depends on.
pub(super) struct KnownResults(Mutex<LruCache<UserId, Entry>>);

struct Entry {
    /// Kept by address: while this is there, no other snapshot has the same.
    catalogue: Weak<Catalogue>,
    profile: CareerProfile,
    known: Known,
}

impl Default for KnownResults {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl KnownResults {
    /// The user's result, if it was calculated from this very profile and snapshot of the listings: ranking has no other
    /// argument that changes in a process.
    pub(super) fn get(
        &self,
        user: UserId,
        catalogue: &Arc<Catalogue>,
        profile: &CareerProfile,
    ) -> Option<Known> {
        let mut entries = self.entries();
        let entry = entries.get(&user)?;
        let same =
            std::ptr::eq(entry.catalogue.as_ptr(), Arc::as_ptr(catalogue)) && entry.profile == *profile;
        same.then(|| entry.known.clone())
    }

    pub(super) fn put(&self, user: UserId, catalogue: &Arc<Catalogue>, profile: CareerProfile, known: Known) {
        self.entries().put(user, Entry { catalogue: Arc::downgrade(catalogue), profile, known });
    }

    fn entries(&self) -> MutexGuard<'_, LruCache<UserId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CatalogueVersion;
    use crate::ranking::{CatalogueBuilder, Vocabulary};

    fn catalogue(vocabulary: &Arc<Vocabulary>) -> Arc<Catalogue> {
        Arc::new(CatalogueBuilder::new(vocabulary.clone()).finish(CatalogueVersion(1)))
    }

    #[test]
    fn a_result_is_known_for_its_user_profile_and_snapshot_only() {
        let user = |id: i64| UserId::try_from(id).expect("positive");
        let vocabulary = Arc::new(Vocabulary::builtin());
        let (old, new) = (catalogue(&vocabulary), catalogue(&vocabulary));
        let profile = CareerProfile::default();
        let other = CareerProfile { experience_years: Some(3), ..CareerProfile::default() };
        let known = Known { digest: "d".into(), count: 1 };
        let results = KnownResults::default();
        results.put(user(1), &old, profile.clone(), known.clone());
        assert_eq!(results.get(user(1), &old, &profile), Some(known));
        assert_eq!(results.get(user(2), &old, &profile), None);
        assert_eq!(results.get(user(1), &old, &other), None);
        assert_eq!(results.get(user(1), &new, &profile), None, "the same version, other listings");
        drop(old);
        assert_eq!(results.get(user(1), &catalogue(&vocabulary), &profile), None);
    }
}
