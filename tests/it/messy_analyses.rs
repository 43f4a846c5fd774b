//! Analyses and listings in every messy form, on every database.

use crate::support::{Kind, OTHER_USER, TestApp, TestDatabase, USER, on_every_database};

on_every_database!(
    careers_are_read_in_every_form,
    the_newest_analysis_counts_and_job_recommendations_come_first,
    a_session_of_another_user_is_not_read,
    rubbish_in_one_column_costs_only_that_column,
    messy_listings_never_fail_a_calculation,
    profile_texts_are_evidence,
);

async fn careers_are_read_in_every_form(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    let forms = [
        r#"[{"careerName":"간호사","description":"d","matchScore":92,"category":"의료","reasons":["r"]}]"#,
        r#"[{"name":"간호사","matchScore":0.92}]"#,
        r#"[{"career_name":"간호사","matchScore":"92%"}]"#,
        r#"["간호사"]"#,
        r#"[{"careerName":"간호사"}]"#,
        r#"[null, 7, {}, {"careerName":""}, {"careerName":" 간호사\n"}]"#,
    ];
    for (user, form) in (USER..).zip(forms) {
        database.add_analysis(user, form, "[]", 1).await;
        let answer = app.calculate(user).await;
        assert_eq!(answer.outcome(), "computed", "{form}");
        assert_eq!(database.stored_careers(user).await, ["간호사"], "{form}");
    }
}

async fn the_newest_analysis_counts_and_job_recommendations_come_first(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    database.add_analysis(USER, r#"["회계 담당자"]"#, "[]", 20).await;
    database.add_analysis(USER, r#"["간호사"]"#, "[]", 10).await;
    app.calculate(USER).await;
    assert_eq!(database.stored_careers(USER).await, ["회계 담당자"]);
    database.set_career(USER, "백엔드 개발자").await;
    app.calculate(USER).await;
    assert_eq!(database.stored_careers(USER).await, ["백엔드 개발자"]);
}

async fn a_session_of_another_user_is_not_read(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    database.add_analysis(OTHER_USER, r#"["간호사"]"#, "[]", 1).await;
    // A session id column that a number would match by conversion.
    database.execute(&format!("UPDATE career_sessions SET user_id = '{USER}abc'")).await;
    assert_eq!(app.calculate(USER).await.outcome(), "no_profile_analysis");
}

async fn rubbish_in_one_column_costs_only_that_column(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    if database.kind != Kind::Sqlite {
        // Deployments differ: a JSON column cannot hold rubbish, a text column can.
        database.execute("ALTER TABLE career_analyses MODIFY interest_areas TEXT NULL").await;
        database.execute("ALTER TABLE career_analyses MODIFY recommended_careers TEXT NULL").await;
    }
    let rubbish = [
        "{{{",
        "",
        "null",
        "42",
        "\"text\"",
        "[[[]]]",
        "{\"a\":{\"b\":[]}}",
        "😀",
        "\\u0000",
        "[\"\\ud800\"]",
    ];
    for (user, rubbish) in (USER..).zip(rubbish) {
        database.add_analysis(user, r#"["간호사"]"#, rubbish, 1).await;
        assert_eq!(app.calculate(user).await.outcome(), "computed", "{rubbish}");
        database
            .execute(&format!(
                "UPDATE career_analyses SET interest_areas = recommended_careers WHERE session_id = {}",
                user * 100 + 1
            ))
            .await;
        let other = user + 500;
        database.add_analysis(other, rubbish, r#"["여행"]"#, 1).await;
        assert_eq!(app.calculate(other).await.outcome(), "no_job_recommendations", "{rubbish}");
    }
}

async fn messy_listings_never_fail_a_calculation(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    if database.kind != Kind::Sqlite {
        database.execute("ALTER TABLE job_listings MODIFY description MEDIUMTEXT NULL").await;
    }
    let long = "간호사 모집 안내 ".repeat(50_000);
    let listings = [
        ("NULL", "NULL", "NULL", "NULL"),
        ("'병원'", "'&lt;b&gt;간호&amp;돌봄&lt;/b&gt; &nbsp; &bogus; &#x110000;'", "'{\"a\":'", "'😀🏥'"),
        ("''", "''", "''", "''"),
        ("'㈜㈜()[]'", &format!("'{long}'"), "'[1,null,{}]'", "',,,;;'"),
    ];
    for (number, (company, description, skills, stack)) in listings.into_iter().enumerate() {
        database
            .execute(&format!(
                "INSERT INTO job_listings (site_name, job_id, title, company, description, required_skills, tech_stack) \
                 VALUES ('messy', '{number}', '[급구] 간호사 {number}', {company}, {description}, {skills}, {stack})"
            ))
            .await;
    }
    drop(app);
    let app = TestApp::start(&database, &[]).await;
    database.set_career(USER, "간호사").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let list = app.fast(USER, "?limit=100").await.body;
    let rows = list["recommendations"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["siteName"] == "messy" && row["company"] == ""), "{list}");
    assert!(rows.iter().all(|row| row["description"].as_str().unwrap().chars().count() <= 300));
}

async fn profile_texts_are_evidence(database: TestDatabase) {
    let app = TestApp::start(&database, &[]).await;
    database.set_career(USER, "백엔드 개발자").await;
    database
        .execute(&format!(
            "INSERT INTO profile_analysis (user_id, strengths, interests, summary) \
             VALUES ({USER}, 'Java, Spring, 문제 해결', '[\"커머스\"]', '백엔드 경력 3년')"
        ))
        .await;
    app.calculate(USER).await;
    let list = app.fast(USER, "?limit=100").await.body;
    let rows = list["recommendations"].as_array().unwrap();
    let skilled = rows.iter().find(|row| {
        row["matchedSkills"].as_array().is_some_and(|skills| skills.contains(&serde_json::json!("Java")))
    });
    let skilled = skilled.unwrap();
    assert!(skilled["matchReason"].as_str().unwrap().contains("Java"), "{skilled}");
    assert!(skilled["breakdown"]["skills"].as_f64().unwrap() > 0.0);
}
