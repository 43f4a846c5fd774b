//! The changes of the primary in a campaign, as a table for `docs/results`.

use std::collections::BTreeMap;

use super::checker::Invariant;
use super::history::Answer;
use super::play::Played;

/// The sum of all histories.
#[derive(Default)]
pub struct Failovers {
    /// Milliseconds without service, by the kind of the change.
    without_service: BTreeMap<String, Vec<u64>>,
    of_failovers: Vec<u64>,
    /// Triggers that were acknowledged as recorded or served.
    acknowledged: u64,
    /// Violations of I5.
    lost: u64,
}

impl Failovers {
    pub fn add(&mut self, played: &Played) {
        let history = &played.history;
        let lost = played.violations.iter().filter(|violation| violation.invariant == Invariant::Durable);
        self.lost += lost.count() as u64;
        for change in &history.changes {
            let millis = change.without_service_millis;
            self.without_service.entry(change.name.clone()).or_default().push(millis);
            if change.is_failover {
                self.of_failovers.push(millis);
            }
        }
        for user in history.users.values() {
            let promised =
                |answer: &Answer| matches!(answer, Answer::Success | Answer::Accepted | Answer::Queued);
            let triggers = user.triggers.iter().filter(|trigger| promised(&trigger.answer)).count();
            self.acknowledged += triggers as u64;
        }
    }

    /// Lines of Markdown.
    pub fn table(&self) -> String {
        let mut lines = vec![
            "| change of the primary | times | without service: median | longest |".to_owned(),
            "|---|---:|---:|---:|".to_owned(),
        ];
        lines.extend(self.without_service.iter().map(|(name, millis)| row(name, millis)));
        lines.push(row("all failovers", &self.of_failovers));
        let (acknowledged, lost) = (self.acknowledged, self.lost);
        lines.push(format!("{acknowledged} triggers were acknowledged, of which {lost} were lost"));
        lines.join("\n")
    }
}

fn row(name: &str, millis: &[u64]) -> String {
    let mut sorted = millis.to_vec();
    sorted.sort_unstable();
    let seconds = |millis: Option<&u64>| millis.map_or(0.0, |millis| *millis as f64 / 1e3);
    let median = seconds(sorted.get(sorted.len() / 2));
    format!("| {name} | {} | {median:.1} s | {:.1} s |", sorted.len(), seconds(sorted.last()))
}
