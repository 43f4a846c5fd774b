//! The origins of pages that may call the service from a browser.

use std::str::FromStr;

use axum::http::HeaderValue;

/// The origin of a page, such as `https://example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// Not an origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an origin begins with http:// or https:// and holds only printable ASCII characters")]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let has_scheme = text.starts_with("http://") || text.starts_with("https://");
        let value = HeaderValue::from_str(text).map_err(|_| InvalidOrigin)?;
        has_scheme.then_some(Self(value)).ok_or(InvalidOrigin)
    }
}

impl From<&Origin> for HeaderValue {
    fn from(origin: &Origin) -> Self {
        origin.0.clone()
    }
}
