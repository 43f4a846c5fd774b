//! Connections: nothing that a client or a cancelled future does leaves one in a state that loses writes.

use std::time::Duration;

use job_agent::coordination::UserLocks;
use job_agent::domain::{CatalogueVersion, ScoringRevision};
use job_agent::storage::{QueueStore, ReadStore, RunStore, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{RedisServer, TestApp, TestDatabase, USER, eventually, on_servers};

on_servers!(
    a_connection_that_has_answered_goes_back_without_a_question,
    a_cancelled_transaction_loses_no_later_write,
    a_client_that_disconnects_leaves_no_transaction_and_no_lock,
    sessions_are_set_up_for_the_protocol,
);

/// A replacement cancelled at every moment, then triggers that must be there for others to see.
async fn a_cancelled_transaction_loses_no_later_write(database: TestDatabase) {
    let (store, user) = (database.mysql_store(), USER.try_into().unwrap());
    let guard = UserLocks::new(None, Duration::from_secs(1)).acquire(user).await.unwrap();
    for round in 1..=300 {
        let state = store.snapshot(user).await.unwrap().state;
        let basis = state.basis(CatalogueVersion(1), ScoringRevision(1)).under(&guard);
        let replacement = basis.replacement(Vec::new(), "digest".into());
        let replace = store.replace(&replacement);
        drop(tokio::time::timeout(Duration::from_micros(round * 3 % 900), replace).await);
        // All connections of the pool are in the same danger: let every one of them write.
        for recorded in futures::future::join_all((0..4).map(|_| store.request_run(user))).await {
            recorded.unwrap();
        }
        assert_eq!(database.state(USER, "requested_seq").await, round as i64 * 4, "a write was lost");
    }
}

async fn a_client_that_disconnects_leaves_no_transaction_and_no_lock(database: TestDatabase) {
    const USERS: i64 = 50;
    for user in USER..USER + USERS {
        database.set_career(user, "간호사").await;
    }
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url)]).await;
    let address = app.address.trim_start_matches("http://").to_owned();
    for user in USER..USER + USERS {
        let mut client = TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "POST /api/job-agent/recommendations/calculate/{user} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        // Disconnects at another moment each time, at the latest when it is answered.
        let moment = Duration::from_micros(user as u64 * 97 % 5_000);
        drop(tokio::time::timeout(moment, client.read_u8()).await);
    }
    app.stop().await;
    // Runs that began were finished: each user has a whole list or, if the request never got in, none.
    let begun = database.numbers("SELECT user_id FROM recommendation_state ORDER BY user_id").await;
    assert!(begun.len() > 25, "most requests got in: {}", begun.len());
    for user in begun {
        assert_eq!(
            database.state(user, "saved_count").await,
            database.row_count(user).await,
            "the list of user {user} is whole"
        );
        assert_eq!(redis.lock_of(user).await, None);
    }
    eventually("no transaction is open", || async { database.transactions("TRUE").await == 0 }).await;
}

async fn a_connection_that_has_answered_goes_back_without_a_question(database: TestDatabase) {
    let (store, user) = (database.mysql_store(), USER.try_into().unwrap());
    for _ in 0..5 {
        store.snapshot(user).await.unwrap();
        store.stored_list(user, 20, 0).await.unwrap();
        store.request_run(user).await.unwrap();
        store.request_runs_with_careers(&[user]).await.unwrap();
    }
    assert_eq!(store.connections().idle, 1, "the same connection did all of it");
    // Pings among other commands that are no statements.
    let (_, asked): (String, String) = sqlx::query_as("SHOW SESSION STATUS LIKE 'Com_admin_commands'")
        .fetch_one(&mut *store.connection().await.unwrap())
        .await
        .unwrap();
    assert_eq!(asked, "0");
}

async fn sessions_are_set_up_for_the_protocol(database: TestDatabase) {
    let store = database.mysql_store();
    let mut connection = store.connection().await.unwrap();
    let (wait, row_wait): (i64, i64) =
        sqlx::query_as("SELECT CAST(@@wait_timeout AS SIGNED), CAST(@@innodb_lock_wait_timeout AS SIGNED)")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    assert_eq!((wait, row_wait), (20, 3));
    let isolation: Option<(String,)> =
        sqlx::query_as("SELECT CAST(@@transaction_isolation AS CHAR)").fetch_one(&mut *connection).await.ok();
    let isolation = match isolation {
        Some(isolation) => isolation,
        // MariaDB before 11.1.
        None => {
            sqlx::query_as("SELECT CAST(@@tx_isolation AS CHAR)").fetch_one(&mut *connection).await.unwrap()
        }
    };
    assert_eq!(isolation.0, "READ-COMMITTED");
}
