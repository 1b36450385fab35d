// What the page knows of the daemon: refreshed every second while visible, with the last minutes for the plots.

import { ApiError, backoffMs, get, signedOut } from "./api.js";

const LOOK_MS = 1_000;
const HIDDEN_MS = 10_000;
const STATUS_EVERY_MS = 3_000;
const KEPT_MS = 5 * 60_000;
const RATE_OVER_MS = 5_000;

class Store extends EventTarget {
  session = null;
  top = null;
  status = null;
  /** When `top` arrived, on performance.now()'s clock. */
  topAt = 0;
  /** {kind: "connecting" | "live" | "lost" | "starting", message, retryAt} */
  connection = { kind: "connecting" };
  history = [];
  #query = { limit: 1 };
  #timer = 0;
  #failures = 0;
  #running = false;
  #statusAt = -Infinity;
  #life = 0;

  start(session) {
    this.session = session;
    this.#running = true;
    this.#life += 1;
    this.#failures = 0;
    this.look();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** Which page of conversations to request from now on. */
  want(query) {
    this.#query = query;
    if (this.#running) this.look();
  }

  /** Whether the session has this access level. */
  may(level) {
    const levels = ["read", "operate", "admin"];
    return levels.indexOf(this.session?.level) >= levels.indexOf(level);
  }

  /** Refresh now, and then at every interval. */
  async look() {
    clearTimeout(this.#timer);
    const life = this.#life;
    const query = this.#query;
    let wait = document.hidden ? HIDDEN_MS : LOOK_MS;
    try {
      const due = performance.now() - this.#statusAt >= STATUS_EVERY_MS;
      const [top, status] = await Promise.all([get("/v1/top", query), due ? get("/v1/status") : null]);
      if (life !== this.#life || query !== this.#query) return;
      this.#failures = 0;
      this.#take(top, status);
      this.#connected({ kind: "live" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (life !== this.#life || error.status === 401) return;
      this.#failures += 1;
      wait = backoffMs(this.#failures);
      const kind = error.status === 503 ? "starting" : "lost";
      this.#connected({ kind, message: error.message, retryAt: performance.now() + wait });
    }
    clearTimeout(this.#timer);
    if (this.#running) this.#timer = setTimeout(() => this.look(), wait);
  }

  /** Ask for the session again, because there is an instance more or less. */
  async renew() {
    this.session = await get("/session");
  }

  /** Refresh the status as well, because something was just changed. */
  stale() {
    this.#statusAt = -Infinity;
    if (this.#running) this.look();
  }

  on(name, listener, signal) {
    this.addEventListener(name, listener, { signal });
  }

  #take(top, status) {
    const now = performance.now();
    if (this.top && (this.top.node_id !== top.node_id || this.top.uptime_seconds > top.uptime_seconds))
      this.history = [];
    this.top = top;
    this.topAt = now;
    this.#remember(top, now);
    if (status) {
      this.status = status;
      this.#statusAt = now;
      this.dispatchEvent(new Event("status"));
    }
    this.dispatchEvent(new Event("top"));
  }

  #remember(top, now) {
    const before = this.history.findLast((sample) => now - sample.at >= RATE_OVER_MS) ?? this.history[0];
    const seconds = before ? (now - before.at) / 1000 : 0;
    const rate = (name) => (seconds > 0 ? Math.max(0, top.counters[name] - before.counters[name]) / seconds : null);
    const latencies = Object.fromEntries(top.latencies.map((one) => [one.what, one]));
    this.history.push({
      at: now,
      wall: Date.now(),
      counters: top.counters,
      latencies,
      waiting: top.waiting_messages,
      running: top.phases.answering ?? 0,
      acknowledged: rate("message.accepted"),
      answered: rate("turn.done"),
    });
    while (this.history[0].at < now - KEPT_MS) this.history.shift();
  }

  #connected(connection) {
    const changed = connection.kind !== this.connection.kind || connection.retryAt !== this.connection.retryAt;
    this.connection = connection;
    if (changed) this.dispatchEvent(new Event("connection"));
  }
}

export const store = new Store();

signedOut.addEventListener("out", () => store.stop());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.session && store.connection.kind !== "connecting") store.look();
});
