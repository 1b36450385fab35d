// Live: busy conversations, the most urgent first, with the latest turns beside them.

import { card } from "./cards.js";
import { fill, fillWhen, h, keyed, option, setText } from "./dom.js";
import { icon } from "./icons.js";
import { latestTurns } from "./latest_turns.js";
import { count, number } from "./format.js";
import { store } from "./store.js";
import { turnLog } from "./turn_log.js";
import { keyMetrics } from "./key_metrics.js";
import { silentConversations } from "./silent_conversations.js";

const PAGE = matchMedia("(max-width: 760px)").matches ? 20 : 60;
const MAX_CARDS = 600;
const SORTS = {
  urgency: "most urgent",
  left: "least time left",
  messages: "most messages",
  tries: "most failed attempts",
  instance: "instance",
};

export function live(root, signal) {
  fill(
    root,
    keyMetrics(signal),
    h("div.columns", {}, busy(signal), h("div.side", {}, silentConversations(signal), latestTurns(signal))),
  );
}

function busy(signal) {
  const wanted = { sort: "urgency", instance: "", offset: 0, limit: PAGE };
  const grid = h("div.cards", { role: "list", "aria-label": "Busy conversations" });
  const rest = h("div.more", { hidden: true });
  const empty = h("div");
  const total = h("span.count");
  const cards = new Map();
  const make = card((conversation) => turnLog.stage(conversation));
  const want = () => store.want({ ...wanted });
  const ask = (change) => () => (Object.assign(wanted, change), want());
  const chooser = (label, options, choose) =>
    h(
      "label.chooser",
      {},
      h("span", {}, label),
      h("select", { onchange: (event) => (choose(event.target.value), want()) }, options),
    );
  const choices = h(
    "div.choices",
    {},
    store.session.instances.length > 1
      ? chooser(
          "Instance",
          [option("", "all"), ...store.session.instances.map((name) => option(name, name))],
          (value) => Object.assign(wanted, { instance: value, limit: PAGE }),
        )
      : null,
    chooser(
      "Order",
      Object.entries(SORTS).map(([value, words]) => option(value, words)),
      (value) => Object.assign(wanted, { sort: value }),
    ),
  );
  store.on("top", show, signal);
  turnLog.addEventListener("change", show, { signal });
  want();
  signal.addEventListener("abort", () => {
    store.want({ limit: 1 });
    for (const one of cards.values()) one.leave();
  });
  return h(
    "section.busy",
    { "aria-labelledby": "busy" },
    h("div.section-head", {}, h("h2", { id: "busy" }, "Conversations"), total, choices),
    grid,
    rest,
    empty,
  );

  function show() {
    const top = store.top;
    if (!top || !signal || signal.aborted) return;
    const rows = steady(top.rows.map((row) => turnLog.since({ ...row, at: store.topAt })));
    keyed(grid, cards, rows, (row) => row.conversation, make);
    setText(total, top.matching ? `${number(top.matching)} busy` : "");
    const more = top.matching - top.rows.length;
    rest.hidden = more <= 0;
    fillWhen(rest, [more, wanted.limit], () => [
      h("span", {}, `and ${number(more)} more`),
      wanted.limit < MAX_CARDS
        ? h(
            "button.button",
            { type: "button", onclick: ask({ limit: Math.min(MAX_CARDS, wanted.limit * 2) }) },
            "Show more",
          )
        : h("span.quiet", {}, "Select an instance to see fewer."),
    ]);
    empty.hidden = top.matching > 0;
    if (!top.matching) fillWhen(empty, [store.status?.acknowledged ?? -1, store.status?.listen], nobody);
  }

  /** While the pointer is over the cards their order stays, so that a card does not move before it is clicked. */
  function steady(rows) {
    if (!grid.matches(":hover") || !cards.size) return rows;
    const known = new Map(rows.map((row) => [row.conversation, row]));
    const kept = [...cards.keys()].filter((key) => known.has(key)).map((key) => known.get(key));
    const fresh = rows.filter((row) => !cards.has(row.conversation));
    return [...kept, ...fresh];
  }
}

function nobody() {
  const answered = store.status?.acknowledged ?? 0;
  if (answered)
    return [
      h(
        "p.empty-line",
        {},
        icon("check"),
        `No busy conversations: ${count(answered, "message")} handled so far.`,
        store.session.playground ? h("a", { href: "#/playground" }, "Try the playground") : null,
      ),
    ];
  const address = `http://${store.status?.listen ?? "…"}/webhook/${store.session.instances[0] ?? "<instance>"}`;
  return [
    h(
      "div.intro",
      {},
      h("h3", {}, "No messages yet"),
      h(
        "p",
        {},
        "When a customer writes, a card appears here. ",
        "Its ring shows how long Majlis collects messages before it answers them together.",
      ),
      store.session.playground
        ? h("a.button.strong", { href: "#/playground" }, icon("chat"), "Write as a customer in the playground")
        : null,
      h("p.intro-more", {}, "Or point your gateway's webhooks to ", h("code", {}, address)),
    ),
  ];
}
