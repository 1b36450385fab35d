// The stages of an answer in the playground, one below the other.

import { fillWhen, h } from "./dom.js";
import { icon } from "./icons.js";
import { count, ms, setting } from "./format.js";
import { CLOSED_BY, reason, rule } from "./words.js";

/** The five stages of an answer: which are over, which one runs, how long each took. */
export class Stages {
  node = h("ol.stages", { "aria-label": "Stages of the answer" });

  update(room) {
    const shown = stagesOf(room);
    fillWhen(this.node, shown, () =>
      shown.map(([name, words, state, took]) =>
        h(
          `li.stage.${state}`,
          { "aria-current": state === "now" ? "step" : null },
          h("span.stage-sign", {}, state === "over" ? icon("check") : state === "ill" ? icon("warn") : null),
          h("span.stage-name", {}, name),
          h("span.stage-took", {}, took),
          h("span.stage-words", {}, words),
        ),
      ),
    );
  }
}

/** [name, words, "over" | "now" | "next" | "ill", time] of each stage. */
function stagesOf(room) {
  const written = room.messages.filter((message) => message.from === "customer");
  const acks = written.filter((message) => message.tookMs !== undefined);
  const slowest = acks.length ? Math.max(...acks.map((message) => message.tookMs)) : null;
  const hearing = room.view?.state === "waiting" && room.heard > 0;
  const turn = hearing ? null : room.turn;
  const known = (value) => value !== undefined && value !== null;
  const over = Boolean(turn?.end);
  const stored = written.some((message) => message.state !== "sending" && message.state !== "failed");
  const sent = turn?.sends.length ?? 0;
  const took = (value) => (known(value) ? ms(value) : "");
  const running = room.view?.state === "answering";
  return [
    [
      "Acknowledged",
      "Each message is stored durably before it gets its tick.",
      stored ? "over" : written.length ? "now" : "next",
      slowest === null ? "" : `${ms(slowest)}`,
    ],
    [
      "Heard out",
      turn
        ? `${count(turn.heard, "message")}${CLOSED_BY[turn.closedBy] ? `: ${CLOSED_BY[turn.closedBy]}` : ""}.`
        : `For ${setting(room.windowSeconds)} after the first message, or until ${room.maxMessages} wait.`,
      turn ? "over" : hearing ? "now" : "next",
      turn?.closedBy === "timeout" ? setting(room.windowSeconds) : "",
    ],
    [
      "Looked up",
      turn?.failures?.length
        ? `Not found in time: ${turn.failures.join(", ")}.`
        : "History, knowledge, settings, side by side.",
      known(turn?.lookupsMs) ? "over" : running ? "now" : "next",
      took(turn?.lookupsMs),
    ],
    [
      "Answered",
      answered(turn),
      known(turn?.responderMs) ? "over" : turn?.trouble ? "ill" : known(turn?.lookupsMs) && running ? "now" : "next",
      took(turn?.responderMs),
    ],
    [
      "Sent",
      ending(turn, sent),
      over ? (turn.end === "done" ? "over" : "ill") : sent || known(turn?.responderMs) ? "now" : "next",
      took(sendsMs(turn)),
    ],
  ];
}

function answered(turn) {
  if (turn?.trouble) return `${reason(turn.trouble)}.`;
  if (turn?.rule && turn.end) return `Not asked: ${rule(turn.rule)}.`;
  if (turn?.provider === "cache") return "A kept answer was given again.";
  return turn?.provider ? `By ${turn.provider}.` : "One call with the whole burst.";
}

function ending(turn, sent) {
  if (turn?.end === "suppressed") return `Nothing: ${rule(turn.rule)}.`;
  if (turn?.end === "dead") return `Given up${turn.reason ? `: ${reason(turn.reason)}` : ""}. It is a dead letter now.`;
  if (turn?.end === "done")
    return `${count(sent, "message")}.${turn.tookMs ? ` The whole turn took ${ms(turn.tookMs)}.` : ""}`;
  return "Each message of the reply is journalled before it leaves.";
}

function sendsMs(turn) {
  const settled = turn?.detail?.turn.parts.filter((part) => part.claimed_at && part.settled_at) ?? [];
  const took = settled.map((part) => Date.parse(part.settled_at) - Date.parse(part.claimed_at));
  return took.length ? took.reduce((all, one) => all + one, 0) : null;
}
