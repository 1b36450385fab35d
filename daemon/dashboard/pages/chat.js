// The chat as on a phone: bubbles, each with its own text direction, time, and ticks for its state.

import { h, keyed, s, messageText } from "./dom.js";
import { clock, ms } from "./format.js";

const NEAR_END_PIXELS = 80;
const STATES = {
  sending: "sending",
  failed: "not stored",
  acknowledged: "stored",
  answered: "answered",
  ended: "no answer",
};

export class Chat {
  #parts = new Map();
  #list = h("ol.bubbles", { role: "log", "aria-label": "Messages", "aria-live": "polite" });
  #room = null;

  /** `again(message)` sends a failed message again. */
  constructor(again) {
    this.again = again;
    this.node = h("div.chat-scroll", { tabindex: "0", "aria-label": "Chat" }, this.#list);
  }

  update(room) {
    if (this.#room !== room.label) {
      this.#room = room.label;
      this.#list.replaceChildren();
      this.#parts.clear();
    }
    const scroll = this.node;
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PIXELS;
    const before = room.messages.length !== this.#parts.size;
    keyed(this.#list, this.#parts, room.messages, keyOf, (message) => this.#bubble(message));
    if (before && (atEnd || room.messages.at(-1)?.from === "customer")) scroll.scrollTop = scroll.scrollHeight;
  }

  #bubble(first) {
    const ours = first.from === "majlis";
    const ticks = h("span.ticks");
    const about = h("span.bubble-about", {}, h("time", {}, clock(first.at_ms)), ours ? null : ticks);
    const failed = h("div.bubble-failed", { hidden: true });
    const node = h(
      `li.bubble.${ours ? "from-majlis" : "from-customer"}`,
      {},
      h("span.visually-hidden", {}, ours ? "Majlis: " : "You: "),
      messageText(first.text),
      about,
      failed,
    );
    return { node, update: (message) => ours || this.#show(message, node, ticks, failed) };
  }

  #show(message, node, ticks, failed) {
    if (node.dataset.state === message.state) return;
    node.dataset.state = message.state;
    const took = message.tookMs === undefined ? "" : ` in ${ms(message.tookMs)}`;
    const words = message.state === "acknowledged" ? `${STATES.acknowledged}${took}` : STATES[message.state];
    ticks.replaceChildren(sign(message.state), h("span.ticks-words", {}, words));
    failed.hidden = message.state !== "failed";
    if (message.state === "failed") {
      const again = h("button.button", { type: "button", onclick: () => this.again(message) }, "Send again");
      failed.replaceChildren(h("span", {}, message.why), again);
    }
  }
}

/** A message keeps its bubble when its gateway id becomes known. */
const keys = new WeakMap();
let latest = 0;
function keyOf(message) {
  if (!keys.has(message)) keys.set(message, (latest += 1));
  return keys.get(message);
}

const TICK = "M1.5 6.5l3 3 6-7";
const SECOND = "M7 9.5l6-7";

function sign(state) {
  const paths = {
    sending: ["M6 2v4l2.5 2"],
    failed: ["M6 1.5v5M6 9.5v.3"],
    acknowledged: [TICK],
    ended: [TICK],
    answered: [TICK, SECOND],
  }[state];
  return s(
    "svg.tick",
    { viewBox: "0 0 14 12", "aria-hidden": "true" },
    paths.map((d) => s("path", { d })),
  );
}

/** The legend of the ticks. */
export function tickLegend() {
  return h(
    "ul.tick-legend",
    {},
    h("li", {}, sign("acknowledged"), h("span", {}, "acknowledged: stored durably, cannot be lost")),
    h("li", { class: "answered" }, sign("answered"), h("span", {}, "answered")),
  );
}
