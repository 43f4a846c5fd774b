//! MySQL with replicas, semi-synchronous or not: an operator promotes one with `deploy/database/failover`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::process::Cut;
use super::{Change, Process, Topology, ask, until};

impl Topology {
    pub(super) async fn promote_a_replica(
        &self,
        change: Change,
        rng: &mut fastrand::Rng,
        failed: impl FnOnce(),
    ) {
        let primary = self.promoted();
        let old = &self.members[primary];
        let holders = match change {
            Change::KilledWithReplicasBehind => self.hold_up_others(primary).await,
            _ => Vec::new(),
        };
        sleep(Duration::from_millis(if holders.is_empty() { 0 } else { rng.u64(1_000..2_500) })).await;
        failed();
        match change {
            Change::Stopped => old.signal("STOP"),
            Change::CutOffFromMembers(direction) => {
                old.cut_off(&self.addresses_of_others(primary), direction);
            }
            Change::CutOff => old.cut_off(&self.everyone_else(primary), Cut::Both),
            Change::Killed
            | Change::KilledWithReplicasBehind
            | Change::KilledAndCloned
            | Change::SwitchOver => {}
        }
        if change.is_failover() {
            // Noticed after a while, and ended for certain before another takes over.
            sleep(Duration::from_millis(rng.u64(..2_500))).await;
            old.kill().await;
        }
        let released = tokio::spawn(async move {
            sleep(Duration::from_millis(1_500)).await;
            drop(holders);
        });
        let others = self.others(primary).map(|(_, member)| member);
        let promote: &[&str] = if change.is_failover() { &["promote", "--off"] } else { &["promote"] };
        let promoted = failover(promote, [old].into_iter().chain(others)).await;
        let next = self.members.iter().position(|member| member.address.ip().to_string() == promoted);
        let next = next.unwrap_or_else(|| panic!("promoted: {promoted:?}"));
        self.promoted.store(next, Ordering::SeqCst);
        released.await.unwrap();
        sleep(Duration::from_millis(rng.u64(..1_500))).await;
        old.rejoin();
        self.come_back(primary, next, change).await;
    }

    /// The old primary becomes a replica, or a clone if it has commits that the new one lacks.
    async fn come_back(&self, old: usize, primary: usize, change: Change) {
        let (old, primary) = (&self.members[old], &self.members[primary]);
        if !old.is_running() {
            old.start(&[]);
        }
        until("the old primary to start", || ask(old.address, "SELECT 'yes'")).await;
        if change == Change::KilledAndCloned {
            // A commit of its own, that no client has seen.
            let orphan = "SET GLOBAL super_read_only = OFF; CREATE TABLE chaos.orphan (id INT PRIMARY KEY); \
                          SET GLOBAL super_read_only = ON";
            if let Some(mut connection) = super::connect(old.address).await {
                super::execute(&mut connection, orphan).await;
            }
        }
        let rejoin = failover(&["rejoin"], [primary, old]);
        // A server that takes a copy ends, and is started again.
        let keep_running = async {
            loop {
                if !old.is_running() {
                    old.start(&[]);
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            _ = rejoin => {}
            () = keep_running => {}
        }
    }
}

/// What an operator would do. Returns the last line of its output.
async fn failover(command: &[&str], servers: impl IntoIterator<Item = &Process>) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/database/failover");
    let hosts: Vec<_> = servers.into_iter().map(|server| server.address.ip().to_string()).collect();
    let words: Vec<_> = command.iter().map(|word| (*word).to_owned()).chain(hosts).collect();
    let run = move || {
        let mut process = Command::new(program);
        process.args(words).env("MYSQL", std::env::var_os("TEST_MYSQL_CLIENT").unwrap());
        process.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "failover {command} has failed", command = command[0]);
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap_or_default().to_owned()
}
