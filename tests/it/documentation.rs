//! Statements of the documents that can be checked.

use job_agent::config::Config;

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
