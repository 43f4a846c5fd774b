//! Who this process is, in locks and leases.

use std::sync::Arc;

use chrono::Utc;

/// The name of this instance.
#[derive(Clone, Debug)]
pub struct Instance(Arc<str>);

impl Instance {
    /// Instances should have different names; that is for people, nothing else depends on it.
    pub fn new(name: &str) -> Self {
        // Tokens are stored in columns of 150 characters.
        Self(name.chars().take(60).collect::<String>().into())
    }

    /// Unique per call, and readable: who, since when.
    #[expect(clippy::disallowed_methods, reason = "the time in a token is for people; nothing depends on it")]
    pub fn token(&self) -> String {
        let time = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        format!("{}:{}:{time}:{:016x}", self.0, std::process::id(), rand::random::<u64>())
    }
}
