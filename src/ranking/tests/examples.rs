//! What users see, by example.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::domain::{Career, CareerProfile, JobListing, ListingId, MatchScore, Score};
use crate::ranking::{Catalogue, CatalogueBuilder, Vocabulary};

const VOCABULARY: &str = r#"
    revision = 1
    job_nouns = ["개발자", "디자이너", "Developer"]
    known_titles = []
    [fields."IT·개발"]
    "백엔드 개발자" = ["서버 개발자", "Backend Developer"]
    "UI 디자이너" = []
"#;

fn day(day: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(1_760_000_000 + day * 86_400, 0)
}

fn listing(id: i64, title: &str) -> JobListing {
    JobListing {
        id: ListingId(id),
        title: title.to_owned(),
        company: format!("회사 {id}"),
        description: String::new(),
        experience: String::new(),
        tech_stack: String::new(),
        required_skills: String::new(),
        crawled_at: day(0),
    }
}

fn catalogue(listings: &[JobListing]) -> Catalogue {
    let mut builder = CatalogueBuilder::new(Arc::new(Vocabulary::parse(VOCABULARY).unwrap()));
    listings.iter().for_each(|listing| builder.push(listing));
    builder.finish(7)
}

fn user(career: &str) -> CareerProfile {
    let match_score = MatchScore::from_fraction(0.95);
    let careers = vec![Career { name: career.to_owned(), category: None, match_score }];
    CareerProfile { careers, ..CareerProfile::default() }
}

fn ids(catalogue: &Catalogue, profile: &CareerProfile) -> Vec<i64> {
    catalogue.recommend(profile, 50).iter().map(|recommendation| recommendation.listing_id.0).collect()
}

#[test]
fn everything_that_fits_gives_the_career_match_itself() {
    let mut perfect = listing(1, "[하늘] 백엔드 개발자 채용");
    perfect.description = "백엔드 개발자를 찾습니다. 성장, 협업".to_owned();
    perfect.tech_stack = "Java, Spring Boot\nAWS".to_owned();
    perfect.experience = "경력 3~5년".to_owned();
    let mut profile = user("백엔드 개발자");
    profile.skills = vec!["Java".to_owned(), "AWS".to_owned()];
    profile.interests = vec!["Spring Boot".to_owned(), "성장".to_owned(), "협업".to_owned()];
    profile.experience_years = Some(4);
    let found = catalogue(&[perfect, listing(2, "영업 사원")]).recommend(&profile, 50);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].score, Score(9_500));
    assert_eq!(
        found[0].reason,
        "공고 제목이 추천 직업 '백엔드 개발자'와 일치합니다. 보유 기술 Java, AWS, Spring Boot가 공고에 있습니다. \
         요구 경력이 내 경력과 맞습니다."
    );
    let expected = json!({
        "matchedCareer": "백엔드 개발자",
        "careerCategory": "IT·개발",
        "matchedPhrase": "백엔드 개발자",
        "matchedIn": "title",
        "matchedWords": ["백엔드", "개발자"],
        // An interest that listings ask for as a skill is one.
        "matchedSkills": ["Java", "AWS", "Spring Boot"],
        "matchedInterests": ["성장", "협업"],
        "breakdown": {"title": 57, "skills": 28.5, "experience": 4.75, "interests": 2.85, "freshness": 1.9},
    });
    assert_eq!(serde_json::Value::Object(found[0].data.clone()), expected);
}

#[test]
fn a_career_is_found_by_any_of_its_names() {
    let listings = [
        listing(1, "서버개발자"),
        listing(2, "Back-end Developer"),
        listing(3, "백엔드 개발자"),
        listing(4, "간호사"),
    ];
    let catalogue = catalogue(&listings);
    assert_eq!(ids(&catalogue, &user("백엔드 개발자")), [3, 1, 2]);
    assert_eq!(ids(&catalogue, &user("서버 개발자"))[0], 1);
    let by_synonym = catalogue.recommend(&user("서버 개발자"), 50);
    assert!(by_synonym.iter().any(|found| found.listing_id.0 == 3));
    assert_eq!(
        by_synonym[1].reason,
        "공고 제목의 '백엔드 개발자'는 추천 직업 '서버 개발자'와 같은 계열입니다."
    );
}

#[test]
fn words_are_not_found_inside_others() {
    let mut javascript = listing(1, "백엔드 개발자");
    javascript.tech_stack = "JavaScript".to_owned();
    let mut java = listing(2, "백엔드 개발자");
    java.tech_stack = "java".to_owned();
    let listings = [javascript, java, listing(3, "Building Manager")];
    let mut profile = user("백엔드 개발자");
    profile.skills = vec!["Java".to_owned()];
    let catalogue = catalogue(&listings);
    let found = catalogue.recommend(&profile, 50);
    assert_eq!(found[0].listing_id.0, 2);
    assert_eq!(found[1].data["matchedSkills"], json!([]));
    assert_eq!(ids(&catalogue, &user("UI")), Vec::<i64>::new());
    assert_eq!(ids(&catalogue, &user("%")), Vec::<i64>::new());
}

#[test]
fn copies_count_once_and_the_newest_stays() {
    let copy = |id, title: &str, company: &str, crawled_at| JobListing {
        company: company.to_owned(),
        crawled_at,
        ..listing(id, title)
    };
    let listings = [
        copy(1, "백엔드 개발자", "(주)하늘", day(0)),
        copy(2, "[하늘] 백엔드 개발자 (3년 이상) 채용", "하늘", day(2)),
        copy(3, "백엔드 개발자", "바다", day(1)),
        copy(4, "백엔드 개발자", "산", day(1)),
    ];
    assert_eq!(ids(&catalogue(&listings), &user("백엔드 개발자")), [2, 3, 4]);
}

#[test]
fn of_two_listings_with_one_id_the_later_counts() {
    let twice = catalogue(&[
        listing(1, "백엔드 개발자"),
        listing(2, "간호사"),
        listing(1, "영업 사원"),
        listing(2, "서버 개발자"),
    ]);
    assert_eq!(twice.len(), 2);
    assert_eq!(ids(&twice, &user("백엔드 개발자")), [2]);
    let refreshed = twice.with_changes(8, &[listing(2, "백엔드"), listing(2, "간호사")], &[ListingId(1)]);
    assert_eq!((refreshed.len(), refreshed.version()), (1, 8));
    assert_eq!(ids(&refreshed, &user("백엔드 개발자")), Vec::<i64>::new());
}

#[test]
fn skills_alone_are_no_reason() {
    let mut other = listing(1, "간호사");
    other.tech_stack = "Java, AWS, Spring".to_owned();
    let mut profile = user("백엔드 개발자");
    profile.skills = vec!["Java".to_owned(), "AWS".to_owned(), "Spring".to_owned()];
    assert_eq!(ids(&catalogue(&[other]), &profile), Vec::<i64>::new());
}

#[test]
fn an_empty_catalogue_recommends_nothing() {
    let empty = catalogue(&[]);
    assert!(empty.is_empty() && empty.version() == 7);
    assert_eq!(ids(&empty, &user("백엔드 개발자")), Vec::<i64>::new());
    assert_eq!(ids(&catalogue(&[listing(1, "백엔드 개발자")]), &CareerProfile::default()), Vec::<i64>::new());
}

const JOBS: &str = r#"
    revision = 1
    job_nouns = ["조리사", "서빙원", "기자", "약사", "담당자", "매니저"]
    known_titles = ["Chef"]
    [fields."음식"]
    "조리사" = ["Chef", "조리 담당자"]
    "홀서빙원" = []
    "카페 매니저" = []
    "카페 서빙원" = []
    [fields."언론"]
    "기자" = ["스포츠 기자"]
    [fields."의료"]
    "약사" = []
    [fields."물류"]
    "물류 담당자" = ["물류 운영 매니저"]
    "배차원" = []
"#;

fn jobs(listings: &[JobListing]) -> Catalogue {
    let mut builder = CatalogueBuilder::new(Arc::new(Vocabulary::parse(JOBS).unwrap()));
    listings.iter().for_each(|listing| builder.push(listing));
    builder.finish(7)
}

#[test]
fn a_single_word_outside_the_title_is_no_evidence_of_the_job() {
    let mut tool = listing(1, "AWS 엔지니어");
    tool.tech_stack = "Chef, Terraform".to_owned();
    tool.description = "Chef 운영".to_owned();
    let mut same_sector = listing(2, "홀서빙원");
    same_sector.description = "Chef 보조".to_owned();
    assert_eq!(ids(&jobs(&[tool, same_sector]), &user("조리사")), [2]);
}

#[test]
fn short_names_are_not_found_inside_other_words() {
    let titles = ["계약사원", "약사님 모집", "병원약사", "약사회"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    assert_eq!(ids(&jobs(&listings), &user("약사")), [3, 2]);
}

#[test]
fn what_only_narrows_a_job_down_is_no_evidence_of_it() {
    let titles = ["스포츠 매니저", "운영 매니저", "물류 영업 담당자"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    let catalogue = jobs(&listings);
    assert_eq!(ids(&catalogue, &user("기자")), Vec::<i64>::new());
    assert_eq!(ids(&catalogue, &user("물류 담당자")), [3]);
}

#[test]
fn words_scattered_over_another_job_are_weaker_than_side_by_side() {
    let catalogue = jobs(&[listing(1, "물류 약사 담당자"), listing(2, "신입 약사 (물류 담당자)")]);
    let found = catalogue.recommend(&user("물류 담당자"), 50);
    assert_eq!(found.iter().map(|found| found.listing_id.0).collect::<Vec<_>>(), [2, 1]);
    assert!(found[1].score.points() < 0.8 * found[0].score.points());
}

#[test]
fn a_word_of_the_sector_counts_little_and_says_so() {
    let mut cafe = listing(1, "신규 카페 정규직");
    cafe.tech_stack = "커피".to_owned();
    let catalogue = jobs(&[cafe, listing(2, "카페 정규직")]);
    let profile = CareerProfile { skills: vec!["커피".to_owned()], ..user("조리사") };
    let found = catalogue.recommend(&profile, 50);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].reason,
        "공고 제목에 추천 직업 '조리사'와 같은 분야(음식)의 말이 있습니다. 보유 기술 커피가 공고에 있습니다."
    );
}

#[test]
fn a_job_of_the_same_sector_is_recommended_last_and_says_so() {
    let catalogue = jobs(&[listing(1, "배차원"), listing(2, "물류담당자"), listing(3, "약사")]);
    let found = catalogue.recommend(&user("물류 담당자"), 50);
    let found: Vec<_> = found.iter().map(|found| (found.listing_id.0, found.reason.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, "공고 제목이 추천 직업 '물류 담당자'와 일치합니다."),
            (1, "공고 제목의 직무가 추천 직업 '물류 담당자'와 같은 분야(물류)입니다."),
        ]
    );
}
