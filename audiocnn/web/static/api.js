// Requests to the server; every address is relative to the page, so any prefix of a proxy works.

import { toast } from "./dom.js";

export const base = new URL(".", document.baseURI);
export const address = (path) => new URL(path, base).href;

export class Problem extends Error {
  constructor(status, content) {
    super(content.error || `the server answered ${status}`);
    this.status = status;
    this.remedy = content.remedy || "";
  }
}

export async function request(path, { method = "GET", body, signal } = {}) {
  const options = { method, signal, credentials: "same-origin", headers: {} };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(address(path), options);
  const isJson = (response.headers.get("content-type") || "").includes("json");
  const content = isJson ? await response.json() : {};
  if (!response.ok) throw new Problem(response.status, content);
  return content;
}

export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(pairs.flatMap(([k, v]) => (Array.isArray(v) ? v.map((one) => [k, one]) : [[k, v]]))).toString();
  return text ? `?${text}` : "";
}

export function report(error) {
  if (error.name === "AbortError") return;
  toast(error.remedy ? `${error.message}. ${error.remedy}.` : `${error.message}.`, "bad");
}

// One stream of messages for the whole page. What is kept has an id, so after a lost
// connection, also to a server that was started anew, it goes on where it was.
export class Live {
  constructor(onState) {
    this.onState = onState;
    this.listeners = new Map();
    this.lastId = "";
    this.types = "";
  }

  on(type, call) {
    if (!this.listeners.has(type)) this.listeners.set(type, new Set());
    this.listeners.get(type).add(call);
    return () => this.listeners.get(type).delete(call);
  }

  open(types) {
    if (types === this.types && this.source && this.source.readyState !== EventSource.CLOSED) return;
    this.types = types;
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    const source = new EventSource(address(`api/stream${query({ types: this.types, last_id: this.lastId })}`));
    this.source = source;
    source.onopen = () => this.onState("live");
    source.onerror = () => {
      if (source !== this.source) return;
      this.onState("lost");
      if (source.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.connect(), 2000);
    };
    for (const type of this.types.split(",")) {
      source.addEventListener(type, (event) => {
        if (event.lastEventId) this.lastId = event.lastEventId;
        const message = JSON.parse(event.data);
        for (const call of this.listeners.get(type) || []) call(message);
      });
    }
  }

  close() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
  }
}
