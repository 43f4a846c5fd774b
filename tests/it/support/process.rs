use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::evidence::watch_log;
use super::{TestDatabase, eventually};

/// The real binary in a process of its own, to be killed and to have its log read.
pub struct TestProcess {
    pub address: String,
    child: Child,
    folder: TempDir,
}

/// The binary, in an empty folder, with nothing set but `settings`.
pub fn command(folder: &std::path::Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_job-agent"));
    command.current_dir(folder).env_clear().env("LOG_FORMAT", "json").envs(settings.iter().copied());
    command.stdin(Stdio::null());
    command
}

impl TestProcess {
    pub async fn start(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = command(folder.path(), settings);
        Self::run(command, folder, database).await
    }

    /// With a limit of open descriptors.
    pub async fn start_with_descriptors(
        database: &TestDatabase,
        settings: &[(&str, &str)],
        descriptors: u32,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = command(folder.path(), settings);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\"")).arg(service.get_program());
        command.current_dir(folder.path()).env_clear();
        command.envs(service.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::run(command, folder, database).await
    }

    async fn run(command: Command, folder: TempDir, database: &TestDatabase) -> Self {
        let mut process = Self::spawn(command, folder, &database.url);
        process.listens().await;
        process
    }

    /// Does not wait until it listens.
    pub fn begin(url: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = command(folder.path(), settings);
        Self::spawn(command, folder, url)
    }

    fn spawn(mut command: Command, folder: TempDir, url: &str) -> Self {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        watch_log(&folder.path().join("log"));
        let child = command
            .env("DATABASE_URL", url)
            .env("PORT", "0")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { address: String::new(), child, folder }
    }

    /// Waits until it listens.
    pub async fn listens(&mut self) {
        let mut address = String::new();
        eventually("the process listens", || {
            let listening = self.events("listening").pop();
            address = listening
                .map(|event| format!("http://{}", event["address"].as_str().unwrap()))
                .unwrap_or_default();
            let done = !address.is_empty();
            assert!(self.child.try_wait().unwrap().is_none(), "ended: {}", self.log());
            async move { done }
        })
        .await;
        self.address = address;
    }

    /// Everything that was logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }

    /// Log events with this message.
    pub fn events(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["message"].as_str().is_some_and(|text| text.starts_with(message)))
            .collect()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Any signal, by its name.
    pub fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// Waits for the end and returns the exit status.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let mut code = None;
        eventually("the process ends", || {
            let status = child.try_wait().unwrap();
            code = status.and_then(|status| status.code());
            async move { status.is_some() }
        })
        .await;
        code
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name. A process that is told to stop has stopped when this returns: its threads go on for a moment.
pub fn send_signal(process: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(10);
    while name == "STOP" && !is_stopped(process) {
        assert!(Instant::now() < deadline, "process {process} does not stop");
        std::thread::yield_now();
    }
}

/// Whether no thread of the process runs.
fn is_stopped(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.filter_map(Result::ok).all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.contains("State:\tT")
    })
}
