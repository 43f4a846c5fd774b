//! Importing job listings from JSONL or CSV.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::Value;

use crate::storage::ListingRecord;

/// Listings written per transaction.
pub const CHUNK_SIZE: usize = 500;

/// Why a line is not a listing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The line is not a JSON object.
    #[error("not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// The line is not a CSV record.
    #[error("not a CSV record: {0}")]
    Csv(#[from] csv::Error),
    /// The file cannot be read.
    #[error("not readable: {0}")]
    Io(#[from] std::io::Error),
    /// A required column is absent or blank.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A text does not fit its column.
    #[error("{column} is longer than {limit} {unit}")]
    TooLong {
        /// The column.
        column: &'static str,
        /// Its greatest length, in `unit`.
        limit: usize,
        /// `characters` or `bytes`.
        unit: &'static str,
    },
    /// A column of that name holds no time.
    #[error("{0} is not a time: {1:?}")]
    Time(&'static str, String),
}

/// A line of the file with its number, counted from 1.
pub type Line = (u64, Result<ListingRecord, ImportError>);

/// The listings of a file: CSV with a header line if its name ends in `.csv`, else JSONL. `site_name`
/// is the site of lines that do not name one.
pub fn read_file<'a>(
    path: &Path,
    reader: impl BufRead + 'a,
    site_name: Option<&'a str>,
) -> Box<dyn Iterator<Item = Line> + 'a> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        Box::new(read_csv(reader, site_name))
    } else {
        Box::new(read_jsonl(reader, site_name))
    }
}

fn read_jsonl<'a>(reader: impl BufRead + 'a, site_name: Option<&'a str>) -> impl Iterator<Item = Line> + 'a {
    reader.split(b'\n').zip(1..).filter_map(move |(line, number)| {
        let record = line.map_err(ImportError::from).and_then(|line| {
            if line.trim_ascii().is_empty() {
                return Ok(None);
            }
            json_fields(&line).and_then(|fields| listing(fields, site_name)).map(Some)
        });
        record.transpose().map(|record| (number, record))
    })
}

fn read_csv<'a>(reader: impl BufRead + 'a, site_name: Option<&'a str>) -> impl Iterator<Item = Line> + 'a {
    let records = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    records.into_deserialize::<HashMap<String, String>>().zip(2..).map(move |(fields, line)| {
        let number = match &fields {
            Err(error) => error.position().map_or(line, csv::Position::line),
            Ok(_) => line,
        };
        (number, fields.map_err(ImportError::from).and_then(|fields| listing(fields, site_name)))
    })
}

/// A listing from one line of JSON that names its site.
pub fn listing_from_json(line: &str) -> Result<ListingRecord, ImportError> {
    listing(json_fields(line.as_bytes())?, None)
}

fn json_fields(line: &[u8]) -> Result<HashMap<String, String>, ImportError> {
    let fields: serde_json::Map<String, Value> = serde_json::from_slice(line)?;
    let text = |value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        // Lists (tech_stack, required_skills) keep their JSON text.
        other => Some(other.to_string()),
    };
    Ok(fields.into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect())
}

/// Exports of crawlers may say `id` for `job_id` and `source` for `site_name`.
fn listing(
    mut fields: HashMap<String, String>,
    site_name: Option<&str>,
) -> Result<ListingRecord, ImportError> {
    let mut take = |column: &str| fields.remove(column).filter(|text| !text.trim().is_empty());
    let site = take("site_name").or_else(|| site_name.map(str::to_owned)).or_else(|| take("source"));
    let record = ListingRecord {
        site_name: site.ok_or(ImportError::Missing("site_name"))?,
        job_id: take("job_id").or_else(|| take("id")).ok_or(ImportError::Missing("job_id"))?,
        title: take("title").ok_or(ImportError::Missing("title"))?,
        site_url: take("site_url"),
        company: take("company"),
        location: take("location"),
        description: take("description"),
        url: take("url"),
        reward: take("reward"),
        experience: take("experience"),
        search_keyword: take("search_keyword"),
        crawled_at: take("crawled_at").map(|text| time("crawled_at", text)).transpose()?,
        tech_stack: take("tech_stack"),
        required_skills: take("required_skills"),
    };
    check_lengths(&record)?;
    Ok(record)
}

/// Checks the limits of the MySQL columns on every database: the same lines are refused everywhere.
fn check_lengths(record: &ListingRecord) -> Result<(), ImportError> {
    let short = |column, text: Option<&String>, limit| match text {
        Some(text) if text.chars().count() > limit => {
            Err(ImportError::TooLong { column, limit, unit: "characters" })
        }
        _ => Ok(()),
    };
    short("site_name", Some(&record.site_name), 100)?;
    short("job_id", Some(&record.job_id), 255)?;
    short("title", Some(&record.title), 500)?;
    short("site_url", record.site_url.as_ref(), 500)?;
    short("company", record.company.as_ref(), 255)?;
    short("location", record.location.as_ref(), 255)?;
    short("url", record.url.as_ref(), 1000)?;
    short("reward", record.reward.as_ref(), 255)?;
    short("experience", record.experience.as_ref(), 255)?;
    short("search_keyword", record.search_keyword.as_ref(), 255)?;
    let long = |column, text: Option<&String>| match text {
        Some(text) if text.len() > 65_535 => {
            Err(ImportError::TooLong { column, limit: 65_535, unit: "bytes" })
        }
        _ => Ok(()),
    };
    long("description", record.description.as_ref())?;
    long("tech_stack", record.tech_stack.as_ref())?;
    long("required_skills", record.required_skills.as_ref())
}

/// A UTC time: RFC 3339, `2026-10-01 02:03[:04]`, or a date.
fn time(column: &'static str, text: String) -> Result<DateTime<Utc>, ImportError> {
    const FORMS: [&str; 4] =
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let trimmed = text.trim();
    let date =
        || Some(NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(trimmed)
        .ok()
        .map(|time| time.to_utc())
        .or_else(|| {
            FORMS
                .iter()
                .find_map(|form| NaiveDateTime::parse_from_str(trimmed, form).ok())
                .map(|time| time.and_utc())
        })
        .or_else(date)
        .ok_or(ImportError::Time(column, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jsonl(text: &str) -> Vec<Line> {
        read_file(Path::new("x.jsonl"), text.as_bytes(), Some("site")).collect()
    }

    #[test]
    fn bad_lines_are_numbered_and_the_others_are_read() {
        let lines = jsonl(
            "{\"id\":1,\"title\":\"a\"}\n\nnot json\n{\"id\":2}\n{\"id\":3,\"title\":\"b\",\"crawled_at\":\"2026-10-01\"}\n",
        );
        let outcome: Vec<_> = lines.iter().map(|(number, record)| (*number, record.is_ok())).collect();
        assert_eq!(outcome, [(1, true), (3, false), (4, false), (5, true)]);
        let (_, Ok(first)) = &lines[0] else { panic!("the first line is good") };
        assert_eq!((first.site_name.as_str(), first.job_id.as_str()), ("site", "1"));
    }

    #[test]
    fn a_line_that_is_no_utf_8_or_too_long_is_a_bad_line() {
        let long = format!("{{\"id\":1,\"title\":\"a\",\"description\":\"{}\"}}", "x".repeat(1 << 20));
        assert!(matches!(jsonl(&long)[0].1, Err(ImportError::TooLong { column: "description", .. })));
        let bytes: &[u8] = b"{\"id\":1,\"title\":\"\xff\"}\n{\"id\":2,\"title\":\"b\"}";
        let lines: Vec<_> = read_file(Path::new("x"), bytes, Some("s")).collect();
        assert!(lines[0].1.is_err() && lines[1].1.is_ok());
    }

    #[test]
    fn times_are_read_in_every_usual_form() {
        let expected = "2026-10-01T02:03:00Z";
        for text in [expected, "2026-10-01T11:03:00+09:00", "2026-10-01 02:03:00.000", "2026-10-01 02:03"] {
            let time = time("crawled_at", text.to_owned()).unwrap();
            assert_eq!(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), expected);
        }
        assert!(time("crawled_at", "2026-10-01".to_owned()).is_ok());
        assert!(time("crawled_at", "어제".to_owned()).is_err());
    }

    #[test]
    fn csv_with_a_header_is_read() {
        let text = "site_name,job_id,title,company,tech_stack\na,1,\"개발자, 서버\",,\"Java,Spring\"\na,,빈 번호,,\n";
        let lines: Vec<_> = read_file(Path::new("jobs.CSV"), text.as_bytes(), None).collect();
        let (2, Ok(first)) = &lines[0] else { panic!("line 2 is good: {lines:?}") };
        assert_eq!((first.title.as_str(), first.company.as_deref()), ("개발자, 서버", None));
        assert!(matches!(lines[1], (3, Err(ImportError::Missing("job_id")))));
    }
}
