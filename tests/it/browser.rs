//! The console in a real browser. `scripts/check-console` installs Chromium and runs these tests.

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::token::{SECRET, user_token};
use crate::support::{Kind, TestApp, TestDatabase, config, eventually};

const API_TOKEN: &str = "service-token-0123456789";
/// The user of the sample data whose list is shown.
const SAMPLE_USER: i64 = 1;
const NO_PROBLEMS: Vec<String> = Vec::new();

/// The service on sample data.
async fn app(settings: &[(&str, &str)]) -> (TestApp, TestDatabase) {
    let database = TestDatabase::create_empty(Kind::Sqlite).await;
    let settings = [settings, &[("SAMPLE_DATA", "true"), ("INSTANCE_NAME", "job-agent-1")]].concat();
    (TestApp::start_with(config(&database, &settings)).await, database)
}

fn rows(browser: &mut Browser) -> u64 {
    browser.value("document.querySelectorAll('#list > li').length").as_u64().unwrap()
}

fn lightness(browser: &mut Browser) -> u64 {
    let colour = browser.value("getComputedStyle(document.body).backgroundColor");
    colour.as_str().unwrap().split(|c: char| !c.is_ascii_digit()).find_map(|part| part.parse().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn a_list_is_calculated_shown_and_explained() {
    let (app, database) = app(&[]).await;
    let mut browser = Browser::open(&app.address);
    browser.until("document.querySelector('#state').innerText === 'Unknown'");
    assert_eq!(rows(&mut browser), 0);
    browser.click("#recalculate");
    browser.until("document.querySelector('#message').innerText.startsWith('Computed: ')");
    browser.until("document.querySelector('#state').innerText === 'Current'");
    let stored = app.fast(SAMPLE_USER, "?limit=100").await.body;
    browser.until(&format!("document.querySelectorAll('#list > li').length === {}", stored["totalCount"]));
    browser.click("#recalculate");
    browser.until("document.querySelector('#message').innerText.startsWith('Up to date: ')");
    browser.click("#force");
    browser.click("#recalculate");
    browser.until("document.querySelector('#message').innerText.startsWith('Computed: ')");

    browser.click("#list summary");
    let first = &stored["recommendations"][0];
    browser.until("document.querySelector('#list .evidence') !== null");
    let evidence = browser.text("#list .evidence");
    for part in ["title", "skills", "experience", "interests", "freshness"] {
        assert!(
            evidence.contains(&format!("{:.2}", first["breakdown"][part].as_f64().unwrap())),
            "{evidence}"
        );
    }
    for words in ["matchedWords", "matchedSkills"] {
        for word in first[words].as_array().unwrap() {
            assert!(evidence.contains(word.as_str().unwrap()), "{evidence}");
        }
    }
    assert!(evidence.contains(first["matchReason"].as_str().unwrap()), "{evidence}");

    // A list that this instance leaves to a newer one.
    database.execute("UPDATE recommendation_state SET scoring_revision = scoring_revision + 1").await;
    browser.click("#recalculate");
    browser.until("document.querySelector('#message').innerText.startsWith('Another run is in progress')");
    browser.until("document.querySelector('#state').innerText === 'Pending'");

    // Another user, who has no analysis.
    browser.fill("#user", "424242");
    browser.press("Enter");
    browser.until("document.querySelectorAll('#list > li').length === 0");
    browser.click("#recalculate");
    browser.until("document.querySelector('#message').innerText.includes('no_profile_analysis')");
    browser.fill("#user", "0");
    browser.press("Enter");
    browser.until("document.querySelector('#message').innerText.includes('integer')");
    assert_eq!(browser.problems(), NO_PROBLEMS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn many_triggers_at_once_leave_one_list_that_all_have_read() {
    let (app, database) = app(&[]).await;
    app.calculate(SAMPLE_USER).await;
    let mut browser = Browser::open(&app.address);
    browser.click("#tab-race");
    for calls in [20, 100, 2] {
        browser.click(&format!("[data-calls='{calls}']"));
        browser.until("document.querySelector('#race-verdict.good, #race-verdict.bad') !== null");
        browser.until(&format!("document.querySelectorAll('#race-rows tr').length === {calls}"));
        let verdict = browser.text("#race-verdict");
        assert!(verdict.starts_with(&format!("One consistent list. {calls} calls, ")), "{verdict}");
        let count = |browser: &mut Browser, kind: &str| {
            let rows = "[...document.querySelectorAll('#race-rows tr td:first-of-type')]";
            browser
                .value(&format!("{rows}.filter((cell) => cell.innerText === {kind:?}).length"))
                .as_u64()
                .unwrap()
        };
        let (computed, joined, skipped) =
            (count(&mut browser, "computed"), count(&mut browser, "joined"), count(&mut browser, "skipped"));
        assert_eq!((computed, computed + joined + skipped), (1, calls), "{verdict}");
    }
    let rows = app.fast(SAMPLE_USER, "?limit=100").await.body["totalCount"].as_i64().unwrap();
    assert_eq!(database.row_count(SAMPLE_USER).await, rows);
    assert_eq!(browser.problems(), NO_PROBLEMS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn an_operator_sees_counters_runs_and_the_batch_and_retries_a_parked_user() {
    let (app, database) = app(&[("QUEUE_MAX_ATTEMPTS", "1")]).await;
    let mut browser = Browser::open(&app.address);
    browser.click("#tab-operation");
    browser.until("document.querySelector('#instance').innerText.includes('job-agent-1')");
    browser.click("#batch-start");
    browser.until("document.querySelector('#batch-progress').value === 100");
    browser.until("document.querySelector('#batch-text').innerText.startsWith('#1 finished')");
    browser.until("document.querySelectorAll('#runs tr').length >= 10");
    assert!(
        browser.value(
            "[...document.querySelectorAll('#runs .bar')].every((bar) => bar.ariaLabel.includes('write'))"
        ) == true
    );

    database.execute("DELETE FROM user_job_recommendations WHERE user_id = 1").await;
    database.poison(1).await;
    app.calculate_in_background(1).await;
    browser.until("document.querySelectorAll('#parked li').length === 1");
    assert!(browser.text("#parked li").contains("internal_error"));
    database.execute("DROP TRIGGER poison").await;
    browser.click("#parked li button:last-of-type");
    browser.until("document.querySelectorAll('#parked li').length === 0");
    eventually("the list is written", || async { database.row_count(1).await > 0 }).await;
    // A user of a run is shown with a click.
    browser.click("#runs .link");
    browser.until(
        "!document.querySelector('#view-list').hidden && document.querySelector('#list > li') !== null",
    );
    assert_eq!(browser.problems(), NO_PROBLEMS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn the_page_works_by_keyboard_in_two_languages_and_themes_and_on_a_phone() {
    let (app, _database) = app(&[]).await;
    let mut browser = Browser::open(&app.address);
    browser.prefer("prefers-color-scheme", "dark");
    assert!(lightness(&mut browser) < 60, "as the system, until the reader decides");
    browser.press("Tab");
    assert_eq!(browser.text(":focus"), "Skip to the content");
    browser.tab_to("#language");
    browser.press("Enter");
    assert_eq!(browser.value("document.documentElement.lang"), "ko");
    browser.tab_to("#theme");
    browser.press("Enter");
    let light = lightness(&mut browser);
    browser.press(" ");
    let dark = lightness(&mut browser);
    assert!(light > 200 && dark < 60, "{light} {dark}");
    browser.tab_to("#recalculate");
    browser.press("Enter");
    browser.until("document.querySelector('#message').innerText.startsWith('계산했습니다')");
    browser.tab_to("[role=tab]");
    browser.press("ArrowRight");
    browser.until("!document.querySelector('#view-race').hidden");
    browser.press("ArrowLeft");
    browser.until(
        "!document.querySelector('#view-list').hidden && document.querySelector('#list > li') !== null",
    );
    browser.tab_to("#list summary");
    browser.press("Enter");
    browser.until("document.querySelector('#list details[open] .evidence') !== null");

    // Remembered; and not wider than a phone, in any view and language.
    browser.resize(360, 780);
    for view in ["list", "race", "operation"] {
        browser.go(&format!("/#{view}"));
        assert_eq!(browser.value("document.documentElement.lang"), "ko");
        assert!(lightness(&mut browser) < 60);
        if view == "race" {
            browser.click("[data-calls='20']");
            browser.until("document.querySelector('#race-verdict.good') !== null");
        }
        if view == "operation" {
            browser.until("document.querySelectorAll('#runs tr').length > 0");
        }
        for _ in 0..2 {
            let widths = browser.value("[document.documentElement.scrollWidth, innerWidth]");
            assert_eq!(widths[0], widths[1], "{view}");
            browser.click("#language");
        }
    }
    assert_eq!(browser.problems(), NO_PROBLEMS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn a_hostile_listing_is_a_text_like_any_other() {
    let (app, database) = app(&[]).await;
    let hostile = r#"<img src=x onerror="alert(1)"><script>alert(2)</script> 백엔드 개발자"#;
    app.calculate(SAMPLE_USER).await;
    database
        .execute(&format!(
            "UPDATE job_listings SET title = '{hostile}', company = '{hostile}', location = '{hostile}'"
        ))
        .await;
    database.execute("UPDATE job_listings SET url = 'javascript:alert(3)'").await;
    let mut browser = Browser::open(&app.address);
    browser.until("document.querySelectorAll('#list > li').length > 0");
    browser.click("#list summary");
    browser.until("document.querySelector('#list .evidence') !== null");
    assert!(browser.text("#list .title").contains("<img src=x onerror="));
    assert_eq!(
        browser.value("document.querySelectorAll('main img, main script, main a[href^=javascript]').length"),
        0
    );
    assert_eq!(browser.problems(), NO_PROBLEMS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn with_tokens_required_the_page_shows_what_the_token_of_its_reader_reaches() {
    let (app, _database) =
        app(&[("AUTH_MODE", "required"), ("API_TOKENS", API_TOKEN), ("JWT_SECRET", SECRET)]).await;
    let mut browser = Browser::open(&app.address);
    browser.until("document.querySelector('#message').innerText.includes('token_required')");
    let enter = |browser: &mut Browser, token: &str| {
        browser.click("#token-button");
        browser.fill("#token", token);
        browser.press("Enter");
        browser.until("document.querySelector('#token-form').hidden");
    };
    enter(&mut browser, "rubbish-rubbish-rubbish");
    browser.until("document.querySelector('#message').innerText.includes('invalid_token')");

    enter(&mut browser, &user_token(SECRET, SAMPLE_USER));
    browser.until("document.querySelector('#message').innerText === ''");
    browser.click("#recalculate");
    browser.until("document.querySelectorAll('#list > li').length > 0");
    browser.fill("#user", "2");
    browser.press("Enter");
    browser.until("document.querySelector('#message').innerText.includes('forbidden')");
    browser.click("#tab-operation");
    browser.until("!document.querySelector('#operation-refused').hidden");

    enter(&mut browser, API_TOKEN);
    browser.until("document.querySelector('#operation-refused').hidden");
    browser.until("document.querySelectorAll('#runs tr').length > 0");
    let kept = browser.value("[JSON.stringify(localStorage), document.cookie, location.href].join(' ')");
    assert!(!kept.as_str().unwrap().contains(API_TOKEN), "{kept}");
    browser.go("/");
    browser.until("document.querySelector('#token-button.set') !== null");
    browser.click("#token-button");
    browser.click("#token-forget");
    browser.until("document.querySelector('#message').innerText.includes('token_required')");
    assert_eq!(browser.value("sessionStorage.getItem('job-agent.token')"), Value::Null);
    // The browser itself reports refused requests.
    let refused = |problem: &String| problem.contains("status of 401") || problem.contains("status of 403");
    let others: Vec<String> = browser.problems().into_iter().filter(|problem| !refused(problem)).collect();
    assert_eq!(others, NO_PROBLEMS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: scripts/check-console"]
async fn pictures_of_the_console_and_of_the_documentation_are_taken() {
    let (app, _database) = app(&[]).await;
    for user in 1..=6 {
        app.calculate(user).await;
    }
    let mut browser = Browser::open(&app.address);
    browser.prefer("prefers-reduced-motion", "reduce");
    browser.value(
        "localStorage.setItem('job-agent.language', 'ko'), localStorage.setItem('job-agent.theme', 'light')",
    );
    browser.go("/");
    browser.until("document.querySelectorAll('#list > li').length > 0");
    browser.click("#list > li:nth-child(2) summary");
    browser.until("document.querySelector('#list .evidence') !== null");
    browser.value("scrollTo(0, 0)");
    browser.picture("console-list");
    browser.resize(390, 844);
    browser.value("document.querySelector('#list details').open = false, scrollTo(0, 0)");
    browser.picture("console-phone");

    browser.value(
        "localStorage.setItem('job-agent.language', 'en'), localStorage.setItem('job-agent.theme', 'dark')",
    );
    browser.resize(1120, 800);
    browser.go("/#race");
    browser.click("[data-calls='20']");
    browser.until("document.querySelector('#race-verdict.good') !== null");
    browser.value("scrollTo(0, 0)");
    browser.picture("console-race");
    browser.go("/#operation");
    browser.click("#batch-start");
    browser.until("document.querySelector('#batch-progress').value === 100");
    browser.until("document.querySelectorAll('#runs tr').length > 10");
    browser.value("scrollTo(0, 0)");
    browser.picture("console-operation");

    browser.go("/docs/index.html");
    browser.until("document.querySelectorAll('.opblock').length > 8");
    browser.picture("docs");
    assert_eq!(browser.problems(), NO_PROBLEMS);
}
