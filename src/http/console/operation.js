// What an operator watches: counters, the batch, the last runs, parked users. Read every two seconds while it is shown.

import * as api from "./api.js";
import { badge, byId, el, millis, tile } from "./dom.js";
import { t, time } from "./texts.js";

const INTERVAL = 2000;
const PHASES = ["lockWait", "listings", "read", "rank", "write", "release"];
const OUTCOMES = { computed: "good", up_to_date: "quiet", queued: "warn", no_profile_analysis: "quiet", no_job_recommendations: "quiet" };

let seen = {};
let timer = null;
let pick = () => {};

/** `onPick` is told which user was chosen from a table. */
export function begin(onPick) {
  pick = onPick;
  byId("batch-start").addEventListener("click", async () => {
    await api.startBatch();
    await read();
  });
  document.addEventListener("visibilitychange", () => timer && !document.hidden && read());
}

/** Begins or ends reading. */
export function watch(isShown) {
  clearInterval(timer);
  timer = isShown ? setInterval(() => document.hidden || read(), INTERVAL) : null;
  if (isShown) read();
}

/** The users that were seen, for the field of the user. */
export const knownUsers = () =>
  [...new Set([...(seen.parked ?? []), ...(seen.runs ?? [])].map((one) => one.userId))].sort((a, b) => a - b);

async function read() {
  const [metrics, scheduler, runs, parked] = await Promise.all([
    api.metrics(), api.scheduler(), api.runs(), api.parked(),
  ]);
  const refused = [runs, parked].find((answer) => [401, 403].includes(answer.status));
  seen = {
    refused: Boolean(refused),
    metrics: metrics.ok ? parse(metrics.text) : null,
    scheduler: scheduler.ok ? scheduler.body : null,
    instance: runs.body?.instance,
    runs: runs.ok ? runs.body.runs : null,
    parked: parked.ok ? parked.body.users : null,
  };
  renderOperation();
}

/** The samples of the text format of Prometheus, by name with labels. */
function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const sample = /^job_agent_(\S+) (\S+)$/.exec(line);
    if (sample) samples.set(sample[1], Number(sample[2]));
  }
  return samples;
}

/** Shows what was read last, as after a change of the language. */
export function renderOperation() {
  byId("operation-refused").hidden = !seen.refused;
  byId("operation-refused").textContent = t("refused");
  byId("operation").hidden = Boolean(seen.refused);
  byId("instance").textContent = seen.instance ? t("instance", seen.instance) : "";
  byId("counters").replaceChildren(...counters());
  batch();
  parkedUsers();
  lastRuns();
}

function counters() {
  const { metrics, scheduler } = seen;
  const tiles = [];
  const add = (name, value, kind) => tiles.push(tile(t(`counter.${name}`), value, kind));
  if (metrics) {
    const count = (series) => metrics.get(series) ?? 0;
    const runs = (outcome) => count(`run_duration_seconds_count{outcome="${outcome}"}`);
    const all = [...metrics].filter(([name]) => name.startsWith("run_duration_seconds_count"));
    const total = all.reduce((sum, [, value]) => sum + value, 0);
    const known = Object.keys(OUTCOMES).reduce((sum, outcome) => sum + runs(outcome), 0);
    const waits = count('lock_wait_seconds_count{outcome="acquired"}');
    const waited = count('lock_wait_seconds_sum{outcome="acquired"}');
    const rows = (change) => count(`rows_total{change="${change}"}`);
    add("computed", runs("computed"), "good");
    add("upToDate", runs("up_to_date"));
    add("left", runs("queued"), runs("queued") ? "warn" : "");
    add("failed", total - known, total > known ? "bad" : "");
    add("waits", waits);
    add("meanWait", `${millis(waits ? (1000 * waited) / waits : 0)} ms`);
    add("gaveUp", count('lock_wait_seconds_count{outcome="gave_up"}'));
    add("rows", rows("inserted") + rows("updated") + rows("deleted"));
    add("untouched", rows("unchanged"));
    const used = count('database_connections{state="in_use"}');
    add("connections", `${used}/${count("database_connections_max")}`);
  }
  if (scheduler) {
    const { queue } = scheduler;
    add("realTime", queue.dueInRealTime, queue.dueInRealTime ? "info" : "");
    add("batch", queue.dueInBatch, queue.dueInBatch ? "info" : "");
    add("running", queue.running, queue.running ? "info" : "");
    add("parked", queue.parked, queue.parked ? "bad" : "");
  }
  return tiles;
}

function batch() {
  const { scheduler } = seen;
  const last = scheduler?.batch;
  const settled = last ? last.done + last.skipped + last.parked : 0;
  const share = last ? (last.total ? (100 * settled) / last.total : last.running ? 0 : 100) : 0;
  byId("batch-progress").value = share;
  byId("batch-start").disabled = !scheduler;
  const next = scheduler?.nextRun ? t("batchNext", { nextRun: time(scheduler.nextRun) }) : null;
  byId("batch-text").textContent =
    [last ? t("batchText", last) : scheduler ? t("batchNone") : null, next].filter(Boolean).join(" · ");
}

function parkedUsers() {
  const users = seen.parked ?? [];
  byId("parked-empty").hidden = users.length > 0;
  byId("parked").replaceChildren(
    ...users.map((user) => {
      const retry = async () => {
        await api.retry(user.userId);
        await read();
      };
      const text = t("parkedText", { ...user, parkedAt: time(user.parkedAt) });
      return el("li", { class: "line" }, person(user.userId), el("span", { class: "muted grow", text }),
        el("button", { type: "button", on: retry, text: t("retry"), "aria-label": `${t("retry")} ${user.userId}` }));
    }),
  );
}

function lastRuns() {
  const runs = seen.runs ?? [];
  byId("phase-legend").replaceChildren(
    ...PHASES.map((phase) => el("li", {}, el("i", { class: `key ${phase}` }), t(`phase.${phase}`))),
  );
  byId("runs-empty").hidden = runs.length > 0;
  byId("runs-scroll").hidden = runs.length === 0;
  const longest = Math.max(1, ...runs.map((run) => run.tookMs));
  byId("runs").replaceChildren(...runs.map((run) => runRow(run, longest)));
}

function runRow(run, longest) {
  const seconds = Math.round(run.endedAgoMs / 1000);
  const ago = seconds < 120 ? t("secondsAgo", seconds) : t("minutesAgo", Math.round(seconds / 60));
  const spent = PHASES.map((phase) => `${t(`phase.${phase}`)} ${millis(run.phases[phase])} ms`).join(", ");
  const parts = PHASES.map((phase) => el("i", { class: phase, width: (100 * run.phases[phase]) / longest }));
  return el(
    "tr",
    {},
    el("td", { text: ago }),
    el("td", {}, person(run.userId)),
    el("td", { class: "code minor", text: run.runId.slice(0, 8), title: run.runId }),
    el("td", { class: "minor", text: t(`beganBy.${run.began}`) + (run.force ? ` · ${t("forced")}` : "") }),
    el("td", {}, badge(t(`outcome.${run.outcome}`), OUTCOMES[run.outcome] ?? "bad")),
    el("td", { class: "number", text: millis(run.tookMs) }),
    el("td", { class: "wide" },
      el("span", { class: "bar", role: "img", "aria-label": spent, title: spent }, ...parts)),
  );
}

/** A user, to be chosen. */
function person(user) {
  return el("button", { type: "button", class: "link", on: () => pick(user), text: String(user), "aria-label": `${t("userId")} ${user}` });
}
