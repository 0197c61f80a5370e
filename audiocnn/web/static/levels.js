// Levels: LAeq, LAFmax and the range from L90 to L10, by minute.

import { query, report, request } from "./api.js";
import { dayText, h, minuteText, svg } from "./dom.js";

const RANGES = { "1 hour": 3600, "6 hours": 6 * 3600, "24 hours": 86400, "7 days": 7 * 86400 };
const HEIGHT = 320;
const LEFT = 46;
const BOTTOM = 26;

export async function show(main, { state }) {
  if (!state.info.has_history) {
    main.append(h("h1", {}, "Levels"), h("p.empty", {}, "Nothing is stored. Add [sqlite] to the settings to keep levels."));
    return () => {};
  }
  let range = "24 hours";
  let first = true;
  let last = null;
  const source = h("select", { "aria-label": "Source", onchange: load }, state.sources.map((one) => h("option", { value: one.name }, one.name)));
  const buttons = Object.keys(RANGES).map((name) => h("button.segment", { type: "button", "aria-pressed": String(name === range), onclick: () => {
    range = name;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === range));
    load();
  } }, name));
  const chart = h("div.chart");
  const note = h("p.muted.small");
  main.append(h("div.page-head", {}, h("h1", {}, "Sound level"), h("div.filters", {}, state.sources.length > 1 ? source : null, h("div.segments", { role: "group", "aria-label": "Time" }, buttons))),
    h("section.card", {}, chart, note));

  async function load() {
    try {
      const end = Date.now();
      const start = end - 1000 * RANGES[range];
      const found = await request(`api/levels${query({ source: source.value, from: new Date(start).toISOString(), to: new Date(end).toISOString() })}`);
      if (first && found.levels.length && end - new Date(found.levels[0].time).getTime() < 3.5e6) {
        first = false; // it began only lately: nearer
        buttons[0].click();
        return;
      }
      first = false;
      last = [found, start, end];
      draw(chart, ...last);
      note.textContent = found.levels.length
        ? `A-weighted, time weighting F, ${found.step === 60 ? "by minute" : `steps of ${found.step / 60} minutes`}. ` +
          (found.calibrated ? "Calibrated: dB re 20 µPa." : "Uncalibrated: dB re full scale of the input. Set a calibration offset for the source to read sound pressure levels.")
        : "";
    } catch (error) {
      report(error);
    }
  }

  const resize = new ResizeObserver(() => last && draw(chart, ...last));
  await load();
  resize.observe(main);
  const timer = setInterval(load, 60000);
  return () => {
    clearInterval(timer);
    resize.disconnect();
  };
}

function draw(place, { levels, calibrated, step }, start, end) {
  const WIDTH = Math.max(300, place.clientWidth); // pixels, so that text is as large as elsewhere
  const known = levels.filter((level) => level.laeq !== null);
  if (!known.length) return place.replaceChildren(h("p.empty", {}, "No levels are stored of this time."));
  const values = known.flatMap((level) => [level.l90, level.lafmax, level.laeq]);
  const low = 10 * Math.floor((Math.min(...values) - 2) / 10);
  const high = 10 * Math.ceil((Math.max(...values) + 2) / 10);
  const x = (time) => LEFT + ((WIDTH - LEFT - 8) * (new Date(time).getTime() + 500 * step - start)) / (end - start);
  const y = (value) => 8 + ((HEIGHT - BOTTOM - 8) * (high - value)) / (high - low);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "level-chart", role: "img", "aria-label": summary(known, calibrated) });
  for (let value = low; value <= high; value += 10) {
    chart.append(svg("line", { x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value), class: "grid" }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, String(value).replace("-", "−")));
  }
  const span = end - start;
  const every = [5, 10, 15, 30, 60, 120, 240, 720, 1440].map((m) => 60000 * m).find((m) => span / m <= WIDTH / 90) || 86400000;
  const zero = new Date(start);
  zero.setHours(0, 0, 0, 0);
  for (let t = zero.getTime(); t < end; t += every) {
    if (t < start) continue;
    const at = LEFT + ((WIDTH - LEFT - 8) * (t - start)) / span;
    chart.append(svg("line", { x1: at, x2: at, y1: 8, y2: HEIGHT - BOTTOM, class: "grid" }),
      svg("text", { x: at, y: HEIGHT - 6, "text-anchor": "middle" }, every >= 86400000 ? dayText(t) : minuteText(t)));
  }
  // A run for each stretch without a gap: lines never cross what was not measured.
  for (const run of runs(levels, step)) {
    const points = (name) => run.map((level) => `${x(level.time).toFixed(1)},${y(level[name]).toFixed(1)}`);
    chart.append(svg("polygon", { points: [...points("l10"), ...points("l90").reverse()].join(" "), class: "band" }),
      svg("polyline", { points: points("lafmax").join(" "), class: "max" }),
      svg("polyline", { points: points("laeq").join(" "), class: "eq" }));
  }
  const cursor = svg("line", { y1: 8, y2: HEIGHT - BOTTOM, class: "cursor", visibility: "hidden" });
  const readout = h("p.readout", { "aria-hidden": "true" }, legend(known[known.length - 1]));
  chart.append(cursor);
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = (WIDTH * (event.clientX - box.left)) / box.width;
    const nearest = known.reduce((a, b) => (Math.abs(x(b.time) - at) < Math.abs(x(a.time) - at) ? b : a));
    cursor.setAttribute("x1", x(nearest.time));
    cursor.setAttribute("x2", x(nearest.time));
    cursor.setAttribute("visibility", "visible");
    readout.replaceChildren(...legend(nearest));
  });
  place.replaceChildren(readout, chart, table(known));
}

function* runs(levels, step) {
  let run = [];
  let last = null;
  for (const level of levels) {
    const time = new Date(level.time).getTime();
    if (level.laeq === null || (last !== null && time - last > 1500 * step)) {
      if (run.length) yield run;
      run = [];
    }
    if (level.laeq !== null) run.push(level);
    last = time;
  }
  if (run.length) yield run;
}

const text = (value) => (value === null ? "–" : value.toFixed(1).replace("-", "−"));

function legend(level) {
  return [
    h("time.number", {}, `${dayText(level.time)} ${minuteText(level.time)}`),
    ...[["eq", "LAeq", level.laeq], ["max", "LAFmax", level.lafmax], ["band", "L10", level.l10], ["band", "L90", level.l90]].map(([kind, name, value]) =>
      h("span", {}, h(`i.key.${kind}`), `${name} `, h("b.number", {}, text(value)))),
    h("span.muted", {}, "dB"),
  ];
}

function summary(known, calibrated) {
  const mean = 10 * Math.log10(known.reduce((a, level) => a + 10 ** (level.laeq / 10), 0) / known.length);
  const max = Math.max(...known.map((level) => level.lafmax));
  return `Sound level: LAeq ${text(mean)} dB, highest LAFmax ${text(max)} dB, ${calibrated ? "calibrated" : "uncalibrated"}`;
}

function table(known) {
  return h("details", {}, h("summary", {}, "As a table"), h("div.scroll.tall", { tabindex: "0" }, h("table.plain", {},
    h("thead", {}, h("tr", {}, ["Time", "LAeq", "LAFmax", "L10", "L90"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, known.slice(-500).reverse().map((level) => h("tr", {}, h("th", { scope: "row" }, `${dayText(level.time)} ${minuteText(level.time)}`),
      [level.laeq, level.lafmax, level.l10, level.l90].map((value) => h("td.number", {}, text(value)))))))));
}
