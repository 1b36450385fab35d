// The words that people read for the daemon's states, reasons, rules and alerts. Pure.

import { duration } from "./format.js";

export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

export const STATES = {
  waiting: "Waiting",
  queued: "Queued",
  answering: "Answering",
  retrying: "Retrying",
  holding: "Holding",
  parked: "Parked",
  idle: "Idle",
  absent: "Idle",
  elsewhere: "Waiting",
  answered: "Answered",
  suppressed: "Suppressed",
  dead: "Dead letter",
  dropped: "Dropped",
  moved: "Moved",
};

const STAGES = {
  closed: "window closed",
  started: "running lookups",
  asking: "asking the responder",
  sending: "sending the reply",
};

const REASONS = {
  bad_key: "the provider refused its key",
  bad_request: "the provider rejected the request as invalid",
  blocked: "a firewall before the provider blocked the request",
  claim_conflict: "another daemon was about to send the same message",
  claim_lost: "the right to send was lost at the last moment",
  connect_failed: "it cannot be reached",
  cut_short: "the provider broke off before a whole sentence",
  garbage: "the provider's answer is unreadable",
  held_too_long: "what it had to wait for delayed it for too long",
  internal_error: "Majlis failed unexpectedly; see its log",
  mirror_lost: "it was in the ledger but no longer in Redis",
  no_address: "there is no address to forward to",
  not_found: "the provider knows no such address or model",
  not_on_whatsapp: "the number is not on WhatsApp",
  overloaded: "the provider is overloaded",
  paused: "paused by an operator",
  providers_open: "the circuit of every provider is open after failures",
  providers_busy: "every provider asked to be left alone for a moment, or has just failed too often",
  rate_limited: "the provider limits the rate of calls",
  refused_by_policy: "the provider refuses to answer this",
  responder_refuses_key: "every provider that could answer refuses its key",
  send_settling: "it is not yet known whether the message was sent",
  send_unresolved: "it could not be determined whether the message was sent",
  server_error: "the provider failed",
  thoughts_only: "the model thought, and said nothing",
  timed_out: "it took too long",
  too_large: "the answer is too large",
  too_long: "it is too long for the provider",
  too_old: "it was too old when it arrived",
  tool_call_only: "the model called a tool and said nothing",
  unexpected_status: "the provider answered with an unexpected status",
  unreachable: "it cannot be reached",
};

/** A reason code in words; an unknown code without its underscores. A sentence stays as it is. */
export function reason(code) {
  const words = String(code);
  return REASONS[code] ?? (words.includes(" ") ? words : words.replaceAll("_", " "));
}

/** `why` of a waiting conversation: a code, or a sentence that may end with a code. */
export function why(text) {
  if (!text) return "";
  const [before, after] = text.split(/: (?=[a-z_]+$)/);
  return after ? `${before}: ${reason(after)}` : reason(text);
}

/** Why an answer ends before its end. */
export const CUT = {
  length: "its bound of tokens was reached",
  filter: "a content filter ended it",
  error: "the provider broke off",
};

export const CLOSED_BY = {
  timeout: "time limit reached",
  count: "message limit reached",
  flush: "flushed",
  drain: "daemon stopping",
  quiet: "customer stopped writing",
};

export const PROVIDER_STATES = {
  closed: "ok",
  held: "backing off",
  open: "circuit open",
  half_open: "circuit half-open",
  rejecting: "turns requests down",
};

export const OUTCOMES = { ok: "done", failed: "failed", timed_out: "timed out", skipped: "skipped" };

export const SPAN_KINDS = { opening: "lookup", lookups: "lookup", responder: "responder", send: "send" };

/** Every alert: its title, and what to do. */
export const ALERTS = {
  lease_failures: ["Lease renewals fail", "Postgres is slow or down: check its load and its connections."],
  time_outs: ["Calls time out", "The traces of the latest turns show which step takes too long."],
  queue_depth: [
    "Too many messages are waiting",
    "Find out for what: a provider or the gateway may be slow, or more comes than this machine answers.",
  ],
  oldest_waiting: ["A customer waits too long", "Check the most urgent conversations: holding, parked or retrying."],
  memory: ["Memory is running short", "Give the machine more memory, or run less else on it."],
  redis_memory: ["Redis is running out of memory", "Raise maxmemory: when it is full, webhooks are refused with 503."],
  unfinished_turns: [
    "Turns were left unfinished",
    "No conversation works on them: see their messages with majlis explain, and report it with the log.",
  ],
  orphans: ["Orphaned conversations were found", "They have been picked up again. If it happens again, report it."],
  refused_for_good: [
    "Webhooks are refused for good: their messages are lost",
    "The health page lists each reason, with what to do.",
  ],
  unknown_instance: [
    "Customers write to an instance that nobody has set up",
    "Add it with majlis instance add: what they wrote within a day is answered then.",
  ],
  undelivered: [
    "Messages came without a webhook",
    "The sweep found them in the gateway's records. Check the gateway's webhook and log, and whether Majlis was down.",
  ],
  old_messages: [
    "Messages came that are too old to be answered",
    "They are in the history. What nobody answered is a dead letter, too_old: retry it to answer it.",
  ],
  machine_talk: [
    "A conversation looks like one with a machine",
    "See it under its label: hand it back if it is a person, or leave it silent.",
  ],
  forwards_waiting: [
    "Webhooks wait to be forwarded",
    "The old address does not take them: see the instance's page. Nothing is lost while they wait.",
  ],
  forwards_dead: [
    "Webhooks could not be forwarded",
    "See the instance's page for why: mend that, then forward them after all.",
  ],
  instances_held: [
    "Instances are held: a stored key of theirs cannot be opened",
    "Give secrets.keys the key that sealed it, or set it anew. Their messages are kept.",
  ],
  provider_open: [
    "The circuit of a provider is open, or it turns all requests down",
    "See its last failure under Providers: bad_request and blocked are about its settings.",
  ],
  budget_reached: ["A budget is used up", "Raise it, or wait until midnight UTC."],
  target_response_time: ["Answers come later than the target", "See Targets; the traces show which step takes long."],
  target_errors: ["More turns fail than the target allows", "See the dead letters: mend their cause, then retry them."],
  target_cost_per_message: ["Answers cost more than the target", "See `majlis cost` for the instance and the day."],
  target_conversations: ["Webhooks were turned away under load", "It was less load than the target: see Targets."],
  target_messages_per_minute: ["Webhooks were turned away under load", "It was less load than the target: see Targets."],
};

const SHARES = new Set(["lease_failures", "memory", "redis_memory", "target_errors"]);
const SECONDS = new Set(["oldest_waiting", "forwards_waiting", "target_response_time"]);

/** `now 1,204, threshold 1,000`, in the alert's own unit. */
export function alertValue(alert, format) {
  const show = (value) => {
    if (SHARES.has(alert.flag)) return format.percent(value);
    return SECONDS.has(alert.flag) ? duration(value) : format.exact(value);
  };
  const threshold = `threshold ${show(alert.threshold)}`;
  return alert.value === null ? threshold : `now ${show(alert.value)}, ${threshold}`;
}

export const LEVELS = {
  read: "Access level read: you can look, but not change anything.",
  operate: "Access level operate: you can flush, pause, resume and retry.",
  admin: "Access level admin: you can do everything, and reveal phone numbers and texts.",
};

export const LATENCIES = {
  acknowledgement: "Acknowledging a message",
  answer: "First message to reply",
  turn: "Whole turn",
  responder: "Responder",
  lookups: "All lookups of a turn",
  send: "Sending one message",
  "window lateness": "Delay in closing a window",
};

/** `(14 characters)`: a text as the server masks it. */
export function isMasked(text) {
  return /^\(\d+ characters\)$/.test(text);
}

/**
 * What a conversation is doing, to follow its state; how its turn ended is the state itself.
 * `stage`: of its turn; `timeLeft`: in words, or empty.
 */
export function doing(row, stage, timeLeft) {
  switch (row.state) {
    case "waiting":
      return timeLeft ? `answers in ${timeLeft}` : "answers now";
    case "queued":
      return "waits for a free slot";
    case "answering":
      return STAGES[stage] ?? "turn running";
    case "retrying":
      return `${why(row.why) || "the last attempt failed"}${timeLeft ? `, next attempt in ${timeLeft}` : ""}`;
    case "holding":
      return `${why(row.why) || "a service is unavailable"}${timeLeft ? `, checks again in ${timeLeft}` : ""}`;
    case "parked":
      return "failed too often; resume it to continue";
    default:
      return "";
  }
}

const RULES = {
  unknown_instance: "the instance is not in the database",
  inactive_instance: "the instance is switched off",
  duplicate: "a repeat, written while its answer was still to come",
  opted_out: "the customer wants no messages",
  opted_in: "the customer wants messages again",
  model_silence: "the model chose to say nothing",
  off: "mode off: nothing is said",
  shadow: "mode shadow: what would have been said is kept, not sent",
  ignored_contact: "a contact that is never answered",
  not_allowed_contact: "not among the contacts that are answered",
  staff: "the number of a member of staff",
  own_instance: "the number of an instance of ours",
  escalated: "escalated: it waits for a person",
  taken_over: "human take-over: Majlis is silent",
  machine: "another machine seems to answer: Majlis is silent",
  rate_limited: "a limit per minute was reached",
  budget_reached: "the budget of the day is used up",
  too_old: "it was found too late to be answered",
  already_answered: "the business wrote after it",
  reaction: "a reaction: context of what is said next",
  edit: "an edit, applied to its message",
  deletion: "an earlier message was deleted",
  deleted: "deleted before it was answered",
  backlog: "older than ingress.max_age_seconds when it arrived",
  fallback: "every attempt failed: the fallback message was sent",
  moved: "the messages moved to the conversation of the phone number",
};

/** What the sweep made of a message that no webhook brought. */
export const FOUND = {
  missed: "to be answered",
  too_old: "too old to be answered",
  already_answered: "answered by the business already",
};

/** Why a message is nothing to answer by itself. */
export const ASIDES = {
  reaction: "reaction",
  edit: "edit, applied",
  deletion: "deletion, applied",
  deleted: "deleted",
  backlog: "too old",
  shadow: "heard in mode shadow",
  off: "heard in mode off",
};

/** The rule by which a turn ended without an answer of the responder, in words. */
export function rule(code) {
  return RULES[code] ?? String(code).replaceAll("_", " ");
}
