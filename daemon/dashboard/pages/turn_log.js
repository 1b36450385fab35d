// The latest turns and the stage of each running one, from the daemon's events.

import { follow, get } from "./api.js";
import { store } from "./store.js";
import { turnBadge } from "./turn_words.js";

const KEPT = 40;
const MAX_RUNNING = 20_000;
const NOTIFY_MS = 250;
const KINDS = "turn,part.sent,window.closed";
const ENDINGS = { "turn.done": "done", "turn.suppressed": "suppressed", "turn.dead": "dead", "turn.moved": "moved" };

class TurnLog extends EventTarget {
  /** Newest first: {id, conversation, instance, messages, state, rule, provider, startedAt, tookMs, sends}. */
  turns = [];
  #stages = new Map();
  #timer = 0;

  start(signal) {
    this.turns = [];
    this.#stages.clear();
    const stop = follow(
      { kind: KINDS },
      (event) => this.#take(event),
      (state) => this.#connected(state),
    );
    signal.addEventListener("abort", stop);
    store.on("top", () => this.#tidy(), signal);
  }

  /** "closed", "started", "asking", "sending" or "ended"; undefined when unknown. */
  stage(conversation) {
    return this.#stages.get(conversation)?.stage;
  }

  /** A row of /v1/top as of `row.at`, with what has happened since: `ending` is the badge of a turn that has ended. */
  since(row) {
    const known = this.#stages.get(row.conversation);
    if (!known || known.at < row.at) return row;
    if (known.stage !== "ended") return { ...row, state: "answering", closes_in_seconds: null };
    return { ...row, state: "ended", ending: known.ending, closes_in_seconds: null };
  }

  find(id) {
    return this.turns.find((turn) => turn.id === id);
  }

  /** What happened before the stream opened, or while it was lost, is in the ledger. */
  #connected(state) {
    if (state !== "open") this.#stages.clear();
    this.#earlier();
  }

  async #earlier() {
    const page = await get("/v1/turns", { limit: KEPT }).catch(() => null);
    if (!page) return;
    const known = new Map(this.turns.map((turn) => [turn.id, turn]));
    for (const stored of page.turns.map(fromLedger)) {
      const live = known.get(stored.id);
      known.set(stored.id, live ? { ...live, ...stored, sends: live.sends } : stored);
    }
    this.turns = [...known.values()].sort((one, other) => other.id - one.id).slice(0, KEPT);
    this.#notify();
  }

  #take(event) {
    const turn = event.turn === undefined ? undefined : this.find(event.turn);
    switch (event.event) {
      case "turn.started":
        this.#stage(event.conversation, "started");
        this.#begin(event);
        break;
      case "turn.lookups":
        this.#stage(event.conversation, "asking");
        break;
      case "turn.answered":
        this.#stage(event.conversation, "sending");
        if (turn) Object.assign(turn, { state: "answered", provider: event.provider });
        break;
      case "part.sent":
        turn?.sends.push({ part: event.part, tookMs: event.took_ms, at: Date.parse(event.at) });
        break;
      case "window.closed":
        this.#stage(event.conversation, "closed");
        break;
      case "turn.superseded":
        this.#stage(event.conversation, "closed");
        if (turn) turn.state = "superseded";
        break;
      case "turn.escalated":
        if (turn) turn.rule = "escalated";
        break;
      case "turn.failed":
      case "turn.held":
      case "turn.crashed":
        this.#stages.delete(event.conversation);
        break;
      default:
        if (ENDINGS[event.event]) this.#end(event, turn);
    }
    this.#notify();
  }

  #end(event, turn) {
    const end = { state: ENDINGS[event.event], rule: event.rule ?? turn?.rule ?? "" };
    this.#stage(event.conversation, "ended", turnBadge(end));
    if (turn) Object.assign(turn, end, { tookMs: event.took_ms ?? turn.tookMs });
  }

  #begin(event) {
    const again = this.find(event.turn);
    if (again) return void Object.assign(again, { state: "started", sends: [] });
    this.turns.unshift({
      id: event.turn,
      conversation: event.conversation,
      instance: event.instance,
      messages: event.messages,
      state: "started",
      rule: "",
      provider: "",
      startedAt: event.at,
      tookMs: null,
      sends: [],
    });
    this.turns.length = Math.min(this.turns.length, KEPT);
  }

  #stage(conversation, stage, ending = null) {
    const room = this.#stages.size < MAX_RUNNING || this.#stages.has(conversation);
    if (room) this.#stages.set(conversation, { stage, ending, at: performance.now() });
  }

  /** Turns that ended before the latest refresh are part of that refresh. */
  #tidy() {
    for (const [conversation, { stage, at }] of this.#stages) {
      if (stage === "ended" && at < store.topAt) this.#stages.delete(conversation);
    }
  }

  #notify() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.dispatchEvent(new Event("change"));
    }, NOTIFY_MS);
  }
}

function fromLedger(turn) {
  return {
    id: turn.id,
    conversation: turn.conversation,
    instance: turn.instance,
    messages: turn.messages,
    state: turn.state,
    rule: turn.rule ?? "",
    provider: turn.provider ?? "",
    startedAt: turn.started_at,
    tookMs: turn.took_ms ?? null,
    sends: [],
  };
}

export const turnLog = new TurnLog();
