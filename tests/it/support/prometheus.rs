use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::{eventually, server_variable};

/// A real Prometheus that scrapes one instance, with the rules of `deploy` and short times.
pub struct Prometheus {
    address: String,
    child: Child,
    _folder: TempDir,
}

/// The alerts that fire.
pub type Firing = BTreeSet<String>;

impl Prometheus {
    /// Scrapes every two seconds, so that a scrape may take the second longer that it takes without a database.
    /// Alerts wait 4 s (`for`), and rates look back 20 s.
    pub async fn start(instance: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = include_str!("../../../deploy/prometheus/alerts.yml");
        let rules = rules.lines().map(hurried).collect::<Vec<_>>().join("\n");
        std::fs::write(folder.path().join("alerts.yml"), rules).unwrap();
        let target = instance.strip_prefix("http://").unwrap();
        let config = format!(
            "global: {{ scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s }}\n\
             scrape_configs: [{{ job_name: job-agent, static_configs: [{{ targets: ['{target}'] }}] }}]\n\
             rule_files: [alerts.yml]\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = spawn(folder.path(), &address);
        let prometheus = Self { address, child, _folder: folder };
        eventually("Prometheus answers", || async {
            reqwest::get(format!("http://{}/-/ready", prometheus.address))
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        prometheus
    }

    /// The values of a query, each with its labels.
    pub async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let address = format!("http://{}/api/v1/query", self.address);
        let url = reqwest::Url::parse_with_params(&address, [("query", query)]).unwrap();
        let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().unwrap();
        series.iter().map(|one| (one["metric"].clone(), number(&one["value"][1]))).collect()
    }

    /// The alerts that fire now.
    pub async fn firing(&self) -> Firing {
        names(self.query(r#"ALERTS{alertstate="firing"}"#).await)
    }

    /// The alerts that have fired at any time since then.
    pub async fn fired_since(&self, begin: Instant) -> Firing {
        let seconds = begin.elapsed().as_secs();
        names(self.query(&format!(r#"count_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])"#)).await)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn spawn(folder: &Path, address: &str) -> Child {
    Command::new(server_variable("TEST_PROMETHEUS"))
        .current_dir(folder)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// A line of the rules, with its minutes made seconds.
fn hurried(line: &str) -> String {
    if line.trim_start().starts_with("for: ") {
        return format!("{}for: 4s", &line[..line.len() - line.trim_start().len()]);
    }
    line.replace("[5m]", "[20s]").replace("[15m]", "[20s]")
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

fn names(series: Vec<(Value, f64)>) -> Firing {
    series.iter().map(|(labels, _)| labels["alertname"].as_str().unwrap().to_owned()).collect()
}
