//! The origins of pages that may call the service from a browser.

use std::str::FromStr;

use axum::http::HeaderValue;

/// The origin of a page, such as `https://example.com`, as browsers send it: in lower case, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// Not an origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an origin is http:// or https:// and a host, with its port if that is not the usual one")]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.to_ascii_lowercase();
        let (scheme, host) = text.split_once("://").ok_or(InvalidOrigin)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let usual_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(InvalidOrigin),
        };
        let host = host.strip_suffix(usual_port).unwrap_or(host);
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#*@".contains(&byte)) {
            return Err(InvalidOrigin);
        }
        HeaderValue::from_str(&format!("{scheme}://{host}")).map(Self).map_err(|_| InvalidOrigin)
    }
}

impl From<&Origin> for HeaderValue {
    fn from(origin: &Origin) -> Self {
        origin.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_send_it() {
        for (text, sent) in [
            ("https://dreampathai.link", "https://dreampathai.link"),
            ("https://DreamPathAI.link/", "https://dreampathai.link"),
            ("https://dreampathai.link:443", "https://dreampathai.link"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:80", "http://localhost"),
            ("http://[::1]:5173", "http://[::1]:5173"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().0, sent);
        }
        for text in [
            "",
            "*",
            "null",
            "example.com",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://*.a",
            "https://a b",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
    }
}
