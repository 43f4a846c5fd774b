//! Words that stand in names of many careers, and what a name means without them.

use crate::ranking::text::phrase::subject_words;

/// Words before a career's name that do not narrow it down.
pub(super) const ANYWHERE: &[&str] = &[
    "사내",
    "기업",
    "회사",
    "전문",
    "현장",
    "일반",
    "종합",
    "프리랜서",
    "신입",
    "주니어",
    "시니어",
    "수석",
    "선임",
];

/// Words in the middle of a name that say little about the work.
const GENERIC: &[&str] = &[
    "운영",
    "관리",
    "서비스",
    "시스템",
    "프로젝트",
    "솔루션",
    "사업",
    "전략",
    "전문",
    "구축",
    "프로그램",
    "산업",
    "플랫폼",
];

/// Words that tell the work beside its subject: a name without one of them means another work (`의약품 정보 담당자`).
#[rustfmt::skip]
const WORK: &[&str] = &[
    "설계", "평가", "시험", "검증", "검사", "안전", "정보", "품질", "진단", "심사", "감사", "장비", "예방", "재활", "치료", "훈련",
    "운송", "측정", "점검", "제어", "보안", "보호", "인증", "조사", "시설", "인프라", "행정",
    "수리", "보수", "정비", "경영", "교정",
];

/// Other words that mean another work with every word before them: the end of `어린이 교육 담당자` is no 교육 담당자.
#[rustfmt::skip]
const WIDE: &[&str] = &[
    "분석", "시스템", "운영", "관리", "기술", "연구", "전략", "개발", "상담", "교육", "지원", "프로그램", "공정", "제작", "기획",
    "자문", "현장", "통합", "체험", "활동", "협력", "상품", "제품", "계획", "문화", "건강", "리서치",
];

/// Whether the subject of a name has only words that mean another work with every word before them.
pub(super) fn is_wide(name: &str) -> bool {
    let mut words = subject_words(name).peekable();
    words.peek().is_some() && words.all(|word| WORK.contains(&word.as_str()) || WIDE.contains(&word.as_str()))
}

/// Whether a word tells so much of the work that a name without it means another one.
pub(super) fn tells_work(word: &str) -> bool {
    WORK.contains(&word)
}

/// Whether a word says little about the work.
pub(super) fn is_generic(word: &str) -> bool {
    GENERIC.contains(&word)
}

/// A name without the words that say little about the work.
pub(super) fn without_generic_words(name: &str) -> String {
    name.split_whitespace().filter(|word| !is_generic(word)).collect::<Vec<_>>().join(" ")
}
