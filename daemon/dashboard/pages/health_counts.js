// The counts of the health page, each period by itself: what is now, and what happened since this daemon started.

import { h } from "./dom.js";
import { duration, number } from "./format.js";
import { reason } from "./words.js";
import { turnBadge } from "./turn_words.js";

/** What is so at this moment. */
export function present(status) {
  const silent = {
    "taken over": status.taken_over,
    escalated: status.escalated,
    "opted out": status.opted_out,
    "silent to a machine": status.machines,
  };
  const oldest = status.oldest_waiting_seconds;
  return tiles(
    tile("Messages waiting", status.waiting_messages, oldest ? [`the oldest for ${duration(oldest)}`] : []),
    tile("Silent conversations", sum(silent), listed(silent)),
    tile("Open dead letters", status.dead_letters_open),
    tile("Webhooks to forward", status.forwards_waiting, given(status.forwards_dead, "could not be forwarded")),
    tile("Notices waiting", status.notices_waiting, given(status.notices_given_up, "given up")),
  );
}

/** What this daemon counted since its start; a total of turns is followed by its rules, all of them. */
export function sinceTheStart(status, top) {
  const { ingress } = status;
  const { said_by_rule: said, suppressed_by_rule: silent } = status;
  const shortly = (state) => (rule) => turnBadge({ state, rule }).words;
  return tiles(
    tile("Messages acknowledged", ingress.accepted, given(ingress.duplicate, "came again and were known")),
    tile("Webhooks to forward", ingress.forwarded),
    tile("Turns answered", top.counters["turn.done"], [
      ...given(status.cache_hits, "from the response cache"),
      ...listed(said, shortly("done"), "by rule: "),
    ]),
    tile("Turns not answered", top.counters["turn.suppressed"], listed(silent, shortly("suppressed"))),
    tile("Turns that failed for good", top.counters["turn.dead"], ["each is a dead letter"]),
    tile("Webhooks ignored", sum(ingress.ignored), listed(ingress.ignored, reason)),
    tile("Refused, to come again", sum(ingress.refused), listed(ingress.refused, reason)),
    tile("Unreadable", ingress.unreadable),
    tile("Wrong token", ingress.unauthorized),
  );
}

/** The period of these counts, in words. */
export const period = (top) => `the last ${duration(top.uptime_seconds)}, since this daemon started`;

const sum = (counts) => Object.values(counts).reduce((all, one) => all + one, 0);
const given = (amount, words) => (amount ? [`${number(amount)} ${words}`] : []);

/** `escalated: 3`, the most frequent first. */
function listed(counts, words = (name) => name, before = "") {
  return Object.entries(counts)
    .filter(([, amount]) => amount)
    .sort(([, one], [, other]) => other - one)
    .map(([name, amount]) => `${before}${words(name)}: ${number(amount)}`);
}

const tiles = (...all) => h("div.tiles", {}, all);

function tile(title, amount, more = []) {
  return h(
    "div.tile",
    {},
    h("span.tile-title", {}, title),
    h("span.tile-value", {}, number(amount)),
    more.length
      ? h(
          "ul.tile-more",
          {},
          more.map((words) => h("li", {}, words)),
        )
      : null,
  );
}
