// What Majlis does with the burst, in one line at the chat.

import { h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, left } from "./format.js";
import { Ring, calm, countdown } from "./ring.js";
import { reason, rule, why } from "./words.js";

/** The line at the chat: its ring and words, and a button that ends the waiting. */
export class BurstLine {
  #ring = new Ring();
  #words = h("p.burst-words");
  #now = h("button.button", { type: "button", hidden: true }, "Answer now");
  #how = h("a.button.quiet", { href: "#behind", onclick: look }, "See how");
  #room = null;
  #stop;

  constructor(flush, signal) {
    this.#now.addEventListener("click", flush);
    this.node = h("div.burst", { hidden: true }, this.#ring.node, this.#words, this.#now, this.#how);
    this.#stop = countdown(
      () => this.#room?.deadline ?? 0,
      (seconds) => this.#tell(seconds),
    );
    signal.addEventListener("abort", () => (this.#stop(), this.#ring.leave()));
  }

  update(room) {
    this.#room = room;
    const state = room.view?.state;
    const after = !room.isBusy && !room.trouble && Boolean(room.turn?.end);
    this.node.hidden = !room.isBusy && !room.trouble && !after;
    this.node.className = after ? `burst after ${room.turn.end === "done" ? "well" : "ill"}` : `burst is-${state}`;
    this.#how.hidden = !after;
    this.#now.hidden = state !== "waiting" || !room.heard;
    if (after) this.#ring.still(icon(room.turn.end === "done" ? "check" : "warn"), true);
    else if (state === "waiting" && room.deadline !== null)
      this.#ring.until(room.deadline, room.windowSeconds, "until the answer");
    else if (state === "answering" || state === "queued") this.#ring.turning();
    else if (room.deadline !== null)
      this.#ring.until(room.deadline, Math.max(1, (room.deadline - performance.now()) / 1000), "until the next try");
    else this.#ring.still(icon("pause"));
    this.#tell(room.deadline === null ? 0 : Math.max(0, (room.deadline - performance.now()) / 1000));
  }

  #tell(seconds) {
    const room = this.#room;
    if (room) setText(this.#words, room.trouble || burstWords(room, seconds));
  }
}

/** `Heard 2 of 5, answers in 4.2 s`, or what is done with them. */
function burstWords(room, seconds) {
  const { view, turn } = room;
  switch (view?.state) {
    case "waiting":
      return `Heard ${room.heard} of ${room.maxMessages}, answers in ${left(seconds)}`;
    case "queued":
      return "Heard. Waits for a free turn";
    case "answering": {
      const next = room.heard ? `; heard ${count(room.heard, "message")} for the next answer` : "";
      return `${stageWords(turn)}${next}`;
    }
    case "retrying":
      return `${why(view.why)}. Tries again in ${left(seconds)}`;
    case "holding":
      return `Held: ${why(view.why)}`;
    case "parked":
      return "Parked after too many failures";
    default:
      return turn?.end ? afterwards(turn) : "";
  }
}

function afterwards(turn) {
  const heard = count(turn.heard, "message");
  if (turn.end === "suppressed") return `${heard}: ${rule(turn.rule)}`;
  if (turn.end === "dead") return `${heard} could not be answered${turn.reason ? `: ${reason(turn.reason)}` : ""}`;
  const sent = turn.parts > 1 ? `one answer in ${count(turn.parts, "message")}` : "one answer";
  return `${heard}, ${sent}`;
}

/** Where the stages stand: on a phone they are below the chat. */
function look(event) {
  event.preventDefault();
  document.getElementById("behind").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
}

function stageWords(turn) {
  if (turn?.responderMs !== undefined && turn?.responderMs !== null) return "Sending the reply …";
  if (turn?.lookupsMs !== undefined && turn?.lookupsMs !== null) return "Asking the responder …";
  return "Looking things up …";
}
