//! Lists that are read at the same time: each is what it is when it is read alone.

use futures::future::join_all;
use job_agent::domain::UserId;
use job_agent::storage::StoredList;

use crate::support::{TestApp, TestDatabase, on_every_database};

on_every_database!(lists_that_are_read_at_the_same_time_are_those_that_are_read_alone);

const CAREERS: [&str; 4] = ["백엔드 개발자", "간호사", "데이터 엔지니어", "디자이너"];
/// Users with a list, and one more without.
const USERS: i64 = 20;
const LIMITS: [u32; 4] = [1, 3, 20, 100];
const WITH_A_LISTING_THAT_IS_GONE: i64 = 1;
const OF_ANOTHER_WRITER: i64 = 2;

async fn lists_that_are_read_at_the_same_time_are_those_that_are_read_alone(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    for (user, career) in (1..=USERS).zip(CAREERS.iter().cycle()) {
        database.set_career(user, career).await;
        assert!(app.calculate(user).await.body["savedCount"].as_u64().unwrap() > 0, "{user}: {career}");
    }
    let store = database.store();
    let read = async |user: i64, limit: u32| -> StoredList {
        store.stored_list(UserId::try_from(user).unwrap(), limit, 0).await.unwrap()
    };
    let best = read(WITH_A_LISTING_THAT_IS_GONE, 1).await.rows[0].listing_id.0;
    database.execute(&format!("DELETE FROM job_listings WHERE id = {best}")).await;
    database.execute(&format!("DELETE FROM recommendation_state WHERE user_id = {OF_ANOTHER_WRITER}")).await;

    // The same user several times, too.
    let asked: Vec<(i64, u32)> =
        LIMITS.iter().flat_map(|limit| (1..=USERS + 1).map(move |user| (user, *limit))).collect();
    let mut alone = Vec::new();
    for (user, limit) in &asked {
        alone.push(read(*user, *limit).await);
    }
    let of = |user: i64, limit: u32| &alone[asked.iter().position(|asked| *asked == (user, limit)).unwrap()];
    assert_eq!(of(USERS + 1, 20), &StoredList::default());
    assert!(of(OF_ANOTHER_WRITER, 20).calculated_at.is_some());
    let gone = of(WITH_A_LISTING_THAT_IS_GONE, 100);
    assert_eq!(gone.stored_count, gone.rows.len() as i64 + 1);
    assert_eq!(
        of(WITH_A_LISTING_THAT_IS_GONE, 3).rows.len(),
        3.min(gone.rows.len()),
        "others take its place"
    );

    let together = join_all(asked.iter().map(|(user, limit)| read(*user, *limit))).await;
    for ((asked, alone), together) in asked.iter().zip(&alone).zip(&together) {
        assert_eq!(together, alone, "{asked:?}");
    }
}
