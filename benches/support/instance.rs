//! Processes of the real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A process of the service. When it is dropped it is stopped, so that it leaves no locks behind.
pub struct Instance {
    /// `http://…`
    pub address: String,
    /// Its log, as JSON lines.
    pub log: PathBuf,
    child: Child,
}

/// The binary under test: `JOB_AGENT_BIN`, or else the one that was built with this bench.
pub fn binary() -> PathBuf {
    std::env::var_os("JOB_AGENT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_job-agent").into(), PathBuf::from)
}

impl Instance {
    /// Starts `binary` in `folder` with these environment variables only, and returns when it listens.
    pub async fn start(binary: &Path, folder: &Path, log: PathBuf, settings: &[(&str, &str)]) -> Self {
        let child = Command::new(binary)
            .current_dir(folder)
            .env_clear()
            .envs([("LOG_FORMAT", "json"), ("PORT", "0")])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("started");
        let address = listening(&log).await;
        Self { address, log, child }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Any signal, by its name, unless it has ended.
    pub fn signal(&mut self, name: &str) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
            assert!(status.expect("kill").success());
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn listening(log: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let text = fs::read_to_string(log).expect("a log");
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(event) = events.into_iter().find(|event| event["message"] == "listening") {
            return format!("http://{}", event["address"].as_str().expect("an address"));
        }
        assert!(Instant::now() < deadline, "does not listen: {text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
