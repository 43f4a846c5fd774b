//! Names that no career lists, and the careers that come closest to them.

use rustc_hash::FxHashMap;

use super::{CareerEntry, Vocabulary};
use crate::ranking::text::phrase::{is_bare_role, names_a_role, readings, subject_key};

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
    /// One of the career's names is the end of it.
    Inside,
}

/// Words before a career's name that do not narrow it down.
const ANYWHERE: &[&str] = &[
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

impl Vocabulary {
    /// The career that a name stands for or comes closest to; `None` if no part of it is known.
    pub(in crate::ranking) fn resolve(&self, name: &str) -> Option<Resolved<'_>> {
        let readings = readings(name);
        let exact = std::iter::once(name).chain(readings.iter().map(String::as_str));
        if let Some(entry) = exact.clone().find_map(|name| self.find(name)) {
            return Some(Resolved { entry, nearness: Nearness::Same, modifiers: String::new() });
        }
        if let Some(entry) = readings.iter().find_map(|name| self.of_subject(name)) {
            return Some(Resolved { entry, nearness: Nearness::OtherRole, modifiers: String::new() });
        }
        readings.iter().find_map(|name| self.inside(name))
    }

    /// Whether a name is one of the table's.
    pub fn knows(&self, name: &str) -> bool {
        self.resolve(name).is_some_and(|resolved| resolved.nearness == Nearness::Same)
    }

    /// The own name of the career that a name stands for or comes closest to; `None` if no part of it is known.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        Some(self.resolve(name)?.entry.phrases.first()?)
    }

    /// The career with this subject and another role (`영상 편집 전문가` for `영상 편집자`): the only one, or the first whose own
    /// name it is.
    fn of_subject(&self, name: &str) -> Option<&CareerEntry> {
        if is_bare_role(name) || !names_a_role(name) {
            return None;
        }
        let key = subject_key(name);
        let careers = self.by_subject.get(&key)?;
        let is_own_name = |at: &&usize| subject_key(&self.careers[**at].phrases[0]) == key;
        match (careers.as_slice(), careers.iter().find(is_own_name)) {
            ([only], _) | (_, Some(only)) => self.careers.get(*only),
            _ => None,
        }
    }

    /// The longest known name at the end of a longer one (`소비재 해외영업 전문가`), unless it is a bare role.
    fn inside(&self, name: &str) -> Option<Resolved<'_>> {
        let mut rest = name;
        while let Some((_, shorter)) = rest.split_once(|c: char| c.is_whitespace() || "·/,".contains(c)) {
            rest = shorter.trim_start();
            let found = (!is_bare_role(rest)).then(|| self.find(rest).or_else(|| self.of_subject(rest)));
            if let Some(entry) = found.flatten() {
                let words = name[..name.len() - rest.len()].split_whitespace();
                let narrowing = words.filter(|word| !ANYWHERE.contains(word));
                let modifiers = narrowing.collect::<Vec<_>>().join(" ");
                return Some(Resolved { entry, nearness: Nearness::Inside, modifiers });
            }
        }
        None
    }
}

/// The careers that have a name with each subject.
pub(super) fn by_subject(careers: &[CareerEntry]) -> FxHashMap<String, Vec<usize>> {
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

    /// Names that no career lists, and the careers that a reader would take them for.
    #[test]
    fn names_that_no_career_lists_are_resolved() {
        let vocabulary = Vocabulary::builtin();
        let cases = [
            ("백엔드 전문 개발자", None),
            ("영상 편집 책임자", Some("영상 편집 전문가")),
            ("법무팀 담당자", Some("법무 담당자")),
            ("리서치 사이언티스트(AI)", None),
            ("소아 병동 간호사", Some("간호사")),
            ("프랑스어 학습 콘텐츠 기획자", Some("교육과정 개발자")),
            ("친환경 제품 품질관리 담당자", Some("품질관리자")),
            ("국내 여행상품 기획자", Some("여행상품 개발자")),
            ("사내 노무 담당자", Some("노무 담당자")),
            ("온라인 콘텐츠 마케터", Some("콘텐츠 마케터")),
            ("엔지니어", None),
            ("전문가", None),
        ];
        for (name, expected) in cases {
            assert!(!vocabulary.knows(name), "{name}");
            assert_eq!(vocabulary.nearest(name), expected, "{name}");
        }
    }
}
