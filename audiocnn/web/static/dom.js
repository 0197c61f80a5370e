// Elements without innerHTML: text from recordings, settings and models is never parsed as HTML.

export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.flat(Infinity));
  return element;
}

export function icon(path) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, svg("path", { d: path }));
}

export const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M8 5v14M16 5v14",
  check: "M5 12.5 10 17.5 19.5 7",
  cross: "M6 6l12 12M18 6 6 18",
  tag: "M4 4h8l8 8-8 8-8-8zM8.5 8.5h0",
  undo: "M8 5 4 9l4 4M4 9h9a6 6 0 0 1 0 12h-3",
  loop: "M17 3l3 3-3 3M20 6H8a4 4 0 0 0-4 4v1M7 21l-3-3 3-3M4 18h12a4 4 0 0 0 4-4v-1",
  next: "M9 5l7 7-7 7",
  previous: "M15 5l-7 7 7 7",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  close: "M6 6l12 12M18 6 6 18",
};

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
export const timeText = (when) => clock.format(new Date(when));
// Of the last minutes, where morning and afternoon are not in doubt: without "AM" or "PM".
export const recentText = (when) =>
  clock.formatToParts(new Date(when)).filter((part) => part.type !== "dayPeriod").map((part) => part.value).join("").trim();
export const minuteText = (when) => shortClock.format(new Date(when));
export const dayText = (when) => dayName.format(new Date(when));
export const fullText = (when) => full.format(new Date(when));

// The day of a date in the viewer's zone, as 2026-11-28.
export function isoDay(date) {
  const pad = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function addDays(day, n) {
  const [y, m, d] = day.split("-").map(Number);
  return isoDay(new Date(y, m - 1, d + n));
}

export function dayOf(iso) {
  const [y, m, d] = iso.split("-").map(Number);
  return new Date(y, m - 1, d);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export const labelText = (label) => (label || "").replaceAll("_", " ");
export const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share === 0 ? 0 : 1)} %`;
export const decibels = (value) => (value === null || value === undefined ? "–" : value.toFixed(0).replace("-", "−"));

// A color for each label, the same on every page; the names are known from /api/labels.
const COLORS = [
  "#4cc9f0", "#f9c74f", "#8ee07a", "#ff8fab", "#b79cff", "#ff9f4a",
  "#5eead4", "#f27bd0", "#a9d3ff", "#d5ea6b", "#ff7d72", "#cdb497",
];
let known = [];

export function setLabels(labels) {
  known = labels;
}

export function colorOf(label) {
  let at = known.indexOf(label);
  if (at < 0) at = [...String(label)].reduce((sum, letter) => (31 * sum + letter.codePointAt(0)) >>> 0, 7);
  return COLORS[at % COLORS.length];
}

export function dot(label) {
  const element = h("i.label-dot", { "aria-hidden": "true" });
  element.style.background = colorOf(label);
  return element;
}

export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

export function toast(text, kind = "") {
  const element = h(`div.toast${kind ? `.${kind}` : ""}`, {}, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), 6000);
}

export const isTyping = (event) =>
  event.target instanceof HTMLElement &&
  (event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea") || event.target.isContentEditable);
