// The whole life of one message, from webhook to reply, in one screen.

import { get } from "./api.js";
import { asked, veil } from "./asked.js";
import { bdi, fill, h } from "./dom.js";
import { left, moment } from "./format.js";
import { textOf } from "./message_list.js";
import { beside } from "./router.js";
import { ownTexts } from "./room.js";
import { store } from "./store.js";
import { attempt } from "./talk.js";
import { why } from "./words.js";

const LOOK_MS = 1_000;
const ENDED = new Set(["answered", "suppressed", "dead", "dropped", "moved"]);

export function explain(root, title, { id, instance }, signal) {
  const path = `/v1/explain/${encodeURIComponent(id)}`;
  title.textContent = "The life of a message";
  let revealed = null;
  const again = asked(root, path, () => ({ instance }), 0, signal, show);

  function show(view) {
    if (!ENDED.has(view.state)) setTimeout(() => signal.aborted || again(), LOOK_MS);
    draw(view);
  }

  function draw(view) {
    const told = revealed ?? view;
    const time = view.seconds_left === null ? "" : ` (${left(view.seconds_left)} left)`;
    fill(
      root,
      h("p.verdict", {}, h("span.state", { class: `state is-${view.state}` }, `${capital(why(view.why))}${time}.`)),
      h(
        "p.quiet",
        {},
        "Message ",
        h("code", {}, bdi(view.message)),
        " of ",
        h("a", { href: beside("conversation", view.conversation) }, bdi(view.instance), " ", bdi(told.contact)),
        `, partition ${view.partition}.`,
      ),
      view.text === null ? null : h("div.message", {}, textOf(ownTexts.get(view.message) ?? told.text ?? view.text)),
      h("ol.life", {}, told.steps.map(step)),
      links(view),
      veil(store.may("admin"), revealed, () => reveal(view)),
    );
  }

  async function reveal(view) {
    await attempt(async () => {
      revealed = await get(path, { instance, reveal: true });
      draw(view);
    }, "Shown, and recorded.");
  }
}

function step(one) {
  return h(
    "li.life-step",
    {},
    h("p.life-what", {}, h("strong", {}, one.what), h("span.life-at", {}, precise(one.at))),
    one.detail ? h("p", {}, bdi(one.detail)) : null,
    one.text === null ? null : textOf(ownTexts.get(one.gateway_id) ?? one.text),
  );
}

const capital = (words) => words[0].toUpperCase() + words.slice(1);

/** With thousandths: what follows what is the point here. */
function precise(iso) {
  if (!iso) return "";
  const thousandths = iso.match(/\.(\d{3})/)?.[1];
  return moment(iso).replace(/(\d+:\d+:\d+)/, thousandths ? `$1.${thousandths}` : "$1");
}

function links(view) {
  const turns = view.turns.map((id) => h("a.button", { href: beside("turn", id) }, `Turn ${id} and its waterfall`));
  const letters = view.letters.map((id) => h("a.button", { href: beside("letter", id) }, `Dead letter ${id}`));
  return h("div.row", {}, turns, letters);
}
