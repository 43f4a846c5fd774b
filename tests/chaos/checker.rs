//! Holds a history to the invariants. Pure: an [`Oracle`] says which rows the inputs must give.

use std::fmt;

use super::history::{Answer, History, Snapshot, State, Trigger, UserHistory};

/// f(inputs): the rows that must be stored.
pub trait Oracle {
    /// For a profile, a generation of the listings and a scoring revision.
    fn expected(&self, key: &str, generation: u32, scoring_revision: i64) -> Expected;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The digest that the service stores with its result.
    pub digest: String,
    /// As [`super::history::Snapshot::rows`].
    pub rows: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    Atomic = 1,
    Forward,
    NotSwallowed,
    Honest,
    Durable,
    Converges,
    Bounded,
    OwnerOnly,
    Clean,
    Frugal,
}

impl Invariant {
    const ALL: [Self; 10] = [
        Self::Atomic,
        Self::Forward,
        Self::NotSwallowed,
        Self::Honest,
        Self::Durable,
        Self::Converges,
        Self::Bounded,
        Self::OwnerOnly,
        Self::Clean,
        Self::Frugal,
    ];

    /// The invariant that `docs/guarantees.md` calls `I1`, and so on.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|invariant| name == format!("I{}", *invariant as u8))
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{} {self:?}", *self as u8)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub user: i64,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: user {}: {}", self.invariant, self.user, self.what)
    }
}

/// Limits that depend on the settings of the instances.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub answer_millis: u64,
    pub max_attempts: u32,
}

pub fn check(history: &History, oracle: &dyn Oracle, bounds: Bounds) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (&user, events) in &history.users {
        let mut report = |invariant, what| violations.push(Violation { invariant, user, what });
        let commits = commits(history, events, oracle, &mut report);
        snapshots_show_one_commit(events, &commits, &mut report);
        successes_are_honest(events, &commits, &mut report);
        commits_go_forward(events, &commits, &mut report);
        served_triggers_are_reflected(events, &commits, &mut report);
        acknowledged_triggers_are_recorded(events, &mut report);
        answers_are_not_lost(events, &mut report);
        everything_ends(events, bounds, &mut report);
        answers_come_in_time(events, bounds, &mut report);
        locks_are_left_to_their_owners(events, &mut report);
        nothing_is_done_twice(history, user, &commits, &mut report);
    }
    let mut report = |invariant, what| violations.push(Violation { invariant, user: 0, what });
    for open in &history.at_rest.open_transactions {
        report(Invariant::Clean, format!("a transaction is open: {open}"));
    }
    for failed in &history.at_rest.failed_requests {
        report(Invariant::Clean, format!("a pool is not whole: {failed}"));
    }
    for ended in &history.at_rest.ended {
        report(Invariant::Clean, ended.clone());
    }
    for begun in &history.at_rest.begun_twice {
        report(Invariant::Frugal, format!("begun more than once: {begun}"));
    }
    violations
}

/// A committed replacement or confirmation, with the inputs that its digest reveals, or a clean-up.
struct Commit<'a> {
    state: &'a State,
    stored: Stored,
    /// Profiles it may have been calculated from, ascending: all with the same key that were committed before it.
    profiles: Vec<i64>,
}

/// The rows that are stored after a commit.
enum Stored {
    All(Expected),
    /// The clean-up has removed the list.
    None,
    /// The clean-up has removed the rows whose listing is gone, if there are any: which, the history does not tell.
    Some,
}

impl Commit<'_> {
    /// Whether a reader saw its rows.
    fn shows(&self, snapshot: &Snapshot) -> bool {
        match &self.stored {
            Stored::All(expected) => expected.rows == snapshot.rows,
            Stored::None => snapshot.row_count == 0,
            Stored::Some => snapshot.row_count <= self.state.saved_count as usize,
        }
    }

    fn newest_profile(&self) -> i64 {
        self.profiles.last().copied().unwrap_or_default()
    }
}

/// Every state in which rows were replaced or confirmed. A digest that no profile gives with any listings of the
/// time violates I1: the rows are not f of one set of inputs.
fn commits<'a>(
    history: &History,
    events: &'a UserHistory,
    oracle: &dyn Oracle,
    report: &mut dyn FnMut(Invariant, String),
) -> Vec<Commit<'a>> {
    let mut commits: Vec<Commit<'a>> = Vec::new();
    let mut token = (0, 0);
    for state in &events.states {
        if (state.version, state.confirmations) == token {
            continue;
        }
        token = (state.version, state.confirmations);
        let Some(digest) = &state.digest else {
            // Its rows are as new as those before it.
            let profiles = commits.last().map(|commit| commit.profiles.clone()).unwrap_or_default();
            let stored = if state.saved_count == 0 { Stored::None } else { Stored::Some };
            commits.push(Commit { state, stored, profiles });
            continue;
        };
        let Some(&(first, last)) = history.catalogues.get(&state.catalogue_version) else {
            report(Invariant::Atomic, format!("state {} names an unknown catalogue version", state.id));
            continue;
        };
        let before = events.profiles.iter().filter(|profile| profile.id < state.id);
        let found = before.clone().rev().find_map(|profile| {
            let expected = |generation| oracle.expected(&profile.key, generation, state.scoring_revision);
            let expected = (first..=last).map(expected).find(|expected| expected.digest == *digest)?;
            Some((profile.key.as_str(), expected))
        });
        match found {
            Some((key, expected)) => {
                let profiles =
                    before.filter(|profile| profile.key == key).map(|profile| profile.id).collect();
                commits.push(Commit { state, stored: Stored::All(expected), profiles });
            }
            None => report(
                Invariant::Atomic,
                format!("state {} (version {}) is f of no profile before it", state.id, state.version),
            ),
        }
    }
    commits
}

/// The commit whose rows are stored once the state change `id` is committed.
fn commit_at<'c, 'a>(commits: &'c [Commit<'a>], id: i64) -> Option<&'c Commit<'a>> {
    commits[..commits.partition_point(|commit| commit.state.id <= id)].last()
}

/// I1.
fn snapshots_show_one_commit(
    events: &UserHistory,
    commits: &[Commit<'_>],
    report: &mut dyn FnMut(Invariant, String),
) {
    for snapshot in &events.snapshots {
        let whole = match commit_at(commits, snapshot.state) {
            Some(commit) => commit.shows(snapshot),
            None => snapshot.row_count == 0,
        };
        if !whole {
            report(
                Invariant::Atomic,
                format!(
                    "a reader at state {} saw {} rows that are not those of one commit",
                    snapshot.state, snapshot.row_count
                ),
            );
        }
    }
}

/// I4.
fn successes_are_honest(
    events: &UserHistory,
    commits: &[Commit<'_>],
    report: &mut dyn FnMut(Invariant, String),
) {
    for trigger in successes(events) {
        let stored = commit_at(commits, trigger.after.state).map_or(0, Commit::newest_profile);
        if stored < trigger.before.profile {
            report(
                Invariant::Honest,
                format!(
                    "success for profile {}, but the rows are of {stored} (state {}, instance {})",
                    trigger.before.profile, trigger.after.state, trigger.instance
                ),
            );
        }
    }
}

fn successes(events: &UserHistory) -> impl Iterator<Item = &Trigger> {
    events.triggers.iter().filter(|trigger| trigger.answer == Answer::Success)
}

/// I2: each commit, and each success that a client was told, sets a least profile for all later commits. Where a
/// profile has returned to an earlier one, a commit counts for the earliest profile that it may stand for: every
/// reported violation is one, but a violation among equal profiles is not seen.
fn commits_go_forward(
    events: &UserHistory,
    commits: &[Commit<'_>],
    report: &mut dyn FnMut(Invariant, String),
) {
    let mut least = 0;
    let mut newest = (0, 0);
    for (index, commit) in commits.iter().enumerate() {
        let state = commit.state;
        if commit.newest_profile() < least {
            report(
                Invariant::Forward,
                format!("state {} is of profile {}, after {least}", state.id, commit.newest_profile()),
            );
        }
        let earliest = commit.profiles.iter().copied().find(|profile| *profile >= least);
        let until = commits.get(index + 1).map_or(i64::MAX, |next| next.state.id);
        let told_now = successes(events).filter(|success| (state.id..until).contains(&success.after.state));
        least = told_now.map(|success| success.before.profile).fold(earliest.unwrap_or(least), i64::max);

        let inputs = (state.catalogue_version, state.scoring_revision);
        if inputs.0 < newest.0 || inputs.1 < newest.1 {
            report(
                Invariant::Forward,
                format!("state {} has catalogue and revision {inputs:?} after {newest:?}", state.id),
            );
        }
        newest = (newest.0.max(inputs.0), newest.1.max(inputs.1));
    }
}

/// I3.
fn served_triggers_are_reflected(
    events: &UserHistory,
    commits: &[Commit<'_>],
    report: &mut dyn FnMut(Invariant, String),
) {
    for trigger in events.triggers.iter().filter(|trigger| is_recorded(trigger)) {
        // Of several triggers at once, this may be the number of another, but never one below its own.
        let (number, least) = (trigger.after.requested_seq, trigger.before.profile);
        let served = commits.iter().find(|commit| commit.state.completed_seq >= number);
        if let Some(commit) = served
            && commit.newest_profile() < least
        {
            report(
                Invariant::NotSwallowed,
                format!(
                    "trigger {number} for profile {least} is completed at state {}, whose rows are of {}",
                    commit.state.id,
                    commit.newest_profile()
                ),
            );
        }
    }
}

fn is_recorded(trigger: &Trigger) -> bool {
    matches!(trigger.answer, Answer::Accepted | Answer::Queued)
}

/// I5. That a recorded trigger is then served is I6. Triggers of one user that meet may be one on record.
fn acknowledged_triggers_are_recorded(events: &UserHistory, report: &mut dyn FnMut(Invariant, String)) {
    for trigger in events.triggers.iter().filter(|trigger| is_recorded(trigger)) {
        let (before, after) = (trigger.before.requested_seq, trigger.after.requested_seq);
        if after <= before {
            report(Invariant::Durable, format!("{:?}, but requested_seq is still {before}", trigger.answer));
        }
    }
    for pair in events.states.windows(2) {
        if pair[1].requested_seq < pair[0].requested_seq || pair[1].completed_seq < pair[0].completed_seq {
            report(Invariant::Durable, format!("state {} has lost triggers", pair[1].id));
        }
    }
}

/// I5: what a caller found in the database after a promise is still there when the history ends, whichever server has
/// become the primary.
fn answers_are_not_lost(events: &UserHistory, report: &mut dyn FnMut(Invariant, String)) {
    for trigger in events.triggers.iter().filter(|trigger| trigger.after.state > 0) {
        if !events.states.iter().any(|state| state.mark == trigger.after.mark) {
            let state = trigger.after.state;
            report(Invariant::Durable, format!("{:?}, and state {state} is lost", trigger.answer));
        }
    }
}

/// I6, and of I9 that no lease is left.
fn everything_ends(events: &UserHistory, bounds: Bounds, report: &mut dyn FnMut(Invariant, String)) {
    if let Some(last) = events.states.last() {
        if !last.parked && (last.due || last.completed_seq < last.requested_seq) {
            report(
                Invariant::Converges,
                format!(
                    "{} of {} triggers completed, due: {}, and not parked",
                    last.completed_seq, last.requested_seq, last.due
                ),
            );
        }
        if last.leased {
            report(Invariant::Clean, "a lease is held".to_owned());
        }
    }
    if events.killed > bounds.max_attempts {
        report(Invariant::Converges, format!("killed {} processes and was not parked", events.killed));
    }
}

/// I7.
fn answers_come_in_time(events: &UserHistory, bounds: Bounds, report: &mut dyn FnMut(Invariant, String)) {
    for trigger in &events.triggers {
        if trigger.undisturbed && trigger.millis > bounds.answer_millis {
            report(
                Invariant::Bounded,
                format!("{:?} from instance {} took {} ms", trigger.answer, trigger.instance, trigger.millis),
            );
        }
    }
}

/// I8.
fn locks_are_left_to_their_owners(events: &UserHistory, report: &mut dyn FnMut(Invariant, String)) {
    for planted in events.planted.iter().filter(|planted| planted.lost) {
        report(Invariant::OwnerOnly, format!("the lock of {} was deleted", planted.token));
    }
}

/// I10.
fn nothing_is_done_twice(
    history: &History,
    user: i64,
    commits: &[Commit<'_>],
    report: &mut dyn FnMut(Invariant, String),
) {
    for pair in commits.windows(2) {
        let (before, after) = (pair[0].state, pair[1].state);
        if after.version > before.version && after.digest.is_some() && after.digest == before.digest {
            report(
                Invariant::Frugal,
                format!("state {} has written rows that were stored already", after.id),
            );
        }
    }
    if !(history.fault_free && history.with_redis) {
        return;
    }
    let runs: Vec<_> = history.runs.iter().filter(|run| run.user == user).collect();
    for (index, run) in runs.iter().enumerate() {
        for other in &runs[index + 1..] {
            if run.instance != other.instance && run.from < other.to && other.from < run.to {
                let (one, two) = (run.instance, other.instance);
                report(Invariant::Frugal, format!("instances {one} and {two} ran at the same time"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::history::{AtRest, Planted, Profile, Run, Seen, Snapshot};
    use super::*;

    /// Rows that name their inputs.
    struct Names;

    impl Oracle for Names {
        fn expected(&self, key: &str, generation: u32, scoring_revision: i64) -> Expected {
            let rows = format!("{key}/{generation}/{scoring_revision}");
            Expected { digest: format!("digest of {rows}"), rows }
        }
    }

    const BOUNDS: Bounds = Bounds { answer_millis: 1_000, max_attempts: 3 };

    fn profile(id: i64, key: &str) -> Profile {
        Profile { id, key: key.to_owned() }
    }

    /// A replacement with the rows of this key.
    fn replaced(id: i64, version: i64, key: &str) -> State {
        State {
            id,
            version,
            digest: Some(Names.expected(key, 0, 1).digest),
            catalogue_version: 7,
            scoring_revision: 1,
            ..State::default()
        }
    }

    fn snapshot(state: i64, key: &str) -> Snapshot {
        Snapshot { state, rows: Names.expected(key, 0, 1).rows, row_count: 3 }
    }

    fn trigger(answer: Answer, before: Seen, after: Seen) -> Trigger {
        let background = answer == Answer::Accepted;
        Trigger { background, instance: 0, before, answer, after, millis: 20, undisturbed: true }
    }

    fn seen(state: i64, profile: i64, requested_seq: i64) -> Seen {
        Seen { state, mark: 0, profile, requested_seq }
    }

    /// Profile a is stored, then b; a background trigger is served by the second commit.
    fn good() -> UserHistory {
        UserHistory {
            profiles: vec![profile(1, "a"), profile(3, "b")],
            states: vec![
                replaced(2, 1, "a"),
                State { id: 4, requested_seq: 1, due: true, ..replaced(4, 1, "a") },
                State { requested_seq: 1, due: true, leased: true, ..replaced(5, 1, "a") },
                State { requested_seq: 1, completed_seq: 1, ..replaced(6, 2, "b") },
            ],
            snapshots: vec![Snapshot::default(), snapshot(2, "a"), snapshot(5, "a"), snapshot(6, "b")],
            triggers: vec![
                trigger(Answer::Success, seen(0, 1, 0), seen(2, 1, 0)),
                trigger(Answer::Accepted, seen(2, 3, 0), seen(4, 3, 1)),
                trigger(Answer::Success, seen(6, 3, 1), seen(6, 3, 1)),
            ],
            ..UserHistory::default()
        }
    }

    fn history(user: UserHistory) -> History {
        History {
            with_redis: true,
            fault_free: true,
            users: BTreeMap::from([(1, user)]),
            catalogues: BTreeMap::from([(7, (0, 0)), (8, (0, 1))]),
            ..History::default()
        }
    }

    fn violated(history: &History) -> Vec<Invariant> {
        let violations = check(history, &Names, BOUNDS);
        let mut invariants: Vec<_> = violations.iter().map(|violation| violation.invariant).collect();
        invariants.dedup();
        invariants
    }

    /// The invariants that the good history violates after `change`.
    fn after(change: impl FnOnce(&mut UserHistory)) -> Vec<Invariant> {
        let mut user = good();
        change(&mut user);
        violated(&history(user))
    }

    #[test]
    fn a_good_history_violates_nothing() {
        assert_eq!(check(&history(good()), &Names, BOUNDS), []);
    }

    #[test]
    fn a_promise_whose_state_is_lost_with_its_server_violates_i5() {
        assert_eq!(after(|user| user.triggers[1].after.mark = 99), [Invariant::Durable]);
    }

    #[test]
    fn a_clean_up_may_leave_no_rows_or_fewer_than_before() {
        let cleaned = |saved_count, row_count| {
            after(|user| {
                let state = State {
                    digest: None,
                    saved_count,
                    requested_seq: 1,
                    completed_seq: 1,
                    ..replaced(7, 3, "b")
                };
                user.states.push(state);
                user.snapshots.push(Snapshot { state: 7, rows: "some".to_owned(), row_count });
            })
        };
        assert_eq!(cleaned(0, 0), []);
        assert_eq!(cleaned(3, 2), []);
        assert_eq!(cleaned(0, 1), [Invariant::Atomic]);
        assert_eq!(cleaned(3, 4), [Invariant::Atomic]);
    }

    #[test]
    fn rows_that_are_not_those_of_one_commit_violate_i1() {
        assert_eq!(after(|user| user.snapshots[1] = snapshot(2, "b")), [Invariant::Atomic]);
        assert_eq!(after(|user| user.snapshots[3] = snapshot(6, "a")), [Invariant::Atomic]);
        assert_eq!(after(|user| user.snapshots[0].row_count = 1), [Invariant::Atomic]);
    }

    #[test]
    fn a_digest_that_no_inputs_of_its_time_give_violates_i1() {
        // b is committed after the state that has it.
        let early = after(|user| {
            user.profiles[1].id = 7;
            user.triggers.truncate(1);
        });
        assert_eq!(early[0], Invariant::Atomic);
        let other_listings = Some(Names.expected("b", 1, 1).digest);
        assert_eq!(after(|user| user.states[3].digest = other_listings.clone())[0], Invariant::Atomic);
        let newer_listings = after(|user| {
            user.states[3].digest = other_listings;
            user.states[3].catalogue_version = 8;
            user.snapshots.pop();
        });
        assert_eq!(newer_listings, []);
    }

    #[test]
    fn an_older_profile_after_a_newer_one_violates_i2() {
        let late = State { requested_seq: 1, completed_seq: 1, ..replaced(7, 3, "a") };
        assert_eq!(after(|user| user.states.push(late)), [Invariant::Forward]);
    }

    #[test]
    fn older_listings_or_scoring_after_newer_ones_violate_i2() {
        assert_eq!(
            after(|user| {
                user.states[0].catalogue_version = 8;
            }),
            [Invariant::Forward]
        );
        let newer = Names.expected("a", 0, 2);
        let older_scoring = after(|user| {
            user.states[0].scoring_revision = 2;
            user.states[0].digest = Some(newer.digest.clone());
            user.snapshots[1].rows = newer.rows.clone();
            user.snapshots[2].rows = newer.rows;
        });
        assert_eq!(older_scoring, [Invariant::Forward]);
    }

    #[test]
    fn rows_older_than_an_earlier_success_violate_i2_even_if_the_profile_has_returned() {
        // a, b, a: rows of a are confirmed for the third profile, then those of b are written over them.
        let returned = UserHistory {
            profiles: vec![profile(1, "a"), profile(3, "b"), profile(4, "a")],
            states: vec![
                replaced(2, 1, "a"),
                State { confirmations: 1, ..replaced(5, 1, "a") },
                State { confirmations: 1, ..replaced(6, 2, "b") },
            ],
            triggers: vec![trigger(Answer::Success, seen(2, 4, 0), seen(5, 4, 0))],
            ..UserHistory::default()
        };
        assert_eq!(violated(&history(returned)), [Invariant::Forward]);
    }

    #[test]
    fn a_trigger_completed_by_a_run_with_older_inputs_violates_i3() {
        let swallowed = after(|user| {
            user.states[3] = State { requested_seq: 1, completed_seq: 1, ..replaced(6, 1, "a") };
            user.states[3].confirmations = 1;
            user.snapshots.pop();
            user.triggers.pop();
        });
        assert_eq!(swallowed, [Invariant::NotSwallowed]);
    }

    #[test]
    fn a_success_over_older_rows_violates_i4() {
        assert_eq!(after(|user| user.triggers[2].after.state = 5), [Invariant::Honest]);
    }

    #[test]
    fn an_accepted_or_queued_trigger_that_is_not_recorded_violates_i5() {
        assert_eq!(after(|user| user.triggers[1].before.requested_seq = 1), [Invariant::Durable]);
        assert_eq!(
            after(|user| {
                user.triggers[1].answer = Answer::Queued;
                user.triggers[1].before.requested_seq = 1;
            }),
            [Invariant::Durable]
        );
    }

    #[test]
    fn a_trigger_that_stays_pending_without_being_parked_violates_i6() {
        assert_eq!(after(|user| user.states[3].requested_seq = 2), [Invariant::Converges]);
        assert_eq!(after(|user| user.states[3].due = true), [Invariant::Converges]);
        let parked = after(|user| {
            user.states[3].requested_seq = 2;
            user.states[3].parked = true;
        });
        assert_eq!(parked, []);
        assert_eq!(after(|user| user.killed = 4), [Invariant::Converges]);
    }

    #[test]
    fn a_late_answer_violates_i7_unless_the_instance_was_disturbed() {
        assert_eq!(after(|user| user.triggers[0].millis = 1_001), [Invariant::Bounded]);
        let excused = after(|user| {
            user.triggers[0].millis = 1_001;
            user.triggers[0].undisturbed = false;
        });
        assert_eq!(excused, []);
    }

    #[test]
    fn a_lock_that_another_instance_deletes_violates_i8() {
        let planted = |lost| Planted { token: "t".to_owned(), lost };
        assert_eq!(after(|user| user.planted.push(planted(false))), []);
        assert_eq!(after(|user| user.planted.push(planted(true))), [Invariant::OwnerOnly]);
    }

    #[test]
    fn a_lease_a_transaction_or_a_broken_pool_at_rest_violates_i9() {
        assert_eq!(after(|user| user.states[3].leased = true), [Invariant::Clean]);
        let mut open = history(good());
        open.at_rest.open_transactions.push("a transaction".to_owned());
        assert_eq!(violated(&open), [Invariant::Clean]);
        let mut broken = history(good());
        broken.at_rest = AtRest { failed_requests: vec!["503".to_owned()], ..AtRest::default() };
        assert_eq!(violated(&broken), [Invariant::Clean]);
        let mut ended = history(good());
        ended.at_rest.ended.push("an instance ended".to_owned());
        assert_eq!(violated(&ended), [Invariant::Clean]);
    }

    #[test]
    fn rows_written_without_need_or_runs_that_overlap_violate_i10() {
        let again = State { requested_seq: 1, completed_seq: 1, ..replaced(7, 3, "b") };
        assert_eq!(after(|user| user.states.push(again)), [Invariant::Frugal]);
        let mut overlapping = history(good());
        let run = |instance, from, to| Run { user: 1, instance, from, to };
        overlapping.runs = vec![run(0, 10, 20), run(1, 20, 30), run(1, 22, 25)];
        assert_eq!(violated(&overlapping), [], "of two processes, one after the other");
        overlapping.runs.push(run(2, 29, 40));
        assert_eq!(violated(&overlapping), [Invariant::Frugal]);
        overlapping.with_redis = false;
        assert_eq!(violated(&overlapping), []);
    }
}
