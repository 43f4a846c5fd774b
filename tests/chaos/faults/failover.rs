//! The primary changes while clients use the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;
use crate::history::PrimaryChange;
use crate::probe::Probe;
use crate::topology::Change;

/// Changes of the primary in one history.
const CHANGES: usize = 2;
/// How long callers may be without service.
const PATIENCE: Duration = Duration::from_secs(60);

/// Changes the primary, in every second history twice in a row.
pub async fn change_primaries(cluster: &Arc<Cluster>, probe: &Probe, seed: u64) -> Vec<PrimaryChange> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Some(topology) = cluster.topology() else { return Vec::new() };
    let in_a_row = rng.bool();
    let mut changes: Vec<(Change, Instant)> = Vec::new();
    for _ in 0..CHANGES {
        if changes.is_empty() || !in_a_row {
            sleep(Duration::from_millis(rng.u64(500..2_000))).await;
        }
        let change = Change::any(&mut rng);
        let mut failed = Instant::now();
        topology.change_primary(change, &mut rng, || failed = Instant::now()).await;
        cluster.counts.add(format!("fault: {change}"));
        changes.push((change, failed));
        let served = async {
            while !probe.serves_since(failed) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        // If there is no service at all, the check says so: nothing converges.
        let _ = timeout(PATIENCE, served).await;
    }
    sleep(Duration::from_millis(1_000)).await;
    let ends = changes.iter().skip(1).map(|(_, failed)| *failed).chain([Instant::now()]);
    let measured = changes.iter().zip(ends).map(|((change, failed), end)| PrimaryChange {
        name: change.to_string(),
        is_failover: change.is_failover(),
        without_service_millis: probe.longest_silence(*failed, end).as_millis() as u64,
    });
    measured.collect()
}
