//! Job functions: the kind of work that a word of a title or of a career's name stands for, whatever its subject.
//!
//! `프로덕트 매니저` and `프로덕트 디자이너` share a subject, `데이터 분석가` and `데이터 분석` a function. A title that
//! shows a career's subject but names other functions only is another job.

use super::Lexeme;

/// A set of functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Functions(u32);

/// A function: the parts of Korean words and the whole Latin words that stand for it.
struct Function {
    korean: &'static [&'static str],
    latin: &'static [&'static str],
}

const fn function(korean: &'static [&'static str], latin: &'static [&'static str]) -> Function {
    Function { korean, latin }
}

/// All functions; at most 32. A word may stand for several.
const FUNCTIONS: &[Function] = &[
    function(
        &["개발", "프로그래머", "프로그래밍", "퍼블리셔", "퍼블리싱", "해커"],
        &["developer", "developers", "development", "programmer", "programming", "publisher", "dba"],
    ),
    function(&["엔지니어", "기술자", "데브옵스"], &["engineer", "engineers", "engineering", "devops", "sre"]),
    function(&["설계", "해석", "제도"], &["cad", "cae"]),
    function(
        &["디자이너", "디자인", "일러스트", "그래픽", "아티스트", "원화"],
        &["designer", "design", "artist", "illustrator"],
    ),
    function(&["기획", "플래너", "오너"], &["planner", "planning", "pm", "po"]),
    function(&["마케터", "마케팅", "브랜딩", "그로스"], &["marketer", "marketing", "growth", "branding"]),
    function(&["홍보", "언론"], &["pr", "communications"]),
    function(&["영업", "세일즈", "판매"], &["sales", "ae", "presales"]),
    function(&["연구", "과학자", "사이언티스트", "리서처"], &["researcher", "research", "scientist", "r&d"]),
    function(
        &["분석", "애널리스트", "사이언티스트"],
        &["analyst", "analysts", "analysis", "analytics", "scientist", "bi"],
    ),
    function(&["컨설턴트", "컨설팅"], &["consultant", "consulting"]),
    function(&["상담", "고객", "텔러"], &["cs", "cx", "csm", "support"]),
    function(
        &["강사", "교사", "선생", "교수", "튜터", "교육", "학습", "티처", "교원"],
        &["teacher", "instructor", "tutor", "education", "hrd", "trainer", "lecturer"],
    ),
    function(
        &["간호", "의사", "약사", "치료사", "조무사", "위생사", "임상병리", "방사선사", "영양사"],
        &["nurse", "pharmacist", "doctor", "therapist"],
    ),
    function(
        &["인사", "노무", "리크루터", "급여"],
        &["hr", "hrbp", "recruiter", "recruiting", "talent", "hrm"],
    ),
    function(
        &["회계", "재무", "세무", "경리", "결산", "자금", "감사"],
        &["accountant", "accounting", "finance", "financial", "tax", "ir"],
    ),
    function(
        &["법무", "변호사", "법률", "컴플라이언스", "준법", "특허"],
        &["legal", "counsel", "compliance", "attorney"],
    ),
    function(
        &["구매", "소싱", "바이어", "머천다이저"],
        &["buyer", "purchasing", "procurement", "sourcing", "vmd", "md", "merchandiser", "amd"],
    ),
    function(&["물류", "배송", "운송", "무역", "재고"], &["logistics", "scm", "supply"]),
    function(&["생산", "제조", "조립", "가공"], &["production", "manufacturing"]),
    function(
        &["품질", "테스트", "테스터", "검증", "검수", "검사"],
        &["qa", "qc", "quality", "test", "tester", "testing", "sdet", "qe"],
    ),
    function(&["연출", "피디", "프로듀서", "감독"], &["pd", "producer"]),
    function(&["편집"], &["editor", "editing"]),
    function(&["촬영", "포토그래퍼", "사진"], &["photographer", "videographer"]),
    function(
        &["기자", "에디터", "작가", "집필", "카피", "라이터"],
        &["editor", "writer", "reporter", "copywriter"],
    ),
    function(&["총무", "사무", "비서", "경영지원", "서무"], &["administrator", "secretary", "admin"]),
    function(&["시공", "시설", "설비", "정비", "보전", "수리", "유지보수"], &["maintenance", "technician"]),
    function(
        &["조리", "요리", "셰프", "주방", "바리스타", "제과", "제빵"],
        &["chef", "cook", "barista", "baker"],
    ),
    function(&["보안", "보호", "침해대응", "해킹", "화이트해커"], &["security", "ciso", "soc"]),
    function(&["운전", "배달"], &["driver"]),
    function(&["인허가"], &["ra", "regulatory"]),
    function(&["모델러", "모델링", "애니메이터", "애니메이션", "이펙터"], &["modeler", "animator", "vfx"]),
];
const _: () = assert!(FUNCTIONS.len() <= 32);

/// The position of planning in [`FUNCTIONS`].
const PLANNING: u32 = 4;

impl Functions {
    /// Engineering, which like a role exists for many subjects: a `보안 엔지니어` does the work of a `보안 담당자`.
    pub const ENGINEERING: Self = Self(1 << 1);

    /// The functions of neighbouring words: a manager or owner of a product or a project plans.
    pub fn of_words<'w>(words: impl IntoIterator<Item = (Lexeme<'w>, Self)>) -> Self {
        let mut before = None;
        let mut all = Self::default();
        for (lexeme, own) in words {
            let word = lexeme.as_str();
            let is_manager = ["manager", "owner", "management"].contains(&word)
                || ["매니저", "매니지먼트"].iter().any(|end| word.starts_with(end));
            if is_manager && before.is_some_and(is_undertaking) || is_planning_compound(word) {
                all.0 |= 1 << PLANNING;
            }
            all = all.union(own);
            before = Some(word);
        }
        all
    }

    /// The functions that a single word stands for.
    pub fn of_word(lexeme: Lexeme<'_>) -> Self {
        let names = |function: &Function| match lexeme {
            Lexeme::Hangul(word) => function.korean.iter().any(|part| word.contains(part)),
            Lexeme::Word(word) => function.latin.contains(&word),
        };
        let found = FUNCTIONS.iter().enumerate().filter(|(_, function)| names(function));
        Self(found.fold(0, |set, (at, _)| set | 1 << at))
    }

    /// Whether a word is the name of a function and nothing else.
    pub fn is_name(lexeme: Lexeme<'_>) -> bool {
        match lexeme {
            Lexeme::Hangul(word) => FUNCTIONS.iter().any(|function| function.korean.contains(&word)),
            Lexeme::Word(_) => !Self::of_word(lexeme).is_empty(),
        }
    }

    /// The functions in either set.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The functions that are not in `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the sets share a function.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn is_undertaking(word: &str) -> bool {
    ["product", "project", "program", "프로덕트", "프로젝트"].contains(&word)
}

fn is_planning_compound(word: &str) -> bool {
    ["프로덕트매니저", "프로젝트매니저"].iter().any(|compound| word.contains(compound))
}

/// Whether a Hangul word names a part of a company (`영업팀`, `마케팅본부`), not the work of its people.
pub fn names_a_department(word: &str) -> bool {
    ["팀", "본부", "사업부", "사업본부", "센터", "실", "그룹", "파트", "부문"]
        .iter()
        .any(|end| word.ends_with(end))
}
