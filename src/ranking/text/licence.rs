//! Licences that the law or a posting demands: which of them a text requires, and which a person has.

use std::num::NonZeroU8;

use super::{Lexeme, lexemes, normalise};

/// A licence, as a position in the table plus one. One for each listing is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Licence(NonZeroU8);

/// A set of licences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Licences(u64);

/// A licence of the table.
struct Entry {
    /// The name that users read; names that contain it (`전기산업기사`) are listed in `names`.
    name: &'static str,
    /// Normalised names without spaces, as texts and people give them. A career with such a name implies the licence.
    names: &'static [&'static str],
}

const fn licence(name: &'static str, names: &'static [&'static str]) -> Entry {
    Entry { name, names }
}

/// All licences; at most 64. Those that nearly everyone has (driving a car) are none of them.
const LICENCES: &[Entry] = &[
    licence("간호사", &["간호사", "registerednurse", "rnlicense", "nursinglicense"]),
    licence("간호조무사", &["간호조무사"]),
    licence("약사", &["약사", "pharmacist", "pharmacylicense"]),
    licence("의사", &["의사면허", "medicallicense", "physician"]),
    licence("치과의사", &["치과의사"]),
    licence("한의사", &["한의사"]),
    licence("수의사", &["수의사", "veterinarian", "veterinarylicense"]),
    licence("물리치료사", &["물리치료사", "physicaltherapist", "physicaltherapylicense"]),
    licence("작업치료사", &["작업치료사"]),
    licence("언어재활사", &["언어재활사", "언어치료사"]),
    licence("치과위생사", &["치과위생사", "치위생사"]),
    licence("임상병리사", &["임상병리사"]),
    licence("방사선사", &["방사선사"]),
    licence("응급구조사", &["응급구조사"]),
    licence("영양사", &["영양사"]),
    licence("위생사", &["위생사"]),
    licence("안경사", &["안경사"]),
    licence("요양보호사", &["요양보호사"]),
    licence("사회복지사", &["사회복지사"]),
    licence("보육교사", &["보육교사", "어린이집교사"]),
    licence(
        "정교사",
        &["정교사", "교원자격", "초등교사", "중등교사", "teachinglicense", "teachingcertificate"],
    ),
    licence("임상심리사", &["임상심리사", "임상심리전문가"]),
    licence("청소년상담사", &["청소년상담사"]),
    licence("변호사", &["변호사", "attorney", "lawyer", "baradmission"]),
    licence("법무사", &["법무사"]),
    licence("변리사", &["변리사"]),
    licence("회계사", &["회계사", "공인회계사", "kicpa", "aicpa", "cpa자격", "cpalicense"]),
    licence("세무사", &["세무사"]),
    licence("노무사", &["노무사"]),
    licence("관세사", &["관세사"]),
    licence("감정평가사", &["감정평가사"]),
    licence("손해사정사", &["손해사정사"]),
    licence("보험계리사", &["보험계리사", "계리사"]),
    licence("공인중개사", &["공인중개사"]),
    licence("건축사", &["건축사", "licensedarchitect"]),
    licence("건축기사", &["건축기사", "건축산업기사"]),
    licence("토목기사", &["토목기사", "토목산업기사"]),
    licence("실내건축기사", &["실내건축기사", "실내건축산업기사"]),
    licence(
        "전기기사",
        &["전기기사", "전기산업기사", "전기공사기사", "전기기능사", "전기안전관리자", "licensedelectrician"],
    ),
    licence("소방설비기사", &["소방설비기사", "소방설비산업기사", "소방시설관리사"]),
    licence("산업안전기사", &["산업안전기사", "산업안전산업기사", "건설안전기사"]),
    licence("산업위생기사", &["산업위생관리기사", "산업위생기사"]),
    licence("대기환경기사", &["대기환경기사", "수질환경기사"]),
    licence("가스기사", &["가스기사", "가스산업기사", "가스기능사"]),
    licence("위험물산업기사", &["위험물산업기사", "위험물기능사", "위험물기능장"]),
    licence("공조냉동기사", &["공조냉동기계기사", "공조냉동기사", "공조냉동기계산업기사"]),
    licence("에너지관리기사", &["에너지관리기사", "에너지관리산업기사", "에너지관리기능사"]),
    licence("용접기능사", &["용접기능사", "용접산업기사", "용접기사"]),
    licence(
        "지게차운전기능사",
        &["지게차운전기능사", "지게차면허", "지게차기능사", "지게차운전원", "지게차기사"],
    ),
    licence("굴착기운전기능사", &["굴착기운전기능사", "굴삭기운전기능사", "굴삭기기사", "굴착기기사"]),
    licence("조리기능사", &["조리기능사", "조리산업기사", "조리사"]),
    licence("미용사", &["미용사"]),
    licence("항공정비사", &["항공정비사", "항공정비면허"]),
    licence("물류관리사", &["물류관리사"]),
    licence("정보보안기사", &["정보보안기사"]),
    licence("정보처리기사", &["정보처리기사", "정보처리산업기사"]),
];
const _: () = assert!(LICENCES.len() <= 64);

/// Words that, in a requirement, say that a licence is needed; in any other place only the first of them do.
const DEMANDS: &[&str] = &["필수", "mandatory", "required", "musthave", "musthold", "소지", "보유", "holder"];
/// How many of [`DEMANDS`] are enough by themselves.
const PLAIN_DEMANDS: usize = 5;
/// Words by which a clause makes a licence welcome, not needed, or says that it is not there.
const NO_DEMANDS: &[&str] = &[
    "우대",
    "preferred",
    "plus",
    "nicetohave",
    "desirable",
    "notrequired",
    "필수는아",
    "필수아",
    "무관",
    "가점",
];
/// Words that a clause about a licence has.
const SUBJECTS: &[&str] =
    &["면허", "자격", "기사", "기능사", "license", "licence", "certifi", "cpa", "baradmission"];
/// Words of the headings above what is needed, and above what is welcome.
const REQUIRED_HEADINGS: &[&str] = &["자격요건", "지원자격", "자격조건", "응시자격", "필수", "requirement"];
const WELCOME_HEADINGS: &[&str] = &["우대", "preferred", "nicetohave", "플러스"];
/// A longer line is no heading.
const LONGEST_HEADING: usize = 16;
/// Words of a person who does not have a licence yet.
const NOT_YET: &[&str] =
    &["준비", "예정", "목표", "없", "따고싶", "취득하고", "공부", "preparing", "planning"];

/// What a word of a text hints at. Only a text with hints at both a licence and a demand is read clause by clause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    licence: bool,
    demand: bool,
}

impl Hints {
    /// Of one word.
    pub fn of_word(word: &str) -> Self {
        let begins = |name: &str| word.len() >= LEAST_HINT && name.starts_with(word);
        let may_contain = word.contains(['사', '격']) || word.is_ascii();
        let names =
            |entry: &Entry| entry.names.iter().any(|name| begins(name) || may_contain && word.contains(name));
        Self {
            licence: LICENCES.iter().any(names),
            demand: DEMANDS.iter().any(|demand| begins(demand) || word.contains(demand)),
        }
    }

    /// Of two words.
    pub fn and(self, other: Self) -> Self {
        Self { licence: self.licence || other.licence, demand: self.demand || other.demand }
    }

    /// Whether a text with these hints may require a licence.
    pub fn suffice(self) -> bool {
        self.licence && self.demand
    }
}

/// Bytes of the shortest word that hints at a longer name (`소방` of `소방설비기사`, `rn`).
const LEAST_HINT: usize = 2;

impl Licence {
    /// As users read it.
    pub fn name(self) -> &'static str {
        LICENCES[usize::from(self.0.get()) - 1].name
    }

    fn at(position: usize) -> Option<Self> {
        NonZeroU8::new(position as u8 + 1).map(Self)
    }
}

impl Licences {
    /// The licences that a person's own words and careers name; those not passed yet are none.
    pub fn of_person<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut all = 0;
        for text in texts {
            let text = normalise(text);
            let passed = clauses(&text).filter(|clause| !says(&joined(clause), NOT_YET));
            passed.for_each(|clause| all |= Self::named(clause, true).0);
        }
        Self(all)
    }

    /// The licences that a clause names. A name begins a word, since `약사` is no part of `제약사`, and nothing but a particle or
    /// 자격 follows it in the word. `of_person` allows words before it (`병원약사`, `수간호사`).
    fn named(clause: &str, of_person: bool) -> Self {
        // All Korean names have one of these, and most careers have none.
        if !clause.contains(['사', '격', '면']) && !clause.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Self::default();
        }
        let words: Vec<&str> = lexemes(clause).map(Lexeme::as_str).collect();
        let (mut all, mut at) = (0, 0);
        while at < words.len() {
            let text: String = words[at..].iter().take(LONGEST_NAME).copied().collect();
            let entries = LICENCES.iter().enumerate();
            let names = entries.flat_map(|(entry, of)| of.names.iter().map(move |name| (entry, *name)));
            let found = names.filter(|(_, name)| {
                let is_whole = text.starts_with(name) && ends_well(&words[at..], name.len());
                is_whole || of_person && words[at].ends_with(name) && name.chars().nth(2).is_some()
            });
            let longest = found.max_by_key(|(_, name)| name.len());
            all |= longest.map_or(0, |(entry, _)| 1 << entry);
            let mut left = longest.map_or(0, |(_, name)| name.len().min(text.len()));
            at += 1;
            while at < words.len() && left > words[at - 1].len() {
                left -= words[at - 1].len();
                at += 1;
            }
        }
        Self(all)
    }

    /// Whether the set has a licence.
    pub fn has(self, licence: Licence) -> bool {
        self.0 >> (licence.0.get() - 1) & 1 == 1
    }
}

/// Most words of a name.
const LONGEST_NAME: usize = 3;
/// What may follow a name in a word.
const AFTER_NAME: &[&str] = &[
    "면허", "자격", "필수", "소지", "보유", "또는", "이상", "채용", "모집", "를", "을", "로", "와", "나",
    "등", "들", "인", "의", "이", "가",
];

/// Whether a name of `length` bytes at the start of some words ends with one of them, or with what may follow it.
fn ends_well(words: &[&str], mut length: usize) -> bool {
    for word in words {
        match word.get(length..) {
            Some("") => return true,
            Some(rest) => return AFTER_NAME.iter().any(|after| rest.starts_with(after)),
            None => length -= word.len(),
        }
    }
    false
}

/// The licence that a normalised text requires. A clause that names several leaves a choice and requires none, as does a
/// text that only welcomes it (우대).
pub fn required_licence(text: &str) -> Option<Licence> {
    let (mut in_requirements, mut in_welcome) = (false, false);
    for clause in clauses(text) {
        let whole = joined(clause);
        if whole.chars().count() <= LONGEST_HEADING {
            in_welcome = says(&whole, WELCOME_HEADINGS) || in_welcome && !says(&whole, REQUIRED_HEADINGS);
            in_requirements = !in_welcome && (in_requirements || says(&whole, REQUIRED_HEADINGS));
        }
        let demands = if in_requirements { DEMANDS } else { &DEMANDS[..PLAIN_DEMANDS] };
        let is_demand = !in_welcome && says(&whole, demands) && !says(&whole, NO_DEMANDS);
        if is_demand && says(&whole, SUBJECTS) {
            let named = Licences::named(clause, false).0;
            if named.is_power_of_two() {
                return Licence::at(named.trailing_zeros() as usize);
            }
        }
    }
    None
}

/// The lines and sentences of a normalised text.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '.', ';', '•', '*', '|', '■', '●', '※']).filter(|clause| !clause.trim().is_empty())
}

fn joined(clause: &str) -> String {
    clause.split_whitespace().collect()
}

fn says(clause: &str, words: &[&str]) -> bool {
    words.iter().any(|word| clause.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(text: &str) -> Option<&'static str> {
        let text = normalise(text);
        let words = crate::ranking::text::lexemes(&text).map(|lexeme| Hints::of_word(lexeme.as_str()));
        let hints = words.fold(Hints::default(), Hints::and);
        let required = required_licence(&text).map(Licence::name);
        assert!(required.is_none() || hints.suffice(), "the hints miss {text}");
        required
    }

    #[test]
    fn a_text_requires_a_licence_in_so_many_words() {
        let cases = [
            ("간호사 면허 필수", Some("간호사")),
            ("[자격요건]\n- 전기기사 자격증 소지자\n[우대사항]\n- 산업안전기사 소지자", Some("전기기사")),
            ("전기산업기사 이상 자격증 필수", Some("전기기사")),
            ("자격요건\n• 약사 면허 보유", Some("약사")),
            ("RN license required.", Some("간호사")),
            ("You must have a teaching license", Some("정교사")),
            ("AICPA required", Some("회계사")),
            ("CPA, ROAS 분석 필수", None),
            ("제약사 영업 자격 필수", None),
            ("건축사무소 자격증 담당 필수", None),
            ("소방설비 기사 자격 필수", Some("소방설비기사")),
            ("실내건축기사 자격증 필수", Some("실내건축기사")),
            ("전기기사 자격증 소지자", None),
            ("전기기사 자격증 소지자 우대", None),
            ("우대사항\n- 전기기사 자격증 필수는 아니지만 소지자", None),
            ("우대사항\n변호사 자격 소지자", None),
            ("CPA preferred, not required", None),
            ("간호사 또는 간호조무사 면허 필수", None),
            ("간호사와의 협업 경험 필수", None),
            ("운전면허 필수", None),
            ("자격증 필수", None),
            ("원활한 의사소통 필수", None),
        ];
        for (text, expected) in cases {
            assert_eq!(required(text), expected, "{text}");
        }
    }

    #[test]
    fn careers_and_own_words_tell_the_licences_of_a_person() {
        let has = |text: &str, licence: &str| {
            let at = LICENCES.iter().position(|entry| entry.name == licence).unwrap();
            Licences::of_person([text]).has(Licence::at(at).unwrap())
        };
        assert!(has("병동 간호사", "간호사"));
        assert!(
            has("Registered Nurse", "간호사") && has("수간호사", "간호사") && has("공인회계사", "회계사")
        );
        assert!(has("전기산업기사를 땄고 시설을 관리합니다", "전기기사"));
        assert!(!has("전기기사 시험을 준비합니다", "전기기사"));
        assert!(!has("간호조무사", "간호사"));
        assert!(!has("실내건축기사", "건축기사"));
        assert!(!has("치과의사", "의사"));
    }
}
