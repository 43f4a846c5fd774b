// All texts of the page, in Korean and in English.

const LANGUAGE = "job-agent.language";

const TEXTS = {
  ko: {
    skip: "본문으로 건너뛰기", console: "콘솔", docs: "API 문서", views: "화면", legend: "범례",
    token: "토큰", tokenLabel: "API 토큰 또는 로그인 토큰(JWT)", tokenUse: "사용", tokenForget: "지우기",
    tokenHint: "이 탭에만 보관되고, 탭을 닫으면 사라집니다. 운영 화면에는 API 토큰이나 ADMIN 권한이 필요합니다.",
    tokenBad: "토큰은 공백 없는 ASCII 문자여야 합니다.",
    theme: { auto: "테마: 자동", light: "테마: 밝게", dark: "테마: 어둡게" },
    user: "사용자", userId: "사용자", userBefore: "이전 사용자", userAfter: "다음 사용자", show: "조회",
    userBad: "사용자 번호는 1 이상의 정수입니다.",
    recalculate: "다시 계산", force: "그대로여도 저장",
    viewList: "추천 목록", viewRace: "동시 요청", viewOperation: "운영",
    state: {
      current: "최신", outdated: "변경됨", pending: "대기 중", running: "계산 중", parked: "보류됨", unknown: "기록 없음",
    },
    stateMore: {
      current: (s) => `${s.savedCount}건 · ${s.verifiedAt} 확인`,
      outdated: () => "저장된 행이 마지막 계산 결과와 다릅니다.",
      pending: (s) => `요청 ${s.pendingSince}${s.attempts ? ` · 시도 ${s.attempts}회` : ""}`,
      running: (s) => `시도 ${s.attempts}회`,
      parked: (s) => `시도 ${s.attempts}회 실패 · ${s.lastError}`,
      unknown: () => "계산도 요청도 기록되지 않았습니다.",
    },
    outcome: {
      computed: "계산됨", up_to_date: "이미 최신", already_in_progress: "진행 중", queued: "대기열",
      no_profile_analysis: "분석 없음", no_job_recommendations: "직업 없음", unavailable: "이용 불가",
      calculation_timed_out: "시간 초과", overloaded: "과부하", internal_error: "내부 오류", unreachable: "연결 안 됨",
      token_required: "토큰 필요", invalid_token: "잘못된 토큰", forbidden: "권한 없음", rate_limited: "요청 과다",
    },
    working: "계산하는 중…",
    computed: (a) => `계산했습니다: ${a.savedCount}건 저장 (${a.ms} ms)`,
    up_to_date: (a) => `이미 최신입니다: ${a.savedCount}건, 쓴 것 없음 (${a.ms} ms)`,
    already_in_progress: () => "다른 계산이 진행 중입니다. 요청은 기록되어 곧 처리됩니다.",
    failed: (a) => `${a.detail} (${a.code})`, unreachable: "서비스에 연결할 수 없습니다.",
    health: (h) => `정상 · 공고 ${h.listings}건 · Redis ${h.redis}`, unhealthy: (h) => `준비되지 않음 (${h.code})`,
    redis: { available: "연결됨", unavailable: "끊김", "not configured": "없음" },
    listTitle: "저장된 추천", listCount: (l) => `${l.totalCount}건${l.calculatedAt ? ` · ${l.calculatedAt} 계산` : ""}`,
    listNone: "저장된 추천이 없습니다. ‘다시 계산’을 누르면 계산합니다.",
    part: { title: "제목", skills: "기술", experience: "경력", interests: "관심사", freshness: "최신성" },
    related: "관련", score: (s) => `${s}점`, career: "추천 직업", words: "일치한 말", skills: "일치한 기술",
    interests: "일치한 관심사", open: "공고 보기", none: "없음", reason: "추천 이유", breakdown: "점수 구성",
    raceTitle: "같은 사용자에게 동시에 요청하기",
    raceLead: "선택한 사용자의 계산을 여러 번 한꺼번에 요청합니다. 한 요청만 계산하고, 나머지는 합류하거나 건너뜁니다.",
    raceCalls: "번 동시에 요청", raceForce: "첫 요청은 반드시 저장", raceCall: "요청", racePart: "역할",
    raceAnswer: "응답", raceTime: "시간", run: "실행", raceRunning: (r) => `${r.done}/${r.calls} 응답…`,
    raceGood: (r) => `목록은 하나입니다. 요청 ${r.calls}번, 실행 ${r.runs}번. 모두가 같은 ${r.rows}건을 읽었습니다 (지문 ${r.print}).`,
    raceBad: (r) => `서로 다른 목록 ${r.lists}개를 읽었습니다. 그사이 사용자의 분석이 바뀌었을 수 있습니다.`,
    raceFailed: (r) => `요청 ${r.failed}번이 실패했습니다.`,
    raceHint: "브라우저는 한 서버에 한 번에 여섯 요청만 보냅니다. 옅은 막대는 브라우저 안에서 기다린 시간, 짙은 막대는 서비스가 답하는 데 걸린 시간입니다.",
    partIn: { computed: "계산", joined: "합류", skipped: "건너뜀", queued: "대기열", failed: "실패", nothing: "대상 없음" },
    countersTitle: "실시간 수치", instance: (i) => `인스턴스 ${i} · 2초마다`,
    counter: {
      computed: "계산됨", upToDate: "이미 최신", left: "대기열로", failed: "실패", waits: "잠금 획득", gaveUp: "잠금 포기",
      meanWait: "평균 잠금 대기", realTime: "실시간 대기", batch: "배치 대기", running: "작업 중", parked: "보류",
      rows: "쓴 행", untouched: "그대로 둔 행", connections: "DB 연결",
    },
    batchTitle: "배치", batchStart: "지금 시작", batchNone: "아직 배치가 없습니다.",
    batchText: (b) => `#${b.id} ${b.running ? "진행 중" : "완료"} · 대상 ${b.total} · 계산 ${b.done} · 최신 ${b.skipped} · 대기 ${b.due} · 보류 ${b.parked}`,
    batchNext: (b) => `다음 배치 ${b.nextRun}`,
    parkedTitle: "보류된 사용자", parkedNone: "없습니다.", retry: "다시 시도",
    parkedText: (p) => `${p.parkedAt} · 시도 ${p.attempts}회 · ${p.lastError ?? ""}`,
    runsTitle: "최근 실행", runsNone: "이 인스턴스는 아직 실행한 것이 없습니다.", ago: "종료", began: "요청자", result: "결과",
    phases: "단계별 시간", secondsAgo: (s) => `${s}초 전`, minutesAgo: (m) => `${m}분 전`,
    beganBy: { request: "요청", worker: "작업자" }, forced: "강제",
    phase: {
      lockWait: "잠금 대기", listings: "공고 갱신", read: "읽기", rank: "순위", write: "쓰기", release: "해제",
    },
    refused: "운영 화면에는 API 토큰이나 ADMIN 권한의 토큰이 필요합니다. 위의 ‘토큰’에서 입력하세요.",
    language: "English",
  },
  en: {
    skip: "Skip to the content", console: "console", docs: "API documentation", views: "Views", legend: "Legend",
    token: "Token", tokenLabel: "API token or a user's token (JWT)", tokenUse: "Use", tokenForget: "Forget",
    tokenHint: "Kept for this tab only, and gone with it. Operation needs an API token or the role ADMIN.",
    tokenBad: "A token has visible ASCII characters only.",
    theme: { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" },
    user: "User", userId: "User", userBefore: "Previous user", userAfter: "Next user", show: "Show",
    userBad: "A user's id is an integer from 1 on.",
    recalculate: "Recalculate", force: "Write anyway",
    viewList: "List", viewRace: "Race", viewOperation: "Operation",
    state: {
      current: "Current", outdated: "Outdated", pending: "Pending", running: "Running", parked: "Parked", unknown: "Unknown",
    },
    stateMore: {
      current: (s) => `${s.savedCount} rows · checked ${s.verifiedAt}`,
      outdated: () => "The stored rows are not those of the last run.",
      pending: (s) => `asked for ${s.pendingSince}${s.attempts ? ` · ${s.attempts} attempts` : ""}`,
      running: (s) => `attempt ${s.attempts}`,
      parked: (s) => `${s.attempts} attempts failed · ${s.lastError}`,
      unknown: () => "No run and no trigger is recorded.",
    },
    outcome: {
      computed: "computed", up_to_date: "up to date", already_in_progress: "in progress", queued: "queued",
      no_profile_analysis: "no analysis", no_job_recommendations: "no careers", unavailable: "unavailable",
      calculation_timed_out: "timed out", overloaded: "overloaded", internal_error: "internal error",
      unreachable: "unreachable", token_required: "token required", invalid_token: "invalid token",
      forbidden: "forbidden", rate_limited: "too many requests",
    },
    working: "Calculating…",
    computed: (a) => `Computed: ${a.savedCount} rows stored (${a.ms} ms)`,
    up_to_date: (a) => `Up to date: ${a.savedCount} rows, nothing written (${a.ms} ms)`,
    already_in_progress: () => "Another run is in progress. The trigger is recorded and will be served.",
    failed: (a) => `Not calculated: ${a.code}`, unreachable: "The service cannot be reached.",
    health: (h) => `Ready · ${h.listings} listings · Redis ${h.redis}`, unhealthy: (h) => `Not ready (${h.code})`,
    redis: { available: "available", unavailable: "unavailable", "not configured": "not configured" },
    listTitle: "Stored list",
    listCount: (l) => `${l.totalCount} rows${l.calculatedAt ? ` · calculated ${l.calculatedAt}` : ""}`,
    listNone: "No list is stored. Recalculate makes one.",
    part: { title: "Title", skills: "Skills", experience: "Experience", interests: "Interests", freshness: "Freshness" },
    related: "related", score: (s) => `${s} points`, career: "Career", words: "Matched words", skills: "Matched skills",
    interests: "Matched interests", open: "Open the posting", none: "none", reason: "Reason", breakdown: "Breakdown",
    raceTitle: "Many triggers for one user at once",
    raceLead: "Sends many triggers for the chosen user at the same time. One of them computes; the others join or skip.",
    raceCalls: "triggers at once", raceForce: "The first must write", raceCall: "Call", racePart: "Part",
    raceAnswer: "Answer", raceTime: "Time", run: "Run", raceRunning: (r) => `${r.done} of ${r.calls} answered…`,
    raceGood: (r) => `One consistent list. ${r.calls} calls, ${r.runs} runs. All have read the same ${r.rows} rows (fingerprint ${r.print}).`,
    raceBad: (r) => `${r.lists} different lists were read. The user's analysis may have changed meanwhile.`,
    raceFailed: (r) => `${r.failed} calls failed.`,
    raceHint: "A browser sends a server six requests at a time. Light bars are the wait inside the browser, dark ones the time until the service had answered.",
    partIn: { computed: "computed", joined: "joined", skipped: "skipped", queued: "queued", failed: "failed", nothing: "nothing to do" },
    countersTitle: "Live counters", instance: (i) => `instance ${i} · every 2 s`,
    counter: {
      computed: "computed", upToDate: "up to date", left: "left to queue", failed: "failed",
      waits: "locks acquired", gaveUp: "locks given up", meanWait: "mean lock wait", realTime: "due in real time",
      batch: "due in batch", running: "running", parked: "parked", rows: "rows written", untouched: "rows untouched",
      connections: "DB connections",
    },
    batchTitle: "Batch", batchStart: "Start now", batchNone: "There was no batch yet.",
    batchText: (b) => `#${b.id} ${b.running ? "running" : "finished"} · ${b.total} users · ${b.done} computed · ${b.skipped} current · ${b.due} due · ${b.parked} parked`,
    batchNext: (b) => `next batch ${b.nextRun}`,
    parkedTitle: "Parked users", parkedNone: "None.", retry: "Retry",
    parkedText: (p) => `${p.parkedAt} · ${p.attempts} attempts · ${p.lastError ?? ""}`,
    runsTitle: "Last runs", runsNone: "This instance has done no run yet.", ago: "Ended", began: "Began by", result: "Result",
    phases: "Time per phase", secondsAgo: (s) => `${s} s ago`, minutesAgo: (m) => `${m} min ago`,
    beganBy: { request: "request", worker: "worker" }, forced: "forced",
    phase: {
      lockWait: "lock wait", listings: "listings", read: "read", rank: "rank", write: "write",
      release: "release",
    },
    refused: "Operation needs an API token or a token with the role ADMIN. Enter it under “Token” above.",
    language: "한국어",
  },
};

let language = localStorage.getItem(LANGUAGE) ?? (navigator.language.startsWith("ko") ? "ko" : "en");

/** The text with this name; `value` is given to texts that tell about something. */
export function t(name, value) {
  const text = name.split(".").reduce((texts, part) => texts?.[part], TEXTS[language]);
  return typeof text === "function" ? text(value) : text ?? name.split(".").pop();
}

/** Changes to the other language, or shows the present one. */
export function showLanguage(other = false) {
  if (other) {
    language = language === "ko" ? "en" : "ko";
    localStorage.setItem(LANGUAGE, language);
  }
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
  }
}

/** A time of the API as its reader says it. */
export function time(text) {
  if (!text) return "";
  const options = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(language, options).format(new Date(text));
}
