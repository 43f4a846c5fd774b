//! The conformance suite of the `Store` boundary: the same behaviour on every backend.

use std::sync::Arc;
use std::time::Duration;

use job_agent::coordination::{UserGuard, UserLocks};
use job_agent::domain::{CatalogueVersion, Lane, ListingId, Recommendation, Score, ScoringRevision, UserId};
use job_agent::storage::{
    Basis, RowChanges, RowsFingerprint, Snapshot, Store, StoreError, StoreErrorKind, UserState, Write,
    Written,
};
use serde_json::json;

use crate::listings::Held;
use crate::support::{Kind, TestDatabase, USER, on_every_database};

on_every_database!(
    migrating_twice_and_at_the_same_time_is_harmless,
    a_new_user_has_no_state,
    a_replacement_writes_only_the_difference,
    a_replacement_of_an_older_version_is_lost_and_writes_nothing,
    a_confirmation_makes_older_runs_lose,
    a_replacement_serves_only_the_triggers_it_has_read,
    of_many_replacements_at_once_exactly_one_wins,
    several_users_are_written_together_or_not_at_all,
    replacements_in_a_group_count_as_each_alone,
    confirmations_in_a_group_count_as_each_alone,
    triggers_in_a_group_are_recorded_for_users_with_careers,
    a_snapshot_is_of_one_moment,
    snapshots_of_several_users_are_those_of_each,
    a_hand_made_change_of_a_row_shows_in_the_state,
    triggers_are_due_until_they_are_served,
    users_of_a_newer_scoring_are_not_due_here,
    rows_keep_every_text_that_ranking_can_write,
    a_listing_that_is_gone_is_not_listed;
    servers:
        snapshots_of_several_users_miss_no_column_and_no_table,
        a_statement_that_waits_too_long_for_a_row_is_a_conflict,
        rows_that_an_older_version_has_replaced_are_all_written,
        neighbouring_users_do_not_deadlock,
        tables_of_the_old_service_are_used_as_they_are,
        a_lost_catalogue_number_starts_above_all_that_users_have_seen,
);

fn user(id: i64) -> UserId {
    id.try_into().unwrap()
}

async fn guard(id: i64) -> UserGuard {
    UserLocks::new(None, Duration::from_secs(1)).acquire(user(id)).await.unwrap()
}

fn rows(scores: &[(i64, u16)]) -> Vec<Recommendation> {
    let row = |&(id, score): &(i64, u16)| Recommendation {
        listing_id: ListingId(id),
        score: Score(score),
        reason: format!("이유 {score}"),
        data: json!({"matchedCareer": "간호사"}).to_string(),
    };
    scores.iter().map(row).collect()
}

async fn replace(
    store: &Arc<dyn Store>,
    id: i64,
    state: &UserState,
    rows: &[Recommendation],
) -> Result<Written, StoreError> {
    let guard = guard(id).await;
    store.replace(&basis(state, 7).under(&guard).replacement(rows.to_vec(), "digest".into())).await
}

async fn confirm(store: &Arc<dyn Store>, id: i64, state: &UserState) -> Written {
    let guard = guard(id).await;
    store.confirm(&basis(state, 8).under(&guard).confirmation()).await.unwrap()
}

fn basis(state: &UserState, catalogue_version: i64) -> Basis {
    state.basis(CatalogueVersion(catalogue_version), ScoringRevision(3))
}

async fn migrating_twice_and_at_the_same_time_is_harmless(database: TestDatabase) {
    let bare = TestDatabase::create_bare(database.kind).await;
    let (one, other) = (bare.store(), bare.store());
    if bare.kind == Kind::Sqlite {
        // An embedded file belongs to one process.
        one.migrate().await.unwrap();
    } else {
        let (one, other) = tokio::join!(one.migrate(), other.migrate());
        one.and(other).unwrap();
    }
    bare.store().migrate().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the database's clock is held against this machine's")]
async fn a_new_user_has_no_state(database: TestDatabase) {
    let state = database.store().snapshot(user(USER)).await.unwrap().state;
    assert_eq!((state.recorded, state.rows), (None, RowsFingerprint::default()));
    assert!((chrono::Utc::now() - state.now).num_seconds().abs() < 60, "the database's clock is UTC");
}

async fn a_replacement_writes_only_the_difference(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    let written = replace(&store, USER, &state, &rows(&[(1, 50), (2, 60), (3, 70)])).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { inserted: 3, updated: 0, deleted: 0 }));

    let state = store.snapshot(user(USER)).await.unwrap().state;
    let recorded = state.recorded.clone().unwrap();
    assert_eq!((recorded.token.version, state.rows.count), (1, 3));
    assert_eq!(
        (recorded.catalogue_version, recorded.scoring_revision),
        (CatalogueVersion(7), ScoringRevision(3))
    );
    assert_eq!(recorded.result_digest.as_deref(), Some("digest"));
    assert_eq!(recorded.rows, Some(state.rows), "the rows are those that were written");
    assert!(recorded.calculated_at.is_some() && recorded.verified_at.is_some());

    let written = replace(&store, USER, &state, &rows(&[(2, 60), (3, 71), (4, 80)])).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { inserted: 1, updated: 1, deleted: 1 }));
    let stored =
        format!("SELECT job_listing_id FROM user_job_recommendations WHERE user_id = {USER} ORDER BY 1");
    assert_eq!(database.numbers(&stored).await, [2, 3, 4], "the rows are the newest list");

    let state = store.snapshot(user(USER)).await.unwrap().state;
    let written = replace(&store, USER, &state, &rows(&[(2, 60)])).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { inserted: 0, updated: 0, deleted: 2 }));
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert_eq!(state.recorded.unwrap().rows, Some(state.rows));

    let state = store.snapshot(user(USER)).await.unwrap().state;
    let written = replace(&store, USER, &state, &[]).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { inserted: 0, updated: 0, deleted: 1 }));
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert_eq!(
        (state.rows, state.recorded.unwrap().rows),
        (RowsFingerprint::default(), Some(RowsFingerprint::default()))
    );
}

async fn a_replacement_of_an_older_version_is_lost_and_writes_nothing(database: TestDatabase) {
    let store = database.store();
    let old = store.snapshot(user(USER)).await.unwrap().state;
    let written = replace(&store, USER, &old, &rows(&[(1, 50)])).await.unwrap();
    assert!(matches!(written, Written::Committed(_)));
    assert_eq!(replace(&store, USER, &old, &rows(&[(2, 60)])).await.unwrap(), Written::Lost);
    assert_eq!(
        database.numbers("SELECT job_listing_id FROM user_job_recommendations").await,
        [1],
        "the losing run has written no row"
    );
    assert_eq!(database.state(USER, "version").await, 1, "one run has written");
}

async fn a_confirmation_makes_older_runs_lose(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap(), Written::Committed(_)));
    let seen_by_both = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(confirm(&store, USER, &seen_by_both).await, Written::Committed(_)));
    assert_eq!(replace(&store, USER, &seen_by_both, &rows(&[(2, 60)])).await.unwrap(), Written::Lost);
    // Another run that finds the same does no harm.
    assert!(matches!(confirm(&store, USER, &seen_by_both).await, Written::Committed(_)));
    assert_eq!(
        database.state(USER, "catalogue_version").await,
        8,
        "a confirmation records the catalogue that it has seen"
    );
    assert_eq!(
        database.numbers("SELECT job_listing_id FROM user_job_recommendations").await,
        [1],
        "the losing run has written no row"
    );
    let newest = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(
        replace(&store, USER, &newest, &rows(&[(2, 60)])).await.unwrap(),
        Written::Committed(_)
    ));
    assert_eq!(
        confirm(&store, USER, &newest).await,
        Written::Lost,
        "what it found current has been replaced"
    );
}

async fn a_replacement_serves_only_the_triggers_it_has_read(database: TestDatabase) {
    let store = database.store();
    assert_eq!(store.request_run(user(USER)).await.unwrap(), 1);
    let state = store.snapshot(user(USER)).await.unwrap().state;
    // A trigger that comes in while the run calculates.
    assert_eq!(store.request_run(user(USER)).await.unwrap(), 2);
    assert!(matches!(replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap(), Written::Committed(_)));
    assert_eq!(
        (database.state(USER, "completed_seq").await, database.state(USER, "requested_seq").await),
        (1, 2)
    );
    assert_eq!(due(&store, 99).await, [user(USER)]);
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(confirm(&store, USER, &state).await, Written::Committed(_)));
    assert_eq!(database.state(USER, "completed_seq").await, 2, "the confirmation serves the second trigger");
    assert!(due(&store, 99).await.is_empty());
}

async fn of_many_replacements_at_once_exactly_one_wins(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    let attempts = (0..8).map(|n| {
        let (store, state) = (store.clone(), state.clone());
        tokio::spawn(async move { replace(&store, USER, &state, &rows(&[(n, 50), (n + 100, 60)])).await })
    });
    let mut won = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(Written::Committed(changes)) => {
                assert_eq!(changes.inserted, 2);
                won += 1;
            }
            Ok(Written::Lost) => {}
            Err(error) if error.kind() == StoreErrorKind::Conflict => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(
        (won, database.row_count(USER).await, database.state(USER, "version").await),
        (1, 2, 1),
        "one winner, its two rows, one version"
    );
}

/// More than go into one statement.
const SEVERAL: i64 = 20;

/// Users with and without each part of a snapshot.
async fn several_users(database: &TestDatabase) -> Vec<UserId> {
    let store = database.store();
    for id in USER..USER + SEVERAL {
        if id % 2 == 0 {
            database.set_career(id, "간호사").await;
        }
        if id % 3 == 0 {
            database
                .add_analysis(id, &json!([{"careerName": format!("직업 {id}")}]).to_string(), "[]", 3)
                .await;
            database.add_analysis(id, &json!([{"careerName": "이전"}]).to_string(), "[\"요리\"]", 2).await;
        }
        if id % 4 == 0 {
            let state = store.snapshot(user(id)).await.unwrap().state;
            let written = replace(&store, id, &state, &rows(&[(1, 50), (id, 60)])).await.unwrap();
            assert!(matches!(written, Written::Committed(_)));
        }
        if id % 5 == 0 {
            store.request_run(user(id)).await.unwrap();
        }
    }
    for number in 0..12 {
        let career = format!(
            "INSERT INTO job_recommendations (user_id, job_name, match_score) VALUES ({USER}, '직업 {number}', {})",
            50 + number / 2
        );
        database.execute(&career).await;
    }
    let profile = "INSERT INTO profile_analysis (user_id, interests, summary) VALUES";
    database.execute(&format!("{profile} ({}, '[\"음악\"]', '3년 일했습니다')", USER + 1)).await;
    (USER..USER + SEVERAL).rev().map(user).collect()
}

/// The snapshots of all, and of each alone, without the moment at which they were read.
async fn both_snapshots(store: &Arc<dyn Store>, users: &[UserId]) -> (Vec<Snapshot>, Vec<Snapshot>) {
    let mut together = store.snapshots(users).await.unwrap();
    let mut alone = Vec::new();
    for user in users {
        alone.push(store.snapshot(*user).await.unwrap());
    }
    for snapshot in together.iter_mut().chain(&mut alone) {
        assert!(snapshot.state.now > chrono::DateTime::UNIX_EPOCH);
        snapshot.state.now = chrono::DateTime::UNIX_EPOCH;
    }
    (together, alone)
}

async fn snapshots_of_several_users_are_those_of_each(database: TestDatabase) {
    let (store, users) = (database.store(), several_users(&database).await);
    let (together, alone) = both_snapshots(&store, &users).await;
    assert_eq!(together, alone);
    assert!(alone.iter().any(|snapshot| snapshot.state.listed.len() == 2));
    assert!(alone.iter().any(|snapshot| snapshot.analysis.job_recommendations.len() == 10));
    assert!(alone.iter().any(|snapshot| snapshot.analysis.career_analysis.is_some()));
    assert!(alone.iter().any(|snapshot| snapshot.analysis.profile.is_some()));
    assert_eq!(store.snapshots(&[]).await.unwrap(), []);
}

async fn snapshots_of_several_users_miss_no_column_and_no_table(database: TestDatabase) {
    let (store, users) = (database.store(), several_users(&database).await);
    // The database finds this text equal to the user's id.
    let odd = users.iter().find(|user| user.get() % 3 == 0).unwrap();
    let equal = if database.kind == Kind::Mysql {
        odd.to_string().chars().map(|digit| char::from_u32(digit as u32 + 0xFEE0).unwrap()).collect()
    } else {
        format!("{odd} ")
    };
    let rename = |from: &str, to: &str| {
        format!("UPDATE career_sessions SET user_id = '{to}' WHERE user_id = '{from}'")
    };
    database.execute(&rename(&odd.to_string(), &equal)).await;
    assert!(store.snapshot(*odd).await.unwrap().analysis.career_analysis.is_some());
    assert_eq!(store.snapshots(&users).await.unwrap_err().kind(), StoreErrorKind::Refused);
    database.execute(&rename(&equal, &odd.to_string())).await;

    for change in [
        "ALTER TABLE job_recommendations DROP COLUMN category, DROP COLUMN match_score",
        "ALTER TABLE profile_analysis DROP COLUMN goals, DROP COLUMN updated_at, DROP COLUMN id",
        "ALTER TABLE career_analyses DROP COLUMN analyzed_at",
        "DROP TABLE career_analyses",
        "DROP TABLE profile_analysis",
        "DROP TABLE job_recommendations",
    ] {
        database.execute(change).await;
        let (together, alone) = both_snapshots(&store, &users).await;
        assert_eq!(together, alone, "{change}");
    }
}

async fn a_hand_made_change_of_a_row_shows_in_the_state(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap(), Written::Committed(_)));
    database.execute("UPDATE user_job_recommendations SET match_score = 1").await;
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert_ne!(state.recorded.clone().unwrap().rows, Some(state.rows));
    let written = replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { inserted: 0, updated: 1, deleted: 0 }));
}

/// Users of the real-time lane whom a worker with this scoring may take.
async fn due(store: &Arc<dyn Store>, scoring_revision: i64) -> Vec<UserId> {
    let due = store.due_users(Lane::RealTime, ScoringRevision(scoring_revision), 10).await.unwrap();
    due.into_iter().map(|due| due.user).collect()
}

async fn triggers_are_due_until_they_are_served(database: TestDatabase) {
    let store = database.store();
    for id in [USER, USER + 1] {
        store.request_run(user(id)).await.unwrap();
    }
    assert_eq!(due(&store, 99).await, [user(USER), user(USER + 1)], "longest due first");
    assert_eq!(store.due_users(Lane::RealTime, ScoringRevision(99), 1).await.unwrap().len(), 1);
    assert!(store.due_users(Lane::Batch, ScoringRevision(99), 10).await.unwrap().is_empty());
}

async fn users_of_a_newer_scoring_are_not_due_here(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap(), Written::Committed(_)));
    store.request_run(user(USER)).await.unwrap();
    assert!(due(&store, 2).await.is_empty());
    assert_eq!(due(&store, 3).await, [user(USER)]);
}

async fn several_users_are_written_together_or_not_at_all(database: TestDatabase) {
    const OTHER: i64 = USER + 1;
    let store = database.store();
    let guards = (guard(USER).await, guard(OTHER).await);
    let read = async |id| store.snapshot(user(id)).await.unwrap().state;
    let replacement = |state: &UserState, guard, score| {
        let rows = rows(&[(1, score), (2, score)]);
        Arc::new(Write::Replace(basis(state, 7).under(guard).replacement(rows, "digest".into())))
    };
    let (one, other) = (read(USER).await, read(OTHER).await);
    // Not in the order of their ids.
    let writes = [replacement(&other, &guards.1, 60), replacement(&one, &guards.0, 50)];
    let changes = store.write_together(&writes).await.unwrap().expect("both win");
    assert_eq!(changes, [RowChanges { inserted: 2, ..RowChanges::default() }; 2]);
    assert_eq!((database.row_count(USER).await, database.row_count(OTHER).await), (2, 2));

    // The other user's list has been replaced since: neither is written.
    let confirm = Arc::new(Write::Confirm(basis(&read(USER).await, 7).under(&guards.0).confirmation()));
    let stale = replacement(&other, &guards.1, 70);
    assert_eq!(store.write_together(&[confirm, stale]).await.unwrap(), None);
    for id in [USER, OTHER] {
        let token = read(id).await.token();
        assert_eq!((token.version, token.confirmations), (1, 0));
    }
    let scores = store.stored_list(user(OTHER), 10, 0).await.unwrap();
    assert!(scores.rows.iter().all(|row| row.match_score == 0.6), "{scores:?}");
}

async fn replacements_in_a_group_count_as_each_alone(database: TestDatabase) {
    const USERS: i64 = 20;
    let store = database.store();
    let mut guards = Vec::new();
    for of_group in 0..USERS {
        guards.push(guard(USER + of_group).await);
    }
    // Of every second user all rows change, of the others a few.
    let list = |of_group: i64, round: i64| -> Vec<Recommendation> {
        let (from, changed) = if of_group % 2 == 0 { (round * 50, 50) } else { (round * 3, 6) };
        let score = |id| if id < from + changed { 50 + round } else { 40 } as u16;
        rows(&(from..from + 50).map(|id| (1_000_000 + id, score(id))).collect::<Vec<_>>())
    };
    for round in 0..3 {
        let (mut group, mut alone, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for (of_group, guard) in (0..USERS).zip(&guards) {
            store.request_run(user(USER + of_group)).await.unwrap();
            let state = store.snapshot(user(USER + of_group)).await.unwrap().state;
            let replacement =
                basis(&state, 7).under(guard).replacement(list(of_group, round), "digest".into());
            group.push(Arc::new(Write::Replace(replacement)));
            states.push(state);
            let twin = USER + USERS + of_group;
            let state = store.snapshot(user(twin)).await.unwrap().state;
            match replace(&store, twin, &state, &list(of_group, round)).await.unwrap() {
                Written::Committed(changes) => alone.push(changes),
                Written::Lost => panic!("nobody else writes"),
            }
        }
        assert_eq!(store.write_together(&group).await.unwrap(), Some(alone));
        for (of_group, read) in (0..USERS).zip(&states) {
            let state = store.snapshot(user(USER + of_group)).await.unwrap().state;
            let twin = store.snapshot(user(USER + USERS + of_group)).await.unwrap().state;
            assert!(state.is_intact());
            assert_eq!((state.rows, &state.listed), (twin.rows, &twin.listed));
            let (recorded, of_twin) = (state.recorded.unwrap(), twin.recorded.unwrap());
            assert_eq!((recorded.requested_seq, recorded.completed_seq), (round + 1, round + 1));
            assert_eq!((recorded.calculated_at, recorded.verified_at), (Some(read.now), Some(read.now)));
            assert_eq!((recorded.token, recorded.rows), (of_twin.token, of_twin.rows));
            assert_eq!(recorded.result_digest, of_twin.result_digest);
        }
    }
    assert!(due(&store, 99).await.is_empty());
}

async fn confirmations_in_a_group_count_as_each_alone(database: TestDatabase) {
    const IDS: [i64; 3] = [USER + 2, USER, USER + 1];
    let store = database.store();
    let (mut guards, mut states) = (Vec::new(), Vec::new());
    for id in IDS {
        let state = store.snapshot(user(id)).await.unwrap().state;
        let replaced = replace(&store, id, &state, &rows(&[(1, 50)])).await.unwrap();
        assert!(matches!(replaced, Written::Committed(_)));
        store.request_run(user(id)).await.unwrap();
        guards.push(guard(id).await);
        states.push(store.snapshot(user(id)).await.unwrap().state);
    }
    let confirmations: Vec<Arc<Write>> = states
        .iter()
        .zip(&guards)
        .map(|(state, guard)| Arc::new(Write::Confirm(basis(state, 9).under(guard).confirmation())))
        .collect();
    let changes = store.write_together(&confirmations).await.unwrap();
    assert_eq!(changes, Some(vec![RowChanges::default(); confirmations.len()]));
    for (id, read) in IDS.into_iter().zip(&states) {
        let state = store.snapshot(user(id)).await.unwrap().state;
        let recorded = state.recorded.as_ref().unwrap();
        assert_eq!((recorded.token.version, recorded.token.confirmations), (1, 1));
        assert_eq!((recorded.requested_seq, recorded.completed_seq), (1, 1));
        assert_eq!(recorded.catalogue_version, CatalogueVersion(9));
        assert_eq!(recorded.verified_at, Some(read.now));
        assert!(state.is_intact());
    }
    assert!(due(&store, 99).await.is_empty());

    // A list that has been replaced since is not confirmed, and the group says that it does not know.
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &rows(&[(2, 50)])).await.unwrap(), Written::Committed(_)));
    assert_eq!(store.write_together(&confirmations).await.unwrap(), None);
    assert_eq!(store.snapshot(user(USER)).await.unwrap().state.token().confirmations, 1);
}

async fn triggers_in_a_group_are_recorded_for_users_with_careers(database: TestDatabase) {
    let store = database.store();
    for (id, career) in [(USER, "간호사"), (USER + 1, "교사"), (USER + 2, " ")] {
        database.set_career(id, career).await;
    }
    let [one, other, nameless, unknown] = [0, 1, 2, 3].map(|offset| user(USER + offset));
    for nothing in [nameless, unknown] {
        assert!(!store.request_runs_with_careers(&[nothing]).await.unwrap());
        assert_eq!(store.user_status(nothing).await.unwrap(), None, "no trace");
    }
    for each in [one, other] {
        assert!(store.request_runs_with_careers(&[each]).await.unwrap());
    }
    // A user that asks twice is recorded once, and one that cannot be recorded is told apart.
    assert!(store.request_runs_with_careers(&[other, one, other]).await.unwrap());
    assert!(!store.request_runs_with_careers(&[one, other, nameless]).await.unwrap());
    assert_eq!(due(&store, 99).await, [one, other]);
    for id in [USER, USER + 1] {
        assert_eq!(database.state(id, "requested_seq").await, 3);
    }
    // Of several, a user without a state may count as not known.
    database.set_career(USER + 3, "간호사").await;
    let _ = store.request_runs_with_careers(&[one, unknown]).await.unwrap();
    assert_eq!(due(&store, 99).await.last(), Some(&unknown));
}

/// A writer moves the state and the inputs in one transaction, again and again.
async fn a_snapshot_is_of_one_moment(database: TestDatabase) {
    let store = database.store();
    database.set_career(USER, "0").await;
    store.request_run(user(USER)).await.unwrap();
    let writer = async {
        for round in 1..=60 {
            database
                .transaction(&[
                    &format!("UPDATE job_recommendations SET job_name = '{round}' WHERE user_id = {USER}"),
                    &format!("UPDATE recommendation_state SET version = {round} WHERE user_id = {USER}"),
                ])
                .await;
        }
    };
    let mut writer = std::pin::pin!(writer);
    let mut seen = 0;
    loop {
        let read = store.snapshot(user(USER));
        let snapshot = tokio::select! {
            () = &mut writer => break,
            read = read => read.unwrap(),
        };
        let career = snapshot.analysis.job_recommendations[0].job_name.clone();
        assert_eq!(career, Some(snapshot.state.token().version.to_string()));
        seen += 1;
    }
    assert!(seen > 0);
}

/// During a rolling deploy, an instance that does not know the digests of rows replaces the list.
async fn rows_that_an_older_version_has_replaced_are_all_written(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    let wanted = rows(&[(1, 50), (2, 60)]);
    assert!(matches!(replace(&store, USER, &state, &wanted).await.unwrap(), Written::Committed(_)));
    let digests = "SELECT row_digests FROM (SELECT row_digests FROM recommendation_state) AS s";
    // Another list of the same listings, and the digests as they were.
    let state = store.snapshot(user(USER)).await.unwrap().state;
    database.execute(&format!("CREATE TABLE kept AS {digests}")).await;
    assert!(matches!(
        replace(&store, USER, &state, &rows(&[(1, 51), (2, 60)])).await.unwrap(),
        Written::Committed(RowChanges { updated: 1, .. })
    ));
    database.execute("UPDATE recommendation_state SET row_digests = (SELECT row_digests FROM kept)").await;
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(state.is_intact());
    let written = replace(&store, USER, &state, &wanted).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { updated: 2, ..RowChanges::default() }));
    let state = store.snapshot(user(USER)).await.unwrap().state;
    let again = replace(&store, USER, &state, &wanted).await.unwrap();
    assert_eq!(again, Written::Committed(RowChanges::default()));
}

async fn a_lost_catalogue_number_starts_above_all_that_users_have_seen(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap(), Written::Committed(_)));
    database.execute("UPDATE recommendation_state SET catalogue_version = 900").await;
    database.execute("DELETE FROM catalogue_state").await;
    assert_eq!(Held::read(&store).await.1, CatalogueVersion(901));
}

async fn rows_keep_every_text_that_ranking_can_write(database: TestDatabase) {
    let store = database.store();
    let mut wanted = rows(&[(1, 9_999), (2, 0), (3, 10_000), (4, 1_501)]);
    wanted[0].reason = "따옴표 ' \" 역슬래시 \\ 줄\n바꿈 😀 과/와".into();
    wanted[0].data = json!({
        "breakdown": {"title": 65.12, "skills": 0.0, "n": 18, "q": 17.28},
        "matchedWords": ["a\\b", "\"", "😀", "한글", ""],
    })
    .to_string();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &wanted).await.unwrap(), Written::Committed(_)));
    // The rows are read back as written; otherwise the next difference would not be empty.
    let state = store.snapshot(user(USER)).await.unwrap().state;
    let again = replace(&store, USER, &state, &wanted).await.unwrap();
    assert_eq!(again, Written::Committed(RowChanges::default()));
    let list = store.stored_list(user(USER), 100, 0).await.unwrap();
    let scores: Vec<f64> = list.rows.iter().map(|row| row.match_score).collect();
    assert_eq!(scores, [100.0, 99.99, 15.01, 0.0]);
    assert_eq!(list.rows[1].match_reason, wanted[0].reason);
    let data: serde_json::Value = serde_json::from_str(&list.rows[1].data).unwrap();
    assert_eq!(data, serde_json::Value::Object(wanted[0].parsed_data()));
}

async fn a_listing_that_is_gone_is_not_listed(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(
        replace(&store, USER, &state, &rows(&[(1, 50), (2, 60)])).await.unwrap(),
        Written::Committed(_)
    ));
    database.execute("DELETE FROM job_listings WHERE id = 2").await;
    let list = store.stored_list(user(USER), 100, 0).await.unwrap();
    assert_eq!((list.stored_count, list.rows.len(), list.rows[0].listing_id), (2, 1, ListingId(1)));
}

async fn a_statement_that_waits_too_long_for_a_row_is_a_conflict(database: TestDatabase) {
    let store = database.store();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert!(matches!(replace(&store, USER, &state, &rows(&[(1, 50)])).await.unwrap(), Written::Committed(_)));
    let state = store.snapshot(user(USER)).await.unwrap().state;
    let holder = database.hold_states().await;
    let started = std::time::Instant::now();
    let lost = replace(&store, USER, &state, &rows(&[(2, 50)])).await.unwrap_err();
    assert_eq!(lost.kind(), StoreErrorKind::Conflict, "{lost}");
    assert!(started.elapsed() < Duration::from_secs(10));
    holder.rollback().await.unwrap();
    assert_eq!(
        database.numbers("SELECT job_listing_id FROM user_job_recommendations").await,
        [1],
        "the run that timed out has written no row"
    );
    assert!(matches!(replace(&store, USER, &state, &rows(&[(2, 50)])).await.unwrap(), Written::Committed(_)));
}

async fn neighbouring_users_do_not_deadlock(database: TestDatabase) {
    let store = database.store();
    let tasks = (0..20i64).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..10 {
                let id = USER + n;
                let state = store.snapshot(user(id)).await.unwrap().state;
                let new: Vec<_> = (0..20).map(|k| (k * 7 % 40 + round, 1_500 + k as u16)).collect();
                let written = replace(&store, id, &state, &rows(&new)).await.unwrap();
                assert!(matches!(written, Written::Committed(_)));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn tables_of_the_old_service_are_used_as_they_are(database: TestDatabase) {
    let old = TestDatabase::create_bare(database.kind).await;
    // As the old service's ORM created it: a surrogate key, seconds, no defaults.
    old.execute(
        "CREATE TABLE user_job_recommendations (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id BIGINT NOT NULL, \
         job_listing_id BIGINT NOT NULL, match_score DECIMAL(5,2) NOT NULL, match_reason TEXT, \
         recommendation_data JSON, calculated_at TIMESTAMP NULL, created_at DATETIME NOT NULL, \
         updated_at DATETIME NOT NULL, UNIQUE KEY uq_user_job (user_id, job_listing_id))",
    )
    .await;
    old.execute(
        "INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, match_reason, \
         recommendation_data, calculated_at, created_at, updated_at) VALUES \
         (1001, 1, 95.5, 'old', '{}', NOW(), NOW(), NOW()), (1001, 9, 90, NULL, NULL, NULL, NOW(), NOW())",
    )
    .await;
    let store = old.store();
    store.migrate().await.unwrap();
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert_eq!((state.recorded.is_none(), state.rows.count), (true, 2));
    let written = replace(&store, USER, &state, &rows(&[(1, 50), (2, 60)])).await.unwrap();
    assert_eq!(written, Written::Committed(RowChanges { inserted: 1, updated: 1, deleted: 1 }));
    let state = store.snapshot(user(USER)).await.unwrap().state;
    assert_eq!(state.recorded.clone().unwrap().rows, Some(state.rows));
    let again = replace(&store, USER, &state, &rows(&[(1, 50), (2, 60)])).await.unwrap();
    assert_eq!(again, Written::Committed(RowChanges::default()));
}
