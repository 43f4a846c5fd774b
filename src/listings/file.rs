//! Reads job listings from JSONL or CSV, as crawlers export them and as Excel saves them.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::Path;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::Value;

use super::encoding::TextEncoding;
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
    /// The line has bytes that its file's encoding does not have.
    #[error("not valid {0}: save the file as UTF-8 and import it again")]
    Encoding(TextEncoding),
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
    reader: impl Read + 'a,
    encoding: TextEncoding,
    site_name: Option<&'a str>,
) -> Box<dyn Iterator<Item = Line> + 'a> {
    let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let reader = encoding.decode(reader);
    let lines: Box<dyn Iterator<Item = Fields>> =
        if is_csv { Box::new(read_csv(reader)) } else { Box::new(read_jsonl(reader)) };
    Box::new(lines.map(move |(line, fields)| {
        let record = fields.and_then(|fields| {
            check_encoding(&fields, encoding)?;
            listing(fields, site_name)
        });
        (line, record)
    }))
}

/// A line's columns by name, with the line's number.
type Fields = (u64, Result<HashMap<String, String>, ImportError>);

/// A UTF-8 file may hold U+FFFD itself; in others it stands for bytes that could not be decoded.
fn check_encoding(fields: &HashMap<String, String>, encoding: TextEncoding) -> Result<(), ImportError> {
    let damaged = |text: &String| text.contains(char::REPLACEMENT_CHARACTER);
    if encoding != TextEncoding::Utf8 && fields.values().any(damaged) {
        return Err(ImportError::Encoding(encoding));
    }
    Ok(())
}

fn read_jsonl(reader: impl BufRead) -> impl Iterator<Item = Fields> {
    reader.split(b'\n').zip(1..).filter_map(|(line, number)| match line {
        Ok(line) if line.trim_ascii().is_empty() => None,
        Ok(line) => Some((number, json_fields(&line))),
        Err(error) => Some((number, Err(error.into()))),
    })
}

/// The first line names the columns. Commas, semicolons or tabs separate them: Excel's separator depends on the
/// region. A line before it that holds only `sep=` and the separator, as Excel understands it, is skipped.
fn read_csv<'a>(mut reader: impl BufRead + 'a) -> Box<dyn Iterator<Item = Fields> + 'a> {
    let (mut header, mut line_before) = (String::new(), 0);
    let mut read = reader.read_line(&mut header);
    if read.is_ok() && header.starts_with("sep=") {
        line_before = 1;
        header.clear();
        read = reader.read_line(&mut header);
    }
    if let Err(error) = read {
        return Box::new(std::iter::once((line_before + 1, Err(error.into()))));
    }
    let count = |delimiter: u8| header.bytes().filter(|&byte| byte == delimiter).count();
    let delimiter = b"\t;,".iter().copied().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    // A line ends with LF alone, so that the reader's line counter is right: the CR of Windows is a blank at the
    // end of the last column. The LF at the end of the file is for a last line without one.
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .from_reader(std::io::Cursor::new(header).chain(reader).chain(&b"\n"[..]));
    let mut columns: Option<Vec<String>> = None;
    let mut record = csv::StringRecord::new();
    Box::new(std::iter::from_fn(move || {
        loop {
            let read = csv.read_record(&mut record);
            let line_after = line_before + csv.position().line();
            match read {
                Ok(false) => return None,
                Err(error) => return Some((line_after - 1, Err(error.into()))),
                Ok(true) if record.iter().all(|text| text.trim().is_empty()) => {}
                Ok(true) => match &columns {
                    None => columns = Some(record.iter().map(|name| name.trim().to_lowercase()).collect()),
                    Some(columns) => {
                        let lines = record.iter().map(|text| text.matches('\n').count() as u64).sum::<u64>();
                        let texts = record.iter().map(|text| text.trim_end_matches('\r').to_owned());
                        let fields = columns.iter().cloned().zip(texts).collect();
                        return Some((line_after - 1 - lines, Ok(fields)));
                    }
                },
            }
        }
    }))
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

/// A UTC time: RFC 3339, `2026-10-01 02:03[:04]`, or a date; with slashes, too, as Excel writes dates.
fn time(column: &'static str, text: String) -> Result<DateTime<Utc>, ImportError> {
    const FORMS: [&str; 4] =
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let with_dashes = text.trim().replace('/', "-");
    let trimmed = with_dashes.as_str();
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
        read("x.jsonl", text.as_bytes())
    }

    fn read(name: &str, bytes: &[u8]) -> Vec<Line> {
        let encoding = TextEncoding::detect(bytes).unwrap();
        read_file(Path::new(name), bytes, encoding, Some("site")).collect()
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
        let lines = read("x", bytes);
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
        let lines = read("jobs.CSV", text.as_bytes());
        let (2, Ok(first)) = &lines[0] else { panic!("line 2 is good: {lines:?}") };
        assert_eq!((first.title.as_str(), first.company.as_deref()), ("개발자, 서버", None));
        assert!(matches!(lines[1], (3, Err(ImportError::Missing("job_id")))));
    }

    /// Line numbers and titles, or the errors.
    fn outcome(lines: Vec<Line>) -> Vec<(u64, String)> {
        let shown = |record: Result<ListingRecord, ImportError>| match record {
            Ok(record) => record.title,
            Err(error) => error.to_string(),
        };
        lines.into_iter().map(|(line, record)| (line, shown(record))).collect()
    }

    #[test]
    fn csv_lines_are_numbered_as_an_editor_does() {
        let text = "job_id,title\n\n1,a\n2,\"b\nb\"\n,c\n\n\n4,5\" Zoll\n5,\"e\"\"e\"";
        let expected = [(3, "a"), (4, "b\nb"), (6, "job_id is missing"), (9, "5\" Zoll"), (10, "e\"e")];
        let expected = expected.map(|(line, title)| (line, title.to_owned()));
        assert_eq!(outcome(read("x.csv", text.as_bytes())), expected);
        let windows = text.replace('\n', "\r\n");
        let expected = expected.map(|(line, title)| (line, title.replace('\n', "\r\n")));
        assert_eq!(outcome(read("x.csv", windows.as_bytes())), expected);
        assert_eq!(outcome(read("x.csv", format!("{windows}\r\n").as_bytes())), expected);
    }

    #[test]
    fn files_of_windows_and_excel_are_read_like_others() {
        let text = "\"Job_ID\",\"Title \",\"company\"\r\n1,\"개발자, 서버\",똠한빛\r\n2,기획자,\r\n";
        let lines = [(2, "개발자, 서버"), (3, "기획자")].map(|(line, title)| (line, title.to_owned()));
        let (cp949, _, _) = encoding_rs::EUC_KR.encode(text);
        let utf_16: Vec<_> = format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes(), format!("\u{FEFF}{text}").as_bytes(), &cp949, &utf_16] {
            assert_eq!(outcome(read("x.csv", bytes)), lines);
        }
        for separator in [";", "\t"] {
            let text = format!("sep={separator}\r\njob_id,title\r\n1,개발자\r\n").replace(',', separator);
            assert_eq!(outcome(read("x.csv", text.as_bytes())), [(3, "개발자".to_owned())]);
        }
        let json = "\u{FEFF}{\"id\":1,\"title\":\"개발자\"}\r\n\r\n{\"id\":2,\"title\":\"기획자\"}\r\n";
        let lines = [(1, "개발자".to_owned()), (3, "기획자".to_owned())];
        assert_eq!(outcome(read("x.jsonl", json.as_bytes())), lines);
        let (cp949, _, _) = encoding_rs::EUC_KR.encode(json.trim_start_matches('\u{FEFF}'));
        assert_eq!(outcome(read("x.jsonl", &cp949)), lines);
    }

    #[test]
    fn a_damaged_line_of_a_cp949_file_names_the_remedy() {
        let (good, _, _) = encoding_rs::EUC_KR.encode("job_id,title\n1,개발자\n2,기획자\n3,");
        let lines = outcome(read("x.csv", &[&*good, b"\xff\xff\n"].concat()));
        assert_eq!(lines[2], (4, "not valid CP949: save the file as UTF-8 and import it again".to_owned()));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn dates_of_excel_are_times() {
        assert!(time("crawled_at", "2026/10/1 9:03".to_owned()).is_ok());
        assert!(time("crawled_at", "2026/10/01".to_owned()).is_ok());
    }
}
