//! Tests of ranking as a whole.

mod examples;
mod properties;
