// One turn in full: its facts, its trace, what the customer wrote, and what was sent.

import { get } from "./api.js";
import { poll, maskNotice } from "./polling.js";
import { bdi, fill, h } from "./dom.js";
import { count, moment, percent } from "./format.js";
import { messageList, textOf } from "./message_list.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { withToast } from "./feedback.js";
import { badgeOf, sentence } from "./turn_pane.js";
import { turnLog } from "./turn_log.js";
import { spansOf, traceChart } from "./trace.js";

const LOOK_MS = 1_500;
const PARTS = { sent: "sent", pending: "pending", sending: "sending", unknown: "outcome unknown", dropped: "not sent" };

export function turn(root, title, { id }, signal) {
  const path = `/v1/turns/${encodeURIComponent(id)}`;
  title.textContent = `Turn ${id}`;
  let revealed = null;
  const again = poll(root, path, () => ({}), 0, signal, show);

  function show(view) {
    const running = view.turn.state === "started" || view.turn.state === "answered";
    if (running) setTimeout(() => signal.aborted || again(), LOOK_MS);
    draw(view);
  }

  function draw(view) {
    const shown = revealed ?? view;
    const { turn: one } = view;
    fill(
      root,
      h(
        "p.pane-head",
        {},
        badgeOf(one),
        " ",
        h("a", { href: beside("conversation", view.conversation) }, bdi(view.instance), " ", bdi(shown.contact)),
        h(
          "span.quiet",
          {},
          [moment(one.started_at), one.ended_at ? `ended ${moment(one.ended_at)}` : "running"].join(", "),
        ),
      ),
      h("p", {}, sentence(one), more(one)),
      traceChart(spansOf(view, turnLog.find(one.id))),
      maskNotice(store.may("admin"), revealed, () => reveal(view)),
      h("h3", {}, `Received: ${count(view.messages.length, "message")}`),
      messageList(shown.messages, view.instance),
      h("h3", {}, one.parts.length ? "Sent" : "Nothing was sent"),
      h("ol.messages", {}, shown.turn.parts.map(part)),
    );
  }

  async function reveal(view) {
    await withToast(async () => {
      revealed = await get(path, { reveal: true });
      draw(view);
    }, "Revealed, and recorded in the audit log.");
  }
}

function part(one) {
  const state = PARTS[one.state] ?? one.state;
  const again = one.resends ? `, resent ${count(one.resends, "time")}` : "";
  return h(
    "li.message.ours",
    {},
    textOf(one.text),
    h("p.message-about", {}, `${state}${again}`, one.gateway_id ? h("code", {}, one.gateway_id) : null),
  );
}

function more(one) {
  const sure = one.confidence === null ? "" : ` Confidence ${percent(one.confidence)}.`;
  const fields = one.requested_fields.map((name, place) => [place ? ", " : "", bdi(name)]);
  return [sure, fields.length ? [" It asks for ", fields, "."] : null];
}
