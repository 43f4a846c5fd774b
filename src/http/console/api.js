// Calls to the service that has served this page, with the token that its reader has entered.

const TOKEN = "job-agent.token";
const RECOMMENDATIONS = "api/job-agent/recommendations";

/** The token: for this tab only, and gone with it. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (value) => (value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN)),
};

/** The answer to a call; `status` 0: the service could not be reached. Never throws. */
export async function call(method, path) {
  const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  try {
    const response = await fetch(path, { method, headers, cache: "no-store", credentials: "omit" });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    const body = isJson ? JSON.parse(text) : {};
    return { ok: response.ok, status: response.status, headers: response.headers, body, text };
  } catch {
    return { ok: false, status: 0, headers: new Headers(), body: { code: "unreachable" }, text: "" };
  }
}

export const list = (user) => call("GET", `${RECOMMENDATIONS}/fast/${user}?limit=100`);
export const status = (user) => call("GET", `${RECOMMENDATIONS}/status/${user}`);
/** `more` is added to the query: the service ignores names that it does not know. */
export const calculate = (user, force, more = "") =>
  call("POST", `${RECOMMENDATIONS}/calculate/${user}?force=${force}${more}`);
export const ready = () => call("GET", "health/ready");
export const metrics = () => call("GET", "metrics");
export const scheduler = () => call("GET", "api/scheduler/status");
export const startBatch = () => call("POST", "api/scheduler/trigger");
export const runs = () => call("GET", "api/job-agent/operator/runs");
export const parked = () => call("GET", "api/job-agent/operator/parked?limit=100");
export const retry = (user) => call("POST", `api/job-agent/operator/retry/${user}`);
