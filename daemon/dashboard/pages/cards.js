// One card for each conversation that is not idle: its ring, what it is doing, and a link to its details.

import { bdi, fillWhen, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { left, number } from "./format.js";
import { Ring, reducedMotion, countdown } from "./ring.js";
import { beside } from "./router.js";
import { STATES, capital, doing } from "./words.js";

const ENDED = { escalated: "person", silent: "pause", dead: "warn" };
const SIGNS = { queued: "…", retrying: "", holding: "pause", parked: "warn" };

/** A card for a row of /v1/top; `stageOf(conversation)` is the stage of its turn. */
export function card(stageOf) {
  return (first) => {
    const ring = new Ring();
    const name = h("span.card-who", {}, bdi(first.instance), h("span.card-contact", {}, bdi(first.contact)));
    const state = h("span.state");
    const messages = h("span.card-count");
    const words = h("span.card-words");
    const node = h(
      "a.card",
      {},
      ring.node,
      h("span.card-text", {}, h("span.card-top", {}, name, messages), h("span.card-doing", {}, state, words)),
    );
    if (!reducedMotion.matches) node.animate({ opacity: [0, 1] }, { duration: 250, easing: "ease-out" });
    let row = first;
    let deadline = null;
    const stop = countdown(
      () => deadline ?? 0,
      (seconds) => {
        const timeLeft = deadline === null || seconds === 0 ? "" : left(seconds);
        setText(words, afterColon(doing(row, stageOf(row.conversation), timeLeft)));
      },
    );
    return { node, update, leave };

    function update(next) {
      row = next;
      node.href = beside("conversation", row.conversation);
      node.className = `card is-${row.state}${row.ending ? ` of-${row.ending.kind}` : ""}`;
      setText(state, row.ending ? capital(row.ending.words) : STATES[row.state]);
      fillWhen(messages, row.waiting_messages, () => [
        number(row.waiting_messages),
        h("span.visually-hidden", {}, row.waiting_messages === 1 ? " message" : " messages"),
      ]);
      const now = row.at + (row.closes_in_seconds ?? 0) * 1000;
      const runs = row.closes_in_seconds !== null;
      if (!runs || deadline === null || Math.abs(now - deadline) > 200) deadline = runs ? now : null;
      showRing(ring, row, deadline);
    }

    function leave() {
      stop();
      ring.leave();
    }
  };
}

/** `: words` to follow a state; empty for no words. */
export const afterColon = (words) => (words ? `: ${words}` : "");

/** Draw what `row` waits for; `deadline` is null when the time is unknown. */
export function showRing(ring, row, deadline) {
  if (row.state === "answering") return ring.turning();
  if (row.state === "ended") return ring.still(icon(ENDED[row.ending?.kind] ?? "check"), true);
  if (deadline !== null) return ring.until(deadline, wholeOf(ring, row, deadline));
  const sign = SIGNS[row.state];
  ring.still(sign && sign.length > 1 ? icon(sign) : (sign ?? ""), row.state === "parked");
}

/** The length of a window is known; for any other wait the longest time seen so far is taken as the whole. */
function wholeOf(ring, row, deadline) {
  if (row.state === "waiting" && row.window_seconds) return row.window_seconds;
  const now = (deadline - performance.now()) / 1000;
  ring.longest = ring.waitsFor === row.state ? Math.max(ring.longest ?? 0, now) : now;
  ring.waitsFor = row.state;
  return Math.max(1, Math.ceil(ring.longest));
}
