//! The name of this process in locks and leases.

use std::sync::Arc;

use chrono::Utc;

/// The name of this instance.
#[derive(Clone, Debug)]
pub struct Instance(Arc<str>);

impl Instance {
    /// Names should differ between instances so that operators can tell them apart; nothing else depends on it.
    pub fn new(name: &str) -> Self {
        // Tokens are stored in columns of 150 characters.
        Self(name.chars().take(60).collect::<String>().into())
    }

    /// A unique token that an operator can read: instance, process, time, random number.
    #[expect(clippy::disallowed_methods, reason = "the time in a token is for people; nothing depends on it")]
    pub fn token(&self) -> String {
        let time = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        format!("{}:{}:{time}:{:016x}", self.0, std::process::id(), rand::random::<u64>())
    }
}
