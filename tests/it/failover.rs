//! What a failover leaves behind: connections that are silent, and connections to an old primary that lives on. Both are
//! replaced within seconds, and the pool stays whole.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::support::{
    Forwarder, Kind, OTHER_USER, PrivateServer, TestApp, TestDatabase, USER, config, eventually, on_servers,
};

on_servers!(silent_connections_are_replaced_while_requests_go_on);

const WITHOUT_WORKERS: [(&str, &str); 2] = [("QUEUE_WORKERS", "0"), ("BATCH_WORKERS", "0")];

/// `host:port` of a database's server.
fn server(url: &str) -> &str {
    url.split_once('@').unwrap().1.split_once('/').unwrap().0
}

/// The address of the same database behind the forwarder.
fn behind(forwarder: &Forwarder, url: &str) -> String {
    url.replace(server(url), &format!("127.0.0.1:{}", forwarder.port))
}

async fn all_connections_are_idle(app: &TestApp) {
    eventually("every connection of the pool is given back", async || {
        app.metric("database_connections{state=\"in_use\"}").await == Some(0.0)
    })
    .await;
}

/// As after a host that is gone without a word: nothing resets the connections.
async fn silent_connections_are_replaced_while_requests_go_on(database: TestDatabase) {
    let forwarder = Forwarder::start(server(&database.url)).await;
    let url = behind(&forwarder, &database.url);
    let app = TestApp::start(&database, &[("DATABASE_URL", &url)]).await;
    let users: Vec<i64> = (USER..USER + 30).collect();
    for user in &users {
        database.set_career(*user, "백엔드 개발자").await;
    }
    for round in ["간호사", "백엔드 개발자"] {
        // All connections of the pool are there, and have just been used.
        join_all(users.iter().map(|user| app.calculate(*user))).await;
        for user in &users {
            database.set_career(*user, round).await;
        }
        forwarder.silence();
        let silenced = Instant::now();
        let begun = users.iter().enumerate().map(async |(number, user)| match number % 3 {
            0 => app.calculate(*user).await,
            1 => app.calculate_in_background(*user).await,
            _ => app.fast(*user, "").await,
        });
        for answer in join_all(begun).await {
            assert!([200, 202].contains(&answer.status.as_u16()), "{answer:?}");
            // A write that was under way, and a second try.
            assert!(answer.took < Duration::from_secs(20), "{answer:?}");
        }
        println!("{:?}: all are answered {:?} after the silence began", database.kind, silenced.elapsed());
        for user in &users {
            let answer = app.fast(*user, "").await;
            assert!(answer.status == 200 && answer.took < Duration::from_secs(2), "{answer:?}");
        }
        eventually("the workers have served all", async || {
            let pending = "SELECT COUNT(*) FROM recommendation_state WHERE requested_seq > completed_seq";
            database.number(pending).await == 0
        })
        .await;
        all_connections_are_idle(&app).await;
    }
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL").await,
        0
    );
}

macro_rules! on_a_private_server {
    ($module:ident, $kind:ident, $($test:ident),+ $(,)?) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    let kind = $crate::support::Kind::$kind;
                    if $crate::support::can_run_on(kind, concat!(module_path!(), "::", stringify!($test))) {
                        $crate::failover::$test(kind).await;
                    }
                }
            )+
        }
    };
}

on_a_private_server!(
    private_mysql,
    Mysql,
    a_caller_who_only_reads_is_led_to_the_new_primary,
    a_server_that_hangs_is_answered_for_and_used_again,
);
on_a_private_server!(
    private_mariadb,
    Mariadb,
    a_caller_who_only_reads_is_led_to_the_new_primary,
    a_server_that_hangs_is_answered_for_and_used_again,
);

/// No write is refused that would tell.
async fn a_caller_who_only_reads_is_led_to_the_new_primary(kind: Kind) {
    let new = TestDatabase::create(kind).await;
    let old_server = PrivateServer::start(kind).await;
    let old = TestDatabase::create_on(kind, &old_server.url, new.name()).await;
    let (url, _) = (old.add_account().await, new.add_account().await);
    for (database, career) in [(&old, "간호사"), (&new, "회계 담당자")] {
        database.set_career(USER, career).await;
        let app = TestApp::start_with(config(database, &WITHOUT_WORKERS)).await;
        assert_eq!(app.calculate(USER).await.outcome(), "computed");
        app.stop().await;
    }
    let forwarder = Forwarder::start(server(&old.url)).await;
    let url = behind(&forwarder, &url);
    let reader = config(&old, &[&WITHOUT_WORKERS[..], &[("DATABASE_URL", &url)]].concat());
    let reader = TestApp::start_with(reader).await;
    let career = async || reader.fast(USER, "").await.body["recommendations"][0]["matchedCareer"].clone();
    assert_eq!(career().await, "간호사");

    old.execute("SET GLOBAL read_only = 1").await;
    forwarder.switch(server(&new.url));
    let switched = Instant::now();
    // It never pauses: no connection is idle for long.
    eventually("the new primary is read", async || career().await == "회계 담당자").await;
    println!("{kind:?}: the new primary is read {:?} after the switch", switched.elapsed());
    assert!(switched.elapsed() < Duration::from_secs(20));
    for answer in join_all((0..30).map(|_| career())).await {
        assert_eq!(answer, "회계 담당자");
    }
}

async fn a_server_that_hangs_is_answered_for_and_used_again(kind: Kind) {
    let server = PrivateServer::start(kind).await;
    let database = TestDatabase::create_on(kind, &server.url, "hangs").await;
    let app = TestApp::start(&database, &[("RUN_TIMEOUT_SECS", "20"), ("QUEUE_MAX_ATTEMPTS", "1")]).await;
    for user in [USER, OTHER_USER] {
        database.set_career(user, "간호사").await;
    }
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    assert_eq!(app.calculate_in_background(OTHER_USER).await.status, 202);
    server.signal("STOP");
    let answers =
        tokio::join!(app.calculate(USER), app.calculate_in_background(OTHER_USER), app.fast(USER, ""));
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.took < Duration::from_secs(25), "{answer:?}");
    }
    server.signal("CONT");
    eventually("the server is used again", async || app.calculate(USER).await.status == 200).await;
    eventually("the workers have served all", async || {
        database.number("SELECT COUNT(*) FROM recommendation_state WHERE requested_seq > completed_seq").await
            == 0
    })
    .await;
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state WHERE parked_at IS NOT NULL").await,
        0
    );
    all_connections_are_idle(&app).await;
}
