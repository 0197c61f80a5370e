// Review: one event after the other, or groups of events that sound alike.

import { address, query, report, request } from "./api.js";
import { announce, dayText, dot, duration, h, icon, ICONS, isTyping, labelText, setLabels, timeText } from "./dom.js";
import { Player } from "./player.js";
import { VerdictBar, verdictChip, verdictText } from "./verdict.js";

// Seconds of a recording as 0:17, 1:02:03.
function clockText(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const pad = (n) => String(n).padStart(2, "0");
  const rest = pad(Math.floor(seconds % 60));
  return hours ? `${hours}:${pad(minutes)}:${rest}` : `${minutes}:${rest}`;
}

const ORDERS = { doubt: "most doubtful first", variety: "most varied first", class: "by class", score: "best first", time: "by time" };
const main = document.getElementById("main");

const review = {
  items: new Map(), // by number
  order: [],
  progress: {},
  labels: [],
  canWrite: false,
};

const storedTheme = localStorage.getItem("theme");
if (storedTheme) document.documentElement.dataset.theme = storedTheme;
document.getElementById("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
};

function take(found) {
  for (const item of found.changed || found.items || []) review.items.set(item.n, item);
  const { total, judged, right, wrong, other, compared, has_groups, can_undo } = found;
  review.progress = { total, judged, right, wrong, other, compared, has_groups, can_undo };
}

async function load(order) {
  const found = await request(`api/review/items${query({ order })}`);
  take(found);
  review.order = found.items.map((item) => item.n);
}

async function loadLike(n) {
  const found = await request(`api/review/items${query({ like: n })}`);
  take(found);
  review.order = found.items.map((item) => item.n);
}

async function judge(numbers, verdict, label = "") {
  const found = await request("api/review/verdicts", { method: "POST", body: { items: numbers, verdict, label } });
  take(found);
  if (label && !review.labels.includes(label)) review.labels = [...review.labels, label].sort();
  return found.changed;
}

async function undo() {
  const found = await request("api/review/undo", { method: "POST", body: {} });
  take(found);
  return found.changed;
}

class ProgressBar {
  constructor() {
    this.bar = h("div.progress-track", { role: "progressbar", "aria-label": "Judged", "aria-valuemin": "0" }, h("i.right"), h("i.wrong"), h("i.other"));
    this.text = h("span.number");
    this.element = h("div.progress", {}, this.bar, this.text);
  }

  show() {
    const { total, judged, right, wrong, other } = review.progress;
    [right, wrong, other].forEach((n, at) => (this.bar.children[at].style.width = `${(100 * n) / Math.max(1, total)}%`));
    this.bar.setAttribute("aria-valuemax", total);
    this.bar.setAttribute("aria-valuenow", judged);
    this.text.textContent = `${judged} of ${total} judged`;
    this.bar.title = `${right} right, ${wrong} wrong, ${other} another label`;
  }
}

// One event after the other.
class OneByOne {
  constructor() {
    this.player = new Player({ autoplay: true });
    this.bar = new VerdictBar(() => review.labels, (verdict, label) => this.judge(verdict, label), {
      canWrite: review.canWrite, undo: () => this.undo(),
    });
    this.progress = new ProgressBar();
    this.title = h("div.detail-title");
    this.list = h("ol.queue", { "aria-label": "Events in order" });
    this.order = h("select", { "aria-label": "Order", onchange: () => this.reorder() }, Object.entries(ORDERS).map(([value, text]) => h("option", { value }, text)));
    this.only = h("select", { "aria-label": "Class", onchange: () => this.fill() }, h("option", { value: "" }, "all classes"),
      [...new Set([...review.items.values()].map((item) => item.label))].sort().map((label) => h("option", { value: label }, labelText(label))));
    this.card = h("section.card.review-card", { "aria-label": "Event" }, this.title, this.player.element, this.bar.element,
      h("div.review-actions", {},
        h("button.button.quiet", { type: "button", "aria-keyshortcuts": "ArrowLeft", onclick: () => this.step(-1) }, icon(ICONS.previous), "Back", h("kbd", {}, "←")),
        h("button.button.quiet", { type: "button", "aria-keyshortcuts": "ArrowRight", onclick: () => this.step(1) }, "Skip", h("kbd", {}, "→"), icon(ICONS.next)),
        h("button.button.quiet", { type: "button", "aria-keyshortcuts": "M", onclick: () => this.like() }, "More like this", h("kbd", {}, "M")),
        h("span.spacer"),
        h("button.button.quiet", { type: "button", "aria-keyshortcuts": "U", onclick: () => this.undo() }, icon(ICONS.undo), "Undo", h("kbd", {}, "U"))));
    this.done = h("section.card.empty", { hidden: true });
    main.replaceChildren(this.progress.element, h("div.review-split", {}, h("div", {}, this.card, this.done),
      h("aside.card.queue-card", { "aria-label": "Queue" }, h("div.queue-head", {}, this.order, this.only), this.list)));
    this.order.value = review.orderName || "doubt";
    this.fill();
  }

  close() {
    this.player.unload("");
  }

  shown() {
    return review.order.map((n) => review.items.get(n)).filter((item) => !this.only.value || item.label === this.only.value);
  }

  async reorder() {
    review.orderName = this.order.value;
    await load(this.order.value).catch(report);
    this.fill();
  }

  // The queue by likeness to this event; the next one is the most alike that is not judged.
  async like() {
    try {
      await loadLike(this.current);
    } catch (error) {
      return report(error);
    }
    this.only.value = "";
    if (!this.order.querySelector("[value=like]")) this.order.append(h("option", { value: "like", hidden: true }, "most alike first"));
    this.order.value = "like";
    this.fill(this.current);
    announce("Ordered by likeness to this event");
  }

  // Shows the queue and goes to the first event that is not judged.
  fill(stay = null) {
    this.rows = new Map();
    const items = this.shown();
    this.list.replaceChildren(...items.slice(0, 2000).map((item) => {
      const row = h("li", {}, this.row(item));
      this.rows.set(item.n, row);
      return row;
    }));
    const next = items.find((item) => !item.verdict);
    if (stay !== null) this.open(stay);
    else if (next) this.open(next.n);
    else this.finish();
    this.progress.show();
  }

  row(item) {
    return h("button.queue-row", { type: "button", "aria-current": String(item.n === this.current), onclick: () => this.open(item.n) },
      dot(item.label), h("span.queue-label", {}, labelText(item.label)), h("span.number.muted", {}, item.score === null ? "" : item.score.toFixed(2)), verdictChip(item));
  }

  refresh(n) {
    const row = this.rows.get(n);
    if (row) row.replaceChildren(this.row(review.items.get(n)));
  }

  open(n) {
    const before = this.current;
    this.current = n;
    const item = review.items.get(n);
    this.card.hidden = false;
    this.done.hidden = true;
    this.refresh(before);
    this.refresh(n);
    const row = this.rows.get(n);
    if (row) this.list.scrollTop = row.offsetTop - this.list.offsetTop - this.list.clientHeight / 2 + 20;
    this.bar.show(item);
    const place = item.time ? `${item.source}, ${dayText(item.time)} ${timeText(item.time)}` : `${item.source.split(/[/\\]/).pop()}, at ${clockText(item.start)}`;
    this.title.replaceChildren(
      h("h1", {}, "Is this ", h("b", {}, dot(item.label), labelText(item.label)), "?"),
      h("p.facts", {}, h("span.muted", { title: item.source }, place),
        h("span", {}, h("span.muted", {}, "score "), item.score === null ? "–" : item.score.toFixed(2)),
        h("span", {}, h("span.muted", {}, "length "), duration(item.length)), verdictChip(item)));
    if (!item.has_sound) return this.player.unload("No sound is stored of this event.");
    this.player.load({
      sound: address(`api/review/items/${n}/clip`),
      picture: (width, height) => address(`api/review/items/${n}/picture?width=${width}&height=${height}`),
      clip: { seconds: null, offset: item.offset, length: item.length },
      label: item.label,
      alt: `Spectrogram of ${labelText(item.label)}`,
    });
  }

  finish() {
    this.card.hidden = true;
    this.done.hidden = false;
    this.player.unload("");
    const { right, wrong, other } = review.progress;
    this.done.replaceChildren(h("h1", {}, "All judged"), h("p", {}, `${right} right, ${wrong} wrong, ${other} another label.`), h("p.muted", {}, `The verdicts are in ${review.list}.`));
  }

  async judge(verdict, label = "") {
    if (this.busy || this.card.hidden) return;
    const n = this.current;
    this.busy = true;
    try {
      const [item] = await judge([n], verdict, label);
      this.refresh(n);
      announce(`${labelText(item.label)}: ${verdictText(item)}`);
      this.progress.show();
      this.next(n);
    } catch (error) {
      report(error);
    } finally {
      this.busy = false;
    }
  }

  // After a verdict: the next event without one, from here on, then from the beginning.
  next(n) {
    const items = this.shown();
    const at = items.findIndex((item) => item.n === n);
    const found = [...items.slice(at + 1), ...items.slice(0, at)].find((item) => !item.verdict);
    if (found) this.open(found.n);
    else this.finish();
  }

  step(by) {
    const items = this.shown();
    const at = items.findIndex((item) => item.n === this.current);
    let to = at + by;
    if (by > 0) while (to < items.length && items[to].verdict) to++;
    if (items[to]) this.open(items[to].n);
    else if (by > 0) this.next(this.current);
  }

  async undo() {
    if (this.busy) return;
    this.busy = true;
    try {
      const changed = await undo();
      for (const item of changed) this.refresh(item.n);
      if (changed.length) this.open(changed[0].n);
      this.progress.show();
    } catch (error) {
      report(error);
    } finally {
      this.busy = false;
    }
  }

  key(event) {
    if (event.key === "ArrowLeft") this.step(-1);
    else if (event.key === "ArrowRight" || event.key.toLowerCase() === "n") this.step(1);
    else if (event.key.toLowerCase() === "m") this.like();
    else {
      if (!this.player.key(event)) this.bar.key(event);
      return;
    }
    event.preventDefault();
  }
}

// Groups of one class that sound alike, judged together; what differs is taken out first.
class Alike {
  constructor() {
    this.progress = new ProgressBar();
    this.title = h("div.detail-title");
    this.grid = h("div.grid", { role: "group", "aria-label": "Events that sound alike" });
    this.audio = h("audio");
    this.bar = new VerdictBar(() => review.labels, (verdict, label) => this.judge(verdict, label), {
      canWrite: review.canWrite, undo: () => this.undo(),
    });
    this.body = h("section.card.review-card", {}, this.title, this.grid, this.bar.element,
      h("div.review-actions", {},
        h("button.button.quiet", { type: "button", onclick: () => this.move(-1) }, icon(ICONS.previous), "Back", h("kbd", {}, "←")),
        h("button.button.quiet", { type: "button", onclick: () => this.move(1) }, "Skip", h("kbd", {}, "→"), icon(ICONS.next)),
        h("span.spacer"),
        h("button.button.quiet", { type: "button", onclick: () => this.undo() }, icon(ICONS.undo), "Undo", h("kbd", {}, "U"))),
      h("p.keys.muted", {}, "Click, or Enter, takes an event out of the group or puts it back; pointing at it plays it."));
    this.waiting = h("section.card.empty");
    main.replaceChildren(this.progress.element, this.waiting, this.body);
    this.start();
  }

  close() {
    this.closed = true;
    this.audio.pause();
  }

  async start() {
    this.body.hidden = true;
    while (!this.closed) {
      await load("doubt").catch(report);
      this.progress.show();
      if (review.progress.has_groups) break;
      this.waiting.textContent = `Comparing sounds: ${review.progress.compared} of ${review.progress.total} …`;
      await new Promise((done) => setTimeout(done, 700));
    }
    if (this.closed) return;
    const groups = new Map();
    for (const item of review.items.values()) {
      if (item.group === null || item.group < 0) continue;
      if (!groups.has(item.group)) groups.set(item.group, []);
      groups.get(item.group).push(item.n);
    }
    this.groups = [...groups.values()].sort((a, b) => b.length - a.length);
    this.at = this.groups.findIndex((numbers) => numbers.some((n) => !review.items.get(n).verdict));
    this.show();
  }

  show() {
    const numbers = this.groups[this.at];
    const finished = !numbers;
    this.body.hidden = finished;
    this.waiting.hidden = !finished;
    this.progress.show();
    if (finished) {
      this.waiting.textContent = this.groups.length ? "All groups are judged." : "No sounds to compare.";
      return;
    }
    const label = review.items.get(numbers[0]).label;
    this.taken = new Set(numbers.filter((n) => !review.items.get(n).verdict));
    this.title.replaceChildren(h("h1", {}, "Are these ", h("b", {}, dot(label), labelText(label)), "?"),
      h("p.facts.muted", {}, `Group ${this.at + 1} of ${this.groups.length}, ${numbers.length} events that sound alike`));
    this.bar.show({ verdict: null });
    this.grid.replaceChildren(...numbers.map((n) => this.tile(n)));
  }

  tile(n) {
    const item = review.items.get(n);
    const image = h("img", { alt: "", loading: "lazy", src: address(`api/review/items/${n}/picture?width=260&height=110`) });
    const tile = h("button.tile", {
      type: "button", "aria-pressed": String(this.taken.has(n)), "aria-label": `${labelText(item.label)} ${item.score?.toFixed(2) ?? ""}, ${item.verdict || "in the group"}`,
      onclick: () => {
        if (this.taken.has(n)) this.taken.delete(n);
        else this.taken.add(n);
        tile.setAttribute("aria-pressed", String(this.taken.has(n)));
      },
      onpointerenter: () => this.play(n),
      onpointerleave: () => this.audio.pause(),
      onfocus: () => this.play(n),
    }, h("span.screen", {}, image), h("span.tile-foot", {}, h("span.number", {}, item.score === null ? "" : item.score.toFixed(2)), h("span.muted", {}, duration(item.length)), verdictChip(item)));
    return tile;
  }

  play(n) {
    const item = review.items.get(n);
    this.audio.src = address(`api/review/items/${n}/clip`);
    this.audio.onloadedmetadata = () => {
      this.audio.currentTime = Math.max(0, (item.offset || 0) - 0.3);
      this.audio.play().catch(() => {});
    };
  }

  async judge(verdict, label = "") {
    const numbers = [...(this.taken || [])];
    if (!numbers.length || this.busy) return;
    this.busy = true;
    try {
      await judge(numbers, verdict, label);
      announce(`${numbers.length} events: ${verdict} ${label}`);
      const rest = this.groups[this.at].some((n) => !review.items.get(n).verdict);
      if (rest) this.show();
      else this.move(1);
    } catch (error) {
      report(error);
    } finally {
      this.busy = false;
    }
  }

  move(by) {
    this.audio.pause();
    const open = (at) => this.groups[at]?.some((n) => !review.items.get(n).verdict);
    let at = this.at + by;
    if (by > 0) {
      while (at < this.groups.length && !open(at)) at++;
      if (at >= this.groups.length) at = this.groups.findIndex((_, i) => open(i));
      if (at < 0) at = this.groups.length;
    }
    this.at = Math.max(0, at);
    this.show();
    this.grid.firstElementChild?.focus({ preventScroll: true });
  }

  async undo() {
    const changed = await undo().catch(report);
    if (!changed?.length) return;
    const at = this.groups.findIndex((numbers) => numbers.includes(changed[0].n));
    if (at >= 0) this.at = at;
    this.show();
  }

  key(event) {
    if (event.key === "ArrowLeft") this.move(-1);
    else if (event.key === "ArrowRight" || event.key.toLowerCase() === "n") this.move(1);
    else return this.bar.key(event);
    event.preventDefault();
  }
}

let view = null;

function show(name) {
  view?.close();
  for (const [id, one] of [["view-one", "one"], ["view-grid", "grid"]]) document.getElementById(id).setAttribute("aria-pressed", String(one === name));
  view = name === "grid" ? new Alike() : new OneByOne();
}

async function start() {
  const match = location.hash.match(/^#token=(.+)$/);
  if (match) {
    history.replaceState(null, "", location.pathname);
    await request("api/login", { method: "POST", body: { token: decodeURIComponent(match[1]) } });
  }
  const info = await request("api");
  review.canWrite = info.rights.write;
  const overview = await request("api/review");
  review.labels = overview.labels;
  review.list = overview.list;
  setLabels(overview.labels);
  document.getElementById("title").textContent = overview.title;
  await load("doubt");
  show("one");
  document.getElementById("view-one").onclick = () => show("one");
  document.getElementById("view-grid").onclick = () => show("grid");
  addEventListener("keydown", (event) => {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target instanceof HTMLButtonElement && view instanceof Alike) return;
    view.key(event);
  });
}

start().catch((error) => {
  main.replaceChildren(h("p.empty", {}, error.message, error.status === 401 ? " Open the link that the program printed." : ""));
});
