// The page: user, views, language, theme, token. The views are in files of their own.

import * as api from "./api.js";
import { byId } from "./dom.js";
import { renderList, showList } from "./list.js";
import * as operation from "./operation.js";
import { renderRace, start } from "./race.js";
import { showLanguage, t, time } from "./texts.js";

const THEME = "job-agent.theme";
const THEMES = ["auto", "light", "dark"];
const USER = "job-agent.user";
const VIEWS = ["list", "race", "operation"];
/** While the user's list is not settled, its state is read so often. */
const INTERVAL = 1000;

let user = sessionStorage.getItem(USER) ?? "1";
let theme = localStorage.getItem(THEME) ?? "auto";
let state = null;
let health = null;
/** What the message says, as a text of the dictionary and its value. */
let message = null;
let timer = null;

async function readState() {
  const asked = user;
  const answer = await api.status(asked);
  if (asked !== user) return;
  const before = state?.state;
  state = answer.ok ? answer.body : null;
  renderState();
  clearTimeout(timer);
  const isOpen = ["pending", "running"].includes(state?.state);
  if (isOpen) timer = setTimeout(readState, INTERVAL);
  else if (["pending", "running"].includes(before)) await showList(user);
}

function renderState() {
  const badge = byId("state");
  const name = state?.state ?? "unknown";
  badge.textContent = t(`state.${name}`);
  badge.className = `badge state-${name}`;
  const times = Object.fromEntries(["verifiedAt", "pendingSince"].map((field) => [field, time(state?.[field])]));
  byId("state-more").textContent = state ? t(`stateMore.${name}`, { ...state, ...times }) : "";
}

function say(name, value, kind = "") {
  message = name ? { name, value, kind } : null;
  renderMessage();
}

function renderMessage() {
  byId("message").textContent = message ? t(message.name, message.value) : "";
  byId("message").className = `message ${message?.kind ?? ""}`;
}

function failed({ status, body }) {
  if (status === 0) say("unreachable", null, "bad");
  else say("failed", { code: body?.code ?? status, detail: body?.detail ?? "" }, "bad");
}

async function choose(chosen) {
  const id = String(chosen).trim();
  byId("user").value = id;
  if (!/^[1-9][0-9]{0,18}$/.test(id)) return say("userBad", null, "bad");
  user = id;
  sessionStorage.setItem(USER, user);
  state = null;
  say(null);
  const [refused] = await Promise.all([showList(user), readState()]);
  if (refused) failed(refused);
}

async function recalculate() {
  const button = byId("recalculate");
  button.disabled = true;
  say("working");
  const begun = performance.now();
  const answer = await api.calculate(user, byId("force").checked);
  const ms = Math.round(performance.now() - begun);
  button.disabled = false;
  if (!answer.ok) failed(answer);
  else if (answer.body.success) say(answer.body.code ?? "computed", { ...answer.body, ms }, "good");
  else if (answer.body.queued) say("already_in_progress", null, "warn");
  else say("failed", answer.body, "warn");
  await Promise.all([showList(user), readState()]);
}

async function readHealth() {
  const answer = await api.ready();
  health = answer.ok ? answer.body : { code: answer.body?.code ?? answer.status };
  renderHealth();
}

function renderHealth() {
  if (!health) return;
  const isReady = health.status === "ready";
  byId("health").textContent =
    isReady ? t("health", { ...health, redis: t(`redis.${health.redis}`) }) : t("unhealthy", health);
  byId("health").className = `pill ${isReady ? (health.redis === "unavailable" ? "warn" : "good") : "bad"}`;
}

function showTheme() {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = t(`theme.${theme}`);
}

function render() {
  byId("language").textContent = t("language");
  byId("language").lang = document.documentElement.lang === "ko" ? "en" : "ko";
  for (const show of [showTheme, renderState, renderMessage, renderHealth, renderList, renderRace]) show();
  operation.renderOperation();
}

function showView(name) {
  const view = VIEWS.includes(name) ? name : VIEWS[0];
  for (const other of VIEWS) {
    const tab = byId(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === view));
    tab.tabIndex = other === view ? 0 : -1;
    byId(`view-${other}`).hidden = other !== view;
  }
  operation.watch(view === "operation");
}

/** Tabs as the ARIA practices describe them: arrows, Home and End move among them. */
function moveAmongTabs(event) {
  const at = VIEWS.findIndex((view) => byId(`tab-${view}`) === document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: VIEWS.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const view = VIEWS[(to + VIEWS.length) % VIEWS.length];
  location.hash = view;
  byId(`tab-${view}`).focus();
}

function useToken(event) {
  event.preventDefault();
  const entered = byId("token").value.trim();
  if (!/^[\x21-\x7e]*$/.test(entered)) return say("tokenBad", null, "bad");
  api.token.set(entered);
  showToken(false);
  choose(user);
  showView(location.hash.slice(1));
}

function showToken(isShown) {
  byId("token-form").hidden = !isShown;
  byId("token-button").setAttribute("aria-expanded", String(isShown));
  byId("token-button").classList.toggle("set", Boolean(api.token.get()));
  byId("token").value = isShown ? api.token.get() : "";
  byId(isShown ? "token" : "token-button").focus();
}

function listen() {
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  const step = (by) => () => choose(BigInt(/^\d+$/.test(byId("user").value) ? byId("user").value : "0") + by);
  on("user-form", "submit", (event) => {
    event.preventDefault();
    choose(byId("user").value);
  });
  on("user-before", "click", step(-1n));
  on("user-after", "click", step(1n));
  on("user", "focus", () =>
    byId("known-users").replaceChildren(...operation.knownUsers().map((id) => new Option("", String(id)))));
  on("recalculate", "click", recalculate);
  on("token-button", "click", () => showToken(byId("token-form").hidden));
  on("token-form", "submit", useToken);
  on("token-forget", "click", (event) => {
    byId("token").value = "";
    useToken(event);
  });
  on("language", "click", () => {
    showLanguage(true);
    render();
  });
  on("theme", "click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem(THEME, theme);
    showTheme();
  });
  for (const view of VIEWS) on(`tab-${view}`, "click", () => (location.hash = view));
  document.querySelector(".tabs").addEventListener("keydown", moveAmongTabs);
  addEventListener("hashchange", () => showView(location.hash.slice(1)));
  for (const button of document.querySelectorAll("button.race")) {
    button.addEventListener("click", async () => {
      await start(user, Number(button.dataset.calls), byId("race-force").checked);
      await Promise.all([showList(user), readState()]);
    });
  }
}

showLanguage();
operation.begin((id) => {
  location.hash = "list";
  choose(id);
});
listen();
render();
byId("token-button").classList.toggle("set", Boolean(api.token.get()));
showView(location.hash.slice(1));
choose(user);
readHealth();
setInterval(() => document.hidden || readHealth(), 10_000);
