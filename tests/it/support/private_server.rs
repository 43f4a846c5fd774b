use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tempfile::{NamedTempFile, TempDir};

use super::evidence::watch_log;
use super::process::send_signal;
use super::redis_server::free_port;
use super::{Kind, eventually, server_variable};

/// A MySQL or MariaDB of the test's own, to be stopped, filled up or set read-only: the program of the server that
/// `scripts/with-servers` has started, with data and a port of its own.
pub struct PrivateServer {
    pub url: String,
    /// As the machine sees it; the data is in `data`.
    pub folder: TempDir,
    /// The root of the server's file system.
    root: PathBuf,
    user: String,
    arguments: Vec<String>,
    child: Option<Child>,
    mounted: bool,
    /// On the machine's disk.
    log: NamedTempFile,
}

impl PrivateServer {
    pub async fn start(kind: Kind) -> Self {
        Self::start_with(kind, None, &["--skip-log-bin"]).await.expect("nothing is mounted")
    }

    /// With a binary log, which replicas can follow, and this number.
    pub async fn start_with_log(kind: Kind, number: u32) -> Self {
        let number = format!("--server-id={number}");
        let mut options = vec!["--log-bin=log", "--binlog-format=ROW", "--sync-binlog=0", &number];
        if kind == Kind::Mysql {
            options.extend(["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]);
        }
        Self::start_with(kind, None, &options).await.expect("nothing is mounted")
    }

    /// Follows another server, so many seconds behind it.
    pub async fn follow(&self, kind: Kind, primary: &Self, delay_secs: u32) {
        let (_, port) = primary.url.rsplit_once(':').unwrap();
        let statements = match kind {
            Kind::Mysql => [
                format!(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, SOURCE_USER = 'root', \
                     SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_DELAY = {delay_secs}"
                ),
                "START REPLICA".to_owned(),
            ],
            _ => [
                format!(
                    "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'root', \
                     MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = {delay_secs}"
                ),
                "START SLAVE".to_owned(),
            ],
        };
        let mut connection = self.try_connect().await.unwrap();
        for statement in statements {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        connection.execute("SET GLOBAL read_only = 1").await.unwrap();
        connection.close().await.unwrap();
    }

    /// Any signal, by its name.
    pub fn signal(&self, name: &str) {
        send_signal(self.child.as_ref().expect("it runs").id(), name);
    }

    /// On a disk of so many MiB. `None`: this user may not mount one.
    pub async fn start_on_disk(kind: Kind, mebibytes: u32) -> Option<Self> {
        Self::start_with(kind, Some(mebibytes), &["--skip-log-bin"]).await
    }

    async fn start_with(kind: Kind, mebibytes: Option<u32>, options: &[&str]) -> Option<Self> {
        let variable = if kind == Kind::Mysql { "TEST_MYSQL_URL" } else { "TEST_MARIADB_URL" };
        let shared: MySqlConnectOptions = server_variable(variable).parse().unwrap();
        let process = find_process(shared.get_port());
        let root = std::fs::read_link(format!("/proc/{process}/root")).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        let user = user.split_whitespace().next().unwrap().to_owned();
        let folder = TempDir::with_prefix_in("job-agent-", root.join("tmp")).unwrap();
        let mounted = match mebibytes {
            None => false,
            Some(mebibytes) => {
                let size = format!("size={mebibytes}m");
                let mut mount = Command::new("mount");
                mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
                if !mount.status().is_ok_and(|status| status.success()) {
                    return None;
                }
                true
            }
        };
        // The server's user.
        let owner = Command::new("chown").arg(&user).arg(folder.path()).status();
        assert!(owner.unwrap().success());
        let port = free_port();
        let url = format!("mysql://root@127.0.0.1:{port}");
        let mut server = Self {
            url,
            folder,
            root,
            user,
            arguments: Vec::new(),
            child: None,
            mounted,
            log: NamedTempFile::new().unwrap(),
        };
        server.initialise(kind, &arguments_of(process)[0], port);
        server.arguments.extend(options.iter().map(|option| (*option).to_owned()));
        server.start_again().await;
        Some(server)
    }

    fn initialise(&mut self, kind: Kind, program: &str, port: u16) {
        let inside = Path::new("/").join(self.folder.path().strip_prefix(&self.root).unwrap());
        let place = |name: &str| inside.join(name).display().to_string();
        let mut options = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={}", place("data")),
            // A MariaDB that starts deletes the temporary tables that it finds: they may be another server's.
            format!("--tmpdir={}", inside.display()),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
            "--innodb-doublewrite=OFF".to_owned(),
        ];
        options.push(match kind {
            Kind::Mysql => "--innodb-redo-log-capacity=8M".to_owned(),
            _ => "--innodb-log-file-size=8M".to_owned(),
        });
        let mut initialise = match kind {
            Kind::Mysql => self.command(program),
            _ => self.command("mariadb-install-db"),
        };
        initialise.args(&options).arg("--skip-log-bin");
        match kind {
            Kind::Mysql => initialise.args(["--initialize-insecure", "--mysqlx=OFF"]),
            _ => initialise.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]),
        };
        let initialised = initialise.output().unwrap();
        assert!(initialised.status.success(), "{}", String::from_utf8_lossy(&initialised.stderr));
        options.extend([
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--socket={}", place("socket")),
            format!("--pid-file={}", place("pid")),
        ]);
        if kind == Kind::Mysql {
            options.extend(["--mysqlx=OFF".to_owned(), "--secure-file-priv=NULL".to_owned()]);
        }
        self.arguments = [program.to_owned()].into_iter().chain(options).collect();
    }

    /// A program as the server's user, in the server's file system. It ends with the test.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        if self.root != Path::new("/") {
            command = Command::new("chroot");
            command.arg(&self.root).arg("setpriv");
        }
        command.args(["--pdeathsig", "KILL"]);
        if self.user != "0" {
            command.args(["--reuid", &self.user, "--regid", &self.user, "--clear-groups"]);
        }
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// On the same port and data as before.
    pub async fn start_again(&mut self) {
        let mut command = self.command(&self.arguments[0]);
        command.args(&self.arguments[1..]).stdout(Stdio::null()).stderr(self.log.reopen().unwrap());
        self.child = Some(command.spawn().unwrap());
        watch_log(self.log.path());
        eventually("the private server answers", || async { self.try_connect().await.is_ok() }).await;
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    async fn try_connect(&self) -> sqlx::Result<MySqlConnection> {
        self.url.parse::<MySqlConnectOptions>()?.connect().await
    }

    /// SIGKILL.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends all sessions of other accounts than root.
    pub async fn end_sessions(&self) {
        let mut connection = self.try_connect().await.unwrap();
        let others =
            "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user LIKE '%_service'";
        let sessions: Vec<(i64,)> = sqlx::query_as(others).fetch_all(&mut connection).await.unwrap();
        for (session,) in sessions {
            // It may have ended meanwhile.
            _ = connection.execute(AssertSqlSafe(format!("KILL {session}"))).await;
        }
        connection.close().await.unwrap();
    }

    /// Takes all space that is left on the server's own disk; dropping the file frees it.
    pub fn fill_disk(&self) -> NamedTempFile {
        assert!(self.mounted, "the disk is the machine's");
        let mut filler = NamedTempFile::new_in(self.folder.path()).unwrap();
        for size in [1 << 20, 1 << 12] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        filler
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.stop();
        if self.mounted {
            _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        }
    }
}

fn find_process(port: u16) -> u32 {
    let wanted = format!("--port={port}");
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    processes
        .into_iter()
        .find(|process| arguments_of(*process).contains(&wanted))
        .expect("the database server is a process of this machine, not of a container")
}

fn arguments_of(process: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
