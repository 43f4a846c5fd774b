//! Clients that use the service while it is being hurt. Each logs its requests and their answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, INSTANCES};
use super::history::{Answer, Planted, Seen, Snapshot, Trigger};
use super::oracle::{CAREERS, MOVING};
use super::proxy::Proxy;

/// The client of one user, with its log.
pub struct UserClient {
    pub user: i64,
    cluster: Arc<Cluster>,
    http: Client,
    pub log: Mutex<Log>,
    /// The profiles so far: career, and a category that makes the profile unique.
    profiles: Mutex<Vec<(&'static str, String)>>,
    planting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub struct Log {
    pub triggers: Vec<Trigger>,
    pub snapshots: Vec<Snapshot>,
    pub planted: Vec<Planted>,
    pub killed: u32,
}

impl UserClient {
    pub async fn new(cluster: Arc<Cluster>, http: Client, user: i64) -> Arc<Self> {
        let first = (CAREERS[0].0, "v0".to_owned());
        cluster.database.add_user(user, first.0, &first.1).await;
        let profiles = Mutex::new(vec![first]);
        Arc::new(Self { user, cluster, http, log: Mutex::default(), profiles, planting: Default::default() })
    }

    /// Sends a trigger, and looks into the database before it and after its answer.
    pub async fn trigger(&self, instance: usize, background: bool) -> Answer {
        let before = self.cluster.database.seen(self.user).await;
        let target = &self.cluster.instances[instance];
        let url = format!(
            "{}{}",
            calculate_url(&target.http, self.user),
            if background { "?background=true" } else { "" }
        );
        let started = Instant::now();
        let answer = match self.http.post(url).send().await {
            Ok(response) => match response.json().await {
                Ok(body) => answer(&body),
                Err(_) => Answer::Unknown,
            },
            Err(_) => Answer::Unknown,
        };
        let took = started.elapsed();
        let undisturbed = !target.was_disturbed(started, Instant::now());
        let after = match answer {
            // Without a promise there is nothing to check.
            Answer::Failed(_) | Answer::Unknown => Seen::default(),
            _ => self.cluster.database.seen(self.user).await,
        };
        let kind = if background { "background" } else { "sync" };
        self.cluster.counts.add(format!("operation: {kind}: {}", outcome(&answer)));
        let millis = took.as_millis() as u64;
        let trigger =
            Trigger { background, instance, before, answer: answer.clone(), after, millis, undisturbed };
        self.log.lock().unwrap().triggers.push(trigger);
        answer
    }

    /// Changes the profile; every fourth time back to an earlier one.
    pub async fn change_profile(&self, rng: &mut fastrand::Rng) {
        if rng.u8(..4) == 0 { self.return_to_profile(rng).await } else { self.renew_profile(rng).await }
    }

    /// Changes to a profile that is new.
    pub async fn renew_profile(&self, rng: &mut fastrand::Rng) {
        let profile = {
            let mut profiles = self.profiles.lock().unwrap();
            let profile = (CAREERS[rng.usize(..CAREERS.len())].0, format!("v{}", profiles.len()));
            profiles.push(profile.clone());
            profile
        };
        self.set_profile(&profile).await;
    }

    /// Changes back to an earlier profile, mostly the one before the current.
    pub async fn return_to_profile(&self, rng: &mut fastrand::Rng) {
        let profile = {
            let mut profiles = self.profiles.lock().unwrap();
            let back = if rng.u8(..4) > 0 { 1 } else { 2 };
            let back = back.min(profiles.len() - 1);
            let profile = profiles[profiles.len() - 1 - back].clone();
            profiles.push(profile.clone());
            profile
        };
        self.set_profile(&profile).await;
    }

    async fn set_profile(&self, (career, category): &(&'static str, String)) {
        let changed = self.cluster.database.change_profile(self.user, career, category).await;
        self.cluster.counts.add(format!("operation: profile: {}", if changed { "ok" } else { "unknown" }));
    }

    /// Logs the stored rows.
    pub async fn look(&self) {
        let snapshot = self.cluster.database.snapshot(self.user).await;
        self.cluster.counts.add("operation: snapshot: ok");
        self.log.lock().unwrap().snapshots.push(snapshot);
    }

    /// Takes the user's lock from its holder, as if it had expired, and watches whether an instance deletes it before
    /// its time to live ends.
    pub async fn plant_lock(&self, ttl: Duration, number: u64) {
        let Ok(_one_at_a_time) = self.planting.try_lock() else { return };
        let key = format!("job_recommendation_lock:user:{}", self.user);
        let token = format!("chaos:{number}");
        let losses = self.cluster.redis_losses();
        let started = Instant::now();
        let set = ["SET", &key, &token, "PX", &ttl.as_millis().to_string()].map(str::to_owned);
        if self.cluster.redis_command(&set.each_ref().map(String::as_str)).await.as_deref() != Some("OK") {
            return;
        }
        self.cluster.counts.add("fault: lock taken away");
        // Stop well before the end, by a clock that started before Redis's.
        let margin = Duration::from_millis(150);
        while started.elapsed() + margin < ttl {
            sleep(Duration::from_millis(25)).await;
            let found = self.cluster.redis_command(&["GET", &key]).await;
            let valid = started.elapsed() + margin < ttl;
            if self.cluster.redis_losses() != losses || !valid {
                break;
            }
            if found.is_some_and(|found| found != token) {
                self.log.lock().unwrap().planted.push(Planted { token, lost: true });
                return;
            }
        }
        self.log.lock().unwrap().planted.push(Planted { token, lost: false });
    }

    /// Deletes the user's lock, as if it had expired.
    pub async fn expire_lock(&self) {
        let key = format!("job_recommendation_lock:user:{}", self.user);
        self.cluster.lose_redis_keys();
        if self.cluster.redis_command(&["DEL", &key]).await.is_some() {
            self.cluster.counts.add("fault: lock expired");
        }
        self.cluster.lose_redis_keys();
    }

    /// Sends triggers until told to stop.
    pub async fn send_triggers(self: Arc<Self>, seed: u64, stop: CancellationToken) {
        let mut rng = fastrand::Rng::with_seed(seed);
        while !stop.is_cancelled() {
            self.trigger(rng.usize(..INSTANCES), rng.u8(..5) < 2).await;
            sleep(Duration::from_millis(rng.u64(5..60))).await;
        }
    }

    pub async fn change_profiles(self: Arc<Self>, seed: u64, stop: CancellationToken) {
        let mut rng = fastrand::Rng::with_seed(seed);
        while !stop.is_cancelled() {
            self.change_profile(&mut rng).await;
            sleep(Duration::from_millis(rng.u64(50..500))).await;
        }
    }

    /// Reads the rows, in the database and over the service.
    pub async fn read(self: Arc<Self>, seed: u64, stop: CancellationToken) {
        let mut rng = fastrand::Rng::with_seed(seed);
        while !stop.is_cancelled() {
            self.look().await;
            if rng.u8(..6) == 0 {
                let url = fast_url(&self.cluster.instances[rng.usize(..INSTANCES)].http, self.user);
                let answered = match self.http.get(url).send().await {
                    Ok(response) => response.status().is_success(),
                    Err(_) => false,
                };
                let answered = if answered { "ok" } else { "failed" };
                self.cluster.counts.add(format!("operation: list: {answered}"));
            }
            sleep(Duration::from_millis(rng.u64(10..80))).await;
        }
    }
}

/// Inserts, changes and deletes listings.
pub async fn change_listings(cluster: Arc<Cluster>, seed: u64, stop: CancellationToken) {
    let mut rng = fastrand::Rng::with_seed(seed);
    while !stop.is_cancelled() {
        let (number, old) = cluster.ranking.newest_generation();
        let mut new = old;
        for _ in 0..rng.u8(1..3) {
            new[rng.usize(..MOVING)] = (rng.u8(..3) > 0).then(|| rng.u8(..20));
        }
        // Registered before an instance can read it.
        cluster.ranking.push_generation(new);
        cluster.database.change_listings(number + 1, &new).await;
        cluster.counts.add("operation: listings: ok");
        sleep(Duration::from_millis(rng.u64(200..1_200))).await;
    }
}

/// Starts batches, and makes lists so old that the clean-up removes them.
pub async fn work_in_the_background(
    cluster: Arc<Cluster>,
    users: Vec<i64>,
    seed: u64,
    stop: CancellationToken,
) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let http = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    while !stop.is_cancelled() {
        let instance = &cluster.instances[rng.usize(..INSTANCES)];
        let url = format!("http://{}/api/scheduler/trigger", instance.http.address);
        let response = http.post(url).send().await;
        let accepted = response.is_ok_and(|response| response.status().is_success());
        cluster.counts.add(format!("operation: batch: {}", if accepted { "accepted" } else { "failed" }));
        cluster.database.age(users[rng.usize(..users.len())]).await;
        sleep(Duration::from_millis(rng.u64(1_000..4_000))).await;
    }
}

pub fn calculate_url(link: &Proxy, user: i64) -> String {
    format!("http://{}/api/job-agent/recommendations/calculate/{user}", link.address)
}

pub fn fast_url(link: &Proxy, user: i64) -> String {
    format!("http://{}/api/job-agent/recommendations/fast/{user}?limit=100", link.address)
}

fn answer(body: &Value) -> Answer {
    if body["queued"] == true {
        Answer::Queued
    } else if body["success"] != true {
        Answer::Failed(body["code"].as_str().unwrap_or("no code").to_owned())
    } else if body["background"] == true {
        Answer::Accepted
    } else {
        Answer::Success
    }
}

fn outcome(answer: &Answer) -> String {
    match answer {
        Answer::Failed(code) => format!("failed: {code}"),
        answer => format!("{answer:?}").to_lowercase(),
    }
}
