//! Functions that the same people work in.

/// What the key of a subject may end with → what the keys of related careers end with instead, the nearest first.
const RELATED: &[(&str, &[&str])] = &[
    ("컨설팅", &["", "기획", "전략가", "분석"]),
    ("전략가", &["", "컨설팅", "기획"]),
    ("기획", &["", "컨설팅", "개발"]),
    ("분석", &["", "연구", "컨설팅"]),
    ("연구", &["개발", "학자", "과학자", "분석"]),
    ("학자", &["연구", "과학자"]),
    ("과학자", &["연구", "학자"]),
    ("공학자", &["공학연구", "연구", "공학"]),
    ("개발", &["", "설계", "연구"]),
    ("설계", &["", "개발"]),
    ("운영", &[""]),
    ("상담", &["상담가"]),
    ("정비", &[""]),
    ("강사", &["교육", "지도사", "교사", "코치", "지도자"]),
    ("지도사", &["강사", "교육", "지도자", "코치"]),
    ("지도자", &["지도사", "강사", "코치"]),
    ("교육", &["강사", "지도사", "교사"]),
    ("코치", &["코칭", "상담", "컨설팅", "강사", "트레이너", ""]),
    ("트레이너", &["코치", "강사"]),
    ("활동가", &["", "운동가"]),
];

/// What the keys of related careers end with if the key of a subject has no function.
const OF_ANY_FUNCTION: &[&str] = &["컨설팅", "기획", "연구", "분석", "개발", "운영", "설계", "교육", "학자"];

/// The keys of the subject of a key in related functions. `is_neutral`: its role exists in any function.
pub(super) fn related_keys(key: &str, is_neutral: bool) -> impl Iterator<Item = String> {
    const SHORTEST: usize = 2;
    let longest = RELATED.iter().filter(|(end, _)| key.ends_with(end)).max_by_key(|(end, _)| end.len());
    let (field, ends) = match longest {
        Some((end, others)) => (&key[..key.len() - end.len()], *others),
        None if is_neutral => (key, OF_ANY_FUNCTION),
        None => (key, &[][..]),
    };
    let ends = if field.chars().nth(SHORTEST - 1).is_some() { ends } else { &[] };
    ends.iter().map(move |end| format!("{field}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_functions_have_the_same_subject() {
        let related = |key: &str, is_neutral| related_keys(key, is_neutral).collect::<Vec<_>>();
        assert_eq!(related("탄소중립컨설팅", false)[..2], ["탄소중립", "탄소중립기획"]);
        assert_eq!(related("탄소중립", true)[0], "탄소중립컨설팅");
        assert_eq!(related("탄소중립", false), Vec::<String>::new());
        assert_eq!(related("컨설팅", false), Vec::<String>::new());
    }
}
