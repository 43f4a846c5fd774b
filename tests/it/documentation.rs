//! What the documents say, where it can be checked.

use job_agent::config::Config;

/// What is to be pasted, or compared with what the service answers.
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
