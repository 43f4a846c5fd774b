use std::time::{Duration, Instant};

use job_agent::app::App;
use job_agent::config::Config;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::TestDatabase;
use super::evidence::watch_events;

/// The service, built as `main` builds it, on a free port.
pub struct TestApp {
    pub address: String,
    client: Client,
    tasks: TaskTracker,
    stop: CancellationToken,
    served: Option<tokio::task::JoinHandle<()>>,
}

/// An answer of the service.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub took: Duration,
}

impl TestApp {
    /// With the settings that the environment variables `settings` make.
    pub async fn start(database: &TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::start_with(config(database, settings)).await
    }

    pub async fn start_with(config: Config) -> Self {
        watch_events();
        let app = App::build(&config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, tasks) = (CancellationToken::new(), app.tasks().clone());
        let serve = app.serve(listener, stop.clone());
        let served = Some(tokio::spawn(async move { serve.await.unwrap() }));
        Self { address, client: Client::new(), tasks, stop, served }
    }

    /// Stops as on a first signal, and waits until all requests and runs have ended.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.served.take().unwrap().await.unwrap();
    }

    /// Requests and runs that have begun and not ended.
    pub fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    pub async fn calculate(&self, user: i64) -> Answer {
        self.post(&format!("/api/job-agent/recommendations/calculate/{user}")).await
    }

    pub async fn calculate_in_background(&self, user: i64) -> Answer {
        self.post(&format!("/api/job-agent/recommendations/calculate/{user}?background=true")).await
    }

    pub async fn fast(&self, user: i64, query: &str) -> Answer {
        self.get(&format!("/api/job-agent/recommendations/fast/{user}{query}")).await
    }

    /// The value of a series of `GET /metrics`, without the prefix of its name; `None` if there is none.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let metrics = self.get("/metrics").await;
        let metrics = metrics.body.as_str().expect("metrics are text");
        metrics.lines().find_map(|line| line.strip_prefix(&format!("job_agent_{series} "))?.parse().ok())
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.send(Method::POST, path, |request| request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, |request| request).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Answer {
        let request = with(self.client.request(method, format!("{}{path}", self.address)));
        let started = Instant::now();
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body, took: started.elapsed() }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Answer {
    /// The answer's `code`, or `computed`.
    pub fn outcome(&self) -> &str {
        match &self.body["code"] {
            Value::String(code) => code,
            _ if self.body["success"] == true => "computed",
            _ => panic!("neither a code nor success: {self:?}"),
        }
    }
}

/// The configuration that the environment variables `settings` make, on `database`.
pub fn config(database: &TestDatabase, settings: &[(&str, &str)]) -> Config {
    Config::from_lookup(&|name| {
        let set = settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        set.or_else(|| (name == "DATABASE_URL").then(|| database.url.clone()))
    })
    .unwrap()
}
