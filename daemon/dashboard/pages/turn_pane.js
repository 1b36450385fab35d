// One turn, compact: its facts in a line and its trace. Loaded when it is selected, and again when it progresses.

import { get } from "./api.js";
import { bdi, fill, h } from "./dom.js";
import { count, exact, moment, number } from "./format.js";
import { beside } from "./router.js";
import { turnBadge, turnRule } from "./turn_words.js";
import { CUT, CLOSED_BY } from "./words.js";
import { spansOf, traceChart } from "./trace.js";

export class TurnPane {
  #shown = "";
  #signal;

  constructor(signal) {
    this.#signal = signal;
    this.node = h("div.pane", {}, nothing());
  }

  /** `live`: what the events said about it, if anything; reloads when that changes. */
  async show(id, live) {
    const wanted = `${id} ${live?.state ?? ""} ${live?.sends.length ?? 0}`;
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    if (id === null) return void fill(this.node, nothing());
    const detail = await get(`/v1/turns/${id}`).catch((error) => error);
    if (this.#signal.aborted || this.#shown !== wanted) return;
    if (detail instanceof Error) return void fill(this.node, h("p.empty-line", {}, detail.message));
    fill(this.node, head(detail), traceChart(spansOf(detail, live)), foot(detail));
  }
}

function nothing() {
  return h(
    "p.empty-line",
    {},
    "The trace of the latest turn appears here: lookups, responder and sends, in milliseconds.",
  );
}

function head({ turn, instance, contact }) {
  return h(
    "p.pane-head",
    {},
    h("strong", {}, `Turn ${turn.id}`),
    " ",
    bdi(instance),
    " ",
    h("span.quiet", {}, bdi(contact)),
    h("span.quiet", {}, moment(turn.started_at)),
    badgeOf(turn),
  );
}

/** How it ended, as a badge. */
export function badgeOf(turn) {
  const { words, kind } = turnBadge(turn);
  return h("span.turn-state", { class: `turn-state of-${kind}` }, words);
}

function foot({ turn, conversation }) {
  return h(
    "p.pane-foot",
    {},
    sentence(turn),
    " ",
    h("a", { href: beside("turn", turn.id) }, "Full turn"),
    " · ",
    h("a", { href: beside("conversation", conversation) }, "Conversation"),
  );
}

function cut(reason) {
  return reason ? `; the answer ends before its end: ${CUT[reason] ?? reason}` : "";
}

/** The turn in words. */
export function sentence(turn) {
  const closedBy = CLOSED_BY[turn.closed_by] ?? turn.closed_by;
  const batch = `${count(turn.messages, "message")}; window closed: ${closedBy}.`;
  const attempts = turn.tries ? ` ${count(turn.tries, "failed attempt")} before.` : "";
  if (turn.rule) return `${batch}${attempts} Rule: ${turnRule(turn)}.`;
  if (!turn.provider) return `${batch}${attempts}`;
  const model = turn.model ? [", model ", bdi(turn.model)] : "";
  const tokens =
    turn.input_tokens || turn.output_tokens
      ? `, ${number(turn.input_tokens)} tokens in, ${number(turn.output_tokens)} out`
      : "";
  const cost = turn.cost ? `, cost ${exact(turn.cost)}` : "";
  const by =
    turn.provider === "cache" ? "Answered from the response cache" : ["Answered by ", bdi(turn.provider), model];
  return [`${batch}${attempts} `, by, `${tokens}${cost}${cut(turn.cut)}.`];
}
