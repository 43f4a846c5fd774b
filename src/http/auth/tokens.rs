//! Tokens that other services send.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Fewest characters of a token.
const MIN_LENGTH: usize = 16;

/// The tokens that other services may send; several during a rotation. Only their digests are kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiTokens(Vec<[u8; 32]>);

/// Not a usable token; says nothing about it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an API token has at least {MIN_LENGTH} letters, digits and other visible ASCII characters")]
pub struct InvalidApiToken;

impl ApiTokens {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the token is one of them. Takes the same time for every token of a length.
    pub(super) fn contain(&self, token: &str) -> bool {
        let digest = digest(token);
        self.0.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&digest)).into()
    }
}

/// Tokens separated by commas or lines. Lines that begin with `#` are comments.
impl FromStr for ApiTokens {
    type Err = InvalidApiToken;

    fn from_str(text: &str) -> Result<Self, InvalidApiToken> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let tokens = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty());
        let is_usable =
            |token: &str| token.len() >= MIN_LENGTH && token.bytes().all(|b| b.is_ascii_graphic());
        tokens
            .map(|token| is_usable(token).then(|| digest(token)).ok_or(InvalidApiToken))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Debug for ApiTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
