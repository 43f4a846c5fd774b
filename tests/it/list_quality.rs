//! Floors under the quality of whole lists, measured by `job-agent evaluate --users` on listings and users that were made
//! up for this test. Whether a listing is right, near or wrong for a user follows from its occupation.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::command;

/// The least share that is allowed, or for `wrong` figures the most.
const FLOORS: [(&str, f64); 5] =
    [("right@10", 0.90), ("wrong@10", 0.02), ("nDCG@10", 0.86), ("right", 0.95), ("wrong", 0.03)];

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every listing's grade for every user: `uid`, `id` and 2, 1 or 0.
fn grades(users: &[Value], listings: &[Value]) -> String {
    let mut grades = String::new();
    for (user, listing) in users.iter().flat_map(|user| listings.iter().map(move |listing| (user, listing))) {
        let suits = |key: &str| user[key].as_array().unwrap().contains(&listing["occupation"]);
        let grade = if suits("right") { 2 } else { u8::from(suits("near")) };
        let (uid, id) = (user["uid"].as_str().unwrap(), listing["id"].as_str().unwrap());
        grades.push_str(&format!("{uid}\t{id}\t{grade}\n"));
    }
    grades
}

#[test]
fn lists_of_made_up_users_stay_above_their_floors() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/users");
    let (users, listings) = (lines(&data.join("users.jsonl")), lines(&data.join("listings.jsonl")));
    assert!(users.len() >= 25);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("qrels.tsv"), grades(&users, &listings)).unwrap();
    let file = |name: &str| data.join(name).display().to_string();
    let (corpus, users) = (file("listings.jsonl"), file("users.jsonl"));
    let arguments = ["evaluate", "--corpus", &corpus, "--users", &users, "--qrels", "qrels.tsv"];
    let output = command(folder.path(), &[]).args(arguments).output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{report}");
    let figures: Vec<&str> = report.lines().next().unwrap().split_whitespace().collect();
    for (name, floor) in FLOORS {
        let at = figures.iter().position(|word| *word == name).unwrap();
        let figure: f64 = figures[at + 1].parse().unwrap();
        let holds = if name.starts_with("wrong") { figure <= floor } else { figure >= floor };
        assert!(holds, "{name} {figure}, floor {floor}\n{report}");
    }
}
