//! Tokens that other services send.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio_util::sync::CancellationToken;

/// Fewest characters of a token.
const MIN_LENGTH: usize = 16;
/// The time between two readings of the file of tokens.
const REREAD: Duration = Duration::from_secs(2);

/// The tokens that other services may send; several during a rotation. Only their digests are kept.
#[derive(Clone, Debug, Default)]
pub struct ApiTokens {
    fixed: Digests,
    /// Tokens that may change while the service runs.
    file: Option<Arc<TokenFile>>,
}

/// Tokens of one source.
#[derive(Clone, Default, PartialEq, Eq)]
struct Digests(Vec<[u8; 32]>);

#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    current: ArcSwap<Digests>,
}

/// Not a usable token; says nothing about it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an API token has at least {MIN_LENGTH} letters, digits and other visible ASCII characters")]
pub struct InvalidApiToken;

/// Why a file of tokens cannot be used; says nothing about a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("a readable file ({0})")]
    Unreadable(#[from] std::io::Error),
    /// A line is not a token.
    #[error("{0}")]
    Invalid(#[from] InvalidApiToken),
    /// It has no token.
    #[error("a file with a token")]
    Empty,
}

impl ApiTokens {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fixed.0.is_empty() && self.file.is_none()
    }

    /// These, and those of a file.
    pub fn with_file(self, path: PathBuf) -> Result<Self, TokenFileError> {
        let current = ArcSwap::from_pointee(read(&path)?);
        Ok(Self { file: Some(Arc::new(TokenFile { path, current })), ..self })
    }

    /// Reads the file again every few seconds, until `stop`. While it cannot be used, its last tokens count.
    pub(crate) async fn keep_fresh(&self, stop: CancellationToken) {
        let Some(file) = self.file.clone() else { return stop.cancelled().await };
        let mut is_usable = true;
        while stop.run_until_cancelled(tokio::time::sleep(REREAD)).await.is_some() {
            let path = file.path.clone();
            let tokens = tokio::task::spawn_blocking(move || read(&path)).await;
            let Ok(tokens) = tokens else { continue };
            match tokens {
                Ok(tokens) if tokens != **file.current.load() => {
                    tracing::info!(tokens = tokens.0.len(), "the API tokens of the file have changed");
                    file.current.store(tokens.into());
                }
                Err(error) if is_usable => {
                    let path = file.path.display();
                    tracing::warn!(%path, %error, "the file of API tokens cannot be used: keeping the last ones");
                    is_usable = false;
                    continue;
                }
                Err(_) => continue,
                Ok(_) => {}
            }
            is_usable = true;
        }
    }

    /// Whether the token is one of them. Takes the same time for every token of a length.
    pub(super) fn contain(&self, token: &str) -> bool {
        let digest = digest(token);
        let file = self.file.as_ref().map(|file| file.current.load());
        let of_file = file.iter().flat_map(|tokens| &tokens.0);
        let known = self.fixed.0.iter().chain(of_file);
        known.fold(Choice::from(0), |found, known| found | known.ct_eq(&digest)).into()
    }
}

/// Tokens separated by commas or lines. Lines that begin with `#` are comments.
impl FromStr for ApiTokens {
    type Err = InvalidApiToken;

    fn from_str(text: &str) -> Result<Self, InvalidApiToken> {
        Ok(Self { fixed: text.parse()?, file: None })
    }
}

impl FromStr for Digests {
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

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

fn read(path: &std::path::Path) -> Result<Digests, TokenFileError> {
    let tokens: Digests = String::from_utf8_lossy(&std::fs::read(path)?).parse()?;
    if tokens.0.is_empty() { Err(TokenFileError::Empty) } else { Ok(tokens) }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
