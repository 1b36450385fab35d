// What the health page says about the doors: webhooks that were refused for good, open doors, the sweep.

import { bdi, h } from "./dom.js";
import { count, duration, number } from "./format.js";
import { icon } from "./icons.js";
import { statusLine } from "./status_line.js";
import { FOUND, reason } from "./words.js";

/** Webhooks that were refused for good since the start, with what to do about each reason. */
export function lostWebhooks(all) {
  return all.map((one) =>
    box(
      "",
      `${count(one.count, "webhook")} refused for good: ${reason(one.reason)}`,
      ` ${duration(one.seconds_ago)} ago`,
      [
        "Instances: ",
        listed(one.instances, number),
        `. ${sentence(one.advice)}`,
      ],
    ),
  );
}

/** Doors that are open to more than this machine. */
export function doorWarnings(sentences) {
  return sentences.map((words) => {
    const [danger, ...advice] = words.split(/(?<=\.) /);
    return box(".warn", sentence(danger), "", advice.join(" "));
  });
}

/** Whether the gateways' records are compared; null where nothing is swept. */
export function sweepLine(sweep) {
  if (!sweep) return null;
  const last = sweep.last_done_seconds;
  const compared = last === null ? "none compared yet" : `the last compared ${duration(last)} ago`;
  const found = Object.entries(sweep.found).map(([what, amount]) => `${number(amount)} ${FOUND[what] ?? what}`);
  const behind = Object.keys(sweep.behind).length > 0;
  return statusLine(behind ? "warn" : "ok", "Sweep", [
    `of ${count(sweep.instances, "instance")}, ${compared}.`,
    found.length ? ` Found without a webhook: ${found.join(", ")}.` : "",
    behind ? [" Not compared: ", listed(sweep.behind, (why) => `(${reason(why)})`), "."] : "",
  ]);
}

/** `demo 2, shop 1`: instances, each with what `show` makes of its value. */
function listed(byInstance, show) {
  return Object.entries(byInstance).map(([name, value], place) => [place ? ", " : "", bdi(name), ` ${show(value)}`]);
}

function box(kind, title, since, words) {
  return h(
    `div.raised-alert${kind}`,
    {},
    icon("warn"),
    h("div", {}, h("p", {}, h("strong", {}, title), since ? h("span.since", {}, since) : null), h("p", {}, words)),
  );
}

/** With a capital and a full stop, but a quoted setting as it is written. */
function sentence(words) {
  const whole = /^[a-z]+[._]/.test(words) ? words : words[0].toUpperCase() + words.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
