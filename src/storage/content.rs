//! Digests of the contents of rows. The state keeps those of the rows as the last replacement left them, so that the
//! next one knows which rows to write without reading any.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3Default;

use crate::domain::{ListingId, Recommendation};

/// Bytes of a row in the column of digests: the listing's id and the digest.
const BYTES: usize = 16;

/// The digest of a row as it is written: equal for equal rows, and different for different rows but for one case in
/// 10^19.
pub(super) fn digest(row: &Recommendation) -> u64 {
    of(row.score.0, &row.reason, &row.data)
}

/// The digest of a row by its columns; the score in hundredths.
pub(super) fn of(score: u16, reason: &str, data: &str) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(&score.to_le_bytes());
    // The length keeps the texts apart.
    hash.update(&(reason.len() as u64).to_le_bytes());
    hash.update(reason.as_bytes());
    hash.update(data.as_bytes());
    hash.digest()
}

/// The column of digests for rows that a replacement writes as this version.
pub(super) fn encode(version: i64, rows: &[Recommendation]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + rows.len() * BYTES);
    bytes.extend(version.to_le_bytes());
    for row in rows {
        bytes.extend(row.listing_id.0.to_le_bytes());
        bytes.extend(digest(row).to_le_bytes());
    }
    bytes
}

/// The digests that [`encode`] wrote. None if they belong to another version: an instance of an older version of the
/// service replaces rows and leaves the column as it was.
pub(super) fn decode(version: i64, bytes: &[u8]) -> HashMap<ListingId, u64> {
    let number = |bytes: &[u8]| bytes.try_into().map(i64::from_le_bytes).ok();
    let Some((of_version, rows)) = bytes.split_at_checked(8) else { return HashMap::new() };
    if number(of_version) != Some(version) {
        return HashMap::new();
    }
    let row = |row: &[u8]| Some((ListingId(number(&row[..8])?), number(&row[8..])?.cast_unsigned()));
    rows.chunks_exact(BYTES).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Score;

    proptest! {
        #[test]
        fn digests_are_read_as_they_were_written_but_only_for_their_version(
            version in any::<i64>(),
            rows in proptest::collection::btree_map(any::<i64>(), (any::<u16>(), ".*", ".*"), 0..20),
        ) {
            let row = |(id, (score, reason, data)): (i64, (u16, String, String))| Recommendation {
                listing_id: ListingId(id), score: Score(score), reason, data,
            };
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            let column = encode(version, &rows);
            let expected = rows.iter().map(|row| (row.listing_id, digest(row))).collect();
            prop_assert_eq!(decode(version, &column), expected);
            prop_assert!(decode(version.wrapping_add(1), &column).is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            decode(0, &bytes);
        }
    }

    #[test]
    fn a_boundary_that_moves_changes_the_digest() {
        assert_ne!(of(1, "ab", "c"), of(1, "a", "bc"));
        assert_ne!(of(1, "a", "b"), of(2, "a", "b"));
    }
}
