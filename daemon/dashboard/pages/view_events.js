// Events as they happen, with filters: newest first, a limited number kept.

import { follow } from "./api.js";
import { bdi, fill, h, option, setText } from "./dom.js";
import { icon } from "./icons.js";
import { count, moment, number } from "./format.js";
import { beside } from "./router.js";
import { store } from "./store.js";

const KEPT = 500;
const DRAW_MS = 200;
const LEVELS = ["debug", "info", "warning", "error"];
const SUBJECTS = [
  "message",
  "window",
  "turn",
  "lookup",
  "answer",
  "part",
  "provider",
  "conversation",
  "actor",
  "dead",
  "limit",
  "flag",
  "store",
  "instance",
  "forward",
  "settings",
  "secret",
  "contact",
  "sweep",
  "lease",
  "daemon",
  "admin",
  "gateway",
  "realtime",
  "notice",
];
const HEAD = new Set(["seq", "at", "level", "event", "conversation", "instance"]);

export function events(root, signal) {
  const wanted = { kind: new Set(), instance: "", conversation: "", level: "debug" };
  const list = h("ol.stream", { "aria-label": "Events, newest first" });
  const state = h("span.count", { role: "status" });
  const none = h("p.empty-line", {}, "No events since this page was opened. They appear here as they happen.");
  const paused = h("button.button", { type: "button", "aria-pressed": "false", onclick: pause });
  let waiting = [];
  let isPaused = false;
  let stop = () => {};
  let connection = "";
  fill(
    root,
    h(
      "section.events",
      { "aria-labelledby": "events" },
      h(
        "div.section-head",
        {},
        h("h1", { id: "events" }, "Events"),
        state,
        h("div.choices", {}, paused, h("button.button.quiet", { type: "button", onclick: clear }, "Clear")),
      ),
      filters(),
      none,
      list,
    ),
  );
  showPaused();
  begin();
  const timer = setInterval(draw, DRAW_MS);
  signal.addEventListener("abort", () => (stop(), clearInterval(timer)));

  function filters() {
    const subjects = SUBJECTS.map((name) =>
      h(
        "label.chip",
        {},
        h("input", {
          type: "checkbox",
          value: name,
          onchange: (event) => (wanted.kind[event.target.checked ? "add" : "delete"](name), begin()),
        }),
        h("span", {}, name),
      ),
    );
    const instances = h(
      "select",
      { onchange: (event) => ((wanted.instance = event.target.value), begin()) },
      h("option", { value: "" }, "all"),
      store.session.instances.map((name) => option(name, name)),
    );
    const levels = h(
      "select",
      { onchange: (event) => ((wanted.level = event.target.value), filterShown()) },
      LEVELS.map((name) => option(name, name)),
    );
    const label = h("input", {
      type: "search",
      size: 12,
      placeholder: "label",
      maxlength: 40,
      onchange: (event) => ((wanted.conversation = event.target.value.trim()), begin()),
    });
    return h(
      "details.filters",
      { open: !matchMedia("(max-width: 760px)").matches },
      h("summary", {}, "Filters"),
      h(
        "fieldset.chips",
        {},
        h("legend.visually-hidden", {}, "Kinds of events; with none selected, all are shown"),
        subjects,
      ),
      h(
        "div.choices",
        {},
        h("label.chooser", {}, h("span", {}, "Minimum level"), levels),
        h("label.chooser", {}, h("span", {}, "Instance"), instances),
        h("label.chooser", {}, h("span", {}, "Conversation"), label),
      ),
    );
  }

  function begin() {
    stop();
    const query = { kind: [...wanted.kind].join(","), instance: wanted.instance, conversation: wanted.conversation };
    stop = follow(query, take, connected);
    connection = "connecting";
    showState();
    filterShown();
  }

  function connected(now) {
    if (now === "open" && connection === "lost") {
      draw();
      list.prepend(h("li.gap", {}, "The connection was lost here: events in between are missing."));
    }
    connection = now;
    showState();
  }

  function take(event) {
    waiting.unshift(event);
    if (waiting.length > KEPT) waiting.length = KEPT;
  }

  function draw() {
    showState();
    if (isPaused || !waiting.length) return;
    const fresh = waiting;
    waiting = [];
    list.prepend(...fresh.filter(fits).map(line));
    while (list.childElementCount > KEPT) list.lastElementChild.remove();
    none.hidden = list.childElementCount > 0;
  }

  function fits(event) {
    if (!event) return true; // a gap
    if (LEVELS.indexOf(event.level) < LEVELS.indexOf(wanted.level)) return false;
    if (wanted.kind.size && !wanted.kind.has(event.event.split(".")[0])) return false;
    if (wanted.instance && event.instance !== wanted.instance) return false;
    return !wanted.conversation || event.conversation === wanted.conversation;
  }

  function filterShown() {
    for (const node of list.children) node.hidden = !fits(node.event);
  }

  function pause() {
    isPaused = !isPaused;
    showPaused();
  }

  function showPaused() {
    paused.setAttribute("aria-pressed", String(isPaused));
    fill(paused, icon(isPaused ? "play" : "pause"), isPaused ? "Continue" : "Pause");
    showState();
  }

  function showState() {
    const problems = {
      lost: "Connection lost, reconnecting.",
      cut: "Too many events at once: some were skipped.",
      connecting: "Connecting …",
    };
    const more =
      isPaused && waiting.length
        ? `${waiting.length === KEPT ? "more than " : ""}${count(waiting.length, "event")} waiting`
        : "";
    setText(
      state,
      problems[connection] ?? (isPaused ? `Paused. ${more}` : `Live; the latest ${number(KEPT)} are kept`),
    );
  }

  function clear() {
    list.replaceChildren();
    none.hidden = false;
  }
}

function line(event) {
  const about = Object.entries(event).filter(([name, value]) => !HEAD.has(name) && value !== "" && value !== null);
  const node = h(
    `li.event.level-${event.level}`,
    {},
    h("time.event-at", { datetime: event.at }, moment(event.at)),
    h(
      "span.event-name",
      {},
      h("span.event-level"),
      event.event,
      h("span.event-level-word", {}, ` ${event.level}`),
    ),
    h(
      "span.event-about",
      {},
      event.conversation ? h("a", { href: beside("conversation", event.conversation) }, event.conversation) : null,
      event.instance ? h("span.fact", {}, bdi(event.instance)) : null,
      about.map(([name, value]) => fact(name, value)),
    ),
  );
  node.event = event;
  return node;
}

function fact(name, value) {
  if (name === "turn") return h("a.fact", { href: beside("turn", value) }, `turn ${value}`);
  if (name === "letter") return h("a.fact", { href: beside("dead-letter", value) }, `dead letter ${value}`);
  const text = typeof value === "object" ? short(value) : String(value);
  return h("span.fact", {}, h("span.fact-name", {}, `${name} `), bdi(text));
}

/** A list, or the times of a trace without skipped steps. */
function short(value) {
  if (Array.isArray(value)) return value.length ? value.join(", ") : "none";
  const ran = Object.entries(value).filter(([, one]) => !Array.isArray(one) || one[2] !== "skipped");
  return ran.map(([name, one]) => `${name} ${Array.isArray(one) ? one[1] : one}`).join(", ");
}
