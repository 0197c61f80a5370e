// The sound of an event: its spectrogram with the event marked, a playhead, loop and speed.

import { colorOf, h, icon, ICONS } from "./dom.js";

const SPEEDS = [1, 0.5, 0.25];

export class Player {
  // urls: {sound, picture(width, height)}; clip: {seconds, offset, length}; label for the color.
  constructor({ autoplay = false } = {}) {
    this.autoplay = autoplay;
    this.audio = h("audio", { preload: "auto" });
    this.image = h("img", { alt: "", draggable: false });
    this.region = h("div.region", { "aria-hidden": "true" });
    this.head = h("div.playhead", { "aria-hidden": "true" });
    this.message = h("p.player-message", {});
    this.time = h("span.player-time.number", { "aria-hidden": "true" });
    this.screen = h("div.screen.player-screen", {
      role: "slider", tabindex: "0", "aria-label": "Position in the sound", "aria-valuemin": "0",
    }, this.image, this.region, this.head, this.message, this.time);
    this.playButton = h("button.button.play", { type: "button", "aria-keyshortcuts": "Space", onclick: () => this.toggle() }, icon(ICONS.play), h("span", {}, "Play"), h("kbd", {}, "space"));
    this.loopButton = h("button.button.quiet", { type: "button", "aria-pressed": "false", "aria-keyshortcuts": "L", onclick: () => this.setLoop(!this.audio.loop) }, icon(ICONS.loop), "Loop", h("kbd", {}, "L"));
    this.speedButton = h("button.button.quiet", { type: "button", "aria-keyshortcuts": "S", onclick: () => this.nextSpeed() }, h("span", {}, "1×"), " speed", h("kbd", {}, "S"));
    this.element = h("div.player", {}, this.screen, h("div.player-controls", {}, this.playButton, this.loopButton, this.speedButton));
    this.audio.addEventListener("play", () => this.playing(true));
    this.audio.addEventListener("pause", () => this.playing(false));
    this.audio.addEventListener("loadedmetadata", () => {
      // In a review the event itself is heard first, with a second of what came before it.
      if (this.autoplay && this.clip?.offset > 1) this.audio.currentTime = this.clip.offset - 1;
      this.follow();
    });
    this.audio.addEventListener("error", () => {
      if (this.audio.getAttribute("src")) this.message.textContent = "This sound cannot be played.";
    });
    this.image.addEventListener("error", () => (this.message.textContent = "No sound is stored of this event."));
    this.screen.addEventListener("pointerdown", (event) => this.seek(event));
    this.screen.addEventListener("pointermove", (event) => event.buttons && this.seek(event));
    this.screen.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.audio.currentTime = Math.max(0, Math.min(this.seconds, this.audio.currentTime + step));
      this.follow();
    });
  }

  load({ sound, picture, clip, label, alt }) {
    this.audio.pause();
    this.message.textContent = "";
    this.clip = clip;
    this.image.alt = alt;
    this.head.hidden = false;
    const width = Math.min(1600, Math.max(320, Math.round(this.screen.clientWidth || 640)));
    this.image.src = picture(width, 160);
    this.audio.src = sound;
    this.audio.playbackRate = this.speed || 1;
    this.region.style.borderColor = colorOf(label);
    this.region.style.setProperty("--color", colorOf(label));
    this.follow();
    if (this.autoplay) this.audio.play().catch(() => {});
  }

  unload(message) {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.image.removeAttribute("src");
    this.clip = null;
    this.region.hidden = this.head.hidden = true;
    this.message.textContent = message;
  }

  get seconds() {
    return this.clip?.seconds || this.audio.duration || 0;
  }

  toggle() {
    if (!this.audio.getAttribute("src")) return;
    if (this.audio.paused) this.audio.play().catch(() => (this.message.textContent = "The browser did not play this sound."));
    else this.audio.pause();
  }

  setLoop(loop) {
    this.audio.loop = loop;
    this.loopButton.setAttribute("aria-pressed", String(loop));
  }

  // Slower is lower in pitch as well, which brings high calls into the range of hearing.
  nextSpeed() {
    this.speed = SPEEDS[(SPEEDS.indexOf(this.speed || 1) + 1) % SPEEDS.length];
    this.audio.preservesPitch = false;
    this.audio.playbackRate = this.speed;
    this.speedButton.firstElementChild.textContent = { 1: "1×", 0.5: "½×", 0.25: "¼×" }[this.speed];
  }

  playing(on) {
    this.playButton.replaceChild(icon(on ? ICONS.pause : ICONS.play), this.playButton.firstElementChild);
    this.playButton.childNodes[1].textContent = on ? "Pause" : "Play";
    cancelAnimationFrame(this.frame);
    const step = () => {
      this.follow();
      if (on) this.frame = requestAnimationFrame(step);
    };
    step();
  }

  seek(event) {
    const box = this.screen.getBoundingClientRect();
    this.audio.currentTime = this.seconds * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    this.follow();
  }

  follow() {
    const seconds = this.seconds;
    const now = this.audio.currentTime || 0;
    this.head.style.left = seconds ? `${(100 * now) / seconds}%` : "0%";
    this.time.textContent = seconds ? `${now.toFixed(1)} / ${seconds.toFixed(1)} s` : "";
    this.screen.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.screen.setAttribute("aria-valuenow", now.toFixed(1));
    const offset = this.clip?.offset;
    this.region.hidden = offset === null || offset === undefined || !seconds;
    if (!this.region.hidden) {
      this.region.style.left = `${(100 * offset) / seconds}%`;
      this.region.style.width = `${(100 * Math.min(this.clip.length, seconds - offset)) / seconds}%`;
    }
  }

  // Whether the key was one of the player's.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === " ") this.toggle();
    else if (event.key.toLowerCase() === "l") this.setLoop(!this.audio.loop);
    else if (event.key.toLowerCase() === "s") this.nextSpeed();
    else return false;
    event.preventDefault();
    return true;
  }
}
