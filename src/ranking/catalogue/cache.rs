//! A bounded cache that hands its entries on to the next version of the catalogue.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// The most recently used values, by key. If two threads ask for a missing value at once, both compute it; the two
/// values are equal, because a value depends only on its key and the catalogue.
#[derive(Debug)]
pub struct Cache<V> {
    entries: Mutex<LruCache<String, Entry<V>>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    /// Whether the value is this version's. A value of an older version only helps to compute this version's.
    current: bool,
}

impl<V> Cache<V> {
    /// A cache for at most `capacity` values.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { entries: Mutex::new(LruCache::new(capacity)) }
    }

    /// The value for a key. If it must be computed, `compute` gets the value of an older version, if there is one.
    pub fn get(&self, key: &str, compute: impl FnOnce(Option<&V>) -> V) -> Arc<V> {
        let mut older = None;
        if let Some(entry) = self.lock().get(key) {
            if entry.current {
                return Arc::clone(&entry.value);
            }
            older = Some(Arc::clone(&entry.value));
        }
        let value = Arc::new(compute(older.as_deref()));
        self.lock().put(key.to_owned(), Entry { value: Arc::clone(&value), current: true });
        value
    }

    /// A cache for the next version of the catalogue.
    pub fn successor(&self) -> Self {
        let entries = self.lock();
        let mut next = LruCache::new(entries.cap());
        for (key, entry) in entries.iter().rev() {
            next.put(key.clone(), Entry { value: Arc::clone(&entry.value), current: false });
        }
        Self { entries: Mutex::new(next) }
    }

    /// The sum of the sizes of all values.
    pub fn total(&self, size: impl Fn(&V) -> usize) -> usize {
        self.lock().iter().map(|(_, entry)| size(&entry.value)).sum()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, Entry<V>>> {
        // No code panics while it holds the lock, and a panic would leave the cache usable.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_offers_old_values_and_recomputes() {
        let cache = Cache::new(NonZeroUsize::MIN);
        assert_eq!(*cache.get("a", |older| older.map_or(1, |n: &i32| n + 1)), 1);
        assert_eq!(*cache.get("a", |_| 9), 1);
        let next = cache.successor();
        assert_eq!(*next.get("a", |older| older.map_or(1, |n| n + 1)), 2);
        assert_eq!(*next.get("a", |_| 9), 2);
        assert_eq!(*cache.get("a", |_| 9), 1);
        next.get("b", |_| 5);
        assert_eq!(next.total(|_| 1), 1);
    }
}
