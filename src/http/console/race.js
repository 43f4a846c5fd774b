// Many triggers for one user at the same time, and what became of each.

import * as api from "./api.js";
import { badge, byId, el, millis, tile } from "./dom.js";
import { t } from "./texts.js";

/** A call's part, and the colour that shows it. */
const KINDS = { computed: "good", joined: "info", skipped: "quiet", queued: "warn", failed: "bad", nothing: "quiet" };

/** The race that is shown. */
let race = null;

/** Starts a race. Each call reads the list when it is answered, so that the lists can be compared. */
export async function start(user, calls, force) {
  const name = Math.random().toString(36).slice(2, 10);
  performance.clearResourceTimings();
  performance.setResourceTimingBufferSize(1000);
  race = { calls: [], total: calls, begun: performance.now() };
  const own = race;
  renderRace();
  await Promise.all(
    Array.from({ length: calls }, async (_, index) => {
      const mark = `&race=${name}&call=${index + 1}`;
      const answer = await api.calculate(user, force && index === 0, mark);
      const call = { number: index + 1, ...timing(mark, own.begun), ...part(answer), run: answer.headers.get("x-run-id") };
      own.calls.push(call);
      renderRace();
      const list = await api.list(user);
      call.print = list.ok ? fingerprint(list.body.recommendations) : null;
      call.rows = list.body.totalCount;
    }),
  );
  own.done = true;
  renderRace();
}

/** When the request left the browser and when it was answered, in milliseconds from the start of the race. */
function timing(mark, begun) {
  const entry = performance.getEntriesByType("resource").find((entry) => entry.name.endsWith(mark));
  const end = (entry?.responseEnd || performance.now()) - begun;
  return { sent: Math.max(0, (entry?.requestStart || begun) - begun), end };
}

function part({ ok, body, headers }) {
  if (!ok) return { kind: "failed", answer: body?.code ?? "internal_error" };
  const answer = body.code ?? "computed";
  if (body.queued) return { kind: "queued", answer };
  if (headers.get("x-run-role") === "joined") return { kind: "joined", answer };
  if (!body.success) return { kind: "nothing", answer };
  return { kind: body.skipped ? "skipped" : "computed", answer };
}

/** FNV-1a over what the rows say. */
function fingerprint(rows) {
  const text = JSON.stringify(rows.map((row) => [row.id, row.matchScore, row.matchReason]));
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Shows the race again, as after a change of the language. */
export function renderRace() {
  for (const button of document.querySelectorAll("button.race")) button.disabled = Boolean(race && !race.done);
  if (!race) return;
  const calls = race.calls.toSorted((one, other) => one.number - other.number);
  const count = (kind) => calls.filter((call) => call.kind === kind).length;
  const kinds = Object.keys(KINDS).filter((kind) => count(kind) > 0 || ["computed", "joined", "skipped"].includes(kind));
  byId("race-tiles").replaceChildren(...kinds.map((kind) => tile(t(`partIn.${kind}`), count(kind), KINDS[kind])));
  const longest = Math.max(1, ...calls.map((call) => call.end));
  byId("race-rows").replaceChildren(...calls.map((call) => row(call, longest)));
  byId("race-result").hidden = calls.length === 0;
  verdict(calls);
}

function row(call, longest) {
  const share = (value) => (100 * value) / longest;
  return el(
    "tr",
    {},
    el("th", { scope: "row", text: String(call.number) }),
    el("td", {}, badge(t(`partIn.${call.kind}`), KINDS[call.kind])),
    el("td", { text: t(`outcome.${call.answer}`) }),
    el("td", { class: "code minor", text: call.run?.slice(0, 8) ?? "–" }),
    el("td", { class: "number", text: millis(call.end - call.sent) }),
    el("td", { class: "wide" },
      el("span", { class: "bar flat", "aria-hidden": "true" },
        el("i", { class: "waited", width: share(call.sent) }),
        el("i", { class: `served ${KINDS[call.kind]}`, width: Math.max(0.5, share(call.end - call.sent)) }))),
  );
}

function verdict(calls) {
  const verdict = byId("race-verdict");
  const failed = calls.filter((call) => call.kind === "failed").length;
  const prints = new Set(calls.map((call) => call.print).filter(Boolean));
  const runs = new Set(calls.map((call) => call.run).filter(Boolean)).size;
  let text = t("raceRunning", { done: calls.length, calls: race.total });
  let kind = "";
  if (race.done && failed > 0) {
    [text, kind] = [t("raceFailed", { failed }), "bad"];
  } else if (race.done && prints.size > 1) {
    [text, kind] = [t("raceBad", { lists: prints.size }), "bad"];
  } else if (race.done) {
    const print = [...prints][0] ?? "–";
    [text, kind] = [t("raceGood", { calls: race.total, runs, rows: calls[0]?.rows ?? 0, print }), "good"];
  }
  verdict.textContent = text;
  verdict.className = `verdict ${kind}`;
}
