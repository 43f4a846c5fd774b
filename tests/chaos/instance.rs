//! A process of the service, with a proxy on each of its links.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use super::cluster::INSTANCES;
use super::proxy::Proxy;

/// The limits are short, so that locks and leases end within a history, but long enough for a row lock to time out
/// within a run (after 3 s, which InnoDB extends to up to 4 s).
pub const LOCK_TTL: Duration = Duration::from_secs(7);
pub const LOCK_WAIT: Duration = Duration::from_secs(1);
pub const RUN_TIMEOUT: Duration = Duration::from_secs(6);
pub const LEASE: Duration = Duration::from_secs(8);
pub const MAX_ATTEMPTS: u32 = 3;
/// The service sets this on its sessions.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
/// The errors of the instances' clocks, in seconds, if the machine has libfaketime.
pub const CLOCK_OFFSETS: [i64; INSTANCES] = [0, 7_200, -86_400];
/// Connections of one instance to the database.
pub const CONNECTIONS: usize = 6;

const START_TIMEOUT: Duration = Duration::from_secs(90);

pub struct Instance {
    pub name: String,
    /// The error of its clock, in seconds.
    pub clock_offset: i64,
    pub http: Proxy,
    pub database: Proxy,
    pub redis: Option<Proxy>,
    /// Locked while no other fault may hit the process.
    process: tokio::sync::Mutex<Option<Process>>,
    /// Times in which answers may be late; `None`: the time has not ended.
    disturbed: Mutex<Vec<(Instant, Option<Instant>)>>,
    ended: Mutex<Vec<String>>,
    settings: Vec<(String, String)>,
    binary: PathBuf,
    folder: PathBuf,
}

struct Process {
    child: Child,
    revision: u32,
    log: PathBuf,
}

impl Instance {
    pub fn new(
        name: String,
        links: (Proxy, Proxy, Option<Proxy>),
        database: &str,
        more_settings: Vec<(String, String)>,
        clock_offset: i64,
        folder: &Path,
    ) -> Self {
        let (http, database_link, redis) = links;
        let url = format!("mysql://root@{}/{database}?ssl-mode=DISABLED", database_link.address);
        let mut settings = settings(&name, &url);
        settings.extend(more_settings);
        if let Some(redis) = &redis {
            settings.push(("REDIS_URL".to_owned(), format!("redis://{}", redis.address)));
        }
        let faketime = std::env::var("CHAOS_FAKETIME").ok().filter(|_| clock_offset != 0);
        let clock_offset = if faketime.is_some() { clock_offset } else { 0 };
        if let Some(library) = faketime {
            settings.push(("LD_PRELOAD".to_owned(), library));
            settings.push(("FAKETIME".to_owned(), format!("{clock_offset:+}")));
            settings.push(("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
        }
        Self {
            clock_offset,
            name,
            http,
            database: database_link,
            redis,
            process: tokio::sync::Mutex::default(),
            disturbed: Mutex::default(),
            ended: Mutex::default(),
            settings,
            binary: folder.join("job-agent"),
            folder: folder.to_owned(),
        }
    }

    /// SIGKILL, if the process runs, and a new start with this revision of the vocabulary. Returns whether it ran.
    pub async fn restart(&self, revision: u32) -> bool {
        let mut process = self.process.lock().await;
        let started = self.disturb();
        let ran = process.take().map(|mut old| {
            self.note_end(&mut old);
            old.child.kill().unwrap();
            old.child.wait().unwrap();
        });
        *process = Some(self.start(revision).await);
        self.calm(started);
        ran.is_some()
    }

    /// Processes that have ended without being killed, and the last lines of their logs.
    pub async fn ended_by_themselves(&self) -> Vec<String> {
        if let Some(process) = self.process.lock().await.as_mut() {
            self.note_end(process);
        }
        std::mem::take(&mut self.ended.lock().unwrap())
    }

    fn note_end(&self, process: &mut Process) {
        if let Some(status) = process.child.try_wait().unwrap() {
            let log = std::fs::read_to_string(&process.log).unwrap();
            let last = log.lines().last().unwrap_or_default();
            self.ended.lock().unwrap().push(format!("{} ended with {status}: {last}", self.name));
        }
    }

    /// SIGSTOP for a while, then SIGCONT.
    pub async fn stop_for(&self, pause: Duration) {
        let process = self.process.lock().await;
        let Some(process) = process.as_ref() else { return };
        let started = self.disturb();
        signal("STOP", &process.child);
        sleep(pause).await;
        signal("CONT", &process.child);
        self.calm(started);
    }

    pub async fn revision(&self) -> u32 {
        self.process.lock().await.as_ref().map_or(0, |process| process.revision)
    }

    /// Begins a time in which answers may be late.
    pub fn disturb(&self) -> Instant {
        let started = Instant::now();
        self.disturbed.lock().unwrap().push((started, None));
        started
    }

    /// Ends the time that began at `started`.
    pub fn calm(&self, started: Instant) {
        let mut disturbed = self.disturbed.lock().unwrap();
        if let Some(entry) = disturbed.iter_mut().find(|entry| entry.0 == started) {
            entry.1 = Some(Instant::now());
        }
    }

    /// Whether answers could be late at some time between these two.
    pub fn was_disturbed(&self, from: Instant, to: Instant) -> bool {
        let disturbed = self.disturbed.lock().unwrap();
        disturbed.iter().any(|(start, end)| *start <= to && end.is_none_or(|end| end >= from))
    }

    /// Whether answers must be in time now.
    pub fn is_calm(&self) -> bool {
        self.disturbed.lock().unwrap().iter().all(|(_, end)| end.is_some())
    }

    /// The proxies on its links.
    pub fn links(&self) -> impl Iterator<Item = &Proxy> {
        [&self.http, &self.database].into_iter().chain(&self.redis)
    }

    /// The events that the current process has logged.
    pub async fn log(&self) -> Vec<Value> {
        let process = self.process.lock().await;
        let Some(process) = process.as_ref() else { return Vec::new() };
        let log = std::fs::read_to_string(&process.log).unwrap();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    async fn start(&self, revision: u32) -> Process {
        // A process ends if it cannot reach the database for too long while it starts.
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let log = self.folder.join(format!("{}.log", self.name));
            let mut process = Process { child: self.spawn(&log, revision), revision, log };
            while process.child.try_wait().unwrap().is_none() {
                if let Some(address) = listening(&process.log) {
                    self.http.set_server(address);
                    return process;
                }
                let late = Instant::now() >= deadline;
                assert!(!late, "does not start: {}", std::fs::read_to_string(&process.log).unwrap());
                sleep(Duration::from_millis(10)).await;
            }
            let late = Instant::now() >= deadline;
            assert!(!late, "ends: {}", std::fs::read_to_string(&process.log).unwrap());
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn spawn(&self, log: &Path, revision: u32) -> Child {
        let log = std::fs::File::create(log).unwrap();
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.binary)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(settings)
            .env("VOCABULARY_FILE", vocabulary_file(&self.folder, revision))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(process) = self.process.get_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// The settings that need no optional server.
fn settings(name: &str, database_url: &str) -> Vec<(String, String)> {
    [
        ("DATABASE_URL", database_url),
        ("DB_MAX_CONNECTIONS", &CONNECTIONS.to_string()),
        ("INSTANCE_NAME", name),
        ("LOCK_TTL_SECS", &LOCK_TTL.as_secs().to_string()),
        ("LOCK_WAIT_SECS", &LOCK_WAIT.as_secs().to_string()),
        ("RUN_TIMEOUT_SECS", &RUN_TIMEOUT.as_secs().to_string()),
        ("QUEUE_LEASE_SECS", &LEASE.as_secs().to_string()),
        ("QUEUE_MAX_ATTEMPTS", &MAX_ATTEMPTS.to_string()),
        ("CATALOGUE_REFRESH_SECS", "1"),
        ("SCHEDULER_ENABLED", "false"),
        ("PORT", "0"),
        ("LOG_FORMAT", "json"),
        // The beginnings of runs, too.
        ("RUST_LOG", "info,job_agent=debug"),
        ("TOKIO_WORKER_THREADS", "2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The file with the vocabulary of this revision.
pub fn vocabulary_file(folder: &Path, revision: u32) -> PathBuf {
    folder.join(format!("vocabulary-{revision}.toml"))
}

fn listening(log: &Path) -> Option<SocketAddr> {
    let log = std::fs::read_to_string(log).ok()?;
    let line = log.lines().find(|line| line.contains("\"message\":\"listening\""))?;
    serde_json::from_str::<Value>(line).ok()?["address"].as_str()?.parse().ok()
}

fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_cannot_start_does_not_say_that_it_listens() {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_job-agent"))
            .current_dir(folder.path())
            .env_clear()
            .envs([("DATABASE_URL", "mysql://root@127.0.0.1:9/nowhere"), ("PORT", "0")])
            .envs([("DATABASE_START_TIMEOUT_SECS", "0"), ("LOG_FORMAT", "json")])
            .output()
            .unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && log.contains("was not usable"), "{log}");
        assert!(!log.contains("listening"), "{log}");
    }
}
