// One check: a sign for ok or not, a title, and details.

import { h } from "./dom.js";
import { icon } from "./icons.js";

export function statusLine(isOk, title, details = "") {
  return h(
    `p.status-line.${isOk ? "ok" : "error"}`,
    {},
    icon(isOk ? "check" : "warn"),
    h("span", {}, h("strong", {}, title), details ? [" ", h("span", {}, details)] : null),
  );
}
