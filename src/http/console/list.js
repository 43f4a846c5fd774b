// The stored list: a row per listing, which opens into its breakdown and evidence.

import * as api from "./api.js";
import { byId, el } from "./dom.js";
import { t, time } from "./texts.js";

/** The parts of a score, in the order of their weights. */
const PARTS = ["title", "skills", "experience", "interests", "freshness"];

/** The list that is shown. */
let shown = null;

/** Reads the user's list and shows it; returns the failed answer, if any. */
export async function showList(user) {
  const answer = await api.list(user);
  shown = answer.ok ? answer.body : null;
  renderList();
  return answer.ok ? null : answer;
}

/** Shows the list again, as after a change of the language. Rows that are open stay open. */
export function renderList() {
  const open = new Set([...document.querySelectorAll("#list details[open]")].map((row) => row.dataset.id));
  const rows = shown?.recommendations ?? [];
  byId("legend").replaceChildren(
    ...PARTS.map((part) => el("li", {}, el("i", { class: `key ${part}` }), t(`part.${part}`))),
  );
  byId("list-count").textContent =
    shown?.cached ? t("listCount", { ...shown, calculatedAt: time(shown.calculatedAt) }) : "";
  byId("list").replaceChildren(...rows.map((row, index) => listing(row, index + 1, open)));
  byId("list-empty").hidden = rows.length > 0;
  byId("list-empty").textContent = shown ? t("listNone") : "";
}

function listing(row, rank, open) {
  const about = [row.company, row.location, row.experience, row.siteName].filter(Boolean).join(" · ");
  const details = el(
    "details",
    { class: "job", "data-id": String(row.id) },
    el(
      "summary",
      {},
      el("span", { class: "rank", text: String(rank) }),
      el(
        "span",
        { class: "about" },
        el("span", { class: "title" }, ...marked(row.title, row.matchedWords)),
        el("span", { class: "muted", text: about }),
      ),
      el(
        "span",
        { class: "score" },
        row.tier === "related" ? el("span", { class: "badge quiet", text: t("related") }) : null,
        el("strong", { "aria-label": t("score", row.matchScore), text: row.matchScore.toFixed(1) }),
        bar(row.breakdown),
      ),
    ),
  );
  details.open = open.has(String(row.id));
  // The evidence of a closed row is not made.
  const fill = () => details.open && details.childElementCount === 1 && details.append(evidence(row));
  details.addEventListener("toggle", fill);
  fill();
  return el("li", {}, details);
}

/** The title with the words that matched. */
function marked(title, words) {
  const found = (words ?? []).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (found.length === 0) return [title];
  const parts = title.split(new RegExp(`(${found.join("|")})`, "gi"));
  return parts.map((part, index) => (index % 2 ? el("mark", { text: part }) : part));
}

/** The score as a bar of its parts, of which 100 points fill it. */
function bar(breakdown) {
  const parts = PARTS.map((part) => el("i", { class: part, width: breakdown?.[part] ?? 0 }));
  return el("span", { class: "bar", "aria-hidden": "true" }, ...parts);
}

function evidence(row) {
  const parts = PARTS.filter((part) => typeof row.breakdown?.[part] === "number").map((part) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("i", { class: `key ${part}` }), t(`part.${part}`)),
      el("td", { class: "number", text: row.breakdown[part].toFixed(2) }),
      el("td", {}, el("span", { class: "bar", "aria-hidden": "true" }, el("i", { class: part, width: row.breakdown[part] }))),
    ),
  );
  const facts = [
    [t("career"), [row.matchedCareer, row.careerCategory]],
    [t("words"), row.matchedWords],
    [t("skills"), row.matchedSkills],
    [t("interests"), row.matchedInterests],
  ].map(([name, values]) => [el("dt", { text: name }), el("dd", {}, ...chips(values))]);
  return el(
    "div",
    { class: "evidence" },
    el("p", { class: "reason", text: row.matchReason }),
    el("div", { class: "columns" },
      el("table", { class: "breakdown", "aria-label": t("breakdown") }, el("tbody", {}, ...parts)),
      el("dl", {}, ...facts.flat())),
    el("p", { class: "muted clip", text: row.description }),
    link(row.url),
  );
}

function chips(values) {
  const texts = (values ?? []).filter(Boolean);
  if (texts.length === 0) return [el("span", { class: "muted", text: t("none") })];
  return texts.map((text) => el("span", { class: "chip", text }));
}

/** A link to the posting, if its address leads to a page: crawled text may hold any scheme. */
function link(address) {
  if (!/^https?:\/\//i.test(address ?? "")) return null;
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer", text: t("open") });
}
