//! Tokens as the Java backend makes them, signed here by its rule.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// A secret of 59 bytes, as long as the backend's default.
pub const SECRET: &str = "a-secret-of-fifty-nine-bytes-as-long-as-the-backend-default";

/// The algorithm's name and digest for a secret of this length.
pub fn algorithm(secret: &str) -> (&'static str, hmac::Algorithm) {
    match secret.len() {
        64.. => ("HS512", hmac::HMAC_SHA512),
        48.. => ("HS384", hmac::HMAC_SHA384),
        _ => ("HS256", hmac::HMAC_SHA256),
    }
}

/// Seconds since 1970, so many from now.
pub fn seconds_from_now(seconds: i64) -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 + seconds
}

/// The claims of a user, as the backend writes them.
pub fn claims(user: i64, role: &str) -> Value {
    json!({
        "sub": user.to_string(),
        "username": "user@example.com",
        "role": role,
        "iat": seconds_from_now(0),
        "exp": seconds_from_now(86_400),
    })
}

/// A token that the backend would make for the user.
pub fn user_token(secret: &str, user: i64) -> String {
    backend_token(secret, &claims(user, "USER"))
}

/// A token that the backend would make for an administrator.
pub fn admin_token(secret: &str, user: i64) -> String {
    backend_token(secret, &claims(user, "ADMIN"))
}

/// A token with these claims.
pub fn backend_token(secret: &str, claims: &Value) -> String {
    let (name, digest) = algorithm(secret);
    token(&json!({"alg": name}), claims, digest, secret.as_bytes())
}

/// Any header and claims, signed with any key.
pub fn token(header: &Value, claims: &Value, digest: hmac::Algorithm, key: &[u8]) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(digest, key), signed.as_bytes());
    format!("{signed}.{}", encode(tag))
}

/// Base64 as in tokens.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
