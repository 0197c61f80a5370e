// Now: for each source its live spectrogram, level, scores against thresholds, newest events.

import { address, query, request } from "./api.js";
import { decibels, dot, duration, fullText, h, icon, ICONS, labelText, recentText } from "./dom.js";
import { LiveSpectrogram } from "./spectrogram.js";
import { openEvent } from "./events.js";

const SHOWN = 8; // scores

export async function show(main, { state, live }) {
  const cards = new Map();
  const list = h("div.sources");
  main.append(h("h1.visually-hidden", {}, "Now"), list);
  const { sources } = await request("api/sources");
  list.classList.toggle("several", sources.length > 1);
  for (const source of sources) {
    const card = new SourceCard(source, state);
    cards.set(source.name, card);
    list.append(card.element);
    card.opened();
  }
  if (!sources.length) list.append(h("p.empty", {}, "No source is running."));
  if (state.info.has_history) {
    const { events } = await request(`api/events${query({ limit: 40 })}`);
    for (const event of events.reverse()) cards.get(event.source)?.event(event);
  }
  const stops = [
    live.on("spectrum", (message) => cards.get(message.source)?.spectrum(message)),
    live.on("onset", (message) => cards.get(message.source)?.event(message)),
    live.on("event", (message) => cards.get(message.source)?.event(message)),
    live.on("session", async () => {
      const fresh = await request("api/sources");
      for (const source of fresh.sources) cards.get(source.name)?.update(source);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    for (const card of cards.values()) card.close();
  };
}

// A recording by its name alone; devices and addresses as they are.
const shortInput = (input) => (input.includes("://") ? input : input.split(/[/\\]/).pop());

class SourceCard {
  constructor(source, state) {
    this.source = source;
    this.recent = new Map();
    this.peaks = new Map(); // the highest score of the last seconds, by label
    this.rows = new Map();
    this.state = h("span.chip", {}, h("i.dot"), h("span", {}, ""));
    this.canvas = h("canvas.spectrogram", { role: "img", "aria-label": `Live spectrogram of ${source.name}` });
    this.meter = h("div.meter", { role: "meter", "aria-label": "Level", "aria-valuemin": "-90", "aria-valuemax": "0" }, h("i"), h("b"));
    this.level = h("span.level-value");
    this.why = h("p.why", { title: "The best score, and what the rule of its class did with it" });
    this.scores = h("div.scores", { role: "list", "aria-label": "Scores" });
    this.events = h("ol.recent", { "aria-label": `Newest events of ${source.name}` });
    this.heard = h("span.muted");
    this.element = h("section.card.source", { "aria-label": source.name },
      h("header.source-head", {},
        h("div.source-name", {}, h("h2", {}, source.name), this.state),
        h("div.source-what", {}, h("span.muted", {}, [shortInput(source.input), source.model].filter(Boolean).join(" · ")), this.heard),
        h("div.level", {}, this.meter, this.level)),
      h("div.screen", {}, this.canvas),
      h("div.source-body", {},
        h("div.panel", {}, h("h3", {}, "Scores"), this.scores, this.why),
        h("div.panel", {}, h("h3", {}, "Latest"), this.events)));
    if (state.info.rights.audio) this.element.querySelector(".source-name").append(this.listenButton());
    this.update(source);
    this.ranked = 0;
    this.setScores(source.scores);
    this.empty = h("li.muted", {}, state.info.has_history ? "No events yet." : "No events since the server began.");
    this.events.append(this.empty);
  }

  async opened() {
    this.picture = new LiveSpectrogram(this.canvas);
    this.waiting = []; // what comes while the last half minute is loaded
    const past = await request(`api/sources/${encodeURIComponent(this.source.name)}/spectrum`).catch(() => ({}));
    if (past.columns) this.picture.add(past);
    for (const message of this.waiting) this.picture.add(message);
    this.waiting = null;
  }

  close() {
    this.picture.close();
    this.audio?.pause();
    this.audio?.removeAttribute("src");
  }

  listenButton() {
    const button = h("button.button.quiet.listen", { type: "button", "aria-pressed": "false" }, icon(ICONS.play), "Listen");
    button.addEventListener("click", () => {
      const playing = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!playing));
      if (playing) {
        this.audio.pause();
        this.audio.removeAttribute("src"); // ends the request
        this.audio.load();
      } else {
        this.audio = new Audio(address(`api/sources/${encodeURIComponent(this.source.name)}/audio`));
        this.audio.play().catch(() => button.setAttribute("aria-pressed", "false"));
      }
    });
    return button;
  }

  update(source) {
    this.source = source;
    const words = { listening: "listening", lost: "no sound", ended: "ended", failed: "failed", starting: "starting" };
    this.state.dataset.state = source.state === "listening" ? "live" : source.state;
    this.state.lastElementChild.textContent = words[source.state] || source.state;
    this.state.title = source.reason || "";
    this.heard.textContent = `${duration(source.heard)} received, ${source.lost > 0.05 ? `${duration(source.lost)} lost` : "nothing lost"}`;
    const silent = source.state === "ended" || source.state === "failed";
    this.setLevel(silent ? null : source.level, silent ? null : source.peak);
  }

  spectrum(message) {
    if (this.waiting) this.waiting.push(message);
    else this.picture.add(message);
    this.setLevel(message.level, message.peak, message.clipping);
    this.setScores(message.scores);
    this.why.textContent = labelText(message.why_not);
    const { state, reason, heard, lost, level, peak } = message;
    if (state !== this.source.state || heard - this.source.heard >= 1) this.update({ ...this.source, state, reason, heard, lost, level, peak });
  }

  setLevel(level, peak, clipping = false) {
    const at = (value) => `${Math.max(0, Math.min(100, (100 * (value + 90)) / 90))}%`;
    const known = level !== null && level !== undefined;
    this.meter.firstElementChild.style.width = known ? at(level) : "0%";
    this.meter.lastElementChild.style.left = known && peak !== null ? at(peak) : "0%";
    this.meter.setAttribute("aria-valuenow", known ? Math.round(level) : -90);
    this.meter.setAttribute("aria-valuetext", known ? `${Math.round(level)} dBFS` : "no sound");
    this.level.textContent = clipping ? "clipping" : `${decibels(level)} dBFS`;
    this.level.classList.toggle("clipping", clipping);
  }

  setScores(scores) {
    const time = performance.now() / 1000;
    for (const [label, score] of Object.entries(scores)) {
      const old = this.peaks.get(label);
      if (!old || score >= old.score || time - old.time > 6) this.peaks.set(label, { score, time });
    }
    if (time - this.ranked > 2 || this.rows.size === 0) {
      this.ranked = time;
      const best = [...this.peaks].sort((a, b) => b[1].score - a[1].score).slice(0, SHOWN).map(([label]) => label);
      const shown = [...this.rows.keys()];
      if (best.some((label) => !this.rows.has(label)) || shown.length !== best.length) {
        this.rows = new Map(best.sort().map((label) => [label, this.rows.get(label) || this.row(label)]));
        this.scores.replaceChildren(...[...this.rows.values()].map((row) => row.element));
      }
    }
    for (const [label, row] of this.rows) {
      const score = scores[label] ?? 0;
      row.bar.style.width = `${100 * score}%`;
      row.value.textContent = score.toFixed(2);
      row.element.classList.toggle("over", score >= row.threshold);
      row.element.setAttribute("aria-label", `${labelText(label)} ${score.toFixed(2)}, threshold ${row.threshold.toFixed(2)}`);
    }
  }

  row(label) {
    const threshold = this.source.thresholds[label] ?? 1;
    const bar = h("i");
    const mark = h("b", { title: `an event begins at ${threshold.toFixed(2)}` });
    mark.style.left = `${100 * threshold}%`;
    const value = h("span.number");
    const element = h("div.score", { role: "listitem" }, h("span.score-label", {}, dot(label), labelText(label)), h("span.track", {}, bar, mark), value);
    return { element, bar, value, threshold };
  }

  event(event) {
    const known = this.recent.get(event.id);
    if (known && known.ended && event.end === null) return;
    this.picture.mark(event);
    this.empty.remove();
    const item = known || { element: h("li") };
    item.ended = event.end !== null;
    const length = item.ended ? duration(event.end - event.start) : "now";
    const content = [
      h("time.number", { datetime: event.time, title: fullText(event.time) }, recentText(event.time)),
      h("span.recent-label", {}, dot(event.label), labelText(event.label)),
      h("span.muted.number", {}, length),
      h("span.number", {}, event.score === null ? "" : event.score.toFixed(2)),
    ];
    item.element.replaceChildren(h("button.recent-row", { type: "button", onclick: () => openEvent(event.id) }, content));
    item.element.classList.toggle("sounding", !item.ended);
    item.element.dataset.label = event.label;
    if (!known) {
      this.recent.set(event.id, item);
      this.events.prepend(item.element);
    }
    if (this.recent.size > 8) {
      const oldest = this.recent.keys().next().value;
      this.recent.get(oldest).element.remove();
      this.recent.delete(oldest);
    }
    const texts = [...this.recent.values()].slice(-3).map((one) => labelText(one.element.dataset.label));
    this.canvas.setAttribute("aria-label", `Live spectrogram of ${this.source.name}. Newest events: ${texts.reverse().join(", ")}`);
  }
}
