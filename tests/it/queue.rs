//! Background work over several instances: leases, attempts, parking, wake-ups, hand-over.

use std::time::{Duration, Instant};

use job_agent::domain::{Lane, ScoringRevision};
use job_agent::storage::{BatchScope, Lease};

use crate::support::{
    Kind, OTHER_USER, RedisServer, SHORT_LEASES, TestApp, TestDatabase, TestProcess, USER,
    a_transaction_waits, command, eventually, on_every_database,
};

on_every_database!(
    a_user_is_left_to_its_worker_until_the_lease_ends,
    leases_and_due_times_absurdly_far_in_the_future_delay_no_user,
    a_poison_user_is_parked_and_a_trigger_starts_over,
    two_poison_users_among_others_are_parked,
    a_fault_that_users_share_is_not_charged_to_them,
    a_failed_user_is_tried_again_later,
    a_user_whose_lock_is_taken_is_tried_again_later_and_loses_no_attempt,
    an_idle_worker_reacts_to_a_trigger_at_once,
    a_trigger_that_comes_in_during_a_run_is_served_right_after_it,
    an_instance_without_workers_records_and_leaves_the_work_to_others,
    a_stop_finishes_what_ends_in_time,
    a_stop_hands_over_what_does_not_end_in_time,
    a_second_signal_ends_the_process_at_once,
    an_older_version_leaves_the_lists_of_a_newer_one_alone_until_it_is_rolled_back;
    servers:
        an_idle_worker_reacts_to_a_trigger_of_another_instance_at_once,
        a_stopped_instance_loses_its_lease_and_does_no_harm_when_it_wakes_up,
        a_user_that_kills_its_process_each_time_is_parked,
        a_run_that_is_stuck_does_not_keep_others_from_being_handed_over,
        a_queue_that_cannot_be_written_is_left_alone,
);

async fn request(database: &TestDatabase, user: i64) {
    database.set_career(user, "간호사").await;
    database.store().request_run(user.try_into().unwrap()).await.unwrap();
}

async fn done(database: &TestDatabase, user: i64) {
    eventually("every trigger of the user is served", || async {
        database.state(user, "requested_seq - completed_seq").await == 0
    })
    .await;
}

/// A worker holds the user.
async fn claimed(database: &TestDatabase, user: i64) {
    eventually("a worker takes the user", || async {
        database.state(user, "lease_token IS NOT NULL").await == 1
    })
    .await;
}

/// A column of the user's state row that holds a time, which sorts as text.
async fn time(database: &TestDatabase, user: i64, column: &str) -> String {
    let sql = format!("SELECT CAST({column} AS CHAR(26)) FROM recommendation_state WHERE user_id = {user}");
    database.texts(&sql).await.remove(0)
}

async fn status(app: &TestApp, user: i64) -> serde_json::Value {
    app.get(&format!("/api/job-agent/recommendations/status/{user}")).await.body
}

/// A Redis in which another client holds the user's lock.
async fn redis_with_lock(user: i64) -> RedisServer {
    let redis = RedisServer::start().await;
    redis.command(&["SET", &lock_key(user), "another client"]).await;
    redis
}

fn lock_key(user: i64) -> String {
    format!("job_recommendation_lock:user:{user}")
}

async fn a_user_is_left_to_its_worker_until_the_lease_ends(database: TestDatabase) {
    request(&database, USER).await;
    let store = database.store();
    let due = store.due_users(Lane::RealTime, ScoringRevision(i64::MAX), 10).await.unwrap();
    let lease = Lease { token: "a worker that has died".to_owned(), duration: Duration::from_secs(2) };
    assert!(store.claim(&due[0], &lease, ScoringRevision(i64::MAX)).await.unwrap());
    let lease_until = time(&database, USER, "lease_until").await;
    let _app = TestApp::start(&database, &[]).await;
    done(&database, USER).await;
    let calculated_at = time(&database, USER, "calculated_at").await;
    assert!(calculated_at >= lease_until, "{calculated_at} < {lease_until}");
    assert_eq!(database.state(USER, "attempts").await, 0, "a success resets the attempts");
}

async fn leases_and_due_times_absurdly_far_in_the_future_delay_no_user(database: TestDatabase) {
    request(&database, USER).await;
    request(&database, OTHER_USER).await;
    let far = if database.kind == Kind::Sqlite { "2999-01-01T00:00:00.000Z" } else { "2999-01-01 00:00:00" };
    database
        .execute(&format!(
            "UPDATE recommendation_state SET lease_until = '{far}', lease_token = 'a clock that was wrong' \
             WHERE user_id = {USER}"
        ))
        .await;
    database
        .execute(&format!("UPDATE recommendation_state SET due_at = '{far}' WHERE user_id = {OTHER_USER}"))
        .await;
    let _app = TestApp::start(&database, &[]).await;
    done(&database, USER).await;
    done(&database, OTHER_USER).await;
}

async fn a_poison_user_is_parked_and_a_trigger_starts_over(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "2")]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let rows = database.row_count(USER).await;
    database.poison(USER).await;
    database.set_career(USER, "간호사").await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    for user in USER + 1..USER + 6 {
        database.set_career(user, "간호사").await;
        assert_eq!(app.calculate_in_background(user).await.status, 202);
    }
    for user in USER + 1..USER + 6 {
        done(&database, user).await;
    }
    eventually("the poison user is parked", || async { status(&app, USER).await["state"] == "parked" }).await;
    let parked = status(&app, USER).await;
    assert_eq!(
        (&parked["attempts"], &parked["lastError"]),
        (&2.into(), &"internal_error".into()),
        "{parked}"
    );
    assert_eq!(app.get("/api/scheduler/status").await.body["queue"]["parked"], 1);
    let causes = "SELECT last_error FROM recommendation_state WHERE parked_at IS NOT NULL";
    assert!(database.texts(causes).await[0].contains("poison"));
    assert_eq!(database.row_count(USER).await, rows, "the old list is untouched");
    assert_eq!(database.stored_careers(USER).await, ["백엔드 개발자"]);

    database.execute("DROP TRIGGER poison").await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    done(&database, USER).await;
    assert_eq!(database.stored_careers(USER).await, ["간호사"]);
    let healed = status(&app, USER).await;
    assert_eq!((&healed["state"], &healed["attempts"]), (&"current".into(), &0.into()), "{healed}");
    assert_eq!(healed["lastError"], serde_json::Value::Null);
}

/// The two have the same error; that others are served shows that it is not the server's.
async fn two_poison_users_among_others_are_parked(database: TestDatabase) {
    let app = TestApp::start(&database, &[("QUEUE_MAX_ATTEMPTS", "3")]).await;
    database.poison(USER).await;
    // Both at once: the trigger compares one user's id.
    let poisoned = "CREATE TRIGGER other_poison BEFORE INSERT ON user_job_recommendations";
    database
        .execute(&match database.kind {
            Kind::Sqlite => {
                format!("{poisoned} WHEN NEW.user_id = {OTHER_USER} BEGIN SELECT RAISE(ABORT, 'poison'); END")
            }
            _ => format!(
                "{poisoned} FOR EACH ROW IF NEW.user_id = {OTHER_USER} \
                 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF"
            ),
        })
        .await;
    for user in [USER, OTHER_USER] {
        database.set_career(user, "간호사").await;
        assert_eq!(app.calculate_in_background(user).await.status, 202);
    }
    let mut next = 5_000;
    eventually("both are parked while others are served", || {
        next += 1;
        let (database, app) = (&database, &app);
        async move {
            database.set_career(next, "간호사").await;
            assert_eq!(app.calculate(next).await.outcome(), "computed");
            database.number("SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL").await
                == 2
        }
    })
    .await;
}

/// The error of a table that is broken for lists is no error of the users, even though other writes work.
async fn a_fault_that_users_share_is_not_charged_to_them(database: TestDatabase) {
    for user in USER..USER + 20 {
        request(&database, user).await;
    }
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON user_job_recommendations";
    database
        .execute(&match database.kind {
            Kind::Sqlite => format!("{broken} BEGIN SELECT RAISE(ABORT, 'full'); END"),
            _ => format!("{broken} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'full'"),
        })
        .await;
    let settings = [("QUEUE_MAX_ATTEMPTS", "2"), ("RUST_LOG", "warn,job_agent=debug")];
    let process = TestProcess::start(&database, &settings).await;
    eventually("each user is tried often", || async { process.events("calculation failed").len() >= 100 })
        .await;
    let charged = "SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL";
    assert_eq!(database.number(charged).await, 0, "{}", process.log());
    assert_eq!(process.events("database in trouble").len(), 1, "once per outage");
    database.execute("DROP TRIGGER broken").await;
    for user in USER..USER + 20 {
        done(&database, user).await;
        assert_eq!(database.state(user, "attempts").await, 0);
    }
    assert_eq!(process.events("database available again").len(), 1);
}

async fn a_failed_user_is_tried_again_later(database: TestDatabase) {
    database.poison(USER).await;
    request(&database, USER).await;
    let requested_at = time(&database, USER, "requested_at").await;
    let _app = TestApp::start(&database, &[]).await;
    eventually("an attempt has failed", || async {
        database.state(USER, "attempts > 0 AND lease_token IS NULL AND last_error IS NOT NULL").await == 1
    })
    .await;
    // Put off by half a second at least.
    let put_off = match database.kind {
        Kind::Sqlite => format!("(julianday(due_at) - julianday('{requested_at}')) * 86400000 >= 499"),
        _ => format!("TIMESTAMPDIFF(MICROSECOND, '{requested_at}', due_at) >= 500000"),
    };
    assert_eq!(
        database.state(USER, &put_off).await,
        1,
        "the user is due half a second after the trigger at the earliest"
    );
}

/// A run that does not get the lock records its trigger again; that must not make the user due at once.
async fn a_user_whose_lock_is_taken_is_tried_again_later_and_loses_no_attempt(database: TestDatabase) {
    let redis = redis_with_lock(USER).await;
    request(&database, USER).await;
    let settings = [("REDIS_URL", redis.url()), ("LOCK_WAIT_SECS", "0".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let app = TestApp::start(&database, &settings).await;
    let tried = |times: i64| {
        let database = &database;
        async move {
            eventually("the user is tried", || async { database.state(USER, "requested_seq").await > times })
                .await;
            Instant::now()
        }
    };
    let first = tried(1).await;
    let fourth = tried(4).await;
    assert!(fourth - first > Duration::from_secs(1), "{:?} for three tries", fourth - first);
    assert!(database.state(USER, "attempts").await <= 1, "the attempts are not the user's");
    assert_ne!(status(&app, USER).await["state"], "parked");
    redis.command(&["DEL", &lock_key(USER)]).await;
    done(&database, USER).await;
}

/// Far below the poll of a second, most of the time: other tests run at the same time.
async fn assert_reacts_at_once(database: &TestDatabase, trigger_at: &TestApp) {
    let mut fast = 0;
    for user in USER..USER + 10 {
        database.set_career(user, "간호사").await;
        let triggered = Instant::now();
        assert_eq!(trigger_at.calculate_in_background(user).await.status, 202);
        done(database, user).await;
        fast += u32::from(triggered.elapsed() < Duration::from_millis(400));
    }
    // With the poll alone, next to none would be: each trigger would wait for the next poll.
    assert!(fast >= 5, "{fast} of 10 were served far below the poll");
}

async fn an_idle_worker_reacts_to_a_trigger_at_once(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    assert_reacts_at_once(&database, &app).await;
}

async fn an_idle_worker_reacts_to_a_trigger_of_another_instance_at_once(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let front =
        TestApp::start(&database, &[("REDIS_URL", &url), ("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")])
            .await;
    let _worker = TestApp::start(&database, &[("REDIS_URL", &url)]).await;
    assert_reacts_at_once(&database, &front).await;
}

/// A worker that looks for the user during the run finds the user taken and is not told when the run ends.
async fn a_trigger_that_comes_in_during_a_run_is_served_right_after_it(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    let mut fast = 0;
    for user in USER..USER + 20 {
        database.set_career(user, "간호사").await;
        for _ in 0..8 {
            assert_eq!(app.calculate_in_background(user).await.status, 202);
        }
        let triggered = Instant::now();
        done(&database, user).await;
        fast += u32::from(triggered.elapsed() < Duration::from_millis(400));
    }
    assert!(fast >= 18, "{fast} of 20 were served far below the poll");
}

async fn an_instance_without_workers_records_and_leaves_the_work_to_others(database: TestDatabase) {
    let front = TestApp::start(&database, &[("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")]).await;
    database.set_career(USER, "간호사").await;
    assert_eq!(front.calculate_in_background(USER).await.status, 202);
    database.set_career(OTHER_USER, "간호사").await;
    assert_eq!(front.calculate(OTHER_USER).await.outcome(), "computed", "requests are served");
    let waiting = status(&front, USER).await;
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&"pending".into(), &0.into()), "{waiting}");
    let _worker = TestApp::start(&database, &[]).await;
    done(&database, USER).await;
    assert_eq!(status(&front, USER).await["state"], "current");
}

/// The lock is held: a run that waits for it is in flight for as long as the test wants.
async fn process_with_a_run_in_flight(
    database: &TestDatabase,
    redis: &RedisServer,
    user: i64,
    drain_timeout: &str,
) -> TestProcess {
    request(database, user).await;
    let url = redis.url();
    let settings =
        [("REDIS_URL", url.as_str()), ("LOCK_WAIT_SECS", "25"), ("DRAIN_TIMEOUT_SECS", drain_timeout)];
    let process = TestProcess::start(database, &settings).await;
    claimed(database, user).await;
    process
}

async fn a_stop_finishes_what_ends_in_time(database: TestDatabase) {
    let redis = redis_with_lock(USER).await;
    let mut process = process_with_a_run_in_flight(&database, &redis, USER, "20").await;
    process.signal("TERM");
    eventually("it stops", || async { !process.events("stopping").is_empty() }).await;
    redis.command(&["DEL", &lock_key(USER)]).await;
    assert_eq!(process.exit_code().await, Some(0), "{}", process.log());
    assert_eq!(database.state(USER, "requested_seq - completed_seq").await, 0, "{}", process.log());
    assert_eq!(redis.lock_of(USER).await, None);
}

async fn a_stop_hands_over_what_does_not_end_in_time(database: TestDatabase) {
    let redis = redis_with_lock(USER).await;
    let mut process = process_with_a_run_in_flight(&database, &redis, USER, "1").await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0), "{}", process.log());
    let free = "lease_token IS NULL AND lease_until IS NULL AND due_at IS NOT NULL AND attempts = 0";
    assert_eq!(database.state(USER, free).await, 1, "{}", process.log());
    // Leases last 90 s: only a user who was handed over is served now.
    redis.command(&["DEL", &lock_key(USER)]).await;
    let _other = TestApp::start(&database, &[("REDIS_URL", &redis.url())]).await;
    done(&database, USER).await;
}

/// Its own transaction holds the row that ends its lease.
async fn a_run_that_is_stuck_does_not_keep_others_from_being_handed_over(database: TestDatabase) {
    let redis = redis_with_lock(OTHER_USER).await;
    database.set_career(USER, "백엔드 개발자").await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    app.stop().await;
    let holder = database.hold_a_row(USER).await;
    request(&database, USER).await;
    let mut process = process_with_a_run_in_flight(&database, &redis, OTHER_USER, "1").await;
    claimed(&database, USER).await;
    a_transaction_waits(&database).await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0), "{}", process.log());
    assert_eq!(
        database.state(OTHER_USER, "lease_token IS NULL AND attempts = 0").await,
        1,
        "{}",
        process.log()
    );
    holder.rollback().await.unwrap();
}

async fn a_second_signal_ends_the_process_at_once(database: TestDatabase) {
    let redis = redis_with_lock(USER).await;
    let mut process = process_with_a_run_in_flight(&database, &redis, USER, "3600").await;
    process.signal("TERM");
    eventually("it stops", || async { !process.events("stopping: ").is_empty() }).await;
    process.signal("INT");
    assert_eq!(process.exit_code().await, Some(130), "{}", process.log());
    assert_eq!(database.state(USER, "due_at IS NOT NULL").await, 1, "nothing is lost");
}

/// The run waits for rows that the test holds; each time its process is killed there.
async fn a_user_that_kills_its_process_each_time_is_parked(database: TestDatabase) {
    const ATTEMPTS: i64 = 2;
    let settings = [
        ("QUEUE_MAX_ATTEMPTS", "2"),
        ("RUN_TIMEOUT_SECS", "2"),
        ("LOCK_WAIT_SECS", "0"),
        ("QUEUE_LEASE_SECS", "3"),
    ];
    database.set_career(USER, "백엔드 개발자").await;
    {
        let app = TestApp::start(&database, &[]).await;
        assert_eq!(app.calculate(USER).await.outcome(), "computed");
        app.stop().await;
    }
    let holder = database.hold_a_row(USER).await;
    request(&database, USER).await;
    request(&database, OTHER_USER).await;
    for attempt in 1..=ATTEMPTS {
        let process = TestProcess::start(&database, &settings).await;
        eventually("a worker takes the user", || async { database.state(USER, "attempts").await == attempt })
            .await;
        done(&database, OTHER_USER).await;
        process.kill();
    }
    let app = TestApp::start(&database, &settings).await;
    eventually("the killer is parked", || async { status(&app, USER).await["state"] == "parked" }).await;
    assert_eq!(status(&app, USER).await["lastError"], "process_ended");
    request(&database, OTHER_USER).await;
    done(&database, OTHER_USER).await;

    // A batch tries parked users once more, but none that has ended processes.
    let store = database.store();
    let listed = BatchScope::Listed(vec![USER.try_into().unwrap()]);
    let opened = store.open_batch(&listed).await.unwrap();
    eventually("the batch is finished", || async { store.running_batch().await.unwrap().is_none() }).await;
    let batch = store.latest_batch().await.unwrap().unwrap();
    assert_eq!((batch.id, batch.parked), (opened.id, 1));
    assert_eq!(status(&app, USER).await["lastError"], "process_ended");

    holder.rollback().await.unwrap();
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    done(&database, USER).await;
    assert_eq!(database.stored_careers(USER).await, ["간호사"]);
}

async fn a_stopped_instance_loses_its_lease_and_does_no_harm_when_it_wakes_up(database: TestDatabase) {
    let redis = redis_with_lock(USER).await;
    let url = redis.url();
    let mut settings = SHORT_LEASES.to_vec();
    settings.push(("REDIS_URL", &url));
    request(&database, USER).await;
    let stopped = TestProcess::start(&database, &settings).await;
    claimed(&database, USER).await;
    stopped.signal("STOP");
    redis.command(&["DEL", &lock_key(USER)]).await;
    database.set_career(USER, "회계 담당자").await;
    let _other = TestProcess::start(&database, &settings).await;
    done(&database, USER).await;
    assert_eq!(database.stored_careers(USER).await, ["회계 담당자"]);
    assert_eq!(database.state(USER, "version").await, 1, "one run has written");

    stopped.signal("CONT");
    // It is alive again when it serves another user; both instances race for them.
    let runs = || stopped.events("recommendations saved").len();
    let mut user = USER;
    eventually("the stopped instance works again", || {
        user += 1;
        let user = user;
        let database = &database;
        let awake = runs() > 0;
        async move {
            request(database, user).await;
            awake
        }
    })
    .await;
    done(&database, USER).await;
    assert_eq!(database.stored_careers(USER).await, ["회계 담당자"]);
    assert_eq!(database.state(USER, "version").await, 1, "it wrote nothing over the newer list");
    assert_eq!(database.state(USER, "attempts").await, 0, "a success resets the attempts");
}

/// A read-only database, for example, answers at once: asking it in a tight loop would make things worse.
async fn a_queue_that_cannot_be_written_is_left_alone(database: TestDatabase) {
    request(&database, USER).await;
    database
        .execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON recommendation_state FOR EACH ROW \
             IF NEW.attempts > OLD.attempts THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF",
        )
        .await;
    let process = TestProcess::start(&database, &[("QUEUE_WORKERS", "1")]).await;
    let failures = |number: usize| {
        let process = &process;
        async move {
            let failed = || process.events("a due user could not be claimed").len() >= number;
            eventually("claims fail", || async { failed() }).await;
            Instant::now()
        }
    };
    let first = failures(1).await;
    let fourth = failures(4).await;
    assert!(fourth - first > Duration::from_secs(1), "{:?} for three tries", fourth - first);
    database.execute("DROP TRIGGER refuse").await;
    done(&database, USER).await;
}

/// A rolling deploy: the newer version has calculated the list; the older one meets it.
async fn an_older_version_leaves_the_lists_of_a_newer_one_alone_until_it_is_rolled_back(
    database: TestDatabase,
) {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary = folder.path().join("careers.toml");
    let text = include_str!("../../vocabulary/careers.toml");
    let revision = "\nrevision = ";
    let number = text.split(revision).nth(1).unwrap().lines().next().unwrap();
    let newer = text.replacen(&format!("{revision}{number}"), &format!("{revision}{number}9"), 1);
    std::fs::write(&vocabulary, newer).unwrap();
    let vocabulary = [("VOCABULARY_FILE", vocabulary.to_str().unwrap())];

    database.set_career(USER, "백엔드 개발자").await;
    let old = TestApp::start(&database, &[]).await;
    let new =
        TestApp::start(&database, &[vocabulary[0], ("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")]).await;
    assert_eq!(old.calculate(USER).await.outcome(), "computed");
    let old_revision = database.state(USER, "scoring_revision").await;
    // The same rows, confirmed by the newer scoring.
    assert_eq!(new.calculate(USER).await.outcome(), "up_to_date");
    let new_revision = database.state(USER, "scoring_revision").await;
    assert!(new_revision > old_revision);

    database.set_career(USER, "간호사").await;
    let answer = old.calculate(USER).await;
    assert_eq!((answer.outcome(), &answer.body["queued"]), ("already_in_progress", &true.into()));
    assert_eq!(old.calculate_in_background(USER).await.status, 202);
    // The older workers are not stuck on this user.
    database.set_career(OTHER_USER, "간호사").await;
    assert_eq!(old.calculate_in_background(OTHER_USER).await.status, 202);
    done(&database, OTHER_USER).await;
    assert_eq!(database.state(USER, "attempts").await, 0, "they have not even tried");
    assert_eq!(database.stored_careers(USER).await, ["백엔드 개발자"]);
    assert_eq!(status(&old, USER).await["state"], "pending");

    let newer_worker = TestApp::start(&database, &vocabulary).await;
    done(&database, USER).await;
    assert_eq!(database.stored_careers(USER).await, ["간호사"]);
    assert_eq!(
        database.state(USER, "scoring_revision").await,
        new_revision,
        "the list is that of the newer version"
    );

    // The operator goes back to the older version, and says so.
    database.set_career(USER, "백엔드 개발자").await;
    assert_eq!(old.calculate(USER).await.outcome(), "already_in_progress");
    newer_worker.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url.as_str())];
    let roll_back = command(folder.path(), &settings).arg("roll-back").status();
    assert!(roll_back.unwrap().success());
    done(&database, USER).await;
    assert_eq!(database.stored_careers(USER).await, ["백엔드 개발자"]);
    assert_eq!(
        database.state(USER, "scoring_revision").await,
        old_revision,
        "the list is that of the older version"
    );
}
