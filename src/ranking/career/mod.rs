//! One career's candidates.

pub mod candidates;
pub mod coverage;
pub mod plan;
pub mod rarity;
