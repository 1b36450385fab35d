// What the instance does: one of four modes, each with a sentence; a change is asked about first.

import { bdi, fillWhen, h } from "./dom.js";
import { confirmAction, showToast } from "./feedback.js";
import { MODES, NEEDS } from "./instance_words.js";
import { store } from "./store.js";

export class Mode {
  node = h("div");
  #page;

  constructor(page) {
    this.#page = page;
  }

  update(view) {
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
    const title = [`Change `, bdi(this.#page.name), ` to ${name.toLowerCase()}?`];
    if (!(await confirmAction(title, `${does} ${then}`, `Change to ${name.toLowerCase()}`))) return;
    const refusal = await this.#page.change({ mode });
    showToast(refusal ? refusal.message : `Mode ${name.toLowerCase()} is in force.`, refusal ? "error" : "ok");
  }
}
