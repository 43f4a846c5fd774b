//! Recommendations as users see them, by example.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::domain::{Career, CareerProfile, CatalogueVersion, JobListing, ListingId, MatchScore, Score};
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
    builder.finish(CatalogueVersion(7))
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
fn a_listing_that_fits_in_everything_scores_the_match_score() {
    let mut perfect = listing(1, "[하늘] 백엔드 개발자 채용");
    perfect.description = "백엔드 개발자를 찾습니다. 성장, 협업".to_owned();
    perfect.tech_stack = "Java, Spring Boot\nAWS".to_owned();
    perfect.experience = "경력 3~5년".to_owned();
    let mut profile = user("백엔드 개발자");
    profile.skills = vec!["Java".to_owned(), "AWS".to_owned()];
    profile.strengths = vec!["Spring Boot".to_owned(), "성장".to_owned()];
    profile.interests = vec!["AWS".to_owned(), "협업".to_owned()];
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
        // A strength that some listing asks for as a skill is a skill; an interest is none.
        "matchedSkills": ["Java", "AWS", "Spring Boot"],
        "matchedInterests": ["AWS", "협업", "성장"],
        "breakdown": {"title": 38, "skills": 33.25, "experience": 19, "interests": 1.9, "freshness": 2.85},
    });
    assert_eq!(serde_json::Value::Object(found[0].parsed_data()), expected);
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
    assert_eq!(found[1].parsed_data()["matchedSkills"], json!([]));
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
fn one_text_under_two_companies_counts_once() {
    let words = (1..=90).map(|at| format!("주문{at} 결제와 정산{at} 업무를 맡습니다."));
    let text = words.collect::<Vec<_>>().join(" ");
    let posted = |id, company: &str, crawled_at| JobListing {
        company: company.to_owned(),
        // The copies differ in a few words.
        description: format!("{text} 공고 번호는 {id}입니다."),
        crawled_at,
        ..listing(id, "백엔드 개발자")
    };
    let listings = [posted(1, "하늘", day(0)), posted(2, "서치펌", day(1)), listing(3, "백엔드 개발자")];
    assert_eq!(ids(&catalogue(&listings), &user("백엔드 개발자")), [3, 2]);
}

#[test]
fn a_company_has_three_of_the_first_ten_rows_while_others_can_take_them() {
    const SUBJECTS: &str =
        "주문 결제 검색 배송 정산 광고 지도 여행 금융 게임 의료 교육 음악 뉴스 쇼핑 날씨 사진 영상 번역 채팅";
    let of = |id: i64, company: &str| {
        let subject = SUBJECTS.split(' ').nth(id as usize - 1).unwrap();
        JobListing { company: company.to_owned(), ..listing(id, &format!("백엔드 개발자 {subject}")) }
    };
    let mut listings: Vec<_> = (1..=8).map(|id| of(id, "하늘")).collect();
    assert_eq!(ids(&catalogue(&listings), &user("백엔드 개발자")).len(), 8);
    listings.extend((11..=20).map(|id| of(id, &format!("회사 {id}"))));
    let found = ids(&catalogue(&listings), &user("백엔드 개발자"));
    assert_eq!(found[..10].iter().filter(|id| **id <= 8).count(), 3);
}

#[test]
fn a_full_list_has_places_for_each_career_as_far_as_it_has_right_listings() {
    let career = |name: &str, fraction| Career {
        name: name.to_owned(),
        category: None,
        match_score: MatchScore::from_fraction(fraction),
    };
    let careers = vec![career("백엔드 개발자", 0.95), career("UI 디자이너", 0.7)];
    let profile = CareerProfile { careers, ..CareerProfile::default() };
    let mut listings: Vec<_> = (1..=80).map(|id| listing(id, "백엔드 개발자")).collect();
    assert_eq!(ids(&catalogue(&listings), &profile).len(), 50);
    listings.extend((101..=103).map(|id| listing(id, "UI 디자이너")));
    let found = ids(&catalogue(&listings), &profile);
    assert_eq!((found.len(), &found[47..]), (50, &[101, 102, 103][..]), "three, and no more exist");
    listings.extend((104..=120).map(|id| listing(id, "UI 디자이너")));
    let found = ids(&catalogue(&listings), &profile);
    assert_eq!((found.len(), &found[45..]), (50, &[101, 102, 103, 104, 105][..]), "a tenth");
    assert!(found[..45].iter().all(|id| *id <= 80));
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
    let refreshed = twice.with_changes(
        CatalogueVersion(8),
        &[listing(2, "백엔드"), listing(2, "간호사")],
        &[ListingId(1)],
    );
    assert_eq!((refreshed.len(), refreshed.version()), (1, CatalogueVersion(8)));
    assert_eq!(ids(&refreshed, &user("백엔드 개발자")), Vec::<i64>::new());
}

#[test]
fn listings_that_have_been_replaced_take_little_memory() {
    let all: Vec<_> = (1..=400).map(|id| listing(id, "백엔드 개발자")).collect();
    let mut refreshed = catalogue(&all);
    for (number, changed) in all.chunks(4).cycle().take(300).enumerate() {
        refreshed = refreshed.with_changes(CatalogueVersion(number as i64 + 2), changed, &[]);
        let held: usize = refreshed.segments().iter().map(|live| live.segment.len()).sum();
        assert!(held <= all.len() * 5 / 4, "{held} after {number} refreshes");
    }
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
    assert!(empty.is_empty() && empty.version() == CatalogueVersion(7));
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
    builder.finish(CatalogueVersion(7))
}

const HOMONYMS: &str = r#"
    revision = 1
    job_nouns = ["엔지니어", "간호사", "전문가", "컨설턴트"]
    known_titles = ["품질관리"]
    [[homonyms]]
    words = ["QA"]
    fields = ["IT·개발"]
    own = ["버그", "app"]
    other = ["식품", "공정"]
    [[homonyms]]
    words = ["간호사"]
    fields = ["의료"]
    own = []
    other = ["동물"]
    [broad]
    "위기관리 커뮤니케이션 전문가" = ["커뮤니케이션 전문가"]
    [fields."IT·개발"]
    "QA 엔지니어" = []
    [fields."의료"]
    "병원 간호사" = ["간호사"]
    [fields."홍보"]
    "위기관리 커뮤니케이션 전문가" = ["커뮤니케이션 전문가", "위기 대응 컨설턴트"]
"#;

fn homonyms(listings: &[JobListing]) -> Catalogue {
    let mut builder = CatalogueBuilder::new(Arc::new(Vocabulary::parse(HOMONYMS).unwrap()));
    listings.iter().for_each(|listing| builder.push(listing));
    builder.finish(CatalogueVersion(7))
}

#[test]
fn the_words_around_a_homonym_tell_whether_it_is_the_job() {
    let described =
        |id, title: &str, text: &str| JobListing { description: text.to_owned(), ..listing(id, title) };
    let catalogue = homonyms(&[
        described(1, "QA 엔지니어", "버그를 찾고 기록합니다."),
        described(2, "QA 엔지니어", "공정 점검과 시료 분석을 맡습니다."),
        described(3, "QA 엔지니어", "공정 관리 시스템의 버그를 찾습니다."),
        listing(4, "QA 엔지니어"),
        described(5, "식품 QA 엔지니어", "버그를 찾습니다."),
        listing(6, "동물병원 간호사"),
        listing(7, "요양병원 간호사"),
    ]);
    let mut found = ids(&catalogue, &user("QA 엔지니어"));
    found.sort_unstable();
    assert_eq!(found, [1, 3, 4]);
    assert_eq!(ids(&catalogue, &user("병원 간호사")), [7]);
}

#[test]
fn a_broad_name_stands_for_its_career_and_is_only_close_to_its_other_names() {
    let catalogue = homonyms(&[listing(1, "커뮤니케이션 전문가"), listing(2, "위기 대응 컨설턴트")]);
    assert_eq!(ids(&catalogue, &user("커뮤니케이션 전문가")), [1, 2]);
    let found = catalogue.recommend(&user("위기관리 커뮤니케이션 전문가"), 50);
    assert_eq!(found.iter().map(|found| found.listing_id.0).collect::<Vec<_>>(), [2, 1]);
    assert!(found[1].reason.contains("가까운 직업"), "{}", found[1].reason);
}

#[test]
fn a_course_is_not_recommended() {
    let titles = [
        "백엔드 개발자 양성과정 모집",
        "부트캠프 플랫폼 백엔드 개발자",
        "백엔드 개발자 국비지원 교육생 모집",
    ];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    assert_eq!(ids(&catalogue(&listings), &user("백엔드 개발자")), [2]);
}

#[test]
fn another_name_in_brackets_does_not_count_against_a_title() {
    let titles = ["서버 개발자 (Backend Developer)", "서버 개발자", "Backend Developer (서버 개발자)"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    let recommended = catalogue(&listings).recommend(&user("서버 개발자"), 50);
    let scores: Vec<Score> = recommended.iter().map(|found| found.score).collect();
    assert!(scores.iter().all(|score| *score == scores[0]), "{scores:?}");
}

#[test]
fn one_job_at_several_places_counts_once() {
    let titles = [
        "백엔드 개발자 (판교)",
        "부산지사 백엔드 개발자",
        "백엔드 개발자 - 대전/세종 근무",
        "백엔드 개발자 (판교)",
    ];
    let of_company =
        |(id, title): (i64, &&str)| JobListing { company: "하늘".to_owned(), ..listing(id, title) };
    let listings: Vec<_> = (1..).zip(titles.iter()).map(of_company).collect();
    assert_eq!(ids(&catalogue(&listings), &user("백엔드 개발자")).len(), 2, "지사 stays a word of the title");
}

#[test]
fn words_outside_the_title_are_no_evidence_of_the_job() {
    let mut tool = listing(1, "AWS 엔지니어");
    tool.tech_stack = "Chef, 조리 담당자".to_owned();
    tool.description = "조리사 조리 담당자 Chef".to_owned();
    assert_eq!(ids(&jobs(&[tool, listing(2, "조리사 모집")]), &user("조리사")), [2]);
}

#[test]
fn short_names_are_not_found_inside_other_words() {
    let titles = ["계약사원", "약사님 모집", "병원약사", "약사회"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    assert_eq!(ids(&jobs(&listings), &user("약사")), [2, 3]);
}

#[test]
fn words_that_only_narrow_a_job_down_are_no_evidence_of_it() {
    let titles = ["스포츠 매니저", "운영 매니저", "물류 매니저"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    let catalogue = jobs(&listings);
    assert_eq!(ids(&catalogue, &user("기자")), Vec::<i64>::new());
    assert_eq!(ids(&catalogue, &user("물류 담당자")), [3]);
}

#[test]
fn words_scattered_over_another_job_are_no_evidence() {
    let catalogue = jobs(&[listing(1, "물류 약사 담당자"), listing(2, "신입 약사 (물류 담당자)")]);
    assert_eq!(ids(&catalogue, &user("물류 담당자")), [2]);
}

#[test]
fn the_sector_alone_is_no_reason() {
    let mut cafe = listing(1, "신규 카페 정규직");
    cafe.tech_stack = "커피".to_owned();
    let catalogue = jobs(&[cafe, listing(2, "홀서빙원"), listing(3, "Chef")]);
    let profile = CareerProfile { skills: vec!["커피".to_owned()], ..user("조리사") };
    assert_eq!(ids(&catalogue, &profile), [3]);
}

#[test]
fn another_function_with_the_same_subject_is_another_job() {
    let titles = ["물류 시스템 개발자", "물류 담당자", "물류 영업", "물류팀 사원"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    let found = jobs(&listings).recommend(&user("물류 담당자"), 50);
    let right = found.iter().filter(|found| !found.parsed_data().contains_key("tier"));
    assert_eq!(right.map(|found| found.listing_id.0).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn a_role_that_exists_in_any_function_may_differ() {
    let titles = ["물류 담당자", "물류 매니저", "물류"];
    let listings: Vec<_> = (1..).zip(titles).map(|(id, title)| listing(id, title)).collect();
    assert_eq!(ids(&jobs(&listings), &user("물류 담당자")).len(), 3);
}

#[test]
fn an_unknown_name_is_searched_for_by_the_known_name_at_its_end() {
    let mut sports = listing(1, "기자");
    sports.description = "야구 소식을 씁니다".to_owned();
    let catalogue = jobs(&[sports, listing(2, "야구 기자"), listing(3, "기자")]);
    let found = catalogue.recommend(&user("야구 전문 기자"), 50);
    let found: Vec<_> = found.iter().map(|found| (found.listing_id.0, found.reason.as_str())).collect();
    assert_eq!(found[0], (2, "공고 제목의 '기자'는 추천 직업 '야구 전문 기자'와 가까운 직업입니다."));
    assert!(found.iter().all(|(id, _)| *id != 3), "nothing says that it is about baseball: {found:?}");
}

#[test]
fn related_listings_follow_the_right_ones_and_are_ten_at_most() {
    let mut listings: Vec<_> = (1..=20).map(|id| listing(id, "조리사")).collect();
    listings.push(listing(21, "물류 담당자"));
    let mut profile = user("물류 담당자");
    profile.careers.extend(user("조리사").careers);
    profile.careers[1].match_score = MatchScore::from_fraction(0.35);
    let found = jobs(&listings).recommend(&profile, 50);
    assert_eq!(found.len(), 11);
    assert_eq!((found[0].listing_id.0, found[0].parsed_data().get("tier")), (21, None));
    assert!(found[1..].iter().all(|found| found.parsed_data()["tier"] == "related"));
}

#[test]
fn a_mandatory_licence_that_the_profile_lacks_marks_a_listing_down_and_the_reason_says_so() {
    let text =
        |id, text: &str| JobListing { description: text.to_owned(), ..listing(id, "물류 담당자") };
    let required = text(1, "자격요건\n- 물류관리사 자격증 필수");
    let welcome = text(2, "우대사항\n- 물류관리사 자격증 소지자");
    let catalogue = jobs(&[required, welcome, listing(3, "약사 (면허 필수)"), listing(4, "약사")]);
    let found = catalogue.recommend(&user("물류 담당자"), 50);
    assert_eq!(found.iter().map(|found| found.listing_id.0).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(found[1].parsed_data()["missingLicence"], "물류관리사");
    assert!(
        found[1].reason.ends_with("공고가 필수로 요구하는 '물류관리사' 자격이 프로필에 없습니다."),
        "{}",
        found[1].reason
    );
    let licensed = CareerProfile {
        summary: "물류관리사 자격이 있습니다.".to_owned(), ..user("물류 담당자")
    };
    let of_licensed = catalogue.recommend(&licensed, 50);
    assert_eq!(of_licensed[0].score, of_licensed[1].score);
    // A career whose name implies the licence has it.
    let of_pharmacist = catalogue.recommend(&user("약사"), 50);
    assert!(of_pharmacist.iter().all(|found| !found.parsed_data().contains_key("missingLicence")));
    assert_eq!(of_pharmacist.len(), 2);
}
