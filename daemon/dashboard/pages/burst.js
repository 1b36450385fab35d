// What Majlis is doing with the burst, in one line above the message box.

import { h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, left, number } from "./format.js";
import { Ring, reducedMotion, countdown } from "./ring.js";
import { turnBadge, turnRule } from "./turn_words.js";
import { capital, reason, why } from "./words.js";

/** The line itself: a ring, words, and a button that closes the window. */
export class BurstLine {
  #ring = new Ring();
  #words = h("p.burst-words");
  #now = h("button.button", { type: "button", hidden: true }, "Answer now");
  #how = h("a.button.quiet", { href: "#progress", onclick: look }, "Show steps");
  #room = null;
  #stop;

  constructor(flush, signal) {
    this.#now.addEventListener("click", flush);
    this.node = h("div.burst", { hidden: true }, this.#ring.node, this.#words, this.#now, this.#how);
    this.#stop = countdown(
      () => this.#room?.deadline ?? 0,
      (seconds) => this.#write(seconds),
    );
    signal.addEventListener("abort", () => (this.#stop(), this.#ring.leave()));
  }

  update(room) {
    this.#room = room;
    const state = room.view?.state;
    const ending = room.turn?.end ? turnBadge({ state: room.turn.end, rule: room.turn.rule }).kind : "";
    const isFine = ending === "done" || ending === "said" || ending === "escalated";
    const after = !room.isBusy && !room.problem && Boolean(room.turn?.end);
    this.node.hidden = !room.isBusy && !room.problem && !after;
    this.node.className = after ? `burst after ${isFine ? "ok" : "error"}` : `burst is-${state}`;
    this.#how.hidden = !after;
    this.#now.hidden = state !== "waiting" || !room.waitingCount;
    if (after) this.#ring.still(icon(ending === "escalated" ? "person" : isFine ? "check" : "warn"), true);
    else if (state === "waiting" && room.deadline !== null)
      this.#ring.until(room.deadline, room.windowSeconds, "until the answer");
    else if (state === "answering" || state === "queued") this.#ring.turning();
    else if (room.deadline !== null)
      this.#ring.until(room.deadline, Math.max(1, this.#secondsLeft()), "until the next attempt");
    else this.#ring.still(icon("pause"));
    this.#write(room.deadline === null ? 0 : Math.max(0, this.#secondsLeft()));
  }

  #secondsLeft() {
    return (this.#room.deadline - performance.now()) / 1000;
  }

  #write(seconds) {
    const room = this.#room;
    if (room) setText(this.#words, room.problem || burstWords(room, seconds));
  }
}

/** `2 of 5 messages, answers in 4.2 s`, or what is being done with them. */
function burstWords(room, seconds) {
  const { view, turn } = room;
  switch (view?.state) {
    case "waiting":
      return `${number(room.waitingCount)} of ${number(room.maxMessages)} messages, answers in ${left(seconds)}`;
    case "queued":
      return "Window closed, waiting for a free slot";
    case "answering": {
      const next = room.waitingCount ? `; ${count(room.waitingCount, "message")} for the next turn` : "";
      return `${stageWords(turn)}${next}`;
    }
    case "retrying":
      return `${capital(why(view.why))}. Next attempt in ${left(seconds)}`;
    case "holding":
      return `Holding: ${why(view.why)}`;
    case "parked":
      return "Parked after too many failures";
    default:
      return turn?.end ? afterwards(turn) : "";
  }
}

function afterwards(turn) {
  const batch = count(turn.messageCount, "message");
  if (turn.end === "suppressed") return `${batch}, no answer: ${turnRule({ state: turn.end, rule: turn.rule })}`;
  if (turn.rule) return `${batch}: ${turnRule({ state: turn.end, rule: turn.rule })}`;
  if (turn.end === "dead") return `${batch} not answered${turn.reason ? `: ${reason(turn.reason)}` : ""}`;
  const sent = turn.parts > 1 ? `one answer in ${count(turn.parts, "message")}` : "one answer";
  return `${batch}, ${sent}`;
}

/** To the stages: on a phone they are below the chat. */
function look(event) {
  event.preventDefault();
  document.getElementById("progress").scrollIntoView({ behavior: reducedMotion.matches ? "auto" : "smooth" });
}

function stageWords(turn) {
  if (turn?.responderMs !== undefined && turn?.responderMs !== null) return "Sending the reply …";
  if (turn?.lookupsMs !== undefined && turn?.lookupsMs !== null) return "Asking the responder …";
  return "Running lookups …";
}
