use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use super::process::send_signal;
use super::{eventually, server_variable};

/// A private Redis that a test may stop and start again.
pub struct RedisServer {
    port: u16,
    tls: Option<Tls>,
    password: Option<String>,
    arguments: Vec<String>,
    child: Option<Child>,
    /// For the copy that it writes for a replica.
    folder: Option<tempfile::TempDir>,
}

/// A second port, for connections with TLS.
struct Tls {
    port: u16,
    folder: tempfile::TempDir,
}

impl Tls {
    fn new(certificate: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("certificate.pem"), certificate).unwrap();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        Self { port: free_port(), folder }
    }
}

/// A port that no other test has got: the system gives a port again as soon as it is free.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

impl RedisServer {
    pub async fn start() -> Self {
        let mut server = Self::on_a_free_port();
        server.start_again().await;
        server
    }

    fn on_a_free_port() -> Self {
        Self {
            port: free_port(),
            tls: None,
            password: None,
            arguments: Vec::new(),
            child: None,
            folder: None,
        }
    }

    /// With a second port that has this certificate and key (PEM).
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let mut server = Self::on_a_free_port();
        server.tls = Some(Tls::new(certificate, key));
        server.start_again().await;
        server
    }

    /// With TLS as [`RedisServer::start_with_tls`] and a password, for clients and for replicas.
    pub async fn start_with_tls_and_password(certificate: &str, key: &str, password: &str) -> Self {
        let tls = Tls::new(certificate, key);
        let authority = tls.folder.path().join("certificate.pem").display().to_string();
        let arguments = ["--tls-replication", "yes", "--tls-ca-cert-file", &authority];
        let login = ["--requirepass", password, "--masterauth", password];
        let mut server = Self::on_a_free_port();
        server.arguments = arguments.into_iter().chain(login).map(str::to_owned).collect();
        server.password = Some(password.to_owned());
        server.tls = Some(tls);
        server.start_again().await;
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn tls_port(&self) -> u16 {
        self.tls.as_ref().expect("started with TLS").port
    }

    /// On the same port as before, empty.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(server_variable("TEST_REDIS_SERVER"));
        command.args([
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        if let Some(tls) = &self.tls {
            let file = |name| tls.folder.path().join(name);
            command.args(["--tls-port", &tls.port.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(file("certificate.pem"));
            command.arg("--tls-key-file").arg(file("key.pem"));
        }
        command.args(&self.arguments);
        let folder = tempfile::tempdir().unwrap();
        command.current_dir(folder.path());
        self.folder = Some(folder);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        eventually("Redis answers", || async {
            match self.client().get_multiplexed_async_connection().await {
                Ok(mut connection) => redis::cmd("PING").query_async::<()>(&mut connection).await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
    }

    /// SIGKILL.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Any signal, by its name.
    pub fn signal(&self, name: &str) {
        send_signal(self.child.as_ref().expect("it runs").id(), name);
    }

    pub fn url(&self) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    /// One command with a text or nothing as its answer.
    pub async fn command(&self, words: &[&str]) -> Option<String> {
        self.try_command(words).await.unwrap()
    }

    /// [`RedisServer::command`], on a server that may end the connection.
    pub async fn try_command(&self, words: &[&str]) -> redis::RedisResult<Option<String>> {
        // Patient: tests make Redis pause.
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(10)))
            .set_response_timeout(Some(Duration::from_secs(10)));
        let connection = self.client().get_multiplexed_async_connection_with_config(&config).await;
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut connection?).await
    }

    /// How often a command, in small letters, has been called.
    pub async fn calls(&self, command: &str) -> u64 {
        let statistics = self.command(&["INFO", "commandstats"]).await.unwrap();
        let line =
            statistics.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }

    /// The value of a user's lock.
    pub async fn lock_of(&self, user: i64) -> Option<String> {
        self.command(&["GET", &format!("job_recommendation_lock:user:{user}")]).await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
