// The prompt, in an editor of its own: large, and in the direction of what is written.

import { fillWhen, h } from "./dom.js";
import { aboutKey, field, refusalWords, textInput } from "./fields.js";
import { showToast } from "./feedback.js";
import { count } from "./format.js";
import { Trial } from "./instance_try.js";
import { NEEDS, isOwn, isUnset } from "./instance_words.js";
import { store } from "./store.js";

export class Prompt {
  #page;
  #stored = null; // as the daemon has it; the editor may be ahead
  #may = store.may("operate");
  #trial;
  #save = h("button.button.strong", { type: "submit", disabled: true }, "Save");
  #undo = h("button.button", { type: "button", hidden: true }, "Discard changes");
  #about = h("p.quiet");
  #field = field("What the model is told about the business", textInput("", { rows: 14, class: "prompt-editor" }));

  constructor(page) {
    this.#page = page;
    this.#trial = new Trial(page, () => (this.#isAhead ? this.#field.value : null));
    const { input } = this.#field;
    input.readOnly = !this.#may;
    input.addEventListener("input", () => this.#show());
    this.#undo.addEventListener("click", () => this.#take(this.#stored));
    const form = h(
      "form.fields",
      { onsubmit: (event) => (event.preventDefault(), this.#keep()) },
      this.#field.node,
      this.#about,
      h("div.row", {}, this.#save, this.#undo, this.#may ? null : h("span.quiet", {}, NEEDS.operate)),
    );
    this.node = h("div", {}, form, this.#trial.node);
    // A page that is left with something unsaved asks first.
    window.addEventListener("beforeunload", (event) => this.#isAhead && event.preventDefault(), {
      signal: page.signal,
    });
  }

  update(view) {
    const found = view.values.find((one) => one.key === "prompt");
    const text = !found || isUnset(found) ? "" : found.value;
    const origin = found && isOwn(found) ? found.origin : "";
    fillWhen(this.#about, [text.length, origin], () => this.#words(text, origin));
    if (text === this.#stored) return;
    const written = this.#isAhead && this.#field.value !== text;
    this.#stored = text;
    this.#trial.clear();
    if (written) this.#field.problem("Somebody else has changed it since; saving replaces that.");
    else this.#take(text);
    this.#show();
  }

  get #isAhead() {
    return this.#stored !== null && this.#field.value !== this.#stored;
  }

  #words(text, origin) {
    if (!text) return "There is none: the model knows nothing about the business.";
    return [`${count(text.length, "character")}${origin ? ". From " : "."}`, origin ? [origin, "."] : null];
  }

  #take(text) {
    this.#field.input.value = text;
    this.#field.problem("");
    this.#show();
  }

  #show() {
    this.#save.disabled = !this.#may || !this.#isAhead;
    this.#undo.hidden = !this.#isAhead;
  }

  async #keep() {
    this.#field.problem("");
    const text = this.#field.value;
    const refusal = await (text.trim() ? this.#page.change({ prompt: text }) : this.#page.change({}, ["prompt"]));
    if (refusal) return this.#field.problem(aboutKey(refusal.message, "prompt", this.#page.name) ?? refusalWords(refusal.message, this.#page.name));
    showToast("The prompt is in force: the next answer follows it.");
  }
}
