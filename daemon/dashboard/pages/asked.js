// A thing that is asked for again and again while it is shown, and told of in words when it cannot be had.

import { ApiError, get } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

const MASKED = "Phone numbers and texts are hidden.";

/** Ask now and every `everyMs`; `show(view)` draws it. Gives back a function that asks at once. */
export function asked(root, path, query, everyMs, signal, show) {
  let timer = 0;
  let shown = false;
  ask();
  signal.addEventListener("abort", () => clearTimeout(timer));
  return ask;

  async function ask() {
    clearTimeout(timer);
    try {
      const view = await get(path, query());
      if (signal.aborted) return;
      if (!shown) root.replaceChildren();
      shown = true;
      show(view);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (signal.aborted) return;
      if (!shown || error.status === 404) {
        shown = false;
        fill(root, h("p.empty-line", {}, icon("warn"), error.message));
      }
    }
    clearTimeout(timer);
    if (!signal.aborted && everyMs) timer = setTimeout(ask, everyMs);
  }
}

/** What stands where texts are masked: why, and for those who may, the way to see them. */
export function veil(mayReveal, revealed, reveal) {
  if (revealed) return h("p.veil", {}, icon("warn"), "Phone numbers and texts are shown. That you looked is recorded.");
  if (!mayReveal) return h("p.veil", {}, `${MASKED} They are shown at level admin alone.`);
  return h(
    "p.veil",
    {},
    MASKED,
    " ",
    h("button.button", { type: "button", onclick: reveal }, "Show them"),
    " That you looked is recorded.",
  );
}
