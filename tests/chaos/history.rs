//! The record of one history: its users' commits, from an audit that the database keeps within the service's own
//! transactions, and the observations of clients.
//!
//! The audit is the table `chaos_audit`, which triggers fill: a row per change of a user's state or profile. A row
//! lock orders a user's changes of either kind, and a run that reads a profile changes the state later. So the ids
//! of a user's audit rows are the order of commits, and a state can only come from profiles with lower ids.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub seed: u64,
    pub database: String,
    pub with_redis: bool,
    pub fault_free: bool,
    /// The changes of the primary, in order.
    pub changes: Vec<PrimaryChange>,
    pub users: BTreeMap<i64, UserHistory>,
    /// The first and the last generation of the listings that a catalogue version may stand for.
    pub catalogues: BTreeMap<i64, (u32, u32)>,
    /// Runs as the instances have logged them; only of a history without faults.
    pub runs: Vec<Run>,
    pub at_rest: AtRest,
}

impl History {
    /// Puts the audit in the order of commits, if ids do not tell it, and replaces the numbers of changes that clients saw
    /// by the ids of the newest ones: what is visible is what was committed first.
    pub fn number(&mut self, order: Option<&HashMap<i64, i64>>) {
        for user in self.users.values_mut() {
            if let Some(order) = order {
                user.states.iter_mut().for_each(|state| state.id = order[&state.id]);
                user.profiles.iter_mut().for_each(|profile| profile.id = order[&profile.id]);
                user.states.sort_by_key(|state| state.id);
                user.profiles.sort_by_key(|profile| profile.id);
            }
            let (states, profiles) = (&user.states, &user.profiles);
            let newest = |ids: &mut dyn ExactSizeIterator<Item = i64>, number: i64| {
                // More than there are: some are lost.
                let last = (number as usize).min(ids.len());
                last.checked_sub(1).and_then(|last| ids.nth(last)).unwrap_or_default()
            };
            let state = |number| newest(&mut states.iter().map(|state| state.id), number);
            let profile = |number| newest(&mut profiles.iter().map(|profile| profile.id), number);
            user.snapshots.iter_mut().for_each(|snapshot| snapshot.state = state(snapshot.state));
            for seen in user.triggers.iter_mut().flat_map(|trigger| [&mut trigger.before, &mut trigger.after])
            {
                (seen.state, seen.profile) = (state(seen.state), profile(seen.profile));
            }
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserHistory {
    pub profiles: Vec<Profile>,
    pub states: Vec<State>,
    pub snapshots: Vec<Snapshot>,
    pub triggers: Vec<Trigger>,
    pub planted: Vec<Planted>,
    /// Processes that were killed because they had begun to serve this user.
    pub killed: u32,
}

/// A committed change of a user's profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The id of its audit row.
    pub id: i64,
    /// Everything that ranking depends on; equal keys are equal inputs.
    pub key: String,
}

/// A user's state row after a committed change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The id of its audit row.
    pub id: i64,
    /// Of its audit row, and of no other, even if that is lost and its id is given to another.
    pub mark: i64,
    pub version: i64,
    pub confirmations: i64,
    /// `None`: the clean-up has removed the list, or rows whose listing is gone.
    pub digest: Option<String>,
    pub saved_count: i64,
    pub catalogue_version: i64,
    pub scoring_revision: i64,
    pub requested_seq: i64,
    pub completed_seq: i64,
    pub due: bool,
    pub leased: bool,
    pub parked: bool,
}

/// The result of one statement of a reader.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The newest state change; 0 for none.
    pub state: i64,
    /// The digest of the rows, in the order of their listings.
    pub rows: String,
    pub row_count: usize,
}

/// The user's state as the client finds it before it sends a trigger, or after it has the answer.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The newest state change; 0 for none.
    pub state: i64,
    /// Its [`State::mark`].
    pub mark: i64,
    /// The newest committed profile.
    pub profile: i64,
    pub requested_seq: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trigger {
    pub background: bool,
    pub instance: usize,
    pub before: Seen,
    pub answer: Answer,
    pub after: Seen,
    pub millis: u64,
    /// Whether no fault of the instance excuses a late answer.
    pub undisturbed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// 200 with `success`: the rows are at least as new as the trigger.
    Success,
    /// 202.
    Accepted,
    /// 200 with `queued`.
    Queued,
    /// An error answer, by its code: nothing is promised.
    Failed(String),
    /// No answer.
    Unknown,
}

/// A lock key that the harness has set with a token of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planted {
    pub token: String,
    /// Whether it was deleted or replaced before its time to live had ended.
    pub lost: bool,
}

/// A run, from "calculation started" to its outcome, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub user: i64,
    pub instance: usize,
    pub from: i64,
    pub to: i64,
}

/// A change of the primary, and the time for which callers were without service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrimaryChange {
    pub name: String,
    /// A primary failed; else an operator asked for it.
    pub is_failover: bool,
    /// The longest time without an acknowledged trigger.
    pub without_service_millis: u64,
}

/// The system after the faults.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AtRest {
    pub open_transactions: Vec<String>,
    /// Requests that failed when more were sent at once than an instance has connections.
    pub failed_requests: Vec<String>,
    /// Processes that have ended without being killed.
    pub ended: Vec<String>,
    /// Occurrences of scheduled jobs that have begun more than once.
    pub begun_twice: Vec<String>,
    pub seconds_to_converge: f64,
}
