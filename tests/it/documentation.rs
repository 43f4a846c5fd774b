//! Statements of the documents that can be checked.

use job_agent::config::Config;
use serde_json::Value;

use crate::support::source::{Level, events};
use crate::support::{Kind, TestApp, TestDatabase};

const OPERATE: &str = include_str!("../../docs/operate.md");

/// Commands to paste and answers to compare with.
fn code_blocks(markdown: &str) -> Vec<&str> {
    markdown.split("```").skip(1).step_by(2).collect()
}

#[test]
fn the_korean_readme_shows_the_same_code_as_the_english_one() {
    let (english, korean) = (include_str!("../../README.md"), include_str!("../../README.ko.md"));
    let blocks = code_blocks(english);
    assert!(blocks.len() > 5);
    assert_eq!(blocks, code_blocks(korean));
    let headings = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(headings(english), headings(korean));
}

#[test]
fn a_container_is_given_longer_to_stop_than_the_service_takes() {
    let compose = include_str!("../../docker-compose.yml");
    let grace = compose.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")).unwrap();
    let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    let drain = Config::from_lookup(&|_| None).unwrap().drain_timeout.as_secs();
    assert!(grace >= drain + 5, "{grace} s, {drain} s");
}

/// As `job-agent` reads a file `.env`, and as Docker hands the same file over, quotes included.
#[test]
fn every_default_of_the_example_works_when_it_is_uncommented() {
    let example = include_str!("../../.env.example");
    let is_variable = |line: &&str| {
        line.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        })
    };
    let lines: Vec<_> =
        example.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_variable).collect();
    assert!(lines.len() > 30, "{lines:?}");
    let default = format!("{:?}", Config::from_lookup(&|_| None).unwrap());
    let parsed: Vec<(String, String)> =
        dotenvy::from_read_iter(lines.join("\n").as_bytes()).map(Result::unwrap).collect();
    let literal: Vec<(String, String)> = lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(parsed.len(), literal.len());
    for variables in [parsed, literal] {
        let lookup =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!(format!("{:?}", Config::from_lookup(&lookup).unwrap()), default, "all uncommented");
        for (name, value) in &variables {
            let only = |asked: &str| (asked == name).then(|| value.clone());
            assert_eq!(format!("{:?}", Config::from_lookup(&only).unwrap()), default, "{name}={value}");
        }
    }
}

/// The seconds of a setting such as `stop_grace_period: 40s`, wherever it stands.
fn seconds(text: &str, setting: &str) -> u64 {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(setting)).expect(setting);
    value.trim_matches([':', ' ', '"', 's']).parse().expect(setting)
}

#[test]
fn kubernetes_waits_longer_than_a_stop_takes() {
    let deployment = include_str!("../../deploy/kubernetes/deployment.yaml");
    let config = include_str!("../../deploy/kubernetes/config.yaml");
    let (_, hook) = deployment.split_once("command: [sleep, \"").unwrap();
    let hook: u64 = hook.split('"').next().unwrap().parse().unwrap();
    let stop = hook + seconds(config, "SHUTDOWN_DELAY_SECS") + seconds(config, "DRAIN_TIMEOUT_SECS") + 3;
    let grace = seconds(deployment, "terminationGracePeriodSeconds");
    assert!(grace >= stop + 5, "{grace} s, {stop} s");
    let image = format!("image: job-agent:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(deployment.matches(&image).count(), 2, "{image}");
}

#[test]
fn kubernetes_sets_only_settings_that_exist() {
    let example = include_str!("../../.env.example");
    let files = [
        include_str!("../../deploy/kubernetes/config.yaml"),
        include_str!("../../deploy/kubernetes/secret.yaml.example"),
    ];
    let settings: Vec<&str> = files
        .iter()
        .flat_map(|file| file.lines())
        .filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .collect();
    assert!(settings.len() >= 10, "{settings:?}");
    for setting in settings {
        assert!(example.contains(&format!("\n# {setting}=")), "{setting}");
    }
}

/// Half a second, and a little more: see "Behind a load balancer" in docs/operate.md.
#[test]
fn the_balancer_notices_a_stop_before_the_listener_closes() {
    let balancer = include_str!("../../deploy/balancer/haproxy.cfg");
    assert!(balancer.contains("check inter 250ms fall 2 "));
    let compose = include_str!("../../docker-compose.yml");
    assert!(seconds(compose, "SHUTDOWN_DELAY_SECS") >= 1);
    assert!(compose.contains("profiles: [scaled]"));
    assert!(include_str!("../../README.md").contains("\ndocker compose --profile scaled up --build\n"));
}

#[test]
fn every_warning_and_every_error_is_explained_to_operators() {
    let events = events();
    assert!(events.len() > 40, "{}", events.len());
    let unexplained: Vec<&str> = events
        .iter()
        .filter(|event| event.level != Level::Info && !OPERATE.contains(&format!("`{}", event.text)))
        .map(|event| &*event.text)
        .collect();
    assert!(unexplained.is_empty(), "missing in docs/operate.md, \"Log events\": {unexplained:#?}");
}

#[test]
fn every_event_that_is_explained_exists_at_its_level() {
    let events = events();
    let mut explained = 0;
    for row in OPERATE.lines() {
        let Some((level, row)) = row.strip_prefix("| ").and_then(|row| row.split_once(" | ")) else {
            continue;
        };
        let level = match level {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            _ => continue,
        };
        // The texts of this column are in back quotes.
        let column = row.split(" | ").next().unwrap();
        for text in column.split('`').skip(1).step_by(2) {
            let text = text.split(" … ").next().unwrap();
            let exists = events.iter().any(|event| event.level == level && event.text.starts_with(text));
            assert!(exists, "{level:?} {text}");
            explained += 1;
        }
    }
    assert!(explained > 40, "{explained}");
}

#[test]
fn every_alert_is_explained_to_operators() {
    let rules = include_str!("../../deploy/prometheus/alerts.yml");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8);
    for alert in alerts {
        assert!(OPERATE.contains(&format!("| `{alert}` | ")), "{alert}");
    }
}

/// All names in a JSON value, with those that they are in.
fn names(value: &Value, prefix: &str, names: &mut Vec<String>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        let name = format!("{prefix}/{name}");
        self::names(member, &name, names);
        names.push(name);
    }
}

/// The commands are pasted in their order; where an answer is shown, the real one has the same names.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_the_readme_shows_is_answered_as_it_shows() {
    let database = TestDatabase::create_bare(Kind::Sqlite).await;
    let app = TestApp::start(&database, &[]).await;
    let address = app.address.trim_start_matches("http://");
    let (mut answer, mut calls, mut compared) = (Value::Null, 0, 0);
    for block in code_blocks(include_str!("../../README.md")) {
        let (language, block) = block.split_once('\n').unwrap();
        if language == "json" {
            let (mut shown, mut real) = (Vec::new(), Vec::new());
            names(&serde_json::from_str(block).unwrap(), "", &mut shown);
            names(&answer, "", &mut real);
            assert_eq!(shown, real, "{block}");
            compared += 1;
        }
        for line in block.lines().filter(|line| language == "sh" && line.starts_with("curl ")) {
            let line = line.replace("127.0.0.1:8000", address);
            let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            answer = serde_json::from_slice(&output.stdout).expect("an answer; is curl installed?");
            assert_eq!(answer["success"], true, "{line}: {answer}");
            calls += 1;
        }
    }
    assert!(calls >= 7 && compared >= 3, "{calls}, {compared}");
}
