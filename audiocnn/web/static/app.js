// The page: which view is shown, who is signed in, the stream of messages, light and dark.

import { Live, Problem, report, request } from "./api.js";
import { announce, h, labelText, setLabels, toast } from "./dom.js";
import * as now from "./now.js";
import * as events from "./events.js";
import * as days from "./days.js";
import * as levels from "./levels.js";
import * as health from "./health.js";

const views = { now, events, days, levels, health };
const KEPT = "onset,event,gap,session,verdict";
const main = document.getElementById("main");
export const state = { info: null, labels: [], sources: [] };
let cleanup = () => {};

const connection = document.getElementById("connection");
export const live = new Live((status) => {
  connection.dataset.state = status;
  connection.lastElementChild.textContent = status === "live" ? "live" : "reconnecting";
});

function route() {
  const [name, text] = location.hash.slice(1).split("?");
  return { name: views[name] ? name : "now", parameters: new URLSearchParams(text || "") };
}

async function show() {
  cleanup();
  cleanup = () => {};
  const { name, parameters } = route();
  for (const link of document.querySelectorAll(".rail a")) {
    const here = link.getAttribute("href") === `#${name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · ${state.info.name}`;
  live.open(name === "now" ? `${KEPT},spectrum` : KEPT);
  main.replaceChildren();
  main.className = `view-${name}`;
  try {
    cleanup = (await views[name].show(main, { state, live, parameters })) || (() => {});
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return signIn();
    main.append(h("p.empty", {}, error.message));
  }
}

function signIn(message = "") {
  const field = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const problem = h("p.bad-text", { role: "alert" }, message);
  const form = h("form.card.sign-in", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await request("api/login", { method: "POST", body: { token: field.value.trim() } });
        start();
      } catch (error) {
        problem.textContent = error.status === 429 ? "Too many attempts. Wait a minute." : `${error.message}.`;
        field.select();
      }
    },
  },
  h("h1", {}, "Sign in"),
  h("p.muted", {}, "The token is in the variable that the settings name; a server on this machine prints a link with it."),
  h("label", { for: "token" }, "Token"), field, problem,
  h("button.button", { type: "submit" }, "Sign in"));
  main.replaceChildren(form);
  field.focus();
}

// A link that the server printed has the token behind the #, which is never sent anywhere.
async function useToken() {
  const match = location.hash.match(/^#token=(.+)$/);
  if (!match) return;
  history.replaceState(null, "", "#now");
  try {
    await request("api/login", { method: "POST", body: { token: decodeURIComponent(match[1]) } });
  } catch (error) {
    toast(`The link's token was not accepted: ${error.message}.`, "bad");
  }
}

function themeButton() {
  const stored = localStorage.getItem("theme");
  if (stored) document.documentElement.dataset.theme = stored;
  document.getElementById("theme").onclick = () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  };
}

async function start() {
  state.info = await request("api");
  document.getElementById("station").textContent = state.info.name;
  const sign = document.getElementById("sign");
  sign.hidden = state.info.rights.write;
  sign.onclick = () => signIn();
  if (!state.info.rights.read) return signIn();
  const [labels, sources] = await Promise.all([request("api/labels"), request("api/sources")]);
  state.labels = labels.labels;
  state.sources = sources.sources;
  setLabels(state.labels);
  await show();
}

// A browser has six connections to a server for all of its tabs: a hidden one
// lets go of its own after a while, and goes on where it was when it is looked at again.
let resting = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(resting);
  if (document.hidden) resting = setTimeout(() => live.close(), 30000);
  else if (live.types && !live.source) live.connect();
});

themeButton();
await useToken();
addEventListener("hashchange", () => (state.info && state.info.rights.read ? show() : start()));
live.on("onset", (event) => announce(`${labelText(event.label)} on ${event.source}`));
start().catch(report);
