// One turn in full: what it was, its waterfall, what the customer wrote, and what was sent.

import { get } from "./api.js";
import { asked, veil } from "./asked.js";
import { bdi, fill, h } from "./dom.js";
import { count, moment, percent } from "./format.js";
import { messageList, textOf } from "./message_list.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { attempt } from "./talk.js";
import { sentence } from "./turn_pane.js";
import { turnlog } from "./turnlog.js";
import { spansOf, waterfall } from "./waterfall.js";
import { TURN_STATES } from "./words.js";

const LOOK_MS = 1_500;
const PARTS = { sent: "sent", pending: "waits", sending: "being sent", unknown: "fate unknown", dropped: "held back" };

export function turn(root, title, { id }, signal) {
  const path = `/v1/turns/${encodeURIComponent(id)}`;
  title.textContent = `Turn ${id}`;
  let revealed = null;
  const again = asked(root, path, () => ({}), 0, signal, show);

  function show(view) {
    const running = view.turn.state === "started" || view.turn.state === "answered";
    if (running) setTimeout(() => signal.aborted || again(), LOOK_MS);
    draw(view);
  }

  function draw(view) {
    const told = revealed ?? view;
    const { turn: one } = view;
    fill(
      root,
      h(
        "p.pane-head",
        {},
        h("span.turn-state", { class: `turn-state of-${one.state}` }, TURN_STATES[one.state]),
        " ",
        h("a", { href: beside("conversation", view.conversation) }, bdi(view.instance), " ", bdi(told.contact)),
        h(
          "span.quiet",
          {},
          [moment(one.started_at), one.ended_at ? `ended ${moment(one.ended_at)}` : "runs"].join(", "),
        ),
      ),
      h("p", {}, sentence(one), more(one)),
      waterfall(spansOf(view, turnlog.find(one.id))),
      veil(store.may("admin"), revealed, () => reveal(view)),
      h("h3", {}, `Heard: ${count(view.messages.length, "message")}`),
      messageList(told.messages, view.instance),
      h("h3", {}, one.parts.length ? "Said" : "Nothing was said"),
      h("ol.messages", {}, told.turn.parts.map(part)),
    );
  }

  async function reveal(view) {
    await attempt(async () => {
      revealed = await get(path, { reveal: true });
      draw(view);
    }, "Shown, and recorded.");
  }
}

function part(one) {
  const state = PARTS[one.state] ?? one.state;
  const again = one.resends ? `, sent ${count(one.resends, "time", "times")} more` : "";
  return h(
    "li.message.ours",
    {},
    textOf(one.text),
    h("p.message-about", {}, `${state}${again}`, one.gateway_id ? h("code", {}, one.gateway_id) : null),
  );
}

function more(one) {
  const sure = one.confidence === null ? "" : ` The model was ${percent(one.confidence)} sure.`;
  const fields = one.requested_fields.length ? ` It asks for ${one.requested_fields.join(", ")}.` : "";
  return `${sure}${fields}`;
}
