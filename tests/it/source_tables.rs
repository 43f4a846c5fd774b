//! The tables of other services: made by their owners whenever they like, in forms of their own.

use job_agent::listings::sample;
use job_agent::storage::{ListingRecord, ListingStore, StoreErrorKind};

use crate::support::{
    Kind, OTHER_USER, TestApp, TestDatabase, TestProcess, USER, command, eventually, on_servers,
};

on_servers!(
    without_any_table_everything_answers_and_none_is_made,
    tables_that_are_made_after_the_start_are_used,
    tables_that_are_made_during_a_run_are_used_by_the_next,
    columns_that_the_crawler_adds_count_after_the_next_refresh,
    tables_with_nothing_but_the_needed_columns_are_enough,
    a_needed_column_that_is_missing_is_named,
    every_form_of_every_table_works,
    listings_with_ids_that_are_too_large_are_left_out,
    tables_that_the_backend_replaces_are_read_again,
    an_import_stores_what_a_narrow_character_set_can_hold,
    an_import_into_a_table_that_lacks_columns_or_does_not_exist,
    an_import_larger_than_a_packet_is_split,
    the_source_tables_are_made_on_request,
);

/// The tables as the backend and the crawler make them, in variants.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Type of ids.
    id: &'static str,
    flag: &'static str,
    text: &'static str,
    /// Type of columns that hold JSON.
    json: &'static str,
    time: &'static str,
    score: &'static str,
    /// What follows the columns.
    options: &'static str,
    listing_options: &'static str,
    listing_keys: &'static str,
    site: &'static str,
}

const BACKEND: Form = Form {
    id: "BIGINT",
    flag: "BIT(1)",
    text: "TEXT",
    json: "JSON",
    time: "DATETIME(6)",
    score: "DOUBLE",
    options: "DEFAULT CHARSET = utf8mb4",
    listing_options: "DEFAULT CHARSET = utf8mb4",
    listing_keys: ", UNIQUE KEY uq_site_job (site_name, job_id)",
    site: "VARCHAR(100)",
};

const FORMS: [Form; 7] = [
    BACKEND,
    Form {
        id: "BIGINT UNSIGNED",
        flag: "TINYINT(1)",
        text: "LONGTEXT",
        json: "LONGTEXT",
        time: "TIMESTAMP",
        score: "FLOAT",
        options: "DEFAULT CHARSET = utf8mb4 COLLATE utf8mb4_bin",
        listing_options: "DEFAULT CHARSET = utf8mb4 COLLATE utf8mb4_unicode_ci",
        site: "ENUM('site', 'port')",
        ..BACKEND
    },
    Form {
        id: "INT UNSIGNED ZEROFILL",
        flag: "BOOLEAN",
        text: "MEDIUMTEXT",
        json: "TEXT",
        time: "DATETIME",
        score: "DECIMAL(5,2)",
        options: "DEFAULT CHARSET = utf8mb3",
        listing_options: "DEFAULT CHARSET = utf8mb3",
        listing_keys: "",
        ..BACKEND
    },
    Form {
        id: "SMALLINT",
        flag: "TINYINT UNSIGNED",
        text: "VARCHAR(1000)",
        json: "VARCHAR(1000)",
        time: "TIMESTAMP(3)",
        score: "VARCHAR(20)",
        options: "DEFAULT CHARSET = euckr",
        listing_options: "DEFAULT CHARSET = euckr",
        ..BACKEND
    },
    Form { id: "MEDIUMINT UNSIGNED", flag: "INT", text: "JSON", score: "INT", ..BACKEND },
    Form { text: "BLOB", json: "LONGBLOB", time: "VARCHAR(40)", ..BACKEND },
    Form { id: "TINYINT", time: "DATE", ..BACKEND },
];

impl Form {
    fn users(&self) -> String {
        let Form { id, flag, options, .. } = self;
        format!(
            "CREATE TABLE users (user_id {id} NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(50), \
             role ENUM('USER', 'ADMIN') NOT NULL DEFAULT 'USER', is_active {flag} NULL) {options}"
        )
    }

    fn analyses(&self) -> [String; 4] {
        let Form { id, text, json, time, score, options, .. } = self;
        [
            format!(
                "CREATE TABLE career_sessions (id {id} NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id VARCHAR(100), \
                 user_id VARCHAR(100) NULL, status ENUM('ACTIVE', 'COMPLETED') NULL, KEY (user_id)) {options}"
            ),
            format!(
                "CREATE TABLE career_analyses (id {id} NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id {id} NOT NULL, \
                 recommended_careers {json} NULL, interest_areas {json} NULL, personality_type {text} NULL, \
                 emotion_score {score} NULL, analyzed_at {time} NULL, \
                 FOREIGN KEY (session_id) REFERENCES career_sessions (id)) {options}"
            ),
            format!(
                "CREATE TABLE profile_analysis (id {id} NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id {id} NOT NULL, \
                 personality {text} NULL, `values` {text} NULL, interests {json} NULL, strengths {text} NULL, \
                 goals {text} NULL, values_list {text} NULL, mbti VARCHAR(16) NULL, summary {text} NULL) {options}"
            ),
            format!(
                "CREATE TABLE job_recommendations (id {id} NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id {id} NOT NULL, \
                 job_name VARCHAR(255) NULL, job_code VARCHAR(64) NULL, match_score {score} NULL, \
                 category VARCHAR(255) NULL, description {text} NULL) {options}"
            ),
        ]
    }

    /// As the crawler ships it: without the columns of [`SKILL_COLUMNS`].
    fn listings(&self) -> String {
        let Form { id, text, time, listing_options, listing_keys, site, .. } = self;
        format!(
            "CREATE TABLE job_listings (id {id} NOT NULL AUTO_INCREMENT PRIMARY KEY, site_name {site} NULL, \
             site_url VARCHAR(500) NULL, job_id VARCHAR(100) NULL, title VARCHAR(500) NULL, company VARCHAR(255) NULL, \
             location VARCHAR(255) NULL, description {text} NULL, url VARCHAR(1000) NULL, reward VARCHAR(255) NULL, \
             experience VARCHAR(255) NULL, search_keyword VARCHAR(255) NULL, crawled_at {time} NULL, \
             created_at {time} NULL, updated_at {time} NULL{listing_keys}) {listing_options}"
        )
    }

    fn skill_columns(&self) -> String {
        let Form { text, json, .. } = self;
        format!(
            "ALTER TABLE job_listings ADD COLUMN tech_stack {text} NULL, ADD COLUMN required_skills {json} NULL"
        )
    }

    /// As the old service made it, with ids and times of this form.
    fn recommendations(&self) -> String {
        let Form { id, text, json, time, options, .. } = self;
        let time = if time.starts_with("VARCHAR") || *time == "DATE" { "DATETIME" } else { time };
        format!(
            "CREATE TABLE user_job_recommendations (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id {id} NOT NULL, \
             job_listing_id {id} NOT NULL, match_score DECIMAL(5,2) NULL, match_reason {} NULL, \
             recommendation_data {json} NULL, calculated_at {time} NULL, created_at {time} NULL, \
             updated_at {time} NULL, UNIQUE KEY uq_user_job (user_id, job_listing_id)) {options}",
            if *text == "JSON" { "TEXT" } else { text },
        )
    }

    async fn make_all(&self, database: &TestDatabase) {
        database.execute(&self.users()).await;
        for statement in self.analyses() {
            database.execute(&statement).await;
        }
        database.execute(&self.listings()).await;
        database.execute(&self.skill_columns()).await;
    }
}

async fn bare(kind: Kind) -> TestDatabase {
    TestDatabase::create_bare(kind).await
}

async fn source_tables(database: &TestDatabase) -> Vec<String> {
    let tables = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
                  WHERE table_schema = DATABASE() ORDER BY 1";
    let ours = [
        "_sqlx_migrations",
        "catalogue_state",
        "recommendation_batches",
        "recommendation_state",
        "scheduled_jobs",
        "user_job_recommendations",
    ];
    let all = database.texts(tables).await;
    all.into_iter().filter(|table| !ours.contains(&table.as_str())).collect()
}

async fn batch_is_finished(app: &TestApp, database: &TestDatabase) {
    assert_eq!(app.post("/api/scheduler/trigger").await.status, 202);
    let running = "SELECT COUNT(*) FROM recommendation_batches WHERE finished_at IS NULL";
    eventually("the batch is finished", || async { database.number(running).await == 0 }).await;
}

async fn without_any_table_everything_answers_and_none_is_made(database: TestDatabase) {
    let bare = bare(database.kind).await;
    let process = TestProcess::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    let app = TestApp::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "no_profile_analysis");
    assert_eq!(app.calculate_in_background(USER).await.outcome(), "no_profile_analysis");
    let list = app.fast(USER, "").await;
    assert_eq!((list.status.as_u16(), &list.body["totalCount"]), (200, &0.into()));
    batch_is_finished(&app, &bare).await;
    bare.execute("INSERT INTO user_job_recommendations (user_id, job_listing_id, match_score, calculated_at) VALUES (1, 1, 5, NOW())").await;
    let cleaned = bare.store().clean_up(None, None).await.unwrap().unwrap();
    assert_eq!(cleaned.rows, 0, "a table that is missing is no reason to empty all lists");
    assert_eq!(source_tables(&bare).await, [""; 0]);
    let said = "a table of another service does not exist";
    eventually("two refreshes", || async { process.log().matches("catalogue").count() > 0 }).await;
    assert_eq!(process.events(said).len(), 6, "each table is named once: {}", process.log());
}

async fn add_careers(database: &TestDatabase, user: i64) {
    database
        .execute(&format!(
            "INSERT INTO job_recommendations (user_id, job_name, match_score) VALUES ({user}, '간호사', 90)"
        ))
        .await;
}

async fn add_listing(database: &TestDatabase, job: i64) {
    database
        .execute(&format!(
            "INSERT INTO job_listings (site_name, job_id, title, company, created_at, updated_at) \
             VALUES ('site', '{job}', '간호사 모집 {job}', '병원', UTC_TIMESTAMP(), UTC_TIMESTAMP())"
        ))
        .await;
}

/// The backend makes its tables at its start, which comes after ours.
async fn tables_that_are_made_after_the_start_are_used(database: TestDatabase) {
    let bare = bare(database.kind).await;
    let app = TestApp::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "no_profile_analysis");
    BACKEND.make_all(&bare).await;
    bare.execute(&format!("INSERT INTO users (user_id, is_active) VALUES ({USER}, b'1')")).await;
    add_careers(&bare, USER).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed", "the analysis counts at once");
    add_listing(&bare, 1).await;
    eventually("the listing is recommended", || async {
        app.calculate(USER).await;
        bare.row_count(USER).await == 1
    })
    .await;
}

async fn tables_that_are_made_during_a_run_are_used_by_the_next(database: TestDatabase) {
    let bare = bare(database.kind).await;
    let [sessions, analyses, profiles, careers] = BACKEND.analyses();
    bare.execute(&careers).await;
    add_careers(&bare, USER).await;
    let app = TestApp::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    bare.store().request_run(USER.try_into().unwrap()).await.unwrap();
    eventually("the trigger is served", || async { bare.state(USER, "completed_seq").await == 1 }).await;
    bare.execute("UPDATE recommendation_state SET result_digest = NULL").await;
    let holder = bare.hold_states().await;
    let run = app.calculate(USER);
    let made = async {
        crate::support::a_transaction_waits(&bare).await;
        // While the run is in its transaction: no statement of the backend waits for it.
        for statement in [sessions, analyses, profiles, BACKEND.users(), BACKEND.listings()] {
            bare.execute(&statement).await;
        }
        add_listing(&bare, 1).await;
        bare.execute(&BACKEND.skill_columns()).await;
        holder.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(run, made);
    assert_eq!(answer.outcome(), "computed");
    eventually("the listing is recommended", || async {
        app.calculate(USER).await;
        bare.row_count(USER).await == 1
    })
    .await;
}

async fn columns_that_the_crawler_adds_count_after_the_next_refresh(database: TestDatabase) {
    let bare = bare(database.kind).await;
    bare.execute(&BACKEND.users()).await;
    for statement in BACKEND.analyses() {
        bare.execute(&statement).await;
    }
    bare.execute(&BACKEND.listings()).await;
    add_listing(&bare, 1).await;
    let app = TestApp::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    add_careers(&bare, USER).await;
    bare.execute(&format!("INSERT INTO profile_analysis (user_id, strengths) VALUES ({USER}, 'Java')")).await;
    assert_eq!(app.calculate(USER).await.body["savedCount"], 1);
    let row = |list: &serde_json::Value| list["recommendations"][0].clone();
    assert_eq!(row(&app.fast(USER, "").await.body)["techStack"], "");

    bare.execute(&BACKEND.skill_columns()).await;
    // Without a newer updated_at: the column itself makes the listings be read again.
    bare.execute("UPDATE job_listings SET tech_stack = 'Java, Spring'").await;
    eventually("the skills count", || async {
        app.calculate(USER).await;
        let row = row(&app.fast(USER, "").await.body);
        row["techStack"] == "Java, Spring" && row["matchedSkills"] == serde_json::json!(["Java"])
    })
    .await;
}

async fn tables_with_nothing_but_the_needed_columns_are_enough(database: TestDatabase) {
    let bare = bare(database.kind).await;
    for statement in [
        "CREATE TABLE users (user_id INT PRIMARY KEY)",
        "CREATE TABLE career_sessions (id INT PRIMARY KEY, user_id VARCHAR(20))",
        "CREATE TABLE career_analyses (session_id INT, recommended_careers TEXT)",
        "CREATE TABLE profile_analysis (user_id INT)",
        "CREATE TABLE job_recommendations (user_id INT, job_name VARCHAR(100))",
        "CREATE TABLE job_listings (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(500))",
        "INSERT INTO users VALUES (1001), (1002), (1003)",
        "INSERT INTO career_sessions VALUES (1, '1001')",
        "INSERT INTO career_analyses VALUES (1, '[\"간호사\"]')",
        "INSERT INTO profile_analysis VALUES (1002)",
        "INSERT INTO job_recommendations VALUES (1002, '간호사')",
        "INSERT INTO job_listings (title) VALUES ('간호사 모집')",
    ] {
        bare.execute(statement).await;
    }
    let app = TestApp::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    batch_is_finished(&app, &bare).await;
    let listed = "SELECT user_id FROM user_job_recommendations ORDER BY user_id";
    assert_eq!(bare.numbers(listed).await, [1001, 1002]);
    assert_eq!(app.fast(1001, "").await.body["recommendations"][0]["title"], "간호사 모집");
    // There is no updated_at: the number of listings shows the change.
    bare.execute("INSERT INTO job_listings (title) VALUES ('수간호사')").await;
    eventually("the new listing is found", || async { app.calculate(1001).await.body["savedCount"] == 2 })
        .await;
    bare.execute("DELETE FROM job_listings WHERE title = '수간호사'").await;
    eventually("the listing is gone", || async { app.calculate(1001).await.body["savedCount"] == 1 }).await;
}

async fn a_needed_column_that_is_missing_is_named(database: TestDatabase) {
    database.execute("ALTER TABLE job_listings RENAME COLUMN title TO name").await;
    database.execute("ALTER TABLE job_recommendations RENAME COLUMN user_id TO owner").await;
    let mut missing = Vec::new();
    let error = database.store().read_catalogue(&mut |listing| missing.push(listing)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    let expected = "needed columns are missing: job_recommendations lacks user_id; job_listings lacks title";
    assert!(error.to_string().ends_with(expected), "{error}");
}

fn listing(job_id: &str, title: &str) -> ListingRecord {
    ListingRecord {
        site_name: "port".to_owned(),
        job_id: job_id.to_owned(),
        title: title.to_owned(),
        // Valid as JSON and as text.
        description: Some("\"병동 😀 근무\"".to_owned()),
        crawled_at: Some("2026-10-01T02:03:04.567Z".parse().unwrap()),
        required_skills: Some("간호, 돌봄".to_owned()),
        ..ListingRecord::default()
    }
}

async fn every_form_of_every_table_works(database: TestDatabase) {
    for form in FORMS {
        let bare = bare(database.kind).await;
        form.make_all(&bare).await;
        bare.execute(&form.recommendations()).await;
        // TINYINT has no larger ids.
        let (user, other) = if form.id == "TINYINT" { (1, 2) } else { (USER, OTHER_USER) };
        for statement in [
            &format!("INSERT INTO users (user_id, is_active) VALUES ({user}, 1), ({other}, 1), (77, 0)"),
            &format!(
                "INSERT INTO career_sessions (id, session_id, user_id) VALUES (1, 's', '{user}'), (2, NULL, NULL)"
            ),
            "INSERT INTO career_analyses (session_id, recommended_careers, interest_areas, analyzed_at) \
             VALUES (1, '[\"간호사\"]', '[\"의료\"]', UTC_TIMESTAMP()), (1, NULL, NULL, NULL)",
            &format!(
                "INSERT INTO profile_analysis (user_id, strengths) VALUES ({other}, '[\"Java\"]'), ({other}, NULL)"
            ),
            &format!(
                "INSERT INTO job_recommendations (user_id, job_name, match_score) \
                 VALUES ({other}, '간호사', '90'), ({other}, '의사', NULL), ({other}, NULL, NULL)"
            ),
            "INSERT INTO job_listings (title) VALUES (NULL), ('간호사')",
            // Zero dates, as writers without strict mode leave them.
            "SET sql_mode = ''; INSERT INTO job_listings (title, crawled_at, created_at, updated_at) \
             VALUES ('간호사 모집', '0000-00-00', '0000-00-00', '0000-00-00'); SET sql_mode = DEFAULT",
            &format!("INSERT INTO user_job_recommendations (user_id, job_listing_id) VALUES ({user}, 1)"),
        ] {
            bare.execute(statement).await;
        }
        add_listing(&bare, 1).await;
        let app = TestApp::start(&bare, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
        for (user, query) in [(user, "a session"), (other, "careers")] {
            let answer = app.calculate(user).await;
            assert_eq!(
                (answer.outcome(), &answer.body["savedCount"]),
                ("computed", &3.into()),
                "{query}: {form:?}"
            );
            assert_eq!(app.calculate(user).await.outcome(), "up_to_date", "{form:?}");
            let list = app.fast(user, "").await;
            assert_eq!(list.body["recommendations"].as_array().map(Vec::len), Some(3), "{form:?}: {list:?}");
        }
        let status = app.get(&format!("/api/job-agent/recommendations/status/{user}")).await;
        assert_eq!(status.status, 200, "{form:?}: {status:?}");
        batch_is_finished(&app, &bare).await;
        let in_batch = "SELECT user_id FROM recommendation_state WHERE batch_id IS NOT NULL ORDER BY user_id";
        assert_eq!(bare.numbers(in_batch).await, [user, other], "{form:?}");

        imports_count_what_has_changed(&bare, form).await;
        eventually("the imported listing is recommended", || async {
            app.calculate(user).await.body["savedCount"] == 4
        })
        .await;
        let import = [listing("1", "간호사 재공고")];
        bare.store().import_listings(&import).await.unwrap();
        eventually("the changed listing is recommended", || async {
            app.calculate(user).await;
            app.fast(user, "").await.body.to_string().contains("간호사 재공고")
        })
        .await;
        bare.execute("DELETE FROM job_listings WHERE site_name = 'port'").await;
        let cleaned = bare.store().clean_up(None, None).await.unwrap().unwrap();
        assert_eq!(cleaned.rows, 1, "{form:?}");
    }
}

/// Imports of the same file touch nothing the second time.
async fn imports_count_what_has_changed(database: &TestDatabase, form: Form) {
    let import = [listing("1", "간호사 공고")];
    database.store().import_listings(&import).await.unwrap();
    // As if long ago: a second write would move it.
    let long_ago = "UPDATE job_listings SET updated_at = '2020-01-01' WHERE site_name = 'port'";
    database.execute(long_ago).await;
    database.store().import_listings(&import).await.unwrap();
    let untouched =
        "SELECT COUNT(*) FROM job_listings WHERE site_name = 'port' AND updated_at <= '2020-01-02'";
    assert_eq!(database.number(untouched).await, 1, "{form:?}");
    database.execute("UPDATE job_listings SET updated_at = UTC_TIMESTAMP() WHERE site_name = 'port'").await;
}

async fn listings_with_ids_that_are_too_large_are_left_out(database: TestDatabase) {
    database.execute("DROP TABLE job_listings").await;
    let form = Form { id: "BIGINT UNSIGNED", ..BACKEND };
    database.execute(&form.listings()).await;
    database.execute("INSERT INTO job_listings (id, title) VALUES (18446744073709551610, '간호사')").await;
    add_careers(&database, USER).await;
    let process = TestProcess::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    assert_eq!(process.events("listings are left out").len(), 1);
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    let insert = "INSERT INTO job_listings (id, title, updated_at) VALUES (5, '간호사', UTC_TIMESTAMP()), \
                  (18446744073709551611, '간호사', UTC_TIMESTAMP())";
    database.execute(insert).await;
    eventually("the listing is found", || async { app.calculate(USER).await.body["savedCount"] == 1 }).await;
    database.execute("DELETE FROM job_listings WHERE id = 5").await;
    eventually("the listing is gone", || async { app.calculate(USER).await.body["savedCount"] == 0 }).await;
}

/// A backend with `ddl-auto=create` drops its tables at its start and makes them again.
async fn tables_that_the_backend_replaces_are_read_again(database: TestDatabase) {
    let app = TestApp::start(&database, &[("CATALOGUE_REFRESH_SECS", "1")]).await;
    database.set_career(USER, "간호사").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    for table in ["job_recommendations", "profile_analysis", "job_listings"] {
        database.execute(&format!("DROP TABLE {table}")).await;
    }
    assert_eq!(app.calculate(USER).await.outcome(), "no_profile_analysis");
    let list = app.fast(USER, "").await;
    assert_eq!((list.status.as_u16(), &list.body["totalCount"]), (200, &0.into()));
    database.execute("CREATE TABLE job_recommendations (user_id INT, job_name VARCHAR(100))").await;
    database.execute(&BACKEND.listings()).await;
    add_listing(&database, 1).await;
    database.execute(&format!("INSERT INTO job_recommendations VALUES ({USER}, '간호사')")).await;
    // A refresh may have found no listings meanwhile: then the empty list is current.
    let outcome = app.calculate(USER).await.outcome().to_owned();
    assert!(
        ["computed", "up_to_date"].contains(&outcome.as_str()),
        "columns that are gone are noticed: {outcome}"
    );
    eventually("the listing is recommended", || async {
        app.calculate(USER).await;
        app.fast(USER, "").await.body["totalCount"] == 1
    })
    .await;
}

async fn an_import_stores_what_a_narrow_character_set_can_hold(database: TestDatabase) {
    let bare = bare(database.kind).await;
    bare.execute("ALTER DATABASE CHARACTER SET latin1").await;
    let form = Form { listing_options: "DEFAULT CHARSET = latin1", ..BACKEND };
    form.make_all(&bare).await;
    bare.execute("ALTER TABLE job_listings MODIFY company VARCHAR(255) CHARACTER SET utf8mb4").await;
    let store = bare.store();
    store.migrate().await.unwrap();
    let mut record = listing("1", "Nurse 간호사");
    record.company = Some("병원 😀".to_owned());
    store.import_listings(&[record, listing("2", "Developer")]).await.unwrap();
    let titles = "SELECT title FROM job_listings ORDER BY job_id";
    assert_eq!(bare.texts(titles).await, ["Nurse ???", "Developer"]);
    assert_eq!(bare.texts("SELECT company FROM job_listings WHERE job_id = '1'").await, ["병원 😀"]);
    // The reasons are Korean, whatever the default of the database is.
    add_careers(&bare, USER).await;
    bare.execute("UPDATE job_listings SET company = '간호사 협회'").await;
    bare.execute("ALTER TABLE job_listings MODIFY title VARCHAR(500) CHARACTER SET utf8mb4").await;
    bare.execute("UPDATE job_listings SET title = '간호사'").await;
    let app = TestApp::start(&bare, &[]).await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let reason = app.fast(USER, "").await.body["recommendations"][0]["matchReason"].to_string();
    assert!(reason.contains("간호사"), "{reason}");
    assert_eq!(app.calculate(USER).await.outcome(), "up_to_date");
}

async fn an_import_into_a_table_that_lacks_columns_or_does_not_exist(database: TestDatabase) {
    database.execute("DROP TABLE job_listings").await;
    let error = database.store().import_listings(&sample::listings().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains("--source-tables"), "{error}");
    database.execute(&BACKEND.listings()).await;
    let listings = sample::listings().unwrap();
    database.store().import_listings(&listings).await.unwrap();
    assert_eq!(database.number("SELECT COUNT(*) FROM job_listings").await as usize, listings.len());
}

async fn an_import_larger_than_a_packet_is_split(database: TestDatabase) {
    let before = database.number("SELECT CAST(@@GLOBAL.max_allowed_packet AS SIGNED)").await;
    // For sessions that begin now. No other test sends a larger statement.
    database.execute("SET GLOBAL max_allowed_packet = 2097152").await;
    let store = database.mysql_store();
    let packet: (i64,) = sqlx::query_as("SELECT CAST(@@max_allowed_packet AS SIGNED)")
        .fetch_one(&mut *store.connection().await.unwrap())
        .await
        .unwrap();
    assert_eq!(packet.0, 2 << 20);
    let of_size = |job: usize, bytes: usize| ListingRecord {
        description: Some("x".repeat(bytes)),
        ..listing(&job.to_string(), "간호사")
    };
    let listings: Vec<_> = (0..100).map(|job| of_size(job, 60_000)).collect();
    store.import_listings(&listings).await.unwrap();
    let imported = "SELECT COUNT(*) FROM job_listings WHERE site_name = 'port'";
    assert_eq!(database.number(imported).await, 100);

    let error = store.import_listings(&[of_size(500, 10), of_size(501, 3 << 20)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "so that the command imports each listing alone");
    assert!(error.to_string().contains("the listing 501 of port has 3"), "{error}");
    assert_eq!(database.number(imported).await, 100);
    database.execute(&format!("SET GLOBAL max_allowed_packet = {before}")).await;
}

async fn the_source_tables_are_made_on_request(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let job_agent = |url: &str, settings: &[(&str, &str)], arguments: &[&str]| {
        let mut job_agent = command(folder.path(), settings);
        let run = job_agent.env("DATABASE_URL", url).args(arguments).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    let all = [
        "career_analyses",
        "career_sessions",
        "job_listings",
        "job_recommendations",
        "profile_analysis",
        "users",
    ];
    let bare_database = bare(database.kind).await;
    job_agent(&bare_database.url, &[], &["migrate"]);
    assert_eq!(source_tables(&bare_database).await, [""; 0]);
    bare_database.execute("CREATE TABLE users (user_id INT PRIMARY KEY)").await;
    for _ in 0..2 {
        job_agent(&bare_database.url, &[], &["migrate", "--source-tables"]);
        assert_eq!(source_tables(&bare_database).await, all);
    }
    let columns = "SELECT COUNT(*) FROM information_schema.columns \
                   WHERE table_schema = DATABASE() AND table_name = 'users'";
    assert_eq!(bare_database.number(columns).await, 1, "what exists is left as it is");

    let sample_database = bare(database.kind).await;
    job_agent(&sample_database.url, &[("SAMPLE_DATA", "true")], &["migrate"]);
    assert_eq!(source_tables(&sample_database).await, all);
    let listings = sample_database.number("SELECT COUNT(*) FROM job_listings").await;
    assert_eq!(listings as usize, sample::listings().unwrap().len());

    let backend_database = bare(database.kind).await;
    BACKEND.make_all(&backend_database).await;
    job_agent(&backend_database.url, &[("SAMPLE_DATA", "true")], &["migrate"]);
    let users = backend_database.number("SELECT COUNT(*) FROM users").await;
    assert_eq!(users as usize, sample::users().unwrap().len(), "the backend's own tables, empty");

    let used_database = bare(database.kind).await;
    used_database.execute("CREATE TABLE users (user_id INT PRIMARY KEY)").await;
    used_database.execute("INSERT INTO users VALUES (1)").await;
    job_agent(&used_database.url, &[("SAMPLE_DATA", "true")], &["migrate"]);
    assert_eq!(source_tables(&used_database).await, ["users"], "a database that is in use");
}
