// One check: a sign for ok, warning or error, a title, details, and what to do.

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** `state`: true or "ok", "warn", false or "error". */
export function statusLine(state, title, details = "", advice = "") {
  const kind = { true: "ok", false: "error" }[state] ?? state;
  return h(
    `p.status-line.${kind}`,
    {},
    icon(kind === "ok" ? "check" : "warn"),
    h(
      "span",
      {},
      h("strong", {}, title),
      details ? [" ", h("span", {}, details)] : null,
      advice ? h("span.advice", {}, advice) : null,
    ),
  );
}
