// Right, wrong or another label, by button or key; the other label with completion.

import { h, icon, ICONS, labelText } from "./dom.js";

// A field for a label that completes what is typed; onchoose is called with the label.
export function labelField(labels, onchoose, oncancel = () => {}) {
  let options = [];
  let chosen = 0;
  const list = h("ul.options", { role: "listbox", id: "label-options" });
  const field = h("input", {
    type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "label-options",
    "aria-label": "True label", placeholder: "True label", autocomplete: "off", spellcheck: "false", maxlength: "200",
  });
  const element = h("div.label-field", {}, field, list);
  const fill = () => {
    const typed = field.value.trim().toLowerCase();
    const matches = (label) => labelText(label).toLowerCase().includes(typed) || label.toLowerCase().includes(typed);
    const starts = (label) => label.toLowerCase().startsWith(typed);
    options = labels.filter(matches).sort((a, b) => starts(b) - starts(a)).slice(0, 8);
    if (typed && !options.some((label) => label.toLowerCase() === typed)) options.push(field.value.trim());
    chosen = Math.min(chosen, Math.max(0, options.length - 1));
    list.replaceChildren(...options.map((label, at) =>
      h("li", {
        role: "option", id: `option-${at}`, "aria-selected": String(at === chosen),
        onmousedown: (event) => {
          event.preventDefault();
          onchoose(label);
        },
      }, labels.includes(label) ? labelText(label) : `new label: ${label}`)));
    field.setAttribute("aria-activedescendant", options.length ? `option-${chosen}` : "");
  };
  field.addEventListener("input", () => {
    chosen = 0;
    fill();
  });
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % Math.max(1, options.length);
      fill();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (options.length && field.value.trim()) onchoose(options[chosen]);
    } else if (event.key === "Escape") {
      oncancel();
    }
  });
  field.addEventListener("focus", fill);
  return { element, field };
}

export function verdictText(event) {
  if (event.verdict === "other") return `is ${labelText(event.verdict_label)}`;
  return event.verdict || "";
}

export function verdictChip(event) {
  if (!event.verdict) return null;
  const path = { right: ICONS.check, wrong: ICONS.cross, other: ICONS.tag }[event.verdict];
  return h(`span.verdict.${event.verdict}`, {}, icon(path), verdictText(event));
}

// The buttons; judge(verdict, label) is called with what was chosen. Keys are handled by `key`.
export class VerdictBar {
  constructor(labels, judge, { canWrite = true, undo = null } = {}) {
    this.judge = judge;
    this.labels = labels;
    this.canWrite = canWrite;
    this.undo = undo;
    this.place = h("div.label-place");
    const button = (kind, path, text, key, call) =>
      h(`button.button.verdict-button.${kind}`, { type: "button", disabled: !canWrite, "aria-keyshortcuts": key, onclick: call },
        icon(path), text, h("kbd", {}, key));
    this.buttons = {
      right: button("right", ICONS.check, "Right", "R", () => judge("right")),
      wrong: button("wrong", ICONS.cross, "Wrong", "W", () => judge("wrong")),
      other: button("other", ICONS.tag, "Other label", "O", () => this.ask()),
    };
    this.element = h("div.verdicts", { role: "group", "aria-label": "Verdict" }, Object.values(this.buttons), this.place);
    if (!canWrite) this.element.append(h("p.muted", {}, "Sign in with the owner's token to judge events."));
  }

  show(event) {
    this.close();
    this.update(event);
  }

  // Marks the verdict that was given, and leaves alone what is being typed.
  update(event) {
    for (const [kind, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", String(event.verdict === kind));
    this.buttons.other.childNodes[1].textContent = event.verdict === "other" ? labelText(event.verdict_label) : "Other label";
  }

  ask() {
    if (!this.canWrite) return;
    const close = () => this.close(true);
    const { element, field } = labelField(this.labels(), (label) => {
      close();
      this.judge("other", label);
    }, close);
    this.place.replaceChildren(element);
    field.focus();
  }

  close(refocus = false) {
    const had = this.place.contains(document.activeElement);
    this.place.replaceChildren();
    if (refocus && had) this.buttons.other.focus();
  }

  // Whether the key was one of a verdict's.
  key(event) {
    if (!this.canWrite || event.ctrlKey || event.metaKey || event.altKey) return false;
    const key = event.key.toLowerCase();
    if (key === "r") this.judge("right");
    else if (key === "w") this.judge("wrong");
    else if (key === "o") this.ask();
    else if (key === "u" && this.undo) this.undo();
    else return false;
    event.preventDefault();
    return true;
  }
}
