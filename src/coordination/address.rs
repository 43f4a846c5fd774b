//! The address of a Redis server.

use std::fmt;

use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError};

/// Where Redis is, and how to log in. Neither `Display` nor `Debug` shows the password.
#[derive(Clone)]
pub struct RedisAddress(ConnectionInfo);

/// Not the address of a Redis server. The text that was refused is left out: it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the address of a Redis server")]
pub struct InvalidRedisAddress;

impl RedisAddress {
    /// From `redis://[user:password@]host[:port][/db]`.
    pub fn from_url(url: &str) -> Result<Self, InvalidRedisAddress> {
        url.into_connection_info().map(Self::speaking_resp3).map_err(|_| InvalidRedisAddress)
    }

    /// The database `db` of the server at `host` and `port`.
    pub fn new(host: &str, port: u16, db: i64, password: Option<&str>) -> Result<Self, InvalidRedisAddress> {
        let info = (host, port).into_connection_info().map_err(|_| InvalidRedisAddress)?;
        let mut settings = info.redis_settings().clone().set_db(db);
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        Ok(Self::speaking_resp3(info.set_redis_settings(settings)))
    }

    /// Releases and wake-ups arrive as pushes, which the older protocol does not have (Redis 6 and later do).
    fn speaking_resp3(info: ConnectionInfo) -> Self {
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Self(info.set_redis_settings(settings))
    }

    pub(super) fn client(&self) -> Result<Client, RedisError> {
        Client::open(self.0.clone())
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.addr(), self.0.redis_settings().db())
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}
