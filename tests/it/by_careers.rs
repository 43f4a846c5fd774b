//! `GET …/by-careers/{user_id}`: what the page of recommendations reads.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Kind, TestApp, TestDatabase, USER, is_korean, on_every_database};

on_every_database!(
    the_page_reads_the_stored_list_with_the_careers_of_job_recommendations,
    careers_come_from_career_analyses_when_there_are_no_others,
    a_user_without_careers_is_told_in_korean_what_to_do_first,
    a_user_with_careers_and_without_a_list_reads_an_empty_one,
    the_limit_narrows_the_list_and_other_parameters_do_not_matter,
    whatever_is_stored_about_a_listing_is_shown_as_it_is,
    rows_of_another_writer_are_shown_without_what_they_lack;
    servers:
        times_of_other_types_are_read_and_rows_without_one_are_a_stored_list,
);

async fn by_careers(app: &TestApp, query: &str) -> Value {
    let answer = app.get(&format!("/api/job-agent/recommendations/by-careers/{USER}{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body
}

/// Stores a listing and a row for it, as another writer would. `score` is in points; `listing` has the values of
/// company, location, url, description, experience, required_skills and crawled_at, `row` those of match_reason
/// and recommendation_data.
async fn store(database: &TestDatabase, id: i64, score: u32, title: &str, listing: &str, row: &str) {
    database
        .execute(&format!(
            "INSERT INTO job_listings (id, site_name, job_id, title, company, location, url, description, \
             experience, required_skills, crawled_at) VALUES ({id}, 'site', '{id}', '{title}', {listing})"
        ))
        .await;
    let score = if database.kind == Kind::Sqlite { score * 100 } else { score };
    database
        .execute(&format!(
            "INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, match_reason, \
             recommendation_data, calculated_at, created_at, updated_at) VALUES ({USER}, {id}, {score}, {row}, \
             '2026-10-01 00:00:00', '2026-10-01 00:00:00', '2026-10-01 00:00:00')"
        ))
        .await;
}

async fn the_page_reads_the_stored_list_with_the_careers_of_job_recommendations(database: TestDatabase) {
    database.set_career(USER, "백엔드 개발자").await;
    database.add_analysis(USER, r#"["간호사"]"#, "[]", 1).await;
    let skills = format!("INSERT INTO profile_analysis (user_id, strengths) VALUES ({USER}, '[\"Java\"]')");
    database.execute(&skills).await;
    let app = TestApp::start(&database, &[]).await;
    let saved = app.calculate(USER).await.body["savedCount"].clone();
    let list = by_careers(&app, "?limit=100").await;
    let fast = app.fast(USER, "?limit=100").await.body;
    let of_fast = fast["recommendations"].as_array().unwrap();
    let expected: Vec<Value> = of_fast
        .iter()
        .zip(list["recommendations"].as_array().unwrap())
        .map(|(row, shown)| {
            json!({
                "id": row["id"].to_string(), "title": row["title"], "company": row["company"],
                "location": row["location"], "url": row["url"], "description": row["description"],
                "siteName": row["siteName"], "experience": row["experience"], "matchScore": row["matchScore"],
                "matchReason": row["matchReason"], "matchedCareers": [row["matchedCareer"]],
                "skillMatch": row["matchedSkills"],
                // Of another form than in `fast`, or not there.
                "requiredSkills": shown["requiredSkills"], "crawledAt": shown["crawledAt"],
            })
        })
        .collect();
    assert_eq!(
        list,
        json!({
            "success": true, "recommendations": expected, "totalCount": saved, "storedCount": saved,
            "careerNames": ["백엔드 개발자"], "dataSource": "job_recommendations", "cached": true,
            "aiAnalyzed": false,
        })
    );
    assert!(expected[0]["matchScore"].is_number());
    assert!(expected[0]["crawledAt"].as_str().is_some_and(|time| time.len() == 20 && time.ends_with('Z')));
    assert!(expected.iter().any(|row| row["skillMatch"] == json!(["Java"])));
    assert!(expected.iter().any(|row| row["requiredSkills"].as_array().is_some_and(|all| all.len() > 1)));
}

async fn careers_come_from_career_analyses_when_there_are_no_others(database: TestDatabase) {
    let careers = r#"[{"careerName":"간호사","matchScore":0.7},{"name":"백엔드 개발자","matchScore":0.9}]"#;
    database.add_analysis(USER, careers, "[]", 1).await;
    let app = TestApp::start(&database, &[]).await;
    app.calculate(USER).await;
    let list = by_careers(&app, "?limit=100").await;
    assert_eq!(list["dataSource"], "career_analyses");
    assert_eq!(list["careerNames"], json!(["백엔드 개발자", "간호사"]), "best first");
    for row in list["recommendations"].as_array().unwrap() {
        let matched = row["matchedCareers"].as_array().unwrap();
        assert!(matched.len() == 1 && list["careerNames"].as_array().unwrap().contains(&matched[0]), "{row}");
    }
}

async fn a_user_without_careers_is_told_in_korean_what_to_do_first(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    let listing = "NULL, NULL, NULL, NULL, NULL, NULL, NULL";
    for (code, stored) in [("no_profile_analysis", 0), ("no_job_recommendations", 1)] {
        let answer = by_careers(&app, "").await;
        let message = answer["error"].as_str().unwrap();
        assert!(is_korean(message) && message.contains("상담") && message.contains("프로필"), "{message}");
        assert_eq!(
            answer,
            json!({
                "success": false, "error": message, "code": code, "detail": message, "recommendations": [],
                "totalCount": 0, "storedCount": stored, "careerNames": [], "dataSource": null,
                "cached": false, "aiAnalyzed": false,
            })
        );
        if stored == 0 {
            // An analysis without careers, and a row that an earlier one has left.
            database.add_analysis(USER, "[]", "[]", 1).await;
            store(&database, 900_001, 80, "이전", listing, "NULL, NULL").await;
        }
    }
    assert_eq!(
        database.number("SELECT COUNT(*) FROM recommendation_state").await,
        0,
        "reading records nothing"
    );
}

async fn a_user_with_careers_and_without_a_list_reads_an_empty_one(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[]).await;
    assert_eq!(
        by_careers(&app, "").await,
        json!({
            "success": true, "recommendations": [], "totalCount": 0, "storedCount": 0,
            "careerNames": ["간호사"], "dataSource": "job_recommendations", "cached": false,
            "aiAnalyzed": false,
        })
    );
}

async fn the_limit_narrows_the_list_and_other_parameters_do_not_matter(database: TestDatabase) {
    let careers =
        r#"["백엔드 개발자","프론트엔드 개발자","데이터 엔지니어","간호사","마케터","디자이너","회계사"]"#;
    database.add_analysis(USER, careers, "[]", 1).await;
    let app = TestApp::start(&database, &[]).await;
    let saved = app.calculate(USER).await.body["savedCount"].as_u64().unwrap() as usize;
    assert!(saved > 20);
    let all = by_careers(&app, "?limit=100").await;
    let cases = [
        ("", 20),
        ("/", 20),
        ("?limit=1", 1),
        ("/?limit=1", 1),
        ("?use_ai_analysis=true&limit=5&min_score=99&_=1", 5),
        ("?limit=100", saved),
    ];
    for (query, count) in cases {
        let list = by_careers(&app, query).await;
        let rows = list["recommendations"].as_array().unwrap();
        assert_eq!(rows[..], all["recommendations"].as_array().unwrap()[..count], "{query}");
        assert_eq!(
            (&list["totalCount"], &list["storedCount"], &list["cached"]),
            (&json!(count), &json!(saved), &json!(true)),
            "{query}"
        );
    }
}

async fn whatever_is_stored_about_a_listing_is_shown_as_it_is(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[]).await;
    let listing = format!(
        "'R&amp;D <b>연구소</b>', '서울 🏥', 'https://example.com/?a=1&b=\"2\"', '{}', '신입·경력', \
         '[\"전자차트\", \"🩺 R&amp;D\"]', '2026-10-01 02:03:04'",
        "😀".repeat(400)
    );
    let data = r#"{"matchedCareer": "간호사", "matchedSkills": ["🩺"], "matchScore": 1, "id": 2}"#;
    store(&database, 900_001, 93, "간호사 &lt;급구&gt; 🏥", &listing, &format!("'이유 <i>😀</i>', '{data}'"))
        .await;
    store(&database, 900_002, 91, "삭제된 공고", &listing, "'이유', '{}'").await;
    let list = by_careers(&app, "").await;
    assert_eq!((&list["totalCount"], &list["storedCount"]), (&json!(2), &json!(2)));
    assert_eq!(
        list["recommendations"][0],
        json!({
            "id": "900001", "title": "간호사 &lt;급구&gt; 🏥", "company": "R&amp;D <b>연구소</b>",
            "location": "서울 🏥", "url": "https://example.com/?a=1&b=\"2\"", "description": "😀".repeat(300),
            "siteName": "site", "experience": "신입·경력", "matchScore": 93.0, "matchReason": "이유 <i>😀</i>",
            "matchedCareers": ["간호사"], "requiredSkills": ["전자차트", "🩺 R&amp;D"], "skillMatch": ["🩺"],
            "crawledAt": "2026-10-01T02:03:04Z",
        })
    );
    database.execute("DELETE FROM job_listings WHERE id = 900002").await;
    let list = by_careers(&app, "").await;
    assert_eq!(list["recommendations"].as_array().unwrap().len(), 1, "a deleted listing is gone at once");
    assert_eq!((&list["totalCount"], &list["storedCount"]), (&json!(1), &json!(2)));
}

async fn rows_of_another_writer_are_shown_without_what_they_lack(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    let app = TestApp::start(&database, &[]).await;
    store(
        &database,
        900_001,
        80,
        "간호사",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "NULL, '{\"matchedCareer\": null, \"matchedSkills\": \"EMR\"}'",
    )
    .await;
    store(&database, 900_002, 70, "간호사", "'', '', '', '', '', '', NULL", "NULL, NULL").await;
    let list = by_careers(&app, "").await;
    let lacking = |id: &str, score: f64, skills: Value| {
        json!({
            "id": id, "title": "간호사", "company": "", "location": "", "url": "", "description": "",
            "siteName": "site", "experience": "", "matchScore": score, "matchReason": "",
            "matchedCareers": [], "requiredSkills": [], "skillMatch": skills, "crawledAt": null,
        })
    };
    assert_eq!(
        list["recommendations"],
        json!([lacking("900001", 80.0, json!(["EMR"])), lacking("900002", 70.0, json!([]))])
    );
    assert_eq!((&list["cached"], &list["storedCount"]), (&json!(true), &json!(2)));
    let fast = app.fast(USER, "?min_score=75").await.body;
    assert_eq!(
        (&fast["totalCount"], &fast["storedCount"], &fast["calculatedAt"]),
        (&json!(1), &json!(2), &json!("2026-10-01T00:00:00Z")),
        "without a state of ours, the time is the other writer's"
    );
}

async fn times_of_other_types_are_read_and_rows_without_one_are_a_stored_list(database: TestDatabase) {
    database.set_career(USER, "간호사").await;
    database.execute("ALTER TABLE user_job_recommendations MODIFY calculated_at TIMESTAMP NULL").await;
    let app = TestApp::start(&database, &[]).await;
    let listing = "NULL, NULL, NULL, NULL, NULL, NULL, '2026-10-01 02:03:04'";
    store(&database, 900_001, 80, "간호사", listing, "NULL, NULL").await;
    for (column, shown) in [("TIMESTAMP NULL", json!("2026-10-01T02:03:04Z")), ("VARCHAR(40)", json!(null))] {
        database.execute(&format!("ALTER TABLE job_listings MODIFY crawled_at {column}")).await;
        if shown.is_null() {
            database.execute("UPDATE job_listings SET crawled_at = '어제' WHERE id = 900001").await;
        }
        assert_eq!(by_careers(&app, "").await["recommendations"][0]["crawledAt"], shown, "{column}");
    }
    let fast = app.fast(USER, "").await.body;
    assert_eq!((&fast["cached"], &fast["calculatedAt"]), (&json!(true), &json!("2026-10-01T00:00:00Z")));
    database.execute("UPDATE user_job_recommendations SET calculated_at = NULL").await;
    let fast = app.fast(USER, "").await.body;
    assert_eq!((&fast["cached"], &fast["calculatedAt"]), (&json!(true), &json!(null)));
}
