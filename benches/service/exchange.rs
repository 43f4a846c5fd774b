//! The rows that a changed list takes away and brings, as they are sent to MySQL.

use job_agent::domain::Recommendation;
use serde::Serialize;
use serde_json::json;

/// Bytes of rows per statement over TLS: a statement of more than one record (16 KiB) costs 40 ms, because the driver
/// does not set TCP_NODELAY.
const RECORD: usize = 16_000;

/// The difference of two lists.
pub struct Exchange {
    /// The listings that are gone or changed, as a JSON array of ids.
    pub gone: String,
    /// The new or changed rows, as JSON arrays; one for each statement over TLS.
    pub in_records: Vec<String>,
    /// All of them, for one statement.
    pub at_once: Vec<String>,
    /// The number of new or changed rows.
    pub rows: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    id: i64,
    hundredths: u16,
    reason: &'a str,
    /// JSON in JSON, as the service sends it.
    data: &'a str,
}

impl Exchange {
    pub fn between(from: &[Recommendation], to: &[Recommendation]) -> Self {
        let (gone, new) = difference(from, to);
        Self {
            gone: json!(gone).to_string(),
            in_records: statements(&new, RECORD),
            at_once: statements(&new, usize::MAX),
            rows: new.len(),
        }
    }
}

/// The ids of rows that a list loses (or that change), and the rows that another one gets.
pub fn difference<'a>(
    from: &[Recommendation],
    to: &'a [Recommendation],
) -> (Vec<i64>, Vec<&'a Recommendation>) {
    let gone = from.iter().filter(|row| !to.contains(row)).map(|row| row.listing_id.0).collect();
    let new = to.iter().filter(|row| !from.contains(row)).collect();
    (gone, new)
}

fn statements(rows: &[&Recommendation], most_bytes: usize) -> Vec<String> {
    let mut rows: Vec<&Recommendation> = rows.to_vec();
    rows.sort_unstable_by_key(|row| row.listing_id);
    let mut statements: Vec<String> = Vec::new();
    for row in rows {
        let (id, hundredths) = (row.listing_id.0, row.score.0);
        let row = Row { id, hundredths, reason: &row.reason, data: &row.data };
        let row = serde_json::to_string(&row).expect("serialisable");
        match statements.last_mut() {
            Some(statement) if statement.len() + row.len() < most_bytes => {
                statement.push(',');
                statement.push_str(&row);
            }
            _ => statements.push(format!("[{row}")),
        }
    }
    statements.iter_mut().for_each(|statement| statement.push(']'));
    statements
}
