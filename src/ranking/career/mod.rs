//! One career: its name and synonyms as weighted phrases, and the listings that show something of them.
//!
//! `plan` cuts the phrases and weighs their tokens (`rarity`), `group` packs them into masks, `candidates` finds the listings of a segment that
//! show evidence of the career, and `fit` says how well each of them fits.

pub mod candidates;
pub mod fit;
pub mod group;
pub mod plan;
pub mod rarity;
