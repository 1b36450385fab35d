// Polls a resource while it is shown, and shows a sentence when it cannot be loaded.

import { ApiError, get } from "./api.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

const MASKED = "Phone numbers and texts are hidden.";

/** Load it now and every `everyMs`; `show(view)` draws it. Returns a function that reloads at once. */
export function poll(root, path, query, everyMs, signal, show) {
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

/** The notice beside masked texts, with a button for those who may reveal them. */
export function maskNotice(mayReveal, revealed, reveal) {
  if (revealed)
    return h("p.mask-notice", {}, icon("warn"), "Phone numbers and texts are shown. The audit log has recorded this.");
  if (!mayReveal) return h("p.mask-notice", {}, `${MASKED} Access level admin can reveal them.`);
  return h(
    "p.mask-notice",
    {},
    MASKED,
    " ",
    h("button.button", { type: "button", onclick: reveal }, "Reveal"),
    " This is recorded in the audit log.",
  );
}
