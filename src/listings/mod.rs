//! How listings come in, other than by a crawler: files of listings and the sample data.

pub mod encoding;
pub mod file;
pub mod sample;
