//! Names that no career lists, and the careers that come closest to them.

use rustc_hash::FxHashMap;

use super::common_words::{ANYWHERE, is_generic, is_wide, tells_work, without_generic_words};
use super::related::related_keys;
use super::words::WordIndex;
use super::{CareerEntry, Vocabulary};
use crate::ranking::text::compact;
use crate::ranking::text::phrase::{
    has_neutral_role, is_bare_role, names_a_role, readings, subject_key, subject_words,
};

/// A career that a name stands for or comes closest to.
#[derive(Clone, Debug)]
pub(in crate::ranking) struct Resolved<'v> {
    /// The career.
    pub entry: &'v CareerEntry,
    /// How close its names are.
    pub nearness: Nearness,
    /// The words before a name that is only the end of the one asked for; empty otherwise.
    pub modifiers: String,
}

/// How close a known career is to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ranking) enum Nearness {
    /// It is one of the career's names.
    Same,
    /// One of the career's names has the same subject and function, but another role.
    OtherRole,
    /// One of the career's names is a part of it, or has the same subject in another function.
    Inside,
}

impl<'v> Resolved<'v> {
    fn inside(entry: &'v CareerEntry, modifiers: String) -> Self {
        Self { entry, nearness: Nearness::Inside, modifiers }
    }
}

impl Vocabulary {
    /// The career that a name stands for or comes closest to; `None` if no part of it is known.
    pub(in crate::ranking) fn resolve(&self, name: &str) -> Option<Resolved<'_>> {
        let readings = readings(name);
        let exact = std::iter::once(name).chain(readings.iter().map(String::as_str));
        if let Some(entry) = exact.clone().find_map(|name| self.find(name)) {
            return Some(Resolved { entry, nearness: Nearness::Same, modifiers: String::new() });
        }
        let is_ambiguous = exact.clone().any(|name| self.by_phrase.contains_key(compact(name).as_str()));
        if is_ambiguous {
            return None;
        }
        if let Some(entry) = readings.iter().find_map(|name| self.of_subject(name)) {
            return Some(Resolved { entry, nearness: Nearness::OtherRole, modifiers: String::new() });
        }
        type Step = for<'v> fn(&'v Vocabulary, &str) -> Option<Resolved<'v>>;
        // The surest first.
        let steps: [Step; 10] = [
            Self::of_related_function,
            |of, name| {
                of.of_subject(&without_generic_words(name))
                    .map(|entry| Resolved::inside(entry, String::new()))
            },
            |of, name| of.without_a_word(name, is_generic),
            Self::inside,
            |of, name| of.without_a_word(name, |word| !tells_work(word)),
            |of, name| of.inside(&without_generic_words(name)),
            Self::without_last_word,
            Self::beginning_so,
            |of, name| of.of_related_function(&without_generic_words(name)),
            Self::with_most_words,
        ];
        steps.iter().find_map(|step| readings.iter().find_map(|name| step(self, name)))
    }

    /// Makes the tables by which unknown names are resolved. Otherwise the first such name waits for them, a tenth of a
    /// second.
    pub fn prepare(&self) {
        self.subjects();
        self.word_index();
    }

    fn subjects(&self) -> &FxHashMap<String, Vec<usize>> {
        self.by_subject.get_or_init(|| by_subject(&self.careers))
    }

    fn word_index(&self) -> &WordIndex {
        self.words.get_or_init(|| WordIndex::new(&self.careers))
    }

    /// Whether a name is one of the table's.
    pub fn knows(&self, name: &str) -> bool {
        self.resolve(name).is_some_and(|resolved| resolved.nearness == Nearness::Same)
    }

    /// The own name of the career that a name stands for or comes closest to; `None` if no part of it is known.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        Some(self.resolve(name)?.entry.phrases.first()?)
    }

    /// The career with this subject and another role (`영상 편집 전문가` for `영상 편집자`).
    fn of_subject(&self, name: &str) -> Option<&CareerEntry> {
        if is_bare_role(name) || !names_a_role(name) {
            return None;
        }
        self.with_key(&subject_key(name))
    }

    /// The first career whose own name has the key of a subject, or else one whose own name begins so or any, if all careers with it
    /// are of one sector.
    fn with_key(&self, key: &str) -> Option<&CareerEntry> {
        let careers = self.subjects().get(key)?;
        let is_own_name = |at: &&usize| subject_key(&self.careers[**at].phrases[0]) == key;
        let first = self.careers.get(*careers.first()?)?;
        let is_of_one_sector = careers.iter().all(|at| self.careers[*at].sector == first.sector);
        let begins_so = |at: &&usize| compact(&self.careers[**at].phrases[0]).starts_with(key);
        match (careers.iter().find(is_own_name), careers.iter().find(begins_so)) {
            (Some(own), _) => self.careers.get(*own),
            (None, Some(own)) if is_of_one_sector => self.careers.get(*own),
            (None, _) => is_of_one_sector.then_some(first),
        }
    }

    /// The career with this subject in a function that the same people work in (`탄소중립 컨설턴트` for `탄소중립 전문가`).
    fn of_related_function(&self, name: &str) -> Option<Resolved<'_>> {
        if is_bare_role(name) || is_wide(name) {
            return None;
        }
        let key = subject_key(name);
        let mut related = related_keys(&key, has_neutral_role(name));
        let entry = related.find_map(|key| self.with_key(&key))?;
        Some(Resolved::inside(entry, String::new()))
    }

    /// A name of at least three words without one of those in the middle that may be dropped (`LLM 서비스 개발자`). The first must
    /// tell the work without it: `요양` cannot be dropped after `방문`.
    fn without_a_word(&self, name: &str, may_drop: impl Fn(&str) -> bool) -> Option<Resolved<'_>> {
        const SHORTEST_FIRST: usize = 3;
        const LONGEST_SHORT: usize = 3;
        let words: Vec<&str> = name.split_whitespace().collect();
        let middle = 1..words.len().saturating_sub(1);
        let tells = |word: &str| word.is_ascii() || word.chars().nth(SHORTEST_FIRST - 1).is_some();
        words.first().filter(|first| tells(first) || words.len() > LONGEST_SHORT)?;
        middle.rev().filter(|&at| may_drop(words[at])).find_map(|at| {
            let shorter = [&words[..at], &words[at + 1..]].concat().join(" ");
            let entry = self.find(&shorter).or_else(|| self.of_subject(&shorter))?;
            Some(Resolved::inside(entry, words[at].to_owned()))
        })
    }

    /// A known name that only a last word makes unknown (`골프장 캐디 마스터`).
    fn without_last_word(&self, name: &str) -> Option<Resolved<'_>> {
        let (shorter, _) = name.rsplit_once(char::is_whitespace)?;
        let entry = self.find(shorter)?;
        Some(Resolved::inside(entry, String::new()))
    }

    /// The career with most names that begin with the words before a role that exists in any function (`탄소배출권 전문가` for
    /// `탄소배출권 분석가`), or with the first of them if it is long enough to tell the work (`가상자산 거래소 운영 담당자`).
    fn beginning_so(&self, name: &str) -> Option<Resolved<'_>> {
        const SHORTEST_SUBJECT: usize = 3;
        const SHORTEST_FIRST: usize = 4;
        if is_bare_role(name) || !has_neutral_role(name) {
            return None;
        }
        let is_as_long = |text: &str, shortest: usize| text.chars().nth(shortest - 1).is_some();
        let key = subject_key(name);
        if let Some(entry) =
            is_as_long(&key, SHORTEST_SUBJECT).then(|| self.most_beginning_with(&key)).flatten()
        {
            return Some(Resolved::inside(entry, String::new()));
        }
        let (first, rest) = name.split_once(char::is_whitespace)?;
        let first = compact(first);
        let entry = is_as_long(&first, SHORTEST_FIRST).then(|| self.most_beginning_with(&first)).flatten()?;
        let words: Vec<String> = subject_words(rest).collect();
        Some(Resolved::inside(entry, words.join(" ")))
    }

    fn most_beginning_with(&self, words: &str) -> Option<&CareerEntry> {
        let count =
            |entry: &CareerEntry| entry.phrases.iter().filter(|phrase| begins_with(phrase, words)).count();
        let counted = self.careers.iter().map(|entry| (count(entry), entry));
        // Of several with equally many, the first.
        let (_, entry) = counted.rev().filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count)?;
        Some(entry)
    }

    /// The career with the name that shares most words with it (`박물관 소장품 관리사` with `소장품 관리자`).
    fn with_most_words(&self, name: &str) -> Option<Resolved<'_>> {
        if is_bare_role(name) || is_wide(name) {
            return None;
        }
        let entry = self.careers.get(self.word_index().closest(name, &self.careers)?)?;
        Some(Resolved::inside(entry, String::new()))
    }

    /// The longest known name at the end of a longer one (`소비재 해외영업 전문가`), unless it is a bare role.
    fn inside(&self, name: &str) -> Option<Resolved<'_>> {
        let mut rest = name;
        while let Some((_, shorter)) = rest.split_once(|c: char| c.is_whitespace() || "·/,".contains(c)) {
            rest = shorter.trim_start();
            let words = name[..name.len() - rest.len()].split_whitespace();
            let modifiers = words.filter(|word| !ANYWHERE.contains(word)).collect::<Vec<_>>().join(" ");
            if is_bare_role(rest) || !modifiers.is_empty() && is_wide(rest) {
                continue;
            }
            let related = || {
                // A single word has too many functions.
                subject_words(rest).nth(1)?;
                Some(self.of_related_function(rest)?.entry)
            };
            if let Some(entry) = self.find(rest).or_else(|| self.of_subject(rest)).or_else(related) {
                return Some(Resolved::inside(entry, modifiers));
            }
        }
        None
    }
}

/// Whether the first words of a phrase are these, which are spelled without spaces.
fn begins_with(phrase: &str, words: &str) -> bool {
    let spelled = compact(phrase);
    let mut ends = phrase.split_whitespace().scan(0, |end, word| {
        *end += compact(word).len();
        Some(*end)
    });
    spelled.starts_with(words) && ends.any(|end| end == words.len())
}

/// The careers that have a name with each subject.
fn by_subject(careers: &[CareerEntry]) -> FxHashMap<String, Vec<usize>> {
    let mut by_subject: FxHashMap<_, Vec<usize>> = FxHashMap::default();
    for (at, career) in careers.iter().enumerate() {
        for phrase in &career.phrases {
            let owners = by_subject.entry(subject_key(phrase)).or_default();
            if !owners.contains(&at) {
                owners.push(at);
            }
        }
    }
    by_subject
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each `산업안전` is one part or two: as many ways to divide the word as would take longer than the universe is old.
    #[test]
    fn a_long_compound_is_divided_although_there_are_many_ways_to() {
        let name = format!("{}뷁 담당자", "산업안전".repeat(200));
        assert!(Vocabulary::builtin().resolve(&name).is_none());
    }

    /// Names that no career lists, and the careers that a reader would take them for.
    #[test]
    fn names_that_no_career_lists_are_resolved() {
        let vocabulary = Vocabulary::builtin();
        let cases = [
            ("백엔드 전문 개발자", Some("백엔드 개발자")),
            ("네트워크 운영 엔지니어", Some("네트워크 엔지니어")),
            ("AI 헬스케어 솔루션 기획자", Some("헬스케어 서비스 기획자")),
            ("탄소배출권 담당자", Some("탄소배출권 분석가")),
            ("조향사 마스터", Some("조향사")),
            ("영상 편집 책임자", Some("영상 편집 전문가")),
            ("법무팀 담당자", Some("법무 담당자")),
            ("리서치 사이언티스트(AI)", Some("AI 연구원")),
            ("소아 병동 간호사", Some("간호사")),
            ("프랑스어 학습 콘텐츠 기획자", Some("교육과정 개발자")),
            ("친환경 제품 품질관리 담당자", Some("품질관리자")),
            ("국내 여행상품 기획자", Some("여행상품 개발자")),
            ("사내 노무 담당자", Some("노무 담당자")),
            ("온라인 콘텐츠 마케터", Some("콘텐츠 마케터")),
            ("엔지니어", None),
            ("전문가", None),
            ("개인정보보호 전문가", Some("개인정보보호 책임자")),
            ("세무 회계 전문가", Some("세무 담당자")),
            ("데이터 거버넌스 전문가", Some("데이터 거버넌스 매니저")),
            ("조직문화 전문가", Some("조직문화 담당자")),
            ("로컬 푸드 브랜드 기획자", Some("브랜드 매니저")),
            ("펫 푸드 상품 개발자", Some("펫푸드 개발자")),
            ("수처리 설비 운영자", Some("설비 엔지니어")),
            ("풍력 발전 유지보수 기술자", Some("산업설비 정비사")),
            ("자율주행 소프트웨어 개발자", Some("자율주행 개발자")),
            ("드론 촬영 전문가", Some("드론 조종사")),
            ("항만 물류 관리자", Some("항만 운영 관리자")),
            ("콜드체인 물류 전문가", Some("물류 관리자")),
            ("라스트마일 배송 기획자", Some("물류 배송 기획자")),
            ("사내 시스템 개발자", Some("시스템 소프트웨어 개발자")),
            ("쿠버네티스 플랫폼 엔지니어", Some("플랫폼 엔지니어")),
            ("자금 관리 담당자", Some("자금 담당자")),
            ("원가 관리 담당자", Some("원가 담당자")),
            ("사회 혁신 프로젝트 매니저", Some("사회혁신 기획자")),
            ("학교 밖 청소년 지도사", Some("청소년지도사")),
            ("리셀 플랫폼 운영 매니저", Some("서비스 운영 매니저")),
            ("콜센터 상담 매니저", Some("고객상담원")),
            ("곤충 식품 개발 연구원", Some("식품 연구원")),
            ("비건 식품 마케터", Some("식품 마케터")),
            ("병원 원무 담당자", Some("원무 담당자")),
            ("치매 전문 사회복지사", Some("사회복지사")),
            ("수면 건강 컨설턴트", Some("수면 코치")),
            ("원격 진료 서비스 기획자", Some("서비스 기획자")),
            ("섬유 소재 개발 연구원", Some("소재 연구원")),
            ("디스플레이 공정 기술자", Some("디스플레이 엔지니어")),
            ("산업용 로봇 유지보수 기술자", Some("로봇 정비사")),
            ("건물 에너지 진단 전문가", Some("에너지 관리자")),
            ("화물차 배차 담당자", Some("배차 담당자")),
            ("B2B 솔루션 영업 전문가", Some("B2B 영업 담당자")),
            ("리눅스 시스템 관리자", Some("시스템 엔지니어")),
            ("가상자산 리서치 애널리스트", Some("디지털자산 전문가")),
            ("자산운용 펀드 매니저", Some("펀드매니저")),
            ("은행 창구 담당자", Some("은행원")),
            ("회생·파산 전문 법무사", Some("법무사")),
            ("노무 관리 전문가", Some("노무 담당자")),
            ("스타트업 액셀러레이터 매니저", Some("액셀러레이터 매니저")),
            ("요양병원 간호조무사", Some("간호조무사")),
            ("대학병원 물리치료사", Some("물리치료사")),
            ("로펌 변호사", Some("변호사")),
            ("제조업 공인노무사", Some("공인노무사")),
            ("호텔 베이커리 제빵사", Some("제빵사")),
            ("수입 화장품 해외영업 담당자", Some("화장품 해외영업 담당자")),
            ("친환경 패션 디자이너", Some("패션 디자이너")),
            ("K-팝 공연 기획자", Some("공연기획자")),
            ("반도체 장비 설비 엔지니어", Some("설비 엔지니어")),
            ("스마트폰 앱 서비스 기획자", Some("앱 서비스 기획자")),
            ("공공기관 인사 담당자", Some("인사 담당자")),
            ("스타트업 재무 담당자", Some("재무 담당자")),
            ("의류 브랜드 MD", Some("MD")),
            ("외국계 제약 영업 담당자", Some("제약영업 담당자")),
            ("모바일 게임 레벨 디자이너", Some("게임 레벨 디자이너")),
            ("보험사 데이터 분석가", Some("데이터 분석가")),
            ("아파트 조경 기사", Some("조경원")),
            ("웨딩홀 영상 편집자", Some("영상편집자")),
            ("UX 데이터 분석가", Some("데이터 분석가")),
            ("금융 앱 UX 디자이너", Some("UI/UX 디자이너")),
            ("인테리어 자재 MD", Some("MD")),
            ("공장 자동화 설비 기술자", Some("자동화 엔지니어")),
            ("항공기 구조 해석 엔지니어", Some("CAE 엔지니어")),
            ("호텔 고객 경험 매니저", Some("CX 매니저")),
            ("뉴스 데이터 시각화 전문가", Some("데이터 시각화 전문가")),
            ("직장인 멘탈 코치", Some("멘탈 코치")),
            ("장애인 고용 지원 전문가", Some("장애인 고용 전문가")),
            ("외환 리스크 관리자", Some("금융 리스크 관리자")),
            ("컴퓨터 그래픽스 연구원", Some("그래픽스 엔지니어")),
            ("화장품 제형 개발 연구원", Some("화장품 연구원")),
            ("산림 생태 연구원", Some("생태학자")),
            ("신약 후보물질 연구원", Some("신약개발 연구원")),
            ("스마트 온실 기술자", Some("스마트 온실 관리자")),
            ("박물관 소장품 관리사", Some("소장품 관리자")),
            ("토목 구조물 진단 기술자", Some("구조물 안전 전문가")),
            ("수출 기업 컨설턴트", Some("무역 컨설턴트")),
            ("병원 홍보 마케터", Some("병원 마케터")),
            ("로봇 소프트웨어 연구원", Some("로봇 소프트웨어 개발자")),
            ("의료 로봇 연구 개발자", Some("의료 로봇 엔지니어")),
            ("국악 교육 강사", Some("국악 강사")),
            ("여행 상품 마케터", Some("여행 마케터")),
            ("웹툰 기획 프로듀서", Some("웹툰 PD")),
            ("무용 교육 강사", Some("무용 강사")),
            ("다문화 아동 교육 강사", Some("다문화 교육 강사")),
            ("가상자산 거래소 운영 담당자", Some("디지털자산 전문가")),
            ("청소년 위기 상담사", Some("위기 상담사")),
            ("핀테크 백엔드 개발자", Some("백엔드 개발자")),
            ("전기 시스템 엔지니어", Some("전기 엔지니어")),
            ("정밀 기계 설계자", Some("정밀기계 엔지니어")),
            ("경찰 심리 상담사", Some("심리상담사")),
            ("세무 전문가", Some("세무 담당자")),
            ("게임 기획 디렉터", Some("게임 기획자")),
            ("환경 오염 분석가", Some("환경측정분석사")),
            ("가족 관계 코치", None),
            ("품질 검사 기술자", None),
            ("공중 보건 정책가", None),
            ("서버 엔지니어", None),
            ("분석 연구원", None),
            ("어린이 정보 담당자", None),
        ];
        for (name, expected) in cases {
            assert!(!vocabulary.knows(name), "{name}");
            assert_eq!(vocabulary.nearest(name), expected, "{name}");
        }
        assert!(cases.iter().filter(|(_, expected)| expected.is_some()).count() >= 100);
    }
}
