//! Properties that hold for every catalogue and user.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::DateTime;
use proptest::prelude::*;

use crate::domain::{
    Career, CareerProfile, CatalogueVersion, JobListing, ListingId, MatchScore, Recommendation,
};
use crate::ranking::catalogue::Sizes;
use crate::ranking::score::FLOOR;
use crate::ranking::{Catalogue, CatalogueBuilder, Vocabulary};

const VOCABULARY: &str = r#"
    revision = 1
    job_nouns = ["개발자", "엔지니어", "Developer"]
    known_titles = []
    [fields."IT"]
    "백엔드 개발자" = ["서버 개발자", "Backend Developer", "백엔드 엔지니어"]
    "데이터 엔지니어" = ["Data Engineer"]
"#;

const TITLES: &[&str] = &[
    "백엔드 개발자",
    "[하늘] 서버 개발자 (3년 이상)",
    "백엔드 개발자 채용",
    "Backend Developer",
    "데이터 엔지니어",
    "Data Engineer - Platform",
    "웹개발자",
    "게임 서버 개발자",
    "영업 담당자",
    "백엔드",
    "개발자",
    "",
    "[채용]",
];
const WORDS: &[&str] =
    &["Java", "C++", "Spring Boot", "백엔드", "개발자", "데이터", "통계", "엔지니어", "java", "Node.js"];
const COMPANIES: &[&str] = &["(주)하늘", "하늘", "바다소프트", ""];
const CAREERS: &[&str] =
    &["백엔드 개발자", "서버개발자", "데이터 엔지니어", "웹 개발자", "개발자", "%", "플랫폼(QA) 기획자"];
const YEARS: &[&str] = &["", "신입", "경력 3~5년", "경력"];

fn words(most: usize) -> impl Strategy<Value = String> {
    let some = proptest::collection::vec(proptest::sample::select(WORDS), 0..most);
    some.prop_map(|words| words.join(", "))
}

fn listing() -> impl Strategy<Value = JobListing> {
    let texts = (proptest::sample::select(TITLES), proptest::sample::select(COMPANIES), words(6));
    let rest = (proptest::sample::select(YEARS), words(4), proptest::option::of(0_i64..200));
    (1_i64..60, texts, rest).prop_map(|(id, (title, company, description), (experience, tech_stack, day))| {
        JobListing {
            id: ListingId(id),
            title: title.to_owned(),
            company: company.to_owned(),
            description,
            experience: experience.to_owned(),
            tech_stack,
            required_skills: String::new(),
            crawled_at: day.and_then(|day| DateTime::from_timestamp(1_700_000_000 + day * 40_000, 0)),
        }
    })
}

/// Listings with distinct ids.
fn listings() -> impl Strategy<Value = Vec<JobListing>> {
    proptest::collection::vec(listing(), 0..50).prop_map(|mut listings| {
        listings.sort_by_key(|listing| listing.id);
        listings.dedup_by_key(|listing| listing.id);
        listings
    })
}

fn profile() -> impl Strategy<Value = CareerProfile> {
    let career = (proptest::sample::select(CAREERS), 0.0..=1.0).prop_map(|(name, fraction)| Career {
        name: name.to_owned(),
        category: None,
        match_score: MatchScore::from_fraction(fraction),
    });
    let terms = || proptest::collection::vec(proptest::sample::select(WORDS).prop_map(str::to_owned), 0..4);
    let years = proptest::option::of(0_u8..12);
    (proptest::collection::vec(career, 0..4), terms(), terms(), terms(), years).prop_map(
        |(careers, skills, strengths, interests, experience_years)| CareerProfile {
            careers,
            skills,
            strengths,
            interests,
            experience_years,
        },
    )
}

fn build(listings: &[JobListing], segment: usize, kept: usize) -> Catalogue {
    let vocabulary = Arc::new(Vocabulary::parse(VOCABULARY).unwrap());
    let mut builder = CatalogueBuilder::with_sizes(vocabulary, Sizes { segment, kept });
    listings.iter().for_each(|listing| builder.push(listing));
    builder.finish(CatalogueVersion(1))
}

/// All recommendations, from one segment: no list is cut and no search stops early.
fn exhaustive(listings: &[JobListing], profile: &CareerProfile) -> Vec<Recommendation> {
    build(listings, 1_000, 1_000).recommend(profile, 1_000)
}

proptest! {
    #[test]
    fn cut_lists_and_early_stops_change_nothing(
        listings in listings(), profile in profile(), limit in 0_usize..12, segment in 1_usize..20, kept in 1_usize..6,
    ) {
        let mut expected = exhaustive(&listings, &profile);
        expected.truncate(limit);
        prop_assert_eq!(build(&listings, segment, kept).recommend(&profile, limit), expected);
    }

    #[test]
    fn the_order_of_pushing_does_not_matter(listings in listings().prop_shuffle(), profile in profile()) {
        let pushed = build(&listings, 7, 3).recommend(&profile, 10);
        let mut sorted = listings;
        sorted.sort_by_key(|listing| listing.id);
        prop_assert_eq!(pushed, build(&sorted, 7, 3).recommend(&profile, 10));
    }

    #[test]
    fn a_refreshed_catalogue_equals_a_rebuilt_one(
        listings in listings(),
        refreshes in proptest::collection::vec((listings(), proptest::collection::vec(1_i64..60, 0..20)), 1..5),
        profile in profile(),
    ) {
        let mut catalogue = build(&listings, 9, 3);
        let mut now = listings;
        for (changed, mut deleted) in refreshes {
            // A recommendation in between fills the caches that the next version inherits.
            catalogue.recommend(&profile, 5);
            deleted.retain(|id| changed.iter().all(|listing| listing.id.0 != *id));
            let gone: HashSet<i64> = changed.iter().map(|listing| listing.id.0).chain(deleted.iter().copied()).collect();
            now.retain(|listing| !gone.contains(&listing.id.0));
            now.extend(changed.iter().cloned());
            let deleted: Vec<_> = deleted.into_iter().map(ListingId).collect();
            catalogue = catalogue.with_changes(CatalogueVersion(catalogue.version().0 + 1), &changed, &deleted);
            prop_assert_eq!(catalogue.len(), now.len());
            let rebuilt = build(&now, 9, 3);
            prop_assert_eq!(catalogue.recommend(&profile, 8), rebuilt.recommend(&profile, 8));
            prop_assert_eq!(catalogue.rank(&profile, 8), rebuilt.rank(&profile, 8));
        }
    }

    #[test]
    fn recommendations_are_sorted_distinct_and_explained(listings in listings(), profile in profile()) {
        let recommended = exhaustive(&listings, &profile);
        let best = profile.careers.iter().map(|career| career.match_score.basis_points()).max().unwrap_or(0);
        let mut ids = HashSet::new();
        for pair in recommended.windows(2) {
            prop_assert!(pair[0].score >= pair[1].score);
        }
        for recommendation in &recommended {
            prop_assert!(recommendation.score >= FLOOR && recommendation.score.0 <= best);
            prop_assert!(ids.insert(recommendation.listing_id));
            let data = recommendation.parsed_data();
            let breakdown = data["breakdown"].as_object().unwrap();
            let sum: f64 = breakdown.values().map(|points| (points.as_f64().unwrap() * 100.0).round()).sum();
            prop_assert_eq!(sum as u16, recommendation.score.0);
            prop_assert!(!recommendation.reason.is_empty() && !recommendation.reason.contains("''"));
        }
    }

    #[test]
    fn warm_cold_and_parallel_answers_are_the_same(listings in listings(), profile in profile()) {
        let catalogue = build(&listings, 7, 3);
        let cold = catalogue.recommend(&profile, 10);
        prop_assert_eq!(&catalogue.recommend(&profile, 10), &cold);
        let parallel = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| catalogue.recommend(&profile, 10))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        prop_assert!(parallel.iter().all(|answer| *answer == cold));
    }
}
