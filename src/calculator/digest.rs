//! The digest of a result: equal digests mean equal rows.

use sha2::{Digest, Sha256};

use crate::domain::Recommendation;

/// SHA-256 over every stored field, hexadecimal.
pub fn of(recommendations: &[Recommendation]) -> String {
    let mut hash = Sha256::new();
    for row in recommendations {
        hash.update(row.listing_id.0.to_le_bytes());
        hash.update(row.score.0.to_le_bytes());
        for text in [&row.reason, &row.data] {
            // Lengths keep neighbouring texts apart.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    format!("{:x}", hash.finalize())
}
