//! New, changed and deleted listings reach the lists; the same inputs give the same lists anywhere.

use job_agent::storage::ListingRecord;

use crate::support::{Kind, TestApp, TestDatabase, TestProcess, USER, eventually, on_every_database};

on_every_database!(
    listings_that_come_and_go_reach_the_lists_within_a_refresh,
    an_instance_with_older_listings_refreshes_before_it_writes,
    an_import_is_noticed_and_moves_updated_at_only_with_the_content;
    servers:
        a_title_that_changes_without_a_new_updated_at_reaches_the_lists,
        two_processes_with_other_thread_counts_store_identical_rows,
);

const NEW_LISTING: &str = "INSERT INTO job_listings (site_name, job_id, title, company) VALUES ('port', '1', '도선사 모집', '항구')";

async fn listings_that_come_and_go_reach_the_lists_within_a_refresh(database: TestDatabase) {
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    database.set_career(USER, "도선사").await;
    assert_eq!(app.calculate(USER).await.body["savedCount"], 0);
    database.execute(NEW_LISTING).await;
    eventually("the new listing is recommended", || async {
        app.calculate(USER).await.body["savedCount"] == 1
    })
    .await;
    assert_eq!(app.fast(USER, "").await.body["recommendations"][0]["title"], "도선사 모집");

    database.execute("UPDATE job_listings SET title = '1급 도선사' WHERE site_name = 'port'").await;
    eventually("the changed title decides", || async {
        app.calculate(USER).await;
        app.fast(USER, "").await.body["recommendations"][0]["title"] == "1급 도선사"
    })
    .await;

    database.execute("DELETE FROM job_listings WHERE site_name = 'port'").await;
    let list = app.fast(USER, "").await.body;
    assert_eq!(
        (&list["recommendations"], &list["totalCount"]),
        (&serde_json::json!([]), &0.into()),
        "gone at once"
    );
    eventually("the next run removes the row", || async {
        app.calculate(USER).await;
        database.row_count(USER).await == 0
    })
    .await;
}

async fn a_title_that_changes_without_a_new_updated_at_reaches_the_lists(database: TestDatabase) {
    database.execute("ALTER TABLE job_listings MODIFY updated_at DATETIME NULL").await;
    database.execute(NEW_LISTING).await;
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    database.set_career(USER, "도선사").await;
    assert_eq!(app.calculate(USER).await.body["savedCount"], 1);
    database.execute("UPDATE job_listings SET title = '사무 보조' WHERE site_name = 'port'").await;
    eventually("the old score is gone", || async { app.calculate(USER).await.body["savedCount"] == 0 }).await;
    database.execute("UPDATE job_listings SET title = '1급 도선사' WHERE site_name = 'port'").await;
    eventually("the new title scores", || async { app.calculate(USER).await.body["savedCount"] == 1 }).await;
    assert_eq!(app.fast(USER, "").await.body["recommendations"][0]["title"], "1급 도선사");
}

/// The refresh interval is a minute: only the newer number in the user's state makes the second instance
/// look again.
async fn an_instance_with_older_listings_refreshes_before_it_writes(database: TestDatabase) {
    let behind = TestApp::start(&database, &[]).await;
    database.set_career(USER, "도선사").await;
    database.execute(NEW_LISTING).await;
    let ahead = TestApp::start(&database, &[]).await;
    assert_eq!(ahead.calculate(USER).await.body["savedCount"], 1);
    let answer = behind.calculate(USER).await;
    assert_eq!((answer.outcome(), &answer.body["savedCount"]), ("up_to_date", &1.into()));
    assert_eq!(ahead.calculate(USER).await.outcome(), "up_to_date");
    assert_eq!(database.state(USER, "version").await, 1, "neither instance undoes the result of the other");
}

async fn two_processes_with_other_thread_counts_store_identical_rows(database: TestDatabase) {
    let careers = r#"[{"careerName":"백엔드 개발자","matchScore":92},{"careerName":"데이터 엔지니어","matchScore":87},
        {"careerName":"프로젝트 매니저","matchScore":71},{"careerName":"UX 디자이너","matchScore":55}]"#;
    database.add_analysis(USER, careers, r#"["커머스"]"#, 1).await;
    let profile =
        format!("INSERT INTO profile_analysis (user_id, strengths) VALUES ({USER}, 'Java, Python, SQL')");
    database.execute(&profile).await;
    let mut stored = Vec::new();
    for threads in ["1", "4"] {
        let process = TestProcess::start(&database, &[("TOKIO_WORKER_THREADS", threads)]).await;
        database.execute("DELETE FROM user_job_recommendations").await;
        database.execute("DELETE FROM recommendation_state").await;
        let url = format!("{}/api/job-agent/recommendations/calculate/{USER}", process.address);
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let digest = database.texts("SELECT result_digest FROM recommendation_state").await;
        let rows = database
            .texts(
                "SELECT CONCAT_WS('|', job_listing_id, match_score, match_reason, recommendation_data) \
                 FROM user_job_recommendations ORDER BY job_listing_id",
            )
            .await;
        assert!(rows.len() > 10);
        stored.push((digest, rows));
    }
    assert_eq!(stored[0], stored[1]);
}

/// Also where the table does not maintain `updated_at`, and keeps whole seconds.
async fn an_import_is_noticed_and_moves_updated_at_only_with_the_content(database: TestDatabase) {
    let times = ["DATETIME(6) NOT NULL", "DATETIME NULL", "TIMESTAMP NULL"];
    let times = if database.kind == Kind::Sqlite { &times[..1] } else { &times[..] };
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    database.set_career(USER, "도선사").await;
    let mut listing = ListingRecord {
        site_name: "port".to_owned(),
        job_id: "1".to_owned(),
        title: "도선사 모집".to_owned(),
        crawled_at: Some("2026-10-01T02:03:04.567Z".parse().unwrap()),
        ..ListingRecord::default()
    };
    for (number, time) in times.iter().enumerate() {
        if database.kind != Kind::Sqlite {
            database.execute(&format!("ALTER TABLE job_listings MODIFY updated_at {time}")).await;
        }
        listing.job_id = number.to_string();
        database.store().import_listings(std::slice::from_ref(&listing)).await.unwrap();
        eventually("the new listing is recommended", || async {
            app.calculate(USER).await.body["savedCount"] == number + 1
        })
        .await;
        let long_ago = "UPDATE job_listings SET updated_at = '2020-01-01 00:00:00' WHERE site_name = 'port'";
        database.execute(long_ago).await;
        database.store().import_listings(std::slice::from_ref(&listing)).await.unwrap();
        let moved = "SELECT COUNT(*) FROM job_listings \
                     WHERE site_name = 'port' AND updated_at <> '2020-01-01 00:00:00'";
        assert_eq!(database.number(moved).await, 0, "{time}: the same content");

        // In a letter's case only: most collations see no difference.
        for title in ["도선사 VTS", "도선사 vts"] {
            let changed = ListingRecord { title: title.to_owned(), ..listing.clone() };
            database.store().import_listings(&[changed]).await.unwrap();
            eventually("the changed title is shown", || async {
                app.calculate(USER).await;
                let list = app.fast(USER, "").await.body;
                list.to_string().contains(title) && database.number(moved).await == 1
            })
            .await;
        }
    }
}
