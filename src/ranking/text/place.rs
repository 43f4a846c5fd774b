//! Places in titles: towns and districts at which one and the same job is posted.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

/// Provinces, cities, counties and well-known districts, without 시, 군 and 구.
#[rustfmt::skip]
const PLACES: &[&str] = &[
    "서울", "부산", "대구", "인천", "광주", "대전", "울산", "세종", "경기", "강원", "충북", "충남", "전북", "전남", "경북",
    "경남", "제주", "충청", "전라", "경상", "영남", "호남", "수도권", "전국",
    "강남", "강동", "강북", "강서", "관악", "광진", "구로", "금천", "노원", "도봉", "동대문", "동작", "마포", "서대문", "서초",
    "성동", "성북", "송파", "양천", "영등포", "용산", "은평", "종로", "중랑", "잠실", "여의도", "홍대", "성수", "상암", "가산",
    "문정", "마곡", "을지로", "명동", "목동", "신촌", "건대", "역삼", "삼성동", "압구정", "청담",
    "수원", "성남", "분당", "판교", "고양", "일산", "용인", "수지", "기흥", "부천", "안산", "안양", "평촌", "남양주", "화성",
    "동탄", "평택", "의정부", "시흥", "파주", "김포", "광명", "군포", "이천", "오산", "하남", "미사", "양주", "구리", "안성",
    "포천", "의왕", "여주", "양평", "동두천", "가평", "과천", "연천", "경기광주", "송도", "청라", "부평", "계양", "영종도",
    "춘천", "원주", "강릉", "동해", "속초", "삼척", "홍천", "횡성", "평창", "청주", "오창", "오송", "충주", "제천", "진천",
    "음성", "옥천", "천안", "아산", "당진", "서산", "공주", "논산", "보령", "홍성", "내포", "전주", "익산", "군산", "완주",
    "정읍", "남원", "김제", "목포", "여수", "순천", "나주", "광양", "무안", "포항", "경주", "구미", "경산", "안동", "김천",
    "영주", "영천", "상주", "칠곡", "창원", "마산", "진해", "김해", "진주", "양산", "거제", "통영", "사천", "밀양", "함안",
    "해운대", "센텀", "서면", "동래", "기장", "사상", "서귀포",
];

/// What may follow a place in a word, and says no more than that it is one.
const UNITS: &[&str] =
    &["특별자치도", "특별자치시", "광역시", "특별시", "시", "군", "구", "도", "권", "지역", "근무", "근무지"];

/// Parts of a company that have a place in their names.
const SITES: &[&str] = &[
    "센터",
    "연구소",
    "연구센터",
    "지사",
    "지점",
    "공장",
    "사업장",
    "사업소",
    "영업소",
    "캠퍼스",
    "본사",
    "본점",
    "점",
    "물류센터",
    "지부",
    "지국",
    "매장",
];

/// A title's word without the place that it names or begins with: nothing of `부산` and `수원시`, `연구센터` of
/// `대전연구센터`.
pub fn without_place(word: &str) -> &str {
    static NAMES: LazyLock<FxHashSet<&str>> = LazyLock::new(|| PLACES.iter().copied().collect());
    let ends = word.char_indices().map(|(at, _)| at).chain([word.len()]).skip(2).take(LONGEST - 1);
    let places = ends.filter(|&end| NAMES.contains(&word[..end]));
    let rest = places
        .map(|end| &word[end..])
        .find(|rest| rest.is_empty() || UNITS.contains(rest) || SITES.contains(rest));
    match rest {
        Some(rest) if SITES.contains(&rest) => rest,
        Some(_) => "",
        None if UNITS[UNITS.len() - 3..].contains(&word) => "",
        None => word,
    }
}

/// Most characters of a place's name.
const LONGEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_cut_off() {
        for place in ["부산", "수원시", "경기도", "부천", "경기광주", "수도권", "지역", "서초구", "서울근무"]
        {
            assert_eq!(without_place(place), "", "{place}");
        }
        assert_eq!(without_place("대전연구센터"), "연구센터");
        assert_eq!(without_place("강남점"), "점");
        for word in ["서울대학교병원", "구리선", "양주전문가", "개발자", "시", "진주목걸이"]
        {
            assert_eq!(without_place(word), word);
        }
    }
}
