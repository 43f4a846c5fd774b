//! Roles: words that name a person at work but not the subject of the work.

/// Roles that do not tell the sector.
#[rustfmt::skip]
pub const ROLES: &[&str] = &[
    "담당자", "담당", "매니저", "관리자", "관리원", "엔지니어", "개발자", "전문가", "디자이너", "기획자",
    "연구원", "기술자", "컨설턴트", "팀장", "사원", "직원", "책임자", "운영자", "분석가", "코디네이터", "디렉터",
    "사무원", "기술원", "조작원", "기능원", "작업원", "실무자", "스페셜리스트", "리더", "기사", "검사원",
    "시험원", "조립원", "제조원", "정비원", "운전원", "가공원", "설치원", "반장", "보조원", "감독자", "실장",
    "파트장", "리드", "스태프", "슈퍼바이저", "오퍼레이터", "마케터", "편집자", "에디터", "크리에이터",
    "프로듀서", "작가", "강사", "상담원", "상담사", "연구자", "설계자", "설계사", "프로그래머", "애널리스트",
    "사이언티스트", "리서처", "테스터", "바이어", "플래너", "manager", "engineer", "specialist", "officer",
    "coordinator", "assistant", "director", "executive", "consultant", "analyst", "technician",
    "operator", "supervisor", "administrator", "developer", "designer", "expert", "associate", "lead",
    "leader", "representative", "clerk", "worker", "staff", "agent", "planner", "advisor", "controller",
    "scientist", "researcher", "programmer", "marketer", "producer", "editor", "writer", "tester", "buyer",
];

/// Persons and their activities.
pub const ACTIVITIES: &[(&str, &str)] = &[
    ("엔지니어", ""),
    ("개발자", "개발"),
    ("프로그래머", "개발"),
    ("기획자", "기획"),
    ("플래너", "기획"),
    ("분석가", "분석"),
    ("애널리스트", "분석"),
    ("디자이너", "디자인"),
    ("마케터", "마케팅"),
    ("컨설턴트", "컨설팅"),
    ("편집자", "편집"),
    ("상담원", "상담"),
    ("상담사", "상담"),
    ("연구원", "연구"),
    ("연구자", "연구"),
    ("리서처", "연구"),
    ("설계자", "설계"),
    ("설계사", "설계"),
    ("운영자", "운영"),
    ("정비사", "정비"),
    ("정비원", "정비"),
];
