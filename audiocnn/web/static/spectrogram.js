// The live spectrogram of one source on a canvas, with the events drawn over it.
//
//   columns from the server -> a ring of bytes -> an image of the same size -> scaled to the canvas
//
// All places are seconds of the stream, as columns and events have them; the clock only
// labels the axis. It scrolls smoothly: the right edge is a little late, so that the columns
// of the next message are there when they come into view.

import { palette } from "./colors.js";
import { colorOf, labelText, recentText } from "./dom.js";

const SECONDS = 30; // shown on a wide screen, and half as long on a phone
const LATE = 0.5; // seconds
const FLOOR = -120; // dB of byte 0
const MARKS = [100, 500, 1000, 2000, 4000, 8000, 16000];
const colors = palette();
const mel = (f) => 2595 * Math.log10(1 + f / 700);

export class LiveSpectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.events = new Map();
    this.image = null;
    this.last = -1; // number of the newest column
    this.low = 70;
    this.high = 160;
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(canvas);
    this.fit();
    const step = () => {
      this.frame = requestAnimationFrame(step);
      if (!this.still) this.draw();
    };
    step();
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.resize.disconnect();
  }

  fit() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.span = this.width < 560 ? SECONDS / 2 : SECONDS;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context = this.canvas.getContext("2d");
    this.context.scale(ratio, ratio);
    this.draw();
  }

  // Takes a message of type "spectrum".
  add(message) {
    const bytes = Uint8Array.from(atob(message.columns), (letter) => letter.charCodeAt(0));
    const n = bytes.length / message.bands;
    if (!this.image || this.bands !== message.bands || this.seconds !== message.seconds || message.first + n < this.last) {
      this.start(message);
    }
    this.range = [message.f_min, message.f_max];
    for (let i = Math.max(0, this.last + 1 - message.first); i < n; i++) {
      const at = (message.first + i) % this.n;
      for (let skipped = Math.max(this.last + 1, message.first + i - this.n); skipped < message.first + i; skipped++) {
        this.bytes.fill(0, (skipped % this.n) * this.bands, (skipped % this.n + 1) * this.bands);
        this.paint(skipped % this.n);
      }
      this.bytes.set(bytes.subarray(i * this.bands, (i + 1) * this.bands), at * this.bands);
      this.last = message.first + i;
      this.paint(at);
    }
    this.fitRange();
    this.small.putImageData(this.image, 0, 0);
    this.newest = (message.first + n) * message.seconds;
    this.began = message.time - this.newest; // UTC at which the stream began
    const offset = this.newest - performance.now() / 1000;
    // From this computer's clock to the stream's, corrected slowly: no jerks.
    this.offset = this.offset === undefined || Math.abs(offset - this.offset) > 1 ? offset : this.offset + 0.05 * (offset - this.offset);
    if (this.still) this.draw();
  }

  start(message) {
    this.bands = message.bands;
    this.seconds = message.seconds;
    this.n = Math.ceil((SECONDS + 5) / message.seconds);
    this.bytes = new Uint8Array(this.n * this.bands);
    const canvas = document.createElement("canvas");
    canvas.width = this.n;
    canvas.height = this.bands;
    this.small = canvas.getContext("2d");
    this.smallCanvas = canvas;
    this.image = this.small.createImageData(this.n, this.bands);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.pixels.fill(colors[0]);
    this.last = message.first - 1;
    this.offset = undefined;
    this.fitted = 0;
  }

  paint(at) {
    const scale = 255 / (this.high - this.low);
    for (let band = 0; band < this.bands; band++) {
      const value = Math.max(0, Math.min(255, (this.bytes[at * this.bands + band] - this.low) * scale));
      this.pixels[(this.bands - 1 - band) * this.n + at] = colors[value | 0];
    }
  }

  // Dark is the background, bright the loudest: percentiles of what is shown, followed slowly.
  fitRange() {
    const now = performance.now();
    if (now - this.fitted < 1000) return;
    const counts = new Uint32Array(256);
    for (const byte of this.bytes) counts[byte]++;
    let total = this.bytes.length - counts[0];
    if (total < 500) return;
    const at = (share) => {
      let left = share * total;
      for (let value = 1; value < 256; value++) if ((left -= counts[value]) <= 0) return value;
      return 255;
    };
    const perDecibel = 255 / -FLOOR;
    const high = Math.max(at(0.998), 45 * perDecibel);
    const low = Math.min(Math.max(at(0.3), high - 75 * perDecibel), high - 42 * perDecibel);
    const speed = this.fitted ? 0.25 : 1;
    this.fitted = now;
    const change = Math.max(Math.abs(low - this.low), Math.abs(high - this.high));
    if (change < 3) return;
    this.low += speed * (low - this.low);
    this.high += speed * (high - this.high);
    for (let column = 0; column < this.n; column++) this.paint(column);
  }

  // Takes an event or onset: {id, time, start, end, label, score}.
  mark(event) {
    const known = this.events.get(event.id);
    if (known && known.end !== null && event.end === null) return; // repeated after a reconnection
    this.events.set(event.id, event);
    if (this.events.size > 100) this.events.delete(this.events.keys().next().value);
    if (this.still) this.draw();
  }

  // Where an event begins, in seconds of this stream; those of an earlier session by the clock.
  beginOf(event) {
    const byClock = new Date(event.time).getTime() / 1000 - this.began;
    return Math.abs(byClock - event.start) < 10 ? event.start : byClock;
  }

  draw() {
    const { context, width, height } = this;
    context.fillStyle = "#090c1a";
    context.fillRect(0, 0, width, height);
    if (!this.image || this.offset === undefined) {
      context.fillStyle = "#8a97a8";
      context.font = "13px system-ui, sans-serif";
      context.fillText("waiting for sound …", 14, height / 2);
      return;
    }
    const clock = this.still ? this.newest : Math.min(performance.now() / 1000 + this.offset, this.newest + 2);
    this.now = clock - (this.still ? 0 : LATE);
    this.perSecond = width / this.span;
    this.drawColumns();
    this.drawMarks();
    this.drawEvents();
  }

  x(time) {
    return this.width - (this.now - time) * this.perSecond;
  }

  drawColumns() {
    const column = this.seconds * this.perSecond;
    const right = this.x(this.newest); // where the newest column ends
    const shown = Math.min(this.n, Math.ceil(this.width / column) + 12, this.last + 1);
    const first = this.last - shown + 1;
    this.context.imageSmoothingEnabled = true;
    this.context.imageSmoothingQuality = "high";
    let at = first;
    while (at <= this.last) {
      const from = at % this.n;
      const count = Math.min(this.n - from, this.last - at + 1);
      const x = right - (this.last + 1 - at) * column;
      this.context.drawImage(this.smallCanvas, from, 0, count, this.bands, x, 0, count * column + 0.5, this.height);
      at += count;
    }
  }

  drawMarks() {
    const { context, width, height } = this;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "left";
    const [low, high] = this.range.map(mel);
    let lastY = Infinity;
    for (const f of MARKS) {
      const y = height * (1 - (mel(f) - low) / (high - low));
      if (f > this.range[1] * 1.001 || y < 26 || y > height - 20 || lastY - y < 16) continue;
      lastY = y;
      context.strokeStyle = "rgba(255,255,255,0.07)";
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
      this.text(f >= 1000 ? `${f / 1000} kHz` : `${f} Hz`, 8, y, "rgba(233,239,246,0.75)");
    }
    context.textAlign = "center";
    const step = 5;
    const utc = this.now + this.began;
    for (let t = Math.ceil((utc - this.span) / step) * step; t < utc; t += step) {
      const x = this.x(t - this.began);
      if (x < 60 || x > width - 30) continue;
      context.strokeStyle = "rgba(255,255,255,0.06)";
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height);
      context.stroke();
      this.text(recentText(t * 1000), x, height - 11, "rgba(233,239,246,0.7)");
    }
  }

  text(text, x, y, color) {
    const { context } = this;
    context.strokeStyle = "rgba(7,9,18,0.75)";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeText(text, x, y);
    context.lineWidth = 1;
    context.fillStyle = color;
    context.fillText(text, x, y);
  }

  drawEvents() {
    const { context, width, height } = this;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.font = "600 12px system-ui, sans-serif";
    const lanes = [];
    const tags = [];
    const places = [...this.events.values()].map((event) => [this.beginOf(event), event]);
    for (const [begin, event] of places.sort((a, b) => a[0] - b[0])) {
      const left = this.x(begin);
      const right = Math.min(width, event.end === null ? width : this.x(begin + event.end - event.start));
      if (right < 0 || left > width) continue;
      const text = `${labelText(event.label)}  ${event.score === null ? "" : event.score.toFixed(2)}`;
      const length = context.measureText(text).width + 14;
      const x = Math.max(0, Math.min(left, width - length));
      let lane = lanes.findIndex((end) => end < x);
      if (lane < 0) lane = lanes.length;
      lanes[lane] = Math.max(right, x + length) + 4;
      const color = colorOf(event.label);
      context.globalAlpha = 0.13;
      context.fillStyle = color;
      context.fillRect(left, 0, right - left, height);
      context.globalAlpha = 1;
      context.fillRect(left, 0, 1.5, height);
      if (event.end !== null) context.fillRect(right - 1, 0, 1, height);
      tags.push({ text, color, left, right, x, length, y: 6 + lane * 24 });
    }
    for (const { text, color, left, right, x, length, y } of tags) {
      context.fillStyle = color;
      context.fillRect(left, y + 19, Math.max(2, right - left), 3);
      context.beginPath();
      context.roundRect(x, y, length, 20, x > left - 1 ? [0, 5, 5, 0] : 5);
      context.fill();
      context.fillStyle = "#0b0f1a";
      context.fillText(text, x + 7, y + 10.5);
    }
  }
}
