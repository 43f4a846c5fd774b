//! The difference between the stored rows and the wanted rows.

use std::collections::BTreeMap;

use super::{RowChanges, StoredRow, content};
use crate::domain::{ListingId, Recommendation};

/// The rows to write, each list in key order: transactions that lock rows in one order cannot deadlock with
/// each other.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference<'a> {
    pub delete: Vec<ListingId>,
    /// The rows that are new or changed.
    pub write: Vec<&'a Recommendation>,
    /// How many of these are new.
    inserted: usize,
    /// The sum of the checksums of the rows that are not written.
    pub untouched_checksum: i64,
}

impl<'a> Difference<'a> {
    /// Stored rows whose contents are unknown are written.
    pub(super) fn between(stored: &[StoredRow], wanted: &'a [Recommendation]) -> Self {
        let mut stored: BTreeMap<_, _> = stored.iter().map(|row| (row.listing_id, row)).collect();
        let wanted: BTreeMap<_, _> = wanted.iter().map(|row| (row.listing_id, row)).collect();
        let mut difference = Self::default();
        for (id, new) in wanted {
            match stored.remove(&id) {
                Some(old) if old.digest == Some(content::digest(new)) => {
                    difference.untouched_checksum += old.checksum;
                    continue;
                }
                Some(_) => {}
                None => difference.inserted += 1,
            }
            difference.write.push(new);
        }
        difference.delete = stored.into_keys().collect();
        difference
    }

    pub(super) fn changes(&self) -> RowChanges {
        RowChanges {
            inserted: self.inserted,
            updated: self.write.len() - self.inserted,
            deleted: self.delete.len(),
        }
    }

    /// The listings of the rows that are new or changed.
    pub(super) fn written(&self) -> Vec<ListingId> {
        self.write.iter().map(|row| row.listing_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Score;

    fn row(id: i64, score: u16) -> Recommendation {
        Recommendation {
            listing_id: ListingId(id),
            score: Score(score),
            reason: format!("r{score}"),
            data: "{}".to_owned(),
        }
    }

    fn stored(row: &Recommendation) -> StoredRow {
        StoredRow {
            listing_id: row.listing_id,
            digest: Some(content::digest(row)),
            checksum: row.listing_id.0,
        }
    }

    #[test]
    fn equal_lists_have_no_difference() {
        let wanted = [row(2, 10), row(1, 20)];
        let difference = Difference::between(&wanted.each_ref().map(stored), &wanted);
        assert_eq!(difference.changes(), RowChanges::default());
        assert_eq!((difference.written(), difference.untouched_checksum), (Vec::new(), 3));
    }

    #[test]
    fn a_row_of_unknown_contents_is_written() {
        let wanted = [row(1, 10)];
        let unknown = StoredRow { digest: None, ..stored(&wanted[0]) };
        let difference = Difference::between(&[unknown], &wanted);
        assert_eq!(difference.changes(), RowChanges { updated: 1, ..RowChanges::default() });
        assert_eq!((difference.written(), difference.untouched_checksum), (vec![ListingId(1)], 0));
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_wanted_rows(
            old in proptest::collection::btree_map(0..30i64, 0..3u16, 0..20),
            new in proptest::collection::btree_map(0..30i64, 0..3u16, 0..20),
        ) {
            let old: Vec<_> = old.iter().map(|(&id, &score)| row(id, score)).collect();
            let new: Vec<_> = new.iter().map(|(&id, &score)| row(id, score)).collect();
            let difference = Difference::between(&old.iter().map(stored).collect::<Vec<_>>(), &new);
            let mut rows: BTreeMap<_, _> = old.iter().map(|row| (row.listing_id, row.clone())).collect();
            for id in &difference.delete {
                prop_assert!(rows.remove(id).is_some());
            }
            let mut inserted = 0;
            for row in &difference.write {
                let old = rows.insert(row.listing_id, (*row).clone());
                inserted += usize::from(old.is_none());
                prop_assert!(old.is_none_or(|old| old != **row));
            }
            prop_assert_eq!(rows.into_values().collect::<Vec<_>>(), new.clone());
            prop_assert_eq!(inserted, difference.changes().inserted);
            let written = difference.written();
            let untouched = old.iter().filter(|row| new.contains(row)).map(|row| row.listing_id.0);
            prop_assert_eq!(untouched.sum::<i64>(), difference.untouched_checksum);
            prop_assert!(new.iter().all(|row| written.contains(&row.listing_id) != old.contains(row)));
            prop_assert!(difference.delete.is_sorted());
            prop_assert!(difference.write.is_sorted_by_key(|row| row.listing_id));
        }
    }
}
