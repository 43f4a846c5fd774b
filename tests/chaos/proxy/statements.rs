//! Statements of the service on a MySQL connection, as its packets show them.

use std::collections::HashMap;

use crate::play::USERS;

/// A step of the service's protocol, as a statement on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Read,
    Begin,
    Compare,
    DeleteRows,
    InsertRows,
    Commit,
    Confirm,
    Request,
    Claim,
    GiveBack,
}

impl Step {
    /// All steps of a run, in order.
    pub const RUN: [Self; 7] = [
        Self::Read,
        Self::Begin,
        Self::Compare,
        Self::DeleteRows,
        Self::InsertRows,
        Self::Commit,
        Self::Confirm,
    ];
    /// All steps of the queue.
    pub const QUEUE: [Self; 3] = [Self::Request, Self::Claim, Self::GiveBack];

    /// Every step.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::RUN.into_iter().chain(Self::QUEUE)
    }

    /// Text that production's SQL has in the statement of this step only, with single blanks. `None`: the driver's
    /// own statement.
    ///
    /// A statement that is worded differently in `src/storage/mysql` would disarm the faults of its step. The test
    /// below and, on real servers, the campaign's count of statements notice it.
    fn mark(self) -> Option<&'static str> {
        Some(match self {
            Self::Begin | Self::Commit => return None,
            Self::Read => "SELECT 'state' AS part",
            Self::Compare => "SET version = version + 1, result_digest = ?",
            Self::DeleteRows => "DELETE old FROM user_job_recommendations AS old",
            Self::InsertRows => "INSERT INTO user_job_recommendations",
            Self::Confirm => "SET confirmations = confirmations + 1",
            Self::Request => "ON DUPLICATE KEY UPDATE requested_seq = LAST_INSERT_ID",
            Self::Claim => "lease_until = UTC_TIMESTAMP(6) + INTERVAL",
            Self::GiveBack => "lease_token = NULL, lease_until = NULL WHERE",
        })
    }

    /// The step that executes this text.
    fn of(text: &str) -> Option<Self> {
        match text {
            "BEGIN" => return Some(Self::Begin),
            "COMMIT" => return Some(Self::Commit),
            _ => {}
        }
        let text = single_blanks(text);
        let is_marked = |step: &Self| step.mark().is_some_and(|mark| text.contains(mark));
        Self::all().find(is_marked)
    }
}

fn single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The user of a statement, as its parameters tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Any statement, with or without a user.
    Anything,
    User(i64),
    /// Some user of the campaign.
    AnyUser,
}

impl About {
    /// `COMMIT` has no parameters: it counts for the statement that was executed before it.
    pub(super) fn matches(self, parameters: &[u8]) -> bool {
        let wanted = |number: i64| match self {
            Self::Anything => true,
            Self::User(user) => number == user,
            Self::AnyUser => USERS.contains(&number),
        };
        let numbers = parameters.windows(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
        self == Self::Anything || numbers.into_iter().any(wanted)
    }
}

/// The prepared statements of one MySQL connection.
#[derive(Default)]
pub(super) struct Statements {
    /// Being prepared.
    pending: Option<Option<Step>>,
    prepared: HashMap<u32, Step>,
    /// The parameters of the latest execution.
    pub(super) latest: Vec<u8>,
}

impl Statements {
    /// The step that a command of the client executes.
    pub(super) fn executed(&mut self, packet: &[u8]) -> Option<Step> {
        const QUERY: u8 = 0x03;
        const PREPARE: u8 = 0x16;
        const EXECUTE: u8 = 0x17;
        let (&sequence, &command) = (packet.get(3)?, packet.get(4)?);
        let body = &packet[5..];
        match command {
            _ if sequence != 0 => None,
            QUERY => Step::of(&String::from_utf8_lossy(body)),
            PREPARE => {
                self.pending = Some(Step::of(&String::from_utf8_lossy(body)));
                None
            }
            EXECUTE => {
                self.latest = body.to_vec();
                self.prepared.get(&u32::from_le_bytes(body.get(..4)?.try_into().ok()?)).copied()
            }
            _ => None,
        }
    }

    /// Takes the id of a prepared statement from the server's first packet after the command.
    pub(super) fn answered(&mut self, packet: &[u8]) {
        if packet.get(3) == Some(&1)
            && let Some(step) = self.pending.take()
            && packet.get(4) == Some(&0)
            && let Some(id) = packet.get(5..9)
        {
            let id = u32::from_le_bytes(id.try_into().unwrap());
            match step {
                Some(step) => self.prepared.insert(id, step),
                None => self.prepared.remove(&id),
            };
        }
    }
}

/// Cuts the whole packets off `buffer`.
pub(super) fn packets(buffer: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while buffer.len() >= 4 {
        let length = 4 + u32::from_le_bytes([buffer[0], buffer[1], buffer[2], 0]) as usize;
        if buffer.len() < length {
            break;
        }
        packets.push(buffer.drain(..length).collect());
    }
    packets
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The sources of the MySQL store, with blanks as the proxy sees them.
    fn sources() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/mysql");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| single_blanks(&std::fs::read_to_string(path).unwrap())).collect()
    }

    /// An operation may have several statements (giving back has three), but all in one file: a mark that other
    /// operations share, or that the store no longer has, would disarm a fault.
    #[test]
    fn every_step_is_one_operation_of_the_mysql_store() {
        let sources = sources();
        for step in Step::all() {
            let Some(mark) = step.mark() else { continue };
            let files = sources.iter().filter(|source| source.contains(mark)).count();
            assert_eq!(files, 1, "files in which {step:?} is recognised by {mark:?}");
        }
    }

    #[test]
    fn statements_are_recognised_however_their_blanks_are() {
        assert_eq!(Step::of("SELECT 1"), None);
        assert_eq!(Step::of("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"), None);
        assert_eq!(Step::of("COMMIT"), Some(Step::Commit));
        assert_eq!(Step::of("SELECT  'state'\n  AS part"), Some(Step::Read));
    }
}
