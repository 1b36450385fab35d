// The stages of an answer in the playground.

import { fillWhen, h } from "./dom.js";
import { icon } from "./icons.js";
import { count, ms, number, setting } from "./format.js";
import { shortRule, turnRule } from "./turn_words.js";
import { CLOSED_BY, capital, reason } from "./words.js";

/** The five stages: which are done, which one runs, how long each took. */
export class Stages {
  node = h("ol.stages", { "aria-label": "Stages of the answer" });

  update(room) {
    const shown = stagesOf(room);
    fillWhen(this.node, shown, () =>
      shown.map(([name, words, state, took]) =>
        h(
          `li.stage.${state}`,
          { "aria-current": state === "current" ? "step" : null },
          h("span.stage-sign", {}, state === "done" ? icon("check") : state === "error" ? icon("warn") : null),
          h("span.stage-name", {}, name),
          h("span.stage-took", {}, took),
          h("span.stage-words", {}, words),
        ),
      ),
    );
  }
}

/** [name, words, "done" | "current" | "next" | "error", time] of each stage. */
function stagesOf(room) {
  const written = room.messages.filter((message) => message.from === "customer");
  const acks = written.filter((message) => message.tookMs !== undefined);
  const slowest = acks.length ? Math.max(...acks.map((message) => message.tookMs)) : null;
  const isCollecting = room.view?.state === "waiting" && room.waitingCount > 0;
  const turn = isCollecting ? null : room.turn;
  const known = (value) => value !== undefined && value !== null;
  const isOver = Boolean(turn?.end);
  const stored = written.some((message) => message.state !== "sending" && message.state !== "failed");
  const sent = turn?.sends.length ?? 0;
  const took = (value) => (known(value) ? ms(value) : "");
  const running = room.view?.state === "answering";
  return [
    [
      "Acknowledged",
      "Each message is stored durably before it is acknowledged.",
      stored ? "done" : written.length ? "current" : "next",
      slowest === null ? "" : `${ms(slowest)}`,
    ],
    [
      "Window closed",
      turn
        ? `${count(turn.messageCount, "message")}${CLOSED_BY[turn.closedBy] ? `: ${CLOSED_BY[turn.closedBy]}` : ""}.`
        : `${setting(room.windowSeconds)} after the ${room.windowFrom} message, or when ${number(room.maxMessages)} are waiting.`,
      turn ? "done" : isCollecting ? "current" : "next",
      ["timeout", "quiet"].includes(turn?.closedBy) ? setting(room.windowSeconds) : "",
    ],
    [
      "Lookups",
      turn?.failures?.length
        ? `Failed: ${turn.failures.join(", ")}.`
        : "History, knowledge and settings, in parallel.",
      known(turn?.lookupsMs) ? "done" : running ? "current" : "next",
      took(turn?.lookupsMs),
    ],
    [
      turn?.end && turn.rule ? capital(shortRule(turn.rule)) : "Answered",
      answered(turn),
      known(turn?.responderMs) || turn?.end === "done"
        ? "done"
        : turn?.problem
          ? "error"
          : known(turn?.lookupsMs) && running
            ? "current"
            : "next",
      took(turn?.responderMs),
    ],
    [
      "Sent",
      ending(turn, sent),
      isOver ? (turn.end === "done" ? "done" : "error") : sent || known(turn?.responderMs) ? "current" : "next",
      took(sendsMs(turn)),
    ],
  ];
}

function answered(turn) {
  if (turn?.problem) return `${capital(reason(turn.problem))}.`;
  if (turn?.rule && turn.end) return `Responder not called: ${turnRule({ state: turn.end, rule: turn.rule })}.`;
  if (turn?.provider === "cache") return "From the response cache.";
  return turn?.provider ? `By ${turn.provider}.` : "One responder call for the whole burst.";
}

function ending(turn, sent) {
  if (turn?.end === "suppressed") return `Nothing sent: ${turnRule({ state: turn.end, rule: turn.rule })}.`;
  if (turn?.end === "dead") return `Failed${turn.reason ? `: ${reason(turn.reason)}` : ""}. It is now a dead letter.`;
  if (turn?.end === "done" && turn.rule === "escalated") return "The escalated message. A person is to take over.";
  if (turn?.end === "done")
    return `${count(sent, "message")}.${turn.tookMs ? ` The whole turn took ${ms(turn.tookMs)}.` : ""}`;
  return "Each part of the reply is stored before it is sent.";
}

function sendsMs(turn) {
  const settled = turn?.detail?.turn.parts.filter((part) => part.claimed_at && part.settled_at) ?? [];
  const took = settled.map((part) => Date.parse(part.settled_at) - Date.parse(part.claimed_at));
  return took.length ? took.reduce((all, one) => all + one, 0) : null;
}
