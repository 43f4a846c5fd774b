use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::redis_server::free_port;
use super::{RedisServer, eventually, server_variable};

/// The name that the sentinels have for the group.
pub const GROUP: &str = "lists";
/// Of a secured group.
pub const PASSWORD: &str = "secret";

/// A primary, two replicas, and three sentinels that promote a replica when the primary is away for half a second.
pub struct RedisGroup {
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
    /// PEM. `None`: the group is open.
    pub certificate: Option<String>,
}

struct Sentinel {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl RedisGroup {
    pub async fn start() -> Self {
        let servers =
            vec![RedisServer::start().await, RedisServer::start().await, RedisServer::start().await];
        Self::begin(servers, None).await
    }

    /// With TLS between all of them, and with a password of the servers, which the sentinels do not ask for.
    pub async fn start_secured() -> Self {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(RedisServer::start_with_tls_and_password(&certificate, &key, PASSWORD).await);
        }
        Self::begin(servers, Some((certificate, key))).await
    }

    async fn begin(servers: Vec<RedisServer>, tls: Option<(String, String)>) -> Self {
        let port = |server: &RedisServer| if tls.is_some() { server.tls_port() } else { server.port() };
        let primary = port(&servers[0]);
        for replica in &servers[1..] {
            replica.command(&["REPLICAOF", "127.0.0.1", &primary.to_string()]).await;
        }
        let sentinels = (0..3).map(|_| Sentinel::start(primary, tls.as_ref())).collect();
        let group = Self { servers, sentinels, certificate: tls.map(|(certificate, _)| certificate) };
        eventually("the sentinels know each other and the replicas", async || {
            for sentinel in &group.sentinels {
                let Some(state) = sentinel.state(&group).await else { return false };
                let is = |key: &str, value: &str| state.get(key).is_some_and(|known| known == value);
                if !is("num-slaves", "2") || !is("num-other-sentinels", "2") || !is("flags", "master") {
                    return false;
                }
            }
            // A replica that does not answer the primary yet is no candidate.
            let replication = group.servers[0].command(&["INFO", "replication"]).await.unwrap();
            replication.matches("state=online").count() == 2
        })
        .await;
        group
    }

    /// As REDIS_SENTINELS takes them.
    pub fn addresses(&self) -> String {
        let addresses: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        addresses.join(",")
    }

    /// The server that the last sentinel takes for the primary, as an index of `servers`.
    pub async fn primary(&self) -> usize {
        let state = self.sentinels.last().unwrap().state(self).await.expect("the sentinel answers");
        let port: u16 = state["port"].parse().unwrap();
        let is_it = |server: &RedisServer| {
            server.port() == port || self.certificate.is_some() && server.tls_port() == port
        };
        self.servers.iter().position(is_it).expect("a server of the group")
    }

    /// Has the sentinels promote a replica, as an operator does.
    pub async fn switch_over(&self) {
        let client = self.sentinels.last().unwrap().client(self);
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("SENTINEL").arg("FAILOVER").arg(GROUP).query_async::<()>(&mut connection).await.unwrap();
    }

    /// SIGKILL to the first sentinel: the other two are a majority.
    pub fn kill_first_sentinel(&mut self) {
        self.sentinels[0].stop();
    }

    /// SIGSTOP to the first sentinel: connections to it are made and not answered.
    pub fn stop_first_sentinel(&mut self) {
        let process = self.sentinels[0].child.id().to_string();
        assert!(Command::new("kill").args(["-s", "STOP", &process]).status().unwrap().success());
    }

    /// Whether this server is a replica that follows its primary. One that becomes a replica ends its connections.
    pub async fn follows(&self, server: usize) -> bool {
        let replication = self.servers[server].try_command(&["INFO", "replication"]).await;
        let replication = replication.ok().flatten().unwrap_or_default();
        replication.contains("role:slave") && replication.contains("master_link_status:up")
    }
}

impl Sentinel {
    fn start(primary: u16, tls: Option<&(String, String)>) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let place = |name: &str| -> PathBuf { folder.path().join(name) };
        let mut configuration = format!(
            "bind {address}\ndir {folder}\n\
             sentinel monitor {GROUP} {address} {primary} 2\n\
             sentinel down-after-milliseconds {GROUP} 500\n\
             sentinel failover-timeout {GROUP} 3000\n\
             sentinel parallel-syncs {GROUP} 2\n",
            address = Ipv4Addr::LOCALHOST,
            folder = folder.path().display(),
        );
        match tls {
            None => configuration += &format!("port {port}\n"),
            Some((certificate, key)) => {
                std::fs::write(place("certificate.pem"), certificate).unwrap();
                std::fs::write(place("key.pem"), key).unwrap();
                configuration += &format!(
                    "port 0\ntls-port {port}\ntls-auth-clients no\ntls-replication yes\n\
                     tls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {certificate}\n\
                     sentinel auth-pass {GROUP} {PASSWORD}\n",
                    certificate = place("certificate.pem").display(),
                    key = place("key.pem").display(),
                );
            }
        }
        std::fs::write(place("sentinel.conf"), configuration).unwrap();
        let mut command = Command::new(server_variable("TEST_REDIS_SERVER"));
        command.arg(place("sentinel.conf")).arg("--sentinel");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { port, child, _folder: folder }
    }

    fn client(&self, group: &RedisGroup) -> redis::Client {
        let Some(certificate) = &group.certificate else {
            return redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        };
        let certificates =
            redis::TlsCertificates { client_tls: None, root_cert: Some(certificate.clone().into_bytes()) };
        redis::Client::build_with_tls(format!("rediss://127.0.0.1:{}", self.port), certificates).unwrap()
    }

    /// What it knows of the group.
    async fn state(&self, group: &RedisGroup) -> Option<std::collections::HashMap<String, String>> {
        let mut connection = self.client(group).get_multiplexed_async_connection().await.ok()?;
        redis::cmd("SENTINEL").arg("MASTER").arg(GROUP).query_async(&mut connection).await.ok()
    }

    fn stop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.stop();
    }
}
