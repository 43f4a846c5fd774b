//! The order of commits where several servers write: ids of the audit do not tell it, but each server's binary log does.

use std::collections::HashMap;
use std::path::Path;

const TABLE_MAP: u8 = 19;
/// Insertions, as MariaDB writes them.
const WRITE_ROWS: u8 = 23;
/// Of an event.
const HEADER: usize = 19;
/// After the rows of an event.
const CHECKSUM: usize = 4;

/// The place of each row of this table, by its id, which is its first column: a `BIGINT` with a name of the table that is
/// not null. All logs of the folder, one after the other.
pub fn order_of(folder: &Path, table: &str) -> HashMap<i64, i64> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem == "binlog"))
        .filter(|path| path.extension().is_some_and(|number| number != "index"))
        .collect();
    files.sort();
    let mut order = HashMap::new();
    for file in files {
        // A node that takes a copy of all data replaces its logs.
        let Ok(log) = std::fs::read(file) else { continue };
        for id in ids_in(&log, table) {
            let place = order.len() as i64 + 1;
            order.entry(id).or_insert(place);
        }
    }
    order
}

fn ids_in(log: &[u8], table: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut tables: HashMap<u64, bool> = HashMap::new();
    // After four bytes that say what this is.
    let mut rest = log.get(4..).unwrap_or_default();
    while let Some(length) = rest.get(9..13) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let Some(event) = rest.get(..length).filter(|event| event.len() > HEADER + CHECKSUM) else { break };
        let (kind, body) = (event[4], &event[HEADER..length - CHECKSUM]);
        match kind {
            TABLE_MAP => {
                let name = &body[8..];
                let schema = usize::from(name[0]);
                let name = &name[schema + 3..][..usize::from(name[schema + 2])];
                tables.insert(table_of(body), name == table.as_bytes());
            }
            WRITE_ROWS if tables.get(&table_of(body)) == Some(&true) => ids.extend(first_id(body)),
            _ => {}
        }
        rest = &rest[length..];
    }
    ids
}

/// The number that a table has in the events that follow.
fn table_of(body: &[u8]) -> u64 {
    let mut number = [0; 8];
    number[..6].copy_from_slice(&body[..6]);
    u64::from_le_bytes(number)
}

/// An audit trigger inserts one row, so that an event has one.
fn first_id(body: &[u8]) -> Option<i64> {
    // The table and flags, the number of columns, a bit for each that is there, and a bit for each that is null.
    let columns = usize::from(*body.get(8)?);
    let row = 9 + 2 * columns.div_ceil(8);
    Some(i64::from_le_bytes(body.get(row..row + 8)?.try_into().ok()?))
}
