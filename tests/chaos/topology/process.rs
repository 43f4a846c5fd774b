//! A process that `scripts/with-servers --topology` has started, on a host of its own.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::sleep;

/// One process: killed, stopped, cut off and started again.
pub struct Process {
    pub name: String,
    pub address: SocketAddr,
    folder: PathBuf,
    /// The network namespace of its host.
    namespace: Option<String>,
    /// Unless `with-servers` has started it.
    child: Mutex<Option<Child>>,
}

impl Process {
    /// The processes of this kind: `db` finds `db-1`, `db-2` and so on.
    pub fn all(kind: &str) -> Vec<Self> {
        (1..).map_while(|number| Self::find(&format!("{kind}-{number}"))).collect()
    }

    pub fn named(name: &str) -> Self {
        Self::find(name).unwrap_or_else(|| panic!("scripts/with-servers has not started {name}"))
    }

    fn find(name: &str) -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os("TEST_PROCESSES")?).join(name);
        let read = |file: &str| Some(std::fs::read_to_string(folder.join(file)).ok()?.trim().to_owned());
        Some(Self {
            name: name.to_owned(),
            address: read("address")?.parse().unwrap(),
            namespace: read("namespace"),
            folder,
            child: Mutex::default(),
        })
    }

    fn pid(&self) -> String {
        loop {
            let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
            // It may just be written.
            if let Some(pid) = pid.strip_suffix('\n') {
                return pid.to_owned();
            }
        }
    }

    pub fn is_running(&self) -> bool {
        // A process that has ended, and that its parent has not seen yet, has none.
        std::fs::read_link(Path::new("/proc").join(self.pid()).join("exe")).is_ok()
    }

    /// SIGKILL; returns once it has ended.
    pub async fn kill(&self) {
        if self.is_running() {
            self.signal("KILL");
        }
        while self.is_running() {
            sleep(Duration::from_millis(5)).await;
        }
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.wait();
        }
    }

    /// `STOP` or `CONT`, for example.
    pub fn signal(&self, name: &str) {
        // It may just have ended.
        let _ = Command::new("kill").args(["-s", name, &self.pid()]).stderr(Stdio::null()).status();
    }

    /// Starts it again as it was started, with further arguments.
    pub fn start(&self, arguments: &[&str]) {
        let child = Command::new(self.folder.join("run")).args(arguments).spawn().unwrap();
        // Until the script has become the process: its id must not be taken for the old one's.
        std::fs::write(self.folder.join("pid"), format!("{}\n", child.id())).unwrap();
        *self.child.lock().unwrap() = Some(child);
    }

    /// Cuts its host off from these addresses, until [`Process::rejoin`].
    pub fn cut_off(&self, from: &[IpAddr], direction: Cut) {
        let addresses = from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (from_them, to_them) = match direction {
            Cut::Both => (true, true),
            Cut::Incoming => (true, false),
            Cut::Outgoing => (false, true),
        };
        let chain = |drops: bool, hook: &str, side: &str| match drops {
            true => format!(
                "chain {hook} {{ type filter hook {hook} priority 0; ip {side} {{ {addresses} }} drop; }}\n"
            ),
            false => String::new(),
        };
        let (input, output) = (chain(from_them, "input", "saddr"), chain(to_them, "output", "daddr"));
        self.filter(&format!("table ip cut\ndelete table ip cut\ntable ip cut {{\n{input}{output}}}\n"));
    }

    /// Ends [`Process::cut_off`].
    pub fn rejoin(&self) {
        self.filter("table ip cut\ndelete table ip cut\n");
    }

    fn filter(&self, rules: &str) {
        let Some(namespace) = &self.namespace else { return };
        let status = Command::new("ip").args(["netns", "exec", namespace, "nft", rules]).status();
        assert!(status.unwrap().success(), "nft refuses {rules}");
    }

    /// Of a server that is not in a file system of its own.
    pub fn data_folder(&self) -> PathBuf {
        let run = std::fs::read_to_string(self.folder.join("run")).unwrap();
        run.split_whitespace().find_map(|word| word.strip_prefix("--datadir=")).unwrap().into()
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// The packets that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Both,
    Incoming,
    Outgoing,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut().unwrap() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
