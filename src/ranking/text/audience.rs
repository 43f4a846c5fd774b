//! For whom a posting is: for all who do the work, for people in alternative military service, or for learners.

use super::function::Functions;
use super::hangul::names_a_person;
use super::roles::ROLES;
use super::title::TitleWord;
use super::{Lexeme, lexemes};

/// For whom a posting is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Audience {
    /// All who do the work.
    #[default]
    Workers,
    /// Only people in alternative military service.
    Conscripts,
    /// Learners: the posting offers a course, not a job.
    Learners,
}

impl Audience {
    /// Of a title's words.
    pub fn of(words: &[TitleWord<'_>]) -> Self {
        if is_reserved(words) {
            Self::Conscripts
        } else if offers_a_course(words) {
            Self::Learners
        } else {
            Self::Workers
        }
    }
}

/// Alternative military services.
const SERVICES: &[&str] = &["병역특례", "병특", "보충역", "산업기능요원", "전문연구요원"];

/// Whether a title's words say that the job is for people in alternative military service, not merely open to them.
fn is_reserved(words: &[TitleWord<'_>]) -> bool {
    let mut words = words.iter().map(|word| word.lexeme.as_str());
    let names_service = |word: &str| SERVICES.iter().any(|service| word.starts_with(service));
    words.clone().any(names_service) && !words.any(|word| word.starts_with("가능"))
}

/// People who take a course.
const LEARNERS: &[&str] = &["교육생", "훈련생", "수강생"];
/// Courses that prepare for jobs. Titles spell them with and without spaces.
const COURSES: &[&str] = &[
    "국비지원",
    "국비과정",
    "국비교육",
    "국비무료",
    "취업교육",
    "취업실무교육",
    "취업연계교육",
    "취업과정",
    "양성과정",
    "양성교육",
    "훈련과정",
    "직업훈련",
    "내일배움",
    "부트캠프",
];
/// Those who work for a course, whatever it teaches.
const TEACHERS: &[&str] = &["강사", "강의", "교사", "튜터", "멘토", "조교", "담당"];
/// Work for a course that no role names.
const RUNNING: &[&str] = &["운영", "관리", "진행"];

/// Whether a title offers a course (`웹 개발자 양성과정 모집`). A title that names work after the course is a job
/// (`부트캠프 운영 매니저`), and so is one that names a teacher before it (`요리 강사 (국비과정)`).
fn offers_a_course(words: &[TitleWord<'_>]) -> bool {
    // Each of `LEARNERS` and `COURSES` has one of these pairs. Most titles have none.
    let is_of_course = |pair: (char, char)| {
        matches!(
            pair,
            ('국', '비')
                | ('취', '업')
                | ('양', '성')
                | ('훈', '련')
                | ('내', '일')
                | ('부', '트')
                | ('교', '육')
                | ('수', '강')
        )
    };
    let may_offer = |word: &TitleWord<'_>| {
        let characters = word.lexeme.as_str().chars();
        characters.clone().zip(characters.skip(1)).any(is_of_course)
    };
    if !words.iter().any(may_offer) {
        return false;
    }
    let title: String = words.iter().map(|word| word.lexeme.as_str()).collect();
    let end_of =
        |marks: &[&str]| marks.iter().filter_map(|mark| title.rfind(mark).map(|at| at + mark.len())).max();
    let (learners, course) = (end_of(LEARNERS), end_of(COURSES));
    let Some(end) = learners.max(course) else { return false };
    let names_teacher = TEACHERS.iter().any(|teacher| title[..end].contains(teacher));
    !names_work(&title[end..]) && (learners.is_some() || !names_teacher)
}

fn names_work(rest: &str) -> bool {
    let names_role = |word: &str| ROLES.iter().chain(RUNNING).any(|role| word.contains(role));
    lexemes(rest).any(|lexeme| {
        let word = lexeme.as_str();
        let is_person = matches!(lexeme, Lexeme::Hangul(_)) && names_a_person(word);
        is_person || names_role(word) || !Functions::of_word(lexeme).is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::text::normalise;
    use crate::ranking::text::title::title_words;

    fn audience(title: &str) -> Audience {
        let title = normalise(title);
        Audience::of(&title_words(&title).collect::<Vec<_>>())
    }

    #[test]
    fn a_course_is_no_job() {
        for course in [
            "웹 개발자 양성과정 모집",
            "[무료] 반도체 공정 취업 교육 모집",
            "국비지원 제과제빵 교육생 모집",
            "전기기능사 국비 과정",
            "강사 양성 과정 훈련생 모집",
            "데이터 분석 부트캠프",
        ] {
            assert_eq!(audience(course), Audience::Learners, "{course}");
        }
    }

    #[test]
    fn work_for_a_course_is_a_job() {
        for job in [
            "부트캠프 운영 매니저",
            "국비지원 학원 상담실장",
            "제과제빵 강사 (국비과정)",
            "훈련생 관리 담당자",
            "직업훈련 교사",
            "사내 교육 담당자",
            "취업 컨설턴트",
            "교육과정 개발자",
        ] {
            assert_eq!(audience(job), Audience::Workers, "{job}");
        }
    }

    #[test]
    fn a_job_may_be_reserved_for_people_in_alternative_service() {
        assert_eq!(audience("생산직 (산업기능요원)"), Audience::Conscripts);
        assert_eq!(audience("서버 개발자 (병역특례 가능)"), Audience::Workers);
    }
}
