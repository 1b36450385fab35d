// One dead letter: why it died, and what the customer wrote.

import { get } from "./api.js";
import { asked, veil } from "./asked.js";
import { bdi, fill, h } from "./dom.js";
import { count, moment } from "./format.js";
import { messageList } from "./message_list.js";
import { beside } from "./router.js";
import { store } from "./store.js";
import { attempt } from "./talk.js";
import { letterActions, letterWords } from "./view_dead.js";

export function letter(root, title, { id }, signal) {
  const path = `/v1/dead/${encodeURIComponent(id)}`;
  title.textContent = `Dead letter ${id}`;
  let revealed = null;
  const again = asked(root, path, () => ({}), 0, signal, draw);

  function draw(view) {
    const told = revealed ?? view;
    fill(
      root,
      h("p.verdict", {}, letterWords(view)),
      h(
        "p.quiet",
        {},
        h("a", { href: beside("conversation", view.conversation) }, bdi(view.instance), " ", bdi(told.contact)),
        `, given up ${moment(view.buried_at)} after ${count(view.tries, "try", "tries")}.`,
        view.retried_at ? ` Retried ${moment(view.retried_at)}.` : "",
        view.dropped_at ? ` Dropped ${moment(view.dropped_at)}.` : "",
      ),
      h("div.row", {}, letterActions(view, again)),
      h("h3", {}, `What the customer wrote: ${count(view.messages.length, "message")}`),
      messageList(told.messages, view.instance),
      veil(store.may("admin"), revealed, () => reveal(view)),
    );
  }

  async function reveal(view) {
    await attempt(async () => {
      revealed = await get(path, { reveal: true });
      draw(view);
    }, "Shown, and recorded.");
  }
}
