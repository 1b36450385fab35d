// The words of the instance pages: modes, where a value comes from, who may change what. Pure.

export const MODES = {
  live: {
    name: "Live",
    does: "Hears customers and answers them.",
    then: "What waits now is answered. Messages that were heard in shadow are never answered aloud.",
  },
  shadow: {
    name: "Shadow",
    does: "Hears and answers, but sends nothing: its answers are kept, to be laid beside those of the old system.",
    then: "From now on customers get nothing from Majlis; another system must answer them.",
  },
  passthrough: {
    name: "Passthrough",
    does: "Forwards what comes to the old address (passthrough.url), and does nothing else.",
    then: "What was acknowledged before is still answered; everything that comes from now on is forwarded.",
  },
  off: {
    name: "Off",
    does: "Keeps messages in the history and answers none. To keep them waiting instead, pause the instance.",
    then: "Customers get no answer. What waits now ends by the rule off.",
  },
};

/** The kinds of provider that can be chosen for an instance; `place`: its usual address, without https. */
export const PROVIDERS = {
  openai: {
    name: "OpenAI, or a server that speaks as it does",
    place: "api.openai.com/v1",
    needsKey: false,
  },
  anthropic: { name: "Anthropic", place: "api.anthropic.com/v1", needsKey: true },
  gemini: { name: "Google Gemini", place: "generativelanguage.googleapis.com/v1beta", needsKey: true },
};

export const modeName = (mode) => MODES[mode]?.name ?? mode;

/** Whether a value was set for this instance alone, and can be taken back. */
export const isOwn = ({ origin }) => /^(majlis instance|SQL\b|column\b|secret$)/.test(origin);

/** What the value stands for when it is shown: nothing is set where YAML has null. */
export const isUnset = ({ value }) => value === "null" || value === "";

/** What the daemon shows of a secret, in place of it. */
export const MASK = "****";

/** Whether a part of the value is hidden, such as the numbers of people: it cannot be changed as it is shown. */
export const isHidden = ({ kind, value }) => kind !== "secret" && (value.includes("…") || value.includes(MASK));

/** The level that changing it needs. */
export const levelOf = ({ kind }) => (kind === "secret" ? "admin" : "operate");

/** How to come to a higher level. */
export const HOW = "The command majlis dashboard prints a link with your own.";

export const NEEDS = {
  operate: `Changing this needs access level operate. ${HOW}`,
  admin: `Changing this needs access level admin. ${HOW}`,
};

/** The settings of a page of their own, not repeated among the others. */
export const ELSEWHERE = new Set(["prompt", "mode"]);

/** What a group of settings is about. */
export const GROUPS = {
  active: "Switch",
  webhook_url: "The reply address of old webhooks",
  batching: "How a burst is collected",
  responder: "The model",
  gateway: "The gateway",
  escalation: "When a person is asked for",
  takeover: "When a person writes",
  contacts: "Who is answered",
  opt_out: "Stop and start words",
  machines: "Other machines",
  reply: "The form of a reply",
  context: "What the model is told",
  cache: "The response cache",
  knowledge: "The files",
  limits: "Limits and budgets",
  passthrough: "Forwarding",
  alerts: "Alerts",
  ingress: "The door of webhooks",
  turn: "Turns",
  weight: "The share of turns",
  country: "Numbers",
  timezone: "The time zone",
  hours: "Date and hours",
  flags: "Feature flags",
};

export const groupOf = (key) => key.split(".")[0];

export const PHONES = {
  open: "The phone is connected.",
  connecting: "The phone is being connected.",
  close: "The phone is not paired.",
  refused: "The gateway refused to say whether the phone is paired.",
  unknown: "It is not known whether the phone is paired.",
};

/** What was done in a version. */
export const DEEDS = { add: "added", change: "changed", restore: "given back as it was", remove: "removed" };
