// Who changed what and when, the latest first, each with a button that brings it back.

import { ApiError, get, post } from "./api.js";
import { bdi, fill, fillWhen, h } from "./dom.js";
import { textDifference } from "./differences.js";
import { confirmAction, showToast } from "./feedback.js";
import { moment, number } from "./format.js";
import { icon } from "./icons.js";
import { DEEDS, MASK, NEEDS } from "./instance_words.js";
import { store } from "./store.js";

const FEW = 10;
const MORE = 100;

export class History {
  node = h("div");
  #page;
  #limit = FEW;
  #version = null;
  #list = h("ol.versions");

  constructor(page) {
    this.#page = page;
    fill(this.node, this.#list);
  }

  /** Loaded again when there is another version. */
  update(view) {
    if (view.version === this.#version) return;
    this.#version = view.version;
    this.#load();
  }

  async #load() {
    const { path, signal } = this.#page;
    const found = await get(`${path}/history`, { limit: this.#limit }).catch((error) => error);
    if (signal.aborted) return;
    if (found instanceof Error) {
      if (!(found instanceof ApiError)) throw found;
      this.#version = null; // with the next look
      delete this.#list.dataset.signature;
      return void fill(this.#list, h("li.empty-line", {}, found.message));
    }
    const { versions } = found;
    fillWhen(this.#list, [versions, this.#version], () => [
      versions.length ? null : h("li.empty-line", {}, "Nothing was changed yet."),
      versions.map((one) => this.#line(one)),
      versions.length === FEW && this.#limit === FEW ? h("li", {}, this.#earlier()) : null,
      store.may("operate") ? null : h("li.quiet", {}, NEEDS.operate),
    ]);
  }

  #earlier() {
    const more = () => ((this.#limit = MORE), this.#load());
    return h("button.button", { type: "button", onclick: more }, "Show earlier versions");
  }

  #line(one) {
    const isNow = one.version === this.#version;
    const back = () => this.#restore(one);
    return h(
      "li.version",
      {},
      h(
        "p.version-head",
        {},
        h("strong", {}, `Version ${number(one.version)}`),
        h("span.quiet", {}, [DEEDS[one.what] ?? one.what, " ", moment(one.at), " by ", bdi(one.by)]),
        isNow
          ? h("span.mode", {}, "in force")
          : store.may("operate")
            ? h("button.button", { type: "button", onclick: back }, icon("retry"), "Back to this version")
            : null,
      ),
      one.why ? h("p.quiet", {}, "Reason: ", bdi(one.why)) : null,
      h("ul.changes", {}, one.changes.map(change)),
    );
  }

  async #restore(one) {
    const { name, path } = this.#page;
    const sure = await confirmAction(
      ["Bring ", bdi(name), ` back to version ${number(one.version)}?`],
      "All settings become what they were then, as a new version. Keys and tokens stay as they are.",
      "Bring it back",
    );
    if (!sure) return;
    const refusal = await post(`${path}/restore`, {}, { version: one.version }).catch((error) => error);
    if (refusal instanceof Error) return showToast(refusal.message, "error");
    showToast(`The settings of version ${number(one.version)} are in force.`);
    await this.#page.changed();
  }
}

function change({ key, before, after }) {
  const isText = [before, after].some((text) => text?.includes("\n"));
  return h(
    "li",
    {},
    h("code", {}, key),
    " ",
    isText ? textDifference(before ?? "", after ?? "") : [value(before), " → ", value(after)],
  );
}


function value(one) {
  if (one === null) return h("em.quiet", {}, "not set");
  return one === MASK ? h("em", {}, "a value that is never shown") : bdi(one);
}
