// Days: a heat map of hours by classes, and counts by day. Hours without analysis are hatched:
// an empty cell means that nothing happened, a hatched one was not analysed.

import { query, report, request } from "./api.js";
import { addDays, dayOf, dayText, dot, duration, h, icon, ICONS, isoDay, labelText, percent, timeText, zone } from "./dom.js";

const DAYS = 30;

export async function show(main, { state, parameters }) {
  if (!state.info.has_history) {
    main.append(h("h1", {}, "Days"), h("p.empty", {}, "Nothing is stored. Add [sqlite] to the settings to keep events."));
    return () => {};
  }
  const view = new DaysView(main, state, parameters.get("day") || isoDay(new Date()));
  await view.load();
  return () => {};
}

class DaysView {
  constructor(main, state, day) {
    this.day = day;
    this.state = state;
    this.date = h("input", { type: "date", value: day, max: isoDay(new Date()), "aria-label": "Day", onchange: () => this.go(this.date.value) });
    const step = (by, text, path) => h("button.icon-button", { type: "button", "aria-label": text, onclick: () => this.go(addDays(this.day, by)) }, icon(path));
    this.source = h("select", { "aria-label": "Source", onchange: () => this.load().catch(report) },
      h("option", { value: "" }, "All sources"), state.sources.map((source) => h("option", { value: source.name }, source.name)));
    this.heading = h("h2");
    this.map = h("div.scroll", { tabindex: "0", "aria-label": "Events by hour and class" });
    this.gaps = h("div");
    this.bars = h("div.day-bars", { role: "list", "aria-label": `Events of the last ${DAYS} days` });
    main.append(
      h("div.page-head", {}, h("h1", {}, "Days"),
        h("div.filters", {}, step(-1, "Day before", ICONS.previous), this.date, step(1, "Day after", ICONS.next), state.sources.length > 1 ? this.source : null)),
      h("section.card", {}, this.heading, this.map, this.legend(), this.gaps),
      h("section.card", {}, h("h2", {}, `Last ${DAYS} days`), this.bars));
  }

  legend() {
    return h("p.legend.muted", {}, h("span", {}, h("i.cell.none"), " nothing"), h("span", {}, h("i.cell.some"), h("i.cell.more"), h("i.cell.most"), " few to many"), h("span", {}, h("i.cell.unheard"), " not listening"));
  }

  go(day) {
    if (!day || day > isoDay(new Date())) return;
    this.day = this.date.value = day;
    this.load().catch(report);
  }

  async load() {
    const source = this.source.value;
    const [one, many] = await Promise.all([
      request(`api/days/${this.day}${query({ tz: zone, source })}`),
      request(`api/days${query({ from: addDays(this.day, 1 - DAYS), to: this.day, tz: zone, source })}`),
    ]);
    this.drawMap(one);
    this.drawGaps(one.gaps);
    this.drawBars(many.days);
  }

  drawMap({ hours }) {
    const totals = new Map();
    for (const hour of hours) for (const [label, n] of Object.entries(hour.counts)) totals.set(label, (totals.get(label) || 0) + n);
    const labels = [...totals].sort((a, b) => b[1] - a[1]).map(([label]) => label);
    const most = Math.max(1, ...hours.flatMap((hour) => Object.values(hour.counts)));
    const now = Date.now();
    const isFuture = (hour) => new Date(hour.start).getTime() > now;
    const sum = [...totals.values()].reduce((a, b) => a + b, 0);
    const heard = hours.filter((hour) => !isFuture(hour));
    const share = heard.length ? heard.reduce((a, hour) => a + hour.heard, 0) / heard.length : 0;
    this.heading.replaceChildren(dayText(dayOf(this.day)), h("span.muted.small", {}, `${sum} ${sum === 1 ? "event" : "events"}, listening ${percent(share)} of the time`));
    const head = h("tr", {}, h("th", { scope: "col" }, h("span.visually-hidden", {}, "Class")), hours.map((hour) => h("th", { scope: "col" }, hour.hour)), h("th", { scope: "col" }, "all"));
    const rows = labels.map((label) => h("tr", {}, h("th", { scope: "row" }, dot(label), labelText(label)),
      hours.map((hour) => this.cell(label, hour, most, isFuture(hour))), h("td.total.number", {}, totals.get(label))));
    const listening = h("tr.listening", {}, h("th", { scope: "row" }, "listening"),
      hours.map((hour) => {
        if (isFuture(hour)) return h("td");
        const bar = h("i");
        bar.style.height = `${100 * hour.heard}%`;
        return h("td", { title: `${hour.hour}:00, ${percent(hour.heard)} listening` }, h("span.listen-bar", {}, bar), h("span.visually-hidden", {}, percent(hour.heard)));
      }), h("td"));
    this.map.replaceChildren(h("table.heat", {}, h("thead", {}, head), h("tbody", {}, rows, listening)));
    if (heard.length < 24) this.map.scrollLeft = Math.max(0, (heard.length - 6) * 25); // a phone: the newest hours
    if (!labels.length) this.map.append(h("p.empty", {}, share > 0 ? "No events on this day." : "No source was listening on this day."));
  }

  cell(label, hour, most, future) {
    const n = hour.counts[label] || 0;
    if (future) return h("td.future");
    const cell = h(`td${n ? "" : hour.heard < 0.02 ? ".unheard" : ".none"}`, { title: n ? `${labelText(label)}, ${hour.hour}:00: ${n}` : hour.heard < 0.02 ? "not listening" : "" });
    if (n) {
      const share = Math.sqrt(n / most);
      cell.style.setProperty("--share", `${Math.round(14 + 86 * share ** 1.4)}%`);
      cell.classList.add("some");
      if (share > 0.75) cell.classList.add("strong");
      cell.append(h("a", { href: this.link(label, hour) }, String(n)));
    }
    if (n && hour.heard < 0.5) cell.classList.add("partly");
    return cell;
  }

  link(label) {
    return `#events?${new URLSearchParams({ label, from: this.day, to: this.day })}`;
  }

  drawGaps(gaps) {
    this.gaps.replaceChildren();
    if (!gaps.length) return;
    this.gaps.append(h("details", {}, h("summary", {}, `${gaps.length} ${gaps.length === 1 ? "gap" : "gaps"}`),
      h("ul.gap-list", {}, gaps.slice(0, 50).map((gap) => h("li", {}, h("time.number", {}, timeText(gap.time)), ` ${duration(gap.seconds)}: ${gap.reason || "no sound"}`, gap.source ? h("span.muted", {}, ` ${gap.source}`) : null)))));
  }

  drawBars(days) {
    const totals = days.map((day) => Object.values(day.counts).reduce((a, b) => a + b, 0));
    const most = Math.max(1, ...totals);
    this.bars.replaceChildren(...days.map((day, at) => {
      const bar = h("i");
      bar.style.height = `${(100 * totals[at]) / most}%`;
      const text = `${dayText(dayOf(day.day))}: ${totals[at]} events, listening ${percent(day.heard)}`;
      const column = h("button.day-bar", { type: "button", role: "listitem", title: text, "aria-label": text, "aria-current": day.day === this.day ? "date" : null, onclick: () => this.go(day.day) },
        h("span.day-track", {}, bar), h("span.day-number", {}, String(dayOf(day.day).getDate())));
      column.classList.toggle("unheard", day.heard < 0.001);
      column.classList.toggle("partly", day.heard >= 0.001 && day.heard < 0.9);
      return column;
    }));
  }
}
