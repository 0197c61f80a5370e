// Events: filters, a list, and the chosen event with its sound and verdict.

import { address, query, report, request } from "./api.js";
import { announce, dayText, dot, duration, fullText, h, icon, ICONS, isTyping, labelText, timeText, isoDay, dayOf, addDays } from "./dom.js";
import { Player } from "./player.js";
import { VerdictBar, verdictChip } from "./verdict.js";

const PAGE = 60;

export function openEvent(id) {
  location.hash = `#events?id=${encodeURIComponent(id)}`;
}

export async function show(main, { state, live, parameters }) {
  if (!state.info.has_history) {
    main.append(h("h1", {}, "Events"), h("p.empty", {}, "Nothing is stored. Add [sqlite] to the settings to keep events, and [clips] to keep their sound."));
    return () => {};
  }
  const view = new EventsView(main, state, parameters);
  const stops = [
    live.on("event", (event) => view.arrived(event)),
    live.on("onset", (event) => view.arrived(event)),
    live.on("verdict", (event) => view.changed(event)),
  ];
  const onkey = (event) => view.key(event);
  addEventListener("keydown", onkey);
  await view.reload();
  if (parameters.get("id")) await view.openId(parameters.get("id"));
  return () => {
    removeEventListener("keydown", onkey);
    view.player.unload("");
    for (const stop of stops) stop();
  };
}

class EventsView {
  constructor(main, state, parameters) {
    this.state = state;
    this.events = [];
    this.rows = new Map();
    this.undone = [];
    this.chosen = null;
    this.player = new Player();
    this.bar = new VerdictBar(() => state.labels, (verdict, label) => this.judge(verdict, label), {
      canWrite: state.info.rights.write, undo: () => this.undo(),
    });
    this.filters = this.makeFilters(parameters);
    this.list = h("ol.event-list", { "aria-label": "Events, newest first" });
    this.more = h("button.button.quiet.more", { type: "button", onclick: () => this.load().catch(report) }, "Show older events");
    this.title = h("div.detail-title");
    this.detail = h("aside.card.detail", { "aria-label": "Chosen event", hidden: true },
      h("button.icon-button.detail-close", { type: "button", "aria-label": "Close", onclick: () => this.close() }, icon(ICONS.close)),
      this.title, this.player.element, this.bar.element,
      h("p.keys.muted", {}, h("kbd", {}, "↑"), h("kbd", {}, "↓"), " other event  ", h("kbd", {}, "U"), " undo"));
    main.append(h("div.page-head", {}, h("h1", {}, "Events"), this.filters),
      h("div.split", {}, h("div", {}, this.list, this.more), this.detail));
  }

  makeFilters(parameters) {
    const select = (name, label, options) =>
      h("label.filter", {}, h("span", {}, label), h("select", { name }, options.map(([value, text]) =>
        h("option", { value, selected: parameters.get(name) === value }, text))));
    const labels = [["", "All classes"], ...this.state.labels.map((label) => [label, labelText(label)])];
    const sources = [["", "All sources"], ...this.state.sources.map((source) => [source.name, source.name])];
    const verdicts = [["", "Any verdict"], ["none", "Not judged"], ["right", "Right"], ["wrong", "Wrong"], ["other", "Other label"]];
    const form = h("form.filters", { "aria-label": "Filter", onsubmit: (event) => event.preventDefault() },
      select("label", "Class", labels),
      this.state.sources.length > 1 ? select("source", "Source", sources) : null,
      h("label.filter", {}, h("span", {}, "From"), h("input", { type: "date", name: "from", value: parameters.get("from") || "" })),
      h("label.filter", {}, h("span", {}, "To"), h("input", { type: "date", name: "to", value: parameters.get("to") || "", max: isoDay(new Date()) })),
      h("label.filter", {}, h("span", {}, "Score at least"), h("select", { name: "min_score" },
        ["", "0.5", "0.7", "0.8", "0.9", "0.95", "0.99"].map((value) => h("option", { value }, value || "any")))),
      select("verdict", "Verdict", verdicts));
    form.addEventListener("change", () => this.reload().catch(report));
    const box = h("details.filter-box", { open: !matchMedia("(max-width: 860px)").matches }, h("summary", {}, "Filter"), form);
    this.form = form;
    return box;
  }

  wanted() {
    const values = Object.fromEntries(new FormData(this.form));
    if (values.from) values.from = dayOf(values.from).toISOString();
    if (values.to) values.to = dayOf(addDays(values.to, 1)).toISOString();
    return values;
  }

  async reload() {
    this.events = [];
    this.rows.clear();
    this.list.replaceChildren();
    this.cursor = "";
    await this.load();
  }

  async load() {
    const { events, next } = await request(`api/events${query({ ...this.wanted(), limit: PAGE, cursor: this.cursor })}`);
    this.cursor = next;
    for (const event of events) {
      this.events.push(event);
      this.list.append(this.row(event));
    }
    this.more.hidden = !next;
    this.headings();
    if (!this.events.length) this.list.replaceChildren(h("li.empty", {}, "No events match."));
  }

  row(event) {
    const thumb = event.has_clip && event.end !== null
      ? h("img.thumb", { loading: "lazy", alt: "", width: 144, height: 40, src: address(`api/events/${encodeURIComponent(event.id)}/picture?width=144&height=40`) })
      : h("span.thumb.none");
    thumb.addEventListener("error", () => thumb.replaceWith(h("span.thumb.none")), { once: true });
    const button = h("button.event-row", { type: "button", onclick: () => this.open(event) },
      h("time.number", { datetime: event.time, title: fullText(event.time) }, timeText(event.time)),
      thumb,
      h("span.event-label", {}, dot(event.label), h("span", {}, labelText(event.label)),
        this.state.sources.length > 1 ? h("span.muted.event-source", {}, event.source) : null),
      h("span.muted.number.event-length", {}, event.end === null ? "now" : duration(event.end - event.start)),
      h("span.number.event-score", {}, event.score === null ? "" : event.score.toFixed(2)),
      h("span.event-verdict", {}, verdictChip(event)));
    const item = h("li", { "data-id": event.id }, button);
    this.rows.set(event.id, item);
    return item;
  }

  headings() {
    let day = "";
    for (const item of [...this.list.querySelectorAll(".day-heading")]) item.remove();
    for (const event of this.events) {
      const text = dayText(event.time);
      if (text !== day) this.rows.get(event.id).before(h("li.day-heading", {}, text));
      day = text;
    }
  }

  arrived(event) {
    const values = this.wanted();
    if ((values.label && values.label !== event.label) || (values.source && values.source !== event.source)) return;
    if (values.from || values.to || (values.verdict && values.verdict !== "none") || Number(values.min_score || 0) > event.score) return;
    const full = { verdict: null, verdict_label: null, has_clip: false, ...event };
    if (this.rows.has(event.id)) return this.changed(full);
    this.list.querySelector(".empty")?.remove();
    this.events.unshift(full);
    this.list.prepend(this.row(full));
    this.headings();
  }

  // Shows an event as it is now; its clip is asked for again, since it is written a little later.
  changed(event) {
    const at = this.events.findIndex((one) => one.id === event.id);
    if (at < 0) return;
    const old = this.events[at];
    if (old.end !== null && event.end === null) return;
    this.events[at] = { ...old, ...event, has_clip: event.has_clip || old.has_clip };
    const item = this.rows.get(event.id);
    item.replaceWith(this.row(this.events[at]));
    if (this.chosen?.id === event.id) {
      this.chosen = this.events[at];
      this.mark();
      this.bar.update(this.chosen);
      this.describe();
    }
    if (event.type === "event") setTimeout(() => this.refresh(event.id), 5000);
  }

  async refresh(id) {
    const fresh = await request(`api/events/${encodeURIComponent(id)}`).catch(() => null);
    if (fresh && fresh.has_clip) {
      this.changed(fresh);
      if (this.chosen?.id === id && !this.player.clip) this.open(this.chosen, false);
    }
  }

  async openId(id) {
    let event = this.events.find((one) => one.id === id);
    if (!event) {
      event = await request(`api/events/${encodeURIComponent(id)}`);
      this.events.unshift(event);
      this.list.prepend(this.row(event));
      this.headings();
    }
    await this.open(event);
  }

  async open(event, scroll = true) {
    this.chosen = event;
    this.detail.hidden = false;
    document.body.classList.add("has-detail");
    this.mark();
    if (scroll) this.rows.get(event.id)?.scrollIntoView({ block: "nearest" });
    this.bar.show(event);
    this.describe();
    const path = `api/events/${encodeURIComponent(event.id)}`;
    if (event.end === null) return this.player.unload("The sound still lasts.");
    const details = await request(path).catch(() => event);
    if (this.chosen?.id !== event.id) return;
    if (!details.clip) return this.player.unload(details.has_clip ? "The clip is being written …" : "No sound is stored of this event.");
    this.player.load({
      sound: address(`${path}/clip`),
      picture: (width, height) => address(`${path}/picture?width=${width}&height=${height}`),
      clip: { ...details.clip, length: event.end - event.start },
      label: event.label,
      alt: `Spectrogram of ${labelText(event.label)} at ${timeText(event.time)}`,
    });
  }

  describe() {
    const event = this.chosen;
    this.title.replaceChildren(
      h("h2", {}, dot(event.label), labelText(event.label)),
      h("p.muted", {}, fullText(event.time)),
      h("p.facts", {}, [
        ["Score", event.score === null ? "–" : event.score.toFixed(2)],
        ["Length", event.end === null ? "still sounding" : duration(event.end - event.start)],
        ["Source", event.source || "–"],
      ].map(([name, value]) => h("span", {}, h("span.muted", {}, `${name} `), value)), verdictChip(event)));
  }

  mark() {
    for (const [id, item] of this.rows) item.firstElementChild.setAttribute("aria-current", String(id === this.chosen?.id));
  }

  close() {
    const id = this.chosen?.id;
    this.chosen = null;
    this.player.unload("");
    this.detail.hidden = true;
    document.body.classList.remove("has-detail");
    this.mark();
    this.rows.get(id)?.firstElementChild.focus();
  }

  // One change after the other, so that each knows what was before it, however fast the keys.
  inTurn(change) {
    this.turn = (this.turn || Promise.resolve()).then(change).catch(report);
    return this.turn;
  }

  judge(verdict, label = "") {
    const id = this.chosen?.id;
    if (!id) return;
    this.inTurn(async () => {
      const event = this.events.find((one) => one.id === id);
      await this.put(id, verdict, label);
      this.undone.push([id, event.verdict, event.verdict_label]);
      announce(`${labelText(event.label)}: ${verdict} ${label}`);
    });
  }

  async put(id, verdict, label) {
    const fresh = await request(`api/events/${encodeURIComponent(id)}/verdict`, { method: "PUT", body: { verdict, label: label || "" } });
    this.changed(fresh);
  }

  undo() {
    this.inTurn(async () => {
      const last = this.undone.pop();
      if (last) await this.put(...last);
    });
  }

  step(by) {
    const at = this.events.findIndex((one) => one.id === this.chosen?.id);
    const next = this.events[at < 0 ? 0 : at + by];
    if (next) this.open(next);
  }

  key(event) {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown" || event.key === "j") this.step(1);
    else if (event.key === "ArrowUp" || event.key === "k") this.step(-1);
    else if (event.key === "Escape" && this.chosen) this.close();
    else {
      if (!this.chosen) return;
      if (event.key === " " && event.target instanceof HTMLButtonElement && !event.target.matches(".event-row")) return;
      if (!this.player.key(event)) this.bar.key(event);
      return;
    }
    event.preventDefault();
  }
}
