//! The difference between the stored rows and the wanted rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::RowChanges;
use crate::domain::{ListingId, Recommendation, Score};

/// The parts of a stored row that the difference compares.
#[derive(Debug)]
pub(super) struct ExistingRow {
    pub listing_id: ListingId,
    pub score: Score,
    pub reason: String,
    pub data: Map<String, Value>,
    /// Of the row as it is stored, as in [`super::RowsFingerprint::checksum`].
    pub checksum: i64,
}

/// The rows to write, each list in key order: transactions that lock rows in one order cannot deadlock with
/// each other.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference<'a> {
    pub delete: Vec<ListingId>,
    pub insert: Vec<&'a Recommendation>,
    pub update: Vec<&'a Recommendation>,
    /// The sum of the checksums of the rows that are not written.
    pub untouched_checksum: i64,
}

impl<'a> Difference<'a> {
    pub(super) fn between(existing: Vec<ExistingRow>, wanted: &'a [Recommendation]) -> Self {
        let mut existing: BTreeMap<_, _> = existing.into_iter().map(|row| (row.listing_id, row)).collect();
        let wanted: BTreeMap<_, _> = wanted.iter().map(|row| (row.listing_id, row)).collect();
        let mut difference = Self::default();
        for (id, new) in wanted {
            match existing.remove(&id) {
                None => difference.insert.push(new),
                Some(old) if old.score == new.score && old.reason == new.reason && old.data == new.data => {
                    difference.untouched_checksum += old.checksum;
                }
                Some(_) => difference.update.push(new),
            }
        }
        difference.delete = existing.into_keys().collect();
        difference
    }

    pub(super) fn changes(&self) -> RowChanges {
        RowChanges { inserted: self.insert.len(), updated: self.update.len(), deleted: self.delete.len() }
    }

    /// The listings of the rows that are new or changed.
    pub(super) fn written(&self) -> Vec<ListingId> {
        self.insert.iter().chain(&self.update).map(|row| row.listing_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(id: i64, score: u16) -> Recommendation {
        Recommendation {
            listing_id: ListingId(id),
            score: Score(score),
            reason: format!("r{score}"),
            data: Map::new(),
        }
    }

    fn existing(row: &Recommendation) -> ExistingRow {
        ExistingRow {
            listing_id: row.listing_id,
            score: row.score,
            reason: row.reason.clone(),
            data: row.data.clone(),
            checksum: row.listing_id.0,
        }
    }

    #[test]
    fn equal_lists_have_no_difference() {
        let wanted = [row(2, 10), row(1, 20)];
        let difference = Difference::between(wanted.iter().map(existing).collect(), &wanted);
        assert_eq!(difference.changes(), RowChanges::default());
        assert_eq!((difference.written(), difference.untouched_checksum), (Vec::new(), 3));
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_wanted_rows(
            old in proptest::collection::btree_map(0..30i64, 0..3u16, 0..20),
            new in proptest::collection::btree_map(0..30i64, 0..3u16, 0..20),
        ) {
            let old: Vec<_> = old.iter().map(|(&id, &score)| row(id, score)).collect();
            let new: Vec<_> = new.iter().map(|(&id, &score)| row(id, score)).collect();
            let difference = Difference::between(old.iter().map(existing).collect(), &new);
            let mut rows: BTreeMap<_, _> = old.iter().map(|row| (row.listing_id, row.clone())).collect();
            for id in &difference.delete {
                prop_assert!(rows.remove(id).is_some());
            }
            for row in &difference.insert {
                prop_assert!(rows.insert(row.listing_id, (*row).clone()).is_none());
            }
            for row in &difference.update {
                prop_assert!(rows.insert(row.listing_id, (*row).clone()).is_some_and(|old| old != **row));
            }
            prop_assert_eq!(rows.into_values().collect::<Vec<_>>(), new.clone());
            let written = difference.written();
            let untouched = old.iter().filter(|row| new.contains(row)).map(|row| row.listing_id.0);
            prop_assert_eq!(untouched.sum::<i64>(), difference.untouched_checksum);
            prop_assert!(new.iter().all(|row| written.contains(&row.listing_id) != old.contains(row)));
            prop_assert!(difference.delete.is_sorted());
            prop_assert!(difference.insert.is_sorted_by_key(|row| row.listing_id));
            prop_assert!(difference.update.is_sorted_by_key(|row| row.listing_id));
        }
    }
}
