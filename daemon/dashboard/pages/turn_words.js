// The badge of a turn: how it ended, by its state and its rule together. Pure.
//
// A turn that Majlis answered with its own words (it escalated, confirmed a stop word, reached a limit) ends as `done`
// like one that a responder answered: only the rule tells them apart, so no page may show the state alone.

import { rule as ruleWords } from "./words.js";

const STATES = {
  started: "running",
  answered: "sending",
  done: "answered",
  suppressed: "suppressed",
  dead: "dead letter",
  moved: "moved",
  superseded: "superseded",
};

/** Where a rule's code with spaces for underscores would not be what people say. */
const SHORT = {
  machine: "another machine",
  model_silence: "model was silent",
  not_allowed_contact: "contact not allowed",
  off: "instance off",
  rate_limited: "limit reached",
  budget_reached: "budget used up",
  opted_in: "opted in again",
};

/** {words, kind}: `kind` is the class of the badge, and one of done, said, escalated, silent, running, dead, moved. */
export function turnBadge({ state, rule }) {
  if (state === "started" || state === "answered") return { words: STATES[state], kind: "running" };
  if (state === "superseded") return { words: STATES[state], kind: "silent" };
  if (state === "dead" || state === "moved") return { words: STATES[state], kind: state };
  if (rule === "escalated")
    return state === "done"
      ? { words: "escalated", kind: "escalated" }
      : { words: "waits for a person", kind: "silent" };
  if (rule) return { words: shortRule(rule), kind: state === "done" ? "said" : "silent" };
  return { words: STATES[state] ?? state, kind: state === "done" ? "done" : "silent" };
}

/** What a turn that ended with a rule means, as the rest of a sentence; empty without one. */
export function turnRule({ state, rule }) {
  if (!rule) return "";
  if (state !== "done") return ruleWords(rule);
  return rule === "escalated" ? "a person was asked for, and the escalated message was sent" : ruleWords(rule);
}

/** A rule in one to three words. */
export const shortRule = (code) => SHORT[code] ?? code.replaceAll("_", " ");
