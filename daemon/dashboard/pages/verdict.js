// One thing that is well or is not, and more about it.

import { h } from "./dom.js";
import { icon } from "./icons.js";

export function verdict(well, words, more = "") {
  return h(
    `p.verdict-line.${well ? "well" : "ill"}`,
    {},
    icon(well ? "check" : "warn"),
    h("span", {}, h("strong", {}, words), more ? ` ${more}` : ""),
  );
}
