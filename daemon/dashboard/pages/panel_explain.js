// What happened to one message, from webhook to reply, on one screen.

import { get } from "./api.js";
import { poll, maskNotice } from "./polling.js";
import { bdi, fill, h } from "./dom.js";
import { left, moment } from "./format.js";
import { textOf } from "./message_list.js";
import { beside } from "./router.js";
import { ownTexts } from "./chat_session.js";
import { store } from "./store.js";
import { withToast } from "./feedback.js";
import { capital, why } from "./words.js";

const LOOK_MS = 1_000;
const ENDED = new Set(["answered", "suppressed", "dead", "dropped", "moved", "of_business"]);

export function explain(root, title, { id, instance }, signal) {
  const path = `/v1/explain/${encodeURIComponent(id)}`;
  title.textContent = "Message history";
  let revealed = null;
  const again = poll(root, path, () => ({ instance }), 0, signal, show);

  function show(view) {
    if (!ENDED.has(view.state)) setTimeout(() => signal.aborted || again(), LOOK_MS);
    draw(view);
  }

  function draw(view) {
    const shown = revealed ?? view;
    const time = view.seconds_left === null ? "" : ` (${left(view.seconds_left)} left)`;
    fill(
      root,
      h("p.summary", {}, h("span.state", { class: `state is-${view.state}` }, `${capital(why(view.why))}${time}.`)),
      h(
        "p.quiet",
        {},
        "Message ",
        h("code", {}, bdi(view.message)),
        " of ",
        h("a", { href: beside("conversation", view.conversation) }, bdi(view.instance), " ", bdi(shown.contact)),
        `, partition ${view.partition}.`,
      ),
      view.text === null ? null : h("div.message", {}, textOf(ownTexts.get(view.message) ?? shown.text ?? view.text)),
      h("ol.history", {}, shown.steps.map(step)),
      links(view),
      maskNotice(store.may("admin"), revealed, () => reveal(view)),
    );
  }

  async function reveal(view) {
    await withToast(async () => {
      revealed = await get(path, { instance, reveal: true });
      draw(view);
    }, "Revealed, and recorded in the audit log.");
  }
}

function step(one) {
  return h(
    "li.history-step",
    {},
    h("p.history-what", {}, h("strong", {}, one.what), h("span.history-at", {}, precise(one.at))),
    one.detail ? h("p", {}, bdi(one.detail)) : null,
    one.text === null ? null : textOf(ownTexts.get(one.gateway_id) ?? one.text),
  );
}

/** With milliseconds: the order is what matters here. */
function precise(iso) {
  if (!iso) return "";
  const thousandths = iso.match(/\.(\d{3})/)?.[1];
  return moment(iso).replace(/(\d+:\d+:\d+)/, thousandths ? `$1.${thousandths}` : "$1");
}

function links(view) {
  const turns = view.turns.map((id) => h("a.button", { href: beside("turn", id) }, `Trace of turn ${id}`));
  const deadLetters = view.letters.map((id) => h("a.button", { href: beside("dead-letter", id) }, `Dead letter ${id}`));
  return h("div.row", {}, turns, deadLetters);
}
