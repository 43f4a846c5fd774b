//! The address of a Redis server.

use std::fmt;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, TlsCertificates,
};

/// Where Redis is, and how to log in. Neither `Display` nor `Debug` shows the password.
#[derive(Clone)]
pub struct RedisAddress {
    info: ConnectionInfo,
    /// PEM; `None`: the system's certificates.
    root_certificates: Option<Vec<u8>>,
}

/// Not the address of a Redis server. The refused text is left out: it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the address of a Redis server")]
pub struct InvalidRedisAddress;

impl RedisAddress {
    /// From `redis://[user:password@]host[:port][/db]`, or `rediss://…` for TLS.
    pub fn from_url(url: &str) -> Result<Self, InvalidRedisAddress> {
        url.into_connection_info().map(Self::speaking_resp3).map_err(|_| InvalidRedisAddress)
    }

    /// The server at `host` and `port`, with TLS or without.
    pub fn new(host: &str, port: u16, tls: bool) -> Result<Self, InvalidRedisAddress> {
        let host = host.to_owned();
        let address = if tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        address.into_connection_info().map(Self::speaking_resp3).map_err(|_| InvalidRedisAddress)
    }

    /// The database of this number.
    pub fn database(mut self, db: i64) -> Self {
        let settings = self.info.redis_settings().clone().set_db(db);
        self.info = self.info.set_redis_settings(settings);
        self
    }

    /// Logs in with this password, as the default user unless `username` names another.
    pub fn login(mut self, username: Option<&str>, password: &str) -> Self {
        let mut settings = self.info.redis_settings().clone().set_password(password);
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        self.info = self.info.set_redis_settings(settings);
        self
    }

    /// Trusts these root certificates (PEM) instead of the system's.
    pub fn trusting(mut self, root_certificates: Vec<u8>) -> Self {
        self.root_certificates = Some(root_certificates);
        self
    }

    /// Releases and wake-ups arrive as pushes, which the older protocol does not have (Redis 6 and later do).
    fn speaking_resp3(info: ConnectionInfo) -> Self {
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Self { info: info.set_redis_settings(settings), root_certificates: None }
    }

    pub(super) fn client(&self) -> Result<Client, RedisError> {
        match &self.root_certificates {
            Some(pem) => Client::build_with_tls(
                self.info.clone(),
                TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) },
            ),
            None => Client::open(self.info.clone()),
        }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.info.addr(), self.info.redis_settings().db())
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}
