//! The address of Redis: a server, or the sentinels that know which server takes writes.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

/// The port of a sentinel, unless its address names one.
const SENTINEL_PORT: u16 = 26_379;

/// How long a peer may be silent before its connection counts as lost, also while no call is made: messages come on it.
const SILENCE: Duration = Duration::from_secs(5);

/// Where Redis is, and how to log in. Neither `Display` nor `Debug` shows a password.
#[derive(Clone)]
pub struct RedisAddress {
    place: Place,
    /// How to log in to the server, and its database.
    settings: RedisConnectionInfo,
    tls: bool,
    /// PEM; `None`: the system's certificates.
    root_certificates: Option<Vec<u8>>,
}

#[derive(Clone)]
enum Place {
    Server(ConnectionAddr),
    Sentinels(Sentinels),
}

/// Sentinels, and the group of servers whose primary they tell.
#[derive(Clone)]
pub struct Sentinels {
    hosts: Vec<(String, u16)>,
    group: String,
    username: Option<String>,
    password: Option<String>,
}

/// Not the address of a Redis server. The refused text is left out: it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not the address of a Redis server")]
pub struct InvalidRedisAddress;

impl RedisAddress {
    /// From `redis://[user:password@]host[:port][/db]`, or `rediss://…` for TLS.
    pub fn from_url(url: &str) -> Result<Self, InvalidRedisAddress> {
        url.into_connection_info().map(Self::at).map_err(|_| InvalidRedisAddress)
    }

    /// The server at `host` and `port`, with TLS or without.
    pub fn new(host: &str, port: u16, tls: bool) -> Result<Self, InvalidRedisAddress> {
        connection_addr(host, port, tls).into_connection_info().map(Self::at).map_err(|_| InvalidRedisAddress)
    }

    /// Releases and wake-ups arrive as pushes, which the older protocol does not have (Redis 6 and later do).
    fn at(server: ConnectionInfo) -> Self {
        Self {
            place: Place::Server(server.addr().clone()),
            settings: server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3),
            tls: matches!(server.addr(), ConnectionAddr::TcpTls { .. }),
            root_certificates: None,
        }
    }

    /// The primary that these sentinels tell, instead of the server of this address. Login and database stay, and so does
    /// TLS, which then is used to the sentinels, too.
    pub fn found_by(mut self, sentinels: Sentinels) -> Self {
        self.place = Place::Sentinels(sentinels);
        self
    }

    /// The database of this number.
    pub fn database(mut self, db: i64) -> Self {
        self.settings = self.settings.set_db(db);
        self
    }

    /// Logs in with this password, as the default user unless `username` names another.
    pub fn login(mut self, username: Option<&str>, password: &str) -> Self {
        self.settings = self.settings.set_password(password);
        if let Some(username) = username {
            self.settings = self.settings.set_username(username);
        }
        self
    }

    /// Trusts these root certificates (PEM) instead of the system's.
    pub fn trusting(mut self, root_certificates: Vec<u8>) -> Self {
        self.root_certificates = Some(root_certificates);
        self
    }

    /// # Errors
    /// The address cannot be used at all.
    pub(super) fn primary(&self) -> Result<Primary, RedisError> {
        Ok(match &self.place {
            Place::Server(server) => Primary::Known(Box::new(self.client(server.clone())?)),
            Place::Sentinels(sentinels) => {
                Primary::ToldBy(Box::new(Mutex::new(self.sentinel_client(sentinels)?)))
            }
        })
    }

    fn client(&self, server: ConnectionAddr) -> Result<Client, RedisError> {
        let info = server.into_connection_info()?.set_redis_settings(self.settings.clone());
        let info = info.set_tcp_settings(tcp_settings());
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(info, certificates),
            None => Client::open(info),
        }
    }

    fn sentinel_client(&self, sentinels: &Sentinels) -> Result<SentinelClient, RedisError> {
        let hosts = sentinels.hosts.iter().map(|(host, port)| connection_addr(host, *port, self.tls));
        let mut client = SentinelClientBuilder::new(hosts, &sentinels.group, SentinelServerType::Master)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_db(self.settings.db())
            .set_client_to_redis_tcp_settings(tcp_settings())
            .set_client_to_sentinel_tcp_settings(tcp_settings());
        if let Some(username) = self.settings.username() {
            client = client.set_client_to_redis_username(username);
        }
        if let Some(password) = self.settings.password() {
            client = client.set_client_to_redis_password(password);
        }
        if let Some(username) = &sentinels.username {
            client = client.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &sentinels.password {
            client = client.set_client_to_sentinel_password(password);
        }
        if self.tls {
            client = client.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = self.certificates() {
                client = client
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates);
            }
        }
        client.build()
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = Some(self.root_certificates.clone()?);
        Some(TlsCertificates { client_tls: None, root_cert })
    }
}

fn connection_addr(host: &str, port: u16, tls: bool) -> ConnectionAddr {
    let host = host.to_owned();
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn tcp_settings() -> TcpSettings {
    let keep_alive = TcpKeepalive::new().with_time(SILENCE).with_interval(Duration::from_secs(1));
    let settings = TcpSettings::default().set_keepalive(keep_alive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE);
    settings
}

impl Sentinels {
    /// From `host[:port]`, separated by commas, and the name that the sentinels have for the group of servers.
    pub fn parse(hosts: &str, group: &str) -> Result<Self, InvalidRedisAddress> {
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
        let hosts = hosts.into_iter().map(host_and_port).collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() || group.is_empty() {
            return Err(InvalidRedisAddress);
        }
        Ok(Self { hosts, group: group.to_owned(), username: None, password: None })
    }

    /// Logs in to the sentinels with this password, as the default user unless `username` names another.
    pub fn login(mut self, username: Option<&str>, password: &str) -> Self {
        self.username = username.map(str::to_owned);
        self.password = Some(password.to_owned());
        self
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn host_and_port(text: &str) -> Result<(String, u16), InvalidRedisAddress> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| InvalidRedisAddress)?),
        _ => (text, SENTINEL_PORT),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    if host.is_empty() || port == 0 || (bracketed.is_none() && host.contains([':', '/', '@'])) {
        return Err(InvalidRedisAddress);
    }
    Ok((host.to_owned(), port))
}

/// Finds the server that takes writes.
pub(super) enum Primary {
    Known(Box<Client>),
    ToldBy(Box<Mutex<SentinelClient>>),
}

impl Primary {
    /// Whether another server may be found while the last one still answers.
    pub(super) fn may_change(&self) -> bool {
        matches!(self, Self::ToldBy(_))
    }

    /// A client of the server that takes writes now, as far as is known. Sentinels are asked, and the server that they
    /// tell, too: it may not know yet that it has been replaced, or that it replaces another one.
    pub(super) async fn find(&self) -> Result<Client, RedisError> {
        match self {
            Self::Known(client) => Ok(Client::clone(client)),
            Self::ToldBy(sentinels) => sentinels.lock().await.async_get_client().await,
        }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Server(server) => write!(f, "{server}")?,
            Place::Sentinels(Sentinels { hosts, group, .. }) => {
                let hosts: Vec<_> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
                write!(f, "{group} of the sentinels {}", hosts.join(","))?;
            }
        }
        write!(f, "/{}", self.settings.db())
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_hosts_with_the_usual_port_unless_they_name_one() {
        let sentinels = Sentinels::parse("one, two:26380,[::1],[fd00::2]:1", "lists").unwrap();
        let hosts = [("one", 26_379), ("two", 26_380), ("::1", 26_379), ("fd00::2", 1)];
        assert_eq!(sentinels.hosts, hosts.map(|(host, port)| (host.to_owned(), port)));
        for refused in
            ["", " , ", "one:", "one:x", "one:0", "one:70000", ":26379", "redis://one", "::1", "a@b"]
        {
            assert!(Sentinels::parse(refused, "lists").is_err(), "{refused:?}");
        }
        assert!(Sentinels::parse("one", "").is_err());
    }

    #[test]
    fn no_password_is_shown() {
        let sentinels = Sentinels::parse("one,two", "lists").unwrap().login(Some("guest"), "hunter2");
        let address = RedisAddress::from_url("redis://u:hunter2@h:6380/2").unwrap();
        assert_eq!(address.to_string(), "h:6380/2");
        let address = address.found_by(sentinels);
        assert_eq!(address.to_string(), "lists of the sentinels one:26379,two:26379/2");
        assert!(!format!("{address:?}").contains("hunter2"));
    }
}
