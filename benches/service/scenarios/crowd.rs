//! Many callers of one user at once, on two instances.

use std::time::{Duration, Instant};

use hyper::Method;
use sqlx::query_as;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::report::{Bound, Case, Figures, Measure, Spread};
use crate::stage::Stage;
use crate::users::{self, Change};

const USER: i64 = 1;
/// Single calls of which the median is taken.
const SINGLE_CALLS: usize = 20;

/// The crowd's longest answer beside a single call, and the number of runs.
pub async fn measure(stage: &Stage, scenario: &str) -> Vec<Case> {
    let link = stage.link();
    let instances = [stage.start(&link, &[]).await, stage.start(&link, &[]).await];
    stage.settle(&instances[0], USER).await;
    let mut clients = Vec::new();
    for number in 0..stage.options.crowd {
        clients.push(Client::connect(&instances[number % 2].address).await);
    }
    let path = format!("/api/job-agent/recommendations/calculate/{USER}");
    let (mut single, mut runs) = (Vec::new(), Vec::new());
    let mut crowd = [Vec::new(), Vec::new(), Vec::new()];
    let mut health = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..stage.options.course.rounds {
        single.push(single_call(stage, &mut clients[0], &path).await);
        let times = at_once(&mut clients, Method::GET, "/health").await;
        keep(&mut health, &times);
        users::change(&stage.database, USER..=USER, Change::All).await;
        let before = runs_of(stage).await;
        let times = at_once(&mut clients, Method::POST, &path).await;
        keep(&mut crowd, &times);
        runs.push((runs_of(stage).await - before) as f64);
    }
    let name = format!("{} callers", clients.len());
    let times = |side: &str, [p50, p99, longest]: [Vec<f64>; 3]| Figures {
        p50: Some(Spread::of(p50)),
        p99: Some(Spread::of(p99)),
        ..Figures::of(side, Spread::of(longest))
    };
    let ratio = Spread::of(crowd[2].iter().zip(&single).map(|(longest, single)| longest / single));
    let single = Figures { ratio: Some(ratio), ..Figures::of("a single call", Spread::of(single)) }
        .want(Measure::Ratio, Bound::AtMost(3.0));
    let sides = vec![times("service, the longest", crowd), single, times("GET /health, the longest", health)];
    let runs = Figures::of("service", Spread::of(runs)).want(Measure::Value, Bound::AtMost(4.0));
    vec![Case::new(scenario, name.clone(), "ms", sides), Case::new(scenario, name, "runs", vec![runs])]
}

/// Milliseconds, with the whole list to change.
async fn single_call(stage: &Stage, client: &mut Client, path: &str) -> f64 {
    let mut times = Vec::new();
    for _ in 0..SINGLE_CALLS {
        users::change(&stage.database, USER..=USER, Change::All).await;
        let began = Instant::now();
        client.post(path).await;
        times.push(millis(began.elapsed()));
    }
    Spread::of(times).median
}

/// Milliseconds of each call.
async fn at_once(clients: &mut Vec<Client>, method: Method, path: &str) -> Vec<f64> {
    let mut tasks = JoinSet::new();
    for mut client in std::mem::take(clients) {
        let (method, path) = (method.clone(), path.to_owned());
        tasks.spawn(async move {
            let began = Instant::now();
            let answer = client.send(method, &path).await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            (client, millis(began.elapsed()))
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (client, time) = ended.expect("no panic");
        clients.push(client);
        times.push(time);
    }
    times.sort_by(f64::total_cmp);
    times
}

fn keep(rounds: &mut [Vec<f64>; 3], sorted: &[f64]) {
    let last = sorted.len() - 1;
    for (rounds, place) in rounds.iter_mut().zip([last / 2, last * 99 / 100, last]) {
        rounds.push(sorted[place]);
    }
}

/// Every run that ends well counts one of the two.
async fn runs_of(stage: &Stage) -> i64 {
    let (version, confirmations): (i64, i64) =
        query_as("SELECT version, confirmations FROM recommendation_state WHERE user_id = ?")
            .bind(USER)
            .fetch_one(&stage.database.pool)
            .await
            .expect("a state");
    version + confirmations
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
