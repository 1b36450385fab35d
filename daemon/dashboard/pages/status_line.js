// One check: a sign for ok, warning, error or nothing to say, a title, details, and what to do.

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** `state`: true or "ok", "warn", false or "error"; "quiet": nothing to say. */
export function statusLine(state, title, details = "", advice = "") {
  const kind = { true: "ok", false: "error" }[state] ?? state;
  return h(
    `p.status-line.${kind}`,
    {},
    icon({ ok: "check", quiet: "pause" }[kind] ?? "warn"),
    h(
      "span",
      {},
      h("strong", {}, title),
      details ? [" ", h("span", {}, details)] : null,
      advice ? h("span.advice", {}, advice) : null,
    ),
  );
}
