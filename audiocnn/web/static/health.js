// Health: what was received and lost, load, queues, sinks, disk, the models.

import { report, request } from "./api.js";
import { duration, h, labelText } from "./dom.js";

export async function show(main) {
  const place = h("div.health");
  main.append(h("div.page-head", {}, h("h1", {}, "Health")), place);
  let models = [];
  async function load() {
    try {
      const found = await request("api/health");
      place.replaceChildren(...sections(found, models));
    } catch (error) {
      report(error);
    }
  }
  models = (await request("api/models")).models;
  await load();
  const timer = setInterval(load, 5000);
  return () => clearInterval(timer);
}

const fact = (name, value, kind = "") => h(`div.fact${kind ? `.${kind}` : ""}`, {}, h("dt", {}, name), h("dd.number", {}, value));
const bytes = (n) => (n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${Math.round(n / 1e6)} MB`);

function sections(found, models) {
  const lost = found.sources.reduce((sum, source) => sum + source.lost, 0);
  const wrong = found.sources.filter((source) => ["lost", "failed"].includes(source.state)).length +
    Object.values(found.sinks || {}).filter((sink) => sink.away).length;
  const ended = found.sources.length > 0 && found.sources.every((source) => source.state === "ended");
  const load = Math.max(0, ...found.sources.map((source) => source.load));
  return [
    h("section.card.overview", {}, h("dl.facts-grid", {},
      fact("State", wrong ? `${wrong} ${wrong === 1 ? "problem" : "problems"}` : ended ? "ended" : "all well", wrong ? "bad" : ended ? "" : "good"),
      fact("Running for", duration(found.uptime)),
      fact("Lost", lost > 0.05 ? duration(lost) : "nothing", lost > 0.05 ? "warn" : ""),
      fact("Load of a core", `${(100 * load).toFixed(1)} %`),
      found.disk ? fact("Disk free", bytes(found.disk.free)) : null,
      fact("Browsers", String(found.clients)),
      fact("Version", found.version))),
    h("section.card", {}, h("h2", {}, "Sources"), h("div.scroll", { tabindex: "0" }, h("table.plain", {},
      h("thead", {}, h("tr", {}, ["Source", "State", "Received", "Lost", "Load", "Level"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, found.sources.map((source) => h("tr", {},
        h("th", { scope: "row" }, source.name, h("div.muted.small", {}, source.input)),
        h("td", {}, h("span.chip", { "data-state": source.state === "listening" ? "live" : source.state }, h("i.dot"), source.state), source.reason ? h("div.muted.small", {}, source.reason) : null),
        h("td.number", {}, duration(source.heard)), h("td.number", {}, duration(source.lost)),
        h("td.number", {}, `${(100 * source.load).toFixed(1)} %`),
        h("td.number", {}, source.level === null ? "–" : `${source.level.toFixed(0)} dBFS`))))))),
    found.sinks && Object.keys(found.sinks).length
      ? h("section.card", {}, h("h2", {}, "Sinks"), h("div.scroll", { tabindex: "0" }, h("table.plain", {},
        h("thead", {}, h("tr", {}, ["Sink", "State", "Handled", "Waiting", "Dropped", "Failed"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, Object.entries(found.sinks).map(([name, sink]) => h("tr", {},
          h("th", { scope: "row" }, name),
          h("td", {}, h("span.chip", { "data-state": sink.away ? "lost" : "live" }, h("i.dot"), sink.away ? "failing" : "works"), sink.reason ? h("div.muted.small", {}, sink.reason) : null),
          ["handled", "waiting", "dropped", "failed"].map((key) => h("td.number", {}, String(sink[key] ?? 0)))))))))
      : h("section.card", {}, h("h2", {}, "Sinks"), h("p.muted", {}, "None: nothing leaves this page.")),
    ...models.map(model),
  ];
}

function model(model) {
  const list = (value) => (value && typeof value === "object" ? Object.entries(value).map(([k, v]) => `${k}: ${typeof v === "object" ? JSON.stringify(v) : v}`).join("; ") : String(value));
  const shown = (value) => {
    const text = list(value);
    return text.length < 300 ? text : h("details.long", {}, h("summary", {}, `${text.slice(0, 80)} …`), text);
  };
  return h("section.card", {}, h("h2", {}, `Model ${model.name}`),
    h("dl.model", {}, [
      ["Classes", model.labels.map(labelText).join(", ")],
      ["Windows", `${model.window} s, every ${model.hop} s`],
      ...Object.entries(model.card || {}).map(([key, value]) => [labelText(key), shown(value)]),
    ].map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}
