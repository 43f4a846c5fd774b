//! MariaDB with Galera: every node takes writes; the balancer leads to one of them, or to all.

use std::time::Duration;

use tokio::time::sleep;

use super::{Change, Cut, Kind, Topology, ask, until};

const ADDRESS: &str = "SELECT @@report_host";
const NODES: &str = "SELECT CAST(IF((SELECT COUNT(*) FROM information_schema.GLOBAL_STATUS \
        WHERE (VARIABLE_NAME, VARIABLE_VALUE) IN (('WSREP_CLUSTER_STATUS', 'Primary'), \
                                                  ('WSREP_LOCAL_STATE_COMMENT', 'Synced'))) = 2, \
    (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'WSREP_CLUSTER_SIZE'), \
    0) AS CHAR)";

impl Topology {
    /// A node to which clients write fails, or is stopped in order; the others go on without it.
    pub(super) async fn lose_a_node(&self, change: Change, rng: &mut fastrand::Rng, failed: impl FnOnce()) {
        self.await_all_nodes().await;
        let number = match self.kind {
            Kind::GaleraAllWriters => rng.usize(..self.members.len()),
            _ => until("a writer", || self.writer()).await,
        };
        let old = &self.members[number];
        if change == Change::KilledWithReplicasBehind {
            let holders = self.hold_up_others(number).await;
            sleep(Duration::from_millis(rng.u64(500..2_000))).await;
            drop(holders);
        }
        failed();
        match change {
            Change::Killed | Change::KilledWithReplicasBehind | Change::KilledAndCloned => old.kill().await,
            Change::Stopped => old.signal("STOP"),
            Change::CutOffFromMembers(direction) => {
                old.cut_off(&self.addresses_of_others(number), direction);
            }
            Change::CutOff => old.cut_off(&self.everyone_else(number), Cut::Both),
            Change::SwitchOver => {
                ask(old.address, "SHUTDOWN").await;
            }
        }
        let remaining = Some((self.members.len() - 1).to_string());
        for (_, member) in self.others(number) {
            let lost = || async { (ask(member.address, NODES).await == remaining).then_some(()) };
            until("the others to go on", lost).await;
        }
        sleep(Duration::from_millis(rng.u64(..1_500))).await;
        match change {
            Change::Stopped => old.signal("CONT"),
            Change::CutOffFromMembers(_) | Change::CutOff => old.rejoin(),
            _ => {
                until("the node to end", || async { (!old.is_running()).then_some(()) }).await;
                old.start(&[]);
            }
        }
    }

    /// The node to which the balancer leads.
    async fn writer(&self) -> Option<usize> {
        let address = ask(self.address(0), ADDRESS).await?;
        self.members.iter().position(|member| member.address.ip().to_string() == address)
    }

    /// Returns when all nodes are synchronous; starts those again that have ended.
    async fn await_all_nodes(&self) {
        let all = Some(self.members.len().to_string());
        let all = &all;
        until("all nodes to be synchronous", || async move {
            let mut are_synchronous = true;
            for member in &self.members {
                if !member.is_running() {
                    member.start(&[]);
                }
                are_synchronous &= ask(member.address, NODES).await == *all;
            }
            are_synchronous.then_some(())
        })
        .await;
    }
}
