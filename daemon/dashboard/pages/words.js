// What Majlis' own words mean to a person who has not read its documents. Pure.

import { duration } from "./format.js";

export const STATES = {
  waiting: "Hearing",
  queued: "In line",
  answering: "Answering",
  retrying: "Trying again",
  holding: "Held",
  parked: "Parked",
  idle: "At rest",
  absent: "At rest",
  elsewhere: "Waits",
  answered: "Answered",
  suppressed: "No answer, by rule",
  dead: "Given up",
  dropped: "Dropped",
  moved: "Moved",
};

const STAGES = {
  closed: "heard out",
  started: "looking things up",
  asking: "asking the responder",
  sending: "sending the reply",
};

const REASONS = {
  bad_request: "the provider says that the request is wrong",
  claim_conflict: "another daemon was about to send the same message",
  claim_lost: "the right to send was lost in the last moment",
  context_too_long: "the question is too long for the model",
  garbage: "the provider answered something that cannot be read",
  held_too_long: "the gateway or a limit held it back for too long",
  internal_error: "Majlis failed unexpectedly; its log says where",
  mirror_lost: "it was in the ledger and not in Redis any more",
  not_on_whatsapp: "the number is not on WhatsApp",
  overloaded: "the provider is overloaded",
  paused: "paused by an operator",
  providers_open: "every provider is left alone after failures",
  quota: "the provider's quota is used up",
  rate_limited: "the provider asked to be called less often",
  refused_by_policy: "the provider refuses to answer this",
  send_settling: "it is not yet known whether the message left",
  send_unresolved: "nobody knows whether the message left",
  server_error: "the provider failed",
  timed_out: "it took too long",
  too_large: "the answer was too large",
  unauthorized: "the key was refused",
  unexpected_status: "the provider answered with an unexpected status",
  unreachable: "it cannot be reached",
};

/** A reason as words; one that is not known here still reads as words. */
export function reason(code) {
  return REASONS[code] ?? String(code).replaceAll("_", " ");
}

/** `why` of a waiting conversation, which may be a code, or a sentence with a code at its end. */
export function why(text) {
  if (!text) return "";
  const [before, after] = text.split(/: (?=[a-z_]+$)/);
  return after ? `${before}: ${reason(after)}` : reason(text);
}

export const CLOSED_BY = {
  timeout: "its time was over",
  count: "enough messages waited",
  flush: "somebody asked for it",
  drain: "the daemon stopped",
};

export const PROVIDER_STATES = {
  closed: "well",
  held: "asked to be left alone",
  open: "left out",
  half_open: "on trial",
};

export const OUTCOMES = { ok: "done", failed: "failed", timed_out: "took too long", skipped: "not needed" };

export const WHAT_STAGES = { opening: "lookup", lookups: "lookup", responder: "responder", send: "send" };

/** Every alert: its name, what it means, and what to do. */
export const FLAGS = {
  lease_failures: ["Lease renewals fail", "Postgres is slow or away: look at its load and its connections."],
  time_outs: ["Calls run out of time", "The waterfalls of the latest turns show which step takes too long."],
  queue_depth: [
    "Too many messages wait",
    "See for what: a provider or the gateway may be slow, or turn.concurrency too low.",
  ],
  oldest_waiting: ["Somebody waits too long", "Look at the most urgent conversations: held, parked or trying again."],
  memory: ["Memory runs short", "Give the machine more, or lower what else runs there."],
  redis_memory: ["Redis' memory runs short", "Raise maxmemory: when it is full, webhooks are refused with 503."],
  orphans: ["Conversations were forgotten", "They are picked up again. If it comes back, report it."],
  provider_open: ["A provider is left alone", "It failed too often. Its last reason stands under Providers."],
  budget_reached: ["A budget is used up", "Raise it, or wait until midnight UTC."],
};

const SHARES = new Set(["lease_failures", "memory", "redis_memory"]);
const SECONDS = new Set(["oldest_waiting"]);

/** `now 1,204, at most 1,000 is well`, in the flag's own unit. */
export function flagValue(flag, format) {
  const tell = (value) => {
    if (SHARES.has(flag.flag)) return format.percent(value);
    return SECONDS.has(flag.flag) ? duration(value) : format.exact(value);
  };
  const limit = flag.threshold ? `the limit is ${tell(flag.threshold)}` : "none is the limit";
  return flag.value === null ? limit : `now ${tell(flag.value)}, ${limit}`;
}

export const LEVELS = {
  read: "You may look, and change nothing.",
  operate: "You may steer conversations: flush, pause, resume, retry.",
  admin: "You may do everything, and see phone numbers and texts.",
};

export const LATENCIES = {
  acknowledgement: "Acknowledging a message",
  answer: "From first message to reply",
  turn: "One whole turn",
  responder: "The responder",
  lookups: "All lookups of a turn",
  send: "Sending one message",
  "window lateness": "Window closed late by",
};

/** `(14 characters)`, as the server masks it, told as what it is. */
export function isMasked(text) {
  return /^\(\d+ characters\)$/.test(text);
}

/** What a conversation does now, in words after its state. `stage`: of its turn; `tell`: the time left. */
export function doing(row, stage, tell) {
  switch (row.state) {
    case "waiting":
      return tell ? `answers in ${tell}` : "answers now";
    case "queued":
      return "waits for a free turn";
    case "answering":
      return STAGES[stage] ?? "its turn runs";
    case "retrying":
      return `${why(row.why) || "the last try failed"}${tell ? `, again in ${tell}` : ""}`;
    case "holding":
      return `${why(row.why) || "something is away"}${tell ? `, looks again in ${tell}` : ""}`;
    case "parked":
      return "failed too often; resume it to go on";
    case "answered":
      return "";
    default:
      return "nothing to do";
  }
}

const RULES = {
  unknown_instance: "no answer: Majlis does not know this instance",
  inactive_instance: "no answer: the instance is switched off",
  duplicate: "no answer: the same text was answered a moment ago",
  escalated: "it waits for a person",
  taken_over: "a person writes in this chat, so Majlis is silent",
  rate_limited: "a limit per minute is reached",
  budget_reached: "the budget of the day is used up",
  fallback: "every try failed: the fallback message was said",
  moved: "the messages went over to the conversation of the phone number",
};

/** The rule that ended a turn without an answer of the responder. */
export function rule(code) {
  return RULES[code] ?? String(code).replaceAll("_", " ");
}

export const TURN_STATES = {
  started: "running",
  answered: "sending",
  done: "answered",
  suppressed: "no answer",
  dead: "given up",
  moved: "moved",
};
