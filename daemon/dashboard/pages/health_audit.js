// The audit log: who did or revealed what, and what became of it, the latest first.

import { bdi, fillWhen, h } from "./dom.js";
import { moment } from "./format.js";
import { poll } from "./polling.js";
import { reason } from "./words.js";

const EVERY_MS = 10_000;
const FEW = 8;
const MORE = 200;

/** The list; loaded again while it is shown. */
export function auditLog(signal) {
  const root = h("div");
  const list = h("ul.audit");
  const more = h("button.button", { type: "button", hidden: true, onclick: earlier }, "Show earlier ones");
  let limit = FEW;
  const again = poll(root, "/v1/audit", () => ({ limit }), EVERY_MS, signal, ({ entries }) => {
    if (!list.isConnected) root.append(list, more);
    more.hidden = limit !== FEW || entries.length < FEW;
    fillWhen(list, entries, () =>
      entries.length ? entries.map(line) : h("li.empty-line", {}, "Nobody has done anything yet."),
    );
  });
  return root;

  function earlier() {
    limit = MORE;
    again();
  }
}

function line(one) {
  return h(
    "li",
    {},
    h("span", {}, h("strong", {}, one.action), one.target ? [" ", bdi(one.target)] : null),
    h("span.quiet", {}, `${moment(one.at)}, `, bdi(one.who), outcome(one)),
  );
}

function outcome(one) {
  if (one.outcome === "done") return one.reason ? `: ${reason(one.reason)}` : "";
  if (!one.outcome) return h("strong", {}, ", unknown whether it was done");
  return h("strong.audit-refused", {}, `, ${one.outcome}`, one.reason ? `: ${reason(one.reason)}` : "");
}
