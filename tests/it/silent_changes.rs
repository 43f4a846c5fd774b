//! Listings that change without a new `updated_at`, as the tables of some crawlers let them: found by checksums.

use std::collections::BTreeMap;
use std::fmt::Write;

use job_agent::domain::ListingId;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::listings::Held;
use crate::support::{TestDatabase, on_servers};

on_servers!(
    the_server_computes_the_checksums_that_this_service_computes,
    changes_are_found_within_five_refreshes_of_a_large_table,
    of_many_changes_one_that_is_found_brings_all,
    a_check_leaves_many_changes_that_show_to_be_read_as_such,
    an_instance_that_another_is_ahead_of_finds_the_changes_at_once,
    two_instances_settle_on_one_version,
    rows_without_a_time_come_change_and_go_without_a_full_read,
    a_row_that_is_replaced_under_its_id_is_read_again,
    a_table_without_the_column_is_followed,
);

/// A table of the forms that crawlers have: other types, an id with leading zeros, a narrow character set, and whole
/// seconds in another type of time.
const OTHER_FORM: &str = "
ALTER TABLE job_listings
    MODIFY id BIGINT(20) UNSIGNED ZEROFILL NOT NULL AUTO_INCREMENT,
    MODIFY company VARCHAR(255) CHARACTER SET euckr NULL,
    MODIFY description LONGTEXT NULL,
    MODIFY crawled_at TIMESTAMP NULL,
    MODIFY required_skills JSON NULL,
    DROP COLUMN tech_stack
";

async fn the_server_computes_the_checksums_that_this_service_computes(database: TestDatabase) {
    let mut runner = TestRunner::deterministic();
    let any_text = prop::option::of(prop::collection::vec(any::<char>(), 0..80).prop_map(String::from_iter));
    let times = ["2026-10-01 00:00:00", "0000-00-00 00:00:00", "1999-12-31 23:59:59.999999"];
    for form in [None, Some(OTHER_FORM)] {
        if let Some(form) = form {
            database.execute("DELETE FROM job_listings").await;
            database.execute(form).await;
        }
        for n in 0..300 {
            let mut next = || any_text.new_tree(&mut runner).unwrap().current();
            let (title, company, experience) = (next(), next(), next());
            let description = if n % 50 == 0 { Some("가😀\0".repeat(8_000)) } else { next() };
            let skills = match form {
                None => literal(next()),
                Some(_) => format!("JSON_ARRAY({}, 1.50, 1e2)", literal(next())),
            };
            let crawled_at = times.get(n % 4).map_or("NULL".to_owned(), |time| format!("'{time}'"));
            // IGNORE stores what a strict server would refuse: zero dates, and '?' for what a character set lacks.
            database
                .execute(&format!(
                    "INSERT IGNORE INTO job_listings
                         (site_name, job_id, title, company, description, experience, required_skills, crawled_at)
                     VALUES ('any', {}, {}, {}, {}, {}, {skills}, {crawled_at})",
                    n,
                    literal(Some(title.unwrap_or_default())),
                    literal(company),
                    literal(description),
                    literal(experience),
                ))
                .await;
        }
        let (held, _) = Held::read(&database.store()).await;
        let differing = database.mysql_store().compare_checksums(&held.known).await.unwrap();
        assert_eq!(differing, Some(Vec::new()), "of {} listings in {form:?}", held.titles.len());
    }
}

/// An SQL literal of any text.
fn literal(text: Option<String>) -> String {
    let Some(text) = text else { return "NULL".to_owned() };
    let mut literal = "CONVERT(X'".to_owned();
    text.bytes().for_each(|byte| write!(literal, "{byte:02X}").unwrap());
    literal + "' USING utf8mb4)"
}

/// Listings whose `updated_at` says nothing, so many that a refresh checks a fifth of them, with sparse ids.
const MANY: &str = "
INSERT INTO job_listings (id, site_name, job_id, title, company)
WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 130)
SELECT 1000000 + 9999 * (a.n * 130 + b.n), 'many', a.n * 130 + b.n, CONCAT('title ', a.n), 'company'
FROM n AS a CROSS JOIN n AS b
";

async fn with_many_listings(database: &TestDatabase) {
    database.execute("ALTER TABLE job_listings MODIFY updated_at DATETIME NULL").await;
    database.execute(MANY).await;
    // Long ago: a row that was changed just before it is read is read again anyway.
    database
        .execute("UPDATE job_listings SET updated_at = '2026-01-01 00:00:00' WHERE site_name <> 'many'")
        .await;
}

async fn titles(database: &TestDatabase) -> BTreeMap<ListingId, String> {
    let ids = database.numbers("SELECT id FROM job_listings ORDER BY id").await;
    let titles = database.texts("SELECT title FROM job_listings ORDER BY id").await;
    ids.into_iter().map(ListingId).zip(titles).collect()
}

/// The id of the last of many listings, which the first refreshes do not check.
const LAST: &str = "id = 1000000 + 9999 * 17030";

async fn changes_are_found_within_five_refreshes_of_a_large_table(database: TestDatabase) {
    with_many_listings(&database).await;
    let store = database.store();
    let (mut held, first) = Held::read(&store).await;
    for change in [
        format!("UPDATE job_listings SET title = 'at the end' WHERE {LAST}"),
        "UPDATE job_listings SET title = 'at the start' WHERE id = 1".to_owned(),
        "UPDATE job_listings SET title = '' WHERE site_name = 'many' AND job_id BETWEEN 16000 AND 16100"
            .to_owned(),
        // What MySQL's own ON UPDATE does not see.
        "UPDATE job_listings SET title = 'kept', updated_at = updated_at WHERE id = 2".to_owned(),
    ] {
        database.execute(&change).await;
        let wanted = titles(&database).await;
        let mut refreshes = 0;
        while held.titles != wanted {
            refreshes += 1;
            assert!(refreshes <= 5, "{change}");
            held.refresh(&store).await.expect("without reading all listings");
        }
    }
    let version = held.refresh(&store).await.unwrap();
    assert_eq!(version.0, first.0 + 4, "one for each change");
    let (fresh, same) = Held::read(&store).await;
    assert!(same == version && fresh.titles == held.titles);
}

async fn a_check_leaves_many_changes_that_show_to_be_read_as_such(database: TestDatabase) {
    with_many_listings(&database).await;
    let store = database.store();
    let (mut held, _) = Held::read(&store).await;
    let change = async |title: &str| {
        database
            .execute(&format!(
                "UPDATE job_listings SET title = '{title}', updated_at = UTC_TIMESTAMP() \
                 WHERE site_name = 'many' AND job_id % 10 = 0"
            ))
            .await;
    };
    // Committed between the two steps of a refresh.
    change("shown").await;
    let found = store.check_listings(&mut held.known).await.unwrap().expect("without reading all listings");
    assert_eq!((found.changed.len(), held.known.is_behind()), (0, true));
    held.refresh(&store).await.expect("without reading all listings");
    assert_eq!((&held.titles, held.known.is_behind()), (&titles(&database).await, false));
    // What a check has found is read, even if it does not show any more.
    change("shown again").await;
    store.check_listings(&mut held.known).await.unwrap().expect("without reading all listings");
    database
        .execute("UPDATE job_listings SET updated_at = '2026-01-01 00:00:00' WHERE title = 'shown again'")
        .await;
    let read = store.read_catalogue_changes(&mut held.known).await.unwrap();
    assert!(read.expect("without reading all listings").changed.len() > 100);
}

async fn of_many_changes_one_that_is_found_brings_all(database: TestDatabase) {
    with_many_listings(&database).await;
    let store = database.store();
    let (mut held, first) = Held::read(&store).await;
    database
        .execute(&format!("UPDATE job_listings SET company = '', title = 'x' WHERE id = 1 OR {LAST}"))
        .await;
    let version = held.refresh(&store).await.unwrap();
    assert!(held.titles == titles(&database).await, "both");
    assert_eq!(version.0, first.0 + 1);
}

async fn an_instance_that_another_is_ahead_of_finds_the_changes_at_once(database: TestDatabase) {
    with_many_listings(&database).await;
    let (one, other) = (database.store(), database.store());
    let (mut held, _) = Held::read(&one).await;
    database.execute(&format!("UPDATE job_listings SET title = 'x' WHERE {LAST}")).await;
    let (_, version) = Held::read(&other).await;
    assert_eq!(held.refresh(&one).await, Some(version));
    assert!(held.titles == titles(&database).await);
}

async fn two_instances_settle_on_one_version(database: TestDatabase) {
    with_many_listings(&database).await;
    let (one, other) = (database.store(), database.store());
    let (mut ones, first) = Held::read(&one).await;
    let (mut others, same) = Held::read(&other).await;
    assert_eq!(first, same);
    // The second has checked more of the listings than the first.
    others.refresh(&other).await.unwrap();
    others.refresh(&other).await.unwrap();
    for (n, site) in ["port", "ship", "dock"].iter().enumerate() {
        // One listing that updated_at shows, and some all over the table that it does not show.
        database
            .execute(&format!(
                "INSERT INTO job_listings (site_name, job_id, title, updated_at) \
                 VALUES ('{site}', '1', 'new', UTC_TIMESTAMP())"
            ))
            .await;
        database
            .execute(&format!("UPDATE job_listings SET title = '{site}' WHERE id % 7001 = {n} OR id = 1"))
            .await;
        let mut versions = Vec::new();
        for _ in 0..2 {
            versions.push(ones.refresh(&one).await.unwrap());
            versions.push(others.refresh(&other).await.unwrap());
        }
        assert_eq!(versions[2], versions[3], "{versions:?}");
        for _ in 0..6 {
            assert_eq!(ones.refresh(&one).await, Some(versions[3]), "nothing has changed");
            assert_eq!(others.refresh(&other).await, Some(versions[3]), "nothing has changed");
        }
        let wanted = titles(&database).await;
        assert!(ones.titles == wanted && others.titles == wanted);
    }
}

async fn rows_without_a_time_come_change_and_go_without_a_full_read(database: TestDatabase) {
    database.execute("ALTER TABLE job_listings MODIFY updated_at DATETIME NULL DEFAULT NULL").await;
    database.execute("UPDATE job_listings SET updated_at = NULL").await;
    let store = database.store();
    let (mut held, _) = Held::read(&store).await;
    for change in [
        "INSERT INTO job_listings (site_name, job_id, title) VALUES ('a', '1', 'new'), ('a', '2', 'new')",
        "UPDATE job_listings SET title = 'changed' WHERE site_name = 'a'",
        "DELETE FROM job_listings WHERE job_id = '1' AND site_name = 'a'",
        // The number of rows stays.
        "UPDATE job_listings SET id = id + 10, title = 'moved' WHERE site_name = 'a'",
    ] {
        database.execute(change).await;
        held.refresh(&store).await.expect("without reading all listings");
        assert_eq!(held.titles, titles(&database).await, "{change}");
    }
}

async fn a_row_that_is_replaced_under_its_id_is_read_again(database: TestDatabase) {
    database.execute("UPDATE job_listings SET updated_at = '2026-01-01 00:00:00' WHERE id = 5").await;
    let store = database.store();
    let (mut held, _) = Held::read(&store).await;
    database.execute("DELETE FROM job_listings WHERE id = 5").await;
    database
        .execute(
            "INSERT INTO job_listings (id, site_name, job_id, title, updated_at) \
             VALUES (5, 'a', '5', 'another', '2026-01-01 00:00:00')",
        )
        .await;
    held.refresh(&store).await.expect("without reading all listings");
    assert_eq!(held.titles[&ListingId(5)], "another");
}

async fn a_table_without_the_column_is_followed(database: TestDatabase) {
    database.execute("ALTER TABLE job_listings DROP COLUMN updated_at").await;
    let store = database.store();
    let (mut held, _) = Held::read(&store).await;
    for change in [
        "INSERT INTO job_listings (site_name, job_id, title) VALUES ('a', '1', 'new')",
        "UPDATE job_listings SET title = 'changed' WHERE site_name = 'a'",
        "DELETE FROM job_listings WHERE site_name = 'a' OR id = 1",
    ] {
        database.execute(change).await;
        held.refresh(&store).await.expect("without reading all listings");
        assert_eq!(held.titles, titles(&database).await, "{change}");
    }
}
