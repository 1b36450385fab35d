// The latest turns, and the trace of the selected one.

import { bdi, h, keyed, setText } from "./dom.js";
import { moment, ms, number } from "./format.js";
import { TurnPane } from "./turn_pane.js";
import { turnLog } from "./turn_log.js";
import { turnBadge } from "./turn_words.js";

const READING_MS = 6_000; // how long the latest turn is shown before a newer one replaces it

export function latestTurns(signal) {
  const list = h("ol.turns");
  const pane = new TurnPane(signal);
  const parts = new Map();
  let chosen = null;
  let shownId = null;
  let shownAt = -Infinity;
  turnLog.addEventListener("change", show, { signal });
  show();
  return h(
    "section.latest",
    { "aria-labelledby": "latest" },
    h("div.section-head", {}, h("h2", { id: "latest" }, "Latest turns")),
    pane.node,
    list,
  );

  function show() {
    const shown = turnLog.turns.slice(0, 8);
    list.hidden = !shown.length;
    const selected = chosen ?? latest();
    keyed(list, parts, shown, (turn) => turn.id, line);
    for (const [id, part] of parts) part.node.firstChild.setAttribute("aria-pressed", String(id === selected));
    pane.show(selected, turnLog.find(selected));
  }

  /** The latest turn that ended; each stays long enough to be read. */
  function latest() {
    const found = turnLog.turns.find((turn) => turn.state !== "started")?.id ?? null;
    if (found !== shownId && performance.now() - shownAt > READING_MS && !pane.node.matches(":hover")) {
      shownId = found;
      shownAt = performance.now();
    }
    return shownId;
  }

  function line(turn) {
    const state = h("span.turn-state");
    const when = h("span.turn-when", {}, moment(turn.startedAt));
    const took = h("span.turn-took");
    const choose = () => ((chosen = chosen === turn.id ? null : turn.id), show());
    const button = h(
      "button.turn",
      { type: "button", onclick: choose },
      h("span.turn-id", {}, h("span.visually-hidden", {}, "Turn "), String(turn.id)),
      h("span.turn-who", {}, bdi(turn.instance)),
      h(
        "span.card-count",
        {},
        number(turn.messages),
        h("span.visually-hidden", {}, turn.messages === 1 ? " message" : " messages"),
      ),
      when,
      took,
      state,
    );
    return { node: h("li", {}, button), update };

    function update(now) {
      const { words, kind } = turnBadge(now);
      state.className = `turn-state of-${kind}`;
      setText(state, words); // what it means is in the pane of the turn
      setText(took, now.tookMs === null ? "" : ms(now.tookMs));
    }
  }
}
