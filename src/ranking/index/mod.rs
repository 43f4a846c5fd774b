//! The inverted index: which listing has which token in which field.
//!
//! Listings are cut into tokens and inverted (`builder`, `inverted_index`) in segments that never change
//! (`segment`). A refresh marks listings of older segments as deleted (`live_segment`) and adds a new segment;
//! `merge` keeps the number of segments small.

pub mod builder;
pub mod inverted_index;
pub mod listing_set;
pub mod live_segment;
pub mod merge;
pub mod segment;
