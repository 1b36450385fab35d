// Requests to the daemon. Every failure becomes an ApiError whose message is a sentence that says what to do.

const REQUEST_MS = 10_000;
const DEED_MS = 35_000; // what is done may ask a gateway or a provider: the daemon's own limit is shorter, and has a sentence
const SILENCE_MS = 40_000; // a stream sends something at least every 15 s
const BACKOFF_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

export const UNREACHABLE =
  "The daemon cannot be reached: check that it is running, and that this address is still right.";

export class ApiError extends Error {
  /** `status` 0: no answer. */
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** Dispatches "out" when a request finds that the session has ended. */
export const signedOut = new EventTarget();

/** The wait before the next attempt, with jitter. */
export function backoffMs(failures) {
  return BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] * (0.75 + Math.random() / 2);
}

export const get = (path, query) => ask("GET", withQuery(path, query));
export const post = (path, body = {}, query = undefined) => ask("POST", withQuery(path, query), body);
export const remove = (path) => ask("DELETE", path, {});

function withQuery(path, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return known.length ? `${path}?${new URLSearchParams(known)}` : path;
}

async function ask(method, path, body) {
  const init = { method, credentials: "same-origin", cache: "no-store" };
  init.signal = AbortSignal.timeout(method === "GET" ? REQUEST_MS : DEED_MS);
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let response, text;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch {
    throw new ApiError(0, "unreachable", UNREACHABLE);
  }
  if (!response.ok) throw refusal(response.status, text, path);
  return text ? JSON.parse(text) : null;
}

function refusal(status, text, path) {
  let answer = {};
  try {
    answer = JSON.parse(text) ?? {};
  } catch {
    // Something between the daemon and this page answered; the status says enough.
  }
  const reason = answer.reason ?? answer.error ?? "";
  const error = new ApiError(
    status,
    reason,
    sentence(answer.message || FALLBACKS[status] || `the daemon answered ${status}`),
  );
  if (status === 401 && path !== "/session") signedOut.dispatchEvent(new CustomEvent("out", { detail: error }));
  return error;
}

/** With a capital and a full stop, which the daemon's messages lack; a setting at its start stays as it is written. */
function sentence(words) {
  const whole = /^[a-z]+[._:]/.test(words) ? words : words[0].toUpperCase() + words.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}

const FALLBACKS = {
  401: "Your session has ended.",
  403: "Your access level does not allow this.",
  404: "It no longer exists.",
  409: "This is not possible now.",
  429: "Too many requests: try again in a moment.",
  503: "The daemon is not ready: try again in a moment.",
};

/**
 * Follow /v1/tail until the returned function is called; reconnects by itself after every interruption.
 * `onState` gets "open", "lost" and "cut" (the page read too slowly). A hidden page does not follow, because a browser
 * has six connections to one host for all of its pages.
 */
export function follow(query, onEvent, onState = () => {}) {
  const stopped = new AbortController();
  const visibility = new EventTarget();
  const changed = () => visibility.dispatchEvent(new Event("change"));
  document.addEventListener("visibilitychange", changed, { signal: stopped.signal });
  run();
  return () => stopped.abort();

  async function run() {
    for (let failures = 0; !stopped.signal.aborted;) {
      if (document.hidden) {
        await once(visibility, "change", stopped.signal);
        continue;
      }
      try {
        await stream(() => (failures = 0));
      } catch (error) {
        if (stopped.signal.aborted || error.status === 401) return;
      }
      onState("lost");
      failures += 1;
      if (!document.hidden) await pause(backoffMs(failures), stopped.signal);
    }
  }

  async function stream(onOpen) {
    const ended = new AbortController();
    const hide = () => document.hidden && ended.abort();
    const leave = () => ended.abort();
    stopped.signal.addEventListener("abort", leave, { signal: ended.signal });
    document.addEventListener("visibilitychange", hide, { signal: ended.signal });
    let silence = setTimeout(leave, SILENCE_MS);
    try {
      const path = withQuery("/v1/tail", query);
      const response = await fetch(path, { credentials: "same-origin", cache: "no-store", signal: ended.signal });
      if (!response.ok) throw refusal(response.status, await response.text(), path);
      onOpen();
      onState("open");
      for await (const line of lines(response.body)) {
        clearTimeout(silence);
        silence = setTimeout(leave, SILENCE_MS);
        if (!line) continue;
        const event = JSON.parse(line);
        if (event.event === "tail.dropped") onState("cut");
        else onEvent(event);
      }
    } finally {
      clearTimeout(silence);
      ended.abort();
    }
  }
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

function once(target, name, signal) {
  return new Promise((resolve) => {
    target.addEventListener(name, resolve, { once: true });
    signal.addEventListener("abort", resolve, { once: true });
  });
}

function pause(wait, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, wait);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
