// What the instance does: one of four modes, each with a sentence; a change is asked about first.

import { bdi, fillWhen, h } from "./dom.js";
import { confirmAction, showToast } from "./feedback.js";
import { addressInput, refusalWords } from "./fields.js";
import { MODES, NEEDS, isUnset } from "./instance_words.js";
import { store } from "./store.js";

const ADDRESS = "passthrough.url";

export class Mode {
  node = h("div");
  #page;
  #hasAddress = false;

  constructor(page) {
    this.#page = page;
  }

  update(view) {
    this.#hasAddress = view.values.some((one) => one.key === ADDRESS && !isUnset(one));
    fillWhen(this.node, view.mode, () => this.#choices(view.mode));
  }

  #choices(current) {
    const may = store.may("operate");
    return [
      h(
        "ul.modes",
        {},
        Object.entries(MODES).map(([mode, { name, does }]) =>
          h(
            "li",
            {},
            h(
              "button.mode-choice",
              {
                type: "button",
                disabled: !may || mode === current,
                "aria-pressed": String(mode === current),
                onclick: () => this.#choose(mode),
              },
              h("strong", {}, name, mode === current ? h("span.quiet", {}, " now") : null),
              h("span", {}, does),
            ),
          ),
        ),
      ),
      may ? null : h("p.quiet", {}, NEEDS.operate),
    ];
  }

  async #choose(mode) {
    const { name, does, then } = MODES[mode];
    const address = mode === "passthrough" && !this.#hasAddress && store.may("admin") ? addressInput() : null;
    const about = [
      `${does} ${then}`,
      address && h("label.asked", {}, "The old address, where what comes is forwarded to", address),
    ];
    const title = [`Change `, bdi(this.#page.name), ` to ${name.toLowerCase()}?`];
    if (!(await confirmAction(title, about, `Change to ${name.toLowerCase()}`))) return;
    const forward = address?.value.trim() ? { [ADDRESS]: address.value.trim() } : {};
    const refusal = await this.#page.change({ ...forward, mode });
    const words = refusal ? refusalWords(refusal.message, this.#page.name) : `Mode ${name.toLowerCase()} is in force.`;
    showToast(words, refusal ? "error" : "ok");
  }
}
