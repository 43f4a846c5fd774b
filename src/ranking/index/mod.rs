//! The inverted index: listings cut into tokens, in segments that are immutable once built.

pub mod builder;
pub mod merge;
pub mod segment;
pub mod terms;
