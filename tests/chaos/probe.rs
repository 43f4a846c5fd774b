//! Callers that show for how long there is no service.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clients::calculate_url;
use super::cluster::{Cluster, INSTANCES};
use super::history::{Answer, Seen, Trigger};

/// The time between two triggers, and so the error of what is measured.
const EVERY: Duration = Duration::from_millis(100);
/// A caller who has no answer by then has no service.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends triggers in the background for one user, to one instance after the other.
pub struct Probe {
    pub user: i64,
    cluster: Arc<Cluster>,
    http: Client,
    accepted: Mutex<Vec<Accepted>>,
    triggers: Mutex<Vec<Trigger>>,
}

/// A trigger that was acknowledged.
#[derive(Clone, Copy)]
struct Accepted {
    sent: Instant,
    answered: Instant,
}

impl Probe {
    pub async fn new(cluster: Arc<Cluster>, user: i64) -> Arc<Self> {
        cluster.database.add_user(user, super::oracle::CAREERS[0].0, "v0").await;
        let http = Client::builder().timeout(PATIENCE).build().unwrap();
        Arc::new(Self { user, cluster, http, accepted: Mutex::default(), triggers: Mutex::default() })
    }

    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut requests = tokio::task::JoinSet::new();
        for number in 0.. {
            if stop.is_cancelled() {
                break;
            }
            let probe = self.clone();
            requests.spawn(async move { probe.send(number % INSTANCES).await });
            sleep(EVERY).await;
        }
        requests.join_all().await;
    }

    async fn send(&self, instance: usize) {
        let url = calculate_url(&self.cluster.instances[instance].http, self.user);
        let sent = Instant::now();
        let response = self.http.post(format!("{url}?background=true")).send().await;
        if response.is_ok_and(|response| response.status() == reqwest::StatusCode::ACCEPTED) {
            self.accepted.lock().unwrap().push(Accepted { sent, answered: Instant::now() });
            let trigger = Trigger {
                background: true,
                instance,
                // Not looked at: that would delay it.
                before: Seen::default(),
                answer: Answer::Accepted,
                after: self.cluster.database.seen(self.user).await,
                millis: sent.elapsed().as_millis() as u64,
                undisturbed: false,
            };
            self.triggers.lock().unwrap().push(trigger);
        }
    }

    /// The triggers that were acknowledged.
    pub fn triggers(&self) -> Vec<Trigger> {
        std::mem::take(&mut *self.triggers.lock().unwrap())
    }

    /// Whether a trigger that was sent after this moment was acknowledged.
    pub fn serves_since(&self, moment: Instant) -> bool {
        self.accepted.lock().unwrap().iter().any(|accepted| accepted.sent > moment)
    }

    /// The longest time without an acknowledgement, of those that end between the two moments.
    pub fn longest_silence(&self, from: Instant, to: Instant) -> Duration {
        let mut answered: Vec<_> =
            self.accepted.lock().unwrap().iter().map(|accepted| accepted.answered).collect();
        answered.sort_unstable();
        let silences = answered.windows(2).filter(|pair| (from..to).contains(&pair[1]));
        silences.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}
