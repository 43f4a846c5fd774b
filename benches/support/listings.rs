//! Seeded listings for measuring, put together from parts that were written for this file. The whole looks like a job
//! site: few common careers and many rare ones, about 115 distinct tokens in a listing, copies of one posting.

use chrono::{DateTime, Duration, Utc};
use job_agent::domain::{Career, CareerProfile, JobListing, ListingId, MatchScore};

/// A kind of work.
struct Work {
    /// Its names in titles; the first is the career of users.
    titles: &'static [&'static str],
    /// Skills that its listings name.
    skills: &'static [&'static str],
}

macro_rules! works {
    ($($titles:expr => $skills:expr;)*) => { &[$(Work { titles: &$titles, skills: &$skills }),*] };
}

const WORKS: &[Work] = works! {
    ["백엔드 개발자", "서버 개발자", "Backend Developer", "백엔드 엔지니어"] => ["Java", "Spring Boot", "Kotlin", "MySQL", "Redis", "AWS", "JPA", "Kafka"];
    ["프론트엔드 개발자", "Frontend Developer", "웹 프론트 개발자"] => ["React", "TypeScript", "JavaScript", "Vue.js", "HTML5", "CSS", "Next.js"];
    ["영업 관리자", "B2B 영업 담당자", "법인영업 사원"] => ["제안서", "협상", "CRM", "Excel", "고객관리"];
    ["마케터", "퍼포먼스 마케터", "디지털 마케팅 담당자"] => ["Google Analytics", "SNS", "광고운영", "콘텐츠 제작", "Excel"];
    ["간호사", "병동 간호사", "외래 간호사"] => ["간호기록", "투약", "환자응대", "응급처치"];
    ["회계 담당자", "재무회계 담당자", "회계 사무원"] => ["더존", "ERP", "재무제표", "Excel", "세무신고"];
    ["데이터 분석가", "Data Analyst", "데이터 애널리스트"] => ["SQL", "Python", "Tableau", "통계", "R"];
    ["UX/UI 디자이너", "프로덕트 디자이너", "UI 디자이너"] => ["Figma", "Zeplin", "Photoshop", "프로토타이핑"];
    ["데이터 엔지니어", "Data Engineer", "빅데이터 엔지니어"] => ["Spark", "Airflow", "Python", "SQL", "Kafka", "Hadoop"];
    ["생산관리 담당자", "생산관리자", "생산 엔지니어"] => ["공정관리", "MES", "ERP", "품질관리", "안전관리"];
    ["물류 관리자", "물류센터 운영 담당자", "SCM 담당자"] => ["WMS", "재고관리", "ERP", "SCM", "Excel"];
    ["인사 담당자", "채용 매니저", "HR 매니저"] => ["급여", "노무", "평가보상", "조직문화"];
    ["안드로이드 개발자", "Android Developer", "모바일 앱 개발자"] => ["Kotlin", "Android", "Java", "Jetpack", "Coroutine"];
    ["iOS 개발자", "iOS Developer", "아이폰 앱 개발자"] => ["Swift", "SwiftUI", "iOS", "RxSwift", "Objective-C"];
    ["데브옵스 엔지니어", "DevOps Engineer", "SRE 엔지니어"] => ["Kubernetes", "Docker", "Terraform", "AWS", "Jenkins", "Linux"];
    ["품질관리원", "품질관리 담당자", "QC 담당자"] => ["ISO9001", "품질관리", "통계", "측정기", "FMEA"];
    ["고객상담원", "콜센터 상담원", "CS 매니저"] => ["고객응대", "CS", "전화상담", "Excel"];
    ["머신러닝 엔지니어", "AI 엔지니어", "딥러닝 연구원"] => ["Python", "PyTorch", "TensorFlow", "딥러닝", "MLOps"];
    ["기계설계 엔지니어", "기구설계 연구원", "기계설계자"] => ["SolidWorks", "CAD", "CATIA", "공차해석"];
    ["물리치료사", "도수치료사", "재활치료사"] => ["도수치료", "재활운동", "환자응대"];
    ["요리사", "한식 조리사", "양식 조리사"] => ["위생관리", "식재료관리", "메뉴개발"];
    ["영상 편집자", "영상 PD", "유튜브 편집자"] => ["Premiere", "After Effects", "촬영", "색보정"];
    ["그래픽 디자이너", "편집 디자이너", "시각 디자이너"] => ["Illustrator", "Photoshop", "InDesign", "브랜딩"];
    ["게임 클라이언트 개발자", "유니티 개발자", "게임 프로그래머"] => ["Unity", "C#", "C++", "Unreal"];
    ["게임 서버 개발자", "게임 서버 프로그래머"] => ["C++", "Go", "Redis", "MySQL", "C#"];
    ["네트워크 엔지니어", "네트워크 운영자"] => ["Cisco", "방화벽", "네트워크", "Linux"];
    ["정보보안 전문가", "보안 엔지니어", "보안관제 요원"] => ["ISMS", "방화벽", "모의해킹", "SIEM"];
    ["QA 엔지니어", "테스트 엔지니어", "QA 담당자"] => ["테스트 자동화", "Selenium", "Jira", "JMeter"];
    ["서비스 기획자", "프로덕트 매니저", "웹 기획자"] => ["요구사항 분석", "Figma", "Jira", "데이터 분석"];
    ["변호사", "사내 변호사"] => ["계약서", "법률자문", "소송"];
    ["세무사", "세무 회계 담당자"] => ["세무신고", "더존", "법인세", "Excel"];
    ["건축 설계사", "건축사", "건축 디자이너"] => ["AutoCAD", "Revit", "SketchUp", "인허가"];
    ["토목 기사", "토목 시공 기사"] => ["AutoCAD", "시공관리", "안전관리", "공정관리"];
    ["전기 기사", "전기 설비 엔지니어"] => ["PLC", "전기설비", "도면", "안전관리"];
    ["임베디드 소프트웨어 개발자", "펌웨어 개발자", "Embedded Engineer"] => ["C", "C++", "RTOS", "ARM", "Linux"];
    ["반도체 공정 엔지니어", "공정 엔지니어"] => ["식각", "증착", "공정관리", "통계", "FMEA"];
    ["사회복지사", "노인복지 담당자"] => ["사례관리", "상담", "행정"];
    ["보육교사", "어린이집 교사"] => ["보육일지", "놀이지도", "상담"];
    ["영어 강사", "학원 강사", "수학 강사"] => ["강의", "커리큘럼", "상담"];
    ["약사", "병원 약사"] => ["조제", "복약지도", "GMP"];
    ["임상시험 연구원", "CRA", "임상 연구 코디네이터"] => ["GCP", "임상", "GMP", "모니터링"];
    ["바이오 연구원", "세포배양 연구원"] => ["세포배양", "PCR", "GMP", "ELISA"];
    ["패션 MD", "상품기획자", "온라인 MD"] => ["소싱", "상품기획", "재고관리", "Excel"];
    ["매장 관리자", "판매 사원", "매장 매니저"] => ["POS", "고객응대", "재고관리"];
    ["운전기사", "화물차 운전원", "배송기사"] => ["1종 대형", "안전운전"];
    ["경비원", "시설 관리원"] => ["순찰", "CCTV", "시설관리"];
    ["번역가", "통번역사"] => ["영어", "일본어", "중국어", "번역"];
    ["기자", "취재 기자"] => ["취재", "기사작성", "인터뷰"];
    ["웹 퍼블리셔", "퍼블리셔"] => ["HTML5", "CSS", "jQuery", "JavaScript"];
    ["데이터베이스 관리자", "DBA", "DB 엔지니어"] => ["Oracle", "MySQL", "PostgreSQL", "SQL", "튜닝"];
    ["블록체인 개발자", "스마트 컨트랙트 개발자"] => ["Solidity", "Ethereum", "Go", "Rust"];
    ["풀스택 개발자", "Full Stack Developer", "웹 개발자"] => ["React", "Node.js", "TypeScript", "Java", "AWS"];
};

const SECTORS: &[&str] = &[
    "이커머스",
    "핀테크",
    "헬스케어",
    "모빌리티",
    "교육",
    "부동산",
    "여행",
    "게임",
    "반도체",
    "바이오",
    "물류",
    "광고",
    "금융",
    "공공",
    "제조",
    "커머스",
    "콘텐츠",
    "뷰티",
    "식품",
    "스마트팩토리",
    "보험",
    "건설",
    "에너지",
    "로봇",
];

const NAMES: &[&str] = &[
    "한빛",
    "가온",
    "누리",
    "다온",
    "라온",
    "마루",
    "바로",
    "새솔",
    "아람",
    "온누리",
    "큰솔",
    "푸른",
    "해든",
    "나래",
    "미르",
    "별하",
    "이든",
    "윤슬",
    "도담",
    "솔빛",
    "늘봄",
    "하람",
    "예솔",
    "모아",
    "두레",
    "어울림",
    "이음",
    "채움",
];

const SUFFIXES: &[&str] = &[
    "소프트",
    "테크",
    "랩스",
    "시스템즈",
    "네트웍스",
    "솔루션",
    "컴퍼니",
    "바이오",
    "로지스",
    "에듀",
    "메디컬",
    "산업",
];

const DUTIES: &[&str] = &[
    "신규 서비스의 설계와 구현을 맡아 출시까지 책임집니다",
    "고객사의 요구사항을 수집하고 정리하여 제안서를 작성합니다",
    "기존 시스템을 점검하고 장애가 났을 때 원인을 찾아 고칩니다",
    "매출과 비용 자료를 모아 월간 보고서를 만듭니다",
    "협력사와 일정을 조율하고 납기를 관리합니다",
    "생산 라인의 불량률을 낮추는 개선 활동을 이끕니다",
    "사용자 인터뷰와 데이터로 문제를 찾고 가설을 검증합니다",
    "내부 교육 자료를 만들고 신입 사원을 지도합니다",
    "현장의 안전 수칙을 점검하고 위험 요소를 없앱니다",
    "신제품 출시에 맞춘 홍보 캠페인을 기획하고 집행합니다",
    "해외 거래처와 전자우편과 화상회의로 소통합니다",
    "대용량 트래픽을 안정적으로 처리하는 구조를 고민합니다",
    "코드 리뷰와 테스트로 품질을 지키는 문화를 만들어 갑니다",
    "환자와 보호자에게 치료 계획을 친절하게 설명합니다",
    "재고 수량을 실사하고 출고 오류를 줄이는 방법을 찾습니다",
    "계약서를 검토하고 법적 위험을 사전에 알립니다",
    "브랜드의 시각 언어를 정리하고 가이드를 배포합니다",
    "실험 결과를 기록하고 논문과 특허로 정리합니다",
    "서비스 지표를 대시보드로 만들어 팀과 공유합니다",
    "클라우드 인프라 비용을 분석하고 최적화합니다",
    "학습자의 수준에 맞는 수업을 준비하고 피드백을 줍니다",
    "예산을 편성하고 집행 실적을 점검합니다",
    "프로젝트 일정을 세우고 이해관계자와 진행 상황을 나눕니다",
    "설비 도면을 작성하고 시공 업체를 감독합니다",
    "행사를 기획하고 현장 운영을 총괄합니다",
    "모바일 화면의 사용성을 개선하는 실험을 반복합니다",
    "식재료를 검수하고 주방의 위생 상태를 관리합니다",
    "보안 취약점을 진단하고 조치 결과를 확인합니다",
    "배포 파이프라인을 자동화하고 모니터링 체계를 갖춥니다",
    "경쟁사의 상품과 가격을 조사하여 전략을 세웁니다",
];

const ASKED: &[&str] = &[
    "관련 분야 실무 경험이 있으신 분",
    "원활한 의사소통 능력을 갖추신 분",
    "책임감이 강하고 꼼꼼하신 분",
    "새로운 기술을 배우는 것을 즐기시는 분",
    "문서 작성에 능숙하신 분",
    "해외여행에 결격 사유가 없으신 분",
    "유사 업종 근무 경력이 있으면 더욱 좋습니다",
    "영어로 업무가 가능하신 분을 환영합니다",
    "관련 자격증을 가지신 분",
    "스타트업의 빠른 속도를 즐기시는 분",
    "인근 거주자를 우대합니다",
    "장기 근무가 가능하신 분",
    "컴퓨터 활용 능력이 우수하신 분",
    "팀의 성장을 함께 고민하시는 분",
    "운전면허를 가지고 계신 분",
    "교대 근무가 가능하신 분",
    "포트폴리오를 제출해 주시기 바랍니다",
    "대학교 졸업 이상의 학력을 가지신 분",
];

const BENEFITS: &[&str] = &[
    "사대보험과 퇴직연금을 제공합니다",
    "점심과 간식을 지원합니다",
    "자율 출퇴근제를 운영합니다",
    "건강검진 비용을 지원합니다",
    "도서 구입비와 교육비를 드립니다",
    "명절 선물과 경조사비가 있습니다",
    "성과에 따른 인센티브를 지급합니다",
    "최신 장비를 지급합니다",
    "통근 버스를 운행합니다",
    "재택근무를 병행할 수 있습니다",
    "기숙사를 제공합니다",
    "우리사주 제도가 있습니다",
];

const EXPERIENCE: &[&str] = &[
    "신입",
    "경력무관",
    "경력 1~3년",
    "경력 3~5년",
    "경력 5~10년",
    "경력 3년 이상",
    "신입·경력",
    "",
    "경력 7년 이상",
];

/// Makes listings and users; equal seeds give equal results.
pub struct Generator {
    random: fastrand::Rng,
    newest: DateTime<Utc>,
}

impl Generator {
    /// A generator with a seed.
    pub fn new(seed: u64) -> Self {
        let newest = DateTime::from_timestamp(1_780_000_000, 0).expect("a valid time");
        Self { random: fastrand::Rng::with_seed(seed), newest }
    }

    /// The listing with an id.
    pub fn listing(&mut self, id: i64) -> JobListing {
        let work = &WORKS[self.common_first(WORKS.len())];
        let title = self.title(work);
        let company = format!("{}{}{}", self.legal_form(), self.one(NAMES), self.one(SUFFIXES));
        let has_stack = self.random.u8(..10) < 7;
        let tech_stack = if has_stack { self.some(work.skills, 3..6).join(", ") } else { String::new() };
        JobListing {
            id: ListingId(id),
            title,
            company,
            description: self.description(work),
            experience: self.one(EXPERIENCE).to_owned(),
            tech_stack,
            required_skills: String::new(),
            crawled_at: Some(self.newest - Duration::minutes(self.random.i64(0..180 * 24 * 60))),
        }
    }

    /// A user with ten careers, best first, and five skills.
    pub fn profile(&mut self) -> CareerProfile {
        let first = self.common_first(WORKS.len());
        let mut skills = self.some(WORKS[first].skills, 3..4);
        let mut works = vec![first];
        while works.len() < 10 {
            let next = self.random.usize(..WORKS.len());
            if !works.contains(&next) {
                works.push(next);
            }
        }
        skills.extend(self.some(WORKS[works[1]].skills, 2..3));
        let careers = works.iter().enumerate().map(|(rank, &work)| Career {
            name: WORKS[work].titles[0].to_owned(),
            category: None,
            match_score: MatchScore::from_fraction(0.95 - 0.03 * rank as f64),
        });
        CareerProfile {
            careers: careers.collect(),
            skills: skills.into_iter().map(str::to_owned).collect(),
            strengths: Vec::new(),
            interests: vec!["데이터 분석".to_owned(), "상담".to_owned()],
            experience_years: Some(self.random.u8(..10)),
            summary: String::new(),
        }
    }

    /// The names of all careers of users.
    pub fn careers() -> impl Iterator<Item = &'static str> {
        WORKS.iter().map(|work| work.titles[0])
    }

    fn title(&mut self, work: &Work) -> String {
        let mut title = String::new();
        match self.random.u8(..10) {
            0 | 1 => title = format!("[{}{}] ", self.one(NAMES), self.one(SUFFIXES)),
            2 => title = format!("[{}] ", self.one(SECTORS)),
            3..=5 => title = format!("{} ", self.one(SECTORS)),
            _ => {}
        }
        title += self.one(work.titles);
        title += match self.random.u8(..8) {
            0 => " (경력 3년 이상)",
            1 => " 채용",
            2 => " 신입/경력 모집",
            3 => " - 서울",
            _ => "",
        };
        title
    }

    fn description(&mut self, work: &Work) -> String {
        let mut lines = self.some(DUTIES, 2..4);
        lines.extend(self.some(ASKED, 2..4));
        lines.extend(self.some(BENEFITS, 1..3));
        let named = self.one(work.titles);
        let skills = self.some(work.skills, 1..3).join(", ");
        let sector = self.one(SECTORS);
        format!("{sector} 분야 {named} 업무를 합니다. {skills} 경험\n{}", lines.join("\n"))
    }

    fn legal_form(&mut self) -> &'static str {
        self.one(&["(주)", "㈜", "", "주식회사 "])
    }

    fn one<T: Copy>(&mut self, parts: &[T]) -> T {
        parts[self.random.usize(..parts.len())]
    }

    fn some(&mut self, parts: &[&'static str], count: std::ops::Range<usize>) -> Vec<&'static str> {
        let count = self.random.usize(count).min(parts.len());
        let mut left: Vec<&'static str> = parts.to_vec();
        (0..count).map(|_| left.swap_remove(self.random.usize(..left.len()))).collect()
    }

    /// A position below `count`; the first positions are several times as common as the last.
    fn common_first(&mut self, count: usize) -> usize {
        let spread = self.random.f64();
        ((spread * spread.sqrt()) * count as f64) as usize
    }
}
