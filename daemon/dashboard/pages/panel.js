// The drawer beside a view: one conversation, turn, message or dead letter.

import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { conversation } from "./panel_conversation.js";
import { explain } from "./panel_explain.js";
import { deadLetter } from "./panel_dead_letter.js";
import { turn } from "./panel_turn.js";
import { go, here, place } from "./router.js";

const KINDS = { conversation, turn, explain, "dead-letter": deadLetter };

class Panel {
  #body = h("div.panel-body");
  #title = h("h2.panel-title", { id: "panel-title", tabindex: "-1" });
  #back = h(
    "button.button.quiet.round",
    { type: "button", "aria-label": "Back", onclick: () => history.back() },
    icon("back"),
  );
  #close = h(
    "button.button.quiet.round",
    { type: "button", "aria-label": "Close", onclick: () => this.#dialog.close() },
    icon("close"),
  );
  #dialog = h(
    "dialog.panel",
    { "aria-labelledby": "panel-title" },
    h("div.panel-head", {}, this.#back, this.#title, this.#close),
    this.#body,
  );
  #key = "";
  #depth = 0;
  #ended = null;

  constructor() {
    document.body.append(this.#dialog);
    this.#dialog.addEventListener("close", () => place().panel && go(here()));
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  /** `opened` as `place()` returns it; null closes the drawer. */
  show(opened) {
    const known = opened && KINDS[opened.kind] ? opened : null;
    const key = known ? JSON.stringify(known) : "";
    if (key === this.#key) return;
    this.#key = key;
    this.#ended?.abort();
    this.#ended = null;
    if (!known) {
      this.#depth = 0;
      this.#dialog.close();
      return;
    }
    this.#depth += 1;
    this.#back.hidden = this.#depth < 2;
    this.#ended = new AbortController();
    fill(this.#body, h("p.empty-line", {}, "…"));
    this.#body.scrollTop = 0;
    KINDS[known.kind](this.#body, this.#title, known, this.#ended.signal);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#title.focus({ preventScroll: true });
  }
}

export const panel = new Panel();
