//! Checksums of listings that MySQL and MariaDB compute as well (`mysql/checksums.rs`): equal texts on both sides give
//! equal numbers, so that listings are compared without being read.

use std::fmt::Write;

use crate::domain::ListingId;

/// The checksum of a listing: the CRC-32 of its id and of the CRC-32 of each of its texts, as decimal numbers separated
/// by blanks. A text that is absent counts as empty.
pub(super) fn of_listing(id: i64, texts: [&Option<String>; 7]) -> u32 {
    let mut numbers = id.to_string();
    for text in texts {
        let checksum = crc32fast::hash(text.as_deref().unwrap_or_default().as_bytes());
        write!(numbers, " {checksum}").expect("a String takes any text");
    }
    crc32fast::hash(numbers.as_bytes())
}

/// What a listing adds to the sum of several. Weighted, because the CRC-32 is linear: two listings with one and the same
/// change would often cancel each other out.
pub(super) fn weighted(id: ListingId, checksum: u32) -> i64 {
    i64::from(checksum) * (id.0 % 65_536 + 1)
}
