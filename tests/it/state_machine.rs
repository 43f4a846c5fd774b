//! On every backend and in any order, operations change a user as `tests/spec/state.rs` says. The model
//! (`tests/model`) explores the same specification, so its results hold for the SQL.

#[path = "../spec/state.rs"]
mod spec;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use job_agent::calculator::decision;
use job_agent::coordination::{UserGuard, UserLocks};
use job_agent::domain::{
    BatchId, CatalogueVersion, Lane, ListingId, Recommendation, Score, ScoringRevision, UserId,
};
use job_agent::storage::{
    Basis, BatchScope, DueUser, GiveBack, Lease, Marking, RowChanges, Store, UserState, WorkError, Write,
    Written,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use self::spec::{Due, User};
use crate::support::{Kind, TestDatabase, on_every_database};

on_every_database!(every_operation_does_what_the_specification_says);

/// The largest list; listings 1 to this are the lists' rows.
const MAX_LIST: u8 = 4;
/// The newest scoring: an instance that has it may serve every user.
const NEWEST: u8 = 2;

/// One step. Numbers choose among the states, due users and claims that were read before.
#[derive(Clone, Debug)]
enum Operation {
    RequestRun {
        in_a_group: bool,
    },
    ReadState,
    Replace {
        state: usize,
        list: u8,
        catalogue: u8,
        scoring: u8,
        in_a_group: bool,
    },
    Confirm {
        state: usize,
        catalogue: u8,
        scoring: u8,
        in_a_group: bool,
    },
    Look {
        scoring: u8,
    },
    Claim {
        due: usize,
        scoring: u8,
    },
    /// As a worker does: looks for due users and claims the first.
    Take,
    GiveBack {
        claim: usize,
        how: How,
    },
    RetryParked,
    ExpireLease,
    EndPause,
    Batch,
    FinishBatch,
    RemoveLists {
        old: bool,
    },
    RemoveDanglingRows,
    AlterRow,
}

#[derive(Clone, Copy, Debug)]
enum How {
    UntriedNow,
    Untried,
    Failed,
    Parked,
}

impl How {
    fn give_back(self) -> GiveBack {
        let (now, after) = (Duration::ZERO, Duration::from_secs(3_600));
        let error = |code| WorkError { code, cause: "a test".to_owned() };
        match self {
            Self::UntriedNow => GiveBack::Untried { after: now },
            Self::Untried => GiveBack::Untried { after },
            Self::Failed => GiveBack::Failed { after, error: error("failed") },
            Self::Parked => GiveBack::Parked { error: error("parked") },
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let version = 0..3u8;
    // Mostly the newest that was read.
    let nth = prop_oneof![6 => Just(0), 1 => 1..4usize];
    let how = prop_oneof![
        1 => Just(How::UntriedNow),
        1 => Just(How::Untried),
        1 => Just(How::Failed),
        2 => Just(How::Parked),
    ];
    prop_oneof![
        4 => any::<bool>().prop_map(|in_a_group| Operation::RequestRun { in_a_group }),
        4 => Just(Operation::ReadState),
        4 => (nth.clone(), 0..=MAX_LIST, version.clone(), version.clone(), any::<bool>())
            .prop_map(|(state, list, catalogue, scoring, in_a_group)| Operation::Replace { state, list, catalogue, scoring, in_a_group }),
        3 => (nth.clone(), version.clone(), version.clone(), any::<bool>()).prop_map(
            |(state, catalogue, scoring, in_a_group)| Operation::Confirm { state, catalogue, scoring, in_a_group }
        ),
        2 => version.clone().prop_map(|scoring| Operation::Look { scoring }),
        2 => (nth.clone(), version).prop_map(|(due, scoring)| Operation::Claim { due, scoring }),
        6 => Just(Operation::Take),
        6 => (nth, how).prop_map(|(claim, how)| Operation::GiveBack { claim, how }),
        1 => Just(Operation::RetryParked),
        2 => Just(Operation::ExpireLease),
        2 => Just(Operation::EndPause),
        1 => Just(Operation::Batch),
        1 => Just(Operation::FinishBatch),
        2 => any::<bool>().prop_map(|old| Operation::RemoveLists { old }),
        1 => Just(Operation::RemoveDanglingRows),
        1 => Just(Operation::AlterRow),
    ]
}

async fn every_operation_does_what_the_specification_says(database: TestDatabase) {
    let next_user = AtomicI64::new(5_000);
    let mut runner = TestRunner::new(Config {
        cases: 6,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let checked = tokio::task::block_in_place(|| {
        runner.run(&vec(operation(), 100..200), |operations| {
            let user = next_user.fetch_add(1, Ordering::Relaxed).try_into().unwrap();
            Handle::current().block_on(run(&database, user, &operations));
            Ok(())
        })
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

async fn run(database: &TestDatabase, user: UserId, operations: &[Operation]) {
    for table in ["recommendation_batches", "recommendation_state", "user_job_recommendations"] {
        database.execute(&format!("DELETE FROM {table}")).await;
    }
    database.execute("UPDATE catalogue_state SET version = 2").await;
    database.set_career(user.get(), "간호사").await;
    let store = database.store();
    let mut both = Both {
        guard: UserLocks::new(None, Duration::from_secs(1)).acquire(user).await.unwrap(),
        database,
        store,
        user,
        spec: User::default(),
        states: Vec::new(),
        dues: Vec::new(),
        claims: Vec::new(),
        batch: BatchId(0),
    };
    for (step, operation) in operations.iter().enumerate() {
        both.apply(operation).await;
        let state = both.store.snapshot(user).await.unwrap().state;
        assert_eq!(both.stored(&state).await, both.spec, "after step {step}, {operation:?}");
        for list in 0..=MAX_LIST {
            let digest = spec::digest(list);
            let result = decision::Calculated { digest: &digest, has_careers: list > 0 };
            let specified = decision::action(&both.spec.state(state.now), result, false);
            assert_eq!(
                decision::action(&state, result, false),
                specified,
                "after step {step}, {operation:?}"
            );
        }
    }
    both.store.close().await;
}

/// A user in a database and in the specification.
struct Both<'a> {
    guard: UserGuard,
    database: &'a TestDatabase,
    store: Arc<dyn Store>,
    user: UserId,
    spec: User,
    /// Read earlier, in the database and in the specification, and possibly used later; newest last.
    states: Vec<(UserState, UserState)>,
    dues: Vec<DueUser>,
    claims: Vec<(DueUser, u8)>,
    batch: BatchId,
}

/// The `nth` newest.
fn newest<T: Clone>(read: &[T], nth: usize) -> Option<T> {
    read.iter().rev().nth(nth).cloned()
}

impl Both<'_> {
    async fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::RequestRun { in_a_group: false } => {
                assert_eq!(self.store.request_run(self.user).await.unwrap(), self.spec.request_run());
            }
            Operation::RequestRun { in_a_group: true } => {
                assert!(self.store.request_runs_with_careers(&[self.user]).await.unwrap(), "it has a career");
                self.spec.request_run();
            }
            Operation::ReadState => {
                let state = self.store.snapshot(self.user).await.unwrap().state;
                let specified = self.spec.state(state.now);
                self.states.push((state, specified));
            }
            Operation::Replace { state, list, catalogue, scoring, in_a_group } => {
                let Some((state, specified)) = newest(&self.states, state) else { return };
                let stored = basis(&state, catalogue, scoring).under(&self.guard);
                let serves_seq = stored.serves_seq;
                let replacement = stored.replacement(rows(list), spec::digest(list).into());
                let written = if in_a_group {
                    let group = [Arc::new(Write::Replace(replacement))];
                    match self.store.write_together(&group).await.unwrap() {
                        Some(changes) => Written::Committed(changes[0]),
                        // A group does not wait for those whose triggers have moved on.
                        None if self.spec.state(state.now).requested_seq() > serves_seq => return,
                        None => Written::Lost,
                    }
                } else {
                    self.store.replace(&replacement).await.unwrap()
                };
                same_fate(written, self.spec.replace(&basis(&specified, catalogue, scoring), list));
            }
            Operation::Confirm { state, catalogue, scoring, in_a_group } => {
                let Some((state, _)) = newest(&self.states, state) else { return };
                let basis = basis(&state, catalogue, scoring).under(&self.guard);
                let group = [Arc::new(Write::Confirm(basis.confirmation()))];
                if in_a_group && self.store.write_together(&group).await.unwrap().is_none() {
                    // A group does not wait for those whose list or triggers have moved on.
                    let now = self.spec.state(state.now);
                    let unchanged = now.recorded.is_some()
                        && now.token().version == basis.expected.version
                        && now.requested_seq() == basis.serves_seq;
                    assert!(!unchanged, "not confirmed: {now:?}");
                } else if in_a_group {
                    same_fate(Written::Committed(RowChanges::default()), self.spec.confirm(&basis));
                } else {
                    let stored = self.store.confirm(&basis.confirmation()).await;
                    same_fate(stored.unwrap(), self.spec.confirm(&basis));
                }
            }
            Operation::Look { scoring } => self.look(scoring).await,
            Operation::Claim { due, scoring } => self.claim(due, scoring).await,
            Operation::Take => {
                self.look(NEWEST).await;
                self.claim(0, NEWEST).await;
            }
            Operation::GiveBack { claim, how } => {
                let Some((due, token)) = newest(&self.claims, claim) else { return };
                let how = how.give_back();
                self.store.give_back(&due, &token.to_string(), &how).await.unwrap();
                self.spec.give_back(&due, token, &how);
            }
            Operation::RetryParked => {
                let parked = self.spec.recorded.as_ref().is_some_and(|recorded| recorded.parked);
                let retried = self.store.retry_parked(None, None).await.unwrap();
                assert_eq!(retried.map_or(0, |retried| retried.users), u64::from(parked));
                self.spec.retry_parked();
            }
            Operation::ExpireLease => {
                self.set(&format!("lease_until = {} WHERE lease_until IS NOT NULL AND", self.long_ago()))
                    .await;
                self.spec.expire_lease();
            }
            Operation::EndPause => {
                self.set(&format!("due_at = {} WHERE due_at IS NOT NULL AND", self.long_ago())).await;
                self.spec.end_pause();
            }
            Operation::Batch => self.mark_in_a_batch().await,
            Operation::FinishBatch => {
                let waits = self
                    .spec
                    .recorded
                    .as_ref()
                    .is_some_and(|row| row.lane == Lane::Batch && row.due != Due::No);
                if let Some(running) = self.store.running_batch().await.unwrap() {
                    assert_eq!(self.store.finish_batch(running).await.unwrap(), !waits);
                }
            }
            Operation::RemoveLists { old } => {
                let state = self.store.snapshot(self.user).await.unwrap().state;
                let verified = state.recorded.and_then(|recorded| recorded.verified_at).unwrap_or(state.now);
                let since = verified + TimeDelta::seconds(i64::from(old));
                let cleaned = self.store.clean_up(self.before(), Some(since)).await.unwrap();
                let (lists, altered) = cleaned.map_or((0, 0), |cleaned| (cleaned.lists, cleaned.altered));
                assert_eq!(lists, u64::from(self.spec.remove_list(since)));
                assert_eq!(altered, u64::from(self.spec.notice_altered()));
            }
            Operation::RemoveDanglingRows => {
                // Of a list that is altered the specification does not know how many rows are left: some are.
                if self.database.row_count(self.user.get()).await < 2 {
                    return;
                }
                // Other lists need the listing: the row is given one that never was.
                self.change_a_row("job_listing_id = 999999").await;
                let cleaned = self.store.clean_up(self.before(), None).await.unwrap().unwrap();
                assert_eq!(cleaned.rows, 1);
                self.spec.remove_dangling_rows(self.catalogue_version().await);
            }
            Operation::AlterRow => {
                if self.database.row_count(self.user.get()).await > 0 {
                    self.change_a_row("match_score = 1").await;
                    self.spec.list.altered = true;
                }
            }
        }
    }

    async fn look(&mut self, scoring: u8) {
        let mut due = Vec::new();
        for lane in [Lane::RealTime, Lane::Batch] {
            due.extend(self.store.due_users(lane, ScoringRevision(scoring.into()), u32::MAX).await.unwrap());
        }
        due.retain(|due| due.user == self.user);
        assert_eq!(due.first().copied(), self.spec.due(self.user, ScoringRevision(scoring.into())));
        self.dues.extend(due);
    }

    async fn claim(&mut self, nth: usize, scoring: u8) {
        let Some(due) = newest(&self.dues, nth) else { return };
        let token = u8::try_from(self.claims.len()).unwrap();
        let lease = Lease { token: token.to_string(), duration: Duration::from_secs(600) };
        let scoring = ScoringRevision(scoring.into());
        let claimed = self.store.claim(&due, &lease, scoring).await.unwrap();
        assert_eq!(claimed, self.spec.claim(&due, token, scoring));
        // A lease that was refused is also given back now and then, which must have no effect.
        self.claims.push((due, token));
    }

    async fn catalogue_version(&self) -> u8 {
        let newest = self.database.numbers("SELECT version FROM catalogue_state").await;
        newest.first().map_or(0, |version| u8::try_from(*version).unwrap())
    }

    /// The clean-up that starts after this one reaches the user first.
    fn before(&self) -> Option<UserId> {
        UserId::try_from(self.user.get() - 1).ok()
    }

    async fn mark_in_a_batch(&mut self) {
        let opened = self.store.open_batch(&BatchScope::Listed(vec![self.user])).await.unwrap();
        while self.store.mark_batch(opened.id).await.unwrap() == Marking::Going {}
        // A caller that joins a batch whose users have been marked finds nothing to mark.
        assert_eq!(opened.joined, opened.id == self.batch);
        if !opened.joined {
            self.batch = opened.id;
            self.spec.mark_due(u16::try_from(opened.id.0).unwrap());
        }
    }

    async fn set(&self, change: &str) {
        let user = self.user;
        self.database.execute(&format!("UPDATE recommendation_state SET {change} user_id = {user}")).await;
    }

    async fn change_a_row(&self, change: &str) {
        let user = self.user;
        let first =
            format!("SELECT MIN(job_listing_id) FROM user_job_recommendations WHERE user_id = {user}");
        let listing = self.database.number(&first).await;
        self.database
            .execute(&format!(
                "UPDATE user_job_recommendations SET {change} WHERE user_id = {user} AND job_listing_id = {listing}"
            ))
            .await;
    }

    fn long_ago(&self) -> &'static str {
        if self.database.kind == Kind::Sqlite {
            "'2020-01-01T00:00:00.000Z'"
        } else {
            "'2020-01-01 00:00:00'"
        }
    }

    /// The user as the database holds it.
    async fn stored(&self, state: &UserState) -> User {
        let (user, now) = (
            self.user,
            if self.database.kind == Kind::Sqlite {
                "strftime('%Y-%m-%dT%H:%M:%fZ')"
            } else {
                "UTC_TIMESTAMP(6)"
            },
        );
        let ids =
            format!("SELECT job_listing_id FROM user_job_recommendations WHERE user_id = {user} ORDER BY 1");
        let ids = self.database.numbers(&ids).await;
        let mut list = self.spec.list;
        if !list.altered {
            list.number = u8::try_from(ids.len()).unwrap();
            assert_eq!(ids, rows(list.number).iter().map(|row| row.listing_id.0).collect::<Vec<_>>());
        }
        let columns = format!(
            "SELECT CONCAT_WS(' ', CASE WHEN due_at IS NULL THEN 'no' WHEN due_at <= {now} THEN 'now' \
                                        ELSE 'later' END, \
                    lane, CASE WHEN requested_at IS NULL THEN 0 ELSE 1 END, attempts, \
                    CASE WHEN parked_at IS NULL THEN 0 ELSE 1 END, COALESCE(batch_id, '-'), \
                    COALESCE(last_error_code, '-'), COALESCE(lease_token, '-'), \
                    CASE WHEN lease_until <= {now} THEN 1 ELSE 0 END) \
             FROM recommendation_state WHERE user_id = {user}"
        );
        let columns = self.database.texts(&columns).await.pop();
        let Some((recorded, columns)) = state.recorded.clone().zip(columns) else {
            assert_eq!(state.recorded, None);
            return User { recorded: None, list };
        };
        let columns: Vec<&str> = columns.split(' ').collect();
        let [due, lane, waiting, attempts, parked, batch, error, token, over] = columns[..] else {
            panic!("{columns:?}")
        };
        let number = |text: &str| text.parse::<u8>().ok();
        let row = spec::Recorded {
            version: u16::try_from(recorded.token.version).unwrap(),
            confirmations: u16::try_from(recorded.token.confirmations).unwrap(),
            digest: recorded.result_digest.map(|digest| digest.trim_end().parse().unwrap()),
            catalogue_version: u8::try_from(recorded.catalogue_version.0).unwrap(),
            scoring_revision: u8::try_from(recorded.scoring_revision.0).unwrap(),
            requested_seq: u16::try_from(recorded.requested_seq).unwrap(),
            completed_seq: u16::try_from(recorded.completed_seq).unwrap(),
            calculated_at: recorded.calculated_at,
            verified_at: recorded.verified_at,
            due: match due {
                "no" => Due::No,
                "now" => Due::Now,
                _ => Due::Later,
            },
            waiting: waiting == "1",
            lane: if lane == "0" { Lane::RealTime } else { Lane::Batch },
            lease: number(token).map(|token| spec::Lease { token, over: over == "1" }),
            attempts: attempts.parse().unwrap(),
            parked: parked == "1",
            error: ["failed", "parked"].into_iter().find(|code| *code == error),
            batch: batch.parse().ok(),
        };
        User { recorded: Some(row), list }
    }
}

fn basis(state: &UserState, catalogue: u8, scoring: u8) -> Basis {
    state.basis(CatalogueVersion(catalogue.into()), ScoringRevision(scoring.into()))
}

fn same_fate(stored: Written, specified: Written) {
    assert_eq!(stored == Written::Lost, specified == Written::Lost, "{stored:?}, not {specified:?}");
}

/// The list `number`: the first `number` listings, each with the number in its text.
fn rows(number: u8) -> Vec<Recommendation> {
    let row = |id: u8| Recommendation {
        listing_id: ListingId(id.into()),
        score: Score(5_000),
        reason: format!("목록 {number}"),
        data: "{}".to_owned(),
    };
    (1..=number).map(row).collect()
}
