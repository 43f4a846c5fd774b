//! MySQL Group Replication: the members elect a primary themselves.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Change, Process, Topology, ask, until};
use crate::topology::process::Cut;

/// Whether a member is a primary with a majority: 1 or 0, as text.
const IS_PRIMARY: &str = "SELECT CAST(COUNT(*) AS CHAR) FROM performance_schema.replication_group_members \
    WHERE MEMBER_ID = @@server_uuid AND MEMBER_ROLE = 'PRIMARY' AND MEMBER_STATE = 'ONLINE' \
      AND NOT @@super_read_only \
      AND (SELECT 2 * SUM(MEMBER_STATE IN ('ONLINE', 'RECOVERING')) > COUNT(*) \
           FROM performance_schema.replication_group_members)";
/// Whether a member is a primary, though it may not yet take writes.
const ELECTED: &str = "SELECT CAST(COUNT(*) AS CHAR) FROM performance_schema.replication_group_members \
    WHERE MEMBER_ID = @@server_uuid AND MEMBER_ROLE = 'PRIMARY' AND MEMBER_STATE = 'ONLINE'";
const ONLINE: &str = "SELECT CAST(COUNT(*) AS CHAR) FROM performance_schema.replication_group_members \
    WHERE MEMBER_STATE = 'ONLINE'";
const IS_ONLINE: &str = "SELECT CAST(COUNT(*) AS CHAR) FROM performance_schema.replication_group_members \
    WHERE MEMBER_ID = @@server_uuid AND MEMBER_STATE = 'ONLINE'";
const IS_READ_ONLY: &str = "SELECT CAST(@@super_read_only AS CHAR)";
const SWITCH_OVER: &str = "SELECT group_replication_set_as_primary(MEMBER_ID) \
    FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid";
/// A member that lacks a single transaction takes a whole copy.
const CLONE: &str = "--group-replication-clone-threshold=1";
/// A member that has been expelled joins again by itself, or is started again after this time. Not sooner: the group
/// takes a member that ends while it joins for an old incarnation of itself, and refuses the new one.
const REJOINS_WITHIN: Duration = Duration::from_secs(40);

impl Topology {
    pub(super) async fn change_primary_of_group(
        &self,
        change: Change,
        rng: &mut fastrand::Rng,
        failed: impl FnOnce(),
    ) {
        self.await_whole_group().await;
        let primary = until("a primary", || self.primary_but(usize::MAX)).await;
        let old = &self.members[primary];
        let holders = match change {
            Change::KilledWithReplicasBehind => self.hold_up_others(primary).await,
            _ => Vec::new(),
        };
        if !holders.is_empty() {
            sleep(Duration::from_millis(rng.u64(1_000..2_500))).await;
        }
        failed();
        match change {
            Change::Killed | Change::KilledWithReplicasBehind | Change::KilledAndCloned => old.kill().await,
            Change::Stopped => old.signal("STOP"),
            Change::CutOffFromMembers(direction) => {
                old.cut_off(&self.addresses_of_others(primary), direction);
            }
            Change::CutOff => old.cut_off(&self.everyone_else(primary), Cut::Both),
            Change::SwitchOver => self.switch_over(primary, rng).await,
        }
        if !holders.is_empty() {
            // Another one is elected, has to apply what it has received, and cannot yet.
            until("an election", || self.member_that(ELECTED, primary)).await;
            sleep(Duration::from_millis(rng.u64(500..2_500))).await;
            drop(holders);
        }
        until("another primary", || self.primary_but(primary)).await;
        // The old one comes back at once, or later.
        sleep(Duration::from_millis(rng.u64(..1_500))).await;
        match change {
            Change::Stopped => old.signal("CONT"),
            Change::CutOffFromMembers(_) | Change::CutOff => old.rejoin(),
            Change::KilledAndCloned => old.start(&[CLONE]),
            Change::Killed | Change::KilledWithReplicasBehind => old.start(&[]),
            Change::SwitchOver => {}
        }
    }

    async fn switch_over(&self, primary: usize, rng: &mut fastrand::Rng) {
        let others: Vec<_> = self.others(primary).collect();
        let (_, next) = others[rng.usize(..others.len())];
        ask(next.address, SWITCH_OVER).await;
        // Not only the new primary must be ready. If that fails while the old one is about to become read only, the old one
        // is elected again, and can hang for good.
        let old = self.members[primary].address;
        until("the switch-over to end", || async {
            ask(old, IS_READ_ONLY).await.filter(|is_so| is_so == "1")
        })
        .await;
    }

    /// The number of the primary, if it is not this one.
    async fn primary_but(&self, old: usize) -> Option<usize> {
        self.member_that(IS_PRIMARY, old).await
    }

    async fn member_that(&self, is_so: &'static str, old: usize) -> Option<usize> {
        for (number, member) in self.others(old) {
            if ask(member.address, is_so).await.as_deref() == Some("1") {
                return Some(number);
            }
        }
        None
    }

    /// Returns when all members are online; starts those again that have ended, or do not come back by themselves.
    async fn await_whole_group(&self) {
        let mut patience = Instant::now() + REJOINS_WITHIN;
        until("all members to be online", || {
            let is_late = Instant::now() >= patience;
            if is_late {
                patience = Instant::now() + REJOINS_WITHIN;
            }
            async move {
                let members = Some(self.members.len().to_string());
                let mut is_whole = true;
                for member in &self.members {
                    let sees_all = ask(member.address, ONLINE).await == members;
                    if !member.is_running() || is_late && !sees_all && !self.is_online(member).await {
                        member.kill().await;
                        member.start(&[]);
                    }
                    is_whole &= sees_all;
                }
                is_whole.then_some(())
            }
        })
        .await;
    }

    async fn is_online(&self, member: &Process) -> bool {
        ask(member.address, IS_ONLINE).await.as_deref() == Some("1")
    }
}
