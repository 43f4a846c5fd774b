//! MySQL, MariaDB and Redis as processes that can be killed and started again.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::time::sleep;

use super::cluster::Settings;
use super::topology::{Sentinels, Topology};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The database of a campaign: one server, or a replicated engine with a Redis of several servers beside it.
pub enum Servers {
    One(Box<tokio::sync::Mutex<DatabaseServer>>),
    Replicated(Box<Topology>, Option<Sentinels>),
}

impl Servers {
    /// Those that `scripts/with-servers` has started.
    pub async fn take_over(settings: &Settings) -> Self {
        if let Some(kind) = settings.topology {
            return Self::Replicated(
                Box::new(Topology::take_over(kind)),
                settings.with_redis.then(Sentinels::take_over),
            );
        }
        let variable = format!("TEST_{}_URL", settings.database.to_uppercase());
        let url = std::env::var(&variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run the campaign with scripts/chaos, which starts the servers")
        });
        Self::One(Box::new(tokio::sync::Mutex::new(DatabaseServer::take_over(&url).await)))
    }

    /// The database of this instance.
    pub async fn address(&self, instance: usize) -> SocketAddr {
        match self {
            Self::One(server) => server.lock().await.address,
            Self::Replicated(topology, _) => topology.address(instance),
        }
    }

    pub async fn options(&self) -> MySqlConnectOptions {
        match self {
            Self::One(server) => server.lock().await.options.clone(),
            Self::Replicated(topology, _) => topology.options(),
        }
    }

    pub fn topology(&self) -> Option<&Topology> {
        match self {
            Self::One(_) => None,
            Self::Replicated(topology, _) => Some(topology),
        }
    }

    pub fn sentinels(&self) -> Option<&Sentinels> {
        match self {
            Self::One(_) => None,
            Self::Replicated(_, sentinels) => sentinels.as_ref(),
        }
    }

    /// SIGKILL, and a new start that recovers; `false`: there is more than one server.
    pub async fn restart(&self) -> bool {
        let Self::One(server) = self else { return false };
        server.lock().await.kill_and_restart().await;
        true
    }
}

/// The database server that `scripts/with-servers` has started, taken over so that it can be killed: found by its
/// port, and started again with its own command line.
pub struct DatabaseServer {
    pub options: MySqlConnectOptions,
    pub address: SocketAddr,
    /// The root of its file system.
    root: PathBuf,
    user: String,
    arguments: Vec<OsString>,
    child: Child,
}

impl DatabaseServer {
    /// `with-servers` starts servers that are fast and may lose data when they are killed. These options make them
    /// keep every acknowledged commit.
    const DURABLE: [&str; 4] = [
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-doublewrite=ON",
        "--innodb-buffer-pool-size=128M",
        // SIGKILL needs no orderly stop.
        "--innodb-fast-shutdown=1",
    ];

    pub async fn take_over(url: &str) -> Self {
        let options: MySqlConnectOptions = url.parse().unwrap();
        let port = options.get_port();
        let process = find_process(port);
        let proc = PathBuf::from(format!("/proc/{process}"));
        let root = std::fs::read_link(proc.join("root")).unwrap();
        let status = std::fs::read_to_string(proc.join("status")).unwrap();
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        let user = user.split_whitespace().next().unwrap().to_owned();
        let arguments: Vec<_> = arguments_of(process).into_iter().map(OsString::from_vec).collect();
        let mut connection = options.connect().await.unwrap();
        // The answer may be lost with the server.
        let _ = connection.execute("SHUTDOWN").await;
        let _ = connection.close().await;
        let deadline = Instant::now() + START_TIMEOUT;
        while proc.join("exe").exists() {
            assert!(Instant::now() < deadline, "the database server does not stop");
            sleep(Duration::from_millis(20)).await;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = spawn(&root, &user, &arguments);
        let server = Self { options, address, root, user, arguments, child };
        server.await_ready().await;
        server
    }

    /// SIGKILL, and a new start that recovers.
    pub async fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.root, &self.user, &self.arguments);
        self.await_ready().await;
    }

    async fn await_ready(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.options.connect().await {
                Ok(connection) => return drop(connection.close().await),
                Err(error) => {
                    assert!(Instant::now() < deadline, "the database server does not start: {error}")
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find_process(port: u16) -> u32 {
    let wanted = format!("--port={port}").into_bytes();
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    processes
        .into_iter()
        .find(|process| arguments_of(*process).contains(&wanted))
        .expect("the database server is a process of this machine, not of a container")
}

fn arguments_of(process: u32) -> Vec<Vec<u8>> {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
}

fn spawn(root: &std::path::Path, user: &str, arguments: &[OsString]) -> Child {
    let mut command = if root == std::path::Path::new("/") {
        Command::new("setpriv")
    } else {
        let mut command = Command::new("chroot");
        command.arg(root).arg("setpriv");
        command
    };
    // It ends with this process, even if this process is killed.
    command.args(["--pdeathsig", "KILL"]);
    if user != "0" && is_root() {
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    command.args(arguments).args(DatabaseServer::DURABLE);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether this process may change its user.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    user.split_whitespace().nth(1) == Some("0")
}

/// A private Redis.
pub struct RedisServer {
    pub address: SocketAddr,
    child: Child,
}

impl RedisServer {
    pub async fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Self { address, child: spawn_redis(address) };
        server.await_ready().await;
        server
    }

    /// SIGKILL; the new one is empty.
    pub async fn kill_and_restart(&mut self, down: Duration) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        sleep(down).await;
        self.child = spawn_redis(self.address);
        self.await_ready().await;
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(format!("redis://{}", self.address)).unwrap()
    }

    async fn await_ready(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.client().get_multiplexed_async_connection().await.is_err() {
            assert!(Instant::now() < deadline, "Redis does not start");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn_redis(address: SocketAddr) -> Child {
    let program = std::env::var_os("TEST_REDIS_SERVER").expect("run the campaign with scripts/chaos");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .args([
            "--bind",
            "127.0.0.1",
            "--port",
            &address.port().to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
