//! Tokens of users, as the Java backend signs them: HMAC with the raw bytes of the secret, whose length decides the
//! algorithm.

use std::fmt;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use ring::hmac;
use serde::Deserialize;

use crate::domain::UserId;

/// Seconds that a token is accepted beyond its end, because clocks differ.
const LEEWAY_SECS: u64 = 5;

/// The key that the backend signs with.
#[derive(Clone)]
pub struct JwtKey {
    key: DecodingKey,
    validation: Validation,
}

/// The secret is too short for any of the algorithms.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a secret has at least 32 bytes")]
pub struct WeakSecret;

/// The claims that decide; others, such as `username`, are ignored.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    role: Role,
}

/// The roles that the backend knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Role {
    User,
    Admin,
}

impl JwtKey {
    /// The key of a secret, and the only algorithm that its tokens may name.
    pub fn new(secret: &[u8]) -> Result<Self, WeakSecret> {
        let algorithm = match secret.len() {
            64.. => Algorithm::HS512,
            48.. => Algorithm::HS384,
            32.. => Algorithm::HS256,
            _ => return Err(WeakSecret),
        };
        // The library asks for it process-wide. An error says that an earlier key has installed it.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Ok(Self { key: DecodingKey::from_secret(secret), validation })
    }

    /// The user whose token it is, and their role.
    pub(super) fn verify(&self, token: &str) -> Result<(UserId, Role), Error> {
        let token = decode::<Claims>(token, &self.key, &self.validation)?;
        // Extensions that the sender calls critical, none of which is known here.
        if token.header.crit.is_some() {
            return Err(new_error(ErrorKind::InvalidToken));
        }
        let user = token.claims.sub.parse().map_err(|_| new_error(ErrorKind::InvalidSubject))?;
        Ok((user, token.claims.role))
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} key", self.validation.algorithms)
    }
}

/// HMAC of `ring`, which TLS uses anyway, instead of a second set of cryptographic libraries.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, key| {
        let digest = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        };
        let key = hmac::Key::new(digest, key.try_get_as_bytes()?);
        Ok(Box::new(HmacVerifier { key, algorithm: *algorithm }))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct HmacVerifier {
    key: hmac::Key,
    algorithm: Algorithm,
}

impl Verifier<Vec<u8>> for HmacVerifier {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.key, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for HmacVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
