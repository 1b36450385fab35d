// The data of one playground chat: messages, replies, and what Majlis is doing with them.
//
// Each message is in one state: "sending", "failed", "acknowledged", "answered" or "ended" (without an answer).

import { ApiError, follow, get, post } from "./api.js";

const LOOK_MS = 1_000;
const SOON_MS = 60;
const MAX_OWN = 1_000;
const ENDS = new Set(["done", "suppressed", "dead"]);
const BUSY = new Set(["waiting", "queued", "answering", "retrying", "holding", "parked"]);

/** Texts written in this page's playground, by message id: they need not be hidden from their author. */
export const ownTexts = new Map();

export class ChatSession extends EventTarget {
  instance;
  contact = "";
  label = "";
  windowSeconds = 0;
  /** From which message the window runs: "first" or "last". */
  windowFrom = "first";
  maxMessages = 0;
  messages = [];
  /** The daemon's view of the conversation; null: it does not know it yet. */
  view = null;
  /** When the window closes or the next attempt starts, on performance.now()'s clock. */
  deadline = null;
  /** The present or the latest turn, in the shape of `turnOf`; while it runs, what the events have said so far. */
  turn = null;
  problem = "";
  #stop = () => {};
  #timer = 0;
  #count = 0;
  /** Settles with the last request: two under way at once may arrive in another order than they were written. */
  #sent = Promise.resolve();

  constructor(instance, signal) {
    super();
    this.instance = instance;
    signal.addEventListener("abort", () => this.#leave());
  }

  /** Open the chat of this session, or one as a new customer. Throws ApiError. */
  async open(asNewCustomer = false) {
    const { instance } = this;
    const chat = asNewCustomer ? await post("/playground/new", { instance }) : await get("/playground", { instance });
    this.#leave();
    Object.assign(this, {
      contact: chat.contact,
      label: chat.label,
      windowSeconds: chat.window_seconds,
      windowFrom: chat.window_kind === "quiet" ? "last" : "first",
      maxMessages: chat.max_messages,
    });
    this.messages = chat.messages.map((one) => ({ ...one, state: "answered" }));
    Object.assign(this, { view: null, deadline: null, turn: null, problem: "" });
    await this.#look();
    this.#stop = follow(
      { conversation: this.label },
      (event) => this.#take(event),
      (state) => state === "open" && this.#soon(),
    );
    this.#notify();
  }

  async write(text) {
    const message = { id: `new-${(this.#count += 1)}`, from: "customer", text, at_ms: Date.now(), state: "sending" };
    this.messages.push(message);
    this.#notify();
    await this.send(message);
  }

  /** Send a message of the list: for the first time, or again after a failure. */
  async send(message) {
    Object.assign(message, { state: "sending", why: "" });
    this.#notify();
    const { contact } = this;
    const posted = this.#sent.then(() => contact === this.contact && this.#post(message));
    this.#sent = posted.catch(() => {});
    await posted;
  }

  async #post(message) {
    try {
      const receipt = await post("/playground", { instance: this.instance, text: message.text });
      Object.assign(message, { id: receipt.id, tookMs: receipt.took_ms, state: "acknowledged" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      Object.assign(message, { state: "failed", why: error.message });
    }
    this.#notify();
    this.#soon();
  }

  async flush() {
    await post(`/v1/conversations/${this.label}/flush`);
    this.#soon();
  }

  get isBusy() {
    return BUSY.has(this.view?.state);
  }

  /** Messages of the open window. */
  get waitingCount() {
    return this.view?.waiting.length ?? 0;
  }

  #leave() {
    this.#stop();
    clearTimeout(this.#timer);
    this.#stop = () => {};
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), SOON_MS);
  }

  async #look() {
    clearTimeout(this.#timer);
    if (!this.messages.some((message) => message.state !== "sending" && message.state !== "failed")) return;
    const { label } = this;
    try {
      const view = await get(`/v1/conversations/${label}`);
      if (label !== this.label) return;
      this.#see(view);
      this.problem = "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) this.#see(null);
      else this.problem = error.message;
    }
    const latest = this.view?.turns[0];
    if (!this.isBusy && latest && this.turn?.detail?.turn.id !== latest.id) await this.#settle(latest.id);
    this.#notify();
    clearTimeout(this.#timer);
    if (this.isBusy || this.problem) this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  #see(view) {
    this.view = view;
    const ends = view?.closes_in_seconds == null ? null : performance.now() + view.closes_in_seconds * 1000;
    if (ends === null || this.deadline === null || Math.abs(ends - this.deadline) > 200) this.deadline = ends;
    const waiting = new Set(view?.waiting.map((message) => message.id) ?? []);
    for (const message of this.messages) if (waiting.has(message.id)) message.state = "acknowledged";
  }

  #take(event) {
    const turn = this.turn;
    switch (event.event) {
      case "window.closed":
        this.turn = { messageCount: event.messages, closedBy: event.why, batch: event.batch, sends: [], end: "" };
        break;
      case "turn.started":
        this.turn = {
          messageCount: event.messages,
          sends: [],
          end: "",
          ...(turn && !turn.end ? turn : {}),
          id: event.turn,
          again: event.tries,
        };
        break;
      case "turn.lookups":
        if (turn) Object.assign(turn, { lookupsMs: event.total_ms, failures: event.failures });
        break;
      case "turn.answered":
        if (turn) Object.assign(turn, { provider: event.provider, responderMs: event.took_ms, parts: event.parts });
        break;
      case "part.sent":
        turn?.sends.push({ part: event.part, tookMs: event.took_ms, at: Date.parse(event.at) });
        this.#replies();
        break;
      case "turn.failed":
      case "turn.held":
        if (turn) turn.problem = event.reason;
        break;
      case "turn.done":
        this.#end("done", event);
        break;
      case "turn.suppressed":
        this.#end("suppressed", event);
        break;
      case "turn.dead":
        this.#end("dead", event);
        break;
      case "turn.escalated":
        if (turn) turn.escalated = event.reason;
        break;
    }
    this.#notify();
    this.#soon();
  }

  async #end(end, event) {
    const turn = this.turn;
    if (!turn) return;
    Object.assign(turn, {
      end,
      tookMs: event.took_ms ?? null,
      rule: event.rule ?? (turn.escalated ? "escalated" : ""),
      reason: event.reason ?? "",
      problem: "",
      endedAt: Date.parse(event.at),
    });
    await this.#settle(turn.id ?? event.turn);
  }

  /** Complete a turn from the ledger: which messages it answered, and what the events did not contain. */
  async #settle(id) {
    const { label } = this;
    const [detail] = await Promise.all([get(`/v1/turns/${id}`).catch(() => null), this.#replies()]);
    if (!detail || label !== this.label) return;
    const known = this.turn;
    if (!known || known.id === undefined || known.id <= id) {
      const stored = turnOf(detail);
      this.turn = {
        ...known,
        ...stored,
        tookMs: known?.tookMs ?? null,
        sends: known?.sends.length ? known.sends : stored.sends,
      };
    }
    const ids = new Set(detail.messages.map((message) => message.id));
    const state = { done: "answered", suppressed: "ended", dead: "ended" }[detail.turn.state];
    for (const message of this.messages) if (state && ids.has(message.id)) message.state = state;
    this.#notify();
  }

  async #replies() {
    const { instance, label } = this;
    const chat = await get("/playground", { instance }).catch(() => null);
    if (!chat || chat.label !== label || label !== this.label) return;
    const known = new Set(this.messages.map((message) => message.id));
    const fresh = chat.messages.filter((message) => message.from === "majlis" && !known.has(message.id));
    if (!fresh.length) return;
    this.messages.push(...fresh.map((message) => ({ ...message, state: "answered" })));
    this.#notify();
  }

  #notify() {
    for (const message of this.messages) ownTexts.set(message.id, message.text);
    for (const id of ownTexts.keys()) {
      if (ownTexts.size <= MAX_OWN) break;
      ownTexts.delete(id);
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** A turn of the ledger in the shape that is built from events. */
function turnOf(detail) {
  const { turn, messages, waterfall } = detail;
  const lookups = waterfall.filter((span) => span.stage !== "responder" && span.outcome !== "skipped");
  const responder = waterfall.find((span) => span.stage === "responder");
  return {
    id: turn.id,
    messageCount: messages.length,
    closedBy: turn.closed_by,
    lookupsMs: lookups.length ? Math.max(...lookups.map((span) => span.started_ms + span.took_ms)) : null,
    provider: turn.provider,
    responderMs: responder?.took_ms ?? null,
    parts: turn.parts.length,
    sends: turn.parts.filter((part) => part.state === "sent").map((part) => ({ part: part.number, tookMs: null })),
    end: ENDS.has(turn.state) ? turn.state : "",
    rule: turn.rule,
    detail,
  };
}
